"""The requests of ``bench.day`` priced, hits and misses as they fall, from what ``bench.measure`` found.

Of their egress the answers' bodies alone are known, without headers.
"""

from __future__ import annotations

from typing import Any, Final

from bench.costs import Measured, Scale
from bench.priced import Figures, by_plan, lambda_seconds, priced
from bench.workload import Workload
from shared.plans import DAYS

REASONS: Final = {"page": "pages", "list": "channels"}
"""Why Redis is asked: the end of the names by which commands are counted."""


def days(known: Measured) -> list[dict[str, Any]]:
    """For each number of users: each kind of request, what starts of containers add, and a read with all."""
    return [_day(scale, known.cold_start_ms) for scale in known.scales]


def _day(scale: Scale, cold_start_ms: float) -> dict[str, Any]:
    kinds = {kind: _priced(scale, kind) for kind in scale["kinds"]}
    start_ms = scale["cold_starts"] / scale["requests"] * cold_start_ms
    reads = {kind: scale["kinds"][kind]["requests"] for kind in REASONS}
    starts = lambda_seconds(start_ms)
    average = sum(kinds[kind]["sum"] * count for kind, count in reads.items()) / sum(reads.values())
    return {
        "users": scale["users"],
        "kinds": kinds,
        "starts": round(starts, 4),
        "read": round(average + starts, 4),
    }


def _priced(scale: Scale, kind: str) -> dict[str, Any]:
    cost = scale["kinds"][kind]
    commands = _commands(scale, kind)
    figures = Figures(
        calls_ms=cost["ms"],
        own_ms=0.0,
        read_units=cost["read_units"],
        write_units=cost["write_units"],
        out_bytes=cost["bytes_out"],
        log_bytes=cost["log_bytes"],
        redis_commands=commands,
        redis_bytes=commands * scale["redis_bytes_moved"] / max(scale["redis_commands"], 1),
    )
    # Own work and calls were not kept apart there, so nothing can be said of a slower processor.
    return priced(figures) | {"cautious": None, "redis": by_plan(figures.redis_commands, figures.redis_bytes)}


def _commands(scale: Scale, kind: str) -> float:
    """Redis commands of one request, which are those of its container shared out."""
    reason = REASONS.get(kind)
    if reason is None:
        return 0.0
    sent = sum(count for name, count in scale["redis_by_reason"].items() if name.endswith(f"_{reason}"))
    return float(sent / scale["kinds"][kind]["requests"])


def user_month(known: Measured) -> dict[str, Any]:
    """What an active user's month costs, all included, nothing free taken off; of one who comes every day.

    As many sessions as those who come have in ``bench.day``; Redis by the command.
    """
    day = _day(known.scales[0], known.cold_start_ms)
    requests = {kind: count * DAYS for kind, count in Workload(users=1, active=1).requests_a_day().items()}
    each = {
        kind: day["kinds"][kind]["all"] + day["starts"] + (day["kinds"][kind]["redis"]["payg-guide"] or 0.0)
        for kind in requests
    }
    dollars = sum(count * each[kind] for kind, count in requests.items()) / 1_000_000
    return {
        "requests": {kind: round(count, 1) for kind, count in requests.items()},
        "dollars": round(dollars, 5),
    }
