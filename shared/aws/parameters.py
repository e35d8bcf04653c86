"""Secrets that lie in AWS Systems Manager, so that no function's settings show them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from shared.aws.connect import CallLimits, aws_client
from shared.aws.protocol import AwsError
from shared.observability.meter import meter
from shared.observability.telemetry import logger

if TYPE_CHECKING:
    from shared.aws.protocol import AwsClient

PATIENCE: Final = CallLimits(connect_ms=500, read_ms=1_000, attempts=2)


class SecretUnavailableError(Exception):
    """The secret could not be read. Says no more: AWS's own errors name accounts, roles and the parameter.

    AWS's code stands in the log, in a line ``secret``.
    """


def parameter_reader(name: str, make_client: Callable[[], AwsClient] | None = None) -> Callable[[], str]:
    """What reads a parameter (a ``SecureString``) when it is called; each call asks anew.

    Args:
        name: the parameter's name, with its path.
        make_client: makes a client of Systems Manager; for tests.

    Raises:
        SecretUnavailableError: by the reader: not allowed, not there, or no answer within 3 s.
    """

    def read() -> str:
        client = make_client() if make_client else aws_client("ssm", PATIENCE)
        try:
            answer = client.call("GetParameter", {"Name": name, "WithDecryption": True})
        except AwsError as error:
            meter().failed(error.code, is_permanent=error.is_permanent)
            logger().error("secret", aws_error=error.code, is_permanent=error.is_permanent)
            raise SecretUnavailableError from None
        finally:
            client.close()
        return str(answer["Parameter"]["Value"]).strip()

    return read
