"""Small results of each benchmark, each figure another one, as they are stored for the report."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any, Final

from bench.benchmarks import BENCHMARKS
from bench.cost_report import APART, SERVICES
from bench.sections.money import FIGURES
from bench.sections.speed import COMPARED, CONTENTION, LOAD, RATIOS
from bench.stored import Run
from shared.plans import PLANS

Figures = Iterator[int]
MISSED: Final = "as fast as light"


def _figures(names: Any, figures: Figures) -> dict[str, Any]:
    return {name: next(figures) for name in names}


def cold_start(figures: Figures) -> dict[str, Any]:
    """Two contenders, one of them a function that is compared."""
    times = ("wall_ms", "cpu_ms", "wall_min", "cpu_min")
    return {
        "runs": next(figures),
        "python": "3.13",
        "contenders": {name: _figures(times, figures) for name in ("floor", "post_message")},
        **{ratio: {"post_message": _figures(("wall", "cpu"), figures)} for ratio in RATIOS},
    }


def hot_path(figures: Figures) -> dict[str, Any]:
    """A route by sections, and what else there may be."""
    return {
        "routes": {"GET /v1/channels": _figures(("all", "fastapi", "storage"), figures)},
        **anything(figures),
    }


def load(figures: Figures) -> dict[str, Any]:
    """One form, two contenders, one number of clients."""
    runs = [
        {"form": "reads", "clients": 16, "contender": name, **_figures(LOAD, figures)}
        for name in ("budgie", "usual")
    ]
    return {
        "engine": "dynamodb-local",
        "accept_encoding": "identity",
        "page_bytes": {"budgie": next(figures)},
        "rounds": next(figures),
        "seconds_a_round": next(figures),
        "runs": runs,
        "compared": [{"form": "reads", "clients": 16, **_figures(COMPARED, figures)}],
    }


def contention(figures: Figures) -> dict[str, Any]:
    """Ours and the bare calls, and a fault that the judge found."""
    cells = [
        {"side": side, "weather": "fair", "log_faults": [], **_figures(CONTENTION, figures)}
        for side in ("budgie", "engine")
    ]
    cells[0]["log_faults"] = ["position 7 is missing"]
    limit = {each: cells[0][each] for each in ("writers", "readers")}
    return {
        "rounds": next(figures),
        "seconds": next(figures),
        "rates": {"fair": {"throttled": 0.0}, "throttled": {"throttled": 0.02}},
        "cells": cells,
        "of_limit": [{**limit, "of_limit": next(figures)}],
    }


def growth(figures: Figures) -> dict[str, Any]:
    """An operation at two sizes on each axis."""
    columns = ("read", "write", "calls", "ms", "cpu_ms")
    axes = {
        axis: {f"post, {axis}": [{"size": next(figures), **_figures(columns, figures)} for _ in range(2)]}
        for axis in ("messages", "channels", "members")
    }
    return {"engine": "dynamodb-local", "items": next(figures), "rounds": next(figures), **axes}


def _priced(figures: Figures, goal: str = "") -> dict[str, Any]:
    return {
        "goal": goal,
        "figures": _figures(FIGURES, figures),
        "dollars": _figures(SERVICES, figures),
        "apart": _figures(APART, figures),
        **_figures(("sum", "cautious", "all"), figures),
    }


def cost(figures: Figures) -> dict[str, Any]:
    """An operation that asks Redis, a coding that is not offered, a day, two vendors."""
    day_kinds = {kind: _priced(figures) | {"redis": _figures(PLANS, figures)} for kind in ("page", "list")}
    for kind in day_kinds.values():
        del kind["figures"]  # the day's own table has them
    wire = {"body_bytes": next(figures), **_priced(figures)}
    shown = ("body_bytes", "sum", "apart", "all")
    return {
        "operations": {
            "page": _priced(figures, "read") | {"redis": _figures(PLANS, figures) | {"free": None}}
        },
        "above_goal": {"list": next(figures)},
        "wire": {"as written": {"zstd": {each: wire[each] for each in shown} | {"is_offered": False}}},
        "days": [{"users": next(figures), "kinds": day_kinds, **_figures(("starts", "read"), figures)}],
        "user_month": {"requests": {"page": next(figures)}, "dollars": next(figures)},
        "hosted": [
            _vendor("Parrot Chat", next(figures)),
            _vendor("Cockatoo Chat", None),
        ],
    }


def _vendor(name: str, dollars: float | None) -> dict[str, Any]:
    texts = {"unit": "a million", "source": "https://example.com", "read": "2026-11-24", "note": "beside"}
    return {"vendor": name, "dollars": dollars, **texts}


def day(figures: Figures) -> dict[str, Any]:
    """Two strategies."""
    columns = ("redis_commands", "stale_pages", "stale_lists", "read_units", "write_units", "stored_bytes")
    return {
        "days": [
            {
                "users": next(figures),
                **{
                    name: {
                        **_figures((*columns, "cold_starts"), figures),
                        "hit_rate": {"all": 0.913, "pages": 0.927, "channels": 0.931},
                        "read_ms": _figures(("p50", "p99"), figures),
                        "dollars_a_month": _figures(("all",), figures),
                    }
                    for name in ("ttl_del", "vouched")
                },
            }
        ]
    }


def simulation(figures: Figures) -> dict[str, Any]:
    """A kind of request, a fault."""
    names = ("seeds", "operations", "reads", "virtual_hours", "seconds", "faults_injected", "holes_voided")
    return {
        **_figures((*names, "violations"), figures),
        "outcomes": {"page": {"miss": next(figures), "304": next(figures)}},
        "faults": {"container died": next(figures)},
    }


def anything(figures: Figures) -> dict[str, Any]:
    """Of a form that no section knows: figures, tables, lists, and what is nested."""
    return {
        "figure": next(figures),
        "rate": 0.0625,
        "none": None,
        "list": [next(figures), next(figures)],
        "alike": {"one": {"a": next(figures)}, "two": {"b": next(figures)}},
        "rows": [{"a": next(figures)}, {"a": next(figures)}],
        "deep": {"deeper": {"deepest": {"a": next(figures)}, "b": next(figures)}},
        "mixed": [{"a": {"b": {"c": next(figures)}}}],
    }


KNOWN: Final = {
    each.__name__: each for each in (cold_start, hot_path, load, contention, growth, cost, day, simulation)
}
MACHINE: Final = {"cores": 2, "processor": "Feather 9000", "python": "3.13.0", "kernel": "Linux 6.1"}


def samples() -> dict[str, Run]:
    """A run of each benchmark, one target of two missed."""
    figures = count(100_001)
    return {
        name: Run(
            name,
            [],
            "2026-11-24 21:00 UTC",
            "abc1234",
            next(figures),
            MACHINE,
            KNOWN.get(name, anything)(figures) | {"targets": {"it flies": True, f"{MISSED}, {name}": False}},
        )
        for name in BENCHMARKS
    }
