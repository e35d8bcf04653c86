"""Child servers that end when we do, however we end.

Three lines of defence:

1. `Processes.close()` stops the children in reverse order; Ctrl-C, SIGTERM and exceptions lead here.
2. A guard, a small process that waits for the end of a pipe that only we hold open. When we die without
   closing, even by SIGKILL, the pipe ends and the guard stops what is recorded in `run/`.
3. If the guard was killed too, the next start stops what is recorded.

A child that ends while we continue is reported and restarted by `Keeper`.

We and the guard hold the lock. Its holder owns `run/`, so the children of a running stack are never mistaken
for orphans.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final, Self

from local import orphans
from local.orphans import GRACE_SECONDS, POLL_SECONDS, read, reap, start_time, still_runs, write

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

MAX_DEATHS: Final = 3
"""How often a child is restarted within `DEATHS_WITHIN`; one that ends more often is given up."""
DEATHS_WITHIN: Final = 60.0  # seconds
_LOG_LINES_SHOWN = 15


class AlreadyRunningError(RuntimeError):
    """Another process owns this directory; the text names it and its address."""


class ChildFailedError(RuntimeError):
    """A child ended, or was not ready in time; the text ends with the last lines of its log."""


@dataclass(frozen=True, slots=True)
class _Launch:
    """How a child is started."""

    argv: list[str]
    env: dict[str, str] | None
    cwd: Path | None

    def start(self, log: Path, mode: str) -> subprocess.Popen[bytes]:
        with log.open(mode) as output:
            # Its own session: Ctrl-C in the terminal reaches only us, and we stop the children in order.
            return subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.env,
                cwd=self.cwd,
                start_new_session=True,
            )


class Child:
    """One server that we started."""

    def __init__(self, name: str, launch: _Launch, log: Path, record: Path) -> None:
        self.name = name
        self.log = log
        self._launch = launch
        self._record = record
        self._begin("wb")

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._popen.pid

    @property
    def status(self) -> int | None:
        """Its exit status, a signal as a negative number; None while it runs."""
        return self._popen.poll()

    def restart(self) -> None:
        """Start it again with the same arguments after it has ended; its log is continued."""
        self._begin("ab")

    def _begin(self, mode: str) -> None:
        self._popen = self._launch.start(self.log, mode)
        write(self._record, {"name": self.name, "pid": self.pid, "started": start_time(self.pid)})

    def wait_ready(self, is_ready: Callable[[], bool], *, timeout: float = 30.0) -> None:
        """Return once `is_ready()` is true.

        Args:
            is_ready: called every 50 ms.
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
        """Take the lock, stop orphans of an owner that was killed, and start the guard.

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
        """Start a server; its output goes to `log/<name>.log`, which is overwritten.

        Raises:
            RuntimeError: used before entering or after closing.
        """
        if self._lock is None:
            raise RuntimeError("Processes is not open")
        launch = _Launch(list(argv), None if env is None else dict(env), cwd)
        child = Child(name, launch, self._log / f"{name}.log", self._run / f"{name}.json")
        self._children.append(child)
        return child

    def announce(self, url: str, **known: str) -> None:
        """Publish the address for a second start, and what is behind it for tools."""
        if self._lock is None:
            raise RuntimeError("Processes is not open")
        self._lock.seek(0)
        self._lock.truncate()
        owner = {"pid": os.getpid(), "started": start_time(os.getpid()), "url": url}
        json.dump(owner | known, self._lock)
        self._lock.flush()

    def close(self) -> None:
        """Stop all children, the last one first, and release the directory. May be called twice."""
        while self._children:
            self._children.pop().stop()
        if self._guard is not None and self._guard.stdin is not None:
            self._guard.stdin.close()
            self._guard.wait()
            self._guard = None
        if self._lock is not None:
            self._lock.truncate(0)
            self._lock.close()
            self._lock = None


class Keeper:
    """Restarts children that have ended, and reports it. A context manager, to be left before they are stopped.

    Args:
        say: takes a line for a person.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.failed = threading.Event()
        """Set once a child cannot be kept running: what needs it should end."""
        self._say = say
        self._kept: list[tuple[Child, Callable[[], bool]]] = []
        self._deaths: dict[str, list[float]] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="keeper", daemon=True)

    def keep(self, child: Child, is_ready: Callable[[], bool]) -> None:
        """Keep a child running that is ready now; `is_ready()` tells whether it is ready again."""
        self._kept.append((child, is_ready))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._closing.wait(POLL_SECONDS) and not self.failed.is_set():
            for child, is_ready in self._kept:
                if child.status is not None:
                    self._revive(child, is_ready)

    def _revive(self, child: Child, is_ready: Callable[[], bool]) -> None:
        now = time.monotonic()
        deaths = self._deaths[child.name] = [
            *(each for each in self._deaths.get(child.name, ()) if now - each < DEATHS_WITHIN),
            now,
        ]
        if len(deaths) > MAX_DEATHS:
            self._say(
                f"{child.name} ended {len(deaths)} times within {DEATHS_WITHIN:g} s; its log: {child.log}"
            )
            self.failed.set()
            return
        self._say(
            f"{child.name} ended ({_ending(child.status)}) and is being restarted; its log: {child.log}"
        )
        child.restart()
        while not self._closing.wait(POLL_SECONDS) and child.status is None:
            if is_ready():
                self._say(f"{child.name} is ready again after {time.monotonic() - now:.1f} s.")
                return


def _ending(status: int | None) -> str:
    if status is None or status >= 0:
        return f"status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"


def _take_lock(path: Path) -> IO[str]:
    lock = path.open("a+")
    deadline = time.monotonic() + GRACE_SECONDS + 5
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = read(path)
            # The guard of an owner that is gone is still at work; it releases the lock in a moment.
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
        [sys.executable, "-I", "-S", str(Path(orphans.__file__).resolve()), str(run.resolve())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        pass_fds=[lock],
        start_new_session=True,
    )
