"""A wrapper of the DynamoDB client that counts, prices and times calls.

No engine counts units as AWS does: ministack counts each read as one unit, DynamoDB Local counts transactions wrongly
and missing items not at all. So units are computed here from the items themselves (``operators.units``); the engine's
own figures are kept to compare them with where the engine is right.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from threading import RLock
from typing import Any, Final

from bench.lib.timing import DYNAMODB_MS, Stopwatch
from operators import units
from shared.aws.protocol import AwsClient

Call = Mapping[str, Any]
Item = Mapping[str, Any]
TRANSACT: Final = "TransactWriteItems"
BATCH_GET: Final = "BatchGetItem"
GET: Final = "GetItem"
QUERY: Final = "Query"
UPDATE: Final = "UpdateItem"
READS: Final = frozenset({GET, BATCH_GET, QUERY})
RESERVATIONS: Final = "reservations"
"""The name under which updates that reserve positions are counted."""


@dataclass
class Tally:
    """What calls cost since the last tally, by AWS's rules and by the engine's count.

    Attributes:
        read: Read units.
        write: Write units; of an exact tally including those of indexes.
        missing: Those read units that are for missing items of batches and for empty queries, which DynamoDB Local does
            not count.
        calls: Calls by operation.
        engine_read: Read units as the engine counts them.
        engine_write: Write units as the engine counts them.
        work_ms: CPU time within calls.
    """

    read: float = 0.0
    write: float = 0.0
    missing: float = 0.0
    calls: Counter[str] = field(default_factory=Counter)
    engine_read: float = 0.0
    engine_write: float = 0.0
    work_ms: float = 0.0


class MeasuredClient:
    """Wraps a client.

    Args:
        client: Budgie's, or another.
        exact: a table whose writes are priced by reading each item before and after: for counting, not for timing.
            Without it no reads and indexes are priced, and updated items count as 1 KB, below which their limits keep
            heads and memberships.
        stopwatch: adds up 4 ms for each call.
    """

    def __init__(self, client: AwsClient, *, exact: str = "", stopwatch: Stopwatch | None = None) -> None:
        self._client = client
        self._pricer = Pricer(client, exact) if exact else None
        self._stopwatch = stopwatch or Stopwatch()
        self._lock = RLock()
        self.tally = Tally()

    def take(self) -> Tally:
        """Returns the tally, and begins a new one."""
        with self._lock:
            taken, self.tally = self.tally, Tally()
            return taken

    def close(self) -> None:
        """Closes the client."""
        self._client.close()

    def call(self, operation: str, arguments: Call) -> dict[str, Any]:
        """The client's response."""
        with self._lock:
            self.tally.calls[_counted_as(operation, arguments)] += 1
        # Reads may run concurrently, but nothing may happen between the reads before and after an exact write.
        with self._lock if self._pricer else nullcontext():
            priced = self._pricer.writing(operation, arguments) if self._pricer else None
            started = time.thread_time()
            try:
                response = self._client.call(operation, arguments)
            finally:
                self._stopwatch.add(DYNAMODB_MS)
                with self._lock:
                    self.tally.work_ms += (time.thread_time() - started) * 1000
                    self.tally.write += priced() if priced else write_units(operation, arguments)
            with self._lock:
                self._note(operation, arguments, response)
            return response

    def _note(self, operation: str, call: Call, response: Call) -> None:
        consumed = response.get("ConsumedCapacity") or []
        reported = consumed if isinstance(consumed, list) else [consumed]
        engine_units = sum(each.get("CapacityUnits", 0.0) for each in reported)
        if operation not in READS:
            self.tally.engine_write += engine_units
            return
        self.tally.engine_read += engine_units
        if self._pricer:
            read, missing = self._pricer.reading(operation, call, response)
            self.tally.read += read
            self.tally.missing += missing


