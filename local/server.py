"""A small HTTP/1.1 server on 127.0.0.1: sockets and threads, what is said over them is decided elsewhere."""

import contextlib
import socket
import socketserver
import sys
import threading
import time
from http import HTTPStatus
from typing import Any, Final, Protocol

from local.wire import Answer, RefusedError, Request, read_request, write_answer

HOST: Final = "127.0.0.1"

IDLE_TIMEOUT: Final = 60.0
"""Seconds that a connection may be silent between two requests."""

READ_TIMEOUT: Final = 10.0
"""Seconds that a client may be silent within a request."""


class Answerer(Protocol):
    """What decides on the answers; called from many threads at once."""

    def answer(self, request: Request) -> Answer:
        """Answer a request."""
        ...

    def refuse(self, refused: RefusedError) -> Answer:
        """Answer what is no readable request."""
        ...

    def fault(self, error: BaseException) -> None:
        """Be told of an error that cost a connection."""
        ...


class Server(socketserver.ThreadingTCPServer):
    """One thread a connection. It remembers its connections, to end them when it closes."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, gateway: Answerer) -> None:
        self.gateway = gateway
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._lock = threading.Lock()
        self._closing = False
        super().__init__((HOST, port), _Connection)

    def remember(self, connection: socket.socket) -> None:
        """Called by a connection's thread when it begins."""
        with self._lock:
            self._connections[connection] = threading.current_thread()
            if self._closing:
                _end(connection, socket.SHUT_RD)

    def forget(self, connection: socket.socket) -> None:
        """Called by a connection's thread when it ends."""
        with self._lock:
            self._connections.pop(connection, None)

    def end_connections(self, patience: float = 5.0) -> None:
        """Let no more requests in, wait for the answers under way, `patience` seconds in all."""
        deadline = time.monotonic() + patience
        with self._lock:
            self._closing = True
            connections = dict(self._connections)
            for connection in connections:
                _end(connection, socket.SHUT_RD)
        for thread in connections.values():
            thread.join(max(0.0, deadline - time.monotonic()))

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002  # as inherited
        """One line instead of a traceback."""
        if error := sys.exception():
            self.gateway.fault(error)


class _Connection(socketserver.StreamRequestHandler):
    """Reads requests one after the other, and writes their answers."""

    disable_nagle_algorithm = True
    server: Server

    def setup(self) -> None:
        self.request.settimeout(IDLE_TIMEOUT)
        super().setup()
        self.server.remember(self.request)

    def finish(self) -> None:
        self.server.forget(self.request)
        super().finish()

    def handle(self) -> None:
        try:
            while self._exchange():
                pass
        except (TimeoutError, ConnectionError):
            pass  # The client is gone, or was silent between two requests.

    def _exchange(self) -> bool:
        """One request and its answer; whether the connection goes on."""
        self.request.settimeout(IDLE_TIMEOUT)
        if not self.rfile.peek(1):  # type: ignore[attr-defined]  # a BufferedReader in fact
            return False
        self.request.settimeout(READ_TIMEOUT)
        try:
            request = read_request(self.rfile, source_ip=self.client_address[0], on_continue=self._continue)
        except TimeoutError:
            return self._end_with(RefusedError(HTTPStatus.REQUEST_TIMEOUT))
        except RefusedError as refused:
            return self._end_with(refused)
        if request is None:
            return False
        answer = self.server.gateway.answer(request)
        self._write(answer, head_only=request.method == "HEAD", keep_alive=request.keeps_alive)
        return request.keeps_alive

    def _continue(self) -> None:
        self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _end_with(self, refused: RefusedError) -> bool:
        """Answer and end. What the client still sends is read, or the answer might be lost to it."""
        self._write(self.server.gateway.refuse(refused), head_only=False, keep_alive=False)
        _end(self.request, socket.SHUT_WR)
        deadline = time.monotonic() + READ_TIMEOUT
        self.request.settimeout(1.0)
        while time.monotonic() < deadline and self.request.recv(65_536):
            pass
        return False

    def _write(self, answer: Answer, *, head_only: bool, keep_alive: bool) -> None:
        self.wfile.write(write_answer(answer, head_only=head_only, keep_alive=keep_alive))


def _end(connection: socket.socket, direction: int) -> None:
    # The other side may have been faster.
    with contextlib.suppress(OSError):
        connection.shutdown(direction)
