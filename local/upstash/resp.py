"""A small client of the Redis protocol (RESP2), to forward commands and pass the replies on.

Replies keep what JSON would lose: a status is a `Status`, an error is a `Failure` value (in a transaction an error
is one of several replies), a string is bytes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import select
import socket
import threading
from collections.abc import Iterator, Sequence
from typing import Self, TypeAlias

Command: TypeAlias = Sequence[bytes]
Reply: TypeAlias = "Status | bytes | int | Failure | list[Reply] | None"


class ProtocolError(ConnectionError):
    """The server closed the connection within a reply, or sent something that is not RESP2."""


class Status(bytes):
    """A one-line status such as OK; unlike a stored string, OK is never base64 encoded."""

    __slots__ = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """An error reply; `text` begins with its code, such as ERR or WRONGTYPE."""

    text: str


def encode_command(command: Command) -> bytes:
    """A command as the array of bulk strings that a server reads."""
    parts = [b"*%d\r\n" % len(command)]
    for word in command:
        parts += (b"$%d\r\n" % len(word), word, b"\r\n")
    return b"".join(parts)


def encode_reply(reply: Reply) -> bytes:
    """A reply as the bytes that a server sends for it."""
    match reply:
        case None:
            return b"$-1\r\n"
        case int():
            return b":%d\r\n" % reply
        case Status():
            return b"+%s\r\n" % reply
        case bytes():
            return b"$%d\r\n%s\r\n" % (len(reply), reply)
        case Failure():
            return b"-%s\r\n" % reply.text.encode()
        case _:
            return b"*%d\r\n" % len(reply) + b"".join(map(encode_reply, reply))


class Connection:
    """One connection, for one thread at a time.

    Args:
        host: Address of the server.
        port: Its port.
        timeout: Seconds to connect and to wait for each piece of a reply; None waits forever.

    Raises:
        OSError: In every method, if the server is unreachable, too slow or closes the connection.
    """

    def __init__(self, host: str, port: int, timeout: float | None = 10.0) -> None:
        self._socket = socket.create_connection((host, port), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = self._socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def run(self, *command: bytes) -> Reply:
        """Send one command and wait for its reply."""
        return self.run_all([command])[0]

    def run_all(self, commands: Sequence[Command]) -> list[Reply]:
        """Send all commands at once, then collect their replies in order."""
        self.send(commands)
        return [self.read() for _ in commands]

    def send(self, commands: Sequence[Command]) -> None:
        """Send commands without waiting."""
        self._socket.sendall(b"".join(map(encode_command, commands)))

    def read(self) -> Reply:
        """Wait for one reply, or for one message of a subscription."""
        line = self._reader.readline()
        if not line.endswith(b"\r\n"):
            raise ProtocolError("the Redis server hung up")
        kind, rest = line[:1], line[1:-2]
        match kind:
            case b"+":
                return Status(rest)
            case b"-":
                return Failure(rest.decode(errors="replace"))
            case b":":
                return int(rest)
            case b"$":
                return self._read_string(int(rest))
            case b"*":
                return self._read_array(int(rest))
        raise ProtocolError("the Redis server sent something that is not RESP2")

    def idle(self) -> bool:
        """Whether the connection is open with nothing unread, and so can be used again."""
        return not select.select([self._socket], [], [], 0)[0]

    def hang_up(self) -> None:
        """Make a `read` that waits in another thread fail at once."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close; a second call does nothing."""
        self._reader.close()
        self._socket.close()

    def _read_string(self, length: int) -> bytes | None:
        if length < 0:
            return None
        body = self._reader.read(length + 2)
        if len(body) != length + 2:
            raise ProtocolError("the Redis server hung up")
        return body[:-2]

    def _read_array(self, length: int) -> list[Reply] | None:
        return None if length < 0 else [self.read() for _ in range(length)]


class Pool:
    """Connections to one server, opened when needed and kept for reuse; thread-safe."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._lock = threading.Lock()
        self._spare: list[Connection] = []

    @contextlib.contextmanager
    def borrow(self) -> Iterator[Connection]:
        """Lend a connection; it is closed, not kept, if the borrower fails.

        Raises:
            OSError: The server is unreachable.
        """
        connection = self._take()
        try:
            yield connection
        except BaseException:
            connection.close()  # its replies may be out of step now
            raise
        with self._lock:
            self._spare.append(connection)

    def close(self) -> None:
        """Close the spare connections."""
        with self._lock:
            spare, self._spare = self._spare, []
        for connection in spare:
            connection.close()

    def _take(self) -> Connection:
        while True:
            with self._lock:
                spare = self._spare.pop() if self._spare else None
            if spare is None:
                return Connection(self.host, self.port)
            if spare.idle():
                return spare
            spare.close()  # the server was restarted meanwhile
