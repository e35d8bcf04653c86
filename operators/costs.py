"""Dollars per million of an operation, by service, from what one of it takes. No free allowance is taken off."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import ceil
from typing import Any, Final

from operators import prices
from operators.capacity_plan import MEMORY_GB, Measured, Scale, Workload
from shared.domain.plans import DAYS, PLANS, Usage

MILLION: Final = prices.MILLION
SHARE_OF_PROCESSOR: Final = 1_769 / (MEMORY_GB * 1024)
"""Times that work takes longer at the template's memory, at worst: Lambda gives a whole processor with 1,769 MB. The 4
ms of a call hold its client's work at 512 MB: five reads and writes of DynamoDB took 15 to 17 ms there."""
REASONS: Final = {"page": "pages", "list": "channels"}
"""Why Redis is asked: the end of the names by which commands are counted."""


@dataclass(frozen=True)
class Figures:
    """What one operation takes.

    Attributes:
        calls_ms: Of DynamoDB and Redis: 4 for a call of the one and 2 of the other, one after another.
        own_ms: Of Budgie's own work, on this machine; 0 where ``calls_ms`` has all.
        read_units: Of DynamoDB.
        write_units: Of DynamoDB.
        out_bytes: Of the answer, its headers among them.
        log_bytes: Of the functions' own lines.
        redis_commands: Billed ones.
        redis_bytes: Moved to and from Redis.
        start_ms: Of a container's start, where the operation is its first.
        wall_ms: As it was seen on this machine, the engine's time in it; 0 where it was not measured.
    """

    calls_ms: float
    own_ms: float
    read_units: float
    write_units: float
    out_bytes: float
    log_bytes: float
    redis_commands: float = 0.0
    redis_bytes: float = 0.0
    start_ms: float = 0.0
    wall_ms: float = 0.0


def lambda_seconds(ms: float) -> float:
    """Dollars of a million requests that take so long at the template's memory."""
    return ms / 1000 * MEMORY_GB * prices.LAMBDA_GB_SECOND * MILLION


def priced(each: Figures) -> dict[str, Any]:
    """The figures, dollars a million by service, their sum, and what is stated apart from it.

    The billed time is ``calls_ms`` and ``own_ms``, as the planner counts it; ``cautious`` is the sum with own work
    slowed down to the share of a processor that a function has at worst.
    """
    services = {
        "api_gateway": prices.API_REQUEST * MILLION,
        "lambda_requests": prices.LAMBDA_REQUEST * MILLION,
        "lambda_seconds": lambda_seconds(each.calls_ms + each.own_ms + each.start_ms),
        "dynamodb": (each.read_units * prices.READ_UNIT + each.write_units * prices.WRITE_UNIT) * MILLION,
    }
    whole = sum(services.values())
    slower = lambda_seconds(each.own_ms * (SHARE_OF_PROCESSOR - 1))
    logged = each.log_bytes + prices.LOG_EVENT + prices.PLATFORM_LOG + prices.ACCESS_LOG
    apart = {
        "egress": each.out_bytes * prices.EGRESS_GB / 1000,
        "logs": logged * prices.LOGS_PRICE / 1000,
        "traces": prices.TRACED_SHARE * prices.TRACE_PRICE * MILLION,
    }
    return {
        "figures": {name: round(value, 3) for name, value in asdict(each).items()},
        "dollars": {name: round(cost, 4) for name, cost in services.items()},
        "sum": round(whole, 4),
        "cautious": round(whole + slower, 4),
        "apart": {name: round(cost, 4) for name, cost in apart.items()},
        "all": round(whole + sum(apart.values()), 4),
    }


def by_plan(commands: float, moved_bytes: float = 0.0) -> dict[str, float | None]:
    """Dollars of Redis for a month of a million operations, by Upstash plan; None where the plan does not allow it."""
    month = Usage(
        commands_today=ceil(commands * MILLION / DAYS),
        commands_month=ceil(commands * MILLION),
        moved_bytes=ceil(moved_bytes * MILLION),
    )
    found = {name: plan.price(month) for name, plan in PLANS.items()}
    return {name: None if cost is None else round(cost, 4) for name, cost in found.items()}


# --- The requests of a day, hits and misses as they fall ---


def days(known: Measured) -> list[dict[str, Any]]:
    """For each number of users: each kind of request, what starts of containers add, and a read with all.

    Of their egress the answers' bodies alone are known, without headers.
    """
    return [_day(scale, known.cold_start_ms) for scale in known.scales]


def _day(scale: Scale, cold_start_ms: float) -> dict[str, Any]:
    kinds = {kind: _of_a_day(scale, kind) for kind in scale["kinds"]}
    starts = lambda_seconds(scale["cold_starts"] / scale["requests"] * cold_start_ms)
    reads = {kind: scale["kinds"][kind]["requests"] for kind in REASONS}
    average = sum(kinds[kind]["sum"] * count for kind, count in reads.items()) / sum(reads.values())
    return {
        "users": scale["users"],
        "starts": round(starts, 4),
        "read": round(average + starts, 4),
        "kinds": kinds,
    }


def _of_a_day(scale: Scale, kind: str) -> dict[str, Any]:
    cost, commands = scale["kinds"][kind], 0.0
    if kind in REASONS:  # Redis commands of one request are those of its container shared out.
        sent = [n for name, n in scale["redis_by_reason"].items() if name.endswith(f"_{REASONS[kind]}")]
        commands = sum(sent) / cost["requests"]
    moved = commands * scale["redis_bytes_moved"] / max(scale["redis_commands"], 1)
    own = (cost["read_units"], cost["write_units"], cost["bytes_out"], cost["log_bytes"])
    found = priced(Figures(cost["ms"], 0.0, *own, redis_commands=commands, redis_bytes=moved))
    # Own work and calls were not kept apart there, so nothing can be said of a slower processor.
    return found | {"cautious": None, "redis": by_plan(commands, moved)}


def user_month(known: Measured) -> dict[str, Any]:
    """What an active user's month costs, all included, nothing free taken off; of one who comes every day.

    As many sessions as those who come have in ``bench.cache``; Redis by the command.
    """
    day = _day(known.scales[0], known.cold_start_ms)
    requests = {kind: count * DAYS for kind, count in Workload(users=1, active=1).requests_a_day().items()}
    dollars = sum(
        count * (each["all"] + day["starts"] + (each["redis"]["payg-guide"] or 0.0))
        for kind, count in requests.items()
        for each in [day["kinds"][kind]]
    )
    shown = {kind: round(count, 1) for kind, count in requests.items()}
    return {"requests": shown, "dollars": round(dollars / MILLION, 5)}
