"""`python -m local` runs the local stack until Ctrl-C.

`python -m local clean` removes its state, `python -m local url` prints the address of the running stack.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from local.dynamodb.dynamodb_local import UnavailableError
from local.dynamodb.engine import EndpointUnusableError, EngineMissingError, TableDiffersError
from local.orphans import read, still_runs
from local.processes import AlreadyRunningError, ChildFailedError, Processes
from local.settings import LocalSettings, SettingError, read_environment
from local.terminal import Terminal
from shared.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType

    from local.stack import Stack

ROOT: Final = Path(__file__).resolve().parents[1]
STATE: Final = ROOT / ".local"
# Created by installation, not by running: `clean` keeps these.
_INSTALLED: Final = ("ministack-venv", "sam-venv", "dynamodb-local", "lock")
_OPEN_FILES: Final = 10_240
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class NotRunningError(RuntimeError):
    """No stack runs here, or it cannot continue; the text says which."""


_REASONS_TO_GIVE_UP: Final = (
    AlreadyRunningError,
    ChildFailedError,
    EndpointUnusableError,
    EngineMissingError,
    NotRunningError,
    SettingError,
    SettingsError,
    TableDiffersError,
    UnavailableError,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0 after a stop by signal, 1 if the stack could not start or continue."""
    options = _parse(arguments)
    try:
        if options.command == "clean":
            clean(STATE)
        elif options.command == "url":
            print(url(STATE))
        else:
            run(ROOT, STATE, end_with_parent=options.end_with_parent)
    except _REASONS_TO_GIVE_UP as error:
        print(f"budgie: {error}", file=sys.stderr)
        return 1
    return 0


def run(root: Path, state: Path, *, end_with_parent: bool = False) -> None:
    """Run the stack of `root` on `state` until a signal, or until the process that started us ends.

    Raises:
        NotRunningError: an engine ended repeatedly.
    """
    for number in _SIGNALS:
        signal.signal(number, _interrupt)
    _allow_open_files()
    began = time.monotonic()
    parent = os.getppid()
    try:
        os.environ.update(read_environment(root, os.environ))
        settings = LocalSettings.from_env(os.environ)
        from local.stack import Stack

        with _log(settings, state) as log, Stack(settings, root, directory=state, log=log) as stack:
            _say(_greeting(stack, settings, time.monotonic() - began))
            _wait(stack, parent if end_with_parent else None)
            if stack.failed.is_set():
                raise NotRunningError("an engine cannot be kept running")
            _say("The process that started the stack has ended.")
    except KeyboardInterrupt:
        pass
    _say("\nStopped.")


def url(state: Path) -> str:
    """Return the address of the stack that runs on `state`.

    Raises:
        NotRunningError: none runs there.
    """
    owner = read(state / "lock")
    if not (owner.get("url") and still_runs(owner)):
        raise NotRunningError("no local stack runs here: start one with `make run`")
    return str(owner["url"])


def clean(state: Path) -> None:
    """Remove what runs have left behind: tables, Redis data, keys, logs. What is installed stays.

    Raises:
        AlreadyRunningError: a stack runs on this state.
    """
    # We hold the lock, so no stack runs, and none can start meanwhile.
    with Processes(state):
        for path in state.iterdir():
            if path.name in _INSTALLED:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local", description="The local stack.")
    parser.add_argument("command", nargs="?", choices=["run", "clean", "url"], default="run")
    parser.add_argument(
        "--end-with-parent",
        action="store_true",
        help="stop when the process that started this one ends, even by SIGKILL (for make)",
    )
    return parser.parse_args(arguments)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    # Everything is being stopped now: a second Ctrl-C must not leave half of it running.
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _allow_open_files() -> None:
    """Raise the process's own limit of open files: each WebSocket is one, and some systems begin with 256."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if most == resource.RLIM_INFINITY else min(_OPEN_FILES, most)
    if now != resource.RLIM_INFINITY and now < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _wait(stack: Stack, parent: int | None) -> None:
    while (parent is None or os.getppid() == parent) and not stack.failed.wait(1.0):
        pass


@contextlib.contextmanager
def _log(settings: LocalSettings, state: Path) -> Iterator[Callable[[str], None]]:
    """Yield the function that takes the gateway's lines; meanwhile the functions' own go where the settings say."""
    if settings.log == "json":
        yield _say
        return
    (state / "log").mkdir(parents=True, exist_ok=True)
    with (state / "log" / "functions.log").open("w", encoding="utf-8") as whole:
        terminal = Terminal(sys.stdout, whole)
        with contextlib.redirect_stdout(terminal):
            yield terminal.request


def _greeting(stack: Stack, settings: LocalSettings, seconds: float) -> str:
    engine = "given" if settings.dynamodb_endpoint_url else settings.dynamodb_engine
    redis = "Upstash, yours" if settings.upstash_redis_rest_url else "valkey behind an Upstash REST endpoint"
    return f"""
Budgie runs at {stack.url} after {seconds:.1f} s. Its API is described at {stack.url}/docs

  TOKEN=$(make -s token USER=ada)
  curl {stack.url}/v1/channels -H "Authorization: Bearer $TOKEN"

DynamoDB: {engine} at {stack.dynamodb_url}, table {settings.table_name}
Redis: {redis} at {stack.upstash_url}
Realtime: {stack.realtime_url or "off"}
Ctrl-C stops everything.
"""


def _say(line: str) -> None:
    # Flushed, so that it also reaches a pipe or a file at once.
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
