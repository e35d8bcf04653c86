"""The client wrapper: every failure has a name, every call an end, and reads alone are repeated."""

from __future__ import annotations

import logging
import socket
import time
from contextlib import ExitStack

import httpx
import pytest

from local.upstash.endpoint import UpstashEndpoint
from local.upstash.faults import Fault
from shared.observability.meter import start_meter
from tests.cases import case
from tests.conftest import FakeClock
from tests.endpoint import TOKEN, run
from tests.shared.cache.calls import CONNECT_MS, READ_MS, Make, failure, failure_unasked
from tests.shared.cache.scripted import Script

pytestmark = pytest.mark.stack


def test_the_client_has_our_timeouts_and_no_retries(make: Make) -> None:
    """The one line that touches the client's insides does what it is for, with the client that is installed."""
    made = make("http://127.0.0.1:1")._make_client()
    client = made._redis
    http = client._http
    inner = http._client
    assert type(inner) is httpx.Client
    assert inner.timeout == httpx.Timeout(READ_MS / 1000, connect=CONNECT_MS / 1000)
    assert http._retries == 0
    assert http._encoding is None
    assert "Upstash-Telemetry-Sdk" not in client._headers
    made.close()


def test_values_go_and_come(make: Make, endpoint: UpstashEndpoint) -> None:
    """Text, numbers and misses, as Redis has them."""
    upstash = make(endpoint.url)
    assert upstash.execute("put", "SET", "k", "ä \N{SNOWMAN}", "EX", 100) is True
    assert upstash.execute("get", "GET", "k") == "ä \N{SNOWMAN}"
    assert upstash.execute("get", "GET", "none") is None
    assert upstash.execute("ping", "PING") == "PONG"


def test_commands_are_counted_by_reason(make: Make, endpoint: UpstashEndpoint) -> None:
    """Each command counts once under its reason and in its request's meter, as the endpoint bills it."""
    upstash, meter = make(endpoint.url), start_meter()
    for reason in ("get_page", "get_page", "get_channels"):
        upstash.execute(reason, "GET", "k")
    upstash.execute("put_page", "SET", "k", "v", "EX", 10)
    counted = {"get_page": 2, "get_channels": 1, "put_page": 1}
    assert upstash.metrics.snapshot()["redis_commands"] == counted
    assert upstash.metrics.commands == meter.redis_commands == endpoint.usage.commands == 4


def test_refused(make: Make, endpoint: UpstashEndpoint) -> None:
    """Nothing listens; once a server does again, commands succeed."""
    upstash = make(endpoint.url)
    endpoint.refuse()
    assert failure(upstash) == "unreachable"
    endpoint.accept()
    assert upstash.execute("get", "GET", "k") is None


def test_an_address_that_leads_nowhere(make: Make) -> None:
    """An unknown host name, and texts that are no address."""
    for url in ["http://nowhere.invalid", "nowhere", "http://[", "ftp://127.0.0.1:1"]:
        with case(url):
            assert failure(make(url)) == "unreachable"


def test_a_black_hole_at_connecting(make: Make) -> None:
    """An address that accepts no connection costs the connect timeout; what was never sent is no command."""
    with ExitStack() as stack:
        hole = stack.enter_context(socket.socket())
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        for _ in range(3):  # fills the queue of waiting connections
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(hole.getsockname())
        upstash = make(f"http://127.0.0.1:{hole.getsockname()[1]}")
        assert failure(upstash) == "timeout"
        assert upstash.metrics.commands == 0


def test_a_black_hole_at_reading(make: Make, endpoint: UpstashEndpoint) -> None:
    """A connection without a response costs the read timeout, once: there is no second try."""
    upstash = make(endpoint.url)
    upstash.execute("get", "GET", "k")
    endpoint.faults.add(Fault(kind="hang"))
    begun = time.perf_counter()
    assert failure(upstash) == "timeout"
    assert time.perf_counter() - begun >= READ_MS / 1000 - 0.01
    assert upstash.metrics.commands == 2


