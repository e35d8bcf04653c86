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
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from local import leftovers
from local.__main__ import ROOT, STATE, clean
from local.client import Client, UnreachableError
from local.conversations import Conversations, SourceError, read
from local.crowd import Crowd
from local.dynamodb import EngineMissingError
from local.dynamodb_local import UnavailableError
from local.processes import AlreadyRunningError, ChildFailedError
from local.progress import Progress
from local.report import Result, lines
from local.retelling import ApiError, Told, compare, read_back, tell
from local.settings import LocalSettings, SettingError, read_environment
from local.tokens import KeyPair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from local.retelling import Api

SAMPLE: Final = Path(__file__).with_name("sample.jsonl")
WRITERS: Final = 8
"""Conversations that are told at the same time."""
WITHOUT_LIMITS: Final = {
    "RATE_LIMIT_PER_SECOND": "1000",
    "RATE_LIMIT_BURST": "100000",
    "LOG_LEVEL": "WARNING",
}
"""How handlers run in a stack of the demo's own: nobody waits, and nobody reads a log line a request."""
_REASONS_TO_GIVE_UP: Final = (
    AlreadyRunningError,
    ApiError,
    ChildFailedError,
    EngineMissingError,
    SettingError,
    SourceError,
    UnavailableError,
    UnreachableError,
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where the API answers, and what proves to it who somebody is."""

    url: str
    token_for: Callable[[str], str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0 if everything came back as it was posted, 130 after Ctrl-C, else 1."""
    options = _parse(arguments)
    try:
        conversations = read(options.source)
        print(f"{options.source.name}: {len(conversations.all):,} conversations, {conversations.turns:,} messages")
        with address(options.url, STATE) as api:
            result = run(conversations, partial(_connect, api), options.writers)
    except _REASONS_TO_GIVE_UP as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print("\n".join(lines(result)))
    return 0 if result.is_right else 1


def run(
    conversations: Conversations,
    connect: Callable[[Callable[[float], None]], contextlib.AbstractContextManager[Api]],
    writers: int = WRITERS,
) -> Result:
    """Tell the conversations, `writers` at the same time, then read all of them back.

    Args:
        conversations: what to tell.
        connect: makes a connection, given what it waits with.
        writers: how many connections work at the same time.

    Raises:
        ApiError: the API did not do what it was asked.
        UnreachableError: it gave no answer.
    """
    name = secrets.token_hex(4)
    crowd = Crowd(connect, writers)
    jobs = [(f"{name}-{number}", each) for number, each in enumerate(conversations.all)]
    with Progress("posting", conversations.turns, sys.stdout) as posting:
        began = time.perf_counter()
        told = crowd.work(lambda api, job: tell(api, job[1], job[0], posting.step), jobs)
        posted_in = time.perf_counter() - began
    with Progress("reading", len(told), sys.stdout) as reading:
        began = time.perf_counter()
        checked = crowd.work(lambda api, each: _check(api, each, reading.step), told)
        read_in = time.perf_counter() - began
    return Result(told, checked, posted_in, read_in, conversations.left_out)


def _check(api: Api, told: Told, on_channel: Callable[[], None]) -> ...:
    found = read_back(api, told.channel_id)
    on_channel()
    return found, compare(told.sent, found)
