"""The arithmetic of the capacity planner: a workload's requests, units, bytes, Redis commands, and dollars a month.

Beyond what was measured, requests, units and bytes grow in proportion and every page and list is read uncached: an
upper bound. Redis commands and cold starts follow containers, not requests, and continue their last growth.
``Report.bounds`` has the best and the worst case.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from math import ceil, log
from pathlib import Path
from typing import Any, Final

from operators import prices, units
from operators.realtime_plan import MEMORY_GB, Push, push
from shared.cache.redis import BundlePolicy
from shared.domain.model import Entry
from shared.domain.plans import DAYS, GB, GUIDE, PLANS, Usage
from shared.storage import items

BURST_SECONDS: Final = 300
"""How long DynamoDB keeps the unused capacity of a provisioned table."""
GUIDE_COMMANDS: Final = 5
GUIDE_BYTES: Final = 10 * 2_000 + 50 * 1_000
"""Of a user: 10 channels of 2 KB and 50 messages of 1 KB."""
MOST_STORED: Final = 2 * BundlePolicy().max_bytes * 4 / 3
"""Bytes in Redis: one bundle of pages and one of lists, in base64 and assuming that compression saves nothing."""
ITEM_OVERHEAD: Final = 100
"""Bytes that DynamoDB stores in addition to each item."""
TRACE_MEMBERSHIPS: Final = 7.5
"""Channels of a user in ``bench.cache``: 5 to 10."""
TRACE_SESSIONS: Final = 0.7 * 3
"""Sessions per day of a user in ``bench.cache``."""
BUSY_MINUTES: Final = 8 * 60
"""Of a day, in which all sessions are."""
MOST_WATCHERS: Final = 20.0
BILLINGS: Final = ("on-demand", "always-free")
"""Values of the template's ``TableBilling``, its default first."""
MEASURED: Final = Path(__file__).with_name("measured.json")
Scale = Mapping[str, Any]
Figure = Callable[[Scale], float]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Workload:
    """How many users, and how active. The defaults are the day of ``bench.cache``.

    Attributes:
        active: Share of the users who are active on a day.
        sessions: Per active user and day.
        lists: Requests for the list of channels, per session.
        pages: Requests for a page of messages, per session.
        posts: Messages, per session.
        memberships: Channels of a user.
        message_bytes: Of a message's JSON; None for what was measured on real text.
        poll_seconds: Interval of polls in an open session; None if news is pushed, or not awaited.
        pushes: Whether news is pushed to open sessions: the template's ``Realtime``.
        session_minutes: How long a session that polls or is connected is open.
        watchers: Connections that watch a post's channel, if news is pushed; None for all that are open at a time, at
            most ``MOST_WATCHERS``.
        months_kept: For how many months messages are stored.
        table_billing: The template's parameter ``TableBilling``, by default on demand.
    """

    users: int = 100
    active: float = 0.7
    sessions: float = 3
    lists: float = 2
    pages: float = 4
    posts: float = 1_000 / 210
    memberships: float = TRACE_MEMBERSHIPS
    message_bytes: float | None = None
    poll_seconds: float | None = None
    pushes: bool = False
    session_minutes: float = 10
    watchers: float | None = None
    months_kept: int = 12
    table_billing: str = BILLINGS[0]

    @property
    def sessions_a_day(self) -> float:
        """Of all users."""
        return self.users * self.active * self.sessions

    @property
    def watching(self) -> float:
        """Connections that watch a post's channel."""
        at_a_time = self.sessions_a_day * self.session_minutes / BUSY_MINUTES
        return self.watchers or min(max(at_a_time, 1.0), MOST_WATCHERS)

    def requests_a_day(self) -> dict[str, float]:
        """By kind."""
        polls = self.session_minutes * 60 / self.poll_seconds if self.poll_seconds else 0.0
        each = {"list": self.lists, "page": self.pages, "post": self.posts, "poll": polls}
        return {kind: count * self.sessions_a_day for kind, count in each.items()}


