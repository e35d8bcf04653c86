"""A day of a chat through the real handlers, with strategies side by side on the same trace.

``python -m bench.cache`` runs the day of 100 users: 70 active, 3 sessions each, 5 to 10 channels each of 30, about 420
lists, 850 pages and 1,000 posts of real text; functions in containers of their own that live 10 minutes after the last
request. Strategies: ``none`` (no cache), ``ttl_del`` (the usual one, ``bench/baseline/ttl_del.py``), ``stale_fallback``
(ours), ``budgie_per_key`` (ours with a Redis key for each value instead of one bundle). The day before is played
first, as caches last a day; ``budgie_first_day`` is that one, with nothing cached yet. DynamoDB's 4 ms and Redis' 2 ms
a call are added up, not slept; the processor's time is real. For 1 % of the day, at its busiest, Redis cannot be
reached.
"""

from __future__ import annotations

import io
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, field, replace
from http import HTTPStatus
from itertools import chain
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI

from bench.baseline.per_key import PerKeyTier
from bench.baseline.ttl_del import PeerServices, fetch_app, list_app, peer_services
from bench.lib.command import finish, parser, progress
from bench.lib.conversations import conversations
from bench.lib.functions import Ask, Reply, event, handler_of
from bench.lib.simulated import Database, MeteredStore, SimUpstash
from bench.lib.timing import Stopwatch, summary
from functions.fetch_messages.handler import app as our_fetch_app
from functions.list_channels.handler import app as our_list_app
from functions.post_message.handler import app as post_app
from operators import prices
from operators.capacity_plan import MEMORY_GB
from shared.bootstrap import Services
from shared.cache.build import Cache, bundle_policies, memory_tiers
from shared.cache.memory import MemoryTier
from shared.cache.metrics import CacheMetrics
from shared.cache.pages import CachedLogReader
from shared.cache.redis import RedisTier
from shared.cache.stale_fallback import StaleFallback
from shared.cache.tier import NoTier, Tier
from shared.domain import keys
from shared.domain.messages import Draft, encode, preview
from shared.domain.model import Entry, Head, Kind, Membership, Role
from shared.domain.plans import DAYS
from shared.observability.meter import HITS, start_meter
from shared.settings import Settings
from shared.storage.log_reader import DirectLogReader
from shared.web.app import current_services

STRATEGIES: Final = ("none", "ttl_del", "budgie", "budgie_per_key")
OUTAGES: Final = ("ttl_del", "budgie")
HIT_RATE: Final = 0.95
MOST_COMMANDS: Final = 200
MOST_BYTES: Final = 7_000_000
GUIDE_USERS: Final = 100
OUTAGE_SHARE: Final = 0.01
SETTINGS: Final = Settings()
DAY_MS: Final = 24 * 3600 * 1000
START_MS: Final = 1_795_392_000_000
HISTORY: Final = 200
"""Messages in each channel before the day begins."""
HOURS: Final = (1, 1, 1, 1, 1, 2, 4, 8, 14, 16, 15, 14, 13, 14, 15, 15, 14, 12, 11, 12, 13, 11, 7, 3)
"""How likely a session begins in each hour."""
LIFE_MS: Final = 10 * 60 * 1000
"""After its last request a container is gone."""


# --- What happens ---


