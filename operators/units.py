"""What an item and a call cost by AWS's rules, for the capacity planner, the benchmarks and the tests.

From "DynamoDB item sizes and formats" and "DynamoDB read and write operations", read in November 2026.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil
from typing import Any, Final

Item = Mapping[str, Any]
READ_BYTES: Final = 4096
WRITE_BYTES: Final = 1024


def size(item: Item) -> int:
    """Bytes of an item: of its attributes' names and values."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def sizes(*items: Item) -> list[int]:
    """Bytes of each of these items."""
    return [size(item) for item in items]


def _value_size(value: object) -> int:  # noqa: PLR0911 - one for each kind of attribute
    match value:
        case {"S": str(text)}:
            return len(text.encode())
        case {"N": str(number)}:
            return _number_size(number)
        case {"B": bytes(raw)}:
            return len(raw)
        case {"NS": list(numbers)}:
            return sum(map(_number_size, numbers))
        case {"SS": list(texts)}:
            return sum(len(text.encode()) for text in texts)
        case {"L": list(values)}:
            return 3 + sum(1 + _value_size(each) for each in values)
        case {"BOOL": bool()} | {"NULL": bool()}:
            return 1
    raise TypeError(f"an attribute of a kind that the table does not have: {value!r}")


def _number_size(text: str) -> int:
    """A byte for each two digits, without leading and trailing zeros, and one more; another one if negative."""
    digits = text.lstrip("-").strip("0")
    return ceil(len(digits) / 2) + 1 + text.startswith("-")


def read_units(item_sizes: Iterable[int]) -> int:
    """Units of strongly consistent reads by key, single or in a batch: per item; a missing item costs one."""
    return sum(max(1, ceil(each / READ_BYTES)) for each in item_sizes)


def query_units(item_sizes: Iterable[int]) -> int:
    """Units of one strongly consistent Query: its items' sizes are added before they are rounded up."""
    return max(1, ceil(sum(item_sizes) / READ_BYTES))


def write_units(item_sizes: Iterable[int], *, transaction: bool = False) -> int:
    """Units of writes: one for each KB or part of it, per item; doubled in a transaction."""
    return sum(max(1, ceil(each / WRITE_BYTES)) for each in item_sizes) * (2 if transaction else 1)
