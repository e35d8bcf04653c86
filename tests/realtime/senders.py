"""A ``Sender`` that keeps what it sends; it passes the suite of the real ones."""

from __future__ import annotations

from collections import defaultdict
from threading import Lock
from typing import Any

from shared.aws.sender import Sent
from tests.realtime.frames import check


class FakeSender:
    """Sends frames to lists.

    Attributes:
        sent: the frames of each connection, in order.
        answers: what the next frames of a connection get, instead of ``SENT``.
        ended: connections that are gone.
    """

    def __init__(self) -> None:
        self.sent: dict[str, list[bytes]] = defaultdict(list)
        self.answers: dict[str, list[Sent]] = {}
        self.ended: set[str] = set()
        self._lock = Lock()

    def send(self, connection_id: str, frame: bytes) -> Sent:
        """See ``Sender``."""
        with self._lock:
            if connection_id in self.ended:
                return Sent.GONE
            answers = self.answers.get(connection_id)
            answer = answers.pop(0) if answers else Sent.SENT
            if answer is Sent.SENT:
                self.sent[connection_id].append(frame)
            return answer

    def disconnect(self, connection_id: str) -> None:
        """See ``Sender``."""
        with self._lock:
            self.ended.add(connection_id)

    def frames(self, connection_id: str) -> list[dict[str, Any]]:
        """What a connection was sent; each follows its schema."""
        return [check(each) for each in self.sent[connection_id]]
