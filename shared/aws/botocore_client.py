"""``AwsClient`` over botocore, for wherever Budgie's own client does not do. Loading this module loads botocore."""

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

UNANSWERED: Final = (
    *(exceptions.HTTPClientError, exceptions.ConnectionError, exceptions.IncompleteReadError),
    *(exceptions.CredentialRetrievalError, exceptions.MetadataRetrievalError),
    *(exceptions.ChecksumError, ResponseParserError),
)
"""What the network or the service's answer is to blame for. All else that botocore raises was found out before anything
was sent: no credentials, no region, a parameter that cannot be."""


class BotocoreClient:
    """See this module.

    Args:
        client: botocore's or boto3's, of any service, with retries and timeouts of its own.
    """

    def __init__(self, client: BaseClient) -> None:
        self._client = client
        client.meta.events.register("after-call", _require_intact)

    def call(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """See ``AwsClient``. Tries that botocore repeats are not charged to the request."""
        try:
            answer: dict[str, Any] = getattr(self._client, xform_name(operation))(**arguments)
        except exceptions.ClientError as error:
            raise ServiceError(dict(error.response)) from error
        except UNANSWERED as error:
            raise NoAnswerError(type(error).__name__) from error
        except exceptions.BotoCoreError as error:
            raise ServiceError(
                {
                    "Error": {"Code": type(error).__name__, "Message": ""},
                    "ResponseMetadata": {"HTTPStatusCode": HTTPStatus.BAD_REQUEST},
                }
            ) from error
        return answer

    def close(self) -> None:
        """See ``AwsClient``."""
        self._client.close()


def _require_intact(http_response: AWSResponse, **_: object) -> None:
    """Refuses an answer that botocore takes after its last try: it reads half an answer as an empty one.

    Raises:
        ChecksumError: the body is not the one that was sent.
        ResponseParserError: it is not JSON.
    """
    raw = http_response.content
    said, found = http_response.headers.get("x-amz-crc32"), str(zlib.crc32(raw))
    if said and said != found:
        raise exceptions.ChecksumError(checksum_type="crc32", expected_checksum=said, actual_checksum=found)
    if http_response.status_code == HTTPStatus.OK:
        try:
            json.loads(raw)
        except ValueError as error:
            raise ResponseParserError from error
