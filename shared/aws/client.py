"""Budgie's own ``AwsClient``: as much of AWS's JSON protocol as Budgie needs.

It signs requests, keeps connections, retries like botocore's standard mode, and encodes ``B`` as base64. botocore does
far more, but loading it takes longer than everything else that a cold container does before its first response, and
each of its calls takes a millisecond of CPU (``docs/adr/0011``).

A request has the only form that AWS's JSON services accept: ``POST /`` with a JSON body, under Signature Version 4. The
signature equals botocore's byte for byte (``tests/shared/aws/test_signing.py``). ``http_sender`` signs other requests.
"""

from __future__ import annotations

import hmac
import json
import random
import time
import uuid
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from threading import Lock
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from shared.aws.protocol import AwsError, NoAnswerError, ServiceError
from shared.domain.clock import SharedClock, now_ms
from shared.observability.meter import meter
from shared.runtime.http_pool import NotConnectedError

if TYPE_CHECKING:
    from shared.runtime.http_pool import Connections

ALGORITHM: Final = "AWS4-HMAC-SHA256"
SERVICES: Final = {"dynamodb": ("DynamoDB_20120810", "1.0"), "ssm": ("AmazonSSM", "1.1")}
"""Each service's prefix of operations, and its version of the JSON protocol."""
BACKOFF_SECONDS: Final = 0.05
"""The first wait is random up to this; the maximum doubles with each further one."""
RETRY_TOKENS: Final = 20.0
TOKENS_PER_CALL: Final = 0.5
"""A retry takes a token; a container starts with ``RETRY_TOKENS``, its maximum, and each call adds ``TOKENS_PER_CALL``.
So an outage costs at most 1.5 tries a call, and with 30 % of calls throttled no call gives up early
(``python -m tests.chaos.throttling``)."""


class Client:
    """See this module.

    Args:
        connections: connections to the endpoint.
        signer: signs requests to it.
        attempts: how often one call is tried, at least 1.
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
        """See ``AwsClient``. Throttled tries are charged to the request, except the last one, which is raised."""
        if operation == "TransactWriteItems":
            # Makes a retry harmless if the first try succeeded and its response was lost.
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
            response, raw = self._connections.request("POST", "/", headers, body)
        except NotConnectedError as error:
            raise NoAnswerError(type(error.__cause__ or error).__name__) from error
        except (OSError, HTTPException) as error:
            raise NoAnswerError(type(error).__name__) from error
        if response.status != HTTPStatus.OK:
            self._clock.on_server_date(response.headers.get("date"), time.monotonic() - begun)
        return _parsed(response, raw)


class Budget:
    """The retries left in this container. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._left = RETRY_TOKENS

    def earn(self) -> None:
        """Adds ``TOKENS_PER_CALL``."""
        with self._lock:
            self._left = min(RETRY_TOKENS, self._left + TOKENS_PER_CALL)

    def spend(self) -> bool:
        """Takes the token for a retry; False if there is none."""
        with self._lock:
            if self._left < 1:
                return False
            self._left -= 1
            return True


# --- signing ---


@dataclass(frozen=True, slots=True)
class Credentials:
    """The credentials of a role or a user; a role's have a session token."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str = field(default="", repr=False)


class Signer:
    """Signs requests to one service at one host in one region."""

    def __init__(self, credentials: Credentials, service: str, region: str, host: str) -> None:
        self._credentials = credentials
        self._service = service
        self._region = region
        self._host = host
        self._key: tuple[str, bytes] = ("", b"")

    def headers(self, operation: str, body: bytes, seconds: float) -> dict[str, str]:
        """All headers of a request to one of ``SERVICES``.

        Args:
            operation: AWS's name for it, such as ``GetItem``.
            body: the body as it will be sent.
            seconds: the current time since 1970; AWS accepts errors of less than 5 minutes.
        """
        prefix, version = SERVICES[self._service]
        own = {"content-type": f"application/x-amz-json-{version}", "x-amz-target": f"{prefix}.{operation}"}
        return self.sign("POST", "/", own, body, seconds)

    def sign(
        self, method: str, path: str, own: Mapping[str, str], body: bytes, seconds: float
    ) -> dict[str, str]:
        """All headers of a request: its own ones, by names in lower case, and those of the signature.

        ``path`` is as it is sent: percent-encoded, without a query. ``body`` and ``seconds`` as of ``headers``.
        """
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))
        found = {**own, "host": self._host, "x-amz-date": stamp}
        if self._credentials.token:
            found["x-amz-security-token"] = self._credentials.token
        signed = dict(sorted(found.items()))
        # Services other than S3 sign the path encoded once more.
        request_line = f"{method}\n{quote(path, safe='/~')}"
        signed["authorization"] = self._authorization(request_line, signed, body, stamp)
        return signed

    def _authorization(self, request_line: str, headers: dict[str, str], body: bytes, stamp: str) -> str:
        """The ``Authorization`` header; it signs all ``headers``, which must be sorted by name."""
        names = ";".join(headers)
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        request = f"{request_line}\n\n{lines}\n{names}\n{sha256(body).hexdigest()}"
        scope = f"{stamp[:8]}/{self._region}/{self._service}/aws4_request"
        text = f"{ALGORITHM}\n{stamp}\n{scope}\n{sha256(request.encode()).hexdigest()}"
        signature = _mac(self._key_of(stamp[:8]), text).hex()
        return (
            f"{ALGORITHM} Credential={self._credentials.access_key}/{scope}, "
            f"SignedHeaders={names}, Signature={signature}"
        )

    def _key_of(self, day: str) -> bytes:
        """The signing key of a day; the latest is cached."""
        known, key = self._key
        if known != day:
            key = f"AWS4{self._credentials.secret_key}".encode()
            for part in (day, self._region, self._service, "aws4_request"):
                key = _mac(key, part)
            self._key = (day, key)
        return key


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


# --- JSON ---


def _parsed(response: HTTPResponse, raw: bytes) -> dict[str, Any]:
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
    # In botocore's form; the shared clock uses it.
    found["ResponseMetadata"] = {"HTTPHeaders": {"date": response.headers.get("date")}}
    return found


def _refusal(status: int, found: dict[str, Any]) -> dict[str, Any]:
    """A refusal in botocore's form: the code without its namespace, and the other members."""
    code = str(found.pop("__type", status)).rpartition("#")[2]
    text = found.pop("message", None) or found.pop("Message", "")
    return {"Error": {"Code": code, "Message": text}, "ResponseMetadata": {"HTTPStatusCode": status}} | found


def _text_of(value: object) -> str:
    """Encodes the bytes of a ``B``, which JSON cannot represent."""
    if isinstance(value, bytes):
        return b64encode(value).decode()
    raise TypeError(type(value))


def _binary_of(found: dict[str, Any]) -> dict[str, Any]:
    """Decodes a ``B``; anything else is unchanged, also an item whose only attribute is named ``B``."""
    value = found.get("B")
    return {"B": b64decode(value)} if isinstance(value, str) and len(found) == 1 else found
