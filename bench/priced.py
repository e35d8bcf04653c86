"""Dollars per million of an operation, by service, from what one of it takes. No free allowance is taken off."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import ceil
from typing import Any, Final

from bench import allowances, prices
from bench.capacity_plan import MEMORY_GB
from shared.plans import DAYS, PLANS, Usage

MILLION: Final = prices.MILLION
SHARE_OF_PROCESSOR: Final = 1_769 / (MEMORY_GB * 1024)
"""Times that work takes longer at the template's memory, at worst: Lambda gives a whole processor with 1,769 MB. The 4
ms of a call hold its client's work at 512 MB: five reads and writes of DynamoDB took 15 to 17 ms there."""


@dataclass(frozen=True)
class Figures:
    """What one operation takes.

    Attributes:
        calls_ms: Of DynamoDB and Redis as ``bench.measure`` counts them: 4 for a call of the one and 2 of the other,
            one after another.
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
    """The figures, dollars by service, their sum, and what is stated apart from it.

    The billed time is ``calls_ms`` and ``own_ms``, as the planner counts it; ``cautious`` is the sum with own work
    slowed down to the share of a processor that a function has at worst.
    """
    seconds = lambda_seconds(each.calls_ms + each.own_ms + each.start_ms)
    services = {
        "api_gateway": prices.API_REQUEST * MILLION,
        "lambda_requests": prices.LAMBDA_REQUEST * MILLION,
        "lambda_seconds": seconds,
        "dynamodb": (each.read_units * prices.READ_UNIT + each.write_units * prices.WRITE_UNIT) * MILLION,
    }
    whole = sum(services.values())
    slower = lambda_seconds(each.own_ms * (SHARE_OF_PROCESSOR - 1))
    logged = each.log_bytes + allowances.LOG_EVENT + allowances.PLATFORM_LOG + allowances.ACCESS_LOG
    apart = {
        "egress": each.out_bytes * prices.EGRESS_GB / 1000,
        "logs": logged * allowances.LOGS_PRICE / 1000,
        "traces": allowances.TRACED_SHARE * allowances.TRACE_PRICE * MILLION,
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
