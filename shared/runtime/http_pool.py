"""Connections to one HTTP server that are kept and used again, by any number of threads."""

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
"""A connection that rested longer is not used again: what lies between may have forgotten it without a word."""
MAX_IDLE: Final = 32


class NotConnectedError(ConnectionError):
    """Nothing was sent: the server does not take connections, is not known, or its certificate is not right."""


class DroppedError(ConnectionError):
    """A kept connection had been closed at the other end, and nothing came back."""


class Connections:
    """HTTP or HTTPS, as the address says.

    Args:
        url: the server's address, without a path.
        connect_seconds: that connecting may take, the TLS handshake included.
        read_seconds: that each wait for a part of an answer may take.
    """

    def __init__(self, url: str, connect_seconds: float, read_seconds: float) -> None:
        parts = urlsplit(url)
        self.host = parts.netloc
        self._scheme = parts.scheme
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        self._idle: deque[tuple[HTTPConnection, float]] = deque()
        if self._scheme == "https":
            tls()  # Loading the certificates takes longer than all else here: not with the first request.

    def post(self, path: str, headers: Mapping[str, str], body: bytes) -> tuple[HTTPResponse, bytes]:
        """The answer to a request, with its whole body.

        Raises:
            NotConnectedError: nothing was sent.
            DroppedError: a kept connection is gone; on another the same request may go well.
            OSError, http.client.HTTPException: there is none; whether the request was carried out is not known.
        """
        kept = self._kept()
        connection = kept or self._connected()
        try:
            connection.request("POST", path, body, headers)
            with connection.getresponse() as response:
                answer = response.read()
        except ConnectionError as error:
            connection.close()
            if kept:
                raise DroppedError from error
            raise
        except BaseException:
            connection.close()
            raise
        self._keep(connection, response)
        return response, answer

    def close(self) -> None:
        """Closes what rests; another thread may do the same."""
        with suppress(IndexError):
            while True:
                self._idle.pop()[0].close()

    def _kept(self) -> HTTPConnection | None:
        """The one used last, if the other end still holds it."""
        while self._idle:
            try:
                connection, since = self._idle.pop()
            except IndexError:  # another thread was faster
                return None
            # Not a monotonic clock, which stands still while Lambda has frozen the container.
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
        except (OSError, ValueError) as error:  # ValueError: a host that can be none
            connection.close()
            raise NotConnectedError from error
        return connection

    def _new(self) -> HTTPConnection:
        if self._scheme == "https":
            return HTTPSConnection(self.host, timeout=self._connect_seconds, context=tls())
        if self._scheme == "http":
            return HTTPConnection(self.host, timeout=self._connect_seconds)
        raise NotConnectedError


@cache
def tls() -> ssl.SSLContext:
    """What all connections of this container trust: the machine's certificates."""
    import ssl  # noqa: PLC0415 - where nothing is encrypted, nothing needs it

    return ssl.create_default_context()


def _is_dropped(connection: HTTPConnection) -> bool:
    """Whether there is something to read where nothing was asked: the end, mostly."""
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))
