"""``Sender`` over API Gateway's management endpoint, with Budgie's own connections and signatures.

botocore would load for a third of a second, and each of its calls takes a millisecond of CPU or more: sending is nearly
all that the dispatcher does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from shared.aws.sender import Sent

if TYPE_CHECKING:
    from shared.aws.client import Signer
    from shared.runtime.http_pool import Connections

_CONTENT_TYPE: Final = {"content-type": "application/octet-stream"}


class HttpSender:
    """See this module.

    Args:
        connections: connections to the endpoint.
        signer: signs requests to it, for the service ``execute-api``.
        path: the path of the endpoint's stage, such as ``/v1``.
        now: seconds since 1970, for signatures.
    """

    def __init__(
        self, connections: Connections, signer: Signer, path: str, now: Callable[[], float] = time.time
    ) -> None:
        self._connections = connections
        self._signer = signer
        self._path = f"{path}/@connections/"
        self._now = now

    def send(self, connection_id: str, frame: bytes) -> Sent:
        """See ``Sender``."""
        try:
            return Sent.of_status(self._status("POST", connection_id, frame))
        except (OSError, HTTPException):
            return Sent.BUSY

    def disconnect(self, connection_id: str) -> None:
        """See ``Sender``."""
        with suppress(OSError, HTTPException):
            self._status("DELETE", connection_id, b"")

    def close(self) -> None:
        """Closes idle connections to the endpoint."""
        self._connections.close()

    def _status(self, method: str, connection_id: str, body: bytes) -> int:
        path = self._path + quote(connection_id, safe="")
        headers = self._signer.sign(method, path, _CONTENT_TYPE, body, self._now())
        # It may be sent twice; a frame that arrives twice does no harm.
        response, _ = self._connections.request(method, path, headers, body)
        return response.status
