"""Members on DynamoDB, with responses that no local engine gives on request."""

from __future__ import annotations

import pytest

from shared.domain.errors import ContentionError
from shared.domain.model import Membership, PastMembership, Role
from shared.storage import items
from shared.storage.dynamodb import DynamoDBStore
from shared.storage.dynamodb.members import REMOVE_TRIES
from tests.contract.fake_client import FakeClient, Response, cancelled
from tests.contract.samples import NOW

MEMBERSHIP = Membership("eve", "0123456789abcdef", Role.MEMBER, NOW)
POSTED = items.membership_item(Membership("eve", "0123456789abcdef", Role.MEMBER, NOW, tat=NOW + 200))
MOVED = cancelled("ConditionalCheckFailed", "None", "None", item=POSTED)


def played(*responses: Response) -> tuple[DynamoDBStore, FakeClient]:
    """A storage over a fake client."""
    client = FakeClient(*responses)
    return DynamoDBStore(client, "table", lambda _: None), client


def test_a_member_who_posted_meanwhile_is_removed_with_that_debt() -> None:
    """The second try uses the item that the first one found, and keeps it."""
    store, client = played(MOVED, {})
    assert store.remove_member(MEMBERSHIP)
    _, (_, second) = client.calls
    delete, _, remember = second["TransactItems"]
    assert delete["Delete"]["ExpressionAttributeValues"][":tat"] == items.n(NOW + 200)
    assert remember["Put"]["Item"]["tat"] == items.n(NOW + 200)


def test_a_member_who_posts_all_the_time_is_given_up() -> None:
    """After the last try it raises a retryable error; no role has changed."""
    store, client = played(MOVED)
    with pytest.raises(ContentionError) as caught:
        store.remove_member(MEMBERSHIP)
    assert caught.value.retry_after == 1
    assert len(client.calls) == REMOVE_TRIES


def test_a_past_membership_without_a_rate_state_is_no_debt() -> None:
    """A past membership that was stored without a rate state limits nobody who rejoins."""
    item = items.past_membership_key("0123456789abcdef", "eve") | {"joined_at": items.n(NOW)}
    assert items.past_membership_of(item) == PastMembership("0123456789abcdef", NOW, 0)
    store, client = played({})
    assert store.add_member(MEMBERSHIP) == MEMBERSHIP
    [(_, asked)] = client.calls
    check = asked["TransactItems"][2]["ConditionCheck"]
    assert "(attribute_not_exists(tat) OR tat <= :tat)" in check["ConditionExpression"]
