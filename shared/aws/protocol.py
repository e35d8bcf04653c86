"""The interface of a client of AWS, implemented by Budgie's own (``client``) and over botocore (``botocore_client``).

Both pass the same suite, ``tests/shared/aws/test_client_contract.py``.
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
"""Codes for a signature that is more than 5 minutes in the past or future; the retry is signed with the service's
time."""
RETRYABLE: Final = THROTTLES | CLOCK_SKEW | {"TransactionInProgressException"}
"""Codes of errors that a retry may avoid."""
TEMPORARY: Final = RETRYABLE - {"InvalidSignatureException"} | {
    *("ExpiredTokenException", "ReplicatedWriteConflictException", "RequestTimeoutException"),
    *("InternalServerError", "InternalFailure", "InternalServerException", "ServiceUnavailable"),
}
"""Codes that, after the last try, do not indicate a misconfiguration. A signature that is still invalid with the
service's own time was made with a wrong key, so its code is not among them; expired credentials affect only this
container."""


class AwsClient(Protocol):
    """Calls the operations of one AWS service. Thread-safe."""

    def call(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Calls an operation, with retries, and returns its response.

        Args:
            operation: AWS's name for it, such as ``GetItem``.
            arguments: as in AWS's reference; the value of a ``B`` is bytes. A ``TransactWriteItems`` without a
                ``ClientRequestToken`` gets one, the same for every try.

        Returns:
            The response as in AWS's reference; the service's time is under ``ResponseMetadata``, ``HTTPHeaders``,
            ``date``, as an HTTP date.

        Raises:
            ServiceError: the service refused, or the settings do not allow to send a request.
            NoAnswerError: there was no valid response.
        """
        ...

    def close(self) -> None:
        """Closes the connections."""
        ...


class AwsError(Exception):
    """A call failed.

    Attributes:
        code: AWS's code. The log has the code only, as AWS's texts name accounts, roles, tables and items.
        is_throttle: whether the service refused because it was called too often.
        is_retryable: whether a retry may succeed, by the rules of botocore's standard mode.
        is_permanent: whether all later requests would fail too, until somebody corrects rights, names or settings.
    """

    code: str
    is_throttle: bool
    is_retryable: bool
    is_permanent: bool


class ServiceError(AwsError):
    """The service refused.

    AWS's errors with 4xx are permanent: a missing table or parameter, no right to it or to its key, unknown
    credentials, an invalid request. The exceptions are listed in ``TEMPORARY``.

    Args:
        response: in the form of botocore's ``ClientError``.
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
    """There was no valid response; whether the operation was carried out is unknown.

    Args:
        code: the name of the causing exception; its text may quote the request.
    """

    is_throttle = False
    is_retryable = True
    is_permanent = False

    def __init__(self, code: str = "NoAnswer") -> None:
        super().__init__(code)
        self.code = code
