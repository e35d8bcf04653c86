"""Channels on DynamoDB, with responses that no local engine gives on request."""

from __future__ import annotations

from shared.domain import keys
from shared.domain.model import Head, Kind, Membership, Role
from shared.storage import items
from shared.storage.dynamodb import DynamoDBStore
from tests.contract.fake_client import FakeClient, cancelled
from tests.contract.samples import NOW

MADE = Head("0123456789abcdef", Kind.PUBLIC, "hall", "", "ada", NOW, version=2)
ADA = Membership("ada", MADE.channel_id, Role.OWNER, NOW)


def test_a_rename_whose_answer_was_lost_is_sorted_anew_all_the_same() -> None:
    """The first try wrote the name but never came to the listing: the second, refused by it, does that part."""
    client = FakeClient(
        cancelled("ConditionalCheckFailed", "None", item=items.head_item(MADE)),
        {"Attributes": items.head_item(MADE)},
    )
    store = DynamoDBStore(client, "table", lambda _: None)
    assert store.update_channel(MADE.channel_id, {"name": "hall"}, 1, ADA) == MADE
    _, (_, listing), _ = client.calls
    assert listing["Key"] == items.listing_key(MADE.channel_id)
    name = keys.public_name("hall", MADE.channel_id)
    assert listing["ExpressionAttributeValues"][":pubname"] == items.s(name)


def test_a_change_that_met_itself_is_not_done_for_who_has_lost_the_right() -> None:
    """Refused for both reasons, the right counts: nothing is sorted anew either."""
    client = FakeClient(
        cancelled("ConditionalCheckFailed", "ConditionalCheckFailed", item=items.head_item(MADE))
    )
    store = DynamoDBStore(client, "table", lambda _: None)
    assert store.update_channel(MADE.channel_id, {"name": "hall"}, 1, ADA) is None
    assert not store.archive_channel(MADE.channel_id, NOW, ADA)
    assert client.operations == ["TransactWriteItems"] * 2
