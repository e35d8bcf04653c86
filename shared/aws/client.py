"""Budgie's own ``AwsClient``: AWS's JSON protocol, as far as Budgie needs it.

It signs, keeps connections, retries as botocore's standard mode does, and knows that ``B`` is base64. botocore does far
more, and loading it takes longer than all else that a cold container does before its first answer; each call costs it a
millisecond of the processor too (``docs/adr/0011``).
"""

from __future__ import annotations

import json
import random
import time
import uuid
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from shared.aws.protocol import AwsError, NoAnswerError, ServiceError
from shared.domain.clock import SharedClock, now_ms
from shared.observability.meter import meter
from shared.runtime.http_pool import DroppedError, NotConnectedError

if TYPE_CHECKING:
    from shared.aws.signing import Signer
    from shared.runtime.http_pool import Connections

BACKOFF_SECONDS: Final = 0.05
"""The first wait is up to this, each further one up to twice the one before."""
RETRY_TOKENS: Final = 20.0
TOKENS_PER_CALL: Final = 0.5
"""Retries that a container has in hand, and what each call adds: so that an outage costs at most 1.5 tries a call, and
at 30 % throttled calls nothing is given up early (``python -m tests.chaos.throttling``)."""


class Client:
    """See this module.

    Args:
        connections: to the endpoint.
        signer: for it.
        attempts: times that one call is tried, at least 1.
        sleep: waits for a number of seconds.
        own: milliseconds since 1970 by this container's clock.
    """

    def __init__(
        self,
        connections: Connections,
        signer: Signer,
        attempts: int,
        sleep: Callable[[float], None] = time.sleep,
        own: Callable[[], int] = now_ms,
    ) -> None:
        self._connections = connections
        self._signer = signer
        self._attempts = attempts
        self._sleep = sleep
        self._budget = Budget()
        self._clock = SharedClock(own)

    def call(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """See ``AwsClient``. Throttled tries are charged to the request; the last one, which is raised, is not."""
        if operation == "TransactWriteItems":
            # What makes a repeated try harmless when the first was carried out and its answer lost.
            arguments = {"ClientRequestToken": str(uuid.uuid4()), **arguments}
        body = json.dumps(arguments, default=_text_of, separators=(",", ":")).encode()
        self._budget.earn()
        attempt = 1
        while True:
            try:
                return self._try(operation, body)
            except AwsError as error:
                if not error.is_retryable or attempt >= self._attempts or not self._budget.spend():
                    raise
                if error.is_throttle:
                    meter().charge(throttles=1)
            self._sleep(random.uniform(0, BACKOFF_SECONDS * 2 ** (attempt - 1)))  # noqa: S311 - spreads retries
            attempt += 1

    def close(self) -> None:
        """See ``AwsClient``."""
        self._connections.close()

    def _try(self, operation: str, body: bytes) -> dict[str, Any]:
        headers = self._signer.headers(operation, body, self._clock.now() / 1000)
        begun = time.monotonic()
        try:
            try:
                response, raw = self._connections.post("/", headers, body)
            except DroppedError:
                # No failure of the service: after a rest or an outage all that was kept is gone.
                self._connections.close()
                response, raw = self._connections.post("/", headers, body)
        except (NotConnectedError, DroppedError) as error:
            raise NoAnswerError(type(error.__cause__ or error).__name__) from error
        except (OSError, HTTPException) as error:
            raise NoAnswerError(type(error).__name__) from error
        if response.status != HTTPStatus.OK:
            self._clock.on_server_date(response.headers.get("date"), time.monotonic() - begun)
        return _understood(response, raw)


class Budget:
    """How many calls may still be repeated, in all of this container."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._left = RETRY_TOKENS

    def earn(self) -> None:
        """A call is made."""
        with self._lock:
            self._left = min(RETRY_TOKENS, self._left + TOKENS_PER_CALL)

    def spend(self) -> bool:
        """Takes a retry, if there is one."""
        with self._lock:
            if self._left < 1:
                return False
            self._left -= 1
            return True


def _understood(response: HTTPResponse, raw: bytes) -> dict[str, Any]:
    checksum = response.headers.get("x-amz-crc32")
    if checksum and checksum != str(zlib.crc32(raw)):
        raise NoAnswerError
    try:
        found: Any = json.loads(raw, object_hook=_binary_of)
    except ValueError as error:
        raise NoAnswerError(type(error).__name__) from error
    if not isinstance(found, dict):
        raise NoAnswerError
    if response.status != HTTPStatus.OK:
        raise ServiceError(_refusal(response.status, found))
    # As botocore shows it; the clock goes by it.
    found["ResponseMetadata"] = {"HTTPHeaders": {"date": response.headers.get("date")}}
    return found


def _refusal(status: int, found: dict[str, Any]) -> dict[str, Any]:
    """As botocore shows it: the reason's name without its namespace, and what came with it."""
    code = str(found.pop("__type", status)).rpartition("#")[2]
    text = found.pop("message", None) or found.pop("Message", "")
    return {"Error": {"Code": code, "Message": text}, "ResponseMetadata": {"HTTPStatusCode": status}} | found


def _text_of(value: object) -> str:
    """What JSON has no form for: the bytes of a ``B``."""
    if isinstance(value, bytes):
        return b64encode(value).decode()
    raise TypeError(type(value))


def _binary_of(found: dict[str, Any]) -> dict[str, Any]:
    """A ``B`` with its bytes; anything else as it is, also an item whose one attribute has that name."""
    value = found.get("B")
    return {"B": b64decode(value)} if isinstance(value, str) and len(found) == 1 else found
