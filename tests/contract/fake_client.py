"""A client of AWS that returns scripted responses and records its calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.aws.protocol import ServiceError

Response = dict[str, Any] | Exception


class FakeClient:
    """Each call gets the next response: a dictionary to return or an exception to raise.

    The last answer is given again and again.
    """

    def __init__(self, *responses: Response) -> None:
        self._answers = list(responses)
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def call(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The next response."""
        self.calls.append((operation, dict(arguments)))
        response = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(response, Exception):
            raise response
        return response

    def close(self) -> None:
        """Nothing is open."""

    @property
    def operations(self) -> list[str]:
        """The names of the operations called, in order."""
        return [operation for operation, _ in self.calls]


def refusal(code: str, status: int = 400, **rest: Any) -> ServiceError:
    """An error as AWS returns it."""
    error = {"Code": code, "Message": "made up"}
    return ServiceError({"Error": error, "ResponseMetadata": {"HTTPStatusCode": status}, **rest})


def cancelled(*codes: str, item: dict[str, Any] | None = None) -> ServiceError:
    """A cancelled transaction with a code for each write; ``item`` is the item whose condition failed."""
    stands = {} if item is None else {"Item": item}
    reasons = [{"Code": code} | (stands if code == "ConditionalCheckFailed" else {}) for code in codes]
    return refusal("TransactionCanceledException", CancellationReasons=reasons)
