"""Any JSON result as Markdown tables, for the terminal and for the report.

Single values share one table. Rows with flat fields become a table, nested fields named by their path. Anything else
gets a heading and is shown below it by the same rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

WHOLE: Final = 1_000
"""From this value on, numbers are written without a fraction."""
WIDEST: Final = 32
"""Columns of the widest table, that of an operation's costs; wider rows are shown one by one."""
Row = Mapping[str, Any]


def number(value: object) -> str:
    """A value for a reader: thousands separators, four significant digits, ``-`` for None."""
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
    """A Markdown table; the first column is aligned left, the others right."""
    return "\n".join([_line(header), "|---|" + "---:|" * (len(header) - 1), *map(_line, rows)])


def _line(cells: Sequence[object]) -> str:
    return "| " + " | ".join(number(cell).replace("|", "\\|") for cell in cells) + " |"


def nested(results: Row, level: int = 3) -> Iterator[str]:
    """Markdown blocks that show every figure of a result; ``level`` is that of the headings."""
    if plain := {name: value for name, value in results.items() if _is_plain(value)}:
        yield table(["", ""], [(name.replace("_", " "), value) for name, value in plain.items()])
    for name, value in results.items():
        if name in plain or not value:
            continue
        yield f"{'#' * level} {name.replace('_', ' ')}"
        found = [(label, flat(row)) for label, row in rows(value)]
        columns = list(dict.fromkeys(column for _, row in found for column in row))
        if (
            found
            and len(columns) <= WIDEST
            and all(map(_is_plain, (each for _, row in found for each in row.values())))
        ):
            label = [""] if any(label for label, _ in found) else []
            cells = (
                [name, *(row.get(each, "") for each in columns)][1 - len(label) :] for name, row in found
            )
            yield table([*label, *(column.replace("_", " ") for column in columns)], cells)
        else:
            parts = value if isinstance(value, Mapping) else {str(i): each for i, each in enumerate(value, 1)}
            yield from nested(parts, level + 1)


def rows(value: Any) -> list[tuple[str, Row]]:  # noqa: ANN401 - any JSON
    """Labelled rows of a list, of rows by name, or of lists by name; empty if something in it is not a row."""
    named = value.items() if isinstance(value, Mapping) else [("", value)]
    found = [(name, row) for name, each in named for row in (each if isinstance(each, list) else [each])]
    return found if all(isinstance(row, Mapping) for _, row in found) else []


def flat(row: Row, prefix: str = "") -> dict[str, Any]:
    """A row whose nested fields are named by their path, such as ``dollars dynamodb``."""
    found: dict[str, Any] = {}
    for name, value in row.items():
        found |= flat(value, f"{prefix}{name} ") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return found


def _is_plain(value: object) -> bool:
    if isinstance(value, list):
        return not any(isinstance(each, Mapping | list) for each in value)
    return not isinstance(value, Mapping)
