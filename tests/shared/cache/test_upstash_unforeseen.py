"""The client wrapper: any exception of any version of the SDK is a failure of Redis and nothing more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from shared.cache.sdk import SdkClient
from shared.cache.upstash import RedisError, Upstash, UpstashOptions
from shared.observability.meter import CacheMetrics
from tests.conftest import FakeClock


class Broken(SdkClient):
    """An SDK of another version that raises an unforeseen error until it is repaired."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error

    def execute(self, command: list[str | int], on_sent: Callable[[], None]) -> Any:
        """Raises, or returns the command."""
        on_sent()
        if self.error:
            raise self.error
        return command[0]

    def end(self) -> None:
        """Nothing is open."""

    def close(self) -> None:
        """Nothing is open."""


class NewError(Exception):
    """Of a later version."""


ERRORS = [
    NewError("Bearer secret"),
    MemoryError(),
    LookupError(),
    ImportError("upstash_redis.errors"),
    RuntimeError("cannot schedule"),
    StopIteration(),
    OSError(5, "io"),
    NotImplementedError(),
    AttributeError("_client"),
    TypeError("execute() got an unexpected keyword"),
    RecursionError(),
    UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_any_exception_is_a_failure(
    clock: FakeClock, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """It has a kind, is counted, opens the breaker in time, and does not leave it half open for good."""
    client = Broken(error)
    options = UpstashOptions("http://127.0.0.1:1", "t", breaker_failures=2)
    upstash = Upstash(options, CacheMetrics(), clock.now, lambda *_: client)
    for _ in range(2):
        with pytest.raises(RedisError) as caught:
            upstash.execute("get", "GET", "k")
        assert caught.value.kind in {"client", "garbled"}
    assert (upstash.breaker.state, upstash.breaker.cause) == ("open", caught.value.kind)
    for wait in (10_000, 20_000):
        clock.ms += wait
        assert upstash.breaker.state == "half_open"
        with pytest.raises(RedisError, match=caught.value.kind):
            upstash.execute("get", "GET", "k")
        assert upstash.breaker.state == "open"
    client.error = None
    clock.ms += 40_000
    assert upstash.execute("get", "GET", "k") == "GET"
    assert (upstash.breaker.state, upstash.breaker.cause) == ("closed", None)
    lines = [each.__dict__ for each in caplog.records]
    assert "secret" not in str(lines)
    if caught.value.kind == "client":
        assert {line["error"] for line in lines} == {type(error).__name__}


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_client_that_cannot_be_made_is_a_failure(clock: FakeClock, error: Exception) -> None:
    """An SDK whose insides have moved, or that is not there: ``client``, and no command counts as sent."""

    def connect(*_: object) -> SdkClient:
        raise error

    metrics = CacheMetrics()
    upstash = Upstash(UpstashOptions("http://127.0.0.1:1", "t"), metrics, clock.now, connect)
    upstash.warm_up()
    with pytest.raises(RedisError, match="client"):
        upstash.execute("get", "GET", "k")
    assert metrics.get("failure.client") == 1
    assert metrics.commands == 0
