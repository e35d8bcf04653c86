"""What calls of DynamoDB cost by AWS's rules, from the very items that they read and write.

No engine counts as AWS does: ministack reads flat, DynamoDB Local counts transactions wrongly and what is missing not
at all. So the items are weighed here (``bench.units``), and the engine's own figures are kept beside, to be held
against them where the engine is right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final

from bench import units
from shared.aws.protocol import AwsClient

Item = Mapping[str, Any]
READS: Final = frozenset({"GetItem", "BatchGetItem", "Query"})


@dataclass
class Bill:
    """Units since the last one was taken, by AWS's rules and as the engine said.

    ``missing`` are read units of batches for items that are not there, and of queries that find nothing, which DynamoDB
    Local leaves out. Writes of indexes are among the ``write`` units.
    """

    read: float = 0.0
    write: float = 0.0
    missing: float = 0.0
    calls: list[str] = field(default_factory=list)
    engine_read: float = 0.0
    engine_write: float = 0.0


class BilledClient:
    """A client that weighs what passes through it. For counting, not for timing: it reads what is written.

    Args:
        client: of an engine.
        table: the table's name.
    """

    def __init__(self, client: AwsClient, table: str) -> None:
        self._client = client
        self._table = table
        self._indexes = _indexes(client.call("DescribeTable", {"TableName": table})["Table"])
        self._bill = Bill()
        self._lock = Lock()  # Reads may come side by side.

    def take(self) -> Bill:
        """The bill so far; the next one begins."""
        taken, self._bill = self._bill, Bill()
        return taken

    def call(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The client's answer, weighed."""
        weighed = {
            "GetItem": self._get_item,
            "BatchGetItem": self._batch_get_item,
            "Query": self._query,
            "PutItem": self._put_item,
            "UpdateItem": self._update_item,
            "TransactWriteItems": self._transact_write_items,
        }
        return weighed[operation](arguments)

    def close(self) -> None:
        """Closes the client."""
        self._client.close()

    def _get_item(self, arguments: Item) -> dict[str, Any]:
        with self._lock:
            answer = self._call("GetItem", arguments)
            self._bill.read += units.read_units(units.sizes(answer.get("Item", {})))
        return answer

    def _batch_get_item(self, arguments: Item) -> dict[str, Any]:
        with self._lock:
            answer = self._call("BatchGetItem", arguments)
            left = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
            found = answer["Responses"].get(self._table, [])
            missing = len(arguments["RequestItems"][self._table]["Keys"]) - len(left) - len(found)
            self._bill.read += units.read_units(units.sizes(*found)) + missing
            self._bill.missing += missing
        return answer

    def _query(self, arguments: Item) -> dict[str, Any]:
        """Eventually consistent ones cost half. One that only counts is billed for what it counted."""
        with self._lock:
            answer = self._call("Query", arguments)
            whole = {name: value for name, value in arguments.items() if name != "Select"}
            items = answer["Items"] if "Items" in answer else self._client.call("Query", whole)["Items"]
            found = units.query_units(units.sizes(*items)) * (1 if arguments.get("ConsistentRead") else 0.5)
            self._bill.read += found
            self._bill.missing += 0 if items else found
        return answer

    def _put_item(self, arguments: Item) -> dict[str, Any]:
        return self._write("PutItem", arguments, [arguments["Item"]], times=1)

    def _update_item(self, arguments: Item) -> dict[str, Any]:
        return self._write("UpdateItem", arguments, [arguments["Key"]], times=1)

    def _transact_write_items(self, arguments: Item) -> dict[str, Any]:
        """Two writes of each item, one of each index."""
        parts = [part for write in arguments["TransactItems"] for part in write.values()]
        keys = [part.get("Key") or part["Item"] for part in parts]
        return self._write("TransactWriteItems", arguments, keys, times=2)

    def _write(self, operation: str, arguments: Item, items: Sequence[Item], *, times: int) -> dict[str, Any]:
        keys = [{"pk": item["pk"], "sk": item["sk"]} for item in items]
        before = [self._standing(key) for key in keys]
        try:
            return self._call(operation, arguments)
        finally:
            # A write whose condition fails is billed for what stands there.
            for old, new in zip(before, map(self._standing, keys), strict=True):
                heavier = max(units.sizes(old, new))
                self._bill.write += units.write_units([heavier]) * times
                self._bill.write += sum(_index_units(each(old), each(new)) for each in self._indexes)

    def _standing(self, key: Item) -> Item:
        answer = self._client.call("GetItem", {"TableName": self._table, "Key": key, "ConsistentRead": True})
        item: Item = answer.get("Item", {})
        return item

    def _call(self, operation: str, arguments: Item) -> dict[str, Any]:
        self._bill.calls.append(operation)
        answer = self._client.call(operation, arguments)
        consumed = answer.get("ConsumedCapacity") or {}
        each = consumed if isinstance(consumed, list) else [consumed]
        said = sum(one.get("CapacityUnits", 0.0) for one in each)
        if operation in READS:
            self._bill.engine_read += said
        else:
            self._bill.engine_write += said
        return answer


@dataclass(frozen=True)
class Entry:
    """What an index holds of an item."""

    key: tuple[str, ...]
    kept: Item


Project = Callable[[Item], Entry | None]


def _indexes(table: Mapping[str, Any]) -> list[Project]:
    keys = [key["AttributeName"] for key in table["KeySchema"]]
    return [_projection(keys, index) for index in table.get("GlobalSecondaryIndexes", ())]


def _projection(table_keys: Sequence[str], index: Mapping[str, Any]) -> Project:
    """An item's entry; None where the item lacks one of the index's keys."""
    wanted = [key["AttributeName"] for key in index["KeySchema"]]
    names = {*table_keys, *wanted, *index["Projection"].get("NonKeyAttributes", ())}

    def project(item: Item) -> Entry | None:
        if not all(name in item for name in wanted):
            return None
        kept = {name: value for name, value in item.items() if name in names}
        return Entry(tuple(str(item[name]) for name in wanted), kept)

    return project


def _index_units(old: Entry | None, new: Entry | None) -> int:
    """One write for an entry that comes, goes or changes; two where it moves."""
    if old == new:
        return 0
    weights = units.sizes(*(each.kept for each in (old, new) if each))
    moves = old and new and old.key != new.key
    return units.write_units(weights if moves else [max(weights)])
