"""A faulty DynamoDB: a proxy in front of an engine that throttles, fails, loses responses, and counts every attempt.

It works on the network, below the client's retries, so that it counts the attempts that AWS would receive. Engines do
not check signatures, so the different host name does no harm.
"""

import http.client
import json
import random
import threading
from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from local.gateway.server import HOST, Server
from local.gateway.wire import RefusedError, Request, Response

_TIMEOUT: Final = 30.0
_PREFIX: Final = "com.amazonaws.dynamodb.v20120810#"
_JSON: Final = ("content-type", "application/x-amz-json-1.0")
_NOT_FORWARDED: Final = frozenset({"connection", "content-length", "date", "keep-alive", "transfer-encoding"})


@dataclass(frozen=True, slots=True)
class Chances:
    """Probabilities for each attempt; their sum is at most 1.

    Attributes:
        throttled: refused for its rate, without effect; half of the transactions by their items' reasons.
        failed: an internal error, without effect.
        lost: with effect, and the connection breaks before the response.
    """

    throttled: float = 0.0
    failed: float = 0.0
    lost: float = 0.0


class FaultyDynamoDB:
    """The proxy; it serves between `start` and `close`.

    Args:
        url: the engine's address.
        seed: decides which attempts fail.
    """

    def __init__(self, url: str, seed: int = 0) -> None:
        self.chances = Chances()
        self.attempts: Counter[str] = Counter()
        """Attempts by operation."""
        self.struck: Counter[str] = Counter()
        """Faults by kind."""
        parts = urlsplit(url)
        self._engine = (parts.hostname or HOST, parts.port or 80)
        self._random = random.Random(seed)  # noqa: S311  # repeatable faults, nothing secret
        self._lock = threading.Lock()
        self._server = Server(0, self)

    @property
    def url(self) -> str:
        """The address for clients."""
        return f"http://{HOST}:{self._server.port}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()

    def respond(self, request: Request) -> Response:
        """Forward an attempt, or inject a fault.

        Raises:
            ConnectionError: the response is lost.
        """
        operation = (request.header("x-amz-target") or "").rpartition(".")[2]
        fate, whole = self._draw(operation)
        if fate == "throttled":
            return _throttled(request, operation, whole=whole)
        if fate == "failed":
            return _error(HTTPStatus.INTERNAL_SERVER_ERROR, "InternalServerError")
        response = self._forward(request)
        if fate == "lost":
            raise ConnectionResetError
        return response

    def refuse(self, refused: RefusedError) -> Response:
        """Respond to an unreadable request."""
        return refused.response

    def fault(self, error: BaseException) -> None:
        """Ignore an error that ended a connection; the client sees that it broke."""

    def _draw(self, operation: str) -> tuple[str, bool]:
        with self._lock:
            self.attempts[operation] += 1
            draw, whole = self._random.random(), self._random.random() < 0.5  # noqa: PLR2004  # as often as not
            chances = self.chances
            for fate in ("throttled", "failed", "lost"):
                chance = getattr(chances, fate)
                if draw < chance:
                    self.struck[fate] += 1
                    return fate, whole
                draw -= chance
        return "", whole

    def _forward(self, request: Request) -> Response:
        # A new connection each time: engines close idle ones, and only injected faults must be seen.
        connection = http.client.HTTPConnection(*self._engine, timeout=_TIMEOUT)
        headers = {name: value for name, value in request.headers if name not in _NOT_FORWARDED}
        try:
            connection.request(request.method, request.target, request.body, headers)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionResetError from error
        finally:
            connection.close()
        kept = [
            (name.lower(), value)
            for name, value in response.getheaders()
            if name.lower() not in _NOT_FORWARDED
        ]
        return Response(response.status, tuple(kept), body)


def _throttled(request: Request, operation: str, *, whole: bool) -> Response:
    """A transaction may be refused as a whole, or by its items; no SDK retries the latter."""
    if operation == "TransactWriteItems" and not whole:
        count = len(json.loads(request.body)["TransactItems"])
        reasons = [{"Code": "ThrottlingError", "Message": "Throughput exceeds the current capacity."}] * count
        return _error(HTTPStatus.BAD_REQUEST, "TransactionCanceledException", CancellationReasons=reasons)
    return _error(HTTPStatus.BAD_REQUEST, "ProvisionedThroughputExceededException")


def _error(status: HTTPStatus, kind: str, **rest: Any) -> Response:  # noqa: ANN401  # any JSON
    body = {"__type": f"{_PREFIX}{kind}", "message": "injected", **rest}
    return Response(status, (_JSON,), json.dumps(body).encode())
