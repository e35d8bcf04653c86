"""The client wrapper: a call ends at its deadline, whatever arrives before."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from local.upstash.endpoint import UpstashEndpoint
from local.upstash.faults import Fault
from shared.cache.upstash import RedisError, Upstash, UpstashOptions
from shared.observability.meter import CacheMetrics
from shared.runtime.parallel import run_both
from tests.conftest import FakeClock
from tests.shared.cache.calls import READ_MS, Make, failure
from tests.shared.cache.dripping import HEAD, dripping
from tests.shared.cache.scripted import Script

if TYPE_CHECKING:
    from shared.cache.sdk import SdkClient

pytestmark = pytest.mark.stack
ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\nX: ", HEAD, HEAD + b'{"result":"'])
def test_an_answer_that_drips_has_an_end(make: Make, first: bytes) -> None:
    """A byte now and then gives no more time, in the head or in the body; and the connection is hung up."""
    with dripping(first) as server:
        upstash = make(server.url)
        assert failure(upstash) == "timeout"
        assert server.ended.wait(10)
        assert upstash.metrics.commands == 1


def test_after_a_call_that_was_given_up_the_next_is_well(make: Make, endpoint: UpstashEndpoint) -> None:
    """It has a client of its own, however long the other's response takes."""
    upstash = make(endpoint.url)
    endpoint.faults.add(Fault(kind="latency", ms=READ_MS * 4, times=1))
    assert failure(upstash) == "timeout"
    assert upstash.execute("get", "GET", "k") is None


def test_a_command_waits_for_another_no_longer_than_a_call_may_take(make: Make, script: Script) -> None:
    """Two commands at once share the one connection, one after the other."""
    upstash = make(script.url)
    assert upstash.execute("get", "GET", "k") == "OK"
    found = run_both(lambda: upstash.execute("get", "GET", "a"), lambda: upstash.execute("get", "GET", "b"))
    assert found == ("OK", "OK")
    assert script.connections == 1


class Stopped:
    """The SDK's client in a container that is frozen during a command whose response arrives while it is frozen."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock

    def execute(self, _command: list[str | int], on_sent: Callable[[], None]) -> str:
        """A minute passes by the clock; the response is read a little after the deadline."""
        on_sent()
        self._clock.ms += 60_000
        time.sleep(0.1)
        return "v"

    def end(self) -> None:
        """Not needed."""

    close = end


def test_a_container_that_was_stopped_meanwhile_still_takes_the_answer(clock: FakeClock) -> None:
    """A deadline that passed while Lambda froze the container is no failure: the response may be there."""
    options = UpstashOptions("http://127.0.0.1:1", "token", connect_ms=20, read_ms=20)
    upstash = Upstash(
        options, CacheMetrics(), clock.now, connect=lambda *_given: cast("SdkClient", Stopped(clock))
    )
    assert upstash.execute("get", "GET", "k") == "v"
    upstash.close()


HANGING: str = """
import socket, sys, time
def hang(*_args, **_options):
    time.sleep(600)
socket.getaddrinfo = hang
from shared.observability.meter import CacheMetrics
from shared.cache.upstash import RedisError, Upstash, UpstashOptions
metrics = CacheMetrics()
upstash = Upstash(UpstashOptions("http://redis.example.com", "t", 100, 100), metrics, lambda: 0)
for _ in range(3):
    try:
        upstash.execute("get", "GET", "k")
    except RedisError as error:
        print(error.kind)
print(upstash.breaker.state, upstash.breaker.cause, metrics.commands)
"""


def test_a_resolver_that_hangs_holds_up_nothing() -> None:
    """No caller waits for it beyond the deadline, the process ends without it, and nothing counts as sent."""
    done = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", HANGING], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["timeout"] * 3 + ["open timeout 0"]


def test_a_token_that_does_not_come_has_an_end(make: Make) -> None:
    """Where reading the token fails, the command is not sent, and its failure says so."""
    with pytest.raises(RedisError, match="refused_token"):
        make("http://127.0.0.1:1", token="", read_token=lambda: "no\nheader").execute("get", "GET", "k")
