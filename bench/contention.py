"""One channel, many writers: ``python -m bench.contention [--json] [--check] [--tiny]``.

1, 4, 16 and 64 writers, each a process and a user of its own as each would be a container on Lambda, post to one
channel in a closed loop, every post with an idempotency key, through the function's handler from API Gateway's event
to its response. Each round is paired with one in which the same processes, on the same connections, make the same
DynamoDB calls through the store alone: the engine's own limit. With and without readers that
poll. After each round the channel's log is compared with what was acknowledged.

16 and 64 members also react to one message at the same moment, and 4 writers post while 16 members react to one message
all the time, compared with the same writers alone.

Rate limits are out of the way, and a call may take 10 s before it is given up: everything shares this machine's CPUs.
"""

from __future__ import annotations

import argparse
import json
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
from urllib.parse import quote

from bench.lib.client import RESERVATIONS, TRANSACT, MeasuredClient, Tally
from bench.lib.command import finish, parser, progress
from bench.lib.conversations import bodies
from bench.lib.dynamodb import client_of, engine, store_on
from bench.lib.functions import Ask, Handlers
from bench.lib.operations import SETTINGS, fill
from bench.lib.timing import summary
from local.dynamodb.engine import DYNAMODB_LOCAL, MINISTACK, Engine
from shared.aws.protocol import AwsClient
from shared.bootstrap import Services, compose
from shared.domain import keys
from shared.domain.changes import reactions_of
from shared.domain.clock import now_ms
from shared.domain.messages import Draft, encode, preview, request_hash
from shared.domain.model import IDEMPOTENCY_SECONDS, Entry, IdempotencyRecord
from shared.storage.memory import MemoryStore
from shared.storage.protocol import Commit, Committed, Reservation, Store
from shared.use_cases.post_message import post_message

BUDGIE, ENGINE = SIDES = ("budgie", "engine")
WRITE, READ, OWNER = "write", "read", "owner"
REACT, REACT_ONCE = "react", "react once"
EMOJI: Final = "👍"
MEMBERS: Final = (16, 64)
"""Who react to one message at the same moment."""
REACTING, POSTING = 16, 4
"""Members who react all the time, and writers who post meanwhile."""
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
MAX_REACTION_MS: Final = 3_000
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
        does: ``write``, ``read``, ``react`` (a reaction to the first message comes and goes) or ``react once``.
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
        reactions: Milliseconds of each reaction that came or went, including the client's retries.
        lost_reactions: Number of reactions that were given up.
    """

    milliseconds: list[float] = field(default_factory=list)
    acknowledged: dict[int, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    refused: int = 0
    reactions: list[float] = field(default_factory=list)
    lost_reactions: int = 0
    tally: Tally = field(default_factory=Tally)


class Caller:
    """Calls the functions on an assignment's channel as its user, and counts 503 responses."""

    def __init__(self, services: Services, given: Assignment, report: Report) -> None:
        self._handlers, self._user, self._report = Handlers(services), given.user, report
        self._channel = given.channel
        self._path = f"/v1/channels/{given.channel}/messages"

    def call(self, method: str, query: str = "", body: object = None, key: str = "") -> Any:  # noqa: ANN401 - JSON
        """The response's JSON; None for 503, after which a client waits and tries again."""
        headers = {"idempotency-key": key} if key else {}
        reply = self._handlers.reply(Ask(method, self._path + query, self._user, body, headers))
        if reply.status == HTTPStatus.SERVICE_UNAVAILABLE:
            self._report.refused += 1
            return None
        assert reply.status < HTTPStatus.BAD_REQUEST, (method, reply.status, reply.body)
        return reply.json if reply.body else {}

    def react(self, *, adds: bool = True) -> bool:
        """Adds or removes a reaction to the first message; False if it is given up."""
        message = keys.message_id(self._channel, 1)
        path = f"/{message}/reactions/{quote(EMOJI)}/me"
        for _ in range(MAX_TRIES):
            if self.call("PUT" if adds else "DELETE", path) is not None:
                return True
            time.sleep(RETRY_SECONDS)
        return False

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
        elif given.does in {REACT, REACT_ONCE}:
            assert isinstance(caller, Caller)
            react(caller.react, given, report, clock)
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


