"""One channel, many writers: ``python -m bench.contention [--json] [--check] [--tiny]``.

1, 4, 16 and 64 writers, each a process and a user of its own as each would be a container on Lambda, post to one
channel in a closed loop, every post with an idempotency key, through the function's handler from API Gateway's event
to its response. Each round is paired with one in which the same processes, on the same connections, make the same
DynamoDB calls through the store alone: the engine's own limit. With and without readers that
poll. After each round the channel's log is compared with what was acknowledged.

Rate limits are out of the way, and a call may take 10 s before it is given up: everything shares this machine's CPUs.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from bench.lib.client import RESERVATIONS, TRANSACT, MeasuredClient, Tally
from bench.lib.command import finish, parser, progress
from bench.lib.dynamodb import client_of, engine, store_on
from bench.lib.functions import Ask, Handlers
from bench.lib.operations import SETTINGS, fill
from bench.lib.timing import summary
from local.dynamodb.engine import DYNAMODB_LOCAL, MINISTACK, Engine
from shared.aws.protocol import AwsClient
from shared.bootstrap import Services, compose
from shared.domain import keys
from shared.domain.clock import now_ms
from shared.domain.messages import Draft, encode, preview, request_hash
from shared.domain.model import IDEMPOTENCY_SECONDS, Entry, IdempotencyRecord
from shared.storage.memory import MemoryStore
from shared.storage.protocol import Commit, Committed, Reservation, Store
from shared.use_cases.post_message import post_message

BUDGIE, ENGINE = SIDES = ("budgie", "engine")
WRITE, READ, OWNER = "write", "read", "owner"
WRITERS: Final = (1, 4, 16, 64)
LIMIT: Final = 100
"""Messages of a poll."""
MANY_WRITERS: Final = 16
READERS: Final = 4
WARM_UPS: Final = 5
"""Windows are so many times as long as the warm-up before them."""
READ_TIMEOUT_MS: Final = 10_000
"""For Budgie and for the store alone: 64 writers on two CPUs wait long for their turn, and a call that is given up and
repeated would be counted twice."""
RETRY_SECONDS: Final = 1.0
"""``Retry-After`` of our 503."""
MAX_TRIES: Final = 20
"""Attempts of a client at a post that gets 503."""
PAUSE_SECONDS: Final = 0.1
"""Between a reader's polls: much shorter than a client's, so that a few readers do what many would."""
FILLER: Final = "so that the message is as long as a common one, which is about two hundred characters. " * 2
CLOSING: Final = "the last one"
MAX_SPREAD, MAX_UNITS, MIN_FAIRNESS, MAX_VOIDS, MIN_OF_LIMIT = 5.0, 7.2, 0.5, 0.001, 0.85


# --- Writers and readers, each a process ---


@dataclass(frozen=True, slots=True)
class Setup:
    """Numbers of writers and readers."""

    writers: int
    readers: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """One process's work in a round. Times are ``time.monotonic()``, which all processes of a machine share.

    Attributes:
        side: ``budgie``: the function's handler; ``engine``: the same DynamoDB calls and nothing else.
        does: ``write`` or ``read``.
        counts_from: What is posted before is part of the log, but not of the figures.
        seed: Makes idempotency keys unique.
    """

    side: str
    does: str
    channel: str
    user: str
    begins: float
    counts_from: float
    ends: float
    seed: str


@dataclass(slots=True)
class Report:
    """What came of an assignment.

    Attributes:
        milliseconds: Of each post that was acknowledged within the window, including the client's retries.
        acknowledged: All acknowledged texts, by position.
        unknown: Texts that the writer gave up on; they may have been posted.
        refused: Number of 503 responses.
    """

    milliseconds: list[float] = field(default_factory=list)
    acknowledged: dict[int, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    refused: int = 0
    tally: Tally = field(default_factory=Tally)


class Caller:
    """Calls the functions on an assignment's channel as its user, and counts 503 responses."""

    def __init__(self, services: Services, given: Assignment, report: Report) -> None:
        self._handlers, self._user, self._report = Handlers(services), given.user, report
        self._path = f"/v1/channels/{given.channel}/messages"

    def call(self, method: str, query: str = "", body: object = None, key: str = "") -> Any:  # noqa: ANN401 - JSON
        """The response's JSON; None for 503, after which a client waits and tries again."""
        headers = {"idempotency-key": key} if key else {}
        reply = self._handlers.reply(Ask(method, self._path + query, self._user, body, headers))
        if reply.status == HTTPStatus.SERVICE_UNAVAILABLE:
            self._report.refused += 1
            return None
        assert reply.status < HTTPStatus.BAD_REQUEST, (method, reply.status, reply.body)
        return reply.json

    def post(self, text: str, key: str) -> int | None:
        """The position; None if the outcome is unknown."""
        for _ in range(MAX_TRIES):
            if response := self.call("POST", body={"text": text}, key=key):
                return int(response["seq"])
            time.sleep(RETRY_SECONDS)
        return None

    def poll(self, after: int) -> int:
        """Reads what comes after a position; returns the last position that was read."""
        page = self.call("GET", f"?after={after}&limit={LIMIT}")
        return int(page["last_seq"]) if page else after


