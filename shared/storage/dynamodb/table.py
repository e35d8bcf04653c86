"""The only module that calls DynamoDB: names the table, counts units, follows pages, and converts errors."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from shared.aws.protocol import THROTTLES, NoAnswerError, ServiceError
from shared.domain.errors import MisconfiguredError, StoreThrottledError, StoreUnavailableError
from shared.observability.meter import meter

if TYPE_CHECKING:
    from shared.aws.protocol import AwsClient

READS: Final = frozenset({"GetItem", "BatchGetItem", "Query"})
MAX_PAGES: Final = 20
"""How many pages of up to 1 MB one Query follows: far more than any listing here may hold."""
MAX_BATCH_KEYS: Final = 100
"""DynamoDB's limit of keys in one BatchGetItem."""
MAX_BATCH_WRITES: Final = 25
"""DynamoDB's limit of writes in one BatchWriteItem."""
BACKOFF_SECONDS: Final = (0.01, 0.03, 0.1, 0.3)
"""Waits before unprocessed keys are requested again."""
THROTTLED_SECONDS: Final = BACKOFF_SECONDS[:3]
"""Waits before a transaction is tried again that is still in progress or had a throttled item; the client does not
retry these. They add up to about twice the time that a reader waits for the writer of a hole (``log_reader``)."""


OnServerDate = Callable[[str | None, float], None]
"""Called with each response's HTTP ``Date`` (None if it has none) and the seconds that the call took."""


def ignore_server_date(date: str | None, seconds: float) -> None:
    """The default ``OnServerDate``: does nothing."""


class ConditionFailedError(Exception):
    """A condition was not met; ``item`` is the existing item, None if there is none."""

    def __init__(self, item: dict[str, Any] | None) -> None:
        super().__init__("condition failed")
        self.item = item


class TransactionConflictError(Exception):
    """The item is part of another transaction at the moment; nothing was written."""


class TransactionInProgressError(TransactionConflictError):
    """An earlier try of the same transaction is still in progress; its outcome is unknown."""


class TransactionCanceledError(Exception):
    """A transaction was refused as a whole; ``reasons`` has one for each of its items, in order."""

    def __init__(self, reasons: Sequence[dict[str, Any]]) -> None:
        super().__init__("transaction cancelled")
        self.reasons = reasons

    @property
    def codes(self) -> set[str]:
        """The codes of the reasons."""
        return {reason.get("Code", "None") for reason in self.reasons}

    @property
    def is_throttled(self) -> bool:
        """Whether items were throttled and no condition failed: the same transaction may be tried again."""
        return bool(self.codes & THROTTLES) and self.codes <= THROTTLES | {"None", "TransactionConflict"}

    @property
    def is_permanent(self) -> bool:
        """Whether no condition failed and an item was refused for a reason that would recur."""
        return "ConditionalCheckFailed" not in self.codes and not self.codes <= THROTTLES | {
            *("None", "TransactionConflict", "DuplicateItem")
        }


