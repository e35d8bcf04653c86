"""Connections to the local Upstash endpoint: kept, counted, used for streams, and ended."""

from __future__ import annotations

import contextlib
import http.client
import json
import pathlib
import socket
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from local.upstash import valkey
from local.upstash.endpoint import UpstashEndpoint
from local.upstash.faults import Fault
from tests.endpoint import TOKEN

pytestmark = pytest.mark.stack
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def caller(endpoint: UpstashEndpoint) -> Iterator[http.client.HTTPConnection]:
    """A connection to the endpoint."""
    with contextlib.closing(_connect(endpoint)) as connection:
        yield connection


def test_a_body_in_chunks(caller: http.client.HTTPConnection) -> None:
    """A body of unknown length is read as well."""
    words = iter([b'["SET", "k",', b' "chunked"]'])
    caller.request("POST", "/", words, BEARER, encode_chunked=True)
    assert json.loads(caller.getresponse().read()) == {"result": "OK"}
    assert _get(caller, "/get/k") == {"result": "chunked"}


def test_a_subscription_streams_events(endpoint: UpstashEndpoint, caller: http.client.HTTPConnection) -> None:
    """GET /subscribe/channel sends server-sent events, and ends when the client disconnects."""
    host, _, port = endpoint.url.removeprefix("http://").partition(":")
    _get(caller, "/ping")  # its connection is kept, and open before the count
    before = endpoint.usage.open_connections
    with socket.create_connection((host, int(port)), timeout=5) as listener:
        listener.sendall(f"GET /subscribe/chat?_token={TOKEN} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        with listener.makefile("rb") as stream:
            lines = iter(stream.readline, b"data: message,chat,hello\n")
            assert b"data: subscribe,chat,1\n" in lines
            assert _get(caller, "/publish/chat/hello") == {"result": 1}
            assert list(lines) == [b"\n"]
    _eventually(lambda: endpoint.usage.open_connections <= before)


def test_connections_are_kept_and_counted(
    endpoint: UpstashEndpoint, caller: http.client.HTTPConnection
) -> None:
    """A connection serves many requests; usage distinguishes open from idle ones."""
    _get(caller, "/ping")
    before = endpoint.usage.open_connections
    with contextlib.closing(_connect(endpoint)) as other:
        _get(other, "/ping")
        _get(other, "/ping")
        assert endpoint.usage.open_connections == before + 1
        assert endpoint.usage.peak_connections >= before + 1
        _eventually(lambda: endpoint.usage.idle_connections == before + 1)
    _eventually(lambda: endpoint.usage.open_connections == before)


def test_closing_ends_connections_and_what_waits_on_them(tmp_path: pathlib.Path) -> None:
    """Idle connections, a hanging request and a subscription all end when the endpoint closes."""
    with valkey.running(tmp_path) as port, contextlib.ExitStack() as clients:
        with UpstashEndpoint(redis_port=port, token=TOKEN) as closing:
            idle, hanging, listening = (
                clients.enter_context(contextlib.closing(_connect(closing))) for _ in "abc"
            )
            _get(idle, "/ping")
            listening.request("GET", "/subscribe/chat", headers=BEARER)
            assert listening.getresponse().status == 200
            closing.faults.add(Fault(kind="hang"))
            hanging.request("GET", "/ping", headers=BEARER)
        assert closing.usage.open_connections == 0
        with pytest.raises(ConnectionError):
            hanging.getresponse()


def test_a_restarted_redis_server_is_found_again(tmp_path: pathlib.Path) -> None:
    """While the Redis server is down the response is 502 with an error object; later everything works again."""
    with valkey.running(tmp_path) as port:
        endpoint = UpstashEndpoint(redis_port=port, token=TOKEN)
        endpoint.start()
        with contextlib.closing(_connect(endpoint)) as caller:
            assert _get(caller, "/set/k/v") == {"result": "OK"}
    with contextlib.closing(endpoint), contextlib.closing(_connect(endpoint)) as caller:
        assert "cannot be reached" in _get(caller, "/get/k", status=502)["error"]
        with subprocess.Popen(valkey.command(port, tmp_path), stdout=subprocess.DEVNULL) as server:  # noqa: S603 - ours
            valkey.wait_ready(port)
            assert _get(caller, "/get/k") == {"result": "v"}
            server.terminate()


def _connect(endpoint: UpstashEndpoint) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(endpoint.url.removeprefix("http://"), timeout=10)


def _get(connection: http.client.HTTPConnection, path: str, *, status: int = 200) -> Any:
    """The JSON of the response, which must have the status."""
    connection.request("GET", path, headers=BEARER)
    response = connection.getresponse()
    assert response.status == status
    return json.loads(response.read())


def _eventually(condition: Any) -> None:
    """Wait up to two seconds for another thread."""
    deadline = time.monotonic() + 2
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()
