"""Clients that each have one connection, and send the next request when the answer to the last one is there.

All in one thread that waits for whichever socket is ready, and reads of an answer its status and its length.
"""

from __future__ import annotations

import gc
import re
import selectors
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Final

from bench.load.scene import Request

PATIENCE: Final = 30.0
"""Seconds without a byte from anybody after which the load is given up."""
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_HEAD_END: Final = b"\r\n\r\n"


@dataclass(slots=True)
class Lap:
    """What came of a time of load.

    Attributes:
        seconds: How long it was measured.
        latencies: Seconds of each request, by its kind.
        errors: Answers with another status than they must have, and broken connections; of all requests.
        answered: All requests that were answered, also while it warmed up.
        received: Bytes of their answers.
    """

    seconds: float = 0.0
    latencies: dict[str, list[float]] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)
    answered: int = 0
    received: int = 0

    @property
    def all(self) -> list[float]:
        """The latencies of all kinds."""
        return [each for some in self.latencies.values() for each in some]


class _Client:
    """One connection, and what is awaited on it.

    Attributes:
        request: What was sent last, at ``sent_at`` (``perf_counter``).
        status: The answer's, 0 while its head is not there.
        size: Bytes of the answer so far.
    """

    request: Request

    def __init__(self, address: tuple[str, int], requests: Iterator[Request]) -> None:
        self.socket = socket.create_connection(address, PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._requests = requests
        self.sent_at = 0.0
        self.status = self.size = self._wanted = 0
        self._head = b""

    def send(self) -> None:
        """Sends the next request; it is small enough for the socket's buffer."""
        self.request = next(self._requests)
        self.status = self.size = self._wanted = 0
        self._head = b""
        self.sent_at = time.perf_counter()
        self.socket.sendall(self.request.content)

    def receive(self) -> bool:
        """Reads what is there; whether the answer is whole.

        Raises:
            ConnectionError: the other side has hung up.
        """
        part = self.socket.recv(262_144)
        if not part:
            raise ConnectionResetError
        self.size += len(part)
        if not self._wanted:
            self._head += part
            self._read_head()
        return 0 < self._wanted <= self.size

    def _read_head(self) -> None:
        """Once it is whole: the answer's status, and how many bytes there are in all."""
        head, end, _ = self._head.partition(_HEAD_END)
        if end:
            length = _LENGTH.search(head)
            self.status = int(head[9:12])
            self._wanted = len(head) + len(end) + (int(length[1]) if length else 0)


def drive(
    address: tuple[str, int], requests: Sequence[Sequence[Request]], seconds: float, warm_up: float
) -> Lap:
    """Loads a server: a client for each sequence of requests, which it goes through again and again.

    What was sent in the first ``warm_up`` seconds, or is answered after the time is up, is not counted. The time is not
    up before each client has had an answer on average. All answers are waited for, so that the next server is not
    disturbed.
    """
    clients = [_Client(address, cycle(each)) for each in requests]
    lap = Lap()
    gc.collect()
    gc.disable()
    try:
        with selectors.DefaultSelector() as selector:
            for client in clients:
                selector.register(client.socket, selectors.EVENT_READ, client)
                client.send()
            _Driver(selector, len(clients), lap, warm_up).run(seconds)
    finally:
        gc.enable()
        for client in clients:
            client.socket.close()
    return lap


class _Driver:
    """Waits for answers, and has the next requests sent."""

    def __init__(self, selector: selectors.BaseSelector, clients: int, lap: Lap, warm_up: float) -> None:
        self._selector = selector
        self._clients = self._busy = clients
        self._lap = lap
        self._begin = time.perf_counter() + warm_up
        self._counted = 0

    def run(self, seconds: float) -> None:
        """Goes on until the time is up and nothing is awaited any more."""
        end = self._begin + seconds
        while self._busy:
            ready = self._selector.select(PATIENCE)
            if not ready:
                raise TimeoutError(f"no answer within {PATIENCE:g} s")
            for key, _ in ready:
                if not self._receive(key.data):
                    continue
                now = time.perf_counter()
                if not self._lap.seconds:
                    self._count(key.data, now)
                    if now >= end and self._counted >= self._clients:
                        self._lap.seconds = now - self._begin
                if self._lap.seconds:
                    self._busy -= 1
                else:
                    key.data.send()
        # Where every connection broke, what there was is all that there is.
        self._lap.seconds = self._lap.seconds or seconds

    def _receive(self, client: _Client) -> bool:
        """Whether the client has an answer; one whose connection broke has had its last."""
        try:
            if not client.receive():
                return False
        except OSError as error:
            self._lap.errors[type(error).__name__] += 1
            self._selector.unregister(client.socket)
            self._busy -= 1
            return False
        self._lap.answered += 1
        self._lap.received += client.size
        if client.status != client.request.status:
            self._lap.errors[f"{client.request.kind}: {client.status}"] += 1
        return True

    def _count(self, client: _Client, now: float) -> None:
        if client.sent_at >= self._begin:
            self._counted += 1
            self._lap.latencies.setdefault(client.request.kind, []).append(now - client.sent_at)
