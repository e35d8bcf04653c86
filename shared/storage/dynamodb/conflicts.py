"""Writes that meet a transaction on the same item: DynamoDB refuses them, and they are tried again."""

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
"""Times a write is tried that met a transaction on its item (about 0.5 s in all)."""


def retry_conflicts(call: Callable[[], T], sleep: Callable[[float], None]) -> T:
    """Repeats a write that met a transaction on its item; any other outcome passes through.

    Raises:
        ContentionError: it met one every time.
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
    """All of the writes or none, repeated while it meets other transactions.

    Returns:
        None when it stands. Else for each write whose condition failed what stands there (``{}`` for nothing), and
        None for the others.

    Raises:
        ContentionError: it met others every time.
        UnavailableError: it was refused for another reason, as which ``refusal`` says.
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
