"""What erasing a user takes; every storage alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from shared.domain import keys
from shared.domain.model import ERASED, PastMembership, Preview, Role
from shared.observability.meter import start_meter
from shared.storage.memory import MemoryStore
from shared.storage.protocol import Committed, MembershipChanged, Store
from tests.contract.samples import (
    NOW,
    commitment,
    entry,
    head_of,
    membership_of,
    open_channel,
    reserve,
    user,
)


def test_a_membership_that_ends_is_remembered(store: Store) -> None:
    """The channel and when the membership began; not as a membership, and not before it ends."""
    ada, eve = user(), user()
    channel, other = open_channel(store, ada, eve), open_channel(store, ada, eve)
    assert store.past_memberships(eve) == []
    assert store.remove_member(membership_of(store, channel, eve))
    assert store.past_memberships(eve) == [PastMembership(channel, NOW)]
    assert [each.channel_id for each in store.memberships(eve)] == [other]
    assert store.past_memberships(ada) == []


def test_a_member_that_is_not_removed_is_not_remembered(store: Store) -> None:
    """A refused removal leaves nothing behind."""
    ada = user()
    channel = open_channel(store, ada)
    assert not store.remove_member(membership_of(store, channel, ada))
    assert store.past_memberships(ada) == []


def test_joining_again_keeps_the_past_membership(store: Store) -> None:
    """Messages of the first membership remain theirs; the end of the next one replaces the past membership."""
    ada, eve = user(), user()
    channel = open_channel(store, ada, eve)
    first = membership_of(store, channel, eve)
    assert store.remove_member(first)
    again = replace(first, joined_at=NOW + 7)
    assert store.add_member(again) == again
    assert store.past_memberships(eve) == [PastMembership(channel, NOW)]
    assert store.remove_member(again)
    assert store.past_memberships(eve) == [PastMembership(channel, NOW + 7)]


def test_a_past_membership_is_deleted(store: Store) -> None:
    """Only the past membership that was read is deleted, not one that ended since. Deleting can be repeated."""
    ada, eve = user(), user()
    channel = open_channel(store, ada, eve)
    assert store.remove_member(membership_of(store, channel, eve))
    store.forget_past_membership(eve, PastMembership(channel, NOW - 1))
    assert store.past_memberships(eve) == [PastMembership(channel, NOW)]
    for _ in range(2):
        store.forget_past_membership(eve, PastMembership(channel, NOW))
    assert store.past_memberships(eve) == []


def test_even_the_last_owner_can_be_removed(store: Store) -> None:
    """From an archived channel, with the flag for it: no member is left, and the count is 0."""
    ada = user()
    channel = open_channel(store, ada)
    owner = membership_of(store, channel, ada)
    assert not store.remove_member(replace(owner, role=Role.MODERATOR), even_last_owner=True)
    assert not store.remove_member(owner, even_last_owner=True)
    assert store.archive_channel(channel, NOW)
    assert not store.remove_member(owner)
    assert store.remove_member(owner, even_last_owner=True)
    head = head_of(store, channel)
    assert (head.members, head.owners) == (0, 0)


def test_a_message_is_redacted(store: Store) -> None:
    """Its bytes are others, all else of the entry stays; so it can be repeated."""
    ada = user()
    channel = open_channel(store, ada)
    message = replace(entry(reserve(store, channel).seq, b'{"text":"secret"}'), at=NOW - 3)
    assert store.commit(commitment(channel, ada, message)) == Committed()
    for _ in range(2):
        store.redact(channel, 1, b"{}")
        assert store.entries(channel, 1, 1) == [replace(message, body=b"{}")]


def test_only_messages_are_redacted(store: Store) -> None:
    """A void and a hole stay what they are, and no channel is made."""
    channel = open_channel(store, user())
    store.void(channel, [entry(1, None)])
    for seq in (1, 2):
        store.redact(channel, seq, b"{}")
    assert store.entries(channel, 1, 2) == [entry(1, None)]
    unknown = keys.new_channel_id()
    store.redact(unknown, 1, b"{}")
    assert store.entries(unknown, 1, 1) == []


def test_erasures_are_counted(store: Store) -> None:
    """From 0, one for each; the channel state shows it; an unknown channel stays unknown."""
    ada, eve = user(), user()
    channel = open_channel(store, ada)
    assert head_of(store, channel).erasures == 0
    for count in (1, 2):
        assert store.count_erasure(channel, eve) == head_of(store, channel)
        assert head_of(store, channel).erasures == count
    assert store.read_channel_state(channel, ada).head == head_of(store, channel)
    assert head_of(store, channel).creator == ada
    unknown = keys.new_channel_id()
    assert store.count_erasure(unknown, eve) is None
    assert store.head(unknown) is None


def test_an_erased_creator_is_named_no_more(store: Store) -> None:
    """A channel that the user made says so no longer; in the same call."""
    ada = user()
    channel = open_channel(store, ada)
    head = store.count_erasure(channel, ada)
    assert head == head_of(store, channel)
    assert head is not None
    assert (head.creator, head.erasures) == (ERASED, 1)


@pytest.mark.parametrize("before", [0, 1])
def test_a_preview_from_before_a_redaction_does_not_come_back(store: Store, before: int) -> None:
    """A correction counts while the number is what its maker saw, and not after it was raised."""
    channel = open_channel(store, user())
    reserve(store, channel, 2)
    for _ in range(before):
        store.count_erasure(channel, user())
    old, new = Preview(1, "eve", "secret", NOW), Preview(1, ERASED, "", NOW)
    store.count_erasure(channel, user())
    standing = head_of(store, channel).last
    assert not store.correct_preview(channel, 2, old, before)
    assert head_of(store, channel).last == standing
    assert store.correct_preview(channel, 2, new, before + 1)
    assert head_of(store, channel).last == new
    assert not store.correct_preview(channel, 0, old, before)
    assert head_of(store, channel).last == new


def test_a_removed_user_commits_nothing(store: Store) -> None:
    """A post that took its number as a member is refused when the membership has ended: nothing comes after."""
    ada, eve = user(), user()
    channel = open_channel(store, ada, eve)
    seq = reserve(store, channel).seq
    assert store.remove_member(membership_of(store, channel, eve))
    assert store.commit(commitment(channel, eve, entry(seq))) == MembershipChanged(None)
    assert store.entries(channel, 1, 1) == []


def test_what_erasing_costs(store: Store) -> None:
    """A write unit for each small entry, one for the number, one for the creator, one to forget a channel."""
    ada, eve = user(), user()
    channel = open_channel(store, ada, eve)
    assert store.commit(commitment(channel, eve, entry(reserve(store, channel).seq))) == Committed()
    assert store.remove_member(membership_of(store, channel, eve))
    costs = []
    calls: list[Callable[[], object]] = [
        lambda: store.redact(channel, 1, b"{}"),
        lambda: store.count_erasure(channel, eve),
        lambda: store.count_erasure(channel, ada),
        lambda: store.forget_past_membership(eve, PastMembership(channel, NOW)),
    ]
    for call in calls:
        meter = start_meter()
        call()
        costs.append(meter.write_units)
    assert costs == ([0] * 4 if isinstance(store, MemoryStore) else [1, 1, 2, 1])
