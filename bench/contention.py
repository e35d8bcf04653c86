"""One channel, many members at once: ``python -m bench.contention [--json] [--check] [--tiny]``.

1, 4, 16 and 64 writers, each a process and a user of its own as each would be a container on Lambda, post to one
channel in a closed loop, every post with an idempotency key, through the function's handler from API Gateway's event
to its response. Each round is paired with one in which the same processes, on the same connections, make the same
DynamoDB calls through the store alone: the engine's own limit. With and without readers that poll. 16 and 64 members
also react to one message at the same moment, and 4 writers post while 16 members react to one message all the time,
compared with the same writers alone. 16 and 64 writers also reply to one message, compared with as many posts to a
channel in the same round; the page of replies that is read afterwards must make the message's summary right.

After each round the logs are compared with what was acknowledged. Rate limits are out of the way, and a
call may take 10 s before it is given up: everything shares this machine's CPUs.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, redirect_stdout
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from http import HTTPStatus
from itertools import product
from pathlib import Path
from typing import Any, Final

from bench.lib.client import RESERVATIONS, TRANSACT, MeasuredClient, Tally
from bench.lib.command import finish, parser, progress
from bench.lib.conversations import bodies
from bench.lib.dynamodb import client_of, engine, store_on
from bench.lib.functions import Ask, Handlers
from bench.lib.operations import SETTINGS, fill, thumb
from bench.lib.timing import summary
from local.dynamodb.engine import DYNAMODB_LOCAL, MINISTACK
from shared.aws.protocol import AwsClient
from shared.bootstrap import Services, compose
from shared.domain import keys
from shared.domain.changes import reactions_of, summary_of
from shared.domain.clock import now_ms
from shared.domain.messages import Draft, encode, preview, request_hash
from shared.domain.model import IDEMPOTENCY_SECONDS, Entry, IdempotencyRecord
from shared.storage.memory import MemoryStore
from shared.storage.protocol import Commit, Committed, Reservation, Store
from shared.use_cases.post_message import post_message

BUDGIE, ENGINE = SIDES = ("budgie", "engine")
POST, REPLY, REACT, POLL = "post", "reply", "react", "poll"
OWNER: Final = "owner"
LIMIT: Final = 100
"""Messages of a poll."""
MANY_WRITERS: Final = 16
WARM_UPS: Final = 5
"""Windows are so many times as long as the warm-up before them."""
ONCE_SECONDS: Final = 60.0
"""A window that is long enough for everybody to react once."""
READ_TIMEOUT_MS: Final = 10_000
"""For Budgie and for the store alone: 64 writers on two CPUs wait long for their turn, and a call that is given up and
repeated would be counted twice."""
RETRY_SECONDS: Final = 1.0
"""``Retry-After`` of our 503."""
MAX_TRIES: Final = 20
"""Attempts of a client at a request that gets 503."""
PAUSE_SECONDS: Final = 0.1
"""Between a reader's polls: much shorter than a client's, so that a few readers do what many would."""
FILLER: Final = "so that the message is as long as a common one, which is about two hundred characters. " * 2
CLOSING: Final = "the last one"
MAX_REACTION_MS: Final = 3_000
MAX_SPREAD, MAX_UNITS, MIN_FAIRNESS, MAX_VOIDS, MIN_OF_LIMIT = 5.0, 7.2, 0.5, 0.001, 0.85
MIN_OF_POSTS: Final = 0.85


@dataclass(frozen=True, slots=True)
class Setup:
    """Numbers of members by what they do. If they only react, every member does so once, all at the same moment."""

    writers: int = 0
    readers: int = 0
    reacting: int = 0
    replying: int = 0

    @property
    def is_once(self) -> bool:
        """Whether nobody acts until the end of a window."""
        return not (self.writers or self.replying)

    def actions(self) -> list[str]:
        """What each member does."""
        ways = (POST, self.writers), (REPLY, self.replying), (REACT, self.reacting), (POLL, self.readers)
        return [way for way, members in ways for _ in range(members)]


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, and with which setups; those of ``compared`` are paired with the engine.

    Those of ``threads`` are paired with as many writers to a channel, which ``compared`` has.
    """

    rounds: int
    seconds: float
    compared: Sequence[Setup]
    others: Sequence[Setup]
    threads: Sequence[Setup]
    warm_up: bool = True
    """Java compiles what runs often, and a process loads much at its first request: neither is to be measured."""