class Table:
    """The calls to DynamoDB for one table.

    Args:
        client: the client of DynamoDB.
        name: the table's name.
        sleep: waits for a number of seconds.
        on_server_date: called after each call, see ``OnServerDate``.
    """

    def __init__(
        self,
        client: AwsClient,
        name: str,
        sleep: Callable[[float], None] = time.sleep,
        on_server_date: OnServerDate = ignore_server_date,
    ) -> None:
        self._on_server_date = on_server_date
        self._client = client
        self._name = name
        self._sleep = sleep

    def get(self, key: dict[str, Any]) -> dict[str, Any] | None:
        """The item under a key, strongly consistent."""
        response = self._call("GetItem", TableName=self._name, Key=key, ConsistentRead=True)
        item: dict[str, Any] | None = response.get("Item")
        return item

    def batch_get(self, wanted: Sequence[dict[str, Any]], *, consistent: bool = True) -> list[dict[str, Any]]:
        """The items under these keys, in any order; missing ones are left out."""
        found: list[dict[str, Any]] = []
        for start in range(0, len(wanted), MAX_BATCH_KEYS):
            found += self._batch_get_all(list(wanted[start : start + MAX_BATCH_KEYS]), consistent=consistent)
        return found

    def _batch_get_all(self, wanted: list[dict[str, Any]], *, consistent: bool) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        request = {self._name: {"Keys": wanted, "ConsistentRead": consistent}}
        for wait in (*BACKOFF_SECONDS, None):
            response = self._call("BatchGetItem", RequestItems=request)
            found += response["Responses"].get(self._name, [])
            request = response.get("UnprocessedKeys") or {}
            if not request:
                return found
            meter().charge(throttles=1)
            if wait is not None:
                self._sleep(wait)
        raise StoreThrottledError(retry_after=1)

    def query(self, *, limit: int | None = None, **arguments: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - passed on to Query as it is
        """The items of all pages of a Query, up to ``limit``.

        Raises:
            StoreUnavailableError: it has more than ``MAX_PAGES`` pages.
        """
        for response in self._pages(limit, arguments):
            yield from response["Items"]

    def count(self, limit: int | None, **arguments: Any) -> int:  # noqa: ANN401 - as above
        """How many items a Query matches, up to ``limit`` (None for all), without transferring them."""
        return sum(response["Count"] for response in self._pages(limit, arguments | {"Select": "COUNT"}))

    def _pages(self, limit: int | None, arguments: dict[str, Any]) -> Iterator[dict[str, Any]]:
        left = limit
        for _ in range(MAX_PAGES):
            if left is not None:
                arguments["Limit"] = left
            response = self._call("Query", TableName=self._name, **arguments)
            yield response
            if left is not None:
                left -= response["Count"]
            if "LastEvaluatedKey" not in response or left == 0:
                return
            arguments["ExclusiveStartKey"] = response["LastEvaluatedKey"]
        raise StoreUnavailableError("The listing is too long to be read in one request.", retry_after=60)

    def put(self, **arguments: Any) -> None:  # noqa: ANN401 - passed on to PutItem as it is
        """PutItem.

        Raises:
            ConditionFailedError: with the existing item.
        """
        self._call(
            "PutItem", TableName=self._name, ReturnValuesOnConditionCheckFailure="ALL_OLD", **arguments
        )

    def update(self, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - passed on to UpdateItem as it is
        """UpdateItem; returns the whole new item.

        Raises:
            ConditionFailedError: with the existing item.
            TransactionConflictError: try again.
        """
        response = self._call(
            "UpdateItem",
            TableName=self._name,
            ReturnValues="ALL_NEW",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
            **arguments,
        )
        item: dict[str, Any] = response["Attributes"]
        return item

    def delete(self, **arguments: Any) -> dict[str, Any] | None:  # noqa: ANN401 - passed on to DeleteItem as it is
        """DeleteItem; returns the item that was there if ``ReturnValues`` asks for it and there was one.

        Raises:
            ConditionFailedError: without the existing item.
            TransactionConflictError: try again.
        """
        response = self._call("DeleteItem", TableName=self._name, **arguments)
        item: dict[str, Any] | None = response.get("Attributes")
        return item

    def batch_delete(self, unwanted: Sequence[dict[str, Any]]) -> None:
        """Deletes the items under these keys, each for itself; missing ones count as deleted.

        Raises:
            TransactionConflictError: try again.
        """
        for start in range(0, len(unwanted), MAX_BATCH_WRITES):
            self._batch_delete_all(unwanted[start : start + MAX_BATCH_WRITES])

    def _batch_delete_all(self, unwanted: Sequence[dict[str, Any]]) -> None:
        request = {self._name: [{"DeleteRequest": {"Key": key}} for key in unwanted]}
        # A call of which nothing can be processed is throttled as a whole, so each one deletes something.
        for _ in unwanted:
            response = self._call("BatchWriteItem", RequestItems=request)
            request = response.get("UnprocessedItems") or {}
            if not request:
                return
            meter().charge(throttles=1)
            self._sleep(BACKOFF_SECONDS[-1])
        raise StoreThrottledError(retry_after=1)

    def transact(self, *writes: dict[str, Any]) -> None:
        """Makes all of the writes (``Put``, ``Update``, ``Delete``, ``ConditionCheck``) or none.

        Raises:
            TransactionCanceledError: with a reason for each write.
            TransactionInProgressError: it took too long.
        """
        for write in writes:
            for arguments in write.values():
                arguments["TableName"] = self._name
                arguments["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        token = str(uuid.uuid4())
        for wait in (*THROTTLED_SECONDS, None):
            try:
                self._call("TransactWriteItems", TransactItems=list(writes), ClientRequestToken=token)
            except TransactionInProgressError:
                if wait is None:
                    raise
                self._sleep(wait)  # The same token again: with a new one it would conflict with itself.
            except TransactionCanceledError as error:
                if wait is None or not error.is_throttled:
                    raise
                self._sleep(wait)
                token = str(uuid.uuid4())
            else:
                return

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - passed on as they are
        charged = meter()
        charged.charge(calls=1)
        begun = time.monotonic()
        try:
            response = self._client.call(operation, {"ReturnConsumedCapacity": "TOTAL", **arguments})
        except ServiceError as error:
            raise _converted(error) from error
        except NoAnswerError as error:
            charged.failed(error.code, is_permanent=False)
            raise StoreUnavailableError(retry_after=1) from error
        date = response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        self._on_server_date(date, time.monotonic() - begun)
        units = _units(response.get("ConsumedCapacity"))
        if operation in READS:
            charged.charge(read=units)
        else:
            charged.charge(write=units)
        return response


class OnTable:
    """The base of each part of the storage.

    Args:
        table: the table it reads and writes.
        sleep: waits for a number of seconds.
    """

    def __init__(self, table: Table, sleep: Callable[[float], None]) -> None:
        self._table = table
        self._sleep = sleep


def _units(consumed: Any) -> float:  # noqa: ANN401 - one dictionary, a list of them, or none
    each = consumed if isinstance(consumed, list) else [consumed or {}]
    return float(sum(one.get("CapacityUnits", 0.0) for one in each))


def _converted(error: ServiceError) -> Exception:
    """The storage's own exception for a refusal: the outcome of a write, or a failure."""
    match error.code:
        case "ConditionalCheckFailedException":
            return ConditionFailedError(error.response.get("Item"))
        case "TransactionCanceledException":
            return _canceled(error.response.get("CancellationReasons", []))
        case "TransactionInProgressException":
            return TransactionInProgressError()
        case "TransactionConflictException":
            return TransactionConflictError()
    meter().failed(error.code, is_permanent=error.is_permanent)
    if error.is_permanent:
        return MisconfiguredError()
    meter().charge(throttles=int(error.is_throttle))
    return (StoreThrottledError if error.is_throttle else StoreUnavailableError)(retry_after=1)


def _canceled(reasons: Sequence[dict[str, Any]]) -> Exception:
    canceled = TransactionCanceledError(reasons)
    if canceled.is_permanent:
        meter().failed(",".join(sorted(canceled.codes - {"None"})), is_permanent=True)
        return MisconfiguredError()
    if canceled.codes & THROTTLES:
        meter().charge(throttles=1)
    return canceled
