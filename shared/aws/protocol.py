"""What a client of AWS is. ``client`` has Budgie's own, ``botocore_client`` the one that stands in for it elsewhere.

Both pass one suite, ``tests/shared/aws/test_client_contract.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, Protocol

THROTTLES: Final = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
        "ThrottlingError",
        "ProvisionedThroughputExceeded",
    }
)
CLOCK_SKEW: Final = frozenset({"InvalidSignatureException", "RequestExpired", "RequestTimeTooSkewed"})
"""Refusals of a signature that is more than 5 minutes old or ahead; the next try is signed by the service's time."""
RETRYABLE: Final = THROTTLES | CLOCK_SKEW | {"TransactionInProgressException"}
"""Refusals that a later try may not meet."""
TEMPORARY: Final = RETRYABLE - {"InvalidSignatureException"} | {
    *("ExpiredTokenException", "ReplicatedWriteConflictException", "RequestTimeoutException"),
    *("InternalServerError", "InternalFailure", "InternalServerException", "ServiceUnavailable"),
}
"""Refusals that do not mean that something is set up wrongly, where this try was the last one. A signature that is
refused although it was made by the service's own time was made with a wrong key; credentials that have expired are
this container's alone."""


class AwsClient(Protocol):
    """Calls the operations of one AWS service. Thread-safe."""

    def call(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Calls an operation, several times if that may help, and returns its answer.

        Args:
            operation: AWS's name for it, such as ``GetItem``.
            arguments: as AWS's reference names them; the value of a ``B`` is bytes. A ``TransactWriteItems`` without a
                ``ClientRequestToken`` gets one, the same for every try.

        Returns:
            What AWS's reference says, and the time at the service, as an HTTP date, under ``ResponseMetadata``,
            ``HTTPHeaders``, ``date``.

        Raises:
            ServiceError: the service refused, or nothing could be sent with these settings.
            NoAnswerError: nothing came back that could be understood.
        """
        ...

    def close(self) -> None:
        """Closes the connections."""
        ...


class AwsError(Exception):
    """A call failed.

    Attributes:
        code: stands in the log. No text does: AWS's texts name accounts, roles, tables and items.
        is_throttle: whether the service refused because it was called too often.
        is_retryable: whether another try may go better, as botocore's standard mode has it.
        is_permanent: whether every later request would meet it too, until somebody corrects rights, names or settings.
    """

    code: str
    is_throttle: bool
    is_retryable: bool
    is_permanent: bool


class ServiceError(AwsError):
    """The service refused.

    AWS refuses with 4xx what it would refuse again: no such table or parameter, no right to it or to its key, unknown
    credentials, a request that is not valid. Only what is listed in ``TEMPORARY`` passes by itself.

    Args:
        response: as botocore's ``ClientError`` has it.
    """

    def __init__(self, response: dict[str, Any]) -> None:
        self.response = response
        self.code: str = response["Error"]["Code"]
        super().__init__(self.code)
        status: int = response["ResponseMetadata"]["HTTPStatusCode"]
        is_fault = status >= HTTPStatus.INTERNAL_SERVER_ERROR
        self.is_throttle = self.code in THROTTLES
        self.is_retryable = is_fault or self.code in RETRYABLE
        self.is_permanent = not is_fault and self.code not in TEMPORARY


class NoAnswerError(AwsError):
    """Nothing came back that could be understood; whether it was done is not known.

    Args:
        code: the kind of exception that caused it, as its text may quote the request.
    """

    is_throttle = False
    is_retryable = True
    is_permanent = False

    def __init__(self, code: str = "NoAnswer") -> None:
        super().__init__(code)
        self.code = code