FULL: Final = Plan(
    rounds=5,
    seconds=5.0,
    compared=[Setup(writers, readers) for readers in (0, 4) for writers in (1, 4, 16, 64)],
    others=[Setup(reacting=16), Setup(reacting=64), Setup(4, reacting=16)],
    threads=[Setup(replying=16), Setup(replying=64)],
)
TINY: Final = Plan(
    rounds=1,
    seconds=0.3,
    compared=[Setup(1), Setup(2, 1), Setup(2)],
    others=[Setup(reacting=3), Setup(2, reacting=2)],
    threads=[Setup(replying=2)],
    warm_up=False,
)


# --- Members, each a process ---


@dataclass(frozen=True, slots=True)
class Assignment:
    """One member's work in a round. Times are ``time.monotonic()``, which all processes of a machine share.

    Attributes:
        side: ``budgie``: the functions' handlers; ``engine``: the same DynamoDB calls and nothing else.
        does: ``post``, ``reply`` (to the first message), ``react`` (a reaction to it comes and goes) or ``poll``.
        counts_from: What is done before is part of the logs, but not of the figures.
        seed: Makes idempotency keys unique.
        once: Whether the member does it once instead of until the end.
    """

    side: str
    does: str
    channel: str
    user: str
    begins: float
    counts_from: float
    ends: float
    seed: str
    once: bool = False


@dataclass(slots=True)
class Report:
    """What came of an assignment.

    Attributes:
        does: The assignment's.
        milliseconds: Of each success within the window, including the client's retries.
        done: Number of all successes.
        given_up: Number of requests whose outcome is unknown.
        refused: Number of 503 responses.
        acknowledged: Texts of posts, by position.
        unknown: Texts of posts that were given up; they may have been posted.
    """

    does: str = POST
    milliseconds: list[float] = field(default_factory=list)
    done: int = 0
    given_up: int = 0
    refused: int = 0
    acknowledged: dict[int, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)


def text_of(user: str, number: int) -> str:
    """A member's post with this number."""
    return f"{user} {number}: {FILLER}"


def log_of(channel: str, does: str) -> str:
    """The log that members who do this write: the channel, or the thread of its first message."""
    return keys.message_id(channel, 1) if does == REPLY else channel


def log_path(log_id: str) -> str:
    """Where a log's messages are read and posted."""
    path = f"/v1/channels/{keys.channel_of_log(log_id)}/messages"
    return f"{path}/{log_id}/replies" if keys.is_thread(log_id) else path