def react(change: Callable[..., bool], given: Assignment, report: Report, clock: Callable[[], float]) -> None:
    """Reacts to the first message once, or again and again until the end; the last reaction is completed."""
    adds = True
    while (began := clock()) < given.ends:
        if change(adds=adds):
            report.reactions.append((clock() - began) * 1000)
        else:
            report.lost_reactions += 1
        if given.does == REACT_ONCE:
            return
        adds = not adds


# --- The log ---


@dataclass(frozen=True, slots=True)
class Verdict:
    """A channel's messages and voids after a round, and everything that is wrong with its log."""

    messages: int
    voids: int
    faults: list[str]


def judge(
    services: Services, channel: str, reports: Sequence[Report], known: frozenset[str] = frozenset()
) -> Verdict:
    """Reads a channel's log, and compares it with what was acknowledged and with the ``known`` texts before.

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
    expected = known | {text for _, text in acknowledged}
    expected |= {text for each in reports for text in each.unknown}
    faults = [
        f"position {seq} does not have the message that was acknowledged there"
        for seq, text in acknowledged
        if log.get(seq) != text
    ]
    for text, count in Counter(log.values()).items():
        if count > 1 or text not in expected | {CLOSING}:
            faults.append(f"found {count} times: {text}")
    return Verdict(len(log) - 1, last - len(log), faults)


def judge_reactions(services: Services, channel: str, reports: Sequence[Report], count: int) -> list[str]:
    """What is wrong with the first message and the change log, when so many members' reactions should be there."""
    head = services.store.head(channel)
    [entry] = services.store.entries_at(channel, [1])
    assert head is not None
    shown = sum(each.count for each in reactions_of(entry.body or b""))
    made = sum(len(each.reactions) for each in reports)
    revs = [each.rev for each in services.store.changes(channel, 1, head.rev)]
    wrong = [f"{shown} reactions of {count}"] if shown != count else []
    wrong += [f"{head.rev} changes for {made} reactions"] if head.rev != made else []
    return wrong + (["a hole in the change log"] if revs != list(range(1, head.rev + 1)) else [])


# --- Results ---


@dataclass
class Reacting:
    """All rounds in which members react to one message at the same moment."""

    members: int
    reports: list[Report] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def result(self) -> dict[str, Any]:
        """The figures: attempts are transactions."""
        times = [ms for each in self.reports for ms in each.reactions]
        calls = sum((each.tally.calls for each in self.reports), Counter[str]())
        latency, count = summary(times or [0.0]), max(1, len(times))
        return {
            "members": self.members,
            "reactions": len(times),
            "p50_ms": latency["p50"],
            "p99_ms": latency["p99"],
            "attempts_per_reaction": round(calls[TRANSACT] / count, 2),
            "read_units_per_reaction": round(sum(each.tally.engine_read for each in self.reports) / count, 2),
            "write_units_per_reaction": round(sum(each.tally.write for each in self.reports) / count, 2),
            "responses_503": sum(each.refused for each in self.reports),
            "given_up": sum(each.lost_reactions for each in self.reports),
            "faults": self.faults[:5],
        }


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
        return list(found.values())

    def close(self) -> None:
        """Closes the client."""
        self._client.close()

    def reactions(self) -> list[Reacting]:
        """Rounds in which members react to one message at the same moment, after one round to warm up."""
        found = [Reacting(members) for members in self._given.members]
        for turn, each in progress(
            [(turn, each) for turn in range(-1, self._given.rounds) for each in found], "rounds"
        ):
            users, channel = self._open(each.members)
            begins = time.monotonic() + 0.1
            assignments = [
                Assignment(BUDGIE, REACT_ONCE, channel, user, begins, begins, begins + 60, "")
                for user in users
            ]
            reports = self._assigned(assignments)
            if turn >= 0:
                each.reports += reports
                each.faults += judge_reactions(self._fresh(), channel, reports, each.members)
        return found

    def beside(self) -> dict[str, Any]:
        """Posts while members react to one message all the time, and the same posts alone, in turns."""
        given = self._given
        names = {0: "posts_alone", given.reacting: "posts_beside_reactions"}
        found = {count: Rounds(Setup(POSTING, 0), BUDGIE, given.seconds) for count in names}
        reacting = Reacting(max(names))
        for turn in progress(range(-1, given.rounds), "rounds of posts and reactions"):
            for count, rounds in found.items():
                users, channel = self._open(POSTING + count)
                first = self._fresh().store.entries_at(channel, [1])[0]
                begins = time.monotonic() + 0.1
                counts_from = begins + given.seconds / WARM_UPS
                times = (begins, counts_from, counts_from + given.seconds)
                assignments = [
                    Assignment(BUDGIE, WRITE if i < POSTING else REACT, channel, user, *times, str(turn))
                    for i, user in enumerate(users)
                ]
                reports = self._assigned(assignments)
                if turn < 0:
                    continue
                known = frozenset({json.loads(first.body or b"")["text"]})
                rounds.add(reports, judge(self._fresh(), channel, reports, known))
                reacting.reports += reports[POSTING:]
        return {
            **{name: found[count].result() for count, name in names.items()},
            "reactions_beside_posts": reacting.result(),
        }

    def _open(self, members: int) -> tuple[list[str], str]:
        """A new channel with one message, and so many members beside its owner."""
        users, channel = [f"member-{i}" for i in range(members)], keys.new_channel_id()
        fill(store_on(self._client), channel, [OWNER, *users], bodies(1, channel_id=channel))
        return users, channel

    def _assigned(self, assignments: Sequence[Assignment]) -> list[Report]:
        return list(self._pool.map(partial(work, self._engine.url), assignments))

    def _fresh(self) -> Services:
        return compose(SETTINGS, store_on(self._client))

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
        reports = self._assigned(assignments)
        rounds.add(reports, judge(self._fresh(), channel, reports))


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


