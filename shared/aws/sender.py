"""The port for frames to connections. API Gateway's WebSocket API stands behind it: ``PostToConnection``.

Implemented by Budgie's own client (``http_sender``) and over botocore (``botocore_sender``). Both, and the fake in the
tests, pass one suite: ``tests/shared/aws/test_sender_contract.py``.
"""

from __future__ import annotations

from enum import StrEnum
from http import HTTPStatus
from typing import Protocol


class Sent(StrEnum):
    """What became of a frame."""

    SENT = "sent"
    GONE = "gone"
    """The connection has ended (410): nothing more can be sent to it."""
    BUSY = "busy"
    """Not now (429, 5xx, no answer in time): the frame may be sent again, and a client may then get it twice."""
    REFUSED = "refused"
    """Never (403, 413): a right is missing, or the frame is too long."""

    @classmethod
    def of_status(cls, status: int) -> Sent:
        """What an HTTP status of API Gateway says."""
        if status < HTTPStatus.MULTIPLE_CHOICES:
            return cls.SENT
        if status == HTTPStatus.GONE:
            return cls.GONE
        is_passing = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        return cls.BUSY if is_passing or status == HTTPStatus.TOO_MANY_REQUESTS else cls.REFUSED


class Sender(Protocol):
    """Sends frames. Thread-safe. Each call tries once, and ends within its timeouts."""

    def send(self, connection_id: str, frame: bytes) -> Sent:
        """Sends a frame to a connection."""
        ...

    def disconnect(self, connection_id: str) -> None:
        """Ends a connection; does nothing if it has ended. Failures are ignored: it ends by itself within two hours."""
        ...
