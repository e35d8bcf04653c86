"""HTTP of the local Upstash endpoint: sends a response, a fault in its place, or a stream of events."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import socket
import struct
import threading
import traceback
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from local.gateway.server import Takeover
from local.gateway.wire import Limits, RefusedError, Request, Response, write_response
from local.guard import refusal
from local.upstash.faults import Fault, Faults
from local.upstash.resp import Connection, Reply
from local.upstash.service import UNAUTHORIZED, Service
from local.upstash.usage import UsageCounter
from local.upstash.wire import error_answer, read_path, size_error, typed

LIMITS: Final = Limits(head=65_536, body=32 * 1024 * 1024)
"""A path may contain a value. A body above Upstash's limit is read, so that the refusal can state its size."""

_NEVER_RAN: Final = typed(200, b'{"result":"OK"}')  # what is lost if the commands were not run
_NOT_JSON: Final = b"<html><body>upstream connect error or disconnect/reset before headers</body></html>"


@dataclasses.dataclass(frozen=True, slots=True)
class Backend:
    """Serves the requests of one endpoint; called from many threads.

    Attributes:
        service: Runs the commands.
        faults: The armed faults.
        counter: Counts requests.
        control: Responds on control paths.
        closing: Set to end deliberate waits.
    """

    service: Service
    faults: Faults
    counter: UsageCounter
    control: Callable[[Request], Response]
    closing: threading.Event = dataclasses.field(default_factory=threading.Event)

    def respond(self, request: Request) -> Response | Takeover:
        """Respond to a request, or do to its connection what a fault says."""
        with self.counter.busy():
            response = self._answer(request)
        return self._sent(response) if isinstance(response, Response) else self._while_busy(response)

    def refuse(self, refused: RefusedError) -> Response:
        """Respond to an unreadable request."""
        if refused.size:
            return self._sent(error_answer(size_error(refused.size)))
        return self._sent(error_answer("ERR the request cannot be read", refused.response.status))

    def fault(self, error: BaseException) -> None:
        """Show an error of this endpoint that ended a connection."""
        traceback.print_exception(error)

    def _answer(self, request: Request) -> Response | Takeover:
        if reason := refusal(request.header("host"), request.header("origin")):
            return error_answer(f"ERR {reason}", HTTPStatus.FORBIDDEN)
        if request.path.startswith("/-/"):
            return self.control(request)
        self.counter.request(bytes_in=len(request.body))
        delay, fault = self.faults.strike()
        if delay:
            self.closing.wait(delay)
        if fault is not None:
            return self._suffer(fault, request)
        if request.path.startswith("/subscribe/") and self.service.role(request):
            channels = read_path(request)[1:]
            return functools.partial(self._stream, channels=channels)
        return self.service.respond(request)

    def _suffer(self, fault: Fault, request: Request) -> Response | Takeover:
        response = self.service.respond(request) if fault.executed else _NEVER_RAN
        suffered: Response | Takeover = _hang
        match fault.kind, fault.form:
            case "wrong_token", _:
                suffered = UNAUTHORIZED
            case "status", _:
                suffered = typed(fault.status, _NOT_JSON, "text/html")
            case "garbage", "text":
                suffered = typed(200, _NOT_JSON, "text/html")
            case "garbage", "truncated":
                suffered = dataclasses.replace(response, body=_half(response.body))
            case "garbage", "short":
                suffered = functools.partial(_send, data=self._cut(response))
            case "die", "half":
                suffered = functools.partial(_reset, data=self._cut(response))
            case "die", _:
                suffered = _reset
        return suffered

    def _cut(self, response: Response) -> bytes:
        """A response without half of the body that its head announces."""
        whole = write_response(self._sent(response), head_only=False, keep_alive=False)
        return whole[: len(whole) - len(response.body) + len(_half(response.body))]

    def _sent(self, response: Response) -> Response:
        self.counter.response(bytes_out=len(response.body))
        return response.with_headers(("upstash-sync-token", self.service.executor.sync_token()))

    def _while_busy(self, takeover: Takeover) -> Takeover:
        def take(connection: socket.socket) -> None:
            with self.counter.busy():
                takeover(connection)

        return take

    def _stream(self, connection: socket.socket, channels: list[bytes]) -> None:
        """Server-sent events of a subscription, until the client disconnects."""
        with self.service.executor.subscription() as feed:
            feed.send([[b"SUBSCRIBE", *channels]])
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
                b"Connection: close\r\n\r\n"
            )
            threading.Thread(target=_watch, args=(connection, feed), daemon=True).start()
            while event := _event(feed.read()):
                connection.sendall(event)
                self.counter.response(bytes_out=len(event))


def _half(body: bytes) -> bytes:
    return body[: len(body) // 2]


def _hang(connection: socket.socket) -> None:
    while connection.recv(65_536):
        pass  # a client that is still connected may send more; it gets no response


def _send(connection: socket.socket, data: bytes) -> None:
    connection.sendall(data)


def _reset(connection: socket.socket, data: bytes = b"") -> None:
    """Send, then close so that the client's system reports a reset rather than an end."""
    connection.sendall(data)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(connection.detach())


def _watch(connection: socket.socket, feed: Connection) -> None:
    with contextlib.suppress(OSError):
        connection.recv(1)
    feed.hang_up()


def _event(message: Reply) -> bytes:
    if not isinstance(message, list):
        return b""
    words = [
        b"%d" % word if isinstance(word, int) else word for word in message if isinstance(word, bytes | int)
    ]
    lines = b",".join(words).splitlines() or [b""]
    return b"".join(b"data: %s\n" % line for line in lines) + b"\n"