class Measured:
    """What ``bench.measure`` measured, interpolated between its numbers of users by their logarithm."""

    def __init__(self, found: Mapping[str, Any]) -> None:
        self.found = found
        self.scales: list[Scale] = found["scales"]
        self.uncached: Scale = found["uncached"]
        self.cold_start_ms: float = found["cold_start_ms"]
        self.last: int = self.scales[-1]["users"]
        self.message_bytes: float = self.scales[0]["message_bytes"]

    def grows(self, users: float, figure: Figure) -> float:
        """A figure of a day: interpolated; below what was measured in proportion, beyond it with the last growth."""
        points: list[Point] = [(scale["users"], max(figure(scale), 1e-9)) for scale in self.scales]
        (first, least), (last, most) = points[0], points[-1]
        if users <= first:
            return least * users / first
        if users >= last:
            return float(most * (users / last) ** _growth(points))
        (left, low), (right, high) = _around(points, users)
        share = log(users / left) / log(right / left)
        return float(low * (high / low) ** share)

    def busiest(self, users: float, figure: Figure) -> float:
        """As `grows`, but in proportion beyond what was measured: an upper bound, as peaks even out."""
        return (
            self.grows(users, figure) if users <= self.last else figure(self.scales[-1]) * users / self.last
        )

    def averages(self, users: float, figure: Figure, beyond: Figure | None = None) -> float:
        """A figure of one request: interpolated; beyond what was measured the uncached one, if there is one."""
        points: list[Point] = [(scale["users"], figure(scale)) for scale in self.scales]
        if users <= points[0][0]:
            return points[0][1]
        if users > points[-1][0]:
            return beyond(self.uncached) if beyond else points[-1][1]
        (left, low), (right, high) = _around(points, users)
        return low + (high - low) * log(users / left) / log(right / left)


def _growth(points: Sequence[Point]) -> float:
    """The exponent of the users with which a figure grew between the last two numbers, from 0 to 1."""
    if len(points) == 1:
        return 1.0
    (left, low), (right, high) = points[-2:]
    return min(max(log(high / low) / log(right / left), 0.0), 1.0)


def _around(points: Sequence[Point], users: float) -> tuple[Point, Point]:
    return next(pair for pair in pairwise(points) if users <= pair[1][0])


@cache
def measured(path: Path = MEASURED) -> Measured:
    """The committed figures."""
    return Measured(json.loads(path.read_text(encoding="utf-8")))


@dataclass(frozen=True, slots=True)
class Report:
    """A month of 30 days.

    Attributes:
        requests: By kind.
        redis: The use of Redis.
        push: What push takes, which is in the amounts too; all 0 if nothing is pushed.
        amounts: Billed amounts by name.
        dollars: By service, without Redis; DynamoDB on demand, or 0 if the workload has the always-free 25 units and
            these are enough.
        on_demand: Dollars for DynamoDB's units if the table is on demand.
        plans: Dollars for Redis by Upstash plan; None if the plan is exceeded or has no public price.
        exceeded: Limits that are exceeded, by plan.
        quotas: Used share of each free quota; above 1 it is exceeded.
        is_measured: Whether it is within what was measured; else see this module.
        bounds: Beyond that, the best case (pages and lists are cached as well as with the most users that were
            measured) and the worst case (none is cached, and containers grow with the users); None within.
    """

    workload: Workload
    requests: dict[str, float]
    redis: Usage
    push: Push
    amounts: dict[str, float]
    dollars: dict[str, float]
    on_demand: float
    plans: dict[str, float | None]
    exceeded: dict[str, list[str]]
    quotas: dict[str, float]
    is_measured: bool
    bounds: tuple[Report, Report] | None = None

    @property
    def least(self) -> float:
        """Total dollars, with the cheapest plan for Redis that is sold today."""
        sold = [price for name, price in self.plans.items() if price is not None and PLANS[name] not in GUIDE]
        return sum(self.dollars.values()) + min(sold)


def plan(workload: Workload, known: Measured | None = None) -> Report:
    """What this workload needs and costs."""
    known = known or measured()
    report = _Plan(workload, known).report()
    if report.is_measured:
        return report
    best, worst = (_Plan(workload, known, at).report() for at in ("best", "worst"))
    return replace(report, bounds=(best, worst))


