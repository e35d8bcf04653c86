"""What operations cost, as ``bench.measure`` found it, for any number of users.

Between the numbers that were measured it is interpolated, evenly by the number's logarithm.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import pairwise
from math import log
from pathlib import Path
from typing import Any, Final

MEASURED: Final = Path(__file__).with_name("measured.json")
Scale = Mapping[str, Any]
Figure = Callable[[Scale], float]
Point = tuple[float, float]


class Measured:
    """What ``bench.measure`` found."""

    def __init__(self, found: Mapping[str, Any]) -> None:
        self.found = found
        self.scales: list[Scale] = found["scales"]
        self.uncached: Scale = found["uncached"]
        self.cold_start_ms: float = found["cold_start_ms"]
        self.last: int = self.scales[-1]["users"]
        self.message_bytes: float = self.scales[0]["message_bytes"]

    def grows(self, users: float, figure: Figure) -> float:
        """A figure of a day: interpolated; below what was measured in proportion, beyond it as it grew last."""
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
        """A figure of one request: interpolated; beyond what was measured that of no cache, if there is one."""
        points: list[Point] = [(scale["users"], figure(scale)) for scale in self.scales]
        if users <= points[0][0]:
            return points[0][1]
        if users > points[-1][0]:
            return beyond(self.uncached) if beyond else points[-1][1]
        (left, low), (right, high) = _around(points, users)
        return low + (high - low) * log(users / left) / log(right / left)


def _growth(points: Sequence[Point]) -> float:
    """The power of the users by which a figure grew between the last two numbers, from 0 to 1."""
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
