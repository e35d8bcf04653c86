"""Child servers that end with us, however we end.

Three lines of defence:

1. `Processes.close()` stops the children in reverse order: Ctrl-C, SIGTERM and exceptions come this way.
2. A guard, a small process that waits for the end of a pipe that only we hold open. When we die without
   closing, even by SIGKILL, the pipe ends and the guard stops what is recorded in `run/`.
3. When the guard was killed too, the next start stops what is recorded.

The lock is held by us and by the guard: whoever holds it owns `run/`, so a live stack is never mistaken
for leftovers.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

from local import leftovers
from local.leftovers import GRACE_SECONDS, POLL_SECONDS, read, reap, start_time, still_runs, write

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

_LOG_LINES_SHOWN = 15


class AlreadyRunningError(RuntimeError):
    """Another process owns this directory; the text says which, and its address."""


class ChildFailedError(RuntimeError):
    """A child ended, or was not ready in time; the text ends with the last lines of its log."""


class Child:
    """One server that we started."""

    def __init__(self, name: str, popen: subprocess.Popen[bytes], log: Path, record: Path) -> None:
        self.name = name
        self.pid = popen.pid
        self.log = log
        self._popen = popen
        self._record = record

    def wait_ready(self, is_ready: Callable[[], bool], *, timeout: float = 30.0) -> None:
        """Return once `is_ready()` is true.

        Args:
            is_ready: asked about every 50 ms.
            timeout: seconds.

        Raises:
            ChildFailedError: the child ended, or the time is up.
        """
        deadline = time.monotonic() + timeout
        while self._popen.poll() is None:
            if is_ready():
                return
            if time.monotonic() > deadline:
                raise ChildFailedError(f"{self.name} was not ready within {timeout:g} s{self._log_tail()}")
            time.sleep(POLL_SECONDS)
        raise ChildFailedError(f"{self.name} ended with status {self._popen.returncode}{self._log_tail()}")

    def stop(self, *, grace: float = GRACE_SECONDS) -> None:
        """Ask the child to end, wait up to `grace` seconds, then kill it and what it started."""
        self._popen.terminate()
        try:
            self._popen.wait(grace)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self._popen.wait()
        self._record.unlink(missing_ok=True)

    def _log_tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-_LOG_LINES_SHOWN:]
        return "".join(f"\n  {line}" for line in lines) or " (its log is empty)"


class Processes:
    """The children of one directory: records in `run/`, output in `log/`, ownership by `lock`."""

    def __init__(self, directory: Path) -> None:
        self._run = directory / "run"
        self._log = directory / "log"
        self._lock_path = directory / "lock"
        self._lock: IO[str] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._children: list[Child] = []

    def __enter__(self) -> Self:
        """Take the lock, stop leftovers of an owner that was killed, and start the guard.

        Raises:
            AlreadyRunningError: another process owns the directory.
        """
        for directory in (self._run, self._log):
            directory.mkdir(parents=True, exist_ok=True)
        self._lock = _take_lock(self._lock_path)
        try:
            self.announce("")
            reap(self._run)
            self._guard = _start_guard(self._run, self._lock.fileno())
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(
        self, name: str, argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Child:
        """Start a server; its output goes to `log/<name>.log`, which begins anew.

        Raises:
            RuntimeError: used before entering or after closing.
        """
        if self._lock is None:
            raise RuntimeError("Processes is not open")
        log = self._log / f"{name}.log"
        with log.open("wb") as output:
            # A session of its own: Ctrl-C in the terminal reaches us alone, and we stop children in order.
            popen = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=None if env is None else dict(env),
                cwd=cwd,
                start_new_session=True,
            )
        record = self._run / f"{name}.json"
        child = Child(name, popen, log, record)
        self._children.append(child)
        write(record, {"name": name, "pid": popen.pid, "started": start_time(popen.pid)})
        return child

    def announce(self, url: str, **known: str) -> None:
        """Let a second start say where the first one answers, and tools find what is behind it."""
        if self._lock is None:
            raise RuntimeError("Processes is not open")
        self._lock.seek(0)
        self._lock.truncate()
        owner = {"pid": os.getpid(), "started": start_time(os.getpid()), "url": url}
        json.dump(owner | known, self._lock)
        self._lock.flush()

    def close(self) -> None:
        """Stop all children, the last started first, and give the directory up. May be called twice."""
        while self._children:
            self._children.pop().stop()
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.stdin.close()
            self._guard.wait()
            self._guard = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _take_lock(path: Path) -> IO[str]:
    lock = path.open("a+")
    deadline = time.monotonic() + GRACE_SECONDS + 5
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = read(path)
            # An owner that is gone has left its guard at work, which gives the lock up in a moment.
            if still_runs(owner) or time.monotonic() > deadline:
                lock.close()
                raise AlreadyRunningError(_describe(owner)) from None
            time.sleep(POLL_SECONDS)
        else:
            return lock


def _describe(owner: Mapping[str, object]) -> str:
    where = f"at {owner['url']}" if owner.get("url") else "and is starting or stopping"
    return f"a local stack already runs {where} (process {owner.get('pid', 'unknown')})"


def _start_guard(run: Path, lock: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(Path(leftovers.__file__).resolve()), str(run.resolve())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        pass_fds=[lock],
        start_new_session=True,
    )