class StoreCalls:
    """The store's calls of a post and of a poll, for one user who posts nowhere else."""

    def __init__(self, store: Store, given: Assignment) -> None:
        self._store, self._channel, self._user, self._tat = store, given.channel, given.user, 0

    def post(self, text: str, key: str) -> int:
        """Reads the channel state, reserves a position, and commits."""
        now = now_ms()
        self._store.read_channel_state(self._channel, self._user, key)
        reserved = self._store.reserve(self._channel, 1, preview(1, self._user, text, now))
        assert isinstance(reserved, Reservation)
        body = encode(self._channel, reserved.seq, self._user, now, Draft(text))
        entry = Entry(reserved.seq, reserved.messages, now, body)
        seen, self._tat = self._tat, max(self._tat + 1, now)
        expires = now // 1000 + IDEMPOTENCY_SECONDS
        record = IdempotencyRecord(key, request_hash(text), entry.seq, 1, expires)
        commit = Commit(
            self._channel,
            self._user,
            [entry],
            tat_seen=seen,
            tat=self._tat,
            move_read=True,
            idempotency_record=record,
            now=now,
        )
        assert isinstance(self._store.commit(commit), Committed)
        return entry.seq

    def poll(self, after: int) -> int:
        """Reads what comes after a position; returns the last position before the first hole."""
        self._store.read_channel_state(self._channel, self._user)
        seqs = {each.seq for each in self._store.entries(self._channel, after + 1, after + LIMIT)}
        return next(seq for seq in range(after + 1, after + LIMIT + 2) if seq not in seqs) - 1


@cache
def _client(url: str) -> AwsClient:
    """This process's client, kept between rounds as a warm container keeps its connections."""
    return client_of(url, READ_TIMEOUT_MS)


def prepare() -> None:
    """Loads what a container loads before its first request."""
    Handlers(compose(SETTINGS, MemoryStore()))


def work(url: str, given: Assignment, clock: Callable[[], float] = time.monotonic) -> Report:
    """Does an assignment in this process, from its beginning to its end."""
    report = Report()
    client = MeasuredClient(_client(url))
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        caller: Caller | StoreCalls = StoreCalls(store_on(client), given)
        if given.side == BUDGIE:
            caller = Caller(compose(SETTINGS, store_on(client)), given, report)
        time.sleep(max(0.0, given.begins - clock()))
        if given.does == WRITE:
            write(caller.post, given, report, clock)
        else:
            after = 0
            while clock() < given.ends:
                after = caller.poll(after)
                time.sleep(PAUSE_SECONDS)
    report.tally = client.take()
    return report


def write(
    post: Callable[[str, str], int | None], given: Assignment, report: Report, clock: Callable[[], float]
) -> None:
    """Posts until the end; the last post is completed."""
    number = 0
    while (began := clock()) < given.ends:
        text = f"{given.user} {number}: {FILLER}"
        seq = post(text, f"{given.seed}-{number}")
        ended = clock()
        if seq is None:
            report.unknown.append(text)
        else:
            report.acknowledged[seq] = text
            if given.counts_from <= ended < given.ends:
                report.milliseconds.append((ended - began) * 1000)
        number += 1


# --- The log ---


@dataclass(frozen=True, slots=True)
class Verdict:
    """A channel's messages and voids after a round, and everything that is wrong with its log."""

    messages: int
    voids: int
    faults: list[str]


