"""``Sender`` over botocore, used where Budgie's own client does not suffice. Importing it loads botocore."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from shared.aws.sender import Sent


class BotocoreSender:
    """See this module.

    Args:
        client: a client of ``apigatewaymanagementapi`` that tries each call once.
    """

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - botocore makes its methods at run time
        self._client = client

    def send(self, connection_id: str, frame: bytes) -> Sent:
        """See ``Sender``."""
        try:
            self._client.post_to_connection(ConnectionId=connection_id, Data=frame)
        except ClientError as error:
            return Sent.of_status(error.response["ResponseMetadata"]["HTTPStatusCode"])
        except BotoCoreError:
            return Sent.BUSY
        return Sent.SENT

    def disconnect(self, connection_id: str) -> None:
        """See ``Sender``."""
        with suppress(ClientError, BotoCoreError):
            self._client.delete_connection(ConnectionId=connection_id)

    def close(self) -> None:
        """Closes idle connections to the endpoint."""
        self._client.close()
