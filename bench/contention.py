"""One channel, many writers: ``python -m bench.contention [--json] [--check] [--tiny]``.

1, 4, 16 and 64 writers, each a process and a user of its own as each would be a container on Lambda, post to one
channel in a closed loop, every post with an idempotency key, through the function's handler from API Gateway's event to
its answer. Beside each round goes one in which the same processes, on the same connections, make the same calls without
Budgie (``bench.baseline.raw_calls``): the engine's own limit. With and without readers that poll; with throttling and
with transaction conflicts, which no engine raises by itself, put in at the client. DynamoDB Local runs for the time of
the benchmark on 127.0.0.1. After each round a fresh reader reads the whole log and holds it against what was
acknowledged.

Rate limits are out of the way, and a call may take 10 s before it is given up: all of it shares two processors.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from http import HTTPStatus
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from bench.baseline.raw_calls import LIMIT, RawCalls
from bench.lib.client import TAKES, TRANSACT, FaultRates, MeasuredClient, Tally
from bench.lib.command import finish, parser, progress
from bench.lib.dynamodb import TABLE, client_of, engine, store_on
from bench.lib.functions import Ask, Handlers
from bench.lib.operations import SETTINGS, fill
from bench.lib.timing import summary
from local.dynamodb.dynamodb_local import UnavailableError
from local.dynamodb.engine import DYNAMODB_LOCAL, ENGINES, MINISTACK, Engine
from shared.aws.protocol import AwsClient
from shared.bootstrap import Services, compose
from shared.domain import keys
from shared.domain.messages import Draft
from shared.storage.memory import MemoryStore
from shared.use_cases.fetch_messages import Window, fetch_messages
from shared.use_cases.post_message import post_message

BUDGIE, ENGINE = SIDES = ("budgie", "engine")
WRITE, READ, OWNER = "write", "read", "owner"
FAIR: Final = "fair"
WEATHERS: Final[dict[str, FaultRates]] = {
    FAIR: FaultRates(),
    "throttled": FaultRates(throttled=0.02),
    "conflicts": FaultRates(conflicts=0.1, busy=0.05),
}
WRITERS: Final = (1, 4, 16, 64)
READERS: Final = 4
POSTS_EACH: Final = 8
"""That a writer is to commit within a window, so that writers can be held against each other."""
LONGEST_SECONDS: Final = 20.0
"""Of a window, on however slow a machine."""
READ_TIMEOUT_MS: Final = 10_000
"""For Budgie and for its bare calls: 64 writers on two processors wait long for their turn, and a call that is given
up and sent again would be counted twice."""
RETRY_SECONDS: Final = 1.0
"""What ``Retry-After`` says with each 503 of ours."""
MAX_TRIES: Final = 20
"""Times a client sends a post that is answered 503."""
PAUSE_SECONDS: Final = 0.1
"""Between two polls of a reader: far more often than a client would, so that a few readers meet what many would."""
FILLER: Final = (
    "so that the message has the length of an ordinary one, which is about two hundred characters. " * 2
)
CLOSING: Final = "the last one"
MAX_SPREAD, MAX_UNITS, MIN_FAIRNESS, MAX_VOIDS, MIN_OF_LIMIT = 5.0, 7.2, 0.5, 0.001, 0.85
Message = dict[str, Any]
Page = tuple[int, int, list[Any] | None]
"""First and last position, and the messages if they were parsed."""
Poll = Callable[[int], Page | None]


# --- Writers and readers, each a process ---


@dataclass(frozen=True, slots=True)
class Setup:
    """What a cell of the result is made of; ``weather`` names its faults."""

    writers: int
    readers: int
    weather: str


@dataclass(frozen=True, slots=True)
class Shift:
    """One writer's or reader's work. Times are ``time.monotonic()``, which all processes of a machine share."""

    side: str
    """``budgie``: the function's handler; ``engine``: the same calls and nothing else."""
    does: str
    channel: str
    user: str
    begins: float
    counts_from: float
    """Before this everything warms up and the writers fall out of step; only the log is judged."""
    ends: float
    weather: str
    seed: str


@dataclass(slots=True)
class Report:
    """What came of a shift."""

    milliseconds: list[float] = field(default_factory=list)
    """Of each post that was acknowledged within the window, the client's retries included."""
    acknowledged: dict[int, str] = field(default_factory=dict)
    """All of them: text by position."""
    unknown: list[str] = field(default_factory=list)
    """Texts that the writer gave up on: they may stand or not."""
    refused: int = 0
    """Answers 503."""
    tally: Tally = field(default_factory=Tally)
    read: list[Page] = field(default_factory=list)
    cpu_seconds: float = 0.0


