"""The expected response of each operation to each caller, from ``docs/authorization.yaml``.

``python -m tools.authorization`` writes the tables of ``docs/security.md``; with ``--check`` it compares them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tools.generated import replaced, run

ROOT: Final = Path(__file__).resolve().parents[1]
DECLARED: Final = ROOT / "docs/authorization.yaml"
DOCUMENT: Final = ROOT / "docs/security.md"
ROWS: Final = {"public": ("public",), "private": ("private",), "direct": ("direct", "group")}
"""The kinds of channels that each row of an act is about."""


@dataclass(frozen=True)
class Act:
    """What a caller does to a channel through an operation; a cell for each row of ``ROWS`` and caller.

    A cell is the status, with a refusal's code or with what a list shows; None if no such caller can exist.
    """

    operation: str
    name: str
    cells: Mapping[str, Sequence[str | None]]

    def __str__(self) -> str:
        return f"{self.operation}: {self.name}"


@dataclass(frozen=True)
class Matrix:
    """Everything that is declared."""

    tokens: Sequence[str]
    open: frozenset[str]
    callers: Sequence[str]
    acts: Sequence[Act]

    @property
    def operations(self) -> list[str]:
        """Distinct values in order."""
        return list(dict.fromkeys(act.operation for act in self.acts))

    def cells(self) -> Iterator[tuple[Act, str, str, str]]:
        """Each cell that can exist: act, kind, caller, and the expected response."""
        for act in self.acts:
            for row, kinds in ROWS.items():
                for caller, cell in zip(self.callers, act.cells[row], strict=True):
                    if cell is not None:
                        yield from ((act, kind, caller, cell) for kind in kinds)

    def refuses(self, operation: str) -> bool:
        """Whether an operation requires a token."""
        return operation not in self.open


def load(path: Path = DECLARED) -> Matrix:
    """Reads the declaration.

    Raises:
        ValueError, KeyError: an act lacks a kind or a cell.
    """
    declared = yaml.safe_load(path.read_text(encoding="utf-8"))
    callers = declared["callers"]
    acts = [_act(each, len(callers)) for each in declared["acts"]]
    return Matrix(declared["tokens"], frozenset(declared["open"]), callers, acts)


def _act(declared: Mapping[str, Any], callers: int) -> Act:
    cells = {kind: [None if cell is None else str(cell) for cell in declared[kind]] for kind in ROWS}
    for kind, row in cells.items():
        if len(row) != callers:
            raise ValueError(f"{declared['operation']}, {declared['act']}, {kind}: {len(row)} cells")
    return Act(declared["operation"], declared["act"], cells)


def tables(matrix: Matrix) -> dict[str, str]:
    """The tables by their names in the document."""
    tokens = [
        [f"`{operation}`", *["401" if matrix.refuses(operation) else "200"] * len(matrix.tokens)]
        for operation in matrix.operations
    ]
    callers = [
        [f"`{act.operation}`", act.name, ", ".join(kinds), *(cell or "-" for cell in act.cells[row])]
        for act in matrix.acts
        for row, kinds in ROWS.items()
    ]
    return {
        "tokens": table(["operation", *matrix.tokens], tokens),
        "callers": table(["operation", "act", "channel", *matrix.callers], callers),
    }


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the tables, or compares them."""
    return run(DOCUMENT, lambda text: replaced(text, tables(load())), "security-table", arguments)


if __name__ == "__main__":
    sys.exit(main())
