"""What AWS refuses before a function runs: too many requests to a route, too many concurrent invocations.

An HTTP API has a token bucket for each route and responds with 429; without a free Lambda container it responds with
503. Neither has a `Retry-After`, which an HTTP API cannot add: only Budgie's own refusals have that header.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from local.gateway.wire import Response
from local.template.load import Throttle

TOO_MANY: Final = Response.message(HTTPStatus.TOO_MANY_REQUESTS, "Too Many Requests")
NO_CONTAINER: Final = Response.message(HTTPStatus.SERVICE_UNAVAILABLE, "Service Unavailable")


@dataclass
class _Bucket:
    tokens: float
    at: float


class Buckets:
    """A token bucket for each route; thread-safe.

    Args:
        throttle: the buckets' rate and size; None for no limit.
        clock: seconds, from any starting point.
    """

    def __init__(self, throttle: Throttle | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._throttle = throttle
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, _Bucket] = {}

    def admits(self, route: str) -> bool:
        """Whether another request to the route may pass now."""
        if self._throttle is None:
            return True
        with self._lock:
            now = self._clock()
            bucket = self._buckets.setdefault(route, _Bucket(self._throttle.burst, now))
            filled = bucket.tokens + (now - bucket.at) * self._throttle.rate
            bucket.tokens, bucket.at = min(self._throttle.burst, filled), now
            if bucket.tokens < 1:
                return False
            bucket.tokens -= 1
            return True


class Concurrency:
    """The limit of concurrent invocations of all functions together, as an account has it; 0 for no limit."""

    def __init__(self, limit: int) -> None:
        self._free = threading.BoundedSemaphore(limit) if limit else None

    @contextmanager
    def one(self) -> Iterator[bool]:
        """Yields whether there was room for one more; it is held until the end of the context."""
        free = self._free
        if free is None:
            yield True
            return
        got = free.acquire(blocking=False)
        try:
            yield got
        finally:
            if got:
                free.release()