class Caller:
    """Does what an assignment says through the functions. Each action takes its number and returns its success."""

    def __init__(self, services: Services, given: Assignment, report: Report) -> None:
        self._handlers, self._given, self._report = Handlers(services), given, report
        self._path = log_path(given.channel)
        self._posts_to = log_path(log_of(given.channel, given.does))
        self._after = 0
        self.actions = {POST: self.post, REPLY: self.post, REACT: self.react, POLL: self.poll}

    def _served(self, ask: Ask) -> Any:  # noqa: ANN401 - JSON
        """The response's JSON, ``{}`` without a body; None if there were only 503, after each of which it waits."""
        for _ in range(MAX_TRIES):
            reply = self._handlers.reply(ask)
            if reply.status != HTTPStatus.SERVICE_UNAVAILABLE:
                assert reply.status < HTTPStatus.BAD_REQUEST, (ask, reply.status, reply.body)
                return reply.json if reply.body else {}
            self._report.refused += 1
            time.sleep(RETRY_SECONDS)
        return None

    def post(self, number: int) -> bool:
        """Posts a message or a reply with a key."""
        text = text_of(self._given.user, number)
        headers = {"idempotency-key": f"{self._given.seed}-{number}"}
        found = self._served(Ask("POST", self._posts_to, self._given.user, {"text": text}, headers))
        if found is None:
            self._report.unknown.append(text)
            return False
        self._report.acknowledged[found["seq"]] = text
        return True

    def react(self, number: int) -> bool:
        """Adds a reaction to the first message, or removes it at odd numbers."""
        message = f"{self._path}/{keys.message_id(self._given.channel, 1)}"
        return self._served(thumb(message, ("PUT", "DELETE")[number % 2], self._given.user)) is not None

    def poll(self, _number: int) -> bool:
        """Reads what is new, and pauses."""
        target = f"{self._path}?after={self._after}&limit={LIMIT}"
        found = self._served(Ask("GET", target, self._given.user))
        self._after = found["last_seq"] if found else self._after
        time.sleep(PAUSE_SECONDS)
        return found is not None


class StoreCalls:
    """The store's calls of ``Caller``'s posts and polls, for one user who posts nowhere else."""

    def __init__(self, store: Store, given: Assignment, report: Report) -> None:
        self._store, self._given, self._report = store, given, report
        self._tat = self._after = 0
        self.actions = {POST: self.post, POLL: self.poll}

    def post(self, number: int) -> bool:
        """Reads the channel state, reserves a position, and commits."""
        channel, user, now = self._given.channel, self._given.user, now_ms()
        text, key = text_of(user, number), f"{self._given.seed}-{number}"
        self._store.read_channel_state(channel, user, key)
        reserved = self._store.reserve(channel, 1, preview(1, user, text, now))
        assert isinstance(reserved, Reservation)
        body = encode(channel, reserved.seq, user, now, Draft(text))
        entry = Entry(reserved.seq, reserved.messages, now, body)
        seen, self._tat = self._tat, max(self._tat + 1, now)
        expires = now // 1000 + IDEMPOTENCY_SECONDS
        record = IdempotencyRecord(key, request_hash(text), entry.seq, 1, expires)
        commit = Commit(channel, user, [entry], seen, self._tat, True, record, now)  # noqa: FBT003 - moves the read position
        assert isinstance(self._store.commit(commit), Committed)
        self._report.acknowledged[entry.seq] = text
        return True

    def poll(self, _number: int) -> bool:
        """Reads what is new up to the first hole, and pauses."""
        channel, first = self._given.channel, self._after + 1
        self._store.read_channel_state(channel, self._given.user)
        seqs = {each.seq for each in self._store.entries(channel, first, self._after + LIMIT)}
        self._after = next(seq for seq in range(first, first + LIMIT + 1) if seq not in seqs) - 1
        time.sleep(PAUSE_SECONDS)
        return True


@cache
def _client(url: str) -> AwsClient:
    """This process's client, kept between rounds as a warm container keeps its connections."""
    return client_of(url, READ_TIMEOUT_MS)


def prepare() -> None:
    """Loads what a container loads before its first request."""
    Handlers(compose(SETTINGS, MemoryStore()))


def work(url: str, given: Assignment) -> Report:
    """Does an assignment in this process."""
    report, client = Report(given.does), MeasuredClient(_client(url))
    store = store_on(client)
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        ours = given.side == BUDGIE
        member = Caller(compose(SETTINGS, store), given, report) if ours else StoreCalls(store, given, report)
        time.sleep(max(0.0, given.begins - time.monotonic()))
        repeat(member.actions[given.does], given, report)
    report.tally = client.take()
    return report


