"""A WebSocket connection: frames in and out of an accepted socket, within API Gateway's limits.

The library `websockets` knows the protocol (RFC 6455). The thread that serves the connection reads. Any thread may
send: what the socket does not take at once waits in a bounded buffer, which a thread of its own empties. So a client
that reads slowly delays nobody else.
"""

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from local.gateway.websocket_events import Client

MAX_FRAME: Final = 32 * 1024
MAX_MESSAGE: Final = 128 * 1024
"""API Gateway's limits, in bytes."""

MAX_UNSENT: Final = 128 * 1024
"""Bytes that may wait for a slow client; AWS does not say how many its own buffer holds."""

_SOCKET_BUFFER: Final = (
    64 * 1024
)  # bytes; without it the system would buffer megabytes for a client that does not read
_CLOSE_TIMEOUT: Final = 5.0  # seconds that a client has to answer a close frame
_READ: Final = 65_536  # bytes per read


@dataclass(frozen=True)
class Durations:
    """How long connections live, in seconds; the defaults are API Gateway's.

    Attributes:
        idle: without a message in either direction, or a ping.
        total: at all.
    """

    idle: float = 600.0
    total: float = 7200.0


class GoneError(Exception):
    """The connection has ended."""


class BusyError(Exception):
    """The client reads too slowly: nothing was sent."""


class Connection:
    """A connection, from its handshake on.

    Args:
        client: whose it is.
        connected: the accepted socket. Whoever accepted it closes it.
        durations: how long it may live.
        handshake: the response that opens it, sent before all else.
        on_message: takes each message as it was sent: text, or bytes of a binary message.
    """

    def __init__(
        self,
        client: Client,
        connected: socket.socket,
        durations: Durations,
        handshake: bytes,
        on_message: Callable[["Connection", str | bytes], None],
    ) -> None:
        self.client: Final = client
        self.last_active_at = client.connected_at
        """When a message was last sent or received, in milliseconds since 1970."""
        self._socket = connected
        self._socket.setblocking(False)  # noqa: FBT003  # the library's signature
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BUFFER)
        self._durations = durations
        self._on_message = on_message
        now = time.monotonic()
        self._ends, self._active, self._close_by = now + durations.total, now, float("inf")
        self._lock = threading.Lock()
        # All below is used by the reader alone, or under the lock.
        self._protocol = ServerProtocol(state=State.OPEN, max_size=(MAX_MESSAGE, MAX_FRAME))
        self._parts: list[bytes] = []
        self._is_text = True
        self._unsent = bytearray(handshake)
        self._ends_writing = False
        self._is_draining = False
        self._ended = False

    @property
    def closed(self) -> tuple[int, str]:
        """Code and reason of the close frame, whoever sent one first; 1006 if nobody did."""
        frame = self._protocol.close_sent
        return (int(frame.code), frame.reason) if frame else (int(CloseCode.ABNORMAL_CLOSURE), "")

    def send(self, message: bytes) -> None:
        """Send a message; longer ones than `MAX_FRAME` in several frames, as AWS does.

        Raises:
            GoneError: the connection has ended.
            BusyError: too much waits for the client.
        """
        pieces = [message[at : at + MAX_FRAME] for at in range(0, len(message), MAX_FRAME)] or [b""]
        with self._lock:
            if self._ended or self._protocol.state is not State.OPEN:
                raise GoneError
            if len(self._unsent) > MAX_UNSENT:
                raise BusyError
            # AWS sends text; only what is none must go as binary.
            begin = self._protocol.send_text if _text(message) is not None else self._protocol.send_binary
            begin(pieces[0], fin=len(pieces) == 1)
            for number, piece in enumerate(pieces[1:], 2):
                self._protocol.send_continuation(piece, fin=number == len(pieces))
            self._note_activity()
            self._flush()

    def close(self, code: CloseCode, reason: str = "") -> None:
        """Begin to close the connection, unless it is closing already."""
        with self._lock:
            if self._protocol.state is State.OPEN:
                self._protocol.send_close(code, reason)
                self._flush()

    def cut(self) -> None:
        """End the connection without a close frame."""
        with contextlib.suppress(OSError):  # The client may have been faster.
            self._socket.shutdown(socket.SHUT_RDWR)

    def read(self) -> None:
        """Read until the connection has ended."""
        poller = select.poll()
        poller.register(self._socket, select.POLLIN)
        with self._lock:
            self._flush()
        try:
            while (wait := self._remaining()) > 0:
                # Another thread may begin to close the connection meanwhile: that has its own time limit.
                if poller.poll(min(wait, _CLOSE_TIMEOUT) * 1000) and not self._read_once():
                    return
        finally:
            with self._lock:
                self._ended = True

    def _remaining(self) -> float:
        """Seconds until something must happen; begins to close a connection whose time is over."""
        now = time.monotonic()
        if now >= min(self._ends, self._active + self._durations.idle):
            self.close(CloseCode.GOING_AWAY, "Going away")
        with self._lock:
            if self._protocol.state is State.OPEN:
                return max(0.001, min(self._ends, self._active + self._durations.idle) - now)
            self._close_by = min(self._close_by, now + _CLOSE_TIMEOUT)
            return self._close_by - now

    def _read_once(self) -> bool:
        """Take what has arrived; whether more may come."""
        try:
            data = self._socket.recv(_READ)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        with self._lock:
            if data:
                self._protocol.receive_data(data)
            else:
                self._protocol.receive_eof()
            messages = [
                whole
                for event in self._protocol.events_received()
                if (whole := self._assembled(event)) is not None
            ]
            self._flush()
        for message in messages:
            self._on_message(self, message)
        return bool(data)

    def _assembled(self, event: object) -> str | bytes | None:
        """The message that a frame completes, if it does."""
        if not isinstance(event, Frame) or event.opcode in {Opcode.PONG, Opcode.CLOSE}:
            return None
        self._note_activity()
        if event.opcode is Opcode.PING:
            return None  # The library has answered it.
        if event.opcode is not Opcode.CONT:
            self._parts, self._is_text = [], event.opcode is Opcode.TEXT
        self._parts.append(bytes(event.data))
        if not event.fin:
            return None
        whole, self._parts = b"".join(self._parts), []
        if not self._is_text:
            return whole
        if (text := _text(whole)) is None:
            self._protocol.fail(CloseCode.INVALID_DATA)
        return text

    def _note_activity(self) -> None:
        self._active, self.last_active_at = time.monotonic(), int(time.time() * 1000)

    def _flush(self) -> None:
        """Send what the library has made, or leave it to a thread if the socket takes no more."""
        for data in self._protocol.data_to_send():
            if data:
                self._unsent += data
            else:
                self._ends_writing = True
        if not self._is_draining and not self._push_out():
            self._is_draining = True
            threading.Thread(target=self._drain, name="slow client", daemon=True).start()

    def _push_out(self) -> bool:
        """Send as much as the socket takes; whether that is all."""
        try:
            while self._unsent:
                del self._unsent[: self._socket.send(self._unsent)]
            if self._ends_writing:
                self._socket.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            return False
        except OSError:
            self._unsent.clear()  # The client has gone: the reader notices.
        return True

    def _drain(self) -> None:
        """Send what waits as fast as the client reads."""
        poller = select.poll()
        poller.register(self._socket, select.POLLOUT)
        while True:
            poller.poll(1000)
            with self._lock:
                if self._ended or self._push_out():
                    self._is_draining = False
                    return


def _text(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
