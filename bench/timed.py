"""A DynamoDB client that notes its calls, so that Budgie's own work can be told from the client's and the engine's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from bench.metered import DYNAMODB_MS, Stopwatch


class TimedClient:
    """Stands in front of a client; each call takes its 4 ms by the stopwatch, as ``bench.day`` counts.

    Args:
        client: Budgie's, or botocore's.
        stopwatch: adds up what calls take, side by side ones once.
    """

    def __init__(self, client: Any, stopwatch: Stopwatch) -> None:  # noqa: ANN401 - botocore's clients are made at run time
        self._client = client
        self._stopwatch = stopwatch
        self._lock = threading.Lock()
        self._work = 0.0

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        """The client's method of this name, noted."""
        call = getattr(self._client, operation)

        def timed(**arguments: Any) -> Any:  # noqa: ANN401 - as above
            started = time.thread_time()
            try:
                return call(**arguments)
            finally:
                self._stopwatch.add(DYNAMODB_MS)
                with self._lock:
                    self._work += time.thread_time() - started

        return timed

    def lap(self) -> float:
        """Milliseconds of the processor within calls since the last lap."""
        with self._lock:
            work, self._work = self._work, 0.0
        return work * 1000