def judge(services: Services, channel: str, reports: Sequence[Report]) -> Verdict:
    """Reads a channel's log, and compares it with what was acknowledged.

    Posts once more before, so that no hole is left at the end.
    """
    last = post_message(services, OWNER, channel, [Draft(CLOSING)], None).last_seq
    handlers, log, after = Handlers(services), dict[int, str](), 0
    while after < last:
        page = handlers(
            Ask("GET", f"/v1/channels/{channel}/messages?after={after}&limit={LIMIT}", OWNER)
        ).json
        log |= {message["seq"]: message["text"] for message in page["messages"]}
        after = page["last_seq"]
    acknowledged = [each for report in reports for each in report.acknowledged.items()]
    expected = {text for _, text in acknowledged} | {text for each in reports for text in each.unknown}
    faults = [
        f"position {seq} does not have the message that was acknowledged there"
        for seq, text in acknowledged
        if log.get(seq) != text
    ]
    for text, count in Counter(log.values()).items():
        if count > 1 or text not in expected | {CLOSING}:
            faults.append(f"found {count} times: {text}")
    return Verdict(len(log) - 1, last - len(log), faults)


# --- Results ---


@dataclass
class Rounds:
    """All rounds of a setup on one side: the writers' reports and the channel's verdict of each."""

    setup: Setup
    side: str
    window_seconds: float
    found: list[tuple[Sequence[Report], Verdict]] = field(default_factory=list)

    def add(self, reports: Sequence[Report], verdict: Verdict) -> None:
        """Adds a round; the writers' reports come first."""
        self.found.append((reports[: self.setup.writers], verdict))

    @property
    def rates(self) -> list[float]:
        """Posts per second of each round."""
        return [
            sum(len(each.milliseconds) for each in reports) / self.window_seconds for reports, _ in self.found
        ]

    def result(self) -> dict[str, Any]:
        """The figures of the result."""
        reports = [each for round_, _ in self.found for each in round_]
        by_writer = [
            sum(len(round_[i].milliseconds) for round_, _ in self.found) for i in range(self.setup.writers)
        ]
        posts, acknowledged = sum(by_writer), max(1, sum(len(each.acknowledged) for each in reports))
        latency = summary([ms for each in reports for ms in each.milliseconds] or [0.0])
        calls = sum((each.tally.calls for each in reports), Counter[str]())
        return {
            "side": self.side,
            **asdict(self.setup),
            "posts": posts,
            "posts_per_second": round(statistics.mean(self.rates), 1),
            "posts_per_second_by_round": [round(rate, 1) for rate in self.rates],
            "p50_ms": latency["p50"],
            "p99_ms": latency["p99"],
            "p99_of_p50": round(latency["p99"] / latency["p50"], 2) if latency["p50"] else None,
            "slowest_writer_of_mean": round(min(by_writer) * len(by_writer) / posts, 2) if posts else 0.0,
            "reservations_per_post": round(calls[RESERVATIONS] / acknowledged, 3),
            "commits_per_post": round(calls[TRANSACT] / acknowledged, 3),
            "write_units_per_post": round(sum(each.tally.write for each in reports) / acknowledged, 3),
            "responses_503": sum(each.refused for each in reports),
            "given_up": sum(len(each.unknown) for each in reports),
            "voids_of_posts": round(sum(verdict.voids for _, verdict in self.found) / acknowledged, 5),
            "log_faults": [fault for _, verdict in self.found for fault in verdict.faults][:5],
        }


class Bench:
    """All setups, in interleaved rounds."""

    def __init__(self, started: Engine, pool: ProcessPoolExecutor, given: argparse.Namespace) -> None:
        self._engine, self._pool, self._given = started, pool, given
        self._client = client_of(started.url, READ_TIMEOUT_MS)

    def run(self) -> list[Rounds]:
        """Each round runs every setup, Budgie and the store alone one after the other, in changing order."""
        given = self._given
        setups = [Setup(writers, readers) for readers in (0, READERS) for writers in given.writers]
        found = {(setup, side): Rounds(setup, side, given.seconds) for setup in setups for side in SIDES}
        # Java compiles what runs often, and a process loads much at its first post: neither is to be measured.
        for setup in [] if given.tiny else setups:
            for side in SIDES:
                self._round(Rounds(setup, side, given.seconds), -1)
        turns = [(turn, i) for turn in range(given.rounds) for i in range(len(setups))]
        for turn, i in progress(turns, "rounds of setups"):
            for side in SIDES[:: (-1) ** (turn + i)]:
                self._round(found[setups[i], side], turn)
        self._client.close()
        return list(found.values())

    def _round(self, rounds: Rounds, turn: int) -> None:
        setup, given = rounds.setup, self._given
        users, channel = [f"writer-{i}" for i in range(setup.writers)], keys.new_channel_id()
        fill(store_on(self._client), channel, [OWNER, *users], [])
        begins = time.monotonic() + 0.05
        counts_from = begins + given.seconds / WARM_UPS
        roles = [*((WRITE, user) for user in users), *[(READ, OWNER)] * setup.readers]
        times = (begins, counts_from, counts_from + given.seconds)
        assignments = [
            Assignment(rounds.side, does, channel, user, *times, str(turn)) for does, user in roles
        ]
        reports = list(self._pool.map(partial(work, self._engine.url), assignments))
        fresh = compose(SETTINGS, store_on(self._client))
        rounds.add(reports, judge(fresh, channel, reports))