def test_every_fault_has_a_name(make: Make, endpoint: UpstashEndpoint) -> None:
    """On a fresh and on a kept connection alike; and the next call after the fault is well."""
    for warm in [False, True]:
        for fault, kind in [
            (Fault(kind="latency", ms=READ_MS * 3), "timeout"),
            (Fault(kind="garbage"), "garbled"),
            (Fault(kind="garbage", form="truncated", executed=True), "garbled"),
            (Fault(kind="garbage", form="short", executed=True), "disconnected"),
            (Fault(kind="die"), "disconnected"),
            (Fault(kind="die", form="half", executed=True), "disconnected"),
            (Fault(kind="wrong_token"), "refused_token"),
            (Fault(kind="status", status=429), "garbled"),
            (Fault(kind="status", status=500), "garbled"),
            (Fault(kind="status", status=502), "garbled"),
            (Fault(kind="quota", form="monthly"), "monthly_quota"),
            (Fault(kind="quota", form="daily"), "daily_quota"),
        ]:
            with case(warm, fault, kind):
                upstash = make(endpoint.url)
                if warm:
                    upstash.execute("get", "GET", "k")
                endpoint.faults.add(fault)
                assert failure(upstash, "SET", "k", "v") == kind
                endpoint.faults.clear()
                upstash.breaker.succeeded()
                assert upstash.execute("get", "GET", "none") is None


def test_full(make: Make, endpoint: UpstashEndpoint, clock: FakeClock) -> None:
    """A full database refuses writes, which are then left alone for ten minutes."""
    upstash = make(endpoint.url)
    endpoint.faults.add(Fault(kind="capacity"))
    assert upstash.execute("get", "GET", "k") is None
    assert failure(upstash, "SET", "k", "v") == "full"
    clock.ms += 10 * 60_000 - 1
    assert upstash.breaker.state == "open"
    clock.ms += 1
    assert upstash.breaker.state == "half_open"


def test_a_token_that_is_wrong(make: Make, endpoint: UpstashEndpoint, clock: FakeClock) -> None:
    """It is not tried again for ten minutes."""
    upstash = make(endpoint.url, token="wrong")
    assert failure(upstash) == "refused_token"
    clock.ms += 10 * 60_000 - 1
    assert failure_unasked(upstash, endpoint)
    clock.ms += 1
    assert upstash.breaker.state == "half_open"


def test_a_token_that_is_no_header(
    make: Make, endpoint: UpstashEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    """A token that cannot be sent fails by name, and is quoted in no text and no log."""
    caplog.set_level(logging.DEBUG)
    for token in (f"{TOKEN}\nX: y", f"{TOKEN}ä"):
        assert failure(make(endpoint.url, token=token)) == "refused_token"
    failure(make(endpoint.url, token=f"{TOKEN}-2"))
    make(endpoint.url).execute("get", "GET", "k")
    assert TOKEN not in caplog.text


def test_a_wrong_kind_of_value(make: Make, endpoint: UpstashEndpoint) -> None:
    """A key that holds no string is a fault of the key's: the breaker does not mind."""
    run(endpoint, "HSET", "k", "field", "value")
    upstash = make(endpoint.url, breaker_failures=1)
    assert failure(upstash) == "wrong_type"
    assert upstash.breaker.state == "closed"


BODIES = [
    b"",
    b"null",
    b"[]",
    b"[1]",
    b"7",
    b'"OK"',
    b"true",
    b"{}",
    b'{"error":""}',
    b'{"result"',
    b"\xff\xfe",
]


def test_json_of_another_kind(make: Make, script: Script) -> None:
    """Any body without a result is a named failure: lists, numbers, nothing, endless nesting."""
    for body in [*BODIES, b"[" * 100_000]:
        with case(body):
            script.responses = [(200, body)]
            assert failure(make(script.url)) in {"garbled", "disconnected"}
            assert 1 <= len(script.requests) <= 2
            script.requests.clear()


def test_errors_of_redis(make: Make, script: Script) -> None:
    """An error of Redis names the failure, whatever the HTTP status."""
    for error, kind in [
        ("WRONGPASS invalid or missing auth token", "refused_token"),
        ("Unauthorized: Invalid auth token", "refused_token"),
        ("NOPERM this user has no permissions to run the 'set' command", "refused_token"),
        ("OOM command not allowed when used memory > 'maxmemory'.", "full"),
        ("ERR max request size exceeded. Limit: 10485760 bytes", "too_large"),
        ("ERR something new", "error"),
    ]:
        with case(error, kind):
            script.responses = [(status, f'{{"error":"{error}"}}'.encode()) for status in (200, 400, 500)]
            upstash = make(script.url)
            for _ in range(3):
                assert failure(upstash, "SET", "k", "v") == kind
                upstash.breaker.succeeded()