class _Plan:
    """One workload's arithmetic; ``at`` selects the best or the worst case beyond what was measured, or the middle."""

    def __init__(self, workload: Workload, known: Measured, at: str = "") -> None:
        self.workload, self.known, self.at = workload, known, at
        # Users of the trace with as many sessions: containers and Redis depend on sessions, not on accounts.
        self.users = round(workload.sessions_a_day / TRACE_SESSIONS, 6)
        self.heavier = (workload.message_bytes or known.message_bytes) / known.message_bytes
        self.daily = workload.requests_a_day()
        self.is_measured = self.users <= known.last
        self.push = self._push()

    def report(self) -> Report:
        amounts, redis = self._amounts(), self._redis()
        on_demand = amounts["read_units"] * prices.READ_UNIT + amounts["write_units"] * prices.WRITE_UNIT
        quotas = self._quotas(amounts, redis)
        return Report(
            workload=self.workload,
            requests={kind: count * DAYS for kind, count in self.daily.items()},
            redis=redis,
            push=self.push,
            amounts=amounts,
            dollars=_dollars(amounts, 0.0 if self._is_table_free(quotas) else on_demand),
            on_demand=on_demand,
            plans={name: each.price(redis) for name, each in PLANS.items()},
            exceeded={name: list(each.exceeded(redis)) for name, each in PLANS.items()},
            quotas=quotas,
            is_measured=self.is_measured,
        )

    def _is_table_free(self, quotas: Mapping[str, float]) -> bool:
        return self.workload.table_billing == "always-free" and quotas["DynamoDB 25/25"] <= 1

    def _each(self, kind: str, name: str, *, cached: bool = False) -> float:
        def figure(scale: Scale) -> float:
            return float(scale["kinds"][kind][name])

        return self.known.averages(self.users, figure, figure if cached and self.at != "best" else None)

    def _read_units(self, kind: str) -> float:
        found = self._each(kind, "read_units", cached=True)
        if kind == "list":
            return 1 + (found - 1) * self.workload.memberships / TRACE_MEMBERSHIPS
        # Beyond the two items of the channel state, messages are read.
        return 2 + (found - 2) * self.heavier if kind == "page" else found

    def _write_units(self, kind: str) -> float:
        found = self._each(kind, "write_units")
        if kind != "post":
            return found
        was, now = (
            units.write_units([self._item(size)]) for size in (self.known.message_bytes, self._size())
        )
        return found + 2 * (now - was)

    def _size(self) -> float:
        return self.known.message_bytes * self.heavier

    def _item(self, message: float) -> int:
        return units.size(items.entry_item("c" * 16, Entry(1, 1, 1, b"m" * ceil(message))))

    def _bytes_out(self, kind: str) -> float:
        return self._each(kind, "bytes_out") * (1.0 if kind == "list" else self.heavier)

    def _log_bytes(self, kind: str) -> float:
        own = self._each(kind, "log_bytes") + prices.LOG_EVENT
        return own + prices.PLATFORM_LOG + prices.ACCESS_LOG

    def _month(self, each: Callable[[str], float]) -> float:
        return DAYS * sum(count * each(kind) for kind, count in self.daily.items() if count)

    def _amounts(self) -> dict[str, float]:
        cold = DAYS * self._day("cold_starts")
        seconds = (
            self._month(lambda kind: self._each(kind, "ms")) / 1000 + cold * self.known.cold_start_ms / 1000
        )
        kept = self.daily["post"] * DAYS * self.workload.months_kept
        return {
            "requests": self._month(lambda _: 1.0) + self.push.requests,
            "invocations": self._month(lambda _: 1.0) + self.push.requests + self.push.invocations,
            "messages": self.push.messages,
            "connection_minutes": self.push.minutes,
            "cold_starts": cold,
            "gb_seconds": seconds * MEMORY_GB + self.push.gb_seconds,
            "read_units": self._month(self._read_units) + self.push.read_units,
            "write_units": self._month(self._write_units) + self.push.write_units,
            "stored_gb": kept * (self._item(self._size()) + ITEM_OVERHEAD) / GB,
            "egress_gb": self._month(self._bytes_out) / GB + self.push.egress_gb,
            "log_gb": self._month(self._log_bytes) / GB + self.push.log_gb,
        }

    def _push(self) -> Push:
        given = self.workload
        if not given.pushes:
            return Push()
        return push(
            self.known.found["realtime"],
            sessions=given.sessions_a_day,
            minutes=given.session_minutes,
            looks=given.pages,
            posts=given.posts,
            channels=given.memberships,
            watchers=given.watching,
        )

    def _redis(self) -> Usage:
        commands = self._day("redis_commands")
        moved = self._day("redis_bytes_moved") * self.heavier
        stored = self._day("stored_bytes") * self.heavier
        return Usage(
            commands_today=ceil(commands),
            commands_month=ceil(commands * DAYS),
            stored_bytes=round(min(stored, MOST_STORED)),
            hit_rate=self._hit_rate(),
            moved_bytes=round(DAYS * min(moved, commands * MOST_STORED / 2)),
        )

    def _day(self, name: str) -> float:
        grows = self.known.busiest if self.at == "worst" else self.known.grows
        return grows(self.users, lambda scale: float(scale[name]))

    def _hit_rate(self) -> float | None:
        if not self.is_measured:
            return None
        return self.known.averages(self.users, lambda scale: scale["hit_rate"]["all"])

    def _busiest(self, kind: str, month: float) -> float:
        """Share of the table's free units that its busiest 300 s need, assuming the peaks of the trace."""
        peak = self.known.busiest(self.users, lambda scale: float(scale["busiest_300_s"][kind]))
        traced = self.known.busiest(self.users, lambda scale: _units_a_day(scale, f"{kind}_units"))
        return peak * (month / DAYS) / traced / (prices.FREE_TABLE_UNITS * BURST_SECONDS)

    def _quotas(self, amounts: Mapping[str, float], redis: Usage) -> dict[str, float]:
        free, daily = PLANS["free"], PLANS["free-daily"]
        share = {
            "Upstash 10,000 commands/day": redis.commands_today / (daily.commands_a_day or 1),
            "Upstash 500,000 commands/month": redis.commands_month / (free.commands_a_month or 1),
            "Upstash 256 MB": (redis.stored_bytes or 0) / (free.stored_bytes or 1),
            "Upstash 10 GB moved": redis.moved_bytes / (free.moved_bytes or 1),
            "DynamoDB 25/25": max(
                self._busiest(kind, amounts[f"{kind}_units"]) for kind in ("read", "write")
            ),
            "DynamoDB 25 GB": amounts["stored_gb"] / prices.FREE_STORAGE_GB,
            "Lambda 1M requests": amounts["invocations"] / prices.FREE_LAMBDA_REQUESTS,
            "Lambda 400,000 GB-s": amounts["gb_seconds"] / prices.FREE_LAMBDA_GB_SECONDS,
            "CloudWatch 5 GB logs": amounts["log_gb"] / prices.FREE_LOGS_GB,
            "egress 100 GB": amounts["egress_gb"] / prices.FREE_EGRESS_GB,
        }
        return {name: round(used, 7) for name, used in share.items()}


