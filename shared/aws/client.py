"""A client of AWS's JSON protocol, with botocore's way of calling: ``client.get_item(TableName=…, Key=…)``.

It does what the one table needs and no more: it signs, keeps connections, retries as botocore's standard mode does, and
knows that ``B`` is base64. botocore does far more, and loading it takes longer than all else that a cold container does
before its first answer; each call costs it a millisecond of the processor too (``docs/adr/0011``).
"""

from __future__ import annotations

import json
import random
import time
import uuid
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from shared.clock import SharedClock
from shared.connections import DroppedError, NotConnectedError
from shared.meter import meter

if TYPE_CHECKING:
    from shared.aws.signing import Signer
    from shared.connections import Connections

THROTTLES: Final = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
        "ThrottlingError",
        "ProvisionedThroughputExceeded",
    }
)
UNTIMELY: Final = frozenset({"InvalidSignatureException", "RequestExpired", "RequestTimeTooSkewed"})
"""Refusals of a signature that is more than 5 minutes old or ahead; the next try is signed by the service's time."""
PASSING: Final = THROTTLES | UNTIMELY | {"TransactionInProgressException"}
"""Refusals that a later try may not meet."""
TEMPORARY: Final = PASSING - {"InvalidSignatureException"} | {
    *("ExpiredTokenException", "ReplicatedWriteConflictException", "RequestTimeoutException"),
    *("InternalServerError", "InternalFailure", "InternalServerException", "ServiceUnavailable"),
}
"""Refusals that do not mean that something is set up wrongly, where this try was the last one. A signature that is
refused although it was made by the service's own time was made with a wrong key; credentials that have expired are
this container's alone."""
BACKOFF_SECONDS: Final = 0.05
"""The first wait is up to this, each further one up to twice the one before."""
RESERVE: Final = 20.0
EARNED: Final = 0.5
"""Retries that a container has in hand, and what each call adds: so that an outage costs at most 1.5 tries a call, and
at 30 % throttled calls nothing is given up early (``python -m tests.chaos.throttling``)."""


class ServiceError(Exception):
    """The service refused; ``response`` is as botocore's ``ClientError`` has it."""

    def __init__(self, response: dict[str, Any]) -> None:
        self.code: str = response["Error"]["Code"]
        super().__init__(self.code)
        self.response = response

    @property
    def status(self) -> int:
        """The HTTP status; 400 where a test's double of botocore says none."""
        return int(self.response.get("ResponseMetadata", {}).get("HTTPStatusCode", HTTPStatus.BAD_REQUEST))

    @property
    def is_permanent(self) -> bool:
        """Whether every later request would meet it too, until somebody corrects rights, names or settings.

        AWS refuses with 4xx what it would refuse again: no such table or parameter, no right to it or to its key,
        unknown credentials, a request that is not valid. Only what is listed in ``TEMPORARY`` passes by itself.
        """
        return self.status < HTTPStatus.INTERNAL_SERVER_ERROR and self.code not in TEMPORARY


class NoAnswerError(Exception):
    """Nothing came back that could be understood; whether it was done is not known."""

    @property
    def code(self) -> str:
        """What stands in the log for the cause: the kind of exception, as its text may quote the request."""
        cause = self.__cause__
        while isinstance(cause, NotConnectedError | DroppedError) and cause.__cause__:
            cause = cause.__cause__
        return "NoAnswer" if cause is None else type(cause).__name__


