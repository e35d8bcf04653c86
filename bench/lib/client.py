"""One wrapper of the DynamoDB client: it counts, prices, times and fails what goes through it.

No engine counts as AWS does: ministack reads flat, DynamoDB Local counts transactions wrongly and what is missing not
at all. So the very items are weighed here (``operators.units``), and the engine's own figures are kept beside, to be
held against them where the engine is right.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from threading import RLock
from typing import Any, Final

from bench.lib.timing import DYNAMODB_MS, Stopwatch
from operators import units
from shared.aws.protocol import AwsClient, ServiceError
from shared.domain import keys

Call = Mapping[str, Any]
Item = Mapping[str, Any]
TRANSACT: Final = "TransactWriteItems"
BATCH_GET: Final = "BatchGetItem"
GET: Final = "GetItem"
QUERY: Final = "Query"
UPDATE: Final = "UpdateItem"
SINGLE_WRITES: Final = frozenset({UPDATE, "PutItem"})
READS: Final = frozenset({GET, BATCH_GET, QUERY})
TAKES: Final = "takes"
"""What updates that reserve positions are counted as."""
VOIDS: Final = "voids"
"""What transactions that fill positions with voids are counted as."""
_FREE: Final = frozenset({"ProvisionedThroughputExceededException", "ThrottlingException"})
_ENTRY: Final = "E#"
_GAP: Final = "G#"
_NONE: Final = {"Code": "None"}
_CONFLICT: Final = {"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}
_THROTTLED: Final = {
    "Code": "ThrottlingError",
    "Message": "Throughput exceeds the current capacity of your table or index.",
}


@dataclass(frozen=True, slots=True)
class FaultRates:
    """Shares of calls that fail, 0 to 1, of what is left after the client's own tries.

    Attributes:
        throttled: Of all calls. Half of the batch reads that it meets leave their keys unprocessed instead of failing;
            half of the transactions name it as a reason, which no client tries again.
        conflicts: Of transactions, each by one item, drawn at random.
        busy: Of single writes: the item is part of a transaction just now.
    """

    throttled: float = 0.0
    conflicts: float = 0.0
    busy: float = 0.0


@dataclass
class Tally:
    """What went through since the last one was taken, by AWS's rules and as the engine said.

    ``missing`` are read units of batches for items that are not there, and of queries that find nothing, which
    DynamoDB Local leaves out. Writes of indexes are among the ``write`` units of an exact tally.
    """

    read: float = 0.0
    write: float = 0.0
    missing: float = 0.0
    calls: Counter[str] = field(default_factory=Counter)
    engine_read: float = 0.0
    engine_write: float = 0.0
    faults: int = 0
    work_ms: float = 0.0
    """The processor's, within calls."""
    holes: set[int] = field(default_factory=set)
    """Positions that were missing before a committed entry in an answer to a Query."""


