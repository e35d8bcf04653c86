"""Any JSON as tables in Markdown: one way for all benchmarks, in the terminal and in the report.

Figures stand in a table of their own; whatever has the same fields several times is a table with a row for each; what
else is nested has a heading. A table that would be too wide is split where its rows are nested.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any, Final

WHOLE: Final = 1_000
"""From here on a number is written without a fraction."""
WIDEST: Final = 14
"""Columns of a table into which nested fields are put side by side."""
Row = Mapping[str, Any]


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


def table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A table, its first column to the left, the others to the right."""
    return "\n".join([_line(header), "|---|" + "---:|" * (len(header) - 1), *map(_line, rows)])


def _line(cells: Sequence[object]) -> str:
    return "| " + " | ".join(number(cell).replace("|", "\\|") for cell in cells) + " |"


def nested(results: Row, level: int = 3, without: Collection[str] = ()) -> list[str]:
    """Blocks of Markdown with every figure of a result.

    Args:
        results: JSON.
        level: of the headings.
        without: names of fields, at any depth, that are left out.
    """
    shown = {name: value for name, value in results.items() if name not in without}
    plain = {name: value for name, value in shown.items() if _is_plain(value)}
    blocks = [table(["", ""], plain.items())] if plain else []
    for name, value in shown.items():
        if name not in plain and value:
            blocks += [f"{'#' * level} {_said(name)}", *_inner(value, level + 1, without)]
    return blocks


def _inner(value: Any, level: int, without: Collection[str]) -> Iterator[str]:  # noqa: ANN401 - any JSON
    rows = list(_rows(value))
    if len(rows) == 1 and not all(map(_is_plain, rows[0][1].values())):
        yield from nested(rows[0][1] if isinstance(value, list) else value, level, without)
    elif _are_alike([row for _, row in rows]):
        yield from _table(rows, level, without)
    elif isinstance(value, Mapping):
        yield from nested(value, level, without)
    else:
        for i, each in enumerate(value, 1):
            yield from nested(each if isinstance(each, Mapping) else {str(i): each}, level, without)


def _rows(value: Any) -> Iterator[tuple[str, Row]]:  # noqa: ANN401 - any JSON
    """Rows with their names; of a list of rows they have none, of lists by name the list's."""
    named = value.items() if isinstance(value, Mapping) else [("", value)]
    for name, each in named:
        if isinstance(each, list):
            yield from ((name, row if isinstance(row, Mapping) else {}) for row in each)
        else:
            yield name, each if isinstance(each, Mapping) else {}


def _are_alike(rows: Sequence[Row]) -> bool:
    """Whether they share at least half of their fields, so that a table of them is no checker-board."""
    fields = [set(row) for row in rows]
    return bool(rows) and 2 * len(set.intersection(*fields)) >= len(set.union(*fields)) > 0


def _table(rows: Sequence[tuple[str, Row]], level: int, without: Collection[str]) -> Iterator[str]:
    columns = [each for each in dict.fromkeys(name for _, row in rows for name in row) if each not in without]
    groups = {
        column: [
            (name or _named(row), row[column]) for name, row in rows if isinstance(row.get(column), Mapping)
        ]
        for column in columns
    }
    flat = {
        column: list(dict.fromkeys(field for _, each in of for field in each if field not in without))
        for column, of in groups.items()
    }
    is_flat = all(_is_plain(value) for of in groups.values() for _, each in of for value in each.values())
    if is_flat and len(columns) + sum(map(len, flat.values())) <= WIDEST:
        rows = [(name, _flattened(row, without)) for name, row in rows]
        columns = [each for column in columns for each in (_joined(column, flat[column]) or [column])]
        groups = {column: [] for column in columns}
    plain = [column for column in columns if not groups[column] and _any_plain(column, rows)]
    if plain:
        names = [""] if any(name for name, _ in rows) else []
        cells = ([name][: len(names)] + [row.get(column, "") for column in plain] for name, row in rows)
        yield table([*names, *map(_said, plain)], cells)
    for column, of in groups.items():
        if of:
            yield f"{'#' * level} {_said(column)}"
            yield from _inner(dict(of), level + 1, without)


def _named(row: Row) -> str:
    """What a row of a list is called where its nested fields stand in tables of their own."""
    return ", ".join(map(number, takewhile(lambda value: isinstance(value, str | int), row.values())))


def _flattened(row: Row, without: Collection[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            found |= {f"{name} {inner}": each for inner, each in value.items() if inner not in without}
        else:
            found[name] = value
    return found


def _joined(column: str, fields: Sequence[str]) -> list[str]:
    return [f"{column} {field}" for field in fields]


def _any_plain(column: str, rows: Sequence[tuple[str, Row]]) -> bool:
    return any(column in row and _is_plain(row[column]) for _, row in rows)


def _said(name: str) -> str:
    return name.replace("_", " ")


def _is_plain(value: object) -> bool:
    return not isinstance(value, Mapping | list) or (
        isinstance(value, list) and all(not isinstance(each, Mapping | list) for each in value)
    )
