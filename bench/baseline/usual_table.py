"""The baseline's table: the messages of each channel by time, one attribute per field, and each user's channels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import NAMESPACE_OID, uuid5

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBServiceResource
    from mypy_boto3_dynamodb.service_resource import Table

    from local.demo.conversations import Turn

STARTED_AT: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""When the first message of each channel was posted; the others follow at intervals of a second."""


def create(dynamodb: DynamoDBServiceResource, name: str) -> Table:
    """Create the table, and wait until it exists."""
    table = dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    table.wait_until_exists()
    return table


def add_channel(table: Table, channel_id: str, members: Iterable[str], turns: Sequence[Turn]) -> None:
    """Store a channel with its members and messages as the endpoints would."""
    pk, created_at = f"CHANNEL#{channel_id}", _text(STARTED_AT)
    messages = [_message(channel_id, number, turn) for number, turn in enumerate(turns)]
    with table.batch_writer() as batch:
        for message in messages:
            batch.put_item({"pk": pk, "sk": f"MSG#{message['id']}", **message})
        for user in members:
            batch.put_item({"pk": f"USER#{user}", "sk": pk, "joined_at": created_at})
        meta = {"pk": pk, "sk": "META", "id": channel_id, "name": channel_id, "topic": "Say hello"}
        batch.put_item({**meta, "created_at": created_at, "last_message": messages[-1] if messages else None})


def _message(channel_id: str, number: int, turn: Turn) -> dict[str, str]:
    at = _text(STARTED_AT + timedelta(seconds=number))
    unique = uuid5(NAMESPACE_OID, f"{channel_id} {number}")
    return {
        "id": f"{at}-{unique}",
        "channel_id": channel_id,
        "sender": turn.speaker,
        "text": turn.text,
        "created_at": at,
    }


def _text(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