class Client:
    """See this module. Thread-safe.

    Args:
        connections: to the endpoint.
        signer: for it.
        attempts: times that one call is tried.
        sleep: waits for a number of seconds.

    Raises (each operation):
        ServiceError, NoAnswerError: of the last try.
    """

    def __init__(
        self,
        connections: Connections,
        signer: Signer,
        attempts: int,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._connections = connections
        self._signer = signer
        self._attempts = attempts
        self._sleep = sleep
        self._budget = Budget()
        self._clock = SharedClock()

    def __getattr__(self, operation: str) -> Callable[..., dict[str, Any]]:
        """The operation of that name in snake case."""
        name = "".join(word.capitalize() for word in operation.split("_"))
        return lambda **arguments: self._call(name, arguments)

    def close(self) -> None:
        """Closes the connections."""
        self._connections.close()

    def _call(self, operation: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if operation == "TransactWriteItems":
            # What makes a repeated try harmless when the first was carried out and its answer lost.
            arguments.setdefault("ClientRequestToken", str(uuid.uuid4()))
        body = json.dumps(arguments, default=_text_of, separators=(",", ":")).encode()
        self._budget.earn()
        for attempt in range(1, self._attempts + 1):
            try:
                answer = self._once(operation, body)
            except (ServiceError, NoAnswerError) as error:
                _count(error)
                if not _may_pass(error) or attempt == self._attempts or not self._budget.spend():
                    raise
                self._sleep(random.uniform(0, BACKOFF_SECONDS * 2 ** (attempt - 1)))  # noqa: S311 - spreads retries
            else:
                return answer
        raise NoAnswerError  # attempts is 0

    def _once(self, operation: str, body: bytes) -> dict[str, Any]:
        headers = self._signer.headers(operation, body, self._clock.now() / 1000)
        begun = time.monotonic()
        try:
            response, raw = self._sent(headers, body)
        except (OSError, HTTPException) as error:
            raise NoAnswerError from error
        if response.status != HTTPStatus.OK:
            self._clock.heard(response.headers.get("date"), time.monotonic() - begun)
        return _understood(response, raw)

    def _sent(self, headers: dict[str, str], body: bytes) -> tuple[HTTPResponse, bytes]:
        try:
            return self._connections.post("/", headers, body)
        except DroppedError:
            # No failure of the service: after a rest or an outage all that was kept is gone.
            self._connections.close()
            return self._connections.post("/", headers, body)


class Budget:
    """How many calls may still be repeated, in all of this container."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._left = RESERVE

    def earn(self) -> None:
        """A call is made."""
        with self._lock:
            self._left = min(RESERVE, self._left + EARNED)

    def spend(self) -> bool:
        """Takes a retry, if there is one."""
        with self._lock:
            if self._left < 1:
                return False
            self._left -= 1
            return True


class Botocore:
    """A botocore client with this module's errors, for wherever ours does not do."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - botocore's clients are made at run time
        self._client = client

    def close(self) -> None:
        """Closes the connections, where botocore keeps any."""
        getattr(self._client, "close", lambda: None)()

    def __getattr__(self, operation: str) -> Callable[..., dict[str, Any]]:
        """The operation of that name."""
        from botocore import exceptions  # noqa: PLC0415 - only where it is used
        from botocore.parsers import ResponseParserError  # noqa: PLC0415 - as above

        # What the network or the service's answer is to blame for. All else that botocore raises was found out before
        # anything was sent: no credentials, no region, a parameter that cannot be.
        unanswered = (
            *(exceptions.HTTPClientError, exceptions.ConnectionError, exceptions.IncompleteReadError),
            *(exceptions.CredentialRetrievalError, exceptions.MetadataRetrievalError),
            *(exceptions.ChecksumError, ResponseParserError),
        )

        def call(**arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - as botocore takes it
            try:
                answer: dict[str, Any] = getattr(self._client, operation)(**arguments)
            except exceptions.ClientError as error:
                refused = ServiceError(dict(error.response))
                _count(refused)
                raise refused from error
            except unanswered as error:
                raise NoAnswerError from error
            except exceptions.BotoCoreError as error:
                raise ServiceError({"Error": {"Code": type(error).__name__, "Message": ""}}) from error
            return answer

        return call


def _may_pass(error: ServiceError | NoAnswerError) -> bool:
    """Whether another try may go better: as botocore's standard mode has it."""
    if isinstance(error, NoAnswerError):
        return True
    return error.code in PASSING or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _count(error: ServiceError | NoAnswerError) -> None:
    """Charges the request with a call that was throttled, also where the next try goes well."""
    if isinstance(error, ServiceError) and error.code in THROTTLES:
        meter().charge(throttles=1)


def _understood(response: HTTPResponse, raw: bytes) -> dict[str, Any]:
    checksum = response.headers.get("x-amz-crc32")
    if checksum and checksum != str(zlib.crc32(raw)):
        raise NoAnswerError
    try:
        found: Any = json.loads(raw, object_hook=_binary_of)
    except ValueError as error:
        raise NoAnswerError from error
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
