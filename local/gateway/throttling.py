"""What AWS refuses before a function runs: too many requests to a route, too many invocations at once.

An HTTP API keeps a token bucket for each route and answers 429; where Lambda has no container left, it answers 503.
Neither carries a `Retry-After`, and an HTTP API has no way to add one: that header is on Budgie's own refusals alone.
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
    """A token bucket for each route; safe for threads.

    Args:
        throttle: how fast they fill, and how much they hold; None lets everything pass.
        clock: seconds, from anywhere on.
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
    """How many functions may run at once, all together, as an account's limit is; 0 is no limit."""

    def __init__(self, limit: int) -> None:
        self._free = threading.BoundedSemaphore(limit) if limit else None

    @contextmanager
    def one(self) -> Iterator[bool]:
        """Whether there was room for one more; it is held until the end of the context."""
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
