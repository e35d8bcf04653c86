"""A DynamoDB client that notes its calls, so that Budgie's own work can be told from the client's and the engine's."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from bench.metered import DYNAMODB_MS, Stopwatch
from shared.aws.protocol import AwsClient


class TimedClient:
    """Stands in front of a client; each call takes its 4 ms by the stopwatch, as ``bench.day`` counts.

    Args:
        client: of DynamoDB.
        stopwatch: adds up what calls take, side by side ones once.
    """

    def __init__(self, client: AwsClient, stopwatch: Stopwatch) -> None:
        self._client = client
        self._stopwatch = stopwatch
        self._lock = threading.Lock()
        self._work = 0.0

    def call(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The client's answer, noted."""
        started = time.thread_time()
        try:
            return self._client.call(operation, arguments)
        finally:
            self._stopwatch.add(DYNAMODB_MS)
            with self._lock:
                self._work += time.thread_time() - started

    def close(self) -> None:
        """Closes the client."""
        self._client.close()

    def lap(self) -> float:
        """Milliseconds of the processor within calls since the last lap."""
        with self._lock:
            work, self._work = self._work, 0.0
        return work * 1000
