"""DynamoDB's units from item sizes, by AWS's rules: what the storage in memory would have cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil
from typing import Any, Final

READ_BYTES: Final = 4096
WRITE_BYTES: Final = 1024


def size(item: Mapping[str, Mapping[str, Any]]) -> int:
    """Bytes of an item: names and values in UTF-8; a number about half its digits and one or two more."""
    return sum(len(name.encode()) + _value(value) for name, value in item.items())


def read_units(sizes: Iterable[int]) -> int:
    """Strongly consistent reads of items one by one; a missing item counts as one of no bytes."""
    return sum(max(1, ceil(each / READ_BYTES)) for each in sizes)


def query_units(sizes: Iterable[int]) -> int:
    """A strongly consistent Query, which adds its items up first."""
    return max(1, ceil(sum(sizes) / READ_BYTES))


def write_units(sizes: Iterable[int], *, transaction: bool = False) -> int:
    """Writes of items one by one; in a transaction each counts twice."""
    return sum(max(1, ceil(each / WRITE_BYTES)) for each in sizes) * (2 if transaction else 1)


def _value(value: Mapping[str, Any]) -> int:
    kind, content = next(iter(value.items()))
    if kind == "N":
        return len(content.lstrip("-")) // 2 + 2
    return len(content.encode()) if kind == "S" else len(content)
