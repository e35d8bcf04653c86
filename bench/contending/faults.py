"""Faults that no engine raises by itself, in the shapes in which clients of AWS raise them.

A fault takes the place of the call, so nothing is written. Rates are of calls as Budgie sees them: what is left after
the client's own attempts.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.aws.protocol import ServiceError

Call = Mapping[str, Any]
Answer = dict[str, Any]
TRANSACT: Final = "TransactWriteItems"
BATCH_GET: Final = "BatchGetItem"
SINGLE_WRITES: Final = frozenset({"UpdateItem", "PutItem"})
_NONE: Final = {"Code": "None"}
_CONFLICT: Final = {"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}
_THROTTLED: Final = {
    "Code": "ThrottlingError",
    "Message": "Throughput exceeds the current capacity of your table or index.",
}


@dataclass(frozen=True, slots=True)
class Rates:
    """Shares of calls, 0 to 1.

    Attributes:
        throttled: Of all calls. Half of the batch reads that it meets leave their keys unprocessed instead of failing;
            half of the transactions name it as a reason, which botocore does not try again.
        conflicts: Of transactions, each by one item, drawn at random.
        busy: Of single writes: the item is part of a transaction just now.
    """

    throttled: float = 0.0
    conflicts: float = 0.0
    busy: float = 0.0


FAIR: Final = "fair"
WEATHERS: Final[dict[str, Rates]] = {
    FAIR: Rates(),
    "throttled": Rates(throttled=0.02),
    "conflicts": Rates(conflicts=0.1, busy=0.05),
}


class Injector:
    """Draws the faults of one client.

    Args:
        rates: how often.
        seed: decides everything.
    """

    def __init__(self, rates: Rates, seed: str) -> None:
        self._rates = rates
        self._random = random.Random(seed)

    def instead(self, operation: str, call: Call) -> Answer | None:
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

    def _throttle(self, operation: str, call: Call) -> Answer:
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


def refused(code: str, message: str, **rest: Any) -> ServiceError:  # noqa: ANN401 - members of an answer
    """An error as a client makes it of DynamoDB's answer."""
    error = {"Code": code, "Message": message}
    return ServiceError({"Error": error, "ResponseMetadata": {"HTTPStatusCode": 400}, **rest})


def cancelled(reasons: list[Call]) -> ServiceError:
    """A refused transaction, with a reason for each of its items."""
    codes = ", ".join(reason["Code"] for reason in reasons)
    message = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
    return refused("TransactionCanceledException", message, CancellationReasons=reasons)