def _units_a_day(scale: Scale, name: str) -> float:
    return float(
        sum(cost["requests"] * cost[name] for kind, cost in scale["kinds"].items() if kind != "poll")
    )


def _dollars(amounts: Mapping[str, float], table_units: float) -> dict[str, float]:
    """By service, with free allowances deducted."""
    over = {
        "requests": amounts["invocations"] - prices.FREE_LAMBDA_REQUESTS,
        "gb_seconds": amounts["gb_seconds"] - prices.FREE_LAMBDA_GB_SECONDS,
        "stored_gb": amounts["stored_gb"] - prices.FREE_STORAGE_GB,
        "log_gb": amounts["log_gb"] - prices.FREE_LOGS_GB,
        "egress_gb": amounts["egress_gb"] - prices.FREE_EGRESS_GB,
        "traces": _traces(amounts["requests"]) - prices.FREE_TRACES,
    }
    paid = {name: max(0.0, amount) for name, amount in over.items()}
    return {
        "API Gateway": amounts["requests"] * prices.API_REQUEST,
        "API Gateway, WebSockets": amounts["messages"] * prices.WEBSOCKET_MESSAGE
        + amounts["connection_minutes"] * prices.CONNECTION_MINUTE,
        "Lambda": paid["requests"] * prices.LAMBDA_REQUEST + paid["gb_seconds"] * prices.LAMBDA_GB_SECOND,
        "DynamoDB": table_units + paid["stored_gb"] * prices.STORAGE_PRICE,
        "DynamoDB backups": amounts["stored_gb"] * prices.BACKUP_PRICE,
        "logs": paid["log_gb"] * prices.LOGS_PRICE,
        "traces": paid["traces"] * prices.TRACE_PRICE,
        "egress": paid["egress_gb"] * prices.EGRESS_GB,
    }


def _traces(requests: float) -> float:
    sampled = min(requests, DAYS * 86_400 * prices.TRACED_SECOND)
    return sampled + (requests - sampled) * prices.TRACED_SHARE


def guide(users: int) -> dict[str, int]:
    """The guide's own arithmetic: 70 % active, 5 requests each a day; 70 KB stored per user."""
    return {
        "redis_commands_a_day": round(users * 0.7) * GUIDE_COMMANDS,
        "stored_bytes": users * GUIDE_BYTES,
    }


def of_trace(known: Measured) -> Workload:
    """The exact workload that ``bench.cache`` played for the smallest number of users."""
    scale = known.scales[0]
    sessions = scale["users"] * TRACE_SESSIONS
    each = {kind: scale["kinds"][kind]["requests"] / sessions for kind in ("list", "page", "post")}
    return Workload(
        scale["users"],
        lists=each["list"],
        pages=each["page"],
        posts=each["post"],
        months_kept=1,
        table_billing="always-free",
    )
