"""The chart of ``bench.capacity``: dollars a month and free quotas against users, as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from bench.capacity_plan import Report, plan
from bench.costs import Measured
from bench.plot import Lines, Point, Powers, lines
from bench.workload import Workload
from shared.plans import GUIDE, PLANS

USERS: Final = tuple(round(10 ** (1 + step / 8)) for step in range(41))
"""From 10 to 1,000,000, eight a decade."""
_AXIS: Final = Powers(1, 6, "{:,.0f}")


def chart(workload: Workload, known: Measured) -> str:
    """An SVG document of two panels over one axis of users."""
    reports = [plan(replace(workload, users=users), known) for users in USERS]
    panels = [
        Lines("Dollars a month", _AXIS, Powers(-2, 5, "${:g}"), costs(reports), _marks(plan_ends(reports))),
        Lines(
            "Share of what is free", _AXIS, Powers(-3, 2, "{:g} %"), quotas(reports), _marks(ends(reports))
        ),
    ]
    return lines(
        panels, f"Measured up to {known.last:,} users; beyond that estimated, every page as read uncached."
    )


def _marks(found: Mapping[str, int]) -> dict[str, tuple[float, str]]:
    return {name: (float(users), f"ends at {users:,} users") for name, users in found.items()}


def costs(reports: Sequence[Report]) -> dict[str, list[Point]]:
    """AWS alone, and Redis by plan as far as the plan reaches."""
    found = {"AWS": [(float(each.workload.users), sum(each.dollars.values())) for each in reports]}
    best = [
        (float(each.workload.users), sum(each.bounds[0].dollars.values())) for each in reports if each.bounds
    ]
    if best:
        found["AWS at best"] = best
    for name in PLANS:
        priced = [
            (float(each.workload.users), price) for each in reports if (price := each.plans[name]) is not None
        ]
        if priced:
            found[_called(name)] = priced
    return found


def plan_ends(reports: Sequence[Report]) -> dict[str, int]:
    """The least number of the chart's users that each plan does not allow."""
    found: dict[str, int] = {}
    for report in reports:
        for name, limits in report.exceeded.items():
            if limits:
                found.setdefault(_called(name), report.workload.users)
    return found


def _called(plan_name: str) -> str:
    guide = " (guide)" if PLANS[plan_name] in GUIDE and "guide" not in plan_name else ""
    return f"Redis, {plan_name}{guide}"


def quotas(reports: Sequence[Report]) -> dict[str, list[Point]]:
    """Percent of each free quota."""
    return {
        name: [(float(each.workload.users), each.quotas[name] * 100) for each in reports]
        for name in reports[0].quotas
    }


def ends(reports: Sequence[Report]) -> dict[str, int]:
    """The least number of the chart's users for which each free quota is not enough."""
    found: dict[str, int] = {}
    for report in reports:
        for name, used in report.quotas.items():
            if used > 1:
                found.setdefault(name, report.workload.users)
    return found