def repeat(
    act: Callable[[int], bool], given: Assignment, report: Report, clock: Callable[[], float] = time.monotonic
) -> None:
    """Acts until the end, or once; the last action is completed."""
    number = 0
    while (began := clock()) < given.ends:
        is_done, ended = act(number), clock()
        report.done += is_done
        report.given_up += not is_done
        if is_done and given.counts_from <= ended < given.ends:
            report.milliseconds.append((ended - began) * 1000)
        if given.once:
            return
        number += 1


# --- The logs ---


def judge(services: Services, channel: str, reports: Sequence[Report]) -> tuple[int, list[str]]:
    """Compares a channel's logs with what was acknowledged; returns the number of voids, and everything wrong.

    If members replied, compares the thread's log. Posts once more before, so that no hole is left at the end.
    """
    log_id = log_of(channel, next((each.does for each in reports if each.does == REPLY), POST))
    last = post_message(services, OWNER, log_id, [Draft(CLOSING)], None).last_seq
    before = after = 0 if keys.is_thread(log_id) else 1  # messages that ``fill`` wrote
    handlers, log, roots = Handlers(services), dict[int, str](), list[bytes]()
    while after < last:
        page = handlers(Ask("GET", f"{log_path(log_id)}?after={after}&limit={LIMIT}", OWNER)).json
        log |= {message["seq"]: message["text"] for message in page["messages"]}
        after = page["last_seq"]
        roots += [each.body or b"" for each in services.store.entries_at(channel, [1])]
    acknowledged = [each for report in reports for each in report.acknowledged.items()]
    expected = {
        CLOSING,
        *(text for _, text in acknowledged),
        *(text for each in reports for text in each.unknown),
    }
    faults = [
        f"position {seq} does not have the message that was acknowledged there"
        for seq, text in acknowledged
        if log.get(seq) != text
    ]
    counts = Counter(log.values()).items()
    faults += [f"found {count} times: {text}" for text, count in counts if count > 1 or text not in expected]
    if before:
        faults += _wrong_reactions(services.store, channel, reports)
    elif (summary := summary_of(roots[0])) is None or (summary.count, summary.seq) != (len(log), last):
        faults.append(f"{summary} for {len(log)} replies after one read")
    return last - before - len(log), faults


def _wrong_reactions(store: Store, channel: str, reports: Sequence[Report]) -> Iterator[str]:
    """What is wrong with the first message and the change log."""
    head, [first] = store.head(channel), store.entries_at(channel, [1])
    assert head is not None
    made = [each.done for each in reports if each.does == REACT]
    shown, left = sum(each.count for each in reactions_of(first.body or b"")), sum(done % 2 for done in made)
    if shown != left:
        yield f"{shown} reactions of {left}"
    if head.rev != sum(made):
        yield f"{head.rev} changes for {sum(made)} reactions"
    if [each.rev for each in store.changes(channel, 1, head.rev)] != list(range(1, head.rev + 1)):
        yield "a hole in the change log"


# --- Rounds ---


@dataclass
class Cell:
    """All rounds of a setup on one side."""

    setup: Setup
    side: str
    seconds: float
    rounds: list[Sequence[Report]] = field(default_factory=list)
    voids: int = 0
    faults: list[str] = field(default_factory=list)

    def add(self, reports: Sequence[Report], judged: tuple[int, list[str]]) -> None:
        """Adds a round."""
        self.rounds.append(reports)
        self.voids += judged[0]
        self.faults += judged[1]

    def rates(self, does: str = POST) -> list[float]:
        """Successes per second of each round's window."""
        return [
            sum(len(each.milliseconds) for each in reports if each.does == does) / self.seconds
            for reports in self.rounds
        ]

    def figures(self, does: str) -> dict[str, Any]:
        """One kind of action. Calls, units and voids are averages per success; reads are as the engine counts."""
        rounds = [[each for each in reports if each.does == does] for reports in self.rounds]
        reports = [each for some in rounds for each in some]
        by_member = [sum(len(each.milliseconds) for each in some) for some in zip(*rounds, strict=True)]
        count, done = sum(by_member), max(1, sum(each.done for each in reports))
        latency = summary([ms for each in reports for ms in each.milliseconds] or [0.0])
        calls = sum((each.tally.calls for each in reports), Counter[str]())
        shown = {"voids": round(self.voids / done, 5)} if does in {POST, REPLY} else {}
        if not self.setup.is_once:
            shown["per_second"] = round(statistics.mean(self.rates(does)), 1)
        return {
            **asdict(self.setup),
            **shown,
            "count": count,
            "p50_ms": latency["p50"],
            "p99_ms": latency["p99"],
            "slowest_of_mean": round(min(by_member) * len(by_member) / count, 2) if count else 0.0,
            "reservations": round(calls[RESERVATIONS] / done, 3),
            "transactions": round(calls[TRANSACT] / done, 3),
            "read_units": round(sum(each.tally.engine_read for each in reports) / done, 3),
            "write_units": round(sum(each.tally.write for each in reports) / done, 3),
            "responses_503": sum(each.refused for each in reports),
            "given_up": sum(each.given_up for each in reports),
            "faults": self.faults[:5],
        }


