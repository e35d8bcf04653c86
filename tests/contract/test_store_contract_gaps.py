"""Positions that are counted as messages and hold none: each storage counts each of them once."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from shared.domain.model import Entry, Role
from shared.storage.protocol import Committed, Store
from tests.contract.samples import (
    NOW,
    at_once,
    commitment,
    entry,
    head_of,
    membership_of,
    open_channel,
    reserve,
    seqs,
    user,
)

ROUNDS = 10


def voids(*positions: int) -> list[Entry]:
    """Voids to be written there."""
    return [entry(seq, None) for seq in positions]


def gaps_of(store: Store, channel: str) -> tuple[int, list[int], int]:
    """What the head says of gaps."""
    head = head_of(store, channel)
    return head.voids, sorted(head.gaps), head.gaps_from


def test_a_new_channel_has_no_gaps(store: Store) -> None:
    """Neither a new channel nor a committed message is a gap."""
    ada = user()
    channel = open_channel(store, ada)
    seq = reserve(store, channel).seq
    assert store.commit(commitment(channel, ada, entry(seq))) == Committed()
    assert gaps_of(store, channel) == (0, [], 0)


def test_voids_are_counted_when_they_come_to_stand(store: Store) -> None:
    """All voids of one call are counted at once, and not again by a reader that finds them."""
    channel = open_channel(store, user())
    reserve(store, channel, 5)
    assert store.void(channel, voids(2, 4, 5)) == voids(2, 4, 5)
    assert gaps_of(store, channel) == (3, [2, 4, 5], 0)
    assert store.void(channel, [replace(each, at=NOW + 1) for each in voids(2, 4, 5)]) == voids(2, 4, 5)
    assert gaps_of(store, channel) == (3, [2, 4, 5], 0)


def test_a_taken_position_is_not_counted(store: Store) -> None:
    """A message and an earlier void keep their places; the others are settled and counted all the same."""
    ada = user()
    channel = open_channel(store, ada)
    reserve(store, channel, 25)
    store.commit(commitment(channel, ada, entry(3)))
    store.void(channel, voids(7))
    standing = store.void(channel, [replace(each, at=NOW + 1) for each in voids(*range(1, 26))])
    assert seqs(standing) == list(range(1, 26))
    assert [each.seq for each in standing if each.body is not None] == [3]
    assert [each.seq for each in standing if each.at == NOW] == [3, 7]
    assert (head_of(store, channel).voids, len(store.gaps(channel, 0))) == (24, 24)


def test_a_stored_message_is_not_counted(store: Store) -> None:
    """A writer that finds its whole batch there changes nothing."""
    ada = user()
    channel = open_channel(store, ada)
    reserve(store, channel, 3)
    batch = [entry(seq) for seq in (1, 2, 3)]
    store.commit(commitment(channel, ada, *batch))
    assert store.void(channel, voids(1, 2, 3)) == batch
    assert gaps_of(store, channel) == (0, [], 0)
    assert len(store.gaps(channel, 0)) == 0


def test_more_voids_than_one_transaction_takes(store: Store) -> None:
    """A page of holes is voided whole, although one transaction takes fewer."""
    channel = open_channel(store, user())
    for _ in range(4):
        reserve(store, channel, 25)
    assert seqs(store.void(channel, voids(*range(1, 101)))) == list(range(1, 101))
    assert head_of(store, channel).voids == len(store.gaps(channel, 0)) == 100


def test_readers_who_settle_the_same_holes_count_them_once(store: Store) -> None:
    """Readers who settle the same or overlapping holes at once count each of them once."""
    for _ in range(ROUNDS):
        channel = open_channel(store, user())
        reserve(store, channel, 6)
        settle = [partial(store.void, channel, voids(*each)) for each in ((1, 2, 3), (2, 3, 4), (3,))]
        at_once(*settle, partial(reserve, store, channel))
        assert gaps_of(store, channel) == (4, [1, 2, 3, 4], 0)
        assert (head_of(store, channel).seq, len(store.gaps(channel, 0))) == (7, 4)


def test_a_commit_and_its_void_count_once_or_not_at_all(store: Store) -> None:
    """When a commit and a void compete for a position, it is a gap only if the void won."""
    for _ in range(ROUNDS):
        ada = user()
        channel = open_channel(store, ada)
        reserve(store, channel)
        outcome, _ = at_once(
            partial(store.commit, commitment(channel, ada, entry(1))),
            partial(store.void, channel, voids(1)),
        )
        assert head_of(store, channel).voids == (
            0 if outcome == Committed() else len(store.entries(channel, 1, 1))
        )
        [standing] = store.entries(channel, 1, 1)
        assert head_of(store, channel).voids == (standing.body is None)


def test_positions_given_out_say_how_many_gaps_there_are(store: Store) -> None:
    """A sender's membership stores that count."""
    ada = user()
    channel = open_channel(store, ada)
    reserve(store, channel, 2)
    store.void(channel, voids(1, 2))
    taken = reserve(store, channel)
    assert (taken.seq, taken.voids) == (3, 2)
    store.commit(commitment(channel, ada, entry(3), voids=taken.voids))
    assert membership_of(store, channel, ada).read_voids == 2


