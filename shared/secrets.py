"""Secrets that lie in AWS Systems Manager, so that no function's settings show them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

CONNECT_SECONDS: Final = 0.5
READ_SECONDS: Final = 1.0
ATTEMPTS: Final = 2


class SecretUnavailableError(Exception):
    """The secret could not be read. Says no more: AWS's own errors name accounts, roles and the parameter."""


def parameter_reader(name: str, make_client: Callable[[], Any] | None = None) -> Callable[[], str]:
    """What reads a parameter (a ``SecureString``) when it is called; each call asks anew.

    Args:
        name: the parameter's name, with its path.
        make_client: makes a botocore SSM client; for tests.

    Raises:
        SecretUnavailableError: by the reader: not allowed, not there, or no answer within 3 s.
    """

    def read() -> str:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - loads when it is needed

        try:
            answer = (make_client or _ssm_client)().get_parameter(Name=name, WithDecryption=True)
        except (BotoCoreError, ClientError):
            raise SecretUnavailableError from None
        return str(answer["Parameter"]["Value"]).strip()

    return read


def _ssm_client() -> Any:  # noqa: ANN401 - botocore's clients are made at run time
    import boto3  # noqa: PLC0415 - as above
    from botocore.config import Config  # noqa: PLC0415 - as above

    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
    )
    return boto3.client("ssm", config=config)
