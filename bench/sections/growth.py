"""The section of ``bench.growth``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bench import plot
from bench.markdown import number, table
from bench.sections import Section

AXES: Final = {
    "messages": "messages in a channel",
    "channels": "channels of a user",
    "members": "members of a channel",
}
Row = Mapping[str, Any]


def growth(results: Mapping[str, Any]) -> Section:
    """Units, calls and times by size, for each thing that grows."""
    items, rounds, engine = (number(results[name]) for name in ("items", "rounds", "engine"))
    blocks = [
        f"{items} items in {engine}; medians of {rounds} calls. Units are read + write, with the calls in brackets."
    ]
    for axis, name in AXES.items():
        rows = results[axis]
        sizes = [row["size"] for row in next(iter(rows.values()))]
        blocks.append(
            table([f"units: {name}", *sizes], [(each, *map(_units, found)) for each, found in rows.items()])
        )
        blocks.append(
            table(
                [f"ms (CPU ms): {name}", *sizes],
                [(each, *map(_times, found)) for each, found in rows.items()],
            )
        )
    panels = [_panel(name, results[axis]) for axis, name in AXES.items()]
    return Section(blocks, {"growth.svg": plot.lines(panels)})


def _units(row: Row) -> str:
    return f"{number(row['read'])} + {number(row['write'])} ({number(row['calls'])})"


def _times(row: Row) -> str:
    return f"{number(row['ms'])} ({number(row['cpu_ms'])})"


def _panel(name: str, rows: Mapping[str, Sequence[Row]]) -> plot.Lines:
    series = {each: [(row["size"], row["ms"]) for row in found] for each, found in rows.items()}
    points = [point for each in series.values() for point in each]
    sizes, times = (plot.Powers.around((point[i] for point in points), "{:,g}") for i in (0, 1))
    return plot.Lines(f"Milliseconds, by {name}", sizes, times, series, x_label=name)
