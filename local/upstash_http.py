"""The HTTP side of the local Upstash endpoint: connections kept alive, and the faults that strike them."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
import socketserver
import struct
import sys
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from local.faults import Fault, Faults
from local.guard import refusal
from local.resp import Connection, Reply
from local.upstash_service import METHODS, UNAUTHORIZED, Service
from local.upstash_usage import UsageCounter
from local.upstash_wire import Answer, Request, RequestError, error_answer, read_path, size_error

HOST: Final = "127.0.0.1"
_LARGEST_READ: Final = 32 * 1024 * 1024  # bytes; a larger body is refused unread
_NEVER_RAN: Final = Answer(200, b'{"result":"OK"}')  # what is lost when the commands were not run
_NOT_JSON: Final = b"<html><body>upstream connect error or disconnect/reset before headers</body></html>"


@dataclasses.dataclass(frozen=True, slots=True)
class Backend:
    """What the threads of one endpoint share."""

    service: Service
    faults: Faults
    counter: UsageCounter
    control: Callable[[Request], Answer]
    closing: threading.Event = dataclasses.field(default_factory=threading.Event)


class Server(ThreadingHTTPServer):
    """Listens on 127.0.0.1, knows its connections, so that it can count and end them."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, backend: Backend) -> None:
        self.backend = backend
        self._connections: set[socket.socket] = set()
        super().__init__((HOST, port), _Handler)

    def server_bind(self) -> None:
        """Bind without asking the resolver for a host name, which may take seconds."""
        socketserver.TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as in the base class
        """Note the new connection before its thread starts."""
        self._connections.add(request)
        self.backend.counter.connection(1)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - as in the base class
        """Forget a connection once it is closed."""
        super().shutdown_request(request)
        self._connections.discard(request)
        self.backend.counter.connection(-1)

    def hang_up(self) -> None:
        """End every connection; their threads end by themselves."""
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as in the base class
        """Say nothing of a client that went away."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """One connection, request after request."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in the base class
        """Log nothing: paths may hold tokens and values."""

    def serve(self) -> None:
        """Answer one request of any method."""
        counter = self.server.backend.counter
        counter.busy(1)
        try:
            self._exchange(self._read_request())
        except RequestError as error:
            self.close_connection = True
            self._send(error_answer(str(error)))
        except ConnectionError:
            self.close_connection = True
        finally:
            counter.busy(-1)

    def _exchange(self, request: Request) -> None:
        backend = self.server.backend
        if reason := refusal(request.headers.get("host"), request.headers.get("origin")):
            self._send(error_answer(f"ERR {reason}", HTTPStatus.FORBIDDEN))
            return
        if request.path.startswith("/-/"):
            self._send(backend.control(request))
            return
        backend.counter.request(bytes_in=len(request.body))
        delay, fault = backend.faults.strike()
        if delay:
            backend.closing.wait(delay)
        if fault is not None:
            self._suffer(fault, request)
        elif request.path.startswith("/subscribe/") and backend.service.role(request):
            self._stream(read_path(request)[1:])
        else:
            self._send(backend.service.answer(request))

    def _suffer(self, fault: Fault, request: Request) -> None:
        answer = self.server.backend.service.answer(request) if fault.executed else _NEVER_RAN
        half = answer.body[: len(answer.body) // 2]
        match fault.kind, fault.form:
            case "wrong_token", _:
                self._send(UNAUTHORIZED)
            case "status", _:
                self._send(Answer(fault.status, _NOT_JSON, "text/html"))
            case "garbage", "text":
                self._send(Answer(200, _NOT_JSON, "text/html"))
            case "garbage", "truncated":
                self._send(dataclasses.replace(answer, body=half))
            case "garbage", "short":
                self._send(dataclasses.replace(answer, body=half), claimed=len(answer.body))
            case "die", "half":
                self._send(dataclasses.replace(answer, body=half), claimed=len(answer.body))
                self._reset()
            case "die", _:
                self._reset()
            case _:
                self._hang()

    def _read_request(self) -> Request:
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        chunked = "chunked" in headers.get("transfer-encoding", "").lower()
        body = self._read_chunks() if chunked else self._read_exactly(headers.get("content-length", "0"), 10)
        return Request(self.command, path, query, headers, body)

    def _read_exactly(self, length: str, base: int) -> bytes:
        try:
            count = int(length, base)
        except ValueError as error:
            raise RequestError("ERR the length of the body is not a number") from error
        if not 0 <= count <= _LARGEST_READ:
            raise RequestError(size_error(count))
        body = self.rfile.read(count)
        if len(body) < count:
            raise ConnectionResetError
        return body

    def _read_chunks(self) -> bytes:
        parts: list[bytes] = []
        size = 0
        while part := self._read_exactly(self.rfile.readline().split(b";")[0].strip().decode("latin-1"), 16):
            self.rfile.readline()
            parts.append(part)
            size += len(part)
            if size > _LARGEST_READ:
                raise RequestError(size_error(size))
        while self.rfile.readline().strip():
            pass  # trailers
        return b"".join(parts)

    def _send(self, answer: Answer, *, claimed: int | None = None) -> None:
        """Send an answer; `claimed` is a Content-Length that is not true, after which the connection ends."""
        if claimed is not None:
            self.close_connection = True
        headers = {
            "Content-Type": answer.content_type,
            "Content-Length": str(len(answer.body) if claimed is None else claimed),
            "Upstash-Sync-Token": self.server.backend.service.executor.sync_token(),
        }
        if self.close_connection:
            headers["Connection"] = "close"
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n{lines}\r\n"
        self.wfile.write(head.encode() + (b"" if self.command == "HEAD" else answer.body))
        self.server.backend.counter.answer(bytes_out=len(answer.body))

    def _hang(self) -> None:
        self.close_connection = True
        while self.connection.recv(65536):
            pass  # a client that is still there may send more; it gets no answer

    def _reset(self) -> None:
        """Close at once, so that the client's system reports a reset rather than an end."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.connection.detach())

    def _stream(self, channels: list[bytes]) -> None:
        """Server-sent events of a subscription, until the client goes away."""
        self.close_connection = True
        with self.server.backend.service.executor.subscription() as feed:
            feed.send([[b"SUBSCRIBE", *channels]])
            self.wfile.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
                b"Connection: close\r\n\r\n"
            )
            threading.Thread(target=self._watch, args=(feed,), daemon=True).start()
            while event := _event(feed.read()):
                self.wfile.write(event)
                self.server.backend.counter.answer(bytes_out=len(event))

    def _watch(self, feed: Connection) -> None:
        with contextlib.suppress(OSError):
            self.connection.recv(1)
        feed.hang_up()


def _event(message: Reply) -> bytes:
    if not isinstance(message, list):
        return b""
    words = [
        b"%d" % word if isinstance(word, int) else word for word in message if isinstance(word, bytes | int)
    ]
    lines = b",".join(words).splitlines() or [b""]
    return b"".join(b"data: %s\n" % line for line in lines) + b"\n"


# Any other method gets 405 as well; the base class looks its handlers up by these names.
for _method in (*METHODS, "DELETE", "PATCH", "OPTIONS", "TRACE"):
    setattr(_Handler, f"do_{_method}", _Handler.serve)
