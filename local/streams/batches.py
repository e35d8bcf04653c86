"""What Lambda does with the records of one shard: batches, retries, splits, partial failures, discarded records.

Documented by AWS (Lambda's Developer Guide):

- "How Lambda processes records from stream and queue-based event sources": the batching window, 6 MB a batch, the next
  window begins when the invocation completes; one invocation a shard at a time, in order.
- "Configuring partial batch response with DynamoDB and Lambda": which results are a success; the lowest reported
  sequence number is the checkpoint, from which all is retried; with `BisectBatchOnFunctionError` the batch is split
  there, and only the rest is retried; an invocation that fails is bisected whatever was reported.
- "Retain discarded records for a DynamoDB event source": without a free container records wait until they are too
  old; a failing function is retried until then or until the quota of retries; splitting does not consume the quota.

Not documented, and chosen here so that a function that works here works on AWS: halves and rests inherit the retries
that their batch has used; reporting the first record of a batch splits nothing, so that it consumes a retry, and the
whole batch is discarded at the end; an unknown sequence number, or a result that is no object, fails the batch; a
record that is too old is discarded before an invocation, never during one.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from local.streams.event_source import EventSource

Record = dict[str, Any]
"""A record in the form in which Lambda gives it to a function."""

MAX_BATCH_BYTES: Final = 6 * 1024 * 1024
"""Lambda's limit for an event, which a batch does not exceed."""
FIRST_PAUSE: Final = 0.1
"""Seconds before the first retry, doubled with each further one up to `LONGEST_PAUSE`. AWS does not tell its own."""
LONGEST_PAUSE: Final = 10.0
RETRIES_EXHAUSTED: Final = "RetryAttemptsExhausted"
TOO_OLD: Final = "RecordAgeExceeded"

_ENVELOPE: Final = len('{"Records": []}')


class ThrottledError(Exception):
    """The function was not invoked: as many run as may."""


@dataclass(frozen=True)
class Discarded:
    """Records that the function did not handle and will not get again: what an on-failure destination is told.

    Attributes:
        function: the function's logical id.
        condition: `RETRIES_EXHAUSTED` or `TOO_OLD`, in AWS's words.
        shard_id: where they are in the stream.
        sequence_numbers: of each.
        invocations: how many of the function had these records and failed, apart from those of a batch that was split.
    """

    function: str
    condition: str
    shard_id: str
    sequence_numbers: tuple[str, ...]
    invocations: int


@dataclass(frozen=True)
class _Batch:
    records: Sequence[Record]
    failures: int = 0


