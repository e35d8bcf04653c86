"""Dollars per million of an operation, by service, without free allowances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any, Final

from operators import prices
from operators.capacity_plan import Measured, Scale, Workload
from operators.realtime_plan import DISPATCHED, DISPATCHER_GB, MEMORY_GB, Operations
from shared.domain.plans import DAYS, PLANS, Usage

MILLION: Final = prices.MILLION
SHARE_OF_PROCESSOR: Final = 1_769 / (MEMORY_GB * 1024)
"""How many times longer own work takes at the template's memory, at worst: Lambda gives a whole CPU with 1,769 MB.
The 4 ms of a call include its client's work at 512 MB: five reads and writes of DynamoDB took 15 to 17 ms there."""
REASONS: Final = {"page": "pages", "list": "channels"}
"""The end of the names under which a kind's Redis commands are counted."""


@dataclass(frozen=True)
class Figures:
    """What one operation takes.

    Attributes:
        calls_ms: Of DynamoDB and Redis: 4 per DynamoDB call and 2 per Redis call, sequentially.
        own_ms: Of Budgie's own work, on this machine; 0 if ``calls_ms`` includes it.
        read_units: Of DynamoDB.
        write_units: Of DynamoDB.
        out_bytes: Of the response, including headers.
        log_bytes: Of the functions' own lines.
        redis_commands: Billed ones.
        redis_bytes: Moved to and from Redis.
        start_ms: Of a cold start, if it is the container's first operation.
        wall_ms: On this machine, including the engine's time; 0 if not measured.
        requests: Of the HTTP API.
        messages: Of the WebSocket API, in both directions.
        memory_gb: Of the function.
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
    requests: float = 1.0
    messages: float = 0.0
    memory_gb: float = MEMORY_GB


def lambda_seconds(ms: float, memory_gb: float = MEMORY_GB) -> float:
    """Dollars of a million runs of this duration."""
    return ms / 1000 * memory_gb * prices.LAMBDA_GB_SECOND * MILLION


def priced(each: Figures) -> dict[str, Any]:
    """The figures, dollars per million by service, their sum, and what is listed apart from it.

    The billed time is ``calls_ms`` and ``own_ms``, as in the planner; ``cautious`` is the sum with own work slowed
    down to the smallest share of a CPU that a function may have.
    """
    services = {
        "api_gateway": (each.requests * prices.API_REQUEST + each.messages * prices.WEBSOCKET_MESSAGE)
        * MILLION,
        "lambda_requests": prices.LAMBDA_REQUEST * MILLION,
        "lambda_seconds": lambda_seconds(each.calls_ms + each.own_ms + each.start_ms, each.memory_gb),
        "dynamodb": (each.read_units * prices.READ_UNIT + each.write_units * prices.WRITE_UNIT) * MILLION,
    }
    whole = sum(services.values())
    slower = lambda_seconds(each.own_ms * (SHARE_OF_PROCESSOR - 1))
    logged = each.log_bytes + prices.LOG_EVENT + prices.PLATFORM_LOG + each.requests * prices.ACCESS_LOG
    apart = {
        "egress": each.out_bytes * prices.EGRESS_GB / 1000,
        "logs": logged * prices.LOGS_PRICE / 1000,
        "traces": each.requests * prices.TRACED_SHARE * prices.TRACE_PRICE * MILLION,
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
    """Dollars of Redis for a month of a million operations, by Upstash plan; None if the plan is exceeded."""
    month = Usage(
        commands_today=ceil(commands * MILLION / DAYS),
        commands_month=ceil(commands * MILLION),
        moved_bytes=ceil(moved_bytes * MILLION),
    )
    found = {name: plan.price(month) for name, plan in PLANS.items()}
    return {name: None if cost is None else round(cost, 4) for name, cost in found.items()}


# --- The requests of a day, with its hits and misses ---


def days(known: Measured) -> list[dict[str, Any]]:
    """For each number of users: each kind of request, what cold starts add, and the average read.

    Egress counts only the responses' bodies, as their headers were not measured.
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
    if kind in REASONS:  # A container's Redis commands are divided by its requests.
        sent = [n for name, n in scale["redis_by_reason"].items() if name.endswith(f"_{REASONS[kind]}")]
        commands = sum(sent) / cost["requests"]
    moved = commands * scale["redis_bytes_moved"] / max(scale["redis_commands"], 1)
    own = (cost["read_units"], cost["write_units"], cost["bytes_out"], cost["log_bytes"])
    found = priced(Figures(cost["ms"], 0.0, *own, redis_commands=commands, redis_bytes=moved))
    # Own work and calls were not measured separately, so the cautious sum is unknown.
    return found | {"cautious": None, "redis": by_plan(commands, moved)}


# --- realtime ---


def priced_realtime(found: Operations) -> dict[str, Any]:
    """Each operation of realtime, and what a million deliveries of a post cost by the number of those who watch."""
    operations = {name: _of_realtime(name, each) for name, each in found.items()}
    nothing = operations["nothing"]["all"]  # a post's items are in two partitions
    deliveries = {
        f"to {round(found[name]['frames'])}": round(
            (operations[name]["all"] + nothing) / found[name]["frames"], 4
        )
        for name in ("post to one", "post")
    }
    return {"operations": operations, "a million deliveries": deliveries}


def _of_realtime(name: str, each: Mapping[str, float]) -> dict[str, Any]:
    found = priced(
        Figures(
            each["ms"],
            0.0,
            each["read_units"],
            each["write_units"],
            each["bytes_out"],
            each["log_bytes"],
            requests=float(name == "ticket"),
            messages=each["messages"],
            memory_gb=DISPATCHER_GB if name in DISPATCHED else MEMORY_GB,
        )
    )
    # Own work and calls were not measured separately, so the cautious sum is unknown.
    return found | {"cautious": None, "frames": each["frames"]}


def user_month(known: Measured) -> dict[str, Any]:
    """The monthly cost of a user who is active every day, everything included, without free allowances.

    Sessions as in ``bench.cache``; Redis by the command.
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
