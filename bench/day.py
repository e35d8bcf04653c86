"""A day of a chat through the real handlers, with strategies side by side on the same trace.

``python -m bench.day`` runs the day of 100 users: 70 active, 3 sessions each, 5 to 10 channels each of 30, about 420
lists, 850 pages and 1,000 posts of real text; functions in containers of their own that live 10 minutes after the last
request. Strategies: ``none`` (no cache), ``ttl_del`` (the usual one, ``bench/ttl_del.py``), ``vouched`` (ours),
``vouched_per_key`` (ours with a Redis key for each value instead of one bundle). The day before is played first, as
caches last a day; ``vouched_first_day`` is that one, with nothing cached yet. DynamoDB's 4 ms and Redis' 2 ms a call
are added up, not slept; the processor's time is real. For 1 % of the day, at its busiest, Redis cannot be reached.
"""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Final

from bench import prices
from bench.fleet import Answer, Function, event
from bench.metered import MeteredStore, Stopwatch
from bench.per_key import PerKeyTier
from bench.report import finish, parser, summary, table
from bench.sim_redis import Database, SimUpstash
from bench.trace import DAY_MS, HISTORY, START_MS, Request, Trace, Workload
from bench.ttl_del import PeerServices, fetch_app, list_app, peer_services
from functions.fetch_messages.handler import app as our_fetch_app
from functions.list_channels.handler import app as our_list_app
from functions.post_message.handler import app as post_app
from shared import keys
from shared.cache.build import Cache, bundle_policies, memory_tiers
from shared.cache.encoded import CachedLogReader
from shared.cache.interface import NoTier, Tier
from shared.cache.memory import MemoryTier
from shared.cache.metrics import HITS, CacheMetrics
from shared.cache.redis import RedisTier
from shared.cache.vouched import Vouched
from shared.log_reader import DirectLogReader
from shared.messages import Draft, encode, preview
from shared.meter import start_meter
from shared.model import Entry, Head, Kind, Membership, Role
from shared.services import Services
from shared.settings import Settings
from shared.web.app import current_services

STRATEGIES: Final = ("none", "ttl_del", "vouched", "vouched_per_key")
OUTAGES: Final = ("ttl_del", "vouched")
KINDS: Final = ("pages", "lists")
HIT_RATE: Final = 0.95
MOST_COMMANDS: Final = 200
MOST_BYTES: Final = 7_000_000
GUIDE_USERS: Final = 100
OUTAGE_SHARE: Final = 0.01
MEMORY_GB: Final = 0.5
DAYS: Final = 30
SETTINGS: Final = Settings()


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
class Tally:
    """What a strategy did in the day."""

    stale_pages: int = 0
    stale_lists: int = 0
    refused: int = 0
    reads_ms: list[float] = field(default_factory=list)
    billed_ms: float = 0.0
    read_units: float = 0.0
    write_units: float = 0.0


