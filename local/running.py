"""The local stack as a separate process, started as `make run` does, with its own ports and state."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from local import orphans
from local.demo.client import Client
from local.settings import LocalSettings
from local.tokens import KeyPair
from shared.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parents[1]
PROGRAM: Final = (
    "import sys; from pathlib import Path; from local.__main__ import run; run(*map(Path, sys.argv[1:]))"
)
PORTS: Final = ("PORT", "DYNAMODB_PORT", "REDIS_PORT", "UPSTASH_PORT")
START_SECONDS: Final = 60.0


class NotRunningError(RuntimeError):
    """The stack did not start; the text contains its output."""


class RunningStack:
    """A running stack: its addresses, and ways to break it."""

    def __init__(self, directory: Path, said: str, pid: int) -> None:
        self.directory = directory
        self.pid = pid
        """Of the process with gateway and Upstash endpoint; the engines are its children."""
        self.keys = KeyPair.load_or_create(directory)
        self.token_for = cache(self.keys.issue)
        self.url = _said(r"Budgie runs at (http://\S+)", said)
        self.dynamodb_url = _said(r"DynamoDB: \S+ at (http://[^\s,]+)", said)
        self.upstash_url = _said(r"Redis: .* at (http://\S+)", said)

    @property
    def upstash_token(self) -> str:
        """The token of the Upstash endpoint."""
        return (self.directory / "upstash-token").read_text()

    def client(self, tries: int = 1) -> Client:
        """A client that sends a request at most `tries` times."""
        return Client(self.url, self.token_for, tries=tries)

    def kill_engine(self, name: str) -> None:
        """Kill an engine, as a crash does."""
        record = orphans.read(self.directory / "run" / f"{name}.json")
        os.kill(int(str(record["pid"])), signal.SIGKILL)


@contextmanager
def running_stack(directory: Path, **variables: str) -> Iterator[RunningStack]:
    """Run a stack with these variables; its output is in `stack.log` of the directory.

    Raises:
        NotRunningError: it did not start.
    """
    # Empty means not set, whatever the developer's environment or `.env` says.
    defaults = dict.fromkeys([*LocalSettings.VARIABLES, *Settings.variables()], "")
    log = directory / "stack.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(  # our own text
            [sys.executable, "-c", PROGRAM, str(ROOT), str(directory)],
            cwd=ROOT,
            env=os.environ | defaults | dict.fromkeys(PORTS, "0") | {"LOG": "json"} | variables,
            stdout=output,
            stderr=output,
        ) as process,
    ):
        try:
            yield RunningStack(directory, _greeting(process, log), process.pid)
        finally:
            process.terminate()
            _end(process)


def _greeting(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while "Ctrl-C" not in (said := log.read_text()):
        if process.poll() is not None or time.monotonic() > deadline:
            raise NotRunningError(f"the stack is not ready:\n{said}")
        time.sleep(0.05)
    return said


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()


def _said(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise NotRunningError(f"the stack's greeting lacks {pattern}")
    return match[1]