class Caller:
    """Calls the functions on a shift's channel as its user, and counts the answers 503."""

    def __init__(self, services: Services, shift: Shift, report: Report) -> None:
        self._handlers = Handlers(services)
        self._path, self._user, self._report = f"/v1/channels/{shift.channel}/messages", shift.user, report

    def call(self, method: str, query: str = "", body: object = None, key: str = "") -> Any:  # noqa: ANN401 - JSON
        """The answer's JSON; None where it is 503, the one that a client repeats, after ``Retry-After``."""
        headers = {"idempotency-key": key} if key else {}
        reply = self._handlers.reply(Ask(method, self._path + query, self._user, body, headers))
        if reply.status == HTTPStatus.SERVICE_UNAVAILABLE:
            self._report.refused += 1
            return None
        assert reply.status < HTTPStatus.BAD_REQUEST, (method, reply.status, reply.body)
        return reply.json

    def post(self, text: str, key: str) -> int | None:
        """The position; None where nobody knows what came of it."""
        for _ in range(MAX_TRIES):
            if response := self.call("POST", body={"text": text}, key=key):
                return int(response["seq"])
            time.sleep(RETRY_SECONDS)
        return None

    def poll(self, after: int) -> Page | None:
        """What comes after a position: first and last position, messages; None where there was no answer."""
        page = self.call("GET", f"?after={after}&limit={LIMIT}")
        return page and (page["first_seq"], page["last_seq"], page["messages"])


@cache
def _client(url: str) -> AwsClient:
    """This process's, with its connections: kept from shift to shift, as a warm container keeps them."""
    return client_of(url, READ_TIMEOUT_MS)


def prepare() -> None:
    """What a container loads before its first request."""
    Handlers(compose(SETTINGS, MemoryStore()))


def work(url: str, shift: Shift, clock: Callable[[], float] = time.monotonic) -> Report:
    """Works one shift in this process, from its beginning until it ends."""
    report = Report()
    client = MeasuredClient(_client(url), rates=WEATHERS[shift.weather], seed=f"{shift.seed} {shift.user}")
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):  # noqa: PTH123 - where nobody reads log lines
        caller = Caller(compose(SETTINGS, store_on(client)), shift, report)
        raw = RawCalls(client, TABLE, shift.channel, shift.user)
        time.sleep(max(0.0, shift.begins - clock()))
        started = time.process_time()
        if shift.does == WRITE:
            write(caller.post if shift.side == BUDGIE else raw.post, shift, report, clock)
        else:
            bare: Poll = lambda after: (after + 1, raw.poll(after), None)  # noqa: E731 - as long as a def
            read(caller.poll if shift.side == BUDGIE else bare, shift, report)
    report.cpu_seconds = time.process_time() - started
    report.tally = client.take()
    return report


def write(
    post: Callable[[str, str], int | None], shift: Shift, report: Report, clock: Callable[[], float]
) -> None:
    """Posts until the shift ends; a post that was begun is seen through."""
    number = 0
    while (began := clock()) < shift.ends:
        text = f"{shift.user} {number}: {FILLER}"
        seq = post(text, f"{shift.seed}-{number}")
        ended = clock()
        if seq is None:
            report.unknown.append(text)
        else:
            report.acknowledged[seq] = text
            if shift.counts_from <= ended < shift.ends:
                report.milliseconds.append((ended - began) * 1000)
        number += 1


def read(poll: Poll, shift: Shift, report: Report) -> None:
    """Polls until the shift ends."""
    after = 0
    while time.monotonic() < shift.ends:
        page = poll(after)
        if page is not None:
            report.read.append(page)
            after = page[1]
        time.sleep(PAUSE_SECONDS)


# --- The judge of the logs ---


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a channel's log is like after a run."""

    messages: int
    voids: int
    faults: list[str]


def judge(services: Services, channel: str, reports: Sequence[Report]) -> Verdict:
    """Reads a channel as a fresh container would, and says everything that is wrong with its log.

    Posts once more before, so that no hole is left at the end.
    """
    last = post_message(services, OWNER, channel, [Draft(CLOSING)], None).last_seq
    pages = list(_pages(services, channel))
    log = {message["seq"]: message for page in pages for message in page["messages"]}
    return Verdict(
        len(log) - 1, last - len(log), [*_faults(pages, log, last, reports), *_readers(log, reports)]
    )


