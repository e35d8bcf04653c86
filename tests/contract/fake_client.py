"""A botocore DynamoDB client that plays what it is given, and remembers what it was asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError

Answer = dict[str, Any] | Exception


class FakeClient:
    """Each call of an operation gets the next answer: a dictionary to return or an exception to raise.

    The last answer is given again and again.
    """

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, operation: str) -> Callable[..., dict[str, Any]]:
        """The operation of that name."""

        def call(**arguments: Any) -> dict[str, Any]:
            self.calls.append((operation, arguments))
            answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    @property
    def operations(self) -> list[str]:
        """The names of the operations called, in order."""
        return [operation for operation, _ in self.calls]


def refusal(code: str, **rest: Any) -> ClientError:
    """An error as DynamoDB answers it."""
    response: Any = {"Error": {"Code": code, "Message": "made up"}, **rest}
    return ClientError(response, "Operation")


def cancelled(*codes: str, item: dict[str, Any] | None = None) -> ClientError:
    """A refused transaction, with a code for each of its writes; ``item`` stands where a condition failed."""
    stands = {} if item is None else {"Item": item}
    reasons = [{"Code": code} | (stands if code == "ConditionalCheckFailed" else {}) for code in codes]
    return refusal("TransactionCanceledException", CancellationReasons=reasons)
