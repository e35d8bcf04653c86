"""The client wrapper's connection: kept, closed when idle, and what is asked again when it is lost."""

from __future__ import annotations

import time

import pytest

from local.upstash.endpoint import UpstashEndpoint
from local.upstash.faults import Fault
from tests.shared.cache.calls import Make, failure
from tests.shared.cache.scripted import Script

pytestmark = pytest.mark.stack


def test_a_read_on_a_dropped_connection_is_repeated_once(make: Make, script: Script) -> None:
    """The kept connection is gone: GET is asked again on another; when that is gone too, it fails."""
    upstash = make(script.url)
    script.responses = [(200, b'{"result":1}'), None, (200, b'{"result":2}'), None, None]
    assert upstash.execute("get", "GET", "k") == 1
    assert upstash.execute("get", "GET", "k") == 2
    assert failure(upstash) == "disconnected"
    assert len(script.requests) == upstash.metrics.commands == 5
    assert script.connections == 3


def test_a_write_is_never_repeated(make: Make, script: Script) -> None:
    """A SET that may have run is not repeated."""
    upstash = make(script.url)
    script.responses = [(200, b'{"result":"OK"}'), None]
    upstash.execute("put", "SET", "k", "v")
    assert failure(upstash, "SET", "k", "v") == "disconnected"
    assert len(script.requests) == 2


def test_one_connection_is_kept(make: Make, script: Script) -> None:
    """Commands one after the other share a connection."""
    upstash = make(script.url)
    for _ in range(5):
        upstash.execute("get", "GET", "k")
    assert script.connections == 1


def test_an_idle_connection_is_closed(make: Make, endpoint: UpstashEndpoint) -> None:
    """After the keep-alive the endpoint sees no connection; the next command opens one again."""
    upstash = make(endpoint.url, keep_alive_seconds=0.15)
    for _ in range(2):
        upstash.execute("get", "GET", "k")
        assert endpoint.usage.open_connections >= 1
        deadline = time.monotonic() + 5
        while endpoint.usage.open_connections and time.monotonic() < deadline:
            time.sleep(0.02)
        assert endpoint.usage.open_connections == 0


def test_what_is_under_way_is_not_closed(make: Make, endpoint: UpstashEndpoint) -> None:
    """The idle timer of the last command ends while this one waits: it still gets its response."""
    upstash = make(endpoint.url, read_ms=2_000, keep_alive_seconds=0.1)
    upstash.execute("get", "GET", "k")
    endpoint.faults.add(Fault(kind="latency", ms=300))
    upstash.execute("put", "SET", "k", "v")
    upstash._close_idle()
    assert upstash.execute("get", "GET", "k") == "v"


def test_a_client_closed_in_between_is_replaced(make: Make, endpoint: UpstashEndpoint) -> None:
    """Closing while nothing is under way costs a new connection, nothing else."""
    upstash = make(endpoint.url)
    upstash.execute("put", "SET", "k", "v")
    upstash.close()
    assert upstash.execute("get", "GET", "k") == "v"
