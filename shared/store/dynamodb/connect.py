"""Which client speaks to DynamoDB: ours wherever Lambda sets all that it needs, else boto3's."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from shared.connections import Connections
from shared.store.dynamodb.client import Client
from shared.store.dynamodb.signing import Credentials, Signer

if TYPE_CHECKING:
    from shared.settings import Settings

CREDENTIALS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
BOTO3_ONLY: Final = (
    *("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_USE_FIPS_ENDPOINT"),
    *("AWS_USE_DUALSTACK_ENDPOINT", "AWS_CA_BUNDLE", "HTTPS_PROXY", "https_proxy"),
)
"""Variables that ask for what only boto3 knows. So does SnapStart, whose credentials lie behind an address."""
_REGION: Final = re.compile(r"(?:af|ap|ca|eu|il|me|mx|sa|us)(?:-gov)?-[a-z]+-\d\Z")


def dynamodb_client(settings: Settings, environ: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - botocore's are made at run time
    """A DynamoDB client whose worst case (attempts x read timeout, and the waits between) fits a function's 10 s."""
    environ = os.environ if environ is None else environ
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or ""
    url = settings.dynamodb_endpoint_url or _address(region)
    # An engine next door is reached without certificates or proxies, whatever else is set.
    is_plain = url.startswith("http://") or not any(map(environ.get, BOTO3_ONLY))
    if not (is_plain and region and url and all(map(environ.get, CREDENTIALS))):
        return _boto3_client(settings)
    connections = Connections(
        url, settings.dynamodb_connect_timeout_ms / 1000, settings.dynamodb_read_timeout_ms / 1000
    )
    access_key, secret_key = map(environ.__getitem__, CREDENTIALS)
    credentials = Credentials(access_key, secret_key, environ.get("AWS_SESSION_TOKEN", ""))
    return Client(connections, Signer(credentials, region, connections.host), settings.dynamodb_attempts)


def _address(region: str) -> str:
    """DynamoDB's in a region; empty for a partition whose domain is another."""
    return f"https://dynamodb.{region}.amazonaws.com" if _REGION.match(region) else ""


def _boto3_client(settings: Settings) -> Any:  # noqa: ANN401 - as above
    import boto3  # noqa: PLC0415 - a third of a second, where nothing less will do
    from botocore.config import Config  # noqa: PLC0415 - as above

    config = Config(
        connect_timeout=settings.dynamodb_connect_timeout_ms / 1000,
        read_timeout=settings.dynamodb_read_timeout_ms / 1000,
        retries={"mode": "standard", "total_max_attempts": settings.dynamodb_attempts},
        max_pool_connections=32,
    )
    return boto3.client("dynamodb", endpoint_url=settings.dynamodb_endpoint_url or None, config=config)
