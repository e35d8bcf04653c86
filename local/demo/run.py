"""`python -m local.demo.run [SOURCE]` posts real conversations to the local API, reads them back, and compares.

It uses the stack that `make run` has started; without one it starts its own, with its own state.
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
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

from local import orphans
from local.__main__ import ROOT, STATE, clean
from local.demo.client import Client, UnreachableError
from local.demo.conversations import Conversations, Losses, SourceError, read
from local.demo.replay import (
    FAULTS,
    READER,
    Api,
    ApiError,
    Posted,
    ReadBack,
    compare,
    post_conversation,
    read_back,
)
from local.demo.worker_pool import WorkerPool
from local.dynamodb.dynamodb_local import UnavailableError
from local.dynamodb.engine import EndpointUnusableError, EngineMissingError
from local.processes import AlreadyRunningError, ChildFailedError
from local.progress import counted
from local.settings import LocalSettings, SettingError, read_environment
from local.tokens import KeyPair
from shared.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SAMPLE: Final = Path(__file__).with_name("sample.jsonl")
WRITERS: Final = 8
"""Conversations that are posted at the same time."""
FOR_HANDLERS: Final = {
    "RATE_LIMIT_PER_SECOND": "1000",
    "RATE_LIMIT_BURST": "100000",
    "MAX_CHANNELS_PER_USER": "1000000",  # The reader is a member of all of them.
    "LOG_LEVEL": "WARNING",
}
"""Settings of handlers in the demo's own stack: without rate limits and a log line per request."""
PLACES_SHOWN: Final = 20
"""Most places that are shown for each kind of what is left out."""
THROTTLE: Final = 100_000
"""Requests a second to each route in the demo's own stack, which is to show its speed."""
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
"""Opens a connection to the API, given its function to wait with."""


