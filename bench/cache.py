"""A day of a chat with several caches: ``python -m bench.cache [--json] [--check]``.

The same requests run through the real handlers with each cache. The day of 100 users: 70 active, 3 sessions each, 5 to
10 channels each of 30, about 1,000 posts of real text. Each function runs in containers of its own, which end 10
minutes after their last request. Caches: ``none``, ``ttl_del`` (the common one: a time to live, and ``DEL`` after a
post), ``budgie``. The day before is played first, as caches last a day; ``budgie_first_day`` is that day, which begins
with nothing cached. DynamoDB's 4 ms and Redis' 2 ms per call are added up, not slept; CPU time is real.
"""

from __future__ import annotations

import random
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from itertools import chain
from typing import Any, Final

from bench.baseline.ttl_del import TtlDel
from bench.lib.command import finish, parser, progress
from bench.lib.conversations import bodies, conversations, turns
from bench.lib.functions import Ask, Handlers, Reply
from bench.lib.operations import fill
from bench.lib.simulated import Database, MeteredStore, SimUpstash
from bench.lib.timing import Stopwatch, summary
from operators import prices
from operators.capacity_plan import Workload
from operators.realtime_plan import MEMORY_GB
from shared.bootstrap import Services
from shared.cache.build import Cache, bundle_policies, memory_tiers
from shared.cache.pages import CachedLogReader
from shared.cache.redis import RedisTier
from shared.cache.stale_fallback import StaleFallback
from shared.cache.tier import MemoryTier, NoTier, Tier
from shared.domain import keys
from shared.domain.plans import DAYS
from shared.observability.meter import KINDS, CacheMetrics, start_meter
from shared.settings import Settings
from shared.storage.log_reader import DirectLogReader

NONE, TTL_DEL, BUDGIE = STRATEGIES = ("none", "ttl_del", "budgie")
HIT_RATE: Final = 0.95
MOST_COMMANDS: Final = 200
MOST_BYTES: Final = 7_000_000
GUIDE_USERS: Final = 100
SETTINGS: Final = Settings()
DAY_MS: Final = 24 * 3600 * 1000
START_MS: Final = 1_795_392_000_000
HISTORY: Final = 200
"""Messages in each channel before the first day."""
HOURS: Final = (1, 1, 1, 1, 1, 2, 4, 8, 14, 16, 15, 14, 13, 14, 15, 15, 14, 12, 11, 12, 13, 11, 7, 3)
"""How likely a session begins in each hour."""
LIFE_MS: Final = 10 * 60 * 1000
"""How long a container lives after its last request."""


# --- Requests ---


@dataclass(frozen=True)
class Request:
    """One request: ``kind`` is ``list``, ``page`` or ``post``; ``what`` the page's query or the text."""

    at: int
    kind: str
    user: str
    channel: int
    what: str


