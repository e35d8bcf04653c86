"""Reads secrets from AWS Systems Manager, so that no function's settings show them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from shared.aws.connect import CallLimits, aws_client
from shared.aws.protocol import AwsError
from shared.observability.meter import meter
from shared.observability.telemetry import logger

if TYPE_CHECKING:
    from shared.aws.protocol import AwsClient

LIMITS: Final = CallLimits(connect_ms=500, read_ms=1_000, attempts=2)


class SecretUnavailableError(Exception):
    """The secret could not be read.

    It has no details, as AWS's error texts name accounts, roles and the parameter. The log has AWS's code, in a line
    ``secret``.
    """


def parameter_reader(name: str, make_client: Callable[[], AwsClient] | None = None) -> Callable[[], str]:
    """Returns a function that reads a parameter (a ``SecureString``) each time it is called.

    The function raises ``SecretUnavailableError``: no permission, no such parameter, or no response within 3 s.

    Args:
        name: the parameter's name, with its path.
        make_client: makes a client of Systems Manager; for tests.
    """

    def read() -> str:
        client = make_client() if make_client else aws_client("ssm", LIMITS)
        try:
            response = client.call("GetParameter", {"Name": name, "WithDecryption": True})
        except AwsError as error:
            meter().failed(error.code, is_permanent=error.is_permanent)
            logger().error("secret", aws_error=error.code, is_permanent=error.is_permanent)
            raise SecretUnavailableError from None
        finally:
            client.close()
        return str(response["Parameter"]["Value"]).strip()

    return read