def play(cell: Cell, turn: int, url: str, pool: ProcessPoolExecutor, dynamodb: AwsClient) -> None:
    """Plays one round in a new channel with one message, and judges it."""
    actions, channel = cell.setup.actions(), keys.new_channel_id()
    users, once = [f"member-{i}" for i in range(len(actions))], cell.setup.is_once
    fill(store_on(dynamodb), channel, [OWNER, *users], bodies(1, channel_id=channel))
    begins = time.monotonic() + 0.1
    counts_from = begins if once else begins + cell.seconds / WARM_UPS
    times = (begins, counts_from, counts_from + (ONCE_SECONDS if once else cell.seconds))
    assignments = [
        Assignment(cell.side, does, channel, user, *times, str(turn), once)
        for does, user in zip(actions, users, strict=True)
    ]
    reports = list(pool.map(partial(work, url), assignments))
    cell.add(reports, judge(compose(SETTINGS, store_on(dynamodb)), channel, reports))


def run(plan: Plan, url: str, pool: ProcessPoolExecutor) -> list[Cell]:
    """Each round plays every setup, and what it is compared with one after the other, in changing order."""
    groups = [[Cell(setup, side, plan.seconds) for side in SIDES] for setup in plan.compared]
    for group, setup in product(groups, plan.threads):
        if group[0].setup == Setup(setup.replying):
            group.append(Cell(setup, BUDGIE, plan.seconds))
    groups += [[Cell(setup, BUDGIE, plan.seconds)] for setup in plan.others]
    turns = [(turn, i) for turn in range(-plan.warm_up, plan.rounds) for i in range(len(groups))]
    with closing(client_of(url, READ_TIMEOUT_MS)) as dynamodb:
        for turn, i in progress(turns, "rounds of setups"):
            for cell in groups[i][:: 1 - (turn + i) % 2 * 2]:
                counted = cell if turn >= 0 else Cell(cell.setup, cell.side, plan.seconds)
                play(counted, turn, url, pool, dynamodb)
    return [cell for group in groups for cell in group]


# --- Results ---


def summed_up(cells: Sequence[Cell]) -> dict[str, Any]:
    """All figures. A share of what Budgie is compared with is the median of the rounds, each against its pair."""
    ours, engines = ([each for each in cells if each.side == side] for side in SIDES)
    replies = [each for each in ours if each.setup.replying]

    def of_posts(setup: Setup) -> Cell:
        return next(each for each in ours if each.setup == setup)

    return {
        "posts": [each.figures(POST) for each in ours if each.setup.writers],
        "replies": [each.figures(REPLY) for each in replies],
        "reactions": [each.figures(REACT) for each in ours if each.setup.reacting],
        "posts_of_the_engine_alone": [each.figures(POST) for each in engines],
        "of_the_engine": [
            asdict(each.setup) | share(of_posts(each.setup).rates(), each.rates()) for each in engines
        ],
        "replies_of_posts": [
            asdict(each.setup) | share(each.rates(REPLY), of_posts(Setup(each.setup.replying)).rates())
            for each in replies
        ],
    }


