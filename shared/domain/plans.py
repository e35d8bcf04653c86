"""Upstash's plans, their prices and limits, and when to upgrade: pure arithmetic, no I/O.

Prices and limits are from Upstash's price page, read in 2026; the plans in ``GUIDE`` are older and no longer sold.
Bytes are decimal where the price is per GB, binary where the console shows a database's limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MIB: Final = 1024 * 1024
GB: Final = 1_000_000_000
MANY_FAILURES: Final = 5
"""Failures in a day from which an operator should act; the alarm uses the same number for an hour."""
DAYS: Final = 30
"""Days in a month, for prices and pace."""
BUSY: Final = 0.8
"""Share of a command limit from which to upgrade: 8,000 of 10,000 commands a day, 80 % of a month."""
FULL: Final = 200 / 256
"""Share of the storage limit from which to upgrade: 200 of 256 MB."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan's limits and prices; a limit of None means unlimited.

    Attributes:
        commands_a_day: Limit of billed commands.
        commands_a_month: Limit of billed commands.
        stored_bytes: Limit of the database's size.
        moved_bytes: Bandwidth included in a month; more is refused, unless ``dollars_a_moved_gb`` is set.
        connections: Limit of concurrent connections of the Redis protocol; REST needs none while idle.
        dollars: Fixed price of a month.
        dollars_a_command: Additional price of each command.
        dollars_a_stored_gb: Additional price of a month, beyond the first GB.
        dollars_a_moved_gb: Additional price beyond ``moved_bytes``.
        is_persistent: Whether data outlives a day without use.
        has_price: Whether there is a public price.
    """

    name: str
    title: str
    commands_a_day: int | None = None
    commands_a_month: int | None = None
    stored_bytes: int | None = None
    moved_bytes: int | None = None
    connections: int | None = None
    dollars: float = 0.0
    dollars_a_command: float = 0.0
    dollars_a_stored_gb: float = 0.0
    dollars_a_moved_gb: float = 0.0
    is_persistent: bool = True
    has_price: bool = True

    def price(self, month: Usage) -> float | None:
        """Dollars for a month with this usage; None if the plan does not allow it or has no public price."""
        if not self.has_price or any(True for _ in self.exceeded(month)):
            return None
        stored = max(0.0, (month.stored_bytes or 0) / GB - 1) * self.dollars_a_stored_gb
        moved = max(0.0, (month.moved_bytes - (self.moved_bytes or 0)) / GB) * self.dollars_a_moved_gb
        return self.dollars + month.commands_month * self.dollars_a_command + stored + moved

    def exceeded(self, use: Usage) -> Iterator[str]:
        """The limits that this usage exceeds, of ``commands``, ``memory``, ``bandwidth``, ``connections``."""
        hard_bandwidth = None if self.dollars_a_moved_gb else self.moved_bytes
        for about, used, limit in (
            ("commands", use.commands_today, self.commands_a_day),
            ("commands", use.commands_month, self.commands_a_month),
            ("memory", use.stored_bytes, self.stored_bytes),
            ("bandwidth", use.moved_bytes, hard_bandwidth),
            ("connections", use.connections, self.connections),
        ):
            if limit is not None and used is not None and used > limit:
                yield about


@dataclass(frozen=True, slots=True)
class Usage:
    """A database's usage; None for unknown numbers.

    Attributes:
        commands_today: Billed commands since midnight, UTC.
        commands_month: Billed commands since the month began.
        stored_bytes: Bytes stored now.
        hit_rate: Share of today's reads that the cache served, entirely or mostly, 0 to 1.
        connections: The largest number of concurrent connections.
        moved_bytes: Bytes moved to and from the database in this month.
        day_of_month: Days of the month that have passed, with today's fraction.
        failures_today: How often Redis failed, or a request skipped it because of earlier failures.
        trouble: The kind of failure that the health check found; None if it found none or did not run.
    """

    commands_today: int
    commands_month: int
    stored_bytes: int | None = None
    hit_rate: float | None = None
    connections: int | None = None
    moved_bytes: int = 0
    day_of_month: float = DAYS
    failures_today: int = 0
    trouble: str | None = None

    @property
    def month_at_this_pace(self) -> int:
        """Commands in the whole month at the pace so far; the first day counts as whole."""
        return round(self.commands_month / max(self.day_of_month, 1.0) * DAYS)


@dataclass(frozen=True, slots=True)
class Advice:
    """A sentence for the operator; ``urgent`` if they should act now."""

    about: str
    urgent: bool
    text: str


GUIDE: Final = (
    Plan("free-daily", "Free, by the day", 10_000, None, 256 * MIB, None, 30, is_persistent=False),
    Plan("payg-guide", "Pay as you go (guide)", dollars_a_command=0.2 / 100_000),
    Plan("pro", "Pro (guide)", dollars_a_command=0.1 / 100_000),
    Plan("enterprise", "Enterprise: price on request", has_price=False),
)
"""The four plans in the project's capacity guide."""
TODAY: Final = (
    Plan("free", "Free", None, 500_000, 256 * MIB, 10 * GB),
    Plan(
        "payg",
        "Pay as you go",
        stored_bytes=100 * GB,
        moved_bytes=200 * GB,
        dollars_a_command=0.2 / 100_000,
        dollars_a_stored_gb=0.25,
        dollars_a_moved_gb=0.03,
    ),
    Plan("fixed-250mb", "Fixed 250 MB", stored_bytes=250 * MIB, moved_bytes=50 * GB, dollars=10.0),
)
"""The plans sold in 2026; larger fixed plans exist, for larger databases than this cache ever needs."""
PLANS: Final = {plan.name: plan for plan in (*GUIDE, *TODAY)}
DEFAULT: Final = "free"
_STORED_FIELDS: Final = ("total_data_size", "used_memory_dataset", "used_memory")
"""Fields of INFO for the stored bytes, in order of preference."""