class MeasuredClient:
    """Stands in front of a client.

    Args:
        client: Budgie's, or another.
        exact: the table whose writes are weighed by reading each item before and after: for counting, not for timing.
            Without it, heads and memberships count as the KB that their limits keep them below, and no index is seen.
        stopwatch: adds up the 4 ms of each call.
        rates: of faults that no engine raises by itself; a fault takes the place of its call.
        seed: decides the faults.
    """

    def __init__(
        self,
        client: AwsClient,
        *,
        exact: str = "",
        stopwatch: Stopwatch | None = None,
        rates: FaultRates | None = None,
        seed: str = "",
    ) -> None:
        self._client = client
        self._weigher = Weigher(client, exact) if exact else None
        self._stopwatch = stopwatch or Stopwatch()
        self._faults = Faults(rates or FaultRates(), seed)
        self._lock = RLock()
        self.tally = Tally()

    def take(self) -> Tally:
        """The tally so far; the next one begins."""
        with self._lock:
            taken, self.tally = self.tally, Tally()
            return taken

    def close(self) -> None:
        """Closes the client."""
        self._client.close()

    def call(self, operation: str, arguments: Call) -> dict[str, Any]:
        """The client's answer, or a fault in place of it."""
        # Reads may come side by side; where writes are weighed, nothing else may happen between before and after.
        with self._lock:
            self.tally.calls[_counted_as(operation, arguments)] += 1
        with self._lock if self._weigher else nullcontext():
            try:
                answer = self._faults.instead(operation, arguments)
                if answer is not None:
                    self.tally.faults += 1
                    return answer
            except ServiceError as error:
                self.tally.faults += 1
                # A call that a conflict refused is billed as one that a condition refused; one throttled is not.
                self.tally.write += 0 if _is_throttled(error.response) else write_units(operation, arguments)
                raise
            weighed = self._weigher.writing(operation, arguments) if self._weigher else None
            started = time.thread_time()
            try:
                answer = self._client.call(operation, arguments)
            finally:
                self._stopwatch.add(DYNAMODB_MS)
                with self._lock:
                    self.tally.work_ms += (time.thread_time() - started) * 1000
                    self.tally.write += weighed() if weighed else write_units(operation, arguments)
            with self._lock:
                self._note(operation, arguments, answer)
            return answer

    def _note(self, operation: str, call: Call, answer: Call) -> None:
        consumed = answer.get("ConsumedCapacity") or {}
        said = sum(
            one.get("CapacityUnits", 0.0) for one in (consumed if isinstance(consumed, list) else [consumed])
        )
        if operation not in READS:
            self.tally.engine_write += said
            return
        self.tally.engine_read += said
        if operation == QUERY:
            self.tally.holes |= holes(call, answer)
        if self._weigher:
            read, missing = self._weigher.reading(operation, call, answer)
            self.tally.read += read
            self.tally.missing += missing


class Weigher:
    """What calls cost by AWS's rules, from the items of a table and of its indexes."""

    def __init__(self, client: AwsClient, table: str) -> None:
        self._client = client
        self._table = table
        self._indexes = _indexes(client.call("DescribeTable", {"TableName": table})["Table"])

    def reading(self, operation: str, call: Call, answer: Call) -> tuple[float, float]:
        """Units of a read, and those of them for what is not there. An eventually consistent one costs half."""
        if operation == GET:
            return units.read_units(units.sizes(answer.get("Item", {}))), 0
        if operation == BATCH_GET:
            left = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
            found = answer["Responses"].get(self._table, [])
            asked = call["RequestItems"][self._table]
            missing, share = len(asked["Keys"]) - len(left) - len(found), _share(asked)
            return (units.read_units(units.sizes(*found)) + missing) * share, missing * share
        # A Query that only counts is billed for what it counted.
        whole = {name: value for name, value in call.items() if name != "Select"}
        items = answer["Items"] if "Items" in answer else self._client.call(QUERY, whole)["Items"]
        cost = units.query_units(units.sizes(*items)) * _share(call)
        return cost, 0 if items else cost

    def writing(self, operation: str, call: Call) -> Callable[[], float] | None:
        """What says, once a write was made, how many units it was; None for a read.

        A write whose condition fails is billed for what stands there.
        """
        if operation == TRANSACT:
            parts = [part for write in call["TransactItems"] for part in write.values()]
        elif operation in SINGLE_WRITES:
            parts = [call]
        else:
            return None
        items = [part.get("Key") or part["Item"] for part in parts]
        wanted = [{"pk": item["pk"], "sk": item["sk"]} for item in items]
        before = [self._standing(key) for key in wanted]
        times = 2 if operation == TRANSACT else 1

        def units_of() -> float:
            pairs = list(zip(before, map(self._standing, wanted), strict=True))
            whole = sum(units.write_units([max(units.sizes(*pair))]) * times for pair in pairs)
            # Of an index a transaction pays one write, not two.
            return whole + sum(
                _index_units(each(old), each(new)) for old, new in pairs for each in self._indexes
            )

        return units_of

    def _standing(self, key: Item) -> Item:
        wanted = {"TableName": self._table, "Key": key, "ConsistentRead": True}
        item: Item = self._client.call(GET, wanted).get("Item", {})
        return item


def _share(read: Mapping[str, Any]) -> float:
    return 1 if read.get("ConsistentRead") else 0.5


