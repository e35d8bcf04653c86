"""Makes clients of AWS: our own if the environment has all that it needs, as on Lambda, else boto3's."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from shared.aws.client import Client, Credentials, Signer
from shared.runtime.http_pool import MAX_IDLE, Connections
from shared.settings import SettingsError

if TYPE_CHECKING:
    from shared.aws.protocol import AwsClient
    from shared.aws.sender import Sender
    from shared.settings import Settings

CREDENTIALS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
BOTO3_ONLY: Final = (
    *("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"),
    *("AWS_CA_BUNDLE", "HTTPS_PROXY", "https_proxy"),
)
"""Variables for features that only boto3 supports. SnapStart, whose credentials come from a URL, needs boto3 too."""
_REGION: Final = re.compile(r"(?:af|ap|ca|eu|il|me|mx|sa|us)(?:-gov)?-[a-z]+-\d\Z")


@dataclass(frozen=True, slots=True)
class CallLimits:
    """The limits of a call: timeouts for connecting and for each read in milliseconds, and the number of tries."""

    connect_ms: int
    read_ms: int
    attempts: int


SENDING: Final = CallLimits(connect_ms=500, read_ms=1_000, attempts=1)
"""Of a frame: who sends it decides about another try."""


def dynamodb_client(settings: Settings, environ: Mapping[str, str] | None = None) -> AwsClient:
    """A DynamoDB client; by default its worst case (attempts x read timeout, plus waits) fits a function's 10 s."""
    limits = CallLimits(
        settings.dynamodb_connect_timeout_ms,
        settings.dynamodb_read_timeout_ms,
        settings.dynamodb_attempts,
    )
    return aws_client("dynamodb", limits, environ, settings.dynamodb_endpoint_url)


def aws_client(
    service: str, limits: CallLimits, environ: Mapping[str, str] | None = None, url: str = ""
) -> AwsClient:
    """A client of one of ``client.SERVICES``.

    Args:
        service: its name.
        limits: the limits of each call.
        environ: AWS's variables; the process's environment if None.
        url: the endpoint; if empty, the one of AWS's variables.

    Raises:
        SettingsError: no client can be made with these values.
    """
    environ = os.environ if environ is None else environ
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or ""
    given = url or environ.get(f"AWS_ENDPOINT_URL_{service.upper()}") or ""
    if given and not _is_url(given):
        raise SettingsError(f"{service}: {given!r} is not a URL such as http://127.0.0.1:8000")
    address = given or _address(service, region)
    signer = _signer(service, region, address, environ)
    if signer is None:
        return _boto3_client(service, limits, given)
    return Client(_connections(address, limits), signer, limits.attempts)


def frame_sender(realtime_url: str, environ: Mapping[str, str] | None = None) -> Sender:
    """Sends frames to the connections of a WebSocket API; each call tries once.

    Args:
        realtime_url: the address that clients connect to, such as ``wss://…/v1``.
        environ: as of ``aws_client``.

    Raises:
        SettingsError: no sender can be made with these values.
    """
    from shared.aws.http_sender import HttpSender  # noqa: PLC0415 - loaded only where frames are sent

    environ = os.environ if environ is None else environ
    address = "http" + realtime_url.removeprefix("ws")
    if not (realtime_url.startswith("ws") and _is_url(address)):
        raise SettingsError("REALTIME_URL: not a URL such as wss://id.execute-api.us-east-1.amazonaws.com/v1")
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or ""
    signer = _signer("execute-api", region, address, environ)
    if signer is None:
        return _boto3_sender(address)
    return HttpSender(_connections(address, SENDING), signer, urlsplit(address).path.rstrip("/"))


def _signer(service: str, region: str, address: str, environ: Mapping[str, str]) -> Signer | None:
    """A signer of requests; None where the environment lacks something that it needs, so that boto3 must find it."""
    # A local engine over http needs no certificates or proxies, whatever else is set.
    is_plain = address.startswith("http://") or not any(map(environ.get, BOTO3_ONLY))
    if not (is_plain and region and address and all(map(environ.get, CREDENTIALS))):
        return None
    access_key, secret_key = map(environ.__getitem__, CREDENTIALS)
    credentials = Credentials(access_key, secret_key, environ.get("AWS_SESSION_TOKEN", ""))
    return Signer(credentials, service, region, urlsplit(address).netloc)


def _connections(address: str, limits: CallLimits) -> Connections:
    return Connections(address, limits.connect_ms / 1000, limits.read_ms / 1000)


def _address(service: str, region: str) -> str:
    """A service's endpoint in a region; empty for partitions with another domain."""
    return f"https://{service}.{region}.amazonaws.com" if _REGION.match(region) else ""


def _is_url(address: str) -> bool:
    try:
        return bool(urlsplit(address).hostname) and urlsplit(address).scheme in {"http", "https"}
    except ValueError:
        return False


def _boto3_client(service: str, limits: CallLimits, url: str) -> AwsClient:
    from shared.aws.botocore_client import BotocoreClient  # noqa: PLC0415 - loads botocore

    return BotocoreClient(_made_by_boto3(service, limits, url))


def _boto3_sender(url: str) -> Sender:
    from shared.aws.botocore_sender import BotocoreSender  # noqa: PLC0415 - loads botocore

    return BotocoreSender(_made_by_boto3("apigatewaymanagementapi", SENDING, url))


def _made_by_boto3(service: str, limits: CallLimits, url: str) -> Any:  # noqa: ANN401 - a class made at run time
    import boto3  # noqa: PLC0415 - a third of a second, only if our own client does not suffice
    from botocore.config import Config  # noqa: PLC0415 - as above
    from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - as above

    config = Config(
        connect_timeout=limits.connect_ms / 1000,
        read_timeout=limits.read_ms / 1000,
        retries={"mode": "standard", "total_max_attempts": limits.attempts},
        max_pool_connections=MAX_IDLE,
    )
    make: Any = boto3.client
    try:
        return make(service, endpoint_url=url or None, config=config)
    except (BotoCoreError, ValueError) as error:  # no region, unknown profile, invalid endpoint
        raise SettingsError(f"AWS's own variables: {error}") from error
