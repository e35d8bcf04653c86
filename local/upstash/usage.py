"""What the local Upstash endpoint has been asked to do, counted as Upstash bills it."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

# Commands that Upstash does not bill: of a connection or of the server, whatever they are asked.
FREE: Final = frozenset({"AUTH", "COMMAND", "CONFIG", "HELLO", "INFO", "PING", "QUIT", "RESET", "SELECT"})


@dataclasses.dataclass(frozen=True, slots=True)
class Usage:
    """A snapshot.

    Attributes:
        commands: Billed commands: each of a pipeline or transaction is one, and so is MGET whatever its keys;
            those that a script ran inside count besides the EVAL itself; PING, INFO, COMMAND and AUTH are free,
            and what was refused before it ran is not billed.
        requests: HTTP requests answered or failed on purpose, without those to the control path.
        open_connections: Client connections now.
        peak_connections: The most there were at once.
        idle_connections: Those of the open ones on which no request is under way.
        by_command: Runs of each command by its name in capitals, scripts' inner and free ones too.
        bytes_in: Bytes of request bodies.
        bytes_out: Bytes of answer bodies.
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
    """How many of these commands Upstash bills."""
    return sum(count for name, count in ran.items() if name not in FREE)


class UsageCounter:
    """Counts; every method is safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = self._busy = self._peak = 0
        self._zero()

    def _zero(self) -> None:
        self._by_command: Counter[str] = Counter()
        self._requests = self._bytes_in = self._bytes_out = 0

    def reset(self) -> None:
        """Forget what was counted; connections that are open stay counted."""
        with self._lock:
            self._zero()
            self._peak = self._open

    def snapshot(self) -> Usage:
        """The figures as of now."""
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
        """Count a connection as one on which a request is under way."""
        with self._lock:
            self._busy += 1
        try:
            yield
        finally:
            with self._lock:
                self._busy -= 1

    def request(self, *, bytes_in: int) -> None:
        """Count a request that came in."""
        with self._lock:
            self._requests += 1
            self._bytes_in += bytes_in

    def response(self, *, bytes_out: int) -> None:
        """Count the body of an answer that was sent."""
        with self._lock:
            self._bytes_out += bytes_out
