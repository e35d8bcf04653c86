"""The commit: all or nothing, and the reason where it is nothing; every storage alike."""

from __future__ import annotations

from dataclasses import replace

from shared.domain.model import ChannelState, Entry
from shared.storage.protocol import (
    Commit,
    Committed,
    KeyUsed,
    MembershipChanged,
    PositionTaken,
    Store,
)
from tests.contract.samples import (
    NOW,
    SECOND,
    commitment,
    entry,
    idempotency_record,
    membership_of,
    open_channel,
    user,
)


def test_a_commit_writes_entries_membership_and_record(store: Store) -> None:
    """A batch is stored whole, and the sender's read position and rate state move."""
    ada = user()
    channel = open_channel(store, ada)
    commit = commitment(channel, ada, *(entry(seq, b"%d" % seq) for seq in range(1, 26)), key="k1")
    assert store.commit(commit) == Committed()
    assert store.entries(channel, 1, 25) == list(commit.entries)
    membership = membership_of(store, channel, ada)
    assert (membership.read_seq, membership.read_messages, membership.tat) == (25, 25, commit.tat)
    assert store.read_channel_state(channel, ada, "k1").idempotency_record == idempotency_record(
        "k1", 25, count=25
    )


def test_a_commit_leaves_a_read_position_that_is_further(store: Store) -> None:
    """Without ``move_read`` only the rate state moves."""
    ada = user()
    channel = open_channel(store, ada)
    store.move_read_position(channel, ada, 9, 8, force=False)
    assert store.commit(commitment(channel, ada, entry(3), move_read=False)) == Committed()
    membership = membership_of(store, channel, ada)
    assert (membership.read_seq, membership.read_messages, membership.tat) == (9, 8, NOW + 200)


def test_a_taken_position_refuses_the_whole_batch(store: Store) -> None:
    """The void at one of the positions is returned; nothing of the batch is written."""
    ada = user()
    channel = open_channel(store, ada)
    void = store.void(channel, [entry(2, None)])[0]
    commit = commitment(channel, ada, entry(1), entry(2), entry(3), key="k1")
    _assert_refused(store, commit, PositionTaken(void))
    assert store.entries(channel, 1, 3) == [void]


def test_a_commit_repeated_finds_itself(store: Store) -> None:
    """Without a key the commit returns the stored entry, which is its own."""
    ada = user()
    channel = open_channel(store, ada)
    commit = commitment(channel, ada, entry(1, b"mine"))
    assert store.commit(commit) == Committed()
    _assert_refused(store, commit, PositionTaken(entry(1, b"mine")))


def test_another_rate_state_refuses(store: Store) -> None:
    """If the same user posted in between, the membership as it is now is returned."""
    ada = user()
    channel = open_channel(store, ada)
    assert store.commit(commitment(channel, ada, entry(1))) == Committed()
    commit = commitment(channel, ada, entry(2), key="k1")
    _assert_refused(store, commit, MembershipChanged(membership_of(store, channel, ada)))


def test_a_read_position_that_moved_past_refuses(store: Store) -> None:
    """A commit that would move it back is refused, so that it never goes back by itself."""
    ada = user()
    channel = open_channel(store, ada)
    store.move_read_position(channel, ada, 5, 5, force=False)
    for seq in (4, 5):
        commit = commitment(channel, ada, entry(seq))
        _assert_refused(store, commit, MembershipChanged(membership_of(store, channel, ada)))


def test_a_removed_member_commits_nothing(store: Store) -> None:
    """None is returned: a removed member cannot post, even if the post was allowed before."""
    ada, eve = user(), user()
    channel = open_channel(store, ada, eve)
    assert store.remove_member(membership_of(store, channel, eve))
    _assert_refused(store, commitment(channel, eve, entry(1), key="k1"), MembershipChanged(None))
    assert store.membership(channel, eve) is None


def test_a_used_key_refuses(store: Store) -> None:
    """The stored idempotency record is returned, even if another condition fails too."""
    ada = user()
    channel = open_channel(store, ada)
    first = commitment(channel, ada, entry(1), key="k1")
    assert store.commit(first) == Committed()
    used = KeyUsed(idempotency_record("k1", 1))
    # The rate state differs; with it the position; then nothing but the key.
    _assert_refused(store, commitment(channel, ada, entry(2), key="k1"), used)
    _assert_refused(store, first, used)
    _assert_refused(store, commitment(channel, ada, entry(2), key="k1", tat_seen=first.tat), used)


def test_an_idempotency_record_counts_until_it_expires(store: Store) -> None:
    """In its last second it refuses; afterwards it is as good as gone, deleted or not."""
    ada = user()
    channel = open_channel(store, ada)
    assert store.commit(commitment(channel, ada, entry(1), key="k1")) == Committed()
    old = idempotency_record("k1", 1)
    later = idempotency_record("k1", 2, expires=SECOND + 999)
    commit = commitment(
        channel,
        ada,
        entry(2),
        tat_seen=NOW + 200,
        tat=NOW + 400,
        idempotency_record=later,
        now=old.expires * 1000 + 999,
    )
    _assert_refused(store, commit, KeyUsed(old))
    assert store.commit(replace(commit, now=old.expires * 1000 + 1000)) == Committed()
    assert store.read_channel_state(channel, ada, "k1").idempotency_record == later


def test_two_users_may_use_the_same_key(store: Store) -> None:
    """Keys are each user's own."""
    ada, eve = user(), user()
    channel = open_channel(store, ada, eve)
    assert store.commit(commitment(channel, ada, entry(1), key="k1")) == Committed()
    assert store.commit(commitment(channel, eve, entry(2), key="k1")) == Committed()


def _assert_refused(store: Store, commit: Commit, outcome: object) -> None:
    before = _standing(store, commit)
    assert store.commit(commit) == outcome
    assert _standing(store, commit) == before


def _standing(store: Store, commit: Commit) -> tuple[list[Entry], ChannelState]:
    key = commit.idempotency_record.key if commit.idempotency_record else None
    return store.entries(commit.channel_id, 0, 100), store.read_channel_state(
        commit.channel_id, commit.user_id, key
    )
