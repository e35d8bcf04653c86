"""``AwsClient`` over botocore, used where Budgie's own client does not suffice. Importing it loads botocore."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from botocore import exceptions, xform_name
from botocore.parsers import ResponseParserError

from shared.aws.protocol import NoAnswerError, ServiceError

if TYPE_CHECKING:
    from botocore.awsrequest import AWSResponse
    from botocore.client import BaseClient

NO_ANSWER: Final = (
    *(exceptions.HTTPClientError, exceptions.ConnectionError, exceptions.IncompleteReadError),
    *(exceptions.CredentialRetrievalError, exceptions.MetadataRetrievalError),
    *(exceptions.ChecksumError, ResponseParserError),
)
"""Exceptions caused by the network or by the service's response. botocore raises all others before it sends anything:
no credentials, no region, an invalid parameter."""


class BotocoreClient:
    """See this module.

    Args:
        client: a client of botocore or boto3 for any service, with its own retries and timeouts.
    """

    def __init__(self, client: BaseClient) -> None:
        self._client = client
        client.meta.events.register("after-call", _require_intact)

    def call(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """See ``AwsClient``. botocore's retries are not charged to the request."""
        try:
            response: dict[str, Any] = getattr(self._client, xform_name(operation))(**arguments)
        except exceptions.ClientError as error:
            raise ServiceError(dict(error.response)) from error
        except NO_ANSWER as error:
            raise NoAnswerError(type(error).__name__) from error
        except exceptions.BotoCoreError as error:
            raise ServiceError(
                {
                    "Error": {"Code": type(error).__name__, "Message": ""},
                    "ResponseMetadata": {"HTTPStatusCode": HTTPStatus.BAD_REQUEST},
                }
            ) from error
        return response

    def close(self) -> None:
        """See ``AwsClient``."""
        self._client.close()


def _require_intact(http_response: AWSResponse, **_: object) -> None:
    """Refuses damaged responses: after its last try botocore accepts a truncated one as an empty one.

    Raises:
        ChecksumError: the body's checksum is wrong.
        ResponseParserError: it is not JSON.
    """
    raw = http_response.content
    expected, found = http_response.headers.get("x-amz-crc32"), str(zlib.crc32(raw))
    if expected and expected != found:
        raise exceptions.ChecksumError(
            checksum_type="crc32", expected_checksum=expected, actual_checksum=found
        )
    if http_response.status_code == HTTPStatus.OK:
        try:
            json.loads(raw)
        except ValueError as error:
            raise ResponseParserError from error
