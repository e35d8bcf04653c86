"""Charts as SVG documents, drawn by hand: lines over a logarithmic axis, and bars.

Everything is placed in pixels; a panel takes the strip from its ``top`` on, and the legend stands to the right of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from math import ceil, floor, log10
from typing import Final

LEFT, RIGHT, HEIGHT, GAP = 70, 770, 330, 90
WIDTH: Final = 1150
COLOURS: Final = (
    *("#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad", "#d68910", "#16a085", "#7f8c8d"),
    *("#2c3e50", "#e84393", "#6c5c00"),
)
STYLE: Final = "text{font:12px sans-serif;fill:#222}line{stroke:#ddd}polyline{fill:none;stroke-width:1.8}"
BAR, BAR_GAP, NAMES = 16, 8, 270
"""Of a chart of bars: a bar's height, what is between two, and the width of their names."""
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Powers:
    """A logarithmic axis from one power of ten to another; ``label`` formats its ticks."""

    low: int
    high: int
    label: str = "{:g}"

    @classmethod
    def around(cls, values: Iterable[float], label: str = "{:g}") -> Powers:
        """As long as these values need."""
        powers = [log10(value) for value in values if value > 0] or [0.0]
        low, high = floor(min(powers)), ceil(max(powers))
        return cls(low, max(high, low + 1), label)

    def share(self, value: float) -> float:
        """How far along the axis a value lies, 0 to 1; beyond its ends at them."""
        power = min(max(log10(max(value, 1e-9)), self.low), self.high)
        return (power - self.low) / (self.high - self.low)

    def ticks(self) -> list[tuple[float, str]]:
        """Values, and how they are written."""
        values = [10.0**power for power in range(self.low, self.high + 1)]
        return [(value, self.label.format(value)) for value in values]


@dataclass(frozen=True, slots=True)
class Lines:
    """A panel of lines.

    Attributes:
        title: Above it.
        x: The horizontal axis.
        y: The vertical axis.
        series: Points by name, in the order of x.
        ends: For a series that ends somewhere its last x and what the legend says of it.
        x_label: What x counts.
    """

    title: str
    x: Powers
    y: Powers
    series: Mapping[str, Sequence[Point]]
    ends: Mapping[str, tuple[float, str]] = field(default_factory=dict)
    x_label: str = ""

    def drawn(self, top: float) -> Iterator[str]:
        """The parts of the panel."""
        yield text(LEFT, top - 12, self.title, style="font-weight:bold")
        for value, label in self.y.ticks():
            y = self._y(top, value)
            yield f'<line x1="{LEFT}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            yield text(LEFT - 8, y + 4, label, anchor="end")
        for value, label in self.x.ticks():
            x = self._x(value)
            yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{top + HEIGHT}"/>'
            yield text(x, top + HEIGHT + 18, label, anchor="middle")
        if self.x_label:
            yield text((LEFT + RIGHT) / 2, top + HEIGHT + 36, self.x_label, anchor="middle")
        for number, name in enumerate(self.series):
            yield from self._line(top, number, name)

    def _line(self, top: float, number: int, name: str) -> Iterator[str]:
        points, colour = self.series[name], COLOURS[number % len(COLOURS)]
        path = " ".join(f"{self._x(x):.1f},{self._y(top, y):.1f}" for x, y in points)
        yield f'<polyline points="{path}" stroke="{colour}"/>'
        end, note = self.ends.get(name, (0.0, ""))
        said = f"{name}: {note}" if note else name
        yield text(RIGHT + 15, top + 14 + number * 19, said, style=f"fill:{colour}")
        if note:
            value = [y for x, y in points if x <= end][-1]
            yield f'<circle cx="{self._x(end):.1f}" cy="{self._y(top, value):.1f}" r="4" fill="{colour}"/>'

    def _x(self, value: float) -> float:
        return LEFT + (RIGHT - LEFT) * self.x.share(value)

    def _y(self, top: float, value: float) -> float:
        return top + HEIGHT * (1 - self.y.share(value))


def lines(panels: Sequence[Lines], note: str = "") -> str:
    """A document of panels below each other, and a remark at its end."""
    parts = [part for number, each in enumerate(panels) for part in each.drawn(40 + number * (HEIGHT + GAP))]
    height = len(panels) * (HEIGHT + GAP)
    return document(height + 60, [*parts, text(LEFT, height + 30, note)] if note else parts)


def bars(
    title: str, rows: Mapping[str, Mapping[str, float]], label: str, goals: Mapping[str, float] | None = None
) -> str:
    """A document of horizontal bars, each made of parts.

    Args:
        title: above it.
        rows: for each bar its parts by name, from left to right.
        label: formats the sum at a bar's end.
        goals: for some bars a value that they should not exceed, drawn as a line across.
    """
    parts = list(dict.fromkeys(name for each in rows.values() for name in each))
    longest = max([sum(each.values()) for each in rows.values()] + list((goals or {}).values()))
    scale = (WIDTH - NAMES - 120) / (longest or 1)
    drawn = [text(10, 22, title, style="font-weight:bold"), *_legend(parts)]
    for number, (name, values) in enumerate(rows.items()):
        y, x = 64 + number * (BAR + BAR_GAP), float(NAMES)
        drawn.append(text(NAMES - 8, y + BAR - 4, name, anchor="end"))
        for part, value in values.items():
            colour = COLOURS[parts.index(part) % len(COLOURS)]
            drawn.append(
                f'<rect x="{x:.1f}" y="{y}" width="{value * scale:.1f}" height="{BAR}" fill="{colour}"/>'
            )
            x += value * scale
        drawn.append(text(x + 6, y + BAR - 4, label.format(sum(values.values()))))
        if goals and name in goals:
            at = NAMES + goals[name] * scale
            drawn.append(
                f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{y - 3}" y2="{y + BAR + 3}" style="stroke:#000"/>'
            )
    return document(80 + len(rows) * (BAR + BAR_GAP), drawn)


def _legend(names: Sequence[str]) -> Iterator[str]:
    x = float(NAMES)
    for number, name in enumerate(names if len(names) > 1 else ()):
        yield text(x, 44, name, style=f"fill:{COLOURS[number % len(COLOURS)]}")
        x += 7.5 * len(name) + 20


def text(x: float, y: float, said: str, *, anchor: str = "start", style: str = "") -> str:
    """Words at a place."""
    styled = f' style="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{styled}>{escape(said)}</text>'


def document(height: float, parts: Iterable[str]) -> str:
    """An SVG document on white."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height:.0f}"><style>{STYLE}</style>'
    return "\n".join([head, '<rect width="100%" height="100%" fill="#fff"/>', *parts, "</svg>\n"])