class Pricer:
    """Computes the units of calls by AWS's rules, from the items of a table and of its indexes."""

    def __init__(self, client: AwsClient, table: str) -> None:
        self._client, self._table = client, table
        described = client.call("DescribeTable", {"TableName": table})["Table"]
        self._indexes = [
            Index.of(described["KeySchema"], each) for each in described.get("GlobalSecondaryIndexes", ())
        ]

    def reading(self, operation: str, call: Call, response: Call) -> tuple[float, float]:
        """Units of a read, and those of them for missing items. Eventually consistent reads cost half."""
        if operation == GET:
            return units.read_units(units.sizes(response.get("Item", {}))), 0
        if operation == BATCH_GET:
            left = response.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
            found = response["Responses"].get(self._table, [])
            asked = call["RequestItems"][self._table]
            missing, factor = len(asked["Keys"]) - len(left) - len(found), _consistency_factor(asked)
            return (units.read_units(units.sizes(*found)) + missing) * factor, missing * factor
        # A Query that only counts is billed for the items that it counted.
        whole = {name: value for name, value in call.items() if name != "Select"}
        items = response["Items"] if "Items" in response else self._client.call(QUERY, whole)["Items"]
        cost = units.query_units(units.sizes(*items)) * _consistency_factor(call)
        return cost, 0 if items else cost

    def writing(self, operation: str, call: Call) -> Callable[[], float] | None:
        """Returns a function that computes a write's units once it was made; None for a read.

        A write whose condition fails is billed for the existing item.
        """
        writes, times = _writes(operation, call)
        if not writes:
            return None
        items = [each.get("Key") or each["Item"] for each in writes]
        item_keys = [{"pk": item["pk"], "sk": item["sk"]} for item in items]
        before = [self._stored(key) for key in item_keys]

        def units_of() -> float:
            pairs = list(zip(before, map(self._stored, item_keys), strict=True))
            table = sum(units.write_units([max(units.sizes(*pair))]) * times for pair in pairs)
            # Writes of indexes are not doubled in transactions.
            return table + sum(index.units(*pair) for pair in pairs for index in self._indexes)

        return units_of

    def _stored(self, key: Item) -> Item:
        get = {"TableName": self._table, "Key": key, "ConsistentRead": True}
        item: Item = self._client.call(GET, get).get("Item", {})
        return item


def _consistency_factor(read: Mapping[str, Any]) -> float:
    return 1 if read.get("ConsistentRead") else 0.5


@dataclass(frozen=True, slots=True)
class Index:
    """The names of an index's keys, and of all attributes that it projects."""

    keys: Sequence[str]
    names: frozenset[str]

    @classmethod
    def of(cls, table_keys: Sequence[Mapping[str, str]], described: Mapping[str, Any]) -> Index:
        """From ``DescribeTable``."""
        keys, others = (
            [each["AttributeName"] for each in some] for some in (described["KeySchema"], table_keys)
        )
        return cls(keys, frozenset({*keys, *others, *described["Projection"].get("NonKeyAttributes", ())}))

    def units(self, old: Item, new: Item) -> int:
        """Write units of an item's change: one if its projection is added, removed or changed, two if it moves."""
        before, after = self._projected(old), self._projected(new)
        if before == after:
            return 0
        sizes = units.sizes(*(each for each in (before, after) if each))
        moves = before and after and any(before[key] != after[key] for key in self.keys)
        return units.write_units(sizes if moves else [max(sizes)])

    def _projected(self, item: Item) -> Item | None:
        """None if the item lacks one of the index's keys."""
        if not all(key in item for key in self.keys):
            return None
        return {name: value for name, value in item.items() if name in self.names}


def _counted_as(operation: str, call: Call) -> str:
    reserves = operation == UPDATE and ":count" in call.get("ExpressionAttributeValues", {})
    return RESERVATIONS if reserves else operation


def _writes(operation: str, call: Call) -> tuple[list[Call], int]:
    """The writes of a call, and how many times their units each is billed."""
    if operation == TRANSACT:
        return [part for write in call["TransactItems"] for part in write.values()], 2
    return ([call] if operation in {UPDATE, "PutItem", "DeleteItem"} else []), 1


def write_units(operation: str, call: Call) -> int:
    """Units of a call's writes; updated items (heads and memberships) count as 1 KB."""
    writes, times = _writes(operation, call)
    return units.write_units(units.size(each.get("Item", {})) for each in writes) * times
