"""Retries writes that DynamoDB refuses because another transaction holds the same item."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from shared.domain.errors import ContentionError, UnavailableError
from shared.observability.meter import meter
from shared.storage.dynamodb.table import TransactionCanceledError, TransactionConflictError
from shared.storage.retry import backoff

if TYPE_CHECKING:
    from shared.storage.dynamodb.table import Table

T = TypeVar("T")
CONFLICT_TRIES: Final = 8
"""How often a conflicting write is tried (about 0.5 s in all)."""


def retry_conflicts(call: Callable[[], T], sleep: Callable[[float], None]) -> T:
    """Repeats a write while it conflicts with a transaction; any other outcome passes through.

    Raises:
        ContentionError: every try conflicted.
    """
    for attempt in range(CONFLICT_TRIES):
        if attempt:
            sleep(backoff(attempt - 1))
        try:
            return call()
        except TransactionConflictError:
            meter().conflicts += 1
    raise ContentionError(retry_after=1)


def transact(
    table: Table,
    sleep: Callable[[float], None],
    *writes: dict[str, Any],
    refusal: type[UnavailableError] = ContentionError,
) -> list[dict[str, Any] | None] | None:
    """Makes all of the writes or none, repeated while they conflict with other transactions.

    Returns:
        None if all were made. Otherwise one value for each write: the existing item (``{}`` if there is none) if the
        write's condition failed, else None.

    Raises:
        ContentionError: every try conflicted.
        UnavailableError: the transaction was refused for another reason; raised as ``refusal``.
    """
    try:
        retry_conflicts(lambda: _transact(table, writes), sleep)
    except TransactionCanceledError as error:
        failed = [reason.get("Code") == "ConditionalCheckFailed" for reason in error.reasons]
        if not any(failed):
            raise refusal(retry_after=1) from error
        return [
            reason.get("Item", {}) if bad else None for reason, bad in zip(error.reasons, failed, strict=True)
        ]
    return None


def _transact(table: Table, writes: Sequence[dict[str, Any]]) -> None:
    try:
        table.transact(*writes)
    except TransactionCanceledError as error:
        codes = {reason.get("Code", "None") for reason in error.reasons}
        if codes <= {"None", "TransactionConflict"}:
            raise TransactionConflictError from error
        raise