class Day:
    """One strategy's day.

    Args:
        trace: what happens.
        strategy: one of ``STRATEGIES``.
        outage: whether Redis is out of reach for 1 % of the day.
    """

    def __init__(self, trace: Trace, strategy: str, *, outage: bool) -> None:
        self.trace, self.strategy = trace, strategy
        self.clock, self.stopwatch, self.tally = Clock(), Stopwatch(), Tally()
        self.store = MeteredStore(self.stopwatch)
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
        function = self._functions[request.kind]
        container = function.container(request.at)
        made = self._event(request)
        meter = start_meter()
        answer = function.invoke(container, made)
        self._count(answer)
        if request.kind == "post" and self.strategy == "ttl_del" and answer.status == HTTPStatus.CREATED:
            self.store.members_queried()
            posters.posted(self.channels[request.channel], self._members[request.channel])
        took = self.stopwatch.lap() + answer.cpu_ms
        for tier in self._tiers:
            tier.settle()
        self.tally.billed_ms += took
        if request.kind != "post":
            self.tally.reads_ms.append(took)
            self._check(request, answer)
        self.tally.read_units += meter.read_units
        self.tally.write_units += meter.write_units
        container.busy_until = request.at + took

    def _event(self, request: Request) -> dict[str, Any]:
        if request.kind == "list":
            return event("GET", "/v1/channels", request.user)
        channel = self.channels[request.channel]
        path = f"/v1/channels/{channel}/messages"
        if request.kind == "post":
            return event("POST", path, request.user, body={"text": request.what})
        query = request.what
        if query == "older":
            head = self.store.heads_now()[channel]
            query = f"before={max(2, head.seq - 50)}"
        return event("GET", path, request.user, query)

    def _count(self, answer: Answer) -> None:
        """Units of a request are in its own ``Server-Timing``, as a client sees them."""
        units = dict(part.split("=") for part in _timing(answer.headers).split() if "=" in part)
        self.tally.read_units += float(units["read"])
        self.tally.write_units += float(units["write"])
        self.tally.refused += answer.status >= HTTPStatus.BAD_REQUEST

    def _check(self, request: Request, answer: Answer) -> None:
        """Whether the answer has everything that was acknowledged before it was asked for."""
        truth = self.store.heads_now()
        if request.kind == "list":
            behind = [each for each in answer.body["channels"] if each["last_seq"] < truth[each["id"]].seq]
            self.tally.stale_lists += bool(behind)
        elif request.what == "":
            self.tally.stale_pages += answer.body["last_seq"] < truth[answer.body["channel_id"]].seq

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
        return self._plain if self.strategy == "none" else self._vouched(kind)

    def _vouched(self, kind: str) -> Callable[[], Services]:
        def build() -> Services:
            upstash = SimUpstash(self.database, self.clock.now, self.stopwatch)
            policy = bundle_policies(SETTINGS)[kind == "lists"]
            reason = {"lists": "channels", "pages": "pages"}[kind]
            tier: RedisTier | PerKeyTier = PerKeyTier(upstash, reason)
            if self.strategy == "vouched":
                tier = RedisTier(upstash, kind[0], reason, policy, upstash.metrics, self.clock.now)
            self._tiers.append(tier)
            self.metrics.append(upstash.metrics)
            return self._services(tier, tier, memory_tiers(SETTINGS, self.clock.now), upstash.metrics)

        return build

    def _services(
        self, pages: Tier, lists: Tier, memories: tuple[MemoryTier, MemoryTier], metrics: CacheMetrics
    ) -> Services:
        now, sleep = self.clock.now, self.clock.sleep
        memory, vouched_memory = memories
        vouched = Vouched(vouched_memory, SETTINGS.cache_ttl_messages, SETTINGS.cache_ttl_channels, now)
        reader = CachedLogReader(DirectLogReader(self.store, sleep, now), memory, pages, metrics)
        cache = Cache(memory, pages, lists, vouched, metrics, None)
        settings = Settings(rate_per_second=1000, rate_burst=1000)
        return Services(settings, self.store, reader, cache, now, sleep)

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
            "read_units": round(tally.read_units),
            "write_units": round(tally.write_units),
            "read_ms": summary(tally.reads_ms),
            "stored_bytes": self.database.most_bytes,
            "dollars_a_month": _dollars(tally, self.database.commands, requests),
        }


def _timing(headers: dict[str, str]) -> str:
    return headers["server-timing"].partition('dynamodb;desc="')[2].partition('"')[0]


def _dollars(tally: Tally, commands: int, requests: int) -> dict[str, float]:
    """What 30 such days cost, by service, beyond any free tier: egress and logs apart."""
    seconds = tally.billed_ms / 1000
    day = {
        "dynamodb": tally.read_units * prices.READ_UNIT + tally.write_units * prices.WRITE_UNIT,
        "redis": commands * prices.REDIS_COMMAND,
        "lambda": requests * prices.LAMBDA_REQUEST + seconds * MEMORY_GB * prices.LAMBDA_GB_SECOND,
        "api_gateway": requests * prices.API_REQUEST,
    }
    month = {service: round(cost * DAYS, 4) for service, cost in day.items()}
    return month | {"all": round(sum(month.values()), 4)}


