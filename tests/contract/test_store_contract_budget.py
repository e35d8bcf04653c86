"""What a user's expensive reads have cost in a minute; every storage alike."""

from __future__ import annotations

from functools import partial

from shared.storage.protocol import Store
from tests.contract.samples import at_once, open_channel, user

MINUTE = 29_924_324
LIMIT = 1_000


def test_a_minute_is_spent_until_its_limit_is_reached(store: Store) -> None:
    """The last that passes may exceed it; from then on nothing does, in that minute."""
    ada = user()
    assert [store.spend(ada, MINUTE, units, LIMIT) for units in (999, 5_000, 1, 1)] == [
        True,
        True,
        False,
        False,
    ]
    assert store.spend(ada, MINUTE + 1, 1, LIMIT)
    assert store.spend(user(), MINUTE, 1, LIMIT)


def test_what_is_spent_is_no_membership(store: Store) -> None:
    """The item that counts spent units is in no list of channels and in no count of members."""
    ada = user()
    channel = open_channel(store, ada)
    assert store.spend(ada, MINUTE, 1, LIMIT)
    assert [each.channel_id for each in store.memberships(ada)] == [channel]
    assert store.count_memberships(ada, 9) == 1


def test_many_at_once_spend_together(store: Store) -> None:
    """Of twelve simultaneous requests that each cost a quarter of the budget, four pass."""
    ada = user()
    granted = at_once(*[partial(store.spend, ada, MINUTE, LIMIT // 4, LIMIT)] * 12)
    assert granted.count(True) == 4