def _pages(services: Services, channel: str) -> Iterator[Message]:
    """All pages, from the first position to the last."""
    after, more = 0, True
    while more:
        found = fetch_messages(services, OWNER, channel, Window(LIMIT, after=after), frozenset())
        page: Message = json.loads(found.body or b"{}")
        yield page
        more, after = page["has_more_after"], page["last_seq"]


def _faults(
    pages: Sequence[Message], log: Mapping[int, Message], last: int, reports: Sequence[Report]
) -> Iterator[str]:
    """Gaps, wrong order, and what was lost or doubled or posted by nobody."""
    ends = [0, *(page["last_seq"] for page in pages)]
    firsts = [page["first_seq"] for page in pages]
    yield from (
        f"a page begins at {first}" for first, end in zip(firsts, ends, strict=False) if first != end + 1
    )
    if ends[-1] != last:
        yield f"the log ends at {ends[-1]}, not at {last}"
    seqs = [message["seq"] for page in pages for message in page["messages"]]
    yield from (f"{second} comes after {first}" for first, second in pairwise(seqs) if first >= second)
    acknowledged = [each for report in reports for each in report.acknowledged.items()]
    for seq, text in acknowledged:
        if log.get(seq, {}).get("text") != text:
            yield f"position {seq} does not hold what was acknowledged there"
    posted = (
        {text for _, text in acknowledged} | {text for each in reports for text in each.unknown} | {CLOSING}
    )
    for text, count in Counter(message["text"] for message in log.values()).items():
        if count > 1 or text not in posted:
            yield f"a message stands {count} times{'' if text in posted else ', and nobody posted it'}"


def _readers(log: Mapping[int, Message], reports: Sequence[Report]) -> Iterator[str]:
    """A reader's pages are the log as it stands now: nothing was inserted before what it had read."""
    for report in reports:
        after = 0
        for first, end, messages in report.read:
            now = [log[seq] for seq in range(first, end + 1) if seq in log]
            if first != after + 1 or messages not in (None, now):
                yield f"a reader saw something else from {first} to {end}"
            after = end


# --- Cells ---


@dataclass
class Cell:
    """What the rounds of a setup came to on one side, added up."""

    setup: Setup
    side: str
    seconds: float = 0.0
    by_writer: Counter[int] = field(default_factory=Counter)
    milliseconds: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    """Posts a second of each round."""
    counts: Counter[str] = field(default_factory=Counter)
    cpu: dict[str, float] = field(default_factory=lambda: {"writers": 0.0, "engine": 0.0})
    faults: list[str] = field(default_factory=list)
    """What the judge of the logs found."""

    def add(
        self, seconds: float, reports: Sequence[Report], verdict: Verdict, engine_cpu: float = 0.0
    ) -> None:
        """One round's window of so many seconds: the reports of the writers, then those of the readers."""
        writers, readers = reports[: self.setup.writers], reports[self.setup.writers :]
        self.seconds += seconds
        self.rates.append(sum(len(report.milliseconds) for report in writers) / seconds)
        for i, report in enumerate(writers):
            calls = report.tally.calls
            self.by_writer[i] += len(report.milliseconds)
            self.milliseconds += report.milliseconds
            self.counts.update(takes=calls[TAKES], commits=calls[TRANSACT], faults=report.tally.faults)
            self.counts.update(write_units=round(report.tally.write), acknowledged=len(report.acknowledged))
            self.counts.update(refused=report.refused, unknown=len(report.unknown))
            self.cpu["writers"] += report.cpu_seconds
        self.cpu["engine"] += engine_cpu
        self.counts.update(
            holes=len(set().union(*(each.tally.holes for each in readers))), voids=verdict.voids
        )
        self.faults += verdict.faults

    def result(self) -> dict[str, Any]:
        """Its figures."""
        posts, counts = sum(self.by_writer.values()), self.counts
        acknowledged = max(1, counts["acknowledged"])
        latency = summary(self.milliseconds or [0.0])
        fewest = min(self.by_writer[i] for i in range(self.setup.writers))
        each = {name: round(counts[name] / acknowledged, 3) for name in ("takes", "commits", "write_units")}
        return {
            "side": self.side,
            "weather": self.setup.weather,
            "writers": self.setup.writers,
            "readers": self.setup.readers,
            "posts": posts,
            "posts_per_second": round(posts / self.seconds, 1),
            "posts_per_second_by_round": [round(rate, 1) for rate in self.rates],
            "p50_ms": latency["p50"],
            "p99_ms": latency["p99"],
            "p99_of_p50": round(latency["p99"] / latency["p50"], 2) if latency["p50"] else None,
            "slowest_writer_of_mean": round(fewest * self.setup.writers / posts, 2) if posts else 0.0,
            **{f"{name}_per_post": value for name, value in each.items()},
            "writer_cpu_ms_per_post": round(1000 * self.cpu["writers"] / acknowledged, 2),
            "engine_cpu_ms_per_post": round(1000 * self.cpu["engine"] / acknowledged, 2),
            "answers_503": counts["refused"],
            "given_up": counts["unknown"],
            "holes_met": counts["holes"],
            "voids": counts["voids"],
            "voids_of_posts": round(counts["voids"] / acknowledged, 5),
            "faults_injected": counts["faults"],
            "log_faults": self.faults[:5],
        }