@dataclass(frozen=True, slots=True)
class Result:
    """What was posted, what was read back, and what differs. Times are in seconds."""

    posted: list[Posted]
    found: list[ReadBack]
    posted_in: float
    read_in: float
    left_out: Losses = field(default_factory=dict)

    @property
    def faults(self) -> Counter[str]:
        """How often each fault was found in all channels."""
        total: Counter[str] = Counter()
        for posted, found in zip(self.posted, self.found, strict=True):
            total.update(compare(posted.sent, found))
        return total

    @property
    def losses(self) -> Losses:
        """What of the source is missing or was changed, by kind."""
        refused = [reason for each in self.posted for reason in each.refused]
        cut = [place for each in self.posted for place in each.cut]
        ours = {"messages that the API does not accept": refused, "names and topics that were cut": cut}
        return self.left_out | {kind: places for kind, places in ours.items() if places}


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0 if everything came back as it was posted, 130 after Ctrl-C, else 1."""
    options = _parse(arguments)
    try:
        conversations = read(options.source)
        print(_contents(options.source, conversations), flush=True)
        with address(options.url, options.state) as connect:
            result = run(conversations, WorkerPool(connect, options.writers))
    except _REASONS_TO_GIVE_UP as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return conclude(result)


def run(conversations: Conversations, pool: WorkerPool[A]) -> Result:
    """Post the conversations, as many at a time as the pool has workers; then read all of them back.

    Raises:
        ApiError: the API returned an unexpected response.
        UnreachableError: it returned none.
    """
    name = secrets.token_hex(4)
    jobs = [(each, f"{name}-{number}") for number, each in enumerate(conversations.all)]
    began = time.perf_counter()
    with counted("posted", conversations.turns, sys.stdout) as step:
        posted = pool.work(lambda api, job: post_conversation(api, *job, step), jobs)
    posted_at = time.perf_counter()
    with counted("channels read back", len(posted), sys.stdout) as step:
        found = pool.work(lambda api, each: read_back(api, each.channel_id, step), posted)
    return Result(posted, found, posted_at - began, time.perf_counter() - posted_at, conversations.left_out)


def conclude(result: Result) -> int:
    """Print the report; return the exit status."""
    print("\n".join(report(result)), flush=True)
    return 1 if result.faults.total() else 0


def report(result: Result) -> Iterator[str]:
    """The result in lines for a person."""
    posted, faults = result.posted, result.faults
    sent = sum(len(each.sent) for each in posted)
    seconds = sorted(second for each in posted for second in each.seconds)
    retries = sum((each.retries for each in posted), Counter[int]())
    yield f"posted     {sent:,} messages in {result.posted_in:.1f} s, {_rate(sent, result.posted_in)}"
    yield f"a post     p50 {_percentile(seconds, 50):.0f} ms, p99 {_percentile(seconds, 99):.0f} ms"
    yield f"conflicts  {sum(each.conflicts for each in posted):,} posts met another write"
    yield f"retries    {_counts(retries)}"
    yield f"voids      {sum(each.voids for each in result.found):,} positions without a message"
    there = sum(len(each.messages) for each in result.found)
    yield f"read back  {there:,} messages in {result.read_in:.1f} s, page by page, by {READER}"
    if retries[HTTPStatus.TOO_MANY_REQUESTS]:
        yield "slowed     by the stack's limits (RATE_LIMIT_*, THROTTLE_RATE): these times do not show its speed"
    yield f"compared   {', '.join(f'{name} {faults[name]:,}' for name in FAULTS)}"
    losses = result.losses
    for kind, places in losses.items():
        yield f"left out   {kind}: {len(places):,}"
        yield from (f"           {place}" for place in places[:PLACES_SHOWN])
        if len(places) > PLACES_SHOWN:
            yield f"           and {len(places) - PLACES_SHOWN:,} more"
    if faults.total():
        yield "Something is wrong."
    elif losses:
        yield f"What was posted is all there, in order. Left out: {', '.join(_short(losses))}."
    else:
        yield "Nothing is lost, duplicated or out of order."


def _short(losses: Losses) -> Iterator[str]:
    return (f"{kind.partition(':')[0]} ({len(places):,})" for kind, places in losses.items())


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
    """The address of the stack that runs on this state directory, if there is one."""
    owner = orphans.read(state / "lock")
    found = owner.get("url")
    return str(found) if found and orphans.still_runs(owner) else None


@contextlib.contextmanager
def _own_stack(state: Path) -> Iterator[str]:
    """A stack with its own ports and state, which is removed at the end, or before the next run after a crash."""
    from local.stack import Stack

    environment = read_environment(ROOT, os.environ)
    engine = LocalSettings.from_env(environment).dynamodb_engine
    settings = LocalSettings(
        port=0, dynamodb_engine=engine, dynamodb_port=0, redis_port=0, upstash_port=0, throttle_rate=THROTTLE
    )
    print("no stack runs here: starting one for the demo", flush=True)
    state.mkdir(parents=True, exist_ok=True)
    clean(state)
    os.environ.update(FOR_HANDLERS)
    with Stack(settings, ROOT, directory=state, log=_only_faults) as stack:
        yield stack.url
    clean(state)


def _only_faults(line: str) -> None:
    """Print what the gateway logs, without its line for each request."""
    if not line[:1].isdigit():
        print(line, file=sys.stderr, flush=True)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.demo.run", description="Post, read back, compare.")
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
    left_out = sum(map(len, conversations.left_out.values()))
    noted = f"; {left_out:,} notes on what is left out follow at the end" if left_out else ""
    return (
        f"{source.name}: {conversations.turns:,} messages in {len(conversations.all):,} conversations{noted}"
    )


def _counts(counter: Counter[int]) -> str:
    return ", ".join(f"{name or 'broken connection'}: {times:,}" for name, times in counter.items()) or "none"


def _rate(count: int, seconds: float) -> str:
    return f"{count / seconds:,.0f} messages/s" if seconds else "at once"


def _percentile(ordered: Sequence[float], percent: int) -> float:
    """The percentile of times in seconds and ascending, in milliseconds."""
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] * 1000


if __name__ == "__main__":
    sys.exit(main())
