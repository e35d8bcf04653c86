"""Sends frames to many connections side by side, in order for each of them; a slow or dead one delays no other."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Final

from shared.aws.sender import Sender, Sent
from shared.bootstrap import Services

AT_ONCE: Final = 32
"""Frames that are under way at a time, as many as the sender keeps connections. With 15 ms for each, 1,000 frames take
0.6 s, with 16 at a time 1.3 s; the CPU time is the same."""
RETRY_WAITS: Final = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds before each further try of a frame that API Gateway could not take."""
RETRY_SECONDS: Final = 2.0
"""No frame is tried again later than this after the batch's sending began, as the next batch waits: it is dropped."""
SENDING_SECONDS: Final = 15.0
"""Nothing is sent later than this: the function ends after 30 s, and a batch that fails would be sent once more."""
STALLED_MS: Final = 5_000
"""How long nothing is sent to a connection after a frame to it was dropped. After that each frame is tried once, until
one is taken. So a stalled connection delays a shard's batches by at most 2 s once, and then by one try in 5 s."""
FORGET_MS: Final = 600_000
"""How long a stalled connection is known; clients that stall find what they missed by a ping every 5 minutes."""

Stalled = MutableMapping[str, int]
"""A container's stalled connections: until when (milliseconds since 1970) nothing is sent to each."""


@dataclass(slots=True)
class Delivery:
    """Frames for one connection, and what became of them.

    Attributes:
        connection_id: the connection.
        frames: the frames, in order.
        sent: how many of them were sent or refused.
        refused: how many of those were refused.
        tries: how often one was tried and could not be taken.
        is_gone: whether the connection has ended.
        is_dropped: whether the rest was given up.
        sent_at: milliseconds since 1970 when the first was sent; 0 if none was.
    """

    connection_id: str
    frames: Sequence[bytes]
    sent: int = 0
    refused: int = 0
    tries: int = 0
    is_gone: bool = False
    is_dropped: bool = False
    sent_at: int = 0


def fan_out(services: Services, sender: Sender, deliveries: Iterable[Delivery], stalled: Stalled) -> None:
    """Sends all frames, and notes in each delivery what became of it. Brings ``stalled`` up to date."""
    listed, now = list(deliveries), services.now()
    resting = {connection_id for connection_id, until in stalled.items() if until > now}
    queue = _Queue(services, sender, stalled)
    for each in listed:
        if each.connection_id in resting:
            each.is_dropped = True
        else:
            queue.add(0.0, each)
    tasks = [services.background.start(queue.work) for _ in range(min(AT_ONCE, len(listed)) - 1)]
    queue.work()
    for task in tasks:
        task.join()
    for each in listed:
        if each.is_dropped and each.tries:
            stalled[each.connection_id] = services.now() + STALLED_MS
        elif each.sent:
            stalled.pop(each.connection_id, None)
    for known in [each for each, until in stalled.items() if until + FORGET_MS < now]:
        del stalled[known]


class _Queue:
    """Deliveries by the time from which they may go on; several threads work on it, each delivery by one at a time."""

    def __init__(self, services: Services, sender: Sender, stalled: Stalled) -> None:
        self._services = services
        self._sender = sender
        self._stalled = frozenset(stalled)
        self._clock = services.background.clock
        self._begun = self._clock()
        self._lock = Lock()
        self._waiting: list[tuple[float, int, Delivery]] = []
        self._added = 0

    def add(self, due: float, delivery: Delivery) -> None:
        """Adds a delivery that may go on ``due`` seconds after the sending began."""
        with self._lock:
            self._added += 1
            heapq.heappush(self._waiting, (due, self._added, delivery))

    def work(self) -> None:
        """Sends until nothing is left that nobody else works on."""
        while True:
            with self._lock:
                if not self._waiting:
                    return
                due, _, delivery = heapq.heappop(self._waiting)
            wait = due - self._passed()
            if wait > 0:
                self._services.sleep(wait)
            self._send(delivery)

    def _passed(self) -> float:
        return self._clock() - self._begun

    def _send(self, delivery: Delivery) -> None:
        for frame in delivery.frames[delivery.sent :]:
            if self._passed() > SENDING_SECONDS:
                delivery.is_dropped = True
                return
            match self._sender.send(delivery.connection_id, frame):
                case Sent.GONE:
                    delivery.is_gone = True
                    return
                case Sent.BUSY:
                    self._try_later(delivery)
                    return
                case Sent.REFUSED:
                    delivery.refused += 1
                case Sent.SENT:
                    delivery.sent_at = delivery.sent_at or self._services.now()
            delivery.sent += 1

    def _try_later(self, delivery: Delivery) -> None:
        """Puts a delivery back, unless its tries or its time are used up. Frames sent before are not sent again."""
        tries, delivery.tries = delivery.tries, delivery.tries + 1
        if tries < len(RETRY_WAITS) and delivery.connection_id not in self._stalled:
            due = self._passed() + RETRY_WAITS[tries]
            if due <= RETRY_SECONDS:
                self.add(due, delivery)
                return
        delivery.is_dropped = True