def advise(plan: Plan, use: Usage) -> list[Advice]:
    """Advice for this usage of this plan, by the guide's "when to upgrade"; empty if nothing needs attention."""
    return [*_on_failures(use), *_on_commands(plan, use), *_on_memory(plan, use), *_on_the_rest(plan, use)]


def _on_failures(use: Usage) -> Iterator[Advice]:
    runbook = "see docs/operations.md, Redis failures"
    if use.trouble:
        yield Advice("failures", urgent=True, text=f"Redis is failing now: {use.trouble}; {runbook}")
    elif use.failures_today:
        text = f"Redis failed {use.failures_today:,} times today; healthz?deep=1 shows whether it still does, and why"
        yield Advice("failures", urgent=use.failures_today >= MANY_FAILURES, text=f"{text}; {runbook}")


def _on_commands(plan: Plan, use: Usage) -> Iterator[Advice]:
    if plan.commands_a_day and use.commands_today >= plan.commands_a_day * BUSY:
        yield Advice(
            "commands",
            urgent=True,
            text=f"{use.commands_today:,} of {plan.commands_a_day:,} commands today: upgrade if most days have "
            f"more than {plan.commands_a_day * BUSY:,.0f}",
        )
    if not plan.commands_a_month:
        return
    limit = plan.commands_a_month
    if use.commands_month >= limit * BUSY:
        text = f"{use.commands_month:,} of {limit:,} commands this month, {use.commands_month / limit:.0%}: upgrade"
        yield Advice("commands", urgent=True, text=text)
    elif use.month_at_this_pace >= limit * BUSY:
        text = f"{use.month_at_this_pace:,} of {limit:,} commands a month at this pace: upgrade before the month ends"
        yield Advice("commands", urgent=True, text=text)


def _on_memory(plan: Plan, use: Usage) -> Iterator[Advice]:
    if plan.stored_bytes and use.stored_bytes is not None and use.stored_bytes >= plan.stored_bytes * FULL:
        text = f"{use.stored_bytes / MIB:.0f} of {plan.stored_bytes / MIB:.0f} MB stored: upgrade; a full database"
        yield Advice("memory", urgent=True, text=f"{text} rejects writes")


def _on_the_rest(plan: Plan, use: Usage) -> Iterator[Advice]:
    if plan.connections and use.connections is not None and use.connections > plan.connections:
        text = f"{use.connections} of {plan.connections} concurrent connections: upgrade"
        yield Advice("connections", urgent=True, text=text)
    if not plan.is_persistent:
        text = (
            "data is lost after a day without use; Budgie reads it again, so upgrade only if it must be kept"
        )
        yield Advice("persistence", urgent=False, text=text)


def stored_bytes(info: str) -> int | None:
    """The stored bytes according to INFO; None if it does not say."""
    lines = (line.partition(":") for line in info.splitlines())
    values = {name: value.strip() for name, _, value in lines}
    found = (values[name] for name in _STORED_FIELDS if values.get(name, "").isdigit())
    return next((int(value) for value in found), None)
