"""Public channels in their index on an engine: how they are sorted, what listing them costs, and rows of before."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from local.dynamodb.engine import MINISTACK
from shared.aws.protocol import AwsClient
from shared.domain.model import Kind
from shared.observability.meter import start_meter
from shared.storage import items
from shared.storage.dynamodb import DynamoDBStore
from shared.storage.protocol import Store
from tests.contract.samples import NOW, head_of, open_channel, user
from tests.engines import TABLE, Engines

pytestmark = pytest.mark.stack


def listed(store: Store, among: set[str]) -> list[str]:
    """Those of these channels that are listed, in order, page after page."""
    found: list[tuple[str, str]] = []
    while page := store.public_channels(2, found[-1] if found else None):
        found += page
    return [channel for _, channel in found if channel in among]


def as_before(engines: Engines, store: Store, channel_id: str) -> None:
    """Lists a channel as it was done before listings were items: by its head, under 16 characters and the id."""
    client: Any = engines.client(MINISTACK)
    head = head_of(store, channel_id)
    client.delete_item(TableName=TABLE, Key=items.listing_key(channel_id))
    client.update_item(
        TableName=TABLE,
        Key=items.head_key(channel_id),
        UpdateExpression="SET pub = :pub, pubname = :name",
        ExpressionAttributeValues={
            ":pub": items.s(items.PUBLIC),
            ":name": items.s(f"{head.name.casefold()[:16]}#{channel_id}"),
        },
    )


def test_channels_listed_before_are_listed_still(engines: Engines) -> None:
    """Once each, on pages that end with them too; renamed, they sort by the whole name; archived, they are gone."""
    store, token = engines.store(MINISTACK), secrets.token_hex(5)
    old, new = (open_channel(store, user(), kind=Kind.PUBLIC, name=f"{token} {c}") for c in "bc")
    as_before(engines, store, old)
    assert listed(store, {old, new}) == [old, new]
    assert store.update_channel(old, {"name": f"{token} d"}, None)
    assert listed(store, {old, new}) == [new, old]
    as_before(engines, store, new)
    store.archive_channel(new, NOW)
    store.archive_channel(old, NOW)
    assert listed(store, {old, new}) == []


class ChangedBetween:
    """A client through which a channel is changed just before an update of an item by itself."""

    def __init__(self, client: AwsClient, change: Callable[[], object], update: int) -> None:
        self._client = client
        self._change = change
        self._left = update

    def call(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The client's answer; the channel is changed before the update of that number."""
        self._left -= operation == "UpdateItem"
        if operation == "UpdateItem" and self._left == 0:
            self._change()
        return self._client.call(operation, arguments)

    def close(self) -> None:
        """The client is another's."""


def test_a_renaming_that_comes_late_does_not_list_an_archived_channel(engines: Engines) -> None:
    """The listing keeps the version that it was made of, and takes no earlier one."""
    store = engines.store(MINISTACK)
    channel = open_channel(store, user(), kind=Kind.PUBLIC, name="late")
    client = ChangedBetween(engines.ours(MINISTACK), lambda: store.archive_channel(channel, NOW), 2)
    renamed = DynamoDBStore(client, TABLE, lambda _: None).update_channel(channel, {"name": "later"}, None)
    assert renamed
    assert head_of(store, channel).archived_at == NOW
    assert listed(store, {channel}) == []


@pytest.mark.parametrize("number", [1, 2])
def test_what_comes_late_does_not_hide_an_unarchived_channel(engines: Engines, number: int) -> None:
    """An archiving or renaming that lists the channel late leaves it listed once, under its current name."""
    store = engines.store(MINISTACK)
    channel = open_channel(store, user(), kind=Kind.PUBLIC, name="late")

    def reopen() -> None:
        store.archive_channel(channel, NOW)
        assert store.unarchive_channel(head_of(store, channel))

    late = DynamoDBStore(ChangedBetween(engines.ours(MINISTACK), reopen, number), TABLE, lambda _: None)
    if number == 1:
        assert late.archive_channel(channel, NOW)
    else:
        assert late.update_channel(channel, {"name": "later"}, None)
    head = head_of(store, channel)
    assert (head.archived_at, listed(store, {channel})) == (None, [channel])
    item: Any = engines.client(MINISTACK).get_item(TableName=TABLE, Key=items.listing_key(channel))["Item"]
    assert item == items.listing_item(head)


@pytest.mark.parametrize(("kind", "units"), [(Kind.PRIVATE, [5, 2, 2, 2]), (Kind.PUBLIC, [8, 5, 4, 5])])
def test_channels_cost_what_was_computed(engines: Engines, kind: Kind, units: list[int]) -> None:
    """Creating, renaming, archiving, unarchiving: a listing takes 2 units and 1 of the index; 1, 2; 1, 1; 2, 1.

    Renaming one takes a unit that no answer tells of: the condition that the head does not list it fails.
    """
    store, channels = engines.store(MINISTACK), []
    steps: list[Callable[[], object]] = [
        lambda: channels.append(open_channel(store, user(), kind=kind, name="cost")),
        lambda: store.update_channel(channels[0], {"name": "other"}, None),
        lambda: store.archive_channel(channels[0], NOW),
        lambda: store.unarchive_channel(replace(head_of(store, channels[0]), version=3)),
    ]
    found = []
    for step in steps:
        meter = start_meter()
        step()
        found.append(meter.write_units)
    assert found == units