def compare(workload: Workload, seed: int, strategies: Sequence[str] = STRATEGIES) -> dict[str, Any]:
    """Strategies on one trace, with Redis well and, for few users, with an outage."""
    trace = Trace(workload, seed)
    results: dict[str, Any] = {"users": workload.users}
    for strategy in strategies:
        for outage in (False, True):
            if outage and (strategy not in OUTAGES or workload.users > GUIDE_USERS):
                continue
            started = time.monotonic()
            name = strategy + ("_outage" if outage else "")
            first, results[name] = Day(trace, strategy, outage=outage).run()
            if strategy == "vouched" and not outage:
                results["vouched_first_day"] = first
            seconds = time.monotonic() - started
            found = {each: results[name][each] for each in ("redis_commands", "hit_rate", "stale_pages")}
            print(f"{workload.users} users, {name}: {found} in {seconds:.0f} s", file=sys.stderr, flush=True)
    return results


def targets(results: dict[str, Any]) -> dict[str, bool]:
    """What the day of 100 users must show."""
    ours, peer = results["vouched"], results["ttl_del"]
    stale = sum(results[f"vouched{each}"][f"stale_{kind}"] for each in ("", "_outage") for kind in KINDS)
    return {
        "vouched: no stale read, with and without an outage": stale == 0,
        "vouched: hit rate of at least 95 %": ours["hit_rate"]["all"] >= HIT_RATE,
        "vouched: at most 200 Redis commands": ours["redis_commands"] <= MOST_COMMANDS,
        "vouched: less than half of TTL + DEL's commands": (
            ours["redis_commands"] < peer["redis_commands"] / 2
        ),
        "vouched: at most 7 MB stored": ours["stored_bytes"] <= MOST_BYTES,
    }


def text(results: dict[str, Any]) -> str:
    """A table for a person."""
    names = [name for name in results if name != "users"]
    rows = [
        ["Redis commands", *(results[name]["redis_commands"] for name in names)],
        *(
            [f"hit rate {kind}", *(f"{results[name]['hit_rate'][kind]:.1%}" for name in names)]
            for kind in ("all", "pages", "channels")
        ),
        *(
            [each.replace("_", " "), *(results[name][each] for name in names)]
            for each in (
                "stale_pages",
                "stale_lists",
                "read_units",
                "write_units",
                "stored_bytes",
                "cold_starts",
            )
        ),
        *(
            [f"read {each} ms", *(results[name]["read_ms"][each] for name in names)]
            for each in ("p50", "p99")
        ),
        *(
            [f"$ a month, {each}", *(results[name]["dollars_a_month"][each] for name in names)]
            for each in ("dynamodb", "redis", "lambda", "api_gateway", "all")
        ),
    ]
    return table([f"{results['users']} users", *names], rows)


def main() -> int:
    """The day of 100 users, or of as many as are asked for."""
    arguments = parser(main.__doc__ or "")
    arguments.add_argument("--users", type=int, nargs="+", default=[100], help="for example 100 1000 10000")
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--strategies", nargs="+", choices=STRATEGIES, default=STRATEGIES)
    options = arguments.parse_args()
    logging.disable(logging.CRITICAL)
    wanted = [20] if options.tiny else options.users
    days = [
        compare(
            Workload(users, posts_each=1 if options.tiny else Workload.posts_each),
            options.seed,
            options.strategies,
        )
        for users in wanted
    ]
    whole = wanted[0] == GUIDE_USERS and {"ttl_del", "vouched"} <= set(options.strategies)
    shown = targets(days[0]) if whole else {}
    return finish(options, {"days": days}, shown, "\n\n".join(map(text, days)))


if __name__ == "__main__":
    sys.exit(main())
