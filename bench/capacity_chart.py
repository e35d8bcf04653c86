"""The chart of ``bench.capacity``: dollars a month and free quotas against users, as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import log10
from typing import Final

from bench.capacity_plan import Report, plan
from bench.costs import Measured
from bench.workload import Workload
from shared.plans import GUIDE, PLANS

USERS: Final = tuple(round(10 ** (1 + step / 8)) for step in range(41))
"""From 10 to 1,000,000, eight a decade."""
LEFT, RIGHT, HEIGHT, GAP = 70, 770, 330, 90
DOLLARS: Final = (-2, 5)
"""Powers of ten of the axis."""
SHARES: Final = (-3, 2)
COLOURS: Final = (
    *("#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad", "#d68910", "#16a085", "#7f8c8d"),
    *("#2c3e50", "#e84393", "#6c5c00"),
)
STYLE: Final = "text{font:12px sans-serif;fill:#222}line{stroke:#ddd}polyline{fill:none;stroke-width:1.8}"
Point = tuple[float, float]


def chart(workload: Workload, known: Measured) -> str:
    """An SVG document of two panels over one axis of users."""
    reports = [plan(replace(workload, users=users), known) for users in USERS]
    parts = [
        *_panel(40, "Dollars a month", DOLLARS, costs(reports), "${:g}", marked=plan_ends(reports)),
        *_panel(
            40 + HEIGHT + GAP,
            "Share of what is free",
            SHARES,
            quotas(reports),
            "{:g} %",
            marked=ends(reports),
        ),
    ]
    size = f'width="1150" height="{2 * (HEIGHT + GAP) + 60}"'
    note = f"Measured up to {known.last:,} users; beyond that estimated, every page as read uncached."
    parts.append(f'<text x="{LEFT}" y="{2 * (HEIGHT + GAP) + 30}">{note}</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}><style>{STYLE}</style>'
    return "\n".join([head, '<rect width="100%" height="100%" fill="#fff"/>', *parts, "</svg>\n"])


def costs(reports: Sequence[Report]) -> dict[str, list[Point]]:
    """AWS alone, and Redis by plan as far as the plan reaches."""
    found = {"AWS": [(float(each.workload.users), sum(each.dollars.values())) for each in reports]}
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


def _panel(
    top: int,
    title: str,
    powers: tuple[int, int],
    series: dict[str, list[Point]],
    label: str,
    *,
    marked: dict[str, int],
) -> Iterator[str]:
    def y(value: float) -> float:
        low, high = powers
        power = min(max(log10(max(value, 1e-9)), low), high)
        return top + HEIGHT * (high - power) / (high - low)

    yield f'<text x="{LEFT}" y="{top - 12}" font-weight="bold">{title}</text>'
    for power in range(powers[0], powers[1] + 1):
        yield f'<line x1="{LEFT}" x2="{RIGHT}" y1="{y(10.0**power):.1f}" y2="{y(10.0**power):.1f}"/>'
        yield f'<text x="{LEFT - 8}" y="{y(10.0**power) + 4:.1f}" text-anchor="end">{label.format(10.0**power)}</text>'
    for power in range(1, 7):
        yield f'<line x1="{_x(10**power):.1f}" x2="{_x(10**power):.1f}" y1="{top}" y2="{top + HEIGHT}"/>'
        yield f'<text x="{_x(10**power):.1f}" y="{top + HEIGHT + 18}" text-anchor="middle">{10**power:,}</text>'
    for number, (name, points) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{_x(users):.1f},{y(value):.1f}" for users, value in points)
        yield f'<polyline points="{path}" stroke="{colour}"/>'
        said = f"{name}: ends at {marked[name]:,} users" if name in marked else name
        yield f'<text x="{RIGHT + 15}" y="{top + 14 + number * 19}" style="fill:{colour}">{said}</text>'
        if name in marked:
            value = [value for users, value in points if users <= marked[name]][-1]
            yield f'<circle cx="{_x(marked[name]):.1f}" cy="{y(value):.1f}" r="4" fill="{colour}"/>'


def _x(users: float) -> float:
    return LEFT + (RIGHT - LEFT) * (log10(users) - 1) / 5
