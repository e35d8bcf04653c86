"""An event source mapping at work: a thread that reads the stream and invokes the function, as Lambda does."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from local.gateway.invoke import FunctionFailedError
from local.streams.batches import Batches, Discarded, ThrottledError
from local.streams.reader import StreamError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from local.gateway.http_api import Gateway
    from local.streams.event_source import EventSource
    from local.streams.reader import Reader
    from local.template.load import Function

SHORTEST_PAUSE: Final = 0.02
"""Seconds between two reads while records come. It is also what gathers a burst of writes into one invocation."""
LONGEST_PAUSE: Final = 0.1
"""Seconds between two reads of an idle stream; Lambda reads four times a second.

Measured on 2 busy cores, from a post's response to the invocation: 13 ms at the median and 89 at most on ministack, 46
and 127 on DynamoDB Local. Idle, it takes 1.5 % of a core; the engine 2.3 % (ministack) or 14 % (DynamoDB Local, just
started).
"""
_SLOWER: Final = 1.2  # Each read without records makes the pause so much longer.
_KEPT: Final = 10_000  # discarded records' entries, the latest ones


def invocation(gateway: Gateway, function: Function) -> Callable[[dict[str, Any]], Any]:
    """What invokes a function for `StreamMapping`, within the concurrency of all; tests may have it killed."""

    def call(event: dict[str, Any]) -> Any:  # noqa: ANN401  # any JSON
        def invoke() -> Any:  # noqa: ANN401  # as above
            return gateway.call(function, event, time_limit=function.timeout)

        try:
            return gateway.websockets.faults.run(invoke) if gateway.websockets else invoke()
        except FunctionFailedError as failed:
            if failed.status == HTTPStatus.TOO_MANY_REQUESTS:
                raise ThrottledError from None
            raise

    return call


class _Closing(Exception):  # noqa: N818  # no error
    """The mapping is being closed."""


class StreamMapping:
    """Invokes a function with the records of a stream. A context manager.

    The shards are read and delivered in turn, by one thread: local engines have one open shard at a time.

    Args:
        source: the mapping's settings.
        reader: of the stream.
        call: invokes the function with an event, see `Batches`.
        log: takes a line when records are discarded, or the stream cannot be read.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        source: EventSource,
        reader: Reader,
        call: Callable[[dict[str, Any]], Any],
        *,
        log: Callable[[str], None] = print,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.discarded: deque[Discarded] = deque(maxlen=_KEPT)
        """What an on-failure destination is told: the records that were given up."""
        self._source = source
        self._reader = reader
        self._call = call
        self._log = log
        self._clock = clock
        self._shards: dict[str, Batches] = {}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stream", daemon=True)

    def __enter__(self) -> StreamMapping:
        """Take the position in the stream, and begin to deliver.

        Raises:
            StreamError: the stream cannot be read.
        """
        self._reader.open()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; an invocation that runs is waited for."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        pause = SHORTEST_PAUSE
        failure = ""
        with suppress(_Closing):
            while True:
                try:
                    has_records = self._deliver_next()
                    failure = ""
                except StreamError as error:
                    has_records = False
                    if str(error) != failure:
                        failure = str(error)
                        self._log(f"stream: it cannot be read ({failure}); trying again")
                pause = SHORTEST_PAUSE if has_records else min(LONGEST_PAUSE, pause * _SLOWER)
                self._pause(pause)

    def _deliver_next(self) -> bool:
        """Read each shard once and deliver what is due; returns whether there was a record."""
        has_records = False
        for shard_id, records in self._reader.pages():
            if shard_id not in self._shards:
                self._shards[shard_id] = Batches(
                    self._source,
                    shard_id,
                    call=self._call,
                    discard=self._discard,
                    pause=self._pause,
                    clock=self._clock,
                )
            self._shards[shard_id].add(records)
            self._shards[shard_id].deliver()
            has_records = has_records or bool(records)
        return has_records

    def _discard(self, discarded: Discarded) -> None:
        self.discarded.append(discarded)
        told = (
            "" if self._source.has_destination else "; nobody is told, as there is no on-failure destination"
        )
        numbers = discarded.sequence_numbers
        self._log(
            f"{discarded.function}: {len(numbers)} records of the stream were discarded ({discarded.condition}, "
            f"invocations: {discarded.invocations}), from {numbers[0]} to {numbers[-1]} in {discarded.shard_id}{told}"
        )

    def _pause(self, seconds: float) -> None:
        if self._closing.wait(seconds):
            raise _Closing
