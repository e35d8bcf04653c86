"""What an item and a call cost by AWS's rules.

From "DynamoDB item sizes and formats" and "DynamoDB read and write operations", read in November 2026.
"""

from __future__ import annotations

from math import ceil

from shared.store.items import Item

WRITE_BYTES = 1024
READ_BYTES = 4096


def item_size(item: Item) -> int:
    """Bytes of an item: of the names and the values of its attributes."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(value: object) -> int:
    match value:
        case {"S": str(text)}:
            return len(text.encode())
        case {"N": str(number)}:
            return _number_size(number)
        case {"B": bytes(raw)}:
            return len(raw)
        case {"BOOL": bool()} | {"NULL": bool()}:
            return 1
    raise TypeError(f"an attribute of a kind that the table does not have: {value!r}")


def _number_size(text: str) -> int:
    """A byte for each two significant digits, and one; one more below zero. Zeros at either end do not count."""
    digits = text.lstrip("-").strip("0")
    return ceil(len(digits) / 2) + 1 + text.startswith("-")


def write_units(*items: Item) -> int:
    """Of writes outside of a transaction, or half of those inside: a unit for each KB begun of each item."""
    return sum(max(1, ceil(item_size(item) / WRITE_BYTES)) for item in items)


def transaction_units(*items: Item) -> int:
    """Of a transaction that writes these items."""
    return 2 * write_units(*items)


def get_units(*items: Item) -> int:
    """Of strongly consistent reads by key, single or in a batch: each item for itself; nothing costs as much as one."""
    return sum(max(1, ceil(item_size(item) / READ_BYTES)) for item in items)


def query_units(*items: Item) -> int:
    """Of one strongly consistent Query: what it reads is summed before it is rounded up."""
    return max(1, ceil(sum(map(item_size, items)) / READ_BYTES))