# --- All of it ---


class Bench:
    """All cells, in interleaved rounds."""

    def __init__(self, started: Engine, pool: ProcessPoolExecutor, given: argparse.Namespace) -> None:
        self._engine, self._pool, self._given = started, pool, given
        self._client = client_of(started.url, READ_TIMEOUT_MS)
        self._random = random.Random(given.seed)
        self._pace: dict[int, float] = {}
        """Seconds that a post takes among so many writers, as the bare calls showed while all warmed up."""

    def run(self) -> list[Cell]:
        """Each round runs every cell once, Budgie and the bare calls one after the other, in changing order."""
        setups = list(_setups(self._given.writers, self._given.readers))
        cells = {(setup, side): Cell(setup, side) for setup in setups for side in _sides(setup)}
        # Java compiles what it runs often, and a process loads much at its first post: neither is what is measured.
        for setup in [] if self._given.tiny else [each for each in setups if each.weather == FAIR]:
            for side in SIDES:
                cell = Cell(setup, side)
                self._round(cell, -1)
                self._pace[setup.writers] = setup.writers / max(1.0, cell.rates[0])
        turns = [(turn, i) for turn in range(self._given.rounds) for i in range(len(setups))]
        for turn, i in progress(turns, "rounds of cells"):
            if setups[i].weather == FAIR or not turn % 2:
                for side in _sides(setups[i])[:: (-1) ** (turn + i)]:
                    self._round(cells[setups[i], side], turn)
        self._client.close()
        return list(cells.values())

    def _round(self, cell: Cell, turn: int) -> None:
        setup, given, pace = cell.setup, self._given, self._pace.get(cell.setup.writers, 0.0)
        users, channel = [f"writer-{i}" for i in range(setup.writers)], keys.new_channel_id()
        fill(store_on(self._client), channel, [OWNER, *users], [])
        begins = time.monotonic() + 0.05
        counts_from = begins + max(given.warm_up, min(pace, LONGEST_SECONDS / 4))
        seconds = max(given.seconds, min(POSTS_EACH * pace, LONGEST_SECONDS))
        seed = f"{given.seed}-{turn}-{self._random.getrandbits(32):08x}"
        everybody = [*((WRITE, user) for user in users), *[(READ, OWNER)] * setup.readers]
        ends = counts_from + seconds
        shifts = [
            Shift(cell.side, does, channel, user, begins, counts_from, ends, setup.weather, seed)
            for does, user in everybody
        ]
        before = cpu_seconds(self._engine.pid)
        reports = list(self._pool.map(partial(work, self._engine.url), shifts))
        used = cpu_seconds(self._engine.pid) - before
        fresh = compose(SETTINGS, store_on(self._client))
        cell.add(seconds, reports, judge(fresh, channel, reports), used)


def cpu_seconds(pid: int) -> float:
    """The processor's time that a process has used; 0 where the system has no ``/proc``."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _setups(writers: Sequence[int], readers: int) -> Iterator[Setup]:
    """Without and with readers, and with each kind of fault."""
    yield from (Setup(count, 0, FAIR) for count in writers)
    yield from (Setup(count, readers, weather) for weather in WEATHERS for count in writers)


def _sides(setup: Setup) -> tuple[str, ...]:
    """The bare calls stop at the first fault, so they have fair weather only."""
    return SIDES if setup.weather == FAIR else (BUDGIE,)


def summed_up(given: argparse.Namespace, cells: Sequence[Cell]) -> dict[str, Any]:
    """All figures. Budgie's share of the limit is the median of the rounds, each against the one beside it."""
    rates = {(cell.setup, cell.side): cell.rates for cell in cells}
    limits = []
    for setup in dict.fromkeys(cell.setup for cell in cells if cell.side == ENGINE):
        pairs = zip(rates[setup, BUDGIE], rates[setup, ENGINE], strict=True)
        share = round(statistics.median(ours / limit if limit else 0.0 for ours, limit in pairs), 3)
        limits.append({"writers": setup.writers, "readers": setup.readers, "of_limit": share})
    return {
        "rounds": given.rounds,
        "seconds": given.seconds,
        "rates": {name: asdict(each) for name, each in WEATHERS.items()},
        "cells": [cell.result() for cell in cells],
        "of_limit": limits,
    }