def share(rates: Sequence[float], of: Sequence[float]) -> dict[str, float]:
    """The median of the rounds' shares."""
    shares = [rate / most if most else 0.0 for rate, most in zip(rates, of, strict=True)]
    return {"share": round(statistics.median(shares), 3)}


def targets(results: Mapping[str, Any]) -> dict[str, bool]:
    """The targets of posts by writers, of replies, of reactions, and of posts and reactions at once."""
    posts = [each for each in results["posts"] if not each["reacting"]]
    reactions = [each for each in results["reactions"] if not each["writers"]]
    both = [each for each in results["posts"] + results["reactions"] if each["reacting"] and each["writers"]]
    logs, limits = posts + results["posts_of_the_engine_alone"], results["of_the_engine"]
    alone = {each["readers"]: each["per_second"] for each in posts if each["writers"] == 1}
    shown = {
        f"p99 at most {MAX_SPREAD:g} times the median": [
            0 < each["p99_ms"] <= MAX_SPREAD * each["p50_ms"] for each in posts
        ],
        f"at most {MAX_UNITS} write units a post": [each["write_units"] <= MAX_UNITS for each in posts],
        f"the slowest writer commits at least {MIN_FAIRNESS:g} of the mean": [
            each["slowest_of_mean"] >= MIN_FAIRNESS for each in posts
        ],
        f"voids are at most {MAX_VOIDS:.1%} of the posts": [each["voids"] <= MAX_VOIDS for each in posts],
        f"at least {MIN_OF_LIMIT:.0%} of the engine's own limit": [
            each["share"] >= MIN_OF_LIMIT for each in limits
        ],
        "every log has each acknowledged message once, at its position": [
            not each["faults"] for each in logs
        ],
        "no post is given up": [not each["given_up"] for each in posts],
        "16 and 64 writers commit at least as many posts a second as 1": [
            each["per_second"] >= alone[each["readers"]] for each in posts if each["writers"] >= MANY_WRITERS
        ],
        f"replies to one message: at least {MIN_OF_POSTS:.0%} of the posts of as many writers": [
            each["share"] >= MIN_OF_POSTS for each in results["replies_of_posts"]
        ],
        "all replies succeed, each once, and one read makes the summary right": [
            not (each["faults"] or each["given_up"] or each["responses_503"]) for each in results["replies"]
        ],
        "all reactions to one message succeed, each once": [
            not (each["faults"] or each["given_up"] or each["responses_503"]) for each in reactions
        ],
        f"p99 of reactions to one message: at most {MAX_REACTION_MS / 1000:g} s": [
            each["p99_ms"] <= MAX_REACTION_MS for each in reactions
        ],
        "posts beside reactions, and reactions beside posts: none is given up or wrong": [
            not (each["given_up"] or each["faults"]) for each in both
        ],
    }
    return {target: all(held) for target, held in shown.items()}


def main() -> int:
    """Measures contention; with ``--check`` exits with 1 if a target is missed."""
    options = parser("Many members in one channel, compared with the engine's own limit.").parse_args()
    plan, kind = (TINY, MINISTACK) if options.tiny else (FULL, DYNAMODB_LOCAL)
    size = max(len(setup.actions()) for setup in (*plan.compared, *plan.others, *plan.threads))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["bench.lib.functions", "bench.lib.operations"])
    with engine(kind) as started, ProcessPoolExecutor(size, context, prepare) as pool:
        list(pool.map(time.sleep, [0.5] * size))  # Starts all processes before the first round.
        cells = run(plan, started.url, pool)
    results = {"rounds": plan.rounds, "seconds": plan.seconds} | summed_up(cells)
    return finish(options, results, targets(results))


if __name__ == "__main__":
    sys.exit(main())
