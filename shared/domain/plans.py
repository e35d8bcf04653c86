"""Upstash's plans, what they cost, and when to leave one: pure arithmetic, no I/O.

Prices and limits: Upstash's price page, read in 2026; those of ``GUIDE`` are older and no longer sold to new databases.
Bytes are decimal where money is charged by the GB, binary where the console shows a database's limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MIB: Final = 1024 * 1024
GB: Final = 1_000_000_000
MANY_FAILURES: Final = 5
"""Of a day, from which on somebody should look: what rings the alarm within an hour."""
DAYS: Final = 30
"""Of a month, for prices and pace."""
BUSY: Final = 0.8
"""Share of a limit from which on it is time to act: 8,000 of 10,000 commands a day, 80 % of a month."""
FULL: Final = 200 / 256
"""The same for stored bytes: 200 of 256 MB."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a plan allows and costs; None where there is no limit.

    Attributes:
        commands_a_day: Billed commands.
        commands_a_month: Billed commands.
        stored_bytes: The largest database.
        moved_bytes: Bandwidth of a month; what is moved beyond it is refused, unless it has a price.
        connections: At the same time, of the Redis protocol; REST needs none while idle.
        dollars: A month, whatever is used.
        dollars_a_command: Beyond that.
        dollars_a_stored_gb: A month, beyond the first GB.
        dollars_a_moved_gb: Beyond ``moved_bytes``.
        is_persistent: Whether what is stored outlives a day without use.
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
        """Dollars of a month of this use; None where the plan does not allow it or has no public price."""
        if not self.has_price or any(True for _ in self.exceeded(month)):
            return None
        stored = max(0.0, (month.stored_bytes or 0) / GB - 1) * self.dollars_a_stored_gb
        moved = max(0.0, (month.moved_bytes - (self.moved_bytes or 0)) / GB) * self.dollars_a_moved_gb
        return self.dollars + month.commands_month * self.dollars_a_command + stored + moved

    def exceeded(self, use: Usage) -> Iterator[str]:
        """The limits that this use breaks: of ``commands``, ``memory``, ``bandwidth``, ``connections``."""
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
    """What a database was used for; None where nobody counted.

    Attributes:
        commands_today: Billed commands since midnight, UTC.
        commands_month: Billed commands since the month began.
        stored_bytes: Now.
        hit_rate: Share of this day's reads that needed nothing whole from DynamoDB, 0 to 1.
        connections: The most at once.
        moved_bytes: Of this month, to and from the database.
        day_of_month: How many days of the month are gone, today's part included.
        failures_today: Times that Redis failed, or that a request did without it as it had failed before.
        trouble: The kind of failure that the health check meets now; None where it is well or was not asked.
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
        """Commands of the whole month if its rest is like what is gone; less than a day is no pace yet."""
        return round(self.commands_month / max(self.day_of_month, 1.0) * DAYS)


@dataclass(frozen=True, slots=True)
class Advice:
    """A sentence for the operator; ``urgent`` where it is time to act."""

    about: str
    urgent: bool
    text: str


GUIDE: Final = (
    Plan("free-daily", "Free, by the day", 10_000, None, 256 * MIB, None, 30, is_persistent=False),
    Plan("payg-guide", "Pay as you go, as the guide has it", dollars_a_command=0.2 / 100_000),
    Plan("pro", "Pro, as the guide has it", dollars_a_command=0.1 / 100_000),
    Plan("enterprise", "Enterprise: price on request", has_price=False),
)
"""The four that the project's capacity guide names."""
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
"""What is sold in 2026; larger fixed plans exist for larger databases than this cache ever fills."""
PLANS: Final = {plan.name: plan for plan in (*GUIDE, *TODAY)}
DEFAULT: Final = "free"
_STORED_FIELDS: Final = ("total_data_size", "used_memory_dataset", "used_memory")
"""Of INFO: the first that the server has says what is stored."""


def advise(plan: Plan, use: Usage) -> list[Advice]:
    """What to do about this use of this plan, by the guide's "when to upgrade"; empty where all is well."""
    return [*_on_failures(use), *_on_commands(plan, use), *_on_memory(plan, use), *_on_the_rest(plan, use)]


def _on_failures(use: Usage) -> Iterator[Advice]:
    runbook = "docs/operations.md, Redis failures, says what to do"
    if use.trouble:
        yield Advice("failures", urgent=True, text=f"Redis fails now: {use.trouble}; {runbook}")
    elif use.failures_today:
        text = f"Redis failed {use.failures_today:,} times today; healthz?deep=1 says whether it still does, and why"
        yield Advice("failures", urgent=use.failures_today >= MANY_FAILURES, text=f"{text}; {runbook}")


def _on_commands(plan: Plan, use: Usage) -> Iterator[Advice]:
    if plan.commands_a_day and use.commands_today >= plan.commands_a_day * BUSY:
        yield Advice(
            "commands",
            urgent=True,
            text=f"{use.commands_today:,} of {plan.commands_a_day:,} commands today: upgrade if most days are "
            f"above {plan.commands_a_day * BUSY:,.0f}",
        )
    if not plan.commands_a_month:
        return
    limit = plan.commands_a_month
    if use.commands_month >= limit * BUSY:
        text = f"{use.commands_month:,} of {limit:,} commands this month, {use.commands_month / limit:.0%}: upgrade"
        yield Advice("commands", urgent=True, text=text)
    elif use.month_at_this_pace >= limit * BUSY:
        text = (
            f"{use.month_at_this_pace:,} of {limit:,} commands a month at this pace: upgrade before it ends"
        )
        yield Advice("commands", urgent=True, text=text)


def _on_memory(plan: Plan, use: Usage) -> Iterator[Advice]:
    if plan.stored_bytes and use.stored_bytes is not None and use.stored_bytes >= plan.stored_bytes * FULL:
        text = f"{use.stored_bytes / MIB:.0f} of {plan.stored_bytes / MIB:.0f} MB stored: upgrade; a full database"
        yield Advice("memory", urgent=True, text=f"{text} rejects writes")


def _on_the_rest(plan: Plan, use: Usage) -> Iterator[Advice]:
    if plan.connections and use.connections is not None and use.connections > plan.connections:
        text = f"{use.connections} connections at once of {plan.connections}: upgrade"
        yield Advice("connections", urgent=True, text=text)
    if not plan.is_persistent:
        text = "what is stored is lost after a day without use: upgrade only if it must not be; Budgie reads it again"
        yield Advice("persistence", urgent=False, text=text)


def stored_bytes(info: str) -> int | None:
    """What INFO says is stored; None if it does not say."""
    lines = (line.partition(":") for line in info.splitlines())
    values = {name: value.strip() for name, _, value in lines}
    said = (values[name] for name in _STORED_FIELDS if values.get(name, "").isdigit())
    return next((int(value) for value in said), None)