def targets(cells: Sequence[dict[str, Any]], limits: Sequence[dict[str, Any]]) -> dict[str, bool]:
    """What was to be shown, and whether it was; nothing of crowds where there were none."""
    ours = [cell for cell in cells if cell["side"] == BUDGIE]
    fair = [cell for cell in ours if cell["weather"] == FAIR]
    alone = {cell["readers"]: cell["posts_per_second"] for cell in fair if cell["writers"] == 1}
    crowds = [cell for cell in fair if cell["writers"] >= 16]  # noqa: PLR2004 - the target's number
    least = {
        f"p99 at most {MAX_SPREAD:g} times the median": lambda cell: (cell["p99_of_p50"] or 99) <= MAX_SPREAD,
        f"at most {MAX_UNITS} write units a post": lambda cell: cell["write_units_per_post"] <= MAX_UNITS,
        f"the slowest writer commits at least {MIN_FAIRNESS:g} of the mean": lambda cell: (
            cell["slowest_writer_of_mean"] >= MIN_FAIRNESS
        ),
        f"voids are at most {MAX_VOIDS:.1%} of the posts": lambda cell: cell["voids_of_posts"] <= MAX_VOIDS,
    }
    found = {f"{target}, without faults": all(map(held, fair)) for target, held in least.items()} | {
        f"at least {MIN_OF_LIMIT:.0%} of the engine's own limit": all(
            each["of_limit"] >= MIN_OF_LIMIT for each in limits
        ),
        "every log is dense and holds each acknowledged message once, in order": not any(
            cell["log_faults"] for cell in cells
        ),
        "no post is given up": not any(cell["given_up"] for cell in ours),
    }
    if crowds:
        found["16 and 64 writers commit at least as many posts a second as 1"] = all(
            cell["posts_per_second"] >= alone[cell["readers"]] for cell in crowds
        )
    return found


def main(arguments: list[str] | None = None) -> int:
    """Runs all of it; with ``--check`` 1 if a target is missed."""
    given = _parse(arguments)
    context, size = multiprocessing.get_context("forkserver"), max(given.writers) + given.readers
    context.set_forkserver_preload(
        ["bench.lib.functions", "bench.lib.operations", "bench.baseline.raw_calls"]
    )
    try:
        with engine(given.engine) as started, ProcessPoolExecutor(size, context, prepare) as pool:
            list(pool.map(time.sleep, [0.5] * size))  # All processes are there before the first round.
            cells = Bench(started, pool, given).run()
    except UnavailableError as error:
        print(error, file=sys.stderr)
        return 1
    results = summed_up(given, cells)
    return finish(given, results, targets(results["cells"], results["of_limit"]))


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    options = parser("Posts to one channel by many writers, against the engine's own limit.")
    options.add_argument("--rounds", type=int, default=5, help="of each cell; half as many with faults")
    options.add_argument("--seconds", type=float, default=3.0, help="of a round's window, at least")
    options.add_argument("--warm-up", type=float, default=1.0, help="seconds before the window, at least")
    options.add_argument("--writers", type=int, nargs="+", default=WRITERS)
    options.add_argument("--readers", type=int, default=READERS)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--engine", choices=ENGINES, help=f"{DYNAMODB_LOCAL}; with --tiny {MINISTACK}")
    given = options.parse_args(arguments)
    if min(given.writers) < 1 or given.rounds < 1 or given.seconds <= 0:
        options.error("writers, rounds and seconds are above 0")
    given.engine = given.engine or (MINISTACK if given.tiny else DYNAMODB_LOCAL)
    if given.tiny:
        given.rounds, given.seconds, given.warm_up, given.writers, given.readers = 1, 0.3, 0.1, [2], 1
    given.writers = sorted({1, *given.writers})  # All are held against one.
    return given


if __name__ == "__main__":
    sys.exit(main())
