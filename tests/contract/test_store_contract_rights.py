"""What members do to others and to the channel: only while their role is the one that was seen. Every storage alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from shared.domain.model import Membership, PastMembership, Role
from shared.storage.protocol import Committed, Store
from tests.contract.samples import (
    NOW,
    at_once,
    commitment,
    entry,
    head_of,
    membership_of,
    open_channel,
    user,
)

Loss = Callable[[Store, Membership], object]


def _leaves(store: Store, by: Membership) -> None:
    assert store.remove_member(by)


def _is_demoted(store: Store, by: Membership) -> None:
    assert store.change_role(by, Role.MEMBER)


def staffed(store: Store) -> tuple[Membership, Membership, Membership]:
    """A new channel's owner, another owner, and a member."""
    ada, bob, mary = user(), user(), user()
    channel = open_channel(store, ada, bob, mary)
    assert store.change_role(membership_of(store, channel, bob), Role.OWNER)
    owner, other, member = (membership_of(store, channel, each) for each in (ada, bob, mary))
    return owner, other, member


def test_a_member_with_the_same_role_changes_others(store: Store) -> None:
    """A member whose role is unchanged adds, changes roles and removes, even if they posted in between."""
    _, bob, mary = staffed(store)
    assert store.commit(commitment(bob.channel_id, bob.user_id, entry(1))) == Committed()
    eve = Membership(user(), bob.channel_id, Role.MEMBER, NOW)
    assert store.add_member(eve, bob) == eve
    assert store.change_role(mary, Role.MODERATOR, bob)
    assert store.remove_member(replace(mary, role=Role.MODERATOR), bob)
    assert (head_of(store, bob.channel_id).members, head_of(store, bob.channel_id).owners) == (3, 2)
    changed = store.update_channel(bob.channel_id, {"topic": "new", "slow_mode": 5}, 1, bob)
    assert changed == head_of(store, bob.channel_id)
    assert (changed.topic, changed.slow_mode, changed.version) == ("new", 5, 2)
    assert store.archive_channel(bob.channel_id, NOW, bob)
    assert head_of(store, bob.channel_id).archived_at == NOW
    assert store.unarchive_channel(head_of(store, bob.channel_id), bob) == head_of(store, bob.channel_id)
    assert head_of(store, bob.channel_id).archived_at is None


@pytest.mark.parametrize("loss", [_leaves, _is_demoted])
def test_a_member_whose_role_changed_changes_nothing(store: Store, loss: Loss) -> None:
    """Neither members nor what is counted of them, whether they are gone or have another role."""
    _, bob, mary = staffed(store)
    loss(store, bob)
    before = head_of(store, bob.channel_id)
    eve = Membership(user(), bob.channel_id, Role.MEMBER, NOW)
    assert store.add_member(eve, bob) is None
    assert not store.change_role(mary, Role.MODERATOR, bob)
    assert not store.remove_member(mary, bob)
    for version in (None, 1):
        assert store.update_channel(bob.channel_id, {"topic": "new"}, version, bob) is None
    assert not store.archive_channel(bob.channel_id, NOW, bob)
    assert store.membership(bob.channel_id, eve.user_id) is None
    assert store.membership(bob.channel_id, mary.user_id) == mary
    assert head_of(store, bob.channel_id) == before
    assert store.past_membership(bob.channel_id, mary.user_id) is None


def test_a_debt_is_not_shown_to_a_caller_without_the_right_to_add(store: Store) -> None:
    """Where both the newcomer left in debt and the right is gone, it is the right that counts."""
    ada, bob, mary = staffed(store)
    commit = commitment(mary.channel_id, mary.user_id, entry(1))
    assert store.commit(commit) == Committed()
    assert store.remove_member(membership_of(store, mary.channel_id, mary.user_id))
    assert store.add_member(mary, ada) == PastMembership(mary.channel_id, NOW, commit.tat)
    _leaves(store, bob)
    assert store.add_member(mary, bob) is None


def test_a_member_is_found_whoever_asks(store: Store) -> None:
    """An existing member is returned as they are, even if the caller has lost the right; nothing is written."""
    _, bob, mary = staffed(store)
    _leaves(store, bob)
    assert store.add_member(replace(mary, role=Role.OWNER), bob) == mary


def test_a_change_that_is_already_made_still_needs_the_right(store: Store) -> None:
    """A caller who has lost the right is refused, even if there is nothing left to do."""
    ada, bob, _ = staffed(store)
    assert store.update_channel(ada.channel_id, {"topic": "new"}, 1, ada)
    assert store.update_channel(ada.channel_id, {"topic": "new"}, 1, bob)
    _leaves(store, bob)
    assert store.update_channel(ada.channel_id, {"topic": "new"}, 1, bob) is None
    assert store.archive_channel(ada.channel_id, NOW, ada)
    assert store.archive_channel(ada.channel_id, NOW + 1, ada)
    assert not store.archive_channel(ada.channel_id, NOW + 1, bob)
    assert store.unarchive_channel(head_of(store, ada.channel_id), bob) is None
    assert (head_of(store, ada.channel_id).archived_at, head_of(store, ada.channel_id).version) == (NOW, 3)


def test_a_removal_and_a_change_at_once(store: Store) -> None:
    """Either the change came first, or it finds its author gone and is not made."""
    for _ in range(4):
        ada, bob, _ = staffed(store)
        calls: list[Callable[[], object]] = [
            partial(store.remove_member, bob, ada),
            partial(store.archive_channel, ada.channel_id, NOW, bob),
        ]
        removed, archived = at_once(*calls)
        assert removed is True
        assert (head_of(store, ada.channel_id).archived_at is not None) == archived


def test_two_owners_who_remove_each_other(store: Store) -> None:
    """One of them stays: the one who is removed first cannot remove the other."""
    ada, bob, _ = staffed(store)
    store.add_member(Membership(user(), ada.channel_id, Role.OWNER, NOW))
    removals = [partial(store.remove_member, ada, bob), partial(store.remove_member, bob, ada)]
    assert sorted(at_once(*removals)) == [False, True]
    assert head_of(store, ada.channel_id).owners == 2
