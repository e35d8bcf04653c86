"""Counts the use of the local Upstash endpoint as Upstash bills it."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

# Commands that Upstash does not bill: of a connection or of the server.
FREE: Final = frozenset({"AUTH", "COMMAND", "CONFIG", "HELLO", "INFO", "PING", "QUIT", "RESET", "SELECT"})


@dataclasses.dataclass(frozen=True, slots=True)
class Usage:
    """A snapshot.

    Attributes:
        commands: Billed commands: each of a pipeline or transaction is one, and so is MGET whatever its keys;
            a script's commands count in addition to the EVAL itself; PING, INFO, COMMAND and AUTH are free,
            and what was refused before it ran is not billed.
        requests: HTTP requests, including those that a fault affected, without those to control paths.
        open_connections: Current client connections.
        peak_connections: The most at any time.
        idle_connections: Open connections without a request in progress.
        by_command: Runs of each command by its name in capitals, including scripts' commands and free ones.
        bytes_in: Bytes of request bodies.
        bytes_out: Bytes of response bodies.
    """

    commands: int
    requests: int
    open_connections: int
    peak_connections: int
    idle_connections: int
    by_command: Mapping[str, int]
    bytes_in: int
    bytes_out: int

    def as_json(self) -> dict[str, Any]:
        """The figures as a JSON object."""
        return dataclasses.asdict(self)


def billed(ran: Mapping[str, int]) -> int:
    """The number of these commands that Upstash bills."""
    return sum(count for name, count in ran.items() if name not in FREE)


class UsageCounter:
    """Counts; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = self._busy = self._peak = 0
        self._zero()

    def _zero(self) -> None:
        self._by_command: Counter[str] = Counter()
        self._requests = self._bytes_in = self._bytes_out = 0

    def reset(self) -> None:
        """Reset the counts, except open connections."""
        with self._lock:
            self._zero()
            self._peak = self._open

    def snapshot(self) -> Usage:
        """The current figures."""
        with self._lock:
            return Usage(
                commands=billed(self._by_command),
                requests=self._requests,
                open_connections=self._open,
                peak_connections=self._peak,
                idle_connections=self._open - self._busy,
                by_command=dict(self._by_command),
                bytes_in=self._bytes_in,
                bytes_out=self._bytes_out,
            )

    def ran(self, commands: Mapping[str, int]) -> None:
        """Count commands that ran."""
        with self._lock:
            self._by_command.update(commands)

    def connection(self, change: int) -> None:
        """Count a connection that opened (1) or closed (-1)."""
        with self._lock:
            self._open += change
            self._peak = max(self._peak, self._open)

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """Mark a connection as busy with a request."""
        with self._lock:
            self._busy += 1
        try:
            yield
        finally:
            with self._lock:
                self._busy -= 1

    def request(self, *, bytes_in: int) -> None:
        """Count a request."""
        with self._lock:
            self._requests += 1
            self._bytes_in += bytes_in

    def response(self, *, bytes_out: int) -> None:
        """Count the body of a response."""
        with self._lock:
            self._bytes_out += bytes_out