@dataclass(frozen=True)
class Workload:
    """How many, and how often. The defaults are the day of 100 users."""

    users: int = 100
    active: float = 0.7
    sessions: int = 3
    posts_each: float = 1_000 / 210
    """Posts of a session: about 1,000 a day for 100 users."""

    @property
    def channels(self) -> int:
        """30 for 100 users."""
        return max(10, self.users * 3 // 10)


@dataclass(frozen=True)
class Request:
    """One request: ``kind`` is ``list``, ``page`` or ``post``; ``what`` the page's query or the text."""

    at: int
    kind: str
    user: str
    channel: int
    what: str


class Trace:
    """Who is in which channels, and what they do in each of some days."""

    def __init__(self, workload: Workload, seed: int = 1, days: int = 2) -> None:
        self._random = random.Random(seed)
        self._texts = [turn.text for each in conversations() for turn in each]
        self.workload = workload
        self.users = [f"00000000-0000-4000-8000-{number:012d}" for number in range(workload.users)]
        self.channels_of = {
            user: self._random.sample(range(workload.channels), self._random.randint(5, 10))
            for user in self.users
        }
        self.days = [self._requests(number) for number in range(days)]

    def text(self) -> str:
        """A message."""
        return self._random.choice(self._texts)

    def _requests(self, day: int) -> list[Request]:
        active = self._random.sample(self.users, round(self.workload.users * self.workload.active))
        begin = START_MS + day * DAY_MS
        sessions = (self._session(user, begin) for user in active for _ in range(self.workload.sessions))
        return sorted(chain.from_iterable(sessions), key=lambda request: request.at)

    def _session(self, user: str, begin: int) -> Iterator[Request]:
        rng = self._random
        hour = rng.choices(range(24), HOURS)[0]
        at = begin + round((hour + rng.random()) * 3600 * 1000)
        whole, part = divmod(self.workload.posts_each, 1)
        doings = ["page"] * rng.randint(3, 5) + ["post"] * (int(whole) + (rng.random() < part)) + ["list"]
        rng.shuffle(doings)
        channel = rng.choice(self.channels_of[user])
        for kind in ["list", *doings]:
            if kind == "page":
                # One opens a channel, reads, and writes there.
                channel = rng.choice(self.channels_of[user])
            yield Request(at, kind, user, channel, self._what(kind))
            at += round(rng.uniform(2_000, 60_000))

    def _what(self, kind: str) -> str:
        if kind == "post":
            return self.text()
        if kind == "list":
            return ""
        return self._random.choices(["", "anchor=first_unread", "older"], [85, 8, 7])[0]


# --- Lambda ---


@dataclass
class Container:
    """One execution environment of one function."""

    services: Any
    busy_until: float = 0.0


class Function:
    """A function's containers: each serves one request at a time, and lives for a while after its last one.

    Args:
        app: the function's real app.
        needs: the dependency through which it gets its services.
        build: the services of a new container.
    """

    def __init__(self, app: FastAPI, needs: Callable[..., Any], build: Callable[[], Any]) -> None:
        self._handler = handler_of(app, lambda: self._current.services, needs)
        self._build = build
        self._containers: list[Container] = []
        self._current = Container(None)
        self._random = random.Random(1)
        self.cold_starts = 0

    def container(self, at: float) -> Container:
        """One that is free at this time (ms), drawn at random, as AWS does not say which; else a new one."""
        self._containers = [each for each in self._containers if at - each.busy_until < LIFE_MS]
        free = [each for each in self._containers if each.busy_until <= at]
        if free:
            return self._random.choice(free)
        self.cold_starts += 1
        self._containers.append(Container(self._build()))
        return self._containers[-1]

    def end_containers(self) -> None:
        """A deployment, or a quiet night."""
        self._containers, self.cold_starts = [], 0

    def invoke(self, container: Container, ask: Ask) -> tuple[Reply, float]:
        """The answer to a request, and the processor's milliseconds that it took."""
        self._current, called = container, event(ask)
        started = time.perf_counter()
        result = self._handler(called, None)
        cpu_ms = (time.perf_counter() - started) * 1000
        return Reply.of(result), cpu_ms


class Lines(io.TextIOBase):
    """Where log lines go: counts their bytes."""

    bytes = 0

    def write(self, text: str) -> int:
        """Counts."""
        self.bytes += len(text.encode())
        return len(text)


# --- The day ---


@dataclass
class Clock:
    """Virtual time."""

    ms: int = START_MS

    def now(self) -> int:
        """Milliseconds since 1970."""
        return self.ms

    def sleep(self, seconds: float) -> None:
        """Moves on."""
        self.ms += round(seconds * 1000)


@dataclass
class Cost:
    """Sums of a day, of one kind of request."""

    requests: int = 0
    read_units: float = 0.0
    write_units: float = 0.0
    ms: float = 0.0
    bytes_out: int = 0
    log_bytes: int = 0

    def each(self) -> dict[str, float]:
        """Of one request on average; and how many they were."""
        count = max(self.requests, 1)
        sums = {name: round(total / count, 3) for name, total in asdict(self).items()}
        return sums | {"requests": self.requests}


@dataclass
class Tally:
    """What a strategy did in the day."""

    stale_pages: int = 0
    stale_lists: int = 0
    refused: int = 0
    reads_ms: list[float] = field(default_factory=list)
    kinds: dict[str, Cost] = field(
        default_factory=lambda: {kind: Cost() for kind in ("list", "page", "post")}
    )

    def total(self, name: str) -> float:
        """Of all kinds but polls, which no day has."""
        return float(sum(getattr(cost, name) for kind, cost in self.kinds.items() if kind != "poll"))


class Day:
    """One strategy's day.

    Args:
        trace: what happens.
        strategy: one of ``STRATEGIES``.
        outage: whether Redis is out of reach for 1 % of the day.
        lines: where standard output goes.
    """

    def __init__(self, trace: Trace, strategy: str, *, outage: bool, lines: Lines | None = None) -> None:
        self.trace, self.strategy = trace, strategy
        self.clock, self.stopwatch, self.tally = Clock(), Stopwatch(), Tally()
        self.store, self._lines = MeteredStore(self.stopwatch), lines or Lines()
        busy = [START_MS + day * DAY_MS + round(DAY_MS * 9.5 / 24) for day in range(len(trace.days))]
        length = round(DAY_MS * OUTAGE_SHARE)
        self.database = Database([(at, at + length) for at in busy] if outage else [])
        self.channels = [keys.derived_channel_id("bench", str(i)) for i in range(trace.workload.channels)]
        self.metrics: list[CacheMetrics] = []
        self._peers: list[PeerServices] = []
        self._tiers: list[RedisTier | PerKeyTier] = []
        self._members: dict[int, list[str]] = {}
        self._fill()
        peer = strategy == "ttl_del"
        needs = peer_services if peer else current_services
        build: Callable[[str], Callable[[], Any]] = self._peer if peer else self._ours
        self._functions = {
            "list": Function(list_app if peer else our_list_app, needs, build("lists")),
            "page": Function(fetch_app if peer else our_fetch_app, needs, build("pages")),
            "post": Function(post_app, current_services, self._plain),
        }

    def run(self) -> list[dict[str, Any]]:
        """What each day came to, the first with nothing cached yet."""
        return [self._day(requests) for requests in self.trace.days]

    def _day(self, requests: Sequence[Request]) -> dict[str, Any]:
        """One day; every day begins with new containers."""
        self.tally, self.metrics[:], self._peers[:], self._tiers[:] = Tally(), [], [], []
        self.database.reset_counts()
        for function in self._functions.values():
            function.end_containers()
        posters = self._peer("posts")()
        for request in requests:
            self.clock.ms = max(self.clock.ms, request.at)
            self._step(request, posters)
        return self._result(len(requests))

    def _step(self, request: Request, posters: PeerServices) -> None:
        meter = start_meter()
        reply, container, took = self.served(request.kind, self._ask(request), request.at)
        self.tally.refused += reply.status >= HTTPStatus.BAD_REQUEST
        if request.kind == "post" and self.strategy == "ttl_del" and reply.status == HTTPStatus.CREATED:
            self.store.members_queried()
            posters.posted(self.channels[request.channel], self._members[request.channel])
            took += self.stopwatch.lap()
        self.account(request.kind, request.at, took, reply, meter.read_units, meter.write_units)
        if request.kind != "post":
            self.tally.reads_ms.append(took)
            self._check(request, reply)
        container.busy_until = request.at + took

    def served(self, kind: str, ask: Ask, at: int) -> tuple[Reply, Container, float]:
        """The answer, the container that gave it, and the milliseconds that it took."""
        function = self._functions[kind]
        container = function.container(at)
        self._lines.bytes = 0
        reply, cpu_ms = function.invoke(container, ask)
        took = self.stopwatch.lap() + cpu_ms
        for tier in self._tiers:
            tier.settle()
        return reply, container, took

    def account(
        self, kind: str, at: int, took: float, reply: Reply, read: float = 0, write: float = 0
    ) -> None:
        """Adds a request up. Its units are in its own ``Server-Timing``; ``read`` and ``write`` come on top."""
        read, write = read + reply.units["read"], write + reply.units["write"]
        cost = self.tally.kinds.setdefault(kind, Cost())
        cost.requests += 1
        cost.read_units += read
        cost.write_units += write
        cost.ms += took
        cost.bytes_out += len(reply.body)
        cost.log_bytes += self._lines.bytes
        self.note(at, read, write)

    def note(self, at: int, read: float, write: float) -> None:
        """Units of a request and when it was, for whoever asks for more than sums."""

    def _ask(self, request: Request) -> Ask:
        if request.kind == "list":
            return Ask("GET", "/v1/channels", request.user)
        channel = self.channels[request.channel]
        path = f"/v1/channels/{channel}/messages"
        if request.kind == "post":
            return Ask("POST", path, request.user, {"text": request.what})
        query = request.what
        if query == "older":
            query = f"before={max(2, self.store.heads_now()[channel].seq - 50)}"
        return Ask("GET", f"{path}?{query}" if query else path, request.user)

    def _check(self, request: Request, reply: Reply) -> None:
        """Whether the answer has everything that was acknowledged before it was asked for."""
        truth, body = self.store.heads_now(), reply.json
        if request.kind == "list":
            behind = [each for each in body["channels"] if each["last_seq"] < truth[each["id"]].seq]
            self.tally.stale_lists += bool(behind)
        elif request.what == "":
            self.tally.stale_pages += body["last_seq"] < truth[body["channel_id"]].seq

    def _fill(self) -> None:
        """Channels with members and a history, before the day begins."""
        for number, channel in enumerate(self.channels):
            self._members[number] = [u for u, its in self.trace.channels_of.items() if number in its]
            at, entries = START_MS - HISTORY * 1000, {}
            members = self._members[number] or self.trace.users[:1]
            for seq in range(1, HISTORY + 1):
                sender = members[seq % len(members)]
                body = encode(channel, seq, sender, at + seq, Draft(self.trace.text()))
                entries[seq] = Entry(seq, seq, at + seq, body)
            head = Head(channel, Kind.PRIVATE, f"channel-{number}", "", members[0], at, members=len(members))
            joined = [Membership(each, channel, Role.MEMBER, at) for each in members]
            self.store.create_channel(head, joined)
            last = preview(HISTORY, members[0], "the last of the history", at + HISTORY)
            self.store.fill(channel, entries, replace(head, seq=HISTORY, messages=HISTORY, last=last))

    def _plain(self) -> Services:
        nothing = MemoryTier(1, 1, self.clock.now)
        return self._services(NoTier(), NoTier(), (nothing, nothing), CacheMetrics())

    def _ours(self, kind: str) -> Callable[[], Services]:
        return self._plain if self.strategy == "none" else self._budgie(kind)

    def _budgie(self, kind: str) -> Callable[[], Services]:
        def build() -> Services:
            upstash = SimUpstash(self.database, self.clock.now, self.stopwatch)
            policy = bundle_policies(SETTINGS)[kind == "lists"]
            reason = {"lists": "channels", "pages": "pages"}[kind]
            tier: RedisTier | PerKeyTier = PerKeyTier(upstash, reason)
            if self.strategy == "budgie":
                tier = RedisTier(upstash, kind[0], reason, policy, upstash.metrics, self.clock.now)
            self._tiers.append(tier)
            self.metrics.append(upstash.metrics)
            return self._services(tier, tier, memory_tiers(SETTINGS, self.clock.now), upstash.metrics)

        return build

    def _services(
        self, pages: Tier, lists: Tier, memories: tuple[MemoryTier, MemoryTier], metrics: CacheMetrics
    ) -> Services:
        now, sleep = self.clock.now, self.clock.sleep
        memory, stale_memory = memories
        stale_fallback = StaleFallback(
            stale_memory, SETTINGS.cache_ttl_messages, SETTINGS.cache_ttl_channels, now
        )
        reader = CachedLogReader(DirectLogReader(self.store, sleep, now), memory, pages, metrics)
        cache = Cache(memory, pages, lists, stale_fallback, metrics, None)
        settings = Settings(rate_per_second=1000, rate_burst=1000)
        return Services.of(settings, self.store, reader, cache, now, sleep)

    def _peer(self, _kind: str) -> Callable[[], PeerServices]:
        def build() -> PeerServices:
            redis = SimUpstash(self.database, self.clock.now, self.stopwatch)
            reader = DirectLogReader(self.store, self.clock.sleep, self.clock.now)
            peer = PeerServices(self.store, reader, redis, self.clock.now)
            self._peers.append(peer)
            return peer

        return build

    def _hit_rates(self) -> dict[str, float]:
        hits, reads = Counter[str](), Counter[str]()
        for kind in ("pages", "channels"):
            for metrics in self.metrics:
                outcomes = metrics.snapshot()[kind]
                hits[kind] += sum(outcomes.get(each, 0) for each in HITS)
                reads[kind] += sum(outcomes.values())
            for peer in self._peers:
                hits[kind] += peer.hits[f"{kind}.hit"]
                reads[kind] += peer.hits[f"{kind}.hit"] + peer.hits[f"{kind}.miss"]
        rates = {kind: hits[kind] / max(reads[kind], 1) for kind in ("pages", "channels")}
        return {"all": hits.total() / max(reads.total(), 1)} | rates

    def _result(self, requests: int) -> dict[str, Any]:
        tally = self.tally
        return {
            "requests": requests,
            "cold_starts": sum(each.cold_starts for each in self._functions.values()),
            "redis_commands": self.database.commands,
            "redis_by_reason": dict(sorted(self.database.reasons.items())),
            "hit_rate": {kind: round(rate, 4) for kind, rate in self._hit_rates().items()},
            "stale_pages": tally.stale_pages,
            "stale_lists": tally.stale_lists,
            "refused": tally.refused,
            "read_units": round(tally.total("read_units")),
            "write_units": round(tally.total("write_units")),
            "read_ms": summary(tally.reads_ms),
            "stored_bytes": self.database.most_bytes,
            "redis_bytes_moved": self.database.moved,
            "dollars_a_month": _dollars(tally, self.database.commands),
        }


def _dollars(tally: Tally, commands: int) -> dict[str, float]:
    """What 30 such days cost, by service, beyond any free tier: egress and logs apart."""
    requests, seconds = tally.total("requests"), tally.total("ms") / 1000
    day = {
        "dynamodb": tally.total("read_units") * prices.READ_UNIT
        + tally.total("write_units") * prices.WRITE_UNIT,
        "redis": commands * prices.REDIS_COMMAND,
        "lambda": requests * prices.LAMBDA_REQUEST + seconds * MEMORY_GB * prices.LAMBDA_GB_SECOND,
        "api_gateway": requests * prices.API_REQUEST,
    }
    month = {service: round(cost * DAYS, 4) for service, cost in day.items()}
    return month | {"all": round(sum(month.values()), 4)}


def compare(workload: Workload, seed: int, strategies: Sequence[str] = STRATEGIES) -> dict[str, Any]:
    """Strategies on one trace, with Redis well and, for few users, with an outage."""
    trace, results = Trace(workload, seed), dict[str, Any]()
    runs = [(strategy, outage) for strategy in strategies for outage in (False, True)]
    runs = [run for run in runs if not run[1] or (run[0] in OUTAGES and workload.users <= GUIDE_USERS)]
    for strategy, outage in progress(runs, f"strategies for {workload.users} users"):
        name = strategy + ("_outage" if outage else "")
        first, results[name] = Day(trace, strategy, outage=outage).run()
        if strategy == "budgie" and not outage:
            results["budgie_first_day"] = first
    return {"users": workload.users, "strategies": results}


def targets(results: dict[str, Any]) -> dict[str, bool]:
    """What the day of 100 users must show."""
    ours, peer = results["budgie"], results["ttl_del"]
    both = (ours, results["budgie_outage"])
    return {
        "budgie: no stale read, with and without an outage": not any(
            each["stale_pages"] or each["stale_lists"] for each in both
        ),
        "budgie: hit rate of at least 95 %": ours["hit_rate"]["all"] >= HIT_RATE,
        "budgie: at most 200 Redis commands": ours["redis_commands"] <= MOST_COMMANDS,
        "budgie: less than half of TTL + DEL's commands": ours["redis_commands"] < peer["redis_commands"] / 2,
        "budgie: at most 7 MB stored": ours["stored_bytes"] <= MOST_BYTES,
    }


def main() -> int:
    """The day of 100 users, or of as many as are asked for."""
    arguments = parser(main.__doc__ or "")
    arguments.add_argument("--users", type=int, nargs="+", default=[100], help="for example 100 1000 10000")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--strategies", nargs="+", choices=STRATEGIES, default=STRATEGIES)
    arguments.add_argument(
        "--measured", type=Path, metavar="FILE", help="write the capacity planner's figures"
    )
    options = arguments.parse_args()
    wanted = [8] if options.tiny else sorted(options.users)
    posts = 1 if options.tiny else Workload.posts_each
    with redirect_stdout(Lines()):
        days = [
            compare(Workload(users, posts_each=posts), options.seed, options.strategies) for users in wanted
        ]
    whole = wanted[0] == GUIDE_USERS and {"ttl_del", "budgie"} <= set(options.strategies)
    return finish(options, {"days": days}, targets(days[0]["strategies"]) if whole else {})


if __name__ == "__main__":
    sys.exit(main())
