"""What carries the ``upstash-redis`` client's requests: the few calls of ``httpx`` that it makes, over one connection.

``httpx`` takes a fifth of a second to load and a millisecond a request, most of which a cold container would spend
before its first answer (``docs/adr/0011-cold-starts.md``). So the client is loaded without it, and given this.
"""

from __future__ import annotations

import json as json_module
import sys
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from shared.connections import Connections
from shared.stand_ins import StandIns

if TYPE_CHECKING:
    from email.message import Message

    from upstash_redis import Redis


class Rest:
    """One connection to one server; who comes while it is taken waits, as long as an answer may take.

    Args:
        url: the server's address.
        connect_seconds: that connecting may take.
        read_seconds: that each wait for a part of an answer may take.
    """

    def __init__(self, url: str, connect_seconds: float, read_seconds: float) -> None:
        self._connections = Connections(url, connect_seconds, read_seconds)
        self._read_seconds = read_seconds
        self._taken = Lock()

    def post(self, url: str, headers: dict[str, str], json: object) -> Answer:
        """An answer, whatever its status.

        Raises:
            TimeoutError, NotConnectedError, OSError, http.client.HTTPException: there is none.
        """
        body = json_module.dumps(json, separators=(",", ":"), ensure_ascii=False).encode()
        if not self._taken.acquire(timeout=self._read_seconds):
            raise TimeoutError
        try:
            path = urlsplit(url).path or "/"
            response, raw = self._connections.post(path, headers | {"Content-Type": "application/json"}, body)
        finally:
            self._taken.release()
        return Answer(response.headers, raw)

    def close(self) -> None:
        """Closes the connection."""
        self._connections.close()


class Answer:
    """What the client looks at."""

    def __init__(self, headers: Message, raw: bytes) -> None:
        self.headers = headers
        self._raw = raw

    def json(self) -> Any:  # noqa: ANN401 - any JSON
        """The body.

        Raises:
            ValueError: it is no JSON.
        """
        return json_module.loads(self._raw)


class _Unused:
    """What the client makes before it is given ``Rest``."""

    def __init__(self, **_: object) -> None:
        pass

    def close(self) -> None:
        """Nothing is open."""


def redis_class() -> type[Redis]:
    """The client's class, loaded without ``httpx``."""
    if "upstash_redis" not in sys.modules:
        absent = StandIns("httpx", functions={"httpx": {"Client": _Unused}})
        absent.install()
        try:
            import upstash_redis  # noqa: F401, PLC0415 - loads when Redis is used
        finally:
            absent.remove()
    from upstash_redis import Redis  # noqa: PLC0415 - as above

    return Redis
