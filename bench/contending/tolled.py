"""A client of DynamoDB that counts what goes through it, and fails as often as it is told to.

Write units are AWS's, from the sizes of what is written: DynamoDB Local counts one item of a transaction alone. A call
that a condition or a conflict refused is counted as well (a failed condition bills), one that was throttled is not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from bench import units
from bench.contending.faults import TRANSACT, Answer, Call, Injector
from shared import keys
from shared.aws.protocol import AwsClient, ServiceError

FREE: Final = frozenset({"ProvisionedThroughputExceededException", "ThrottlingException"})
_ENTRY: Final = "E#"
_GAP: Final = "G#"


class TolledClient:
    """The operations that posting and reading use.

    Args:
        client: makes the calls.
        injector: puts faults in their place.
    """

    def __init__(self, client: AwsClient, injector: Injector) -> None:
        self._client = client
        self._injector = injector
        self.counts: Counter[str] = Counter()
        """``takes``, ``commits``, ``voids`` (tried), ``corrections`` (of previews), ``write_units``, ``faults``."""
        self.holes: set[int] = set()
        """Positions that were missing before a committed entry in an answer to a Query."""

    def call(self, operation: str, arguments: Call) -> Answer:
        """The client's answer, or a fault."""
        self._count(operation, arguments)
        try:
            answer = self._injector.instead(operation, arguments)
        except ServiceError as error:
            self.counts["faults"] += 1
            if not _is_throttled(error.response):
                self.counts["write_units"] += write_units(operation, arguments)
            raise
        if answer is not None:
            self.counts["faults"] += 1
            return answer
        self.counts["write_units"] += write_units(operation, arguments)
        answer = self._client.call(operation, arguments)
        if operation == "Query":
            self.holes |= holes(arguments, answer)
        return answer

    def close(self) -> None:
        """Closes the client."""
        self._client.close()

    def _count(self, operation: str, call: Call) -> None:
        self.counts["calls"] += 1
        if operation == TRANSACT:
            gaps = sum(_is_gap(next(iter(each.values()))) for each in call["TransactItems"])
            self.counts["voids"] += gaps
            self.counts["commits"] += not gaps
        elif operation == "UpdateItem":
            is_take = ":count" in call["ExpressionAttributeValues"]
            self.counts["takes" if is_take else "corrections"] += 1


def write_units(operation: str, call: Call) -> int:
    """What the writes of a call cost; heads and memberships, which are updated, stay below 1 KB by their limits."""
    if operation == TRANSACT:
        sizes = [_size(next(iter(each.values()))) for each in call["TransactItems"]]
        return units.write_units(sizes, transaction=True)
    return units.write_units([_size(call)]) if operation in {"PutItem", "UpdateItem"} else 0


def _size(write: Mapping[str, Any]) -> int:
    return units.size(write["Item"]) if "Item" in write else 0


def _is_gap(write: Mapping[str, Any]) -> bool:
    return "Item" in write and bool(write["Item"]["sk"]["S"].startswith(_GAP))


def holes(call: Call, answer: Answer) -> set[int]:
    """Positions that a Query of a log from its first position on found open before an entry."""
    first = call["ExpressionAttributeValues"].get(":first", {}).get("S", "")
    found = {keys.seq_of(item["sk"]["S"]) for item in answer["Items"] if item["sk"]["S"].startswith(_ENTRY)}
    if not found or not first.startswith(_ENTRY) or call.get("ScanIndexForward") is False or "Limit" in call:
        return set()
    return set(range(keys.seq_of(first), max(found))) - found


def _is_throttled(response: Mapping[str, Any]) -> bool:
    reasons = {reason.get("Code") for reason in response.get("CancellationReasons", ())}
    return response["Error"]["Code"] in FREE or "ThrottlingError" in reasons