class Batches:
    """Delivers one shard's records to a function, in their order; each is handled, discarded or filtered out.

    Args:
        source: the mapping.
        shard_id: the shard.
        call: invokes the function with an event, and returns its result; raises `ThrottledError` if it was not
            invoked, and any other exception if it failed or timed out.
        discard: takes discarded records.
        pause: waits for a number of seconds; an exception of it ends the delivery.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        source: EventSource,
        shard_id: str,
        *,
        call: Callable[[dict[str, Any]], Any],
        discard: Callable[[Discarded], None],
        pause: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        self._source = source
        self._shard_id = shard_id
        self._call = call
        self._discard = discard
        self._pause = pause
        self._clock = clock
        self._gathered: deque[tuple[Record, int]] = deque()
        self._window_ends = clock() + source.window

    def add(self, records: Iterable[Record]) -> None:
        """Take the next records of the shard."""
        for record in records:
            if self._source.matches(record):
                self._gathered.append((record, len(json.dumps(record))))

    def deliver(self) -> None:
        """Invoke the function with what is due now; return when that is handled or discarded."""
        while batch := self._due():
            self._settle(batch)
            self._window_ends = self._clock() + self._source.window

    def _due(self) -> list[Record]:
        """The next batch; empty if the window is still open, or there is no record."""
        size = self._next_size()
        is_full = size == self._source.batch_size or size < len(self._gathered)
        if self._clock() < self._window_ends and not is_full:
            return []
        if not size:
            self._window_ends = self._clock() + self._source.window
        return [self._gathered.popleft()[0] for _ in range(size)]

    def _next_size(self) -> int:
        size, total = 0, _ENVELOPE
        for _, length in self._gathered:
            total += length + len(", ")
            # One record always fits: DynamoDB's items have at most 400 KB.
            if size == self._source.batch_size or (size and total > MAX_BATCH_BYTES):
                break
            size += 1
        return size

    def _settle(self, records: Sequence[Record]) -> None:
        """Invoke until each record is handled or discarded; what comes first in the shard is settled first."""
        waiting = [_Batch(records)]
        throttled = 0
        while waiting:
            batch = self._without_old(waiting.pop())
            if not batch.records:
                continue
            try:
                first = self._invoke(batch.records)
            except ThrottledError:
                self._wait(throttled)
                throttled += 1
                waiting.append(batch)
                continue
            except Exception:  # noqa: BLE001  # a function may raise anything; whoever calls it has logged it
                waiting.extend(self._after_failure(batch))
            else:
                if first is not None:
                    waiting.extend(self._after_report(batch, first))
            throttled = 0

    def _invoke(self, records: Sequence[Record]) -> int | None:
        """Invoke once; returns the index of the first record that the function did not handle, None if it did all.

        Raises:
            ThrottledError: it was not invoked.
            Exception: it failed.
        """
        result = self._call({"Records": list(records)})
        return _first_failure(result, records) if self._source.reports_failures else None

    def _after_failure(self, batch: _Batch) -> list[_Batch]:
        """What is invoked next, the last one first."""
        middle = len(batch.records) // 2
        if self._source.bisect and middle:
            return [
                _Batch(batch.records[middle:], batch.failures),
                _Batch(batch.records[:middle], batch.failures),
            ]
        return self._again(batch)

    def _after_report(self, batch: _Batch, first: int) -> list[_Batch]:
        rest = _Batch(batch.records[first:], batch.failures)
        return [rest] if self._source.bisect and first else self._again(rest)

    def _again(self, batch: _Batch) -> list[_Batch]:
        failures = batch.failures + 1
        limit = self._source.max_retries
        if limit is not None and failures > limit:
            self._give_up(RETRIES_EXHAUSTED, batch.records, failures)
            return []
        self._wait(batch.failures)
        return [_Batch(batch.records, failures)]

    def _wait(self, before: int) -> None:
        self._pause(min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(before, 10)))

    def _without_old(self, batch: _Batch) -> _Batch:
        oldest = self._clock() - self._source.max_age
        fresh = [each for each in batch.records if created_at(each) >= oldest]
        if len(fresh) == len(batch.records):
            return batch
        self._give_up(TOO_OLD, [each for each in batch.records if created_at(each) < oldest], batch.failures)
        return _Batch(fresh, batch.failures)

    def _give_up(self, condition: str, records: Sequence[Record], invocations: int) -> None:
        numbers = tuple(map(sequence_number, records))
        self._discard(Discarded(self._source.function, condition, self._shard_id, numbers, invocations))


def sequence_number(record: Record) -> str:
    """A record's sequence number."""
    return str(record["dynamodb"]["SequenceNumber"])


def created_at(record: Record) -> float:
    """When a record was written, in seconds since 1970."""
    return float(record["dynamodb"]["ApproximateCreationDateTime"])


def _first_failure(result: Any, records: Sequence[Record]) -> int | None:  # noqa: ANN401  # any JSON
    """The index of the first record that a function reports; None if it reports none.

    Raises:
        ValueError: the result is a failure of the whole batch.
    """
    if result is None or result == "":
        return None
    if not isinstance(result, dict):
        raise ValueError("the result is no object")  # noqa: TRY004  # a value, not a type
    failures = result.get("batchItemFailures") or []
    if not isinstance(failures, list):
        raise ValueError("batchItemFailures is no list")  # noqa: TRY004  # as above
    numbers = list(map(sequence_number, records))
    reported: list[Any] = [
        each.get("itemIdentifier") if isinstance(each, dict) else None for each in failures
    ]
    # An identifier that is missing, empty or unknown raises.
    return min(map(numbers.index, reported), default=None)
