"""Connections to one HTTP endpoint that are kept and used again, by any number of threads."""

from __future__ import annotations

import select
import ssl
import time
from collections import deque
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import Final
from urllib.parse import urlsplit

IDLE_SECONDS: Final = 50.0
"""A connection that rested longer is not used again: what lies between may have forgotten it without a word."""
MAX_IDLE: Final = 32


class Connections:
    """HTTP or HTTPS, as the address says.

    Args:
        url: the endpoint's address, without a path.
        connect_seconds: that connecting may take, the TLS handshake included.
        read_seconds: that each wait for a part of an answer may take.
    """

    def __init__(self, url: str, connect_seconds: float, read_seconds: float) -> None:
        parts = urlsplit(url)
        self.host = parts.netloc
        self._connect_seconds = connect_seconds
        self._read_seconds = read_seconds
        # Loading the certificates takes longer than all else here: once, where the services are built.
        self._context = ssl.create_default_context() if parts.scheme == "https" else None
        self._idle: deque[tuple[HTTPConnection, float]] = deque()

    def post(self, headers: dict[str, str], body: bytes) -> tuple[HTTPResponse, bytes]:
        """The answer to a request, with its whole body.

        Raises:
            OSError, http.client.HTTPException: there is none; whether the request was carried out is not known.
        """
        connection = self._kept() or self._connected()
        try:
            connection.request("POST", "/", body, headers)
            response = connection.getresponse()
            answer = response.read()
        except BaseException:
            connection.close()
            raise
        self._keep(connection, response)
        return response, answer

    def close(self) -> None:
        """Closes what rests."""
        while self._idle:
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
        if self._context is None:
            connection = HTTPConnection(self.host, timeout=self._connect_seconds)
        else:
            connection = HTTPSConnection(self.host, timeout=self._connect_seconds, context=self._context)
        try:
            connection.connect()
            connection.sock.settimeout(self._read_seconds)
        except BaseException:
            connection.close()
            raise
        return connection


def _is_dropped(connection: HTTPConnection) -> bool:
    """Whether there is something to read where nothing was asked: the end, mostly."""
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))