class Faults:
    """Draws faults in the shapes in which a client raises them.

    Args:
        rates: how often.
        seed: decides everything.
    """

    def __init__(self, rates: FaultRates, seed: str) -> None:
        self._rates = rates
        self._random = random.Random(seed)

    def instead(self, operation: str, call: Call) -> dict[str, Any] | None:
        """An answer in place of the call's own; None where the call is to be made.

        Raises:
            ServiceError: in place of the call.
        """
        if self._falls(self._rates.throttled):
            return self._throttle(operation, call)
        if operation == TRANSACT and self._falls(self._rates.conflicts):
            raise cancelled(self._reasons(_CONFLICT, call))
        if operation in SINGLE_WRITES and self._falls(self._rates.busy):
            raise refused("TransactionConflictException", _CONFLICT["Message"])
        return None

    def _throttle(self, operation: str, call: Call) -> dict[str, Any]:
        if operation == BATCH_GET and self._falls(0.5):
            return {"Responses": {}, "UnprocessedKeys": call["RequestItems"], "ConsumedCapacity": []}
        if operation == TRANSACT and self._falls(0.5):
            raise cancelled(self._reasons(_THROTTLED, call))
        raise refused(
            "ProvisionedThroughputExceededException",
            "The level of configured provisioned throughput for the table was exceeded.",
        )

    def _reasons(self, reason: Call, call: Call) -> list[Call]:
        count = len(call["TransactItems"])
        at = self._random.randrange(count)
        return [reason if i == at else _NONE for i in range(count)]

    def _falls(self, rate: float) -> bool:
        return rate > 0 and self._random.random() < rate


def _counted_as(operation: str, call: Call) -> str:
    if operation == TRANSACT and any(map(_is_gap, call["TransactItems"])):
        return VOIDS
    is_take = operation == UPDATE and ":count" in call["ExpressionAttributeValues"]
    return TAKES if is_take else operation


def _is_gap(write: Mapping[str, Item]) -> bool:
    item = next(iter(write.values())).get("Item", {})
    return str(item.get("sk", {}).get("S", "")).startswith(_GAP)


def refused(code: str, message: str, **rest: Any) -> ServiceError:  # noqa: ANN401 - members of an answer
    """An error as a client makes it of DynamoDB's answer."""
    answer: Any = {"Error": {"Code": code, "Message": message}, **rest}
    return ServiceError(answer | {"ResponseMetadata": {"HTTPStatusCode": 400}})


def cancelled(reasons: list[Call]) -> ServiceError:
    """A refused transaction, with a reason for each of its items."""
    codes = ", ".join(reason["Code"] for reason in reasons)
    message = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
    return refused("TransactionCanceledException", message, CancellationReasons=reasons)


def _is_throttled(response: Mapping[str, Any]) -> bool:
    reasons = {reason.get("Code") for reason in response.get("CancellationReasons", ())}
    return response["Error"]["Code"] in _FREE or "ThrottlingError" in reasons


def write_units(operation: str, call: Call) -> int:
    """What the writes of a call cost; heads and memberships, which are updated, stay below 1 KB by their limits."""
    if operation == TRANSACT:
        sizes = [_size(next(iter(each.values()))) for each in call["TransactItems"]]
        return units.write_units(sizes, transaction=True)
    return units.write_units([_size(call)]) if operation in SINGLE_WRITES else 0


def _size(write: Item) -> int:
    return units.size(write["Item"]) if "Item" in write else 0


def holes(call: Call, answer: Call) -> set[int]:
    """Positions that a Query of a log from its first position on found open before an entry."""
    first = call.get("ExpressionAttributeValues", {}).get(":first", {}).get("S", "")
    items = [item for item in answer.get("Items", ()) if item.get("sk", {}).get("S", "").startswith(_ENTRY)]
    found = {keys.seq_of(item["sk"]["S"]) for item in items}
    if not found or not first.startswith(_ENTRY) or call.get("ScanIndexForward") is False or "Limit" in call:
        return set()
    return set(range(keys.seq_of(first), max(found))) - found


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