class Trace:
    """The channels of each user, and the requests of each day."""

    def __init__(self, workload: Workload, seed: int = 1, days: int = 2) -> None:
        self._random = random.Random(seed)
        self._texts = [turn.text for each in conversations() for turn in each]
        self.workload, self.channels = workload, max(10, workload.users * 3 // 10)
        self.users = [f"00000000-0000-4000-8000-{number:012d}" for number in range(workload.users)]
        self.channels_of = {
            user: self._random.sample(range(self.channels), self._random.randint(5, 10))
            for user in self.users
        }
        self.days = [self._requests(number) for number in range(days)]

    def members(self, channel: int) -> list[str]:
        """The users who are in a channel."""
        return [user for user, channels in self.channels_of.items() if channel in channels]

    def _requests(self, day: int) -> list[Request]:
        active = self._random.sample(self.users, round(self.workload.users * self.workload.active))
        begin = START_MS + day * DAY_MS
        sessions = (
            self._session(user, begin) for user in active for _ in range(round(self.workload.sessions))
        )
        return sorted(chain.from_iterable(sessions), key=lambda request: request.at)

    def _session(self, user: str, begin: int) -> Iterator[Request]:
        rng = self._random
        hour = rng.choices(range(24), HOURS)[0]
        at = begin + round((hour + rng.random()) * 3600 * 1000)
        whole, part = divmod(self.workload.posts, 1)
        kinds = ["page"] * rng.randint(3, 5) + ["post"] * (int(whole) + (rng.random() < part)) + ["list"]
        rng.shuffle(kinds)
        channel = rng.choice(self.channels_of[user])
        for kind in ["list", *kinds]:
            if kind == "page":  # Users open a channel, and post there afterwards.
                channel = rng.choice(self.channels_of[user])
            yield Request(at, kind, user, channel, self._what(kind))
            at += round(rng.uniform(2_000, 60_000))

    def _what(self, kind: str) -> str:
        if kind == "post":
            return self._random.choice(self._texts)
        if kind == "list":
            return ""
        return self._random.choices(["", "anchor=first_unread", "older"], [85, 8, 7])[0]


# --- Lambda ---


@dataclass
class Container:
    """One execution environment of one function."""

    services: Services | TtlDel
    busy_until: float = 0.0


class Function:
    """A function's containers; each serves one request at a time. ``build`` returns the services of a new one."""

    def __init__(self, build: Callable[[], Services | TtlDel]) -> None:
        self._build = build
        self._containers: list[Container] = []
        self._random = random.Random(1)
        self.cold_starts = 0

    def container(self, at: float) -> Container:
        """A random container that is free at this time (ms), as AWS does not say which it uses, or a new one."""
        self._containers = [each for each in self._containers if at - each.busy_until < LIFE_MS]
        free = [each for each in self._containers if each.busy_until <= at]
        if free:
            return self._random.choice(free)
        self.cold_starts += 1
        self._containers.append(Container(self._build()))
        return self._containers[-1]

    def end_containers(self) -> None:
        """Ends all containers, as a deployment does."""
        self._containers, self.cold_starts = [], 0


# --- The day ---


@dataclass
class Clock:
    """Virtual time."""

    ms: int = START_MS

    def now(self) -> int:
        """Milliseconds since 1970."""
        return self.ms

    def sleep(self, seconds: float) -> None:
        """Moves the time on."""
        self.ms += round(seconds * 1000)


@dataclass
class Cost:
    """Sums of one kind of request in a day."""

    requests: int = 0
    read_units: float = 0.0
    write_units: float = 0.0
    ms: float = 0.0
    bytes_out: int = 0
    log_bytes: int = 0

    def each(self) -> dict[str, float]:
        """Averages per request, and the number of requests."""
        count = max(self.requests, 1)
        sums = {name: round(total / count, 3) for name, total in asdict(self).items()}
        return sums | {"requests": self.requests}


@dataclass
class Tally:
    """What a strategy did in a day; ``seconds`` has the units used in each second since the first day began."""

    stale_pages: int = 0
    stale_lists: int = 0
    refused: int = 0
    reads_ms: list[float] = field(default_factory=list)
    kinds: defaultdict[str, Cost] = field(default_factory=lambda: defaultdict(Cost))
    seconds: dict[str, Counter[int]] = field(default_factory=lambda: {"read": Counter(), "write": Counter()})

    def total(self, name: str) -> float:
        """The sum over all kinds."""
        return float(sum(getattr(cost, name) for cost in self.kinds.values()))

    def add(self, kind: str, at: int, reply: Reply, took: float, read: float = 0, write: float = 0) -> None:
        """Adds a request's cost; ``read`` and ``write`` are units in addition to those in its ``Server-Timing``."""
        read, write = read + reply.units["read"], write + reply.units["write"]
        cost, second = self.kinds[kind], (at - START_MS) // 1000
        cost.requests += 1
        cost.read_units += read
        cost.write_units += write
        cost.ms += took
        cost.bytes_out += len(reply.body)
        cost.log_bytes += len(reply.log.encode())
        self.seconds["read"][second] += round(read)
        self.seconds["write"][second] += round(write)


class Day:
    """One strategy's days.

    Args:
        trace: the requests.
        strategy: one of ``STRATEGIES``.
    """

    def __init__(self, trace: Trace, strategy: str) -> None:
        self.trace, self.strategy = trace, strategy
        self.clock, self.stopwatch, self.tally = Clock(), Stopwatch(), Tally()
        self.store, self.database = MeteredStore(self.stopwatch), Database()
        self.channels = [keys.derived_channel_id("bench", str(i)) for i in range(trace.channels)]
        self._metrics = CacheMetrics()
        self._tiers: list[RedisTier] = []
        texts = turns()
        for number, channel in enumerate(self.channels):
            members = trace.members(number) or trace.users[:1]
            fill(self.store, channel, members, bodies(HISTORY, taken=texts, channel_id=channel))
        self._handlers = Handlers(self._uncached())
        self._functions = {
            "list": Function(lambda: self._build("channels")),
            "page": Function(lambda: self._build("pages")),
            "post": Function(self._uncached),
        }

    def run(self) -> list[dict[str, Any]]:
        """Each day's result; the first day begins with nothing cached."""
        return [self._day(requests) for requests in self.trace.days]

    def _day(self, requests: Sequence[Request]) -> dict[str, Any]:
        """One day; every day begins with new containers."""
        self.tally, self._metrics, self._tiers = Tally(), CacheMetrics(), []
        self.database.reset_counts()
        self.stopwatch.lap()
        for function in self._functions.values():
            function.end_containers()
        poster = self._peer()
        for request in requests:
            self.clock.ms = max(self.clock.ms, request.at)
            self._step(request, poster)
        return self._result(len(requests))

    def _step(self, request: Request, poster: TtlDel) -> None:
        meter = start_meter()
        reply, container, took = self.served(request.kind, self._ask(request), request.at)
        self.tally.refused += reply.status >= HTTPStatus.BAD_REQUEST
        if request.kind == "post" and self.strategy == TTL_DEL and reply.status == HTTPStatus.CREATED:
            self.store.members_queried()
            poster.posted(self.channels[request.channel], self.trace.members(request.channel))
            took += self.stopwatch.lap()
        self.tally.add(request.kind, request.at, reply, took, meter.read_units, meter.write_units)
        if request.kind != "post":
            self.tally.reads_ms.append(took)
            self._check(request, reply)
        container.busy_until = request.at + took

    def served(self, kind: str, ask: Ask, at: int) -> tuple[Reply, Container, float]:
        """The response, the container that served it, and the milliseconds that it took."""
        container = self._functions[kind].container(at)
        if isinstance(container.services, TtlDel):
            reply = container.services.serve(ask)
        else:
            self._handlers.services = container.services
            reply = self._handlers.reply(ask)
        took = self.stopwatch.lap() + reply.ms
        for tier in self._tiers:
            tier.settle()
        return reply, container, took

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
        """Counts a response as stale if it lacks a message that was acknowledged before the request."""
        heads, body = self.store.heads_now(), reply.json
        if request.kind == "list":
            self.tally.stale_lists += any(
                each["last_seq"] < heads[each["id"]].seq for each in body["channels"]
            )
        elif request.what == "":
            self.tally.stale_pages += body["last_seq"] < heads[body["channel_id"]].seq

    # --- The services of new containers ---

    def _build(self, kind: str) -> Services | TtlDel:
        """Of a function that reads ``channels`` or ``pages``."""
        if self.strategy == NONE:
            return self._uncached()
        if self.strategy == TTL_DEL:
            return self._peer()
        upstash = self._upstash()
        policy = bundle_policies(SETTINGS)[kind == "channels"]
        tier = RedisTier(
            upstash, {"channels": "l", "pages": "p"}[kind], kind, policy, upstash.metrics, self.clock.now
        )
        self._tiers.append(tier)
        return self._services(tier, memory_tiers(SETTINGS, self.clock.now), self._metrics)

    def _uncached(self) -> Services:
        nothing = MemoryTier(1, 1, self.clock.now)
        return self._services(NoTier(), (nothing, nothing), CacheMetrics())

    def _services(
        self, tier: Tier, memories: tuple[MemoryTier, MemoryTier], metrics: CacheMetrics
    ) -> Services:
        now, sleep = self.clock.now, self.clock.sleep
        memory, stale_memory = memories
        stale_fallback = StaleFallback(
            stale_memory, SETTINGS.cache_ttl_messages, SETTINGS.cache_ttl_channels, now
        )
        reader = CachedLogReader(DirectLogReader(self.store, sleep, now), memory, tier, metrics)
        cache = Cache(memory, tier, tier, stale_fallback, metrics, None)
        settings = Settings(rate_per_second=1000, rate_burst=1000)
        return Services.of(settings, self.store, reader, cache, now, sleep)

    def _peer(self) -> TtlDel:
        return TtlDel(self.store, self._upstash(), self.clock.now)

    def _upstash(self) -> SimUpstash:
        return SimUpstash(self.database, self._metrics, self.clock.now, self.stopwatch)

    # --- Results ---

    def _result(self, requests: int) -> dict[str, Any]:
        tally = self.tally
        return {
            "requests": requests,
            "cold_starts": sum(each.cold_starts for each in self._functions.values()),
            "redis_commands": self.database.reasons.total(),
            "redis_by_reason": dict(sorted(self.database.reasons.items())),
            "hit_rate": {
                "all": self._metrics.hit_rate() or 0.0,
                **{kind: self._metrics.hit_rate(kind) or 0.0 for kind in KINDS},
            },
            "stale_pages": tally.stale_pages,
            "stale_lists": tally.stale_lists,
            "refused": tally.refused,
            "read_units": round(tally.total("read_units")),
            "write_units": round(tally.total("write_units")),
            "read_ms": summary(tally.reads_ms),
            "stored_bytes": self.database.most_bytes,
            "redis_bytes_moved": self.database.moved,
            "dollars_a_month": _dollars(tally, self.database.reasons.total()),
        }


def _dollars(tally: Tally, commands: int) -> dict[str, float]:
    """The cost of 30 such days, by service, without free tiers, egress and logs."""
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


def compare(workload: Workload) -> dict[str, Any]:
    """All strategies on one trace."""
    trace, results = Trace(workload), dict[str, Any]()
    for strategy in progress(STRATEGIES, f"strategies for {workload.users} users"):
        first, results[strategy] = Day(trace, strategy).run()
        if strategy == BUDGIE:
            results["budgie_first_day"] = first
    return {"users": workload.users, "strategies": results}


def targets(results: dict[str, Any]) -> dict[str, bool]:
    """The targets for the day of 100 users."""
    ours, peer = results[BUDGIE], results[TTL_DEL]
    return {
        "budgie: no stale read": not (ours["stale_pages"] or ours["stale_lists"]),
        "budgie: hit rate of at least 95 %": ours["hit_rate"]["all"] >= HIT_RATE,
        "budgie: at most 200 Redis commands": ours["redis_commands"] <= MOST_COMMANDS,
        "budgie: less than half of TTL + DEL's commands": ours["redis_commands"] < peer["redis_commands"] / 2,
        "budgie: at most 7 MB stored": ours["stored_bytes"] <= MOST_BYTES,
    }


def main() -> int:
    """Plays the day of 100 users, or of other numbers; with ``--check`` exits with 1 if a target is missed."""
    arguments = parser(main.__doc__ or "")
    arguments.add_argument("--users", type=int, nargs="+", default=[100], help="for example 100 1000 10000")
    options = arguments.parse_args()
    numbers = [8] if options.tiny else sorted(options.users)
    posts = 1 if options.tiny else Workload().posts
    days = [compare(Workload(users, posts=posts)) for users in numbers]
    is_guide = numbers[0] == GUIDE_USERS
    return finish(options, {"days": days}, targets(days[0]["strategies"]) if is_guide else {})


if __name__ == "__main__":
    sys.exit(main())