def summed_up(given: argparse.Namespace, found: Sequence[Rounds]) -> dict[str, Any]:
    """All figures. Budgie's share of the engine's limit is the median of the rounds, each against its pair."""
    rates = {(each.setup, each.side): each.rates for each in found}
    limits = []
    for setup in dict.fromkeys(each.setup for each in found):
        pairs = zip(rates[setup, BUDGIE], rates[setup, ENGINE], strict=True)
        share = round(statistics.median(ours / limit if limit else 0.0 for ours, limit in pairs), 3)
        limits.append({"writers": setup.writers, "readers": setup.readers, "of_limit": share})
    return {
        "rounds": given.rounds,
        "seconds": given.seconds,
        "cells": [each.result() for each in found],
        "of_limit": limits,
    }


def targets(cells: Sequence[Mapping[str, Any]], limits: Sequence[Mapping[str, Any]]) -> dict[str, bool]:
    """The targets; the last one only where there were many writers."""
    ours = [cell for cell in cells if cell["side"] == BUDGIE]
    alone = {cell["readers"]: cell["posts_per_second"] for cell in ours if cell["writers"] == 1}
    many = [cell for cell in ours if cell["writers"] >= MANY_WRITERS]
    found = {
        f"p99 at most {MAX_SPREAD:g} times the median": all(
            (cell["p99_of_p50"] or 99) <= MAX_SPREAD for cell in ours
        ),
        f"at most {MAX_UNITS} write units a post": all(
            cell["write_units_per_post"] <= MAX_UNITS for cell in ours
        ),
        f"the slowest writer commits at least {MIN_FAIRNESS:g} of the mean": all(
            cell["slowest_writer_of_mean"] >= MIN_FAIRNESS for cell in ours
        ),
        f"voids are at most {MAX_VOIDS:.1%} of the posts": all(
            cell["voids_of_posts"] <= MAX_VOIDS for cell in ours
        ),
        f"at least {MIN_OF_LIMIT:.0%} of the engine's own limit": all(
            each["of_limit"] >= MIN_OF_LIMIT for each in limits
        ),
        "every log has each acknowledged message once, at its position": not any(
            cell["log_faults"] for cell in cells
        ),
        "no post is given up": not any(cell["given_up"] for cell in ours),
    }
    if many:
        found["16 and 64 writers commit at least as many posts a second as 1"] = all(
            cell["posts_per_second"] >= alone[cell["readers"]] for cell in many
        )
    return found


def main(arguments: list[str] | None = None) -> int:
    """Measures contention; with ``--check`` exits with 1 if a target is missed."""
    given = _parse(arguments)
    context, size = multiprocessing.get_context("forkserver"), max(given.writers) + READERS
    context.set_forkserver_preload(["bench.lib.functions", "bench.lib.operations"])
    kind = MINISTACK if given.tiny else DYNAMODB_LOCAL
    with engine(kind) as started, ProcessPoolExecutor(size, context, prepare) as pool:
        list(pool.map(time.sleep, [0.5] * size))  # Starts all processes before the first round.
        found = Bench(started, pool, given).run()
    results = summed_up(given, found)
    return finish(given, results, targets(results["cells"], results["of_limit"]))


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    options = parser("Many writers in one channel, compared with the engine's own limit.")
    options.add_argument("--rounds", type=int, default=5, help="of each setup")
    options.add_argument("--seconds", type=float, default=5.0, help="of a round's window")
    options.add_argument("--writers", type=int, nargs="+", default=WRITERS)
    given = options.parse_args(arguments)
    if given.tiny:
        given.rounds, given.seconds, given.writers = 1, 0.3, [2]
    given.writers = sorted({1, *given.writers})  # All are compared with one writer.
    return given


if __name__ == "__main__":
    sys.exit(main())
