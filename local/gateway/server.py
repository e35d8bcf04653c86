"""The local stack's HTTP/1.1 server on 127.0.0.1: sockets and threads. An answerer makes the responses."""

import contextlib
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, Protocol, TypeAlias

from local.gateway.wire import Limits, RefusedError, Request, RequestReader, Response, write_response

HOST: Final = "127.0.0.1"

IDLE_TIMEOUT: Final = 60.0
"""Seconds that a connection may be idle between two requests."""

READ_TIMEOUT: Final = 10.0
"""Seconds that a client may be silent within a request."""

_POLL: Final = 0.05  # seconds until a stopped server notices
_READ: Final = 65_536  # bytes per read

Takeover: TypeAlias = Callable[[socket.socket], None]
"""Takes over the connection in place of a response; the connection ends after it."""


class Responder(Protocol):
    """Makes the responses; called from many threads at once."""

    def respond(self, request: Request) -> Response | Takeover:
        """Respond to a request. A `ConnectionError` ends the connection without a response."""
        ...

    def refuse(self, refused: RefusedError) -> Response:
        """Respond to an unreadable request."""
        ...

    def fault(self, error: BaseException) -> None:
        """Take note of an error that ended a connection."""
        ...


class Server(socketserver.ThreadingTCPServer):
    """One thread per connection. It listens from its construction, and serves between `start` and `stop`.

    Args:
        port: where to listen; 0 for a free port.
        answerer: makes the responses.
        limits: sizes above which requests are refused; API Gateway's by default.
        on_connection: called with 1 when a connection begins, and with -1 when it has ended.

    Raises:
        OSError: the port is in use.
    """

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024
    """Clients that may connect at once: thousands open WebSockets together when they come back."""

    def __init__(
        self,
        port: int,
        responder: Responder,
        *,
        limits: Limits | None = None,
        on_connection: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.responder = responder
        self.limits = limits or Limits()
        self._on_connection = on_connection
        self._connections: set[socket.socket] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        super().__init__((HOST, port), _Connection)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.server_address[1])

    def start(self) -> None:
        """Serve requests in threads."""
        self._thread = threading.Thread(target=self.serve_forever, args=(_POLL,), name="server", daemon=True)
        self._thread.start()

    def stop(self, patience: float = 5.0, *, hang_up: bool = False) -> None:
        """Stop listening and end the connections.

        Args:
            patience: seconds to wait, in all, for the connections to end.
            hang_up: also end connections with a response in progress, which is otherwise sent first.
        """
        if self._thread:
            self.shutdown()
            self._thread.join()
            self._thread = None
        self.server_close()
        with self._changed:
            for connection in self._connections:
                _end(connection, socket.SHUT_RDWR if hang_up else socket.SHUT_RD)
            self._changed.wait_for(lambda: not self._connections, patience)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  # as inherited
        """Note the new connection before its thread starts."""
        with self._changed:
            self._connections.add(request)
        self._on_connection(1)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401  # as inherited
        """Remove a connection once it is closed."""
        super().shutdown_request(request)
        self._on_connection(-1)
        with self._changed:
            self._connections.discard(request)
            self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002  # as inherited
        """Report an error to the answerer instead of printing a traceback."""
        if error := sys.exception():
            self.responder.fault(error)


class _Connection(socketserver.BaseRequestHandler):
    """Reads requests one after the other, and writes their responses."""

    server: Server
    request: socket.socket

    def setup(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = RequestReader(self.client_address[0], self.server.limits)

    def handle(self) -> None:
        # A client that has gone, or is silent between two requests, is not an error.
        with contextlib.suppress(TimeoutError, ConnectionError):
            while self._exchange():
                pass

    def _exchange(self) -> bool:
        """Serve one request; return whether the connection continues."""
        try:
            request = self._read()
        except RefusedError as refused:
            self._refuse(refused)
            return False
        if request is None:
            return False
        response = self.server.responder.respond(request)
        if not isinstance(response, Response):
            self.request.settimeout(None)
            response(self.request)
            return False
        self._write(response, head_only=request.method == "HEAD", keep_alive=request.keeps_alive)
        return request.keeps_alive

    def _read(self) -> Request | None:
        """The next request; None if the client has closed the connection before it."""
        while (request := self._reader.take()) is None:
            begun = self._reader.begun
            self.request.settimeout(READ_TIMEOUT if begun else IDLE_TIMEOUT)
            try:
                data = self.request.recv(_READ)
            except TimeoutError:
                if begun:
                    raise RefusedError(HTTPStatus.REQUEST_TIMEOUT) from None
                raise
            if not data and not begun:
                return None
            self._reader.feed(data)
            if self._reader.take_continue():
                self.request.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        return request

    def _refuse(self, refused: RefusedError) -> None:
        """Send the response, and read what the client still sends, or the response might be lost."""
        self._write(self.server.responder.refuse(refused), head_only=False, keep_alive=False)
        _end(self.request, socket.SHUT_WR)
        deadline = time.monotonic() + READ_TIMEOUT
        self.request.settimeout(1.0)
        while time.monotonic() < deadline and self.request.recv(_READ):
            pass

    def _write(self, response: Response, *, head_only: bool, keep_alive: bool) -> None:
        self.request.sendall(write_response(response, head_only=head_only, keep_alive=keep_alive))


def _end(connection: socket.socket, direction: int) -> None:
    # The other side may have been faster.
    with contextlib.suppress(OSError):
        connection.shutdown(direction)
