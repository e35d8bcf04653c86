"""`python -m local.demo [SOURCE]` posts real conversations to the local API, reads them back, and compares.

It uses the stack that `make run` has started; where none runs, it starts one of its own, with state of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from local import leftovers
from local.__main__ import ROOT, STATE, clean
from local.client import Client, UnreachableError
from local.conversations import Conversations, SourceError, read
from local.crowd import Crowd
from local.dynamodb import EndpointUnusableError, EngineMissingError
from local.dynamodb_local import UnavailableError
from local.processes import AlreadyRunningError, ChildFailedError
from local.progress import Progress
from local.retelling import FAULTS, READER, Api, ApiError, ReadBack, Told, compare, read_back, tell
from local.settings import LocalSettings, SettingError, read_environment
from local.tokens import KeyPair
from shared.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SAMPLE: Final = Path(__file__).with_name("sample.jsonl")
WRITERS: Final = 8
"""Conversations that are told at the same time."""
FOR_HANDLERS: Final = {
    "RATE_LIMIT_PER_SECOND": "1000",
    "RATE_LIMIT_BURST": "100000",
    "MAX_CHANNELS_PER_USER": "1000000",  # The reader is in all of them.
    "LOG_LEVEL": "WARNING",
}
"""How handlers run in a stack of the demo's own: nobody has to wait, and nobody reads a log line a request."""
REFUSALS_SHOWN: Final = 20
_REASONS_TO_GIVE_UP: Final = (
    AlreadyRunningError,
    ApiError,
    ChildFailedError,
    EndpointUnusableError,
    EngineMissingError,
    SettingError,
    SettingsError,
    SourceError,
    UnavailableError,
    UnreachableError,
)

A = TypeVar("A", bound=Api)
Connect: TypeAlias = Callable[[Callable[[float], None]], AbstractContextManager[Client]]
"""Opens a connection to the API, given what it is to wait with."""