def reaction_targets(reactions: Sequence[Mapping[str, Any]], beside: Mapping[str, Any]) -> dict[str, bool]:
    """The targets of reactions, and of posts beside them."""
    posts, meanwhile = beside["posts_beside_reactions"], beside["reactions_beside_posts"]
    return {
        "all reactions to one message succeed, each once": not any(
            each["faults"] or each["given_up"] or each["responses_503"] for each in reactions
        ),
        f"p99 of reactions to one message: at most {MAX_REACTION_MS / 1000:g} s": all(
            each["p99_ms"] <= MAX_REACTION_MS for each in reactions
        ),
        "posts beside reactions, and reactions beside posts: none is given up": not (
            posts["given_up"] or posts["log_faults"] or meanwhile["given_up"]
        ),
    }


def main(arguments: list[str] | None = None) -> int:
    """Measures contention; with ``--check`` exits with 1 if a target is missed."""
    given = _parse(arguments)
    context = multiprocessing.get_context("forkserver")
    size = max(max(given.writers) + READERS, *given.members, POSTING + given.reacting)
    context.set_forkserver_preload(["bench.lib.functions", "bench.lib.operations"])
    kind = MINISTACK if given.tiny else DYNAMODB_LOCAL
    with engine(kind) as started, ProcessPoolExecutor(size, context, prepare) as pool:
        list(pool.map(time.sleep, [0.5] * size))  # Starts all processes before the first round.
        bench = Bench(started, pool, given)
        reacting = [each.result() for each in bench.reactions()]
        beside = bench.beside()
        found = [] if given.only_reactions else bench.run()
        bench.close()
    results: dict[str, Any] = {"reactions": reacting, "beside": beside}
    held = reaction_targets(reacting, beside)
    if found:
        results |= summed_up(given, found)
        held |= targets(results["cells"], results["of_limit"])
    return finish(given, results, held)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    options = parser("Many writers in one channel, compared with the engine's own limit.")
    options.add_argument("--rounds", type=int, default=5, help="of each setup")
    options.add_argument("--seconds", type=float, default=5.0, help="of a round's window")
    options.add_argument("--writers", type=int, nargs="+", default=WRITERS)
    options.add_argument("--only-reactions", action="store_true", help="leave out the writers' rounds")
    given = options.parse_args(arguments)
    given.members, given.reacting = MEMBERS, REACTING
    if given.tiny:
        given.rounds, given.seconds, given.writers = 1, 0.3, [2]
        given.members, given.reacting = [3], 2
    given.writers = sorted({1, *given.writers})  # All are compared with one writer.
    return given


if __name__ == "__main__":
    sys.exit(main())