def test_a_read_position_keeps_its_gaps(store: Store) -> None:
    """A newcomer's too; a commit that does not move it leaves them."""
    ada, eve = user(), user()
    channel = open_channel(store, ada)
    joins = replace(membership_of(store, channel, ada), user_id=eve, role=Role.MEMBER, read_voids=4)
    assert store.add_member(joins) == joins == membership_of(store, channel, eve)
    moved = store.move_read_position(channel, eve, 5, 5, force=False, voids=3)
    assert moved is not None
    assert moved.read_voids == membership_of(store, channel, eve).read_voids == 3
    store.commit(commitment(channel, eve, entry(1), move_read=False, voids=9))
    assert membership_of(store, channel, eve).read_voids == 3


def test_the_smallest_gaps_are_trimmed(store: Store) -> None:
    """The head says above which position it has all of them; their number stays."""
    channel = open_channel(store, user())
    reserve(store, channel, 6)
    store.void(channel, voids(1, 2, 3, 5))
    for _ in range(2):
        store.trim_gaps(channel, [1, 2], 2)
        assert gaps_of(store, channel) == (4, [3, 5], 2)
    head = head_of(store, channel)
    assert [head.gaps_after(seq) for seq in (1, 2, 3, 4, 5)] == [None, 2, 1, 1, 0]


def test_a_membership_with_older_gaps_trims_nothing(store: Store) -> None:
    """Where the head is complete only above a later position; one that came late goes under the same position."""
    channel = open_channel(store, user())
    reserve(store, channel, 6)
    store.void(channel, voids(2, 3, 5))
    store.trim_gaps(channel, [2, 3], 3)
    store.trim_gaps(channel, [2], 2)
    assert gaps_of(store, channel) == (3, [5], 3)
    store.void(channel, voids(1))
    assert gaps_of(store, channel) == (4, [1, 5], 3)
    store.trim_gaps(channel, [1], 3)
    assert gaps_of(store, channel) == (4, [5], 3)


def test_all_gaps_may_be_trimmed(store: Store) -> None:
    """Trimming the last gap works, although DynamoDB stores no empty set."""
    channel = open_channel(store, user())
    reserve(store, channel)
    store.void(channel, voids(1))
    store.trim_gaps(channel, [1], 1)
    assert gaps_of(store, channel) == (1, [], 1)


def test_gaps_are_counted_however_old(store: Store) -> None:
    """All gaps after a position are counted; a gap at the position is not."""
    channel = open_channel(store, user())
    reserve(store, channel, 6)
    store.void(channel, voids(1, 3, 6))
    store.trim_gaps(channel, [1, 3], 3)
    assert [len(store.gaps(channel, after)) for after in range(7)] == [3, 2, 2, 1, 1, 1, 0]


def test_whether_messages_stand_is_asked_for_many_channels_at_once(store: Store) -> None:
    """A message, a void, nothing; the same position twice is one."""
    ada = user()
    channel, other = open_channel(store, ada), open_channel(store, ada)
    reserve(store, channel, 3)
    store.commit(commitment(channel, ada, entry(1)))
    store.void(channel, voids(2))
    asked = [(channel, 1), (channel, 2), (channel, 3), (other, 1), (channel, 1)]
    assert store.standing(asked) == {(channel, 1): True, (channel, 2): False}
    assert store.standing([]) == {}