@dataclass(frozen=True, slots=True)
class Result:
    """What was told, what was there afterwards, and what differs. Times are in seconds."""

    told: list[Told]
    found: list[ReadBack]
    posted_in: float
    read_in: float

    @property
    def faults(self) -> Counter[str]:
        """How often each fault was found in all channels."""
        total: Counter[str] = Counter()
        for told, found in zip(self.told, self.found, strict=True):
            total.update(compare(told.sent, found))
        return total


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0 if everything came back as it was posted, 130 after Ctrl-C, else 1."""
    options = _parse(arguments)
    try:
        conversations = read(options.source)
        print(_contents(options.source, conversations), flush=True)
        with address(options.url, options.state) as connect:
            result = run(conversations, Crowd(connect, options.writers))
    except _REASONS_TO_GIVE_UP as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return conclude(result)


def run(conversations: Conversations, crowd: Crowd[A]) -> Result:
    """Tell the conversations, as many at a time as the crowd has workers; then read all of them back.

    Raises:
        ApiError: the API did not do what it was asked.
        UnreachableError: it gave no answer.
    """
    name = secrets.token_hex(4)
    jobs = [(each, f"{name}-{number}") for number, each in enumerate(conversations.all)]
    began = time.perf_counter()
    with Progress("posted", conversations.turns, sys.stdout) as progress:
        told = crowd.work(lambda api, job: tell(api, *job, progress.step), jobs)
    posted = time.perf_counter()
    with Progress("channels read back", len(told), sys.stdout) as progress:
        found = crowd.work(lambda api, each: read_back(api, each.channel_id, progress.step), told)
    return Result(told, found, posted - began, time.perf_counter() - posted)


def conclude(result: Result) -> int:
    """Print the report; the exit status."""
    print("\n".join(report(result)), flush=True)
    return 1 if result.faults.total() else 0


def report(result: Result) -> Iterator[str]:
    """The result in lines for a person."""
    told, faults = result.told, result.faults
    sent = sum(len(each.sent) for each in told)
    seconds = sorted(second for each in told for second in each.seconds)
    retries = sum((each.retries for each in told), Counter[int]())
    yield f"posted     {sent:,} messages in {result.posted_in:.1f} s, {_rate(sent, result.posted_in)}"
    yield f"a post     p50 {_percentile(seconds, 50):.0f} ms, p99 {_percentile(seconds, 99):.0f} ms"
    yield f"conflicts  {sum(each.conflicts for each in told):,} posts met another write"
    yield f"retries    {_counts(retries)}"
    yield f"voids      {sum(each.voids for each in result.found):,} positions without a message"
    there = sum(len(each.messages) for each in result.found)
    yield f"read back  {there:,} messages in {result.read_in:.1f} s, page by page, by {READER}"
    refused = [reason for each in told for reason in each.refused]
    yield f"refused    {len(refused):,} messages that the API does not accept"
    yield from (f"           {reason}" for reason in refused[:REFUSALS_SHOWN])
    if len(refused) > REFUSALS_SHOWN:
        yield f"           and {len(refused) - REFUSALS_SHOWN:,} more"
    yield f"compared   {', '.join(f'{name} {faults[name]:,}' for name in FAULTS)}"
    yield "Something is wrong." if faults.total() else "Nothing is lost, doubled or out of order."


@contextlib.contextmanager
def address(url: str | None, state: Path) -> Iterator[Connect]:
    """How to connect to the API at `url`, else to the stack that runs on `state`, else to one of our own."""
    where = url or running(state)
    with contextlib.ExitStack() as opened:
        if where is None:
            state = state / "demo"
            where = opened.enter_context(_own_stack(state))
        print(f"telling them to {where}", flush=True)
        token_for = cache(KeyPair.load_or_create(state).issue)
        yield lambda sleep: Client(where, token_for, sleep)


def running(state: Path) -> str | None:
    """The address of the stack that runs on this state directory, if one does."""
    owner = leftovers.read(state / "lock")
    found = owner.get("url")
    return str(found) if found and leftovers.still_runs(owner) else None


@contextlib.contextmanager
def _own_stack(state: Path) -> Iterator[str]:
    """A stack on ports and state of its own: forgotten at the end, or before the next if it ended badly."""
    from local.stack import Stack

    environment = read_environment(ROOT, os.environ)
    engine = LocalSettings.from_env(environment).dynamodb_engine
    settings = LocalSettings(port=0, dynamodb_engine=engine, dynamodb_port=0, redis_port=0, upstash_port=0)
    print("no stack runs here: starting one for the demo", flush=True)
    state.mkdir(parents=True, exist_ok=True)
    clean(state)
    os.environ.update(FOR_HANDLERS)
    with Stack(settings, ROOT, directory=state, log=_only_faults) as stack:
        yield stack.url
    clean(state)


def _only_faults(line: str) -> None:
    """Print what the gateway logs beside the line that it logs for each request."""
    if not line[:1].isdigit():
        print(line, file=sys.stderr, flush=True)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.demo", description="Post, read back, compare.")
    parser.add_argument(
        "source",
        nargs="?",
        type=Path,
        default=SAMPLE,
        help="JSON lines (.jsonl, .jsonl.gz) or a Slack export (folder or zip); a small sample by default",
    )
    parser.add_argument("--url", help="the API's address; it must take tokens of the local key")
    parser.add_argument("--state", type=Path, default=STATE, help="where the local stack keeps key and state")
    parser.add_argument("--writers", type=_count, default=WRITERS, help="conversations at the same time")
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("a number of 1 or more")
    return int(text)


def _contents(source: Path, conversations: Conversations) -> str:
    left_out = f"; left out: {_counts(conversations.left_out)}" if conversations.left_out else ""
    return f"{source.name}: {conversations.turns:,} messages in {len(conversations.all):,} conversations{left_out}"


def _counts(counter: Counter[str] | Counter[int]) -> str:
    return ", ".join(f"{name or 'broken connection'}: {times:,}" for name, times in counter.items()) or "none"


def _rate(count: int, seconds: float) -> str:
    return f"{count / seconds:,.0f} messages/s" if seconds else "at once"


def _percentile(ordered: Sequence[float], percent: int) -> float:
    """Milliseconds that so many percent of the times, in seconds and ascending, do not exceed."""
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] * 1000


if __name__ == "__main__":
    sys.exit(main())
