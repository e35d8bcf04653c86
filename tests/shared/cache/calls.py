"""What tests of the client wrapper say in one word."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from typing import Final

import pytest

from local.upstash.endpoint import UpstashEndpoint
from shared.cache.upstash import RedisError, Upstash
from tests.endpoint import TOKEN
from tests.fakes import MeasuredUpstash

CONNECT_MS: Final = 150
READ_MS: Final = 200
Make = Callable[..., MeasuredUpstash]
"""Makes a wrapper for an address; further arguments change its options."""


def failure(upstash: MeasuredUpstash, *command: str) -> str:
    """The kind of a command's failure, which carries no more than that, and takes no longer than it may."""
    begun = time.perf_counter()
    with pytest.raises(RedisError) as caught:
        upstash.execute("test", *(command or ("GET", "k")))
    assert time.perf_counter() - begun < upstash.budget_seconds + 1
    error = caught.value
    assert str(error) == error.kind
    assert TOKEN not in "".join(traceback.format_exception(error))
    assert upstash.metrics.get(f"failure.{error.kind}") >= 1
    return error.kind


def failure_unasked(upstash: Upstash, endpoint: UpstashEndpoint) -> bool:
    """Whether the next command fails without reaching the endpoint."""
    before = endpoint.usage.requests
    with pytest.raises(RedisError, match="breaker_open"):
        upstash.execute("test", "GET", "k")
    return endpoint.usage.requests == before
