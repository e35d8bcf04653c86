"""Figures as Markdown: numbers, tables, and any JSON as tables of tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

WHOLE: Final = 1_000
"""From here on a number is written without a fraction."""


def number(value: object) -> str:
    """A figure as one reads it: thousands apart, four digits that matter, ``-`` for none."""
    if isinstance(value, list):
        return ", ".join(map(number, value))
    if value is None or isinstance(value, bool):
        return {None: "-", True: "yes", False: "no"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= WHOLE else f"{value:.4g}"
    return str(value)


def money(value: float | None) -> str:
    """Dollars and cents; ``-`` for none."""
    return "-" if value is None else f"${value:,.2f}"


def table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A table, its first column to the left, the others to the right."""
    lines = [_row(header), "|---|" + "---:|" * (len(header) - 1), *map(_row, rows)]
    return "\n".join(lines)


def _row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(number(cell).replace("|", "\\|") for cell in cells) + " |"


def targets(found: Mapping[str, bool]) -> str:
    """Each target, and whether it was reached."""
    if not found:
        return "No targets are set for this run."
    return "\n".join(f"- {'held' if held else '**MISSED**'}: {name}" for name, held in found.items())


def nested(results: Mapping[str, Any], level: int = 3) -> list[str]:
    """Any JSON: what is one figure in a table, what is alike in another, the rest under headings of its own."""
    plain = {name: value for name, value in results.items() if _is_plain(value)}
    blocks = [table(["", ""], plain.items())] if plain else []
    for name, value in results.items():
        if name not in plain:
            blocks += [f"{'#' * level} {name}", *_inner(value, level + 1)]
    return blocks


def _inner(value: object, level: int) -> Iterator[str]:
    rows = value if isinstance(value, list) else []
    if isinstance(value, Mapping):
        if value and all(_is_flat(each) for each in value.values()):
            rows = [{"": name, **each} for name, each in value.items()]
        else:
            yield from nested(value, level)
    if rows and all(_is_flat(row) for row in rows):
        columns = list(dict.fromkeys(name for row in rows for name in row))
        yield table(columns, ([row.get(name, "") for name in columns] for row in rows))
    else:
        for i, row in enumerate(rows, start=1):
            yield from nested(row if isinstance(row, Mapping) else {str(i): row}, level)


def _is_plain(value: object) -> bool:
    return not isinstance(value, Mapping | list) or (
        isinstance(value, list) and all(not isinstance(each, Mapping | list) for each in value)
    )


def _is_flat(value: object) -> bool:
    return isinstance(value, Mapping) and all(map(_is_plain, value.values()))
