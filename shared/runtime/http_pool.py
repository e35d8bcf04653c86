"""A pool of persistent connections to one HTTP server, for any number of threads."""

from __future__ import annotations

import select
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import ssl

IDLE_SECONDS: Final = 50.0
"""A connection that was idle for longer is not used again: the network may have dropped it silently."""
MAX_IDLE: Final = 32


class NotConnectedError(ConnectionError):
    """Nothing was sent: the server refuses connections, its name is unknown, or its certificate is invalid."""


class Connections:
    """Connections over HTTP or HTTPS, depending on the URL.

    Args:
        url: the server's URL, without a path.
        connect_seconds: timeout for connecting, including the TLS handshake.
        read_seconds: timeout of each wait for a part of the response.
    """

    def __init__(self, url: str, connect_seconds: float, read_seconds: float) -> None:
        parts = urlsplit(url)
        self.host = parts.netloc
        self._scheme = parts.scheme
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        self._idle: deque[tuple[HTTPConnection, float]] = deque()
        if self._scheme == "https":
            tls()  # Loading the certificates is slow, so it is done before the first request.

    def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[HTTPResponse, bytes]:
        """Sends a request; returns the response and its whole body.

        It is sent once more if the server has closed a kept connection, so it must be harmless to repeat.

        Raises:
            NotConnectedError: nothing was sent.
            OSError, http.client.HTTPException: no response; whether the request was carried out is unknown.
        """
        message = _message(method, path, headers, body)
        if kept := self._kept():
            try:
                return self._exchange(kept, method, message)
            except ConnectionError:
                # Not a failure of the server: after idle time or an outage all kept connections are closed.
                self.close()
        return self._exchange(self._connected(), method, message)

    def _exchange(
        self, connection: HTTPConnection, method: str, message: bytes
    ) -> tuple[HTTPResponse, bytes]:
        try:
            connection.sock.sendall(message)
            with HTTPResponse(connection.sock, method=method) as response:
                response.begin()
                whole = response.read()
        except BaseException:
            connection.close()
            raise
        self._keep(connection, response)
        return response, whole

    def close(self) -> None:
        """Closes all idle connections; several threads may call it."""
        with suppress(IndexError):
            while True:
                self._idle.pop()[0].close()

    def _kept(self) -> HTTPConnection | None:
        """The idle connection used last that is still open."""
        while self._idle:
            try:
                connection, since = self._idle.pop()
            except IndexError:  # another thread was faster
                return None
            # Not a monotonic clock, which stops while Lambda freezes the container.
            if 0 <= time.time() - since < IDLE_SECONDS and not _is_dropped(connection):
                return connection
            connection.close()
        return None

    def _keep(self, connection: HTTPConnection, response: HTTPResponse) -> None:
        if response.will_close or len(self._idle) >= MAX_IDLE:
            connection.close()
        else:
            self._idle.append((connection, time.time()))

    def _connected(self) -> HTTPConnection:
        connection = self._new()
        try:
            connection.connect()
            connection.sock.settimeout(self._read_seconds)
        except TimeoutError:
            connection.close()
            raise
        except (OSError, ValueError) as error:  # ValueError: an invalid host
            connection.close()
            raise NotConnectedError from error
        return connection

    def _new(self) -> HTTPConnection:
        if self._scheme == "https":
            return HTTPSConnection(self.host, timeout=self._connect_seconds, context=tls())
        if self._scheme == "http":
            return HTTPConnection(self.host, timeout=self._connect_seconds)
        raise NotConnectedError


def _message(method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """A request in one piece: ``HTTPConnection.request`` sends head and body apart, each with a call to the system."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}content-length: {len(body)}\r\n\r\n".encode("latin-1") + body


@cache
def tls() -> ssl.SSLContext:
    """The TLS context of all connections, with the machine's certificates."""
    import ssl  # noqa: PLC0415 - loaded only if HTTPS is used

    return ssl.create_default_context()


def _is_dropped(connection: HTTPConnection) -> bool:
    """Whether an idle connection has something to read, which is nearly always its end."""
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))
