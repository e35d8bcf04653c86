"""The client repeats requests exactly when the API asks for it."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Final

import pytest

from local.demo.client import LONGEST_WAIT, Client, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

pytestmark = pytest.mark.stack

HANG_UP: Final = 0


class Played(HTTPServer):
    """Responds with these statuses, one after the other; 0 closes the connection instead."""

    def __init__(self, *statuses: int, retry_after: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.statuses = list(statuses)
        self.retry_after = retry_after
        self.seen: list[tuple[str, str | None, str | None, bytes]] = []

    @property
    def url(self) -> str:
        """Its address, with a path."""
        return f"http://127.0.0.1:{self.server_port}/stage/"

    def __enter__(self) -> Played:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Played

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append(
            (self.path, self.headers["Authorization"], self.headers["Idempotency-Key"], content)
        )
        status = self.server.statuses.pop(0)
        if status == HANG_UP:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(status)
        if self.server.retry_after:
            self.send_header("Retry-After", self.server.retry_after)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Does nothing."""


@pytest.fixture
def slept() -> list[float]:
    """The client's waits, in seconds."""
    return []


def _post(server: Played, slept: list[float], tries: int = 30) -> tuple[int, Sequence[int]]:
    with Client(server.url, lambda user: f"token of {user}", slept.append, tries) as client:
        response = client.call("POST", "/v1/x", "ada", body={"text": "ä"}, headers={"Idempotency-Key": "k"})
    return response.status, response.retries


@pytest.fixture(params=[429, 503])
def patient(request: pytest.FixtureRequest) -> Iterator[Played]:
    """A server that asks for a retry, twice."""
    with Played(request.param, request.param, 201, retry_after="2") as server:
        yield server


def test_it_waits_as_long_as_it_is_asked_to(patient: Played, slept: list[float]) -> None:
    """After 429 and 503 the same request, with its key, is sent again as `Retry-After` says."""
    assert _post(patient, slept)[0] == 201
    assert slept == [2.0, 2.0]
    assert patient.seen == [("/stage/v1/x", "Bearer token of ada", "k", b'{"text": "\\u00e4"}')] * 3


def test_a_broken_connection_is_made_anew(slept: list[float]) -> None:
    """After a broken connection the request is sent again under the same key."""
    with Played(HANG_UP, HANG_UP, 201) as server:
        assert _post(server, slept) == (201, (0, 0))
    assert len(server.seen) == 3


@pytest.mark.parametrize("status", [201, 304, 400, 401, 404, 422])
def test_an_answer_that_stands_is_not_asked_for_twice(status: int, slept: list[float]) -> None:
    """Success and client errors are final."""
    with Played(status) as server:
        assert _post(server, slept) == (status, ())
    assert slept == []


def test_its_patience_ends(slept: list[float]) -> None:
    """After the last attempt its response is returned; no single wait is longer than a minute."""
    with Played(503, 503, retry_after="86400") as server:
        assert _post(server, slept, tries=2) == (503, (503,))
    assert slept == [LONGEST_WAIT]


def test_an_address_where_nobody_listens_is_named(slept: list[float]) -> None:
    """The error names the address."""
    with Played() as server:
        address = server.url
    with (
        Client(address, str, slept.append, tries=2) as client,
        pytest.raises(UnreachableError, match=address),
    ):
        client.call("GET", "/v1/healthz")
