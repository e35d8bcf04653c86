"""What a head keeps of a channel's retention, and when entries and changes may be deleted: each storage alike."""

from __future__ import annotations

from dataclasses import replace

from shared.domain import keys
from shared.domain.changes import Change, ChangeKind
from shared.domain.model import NOTHING_EXPIRED, Boundary, Role
from shared.domain.retention import HOUR_MS, MAX_DAYS, changed, steps_of
from shared.observability.meter import start_meter
from shared.storage.memory import MemoryStore
from shared.storage.protocol import ChangeCommit, Committed, Expiring, StateChanged, Store
from shared.storage.retention import advance
from tests.contract.samples import (
    NOW,
    SECOND,
    commitment,
    entry,
    head_of,
    membership_of,
    open_channel,
    reserve,
    user,
)

DAYS = 30
LATER = NOW + (DAYS + 1) * 24 * HOUR_MS
EXPIRES = SECOND + 10**6


def test_a_channel_keeps_its_retention(store: Store) -> None:
    """Days and the shorter retentions of earlier messages, at their limits; null removes them."""
    channel = open_channel(store, user())
    for days in (1, 2, MAX_DAYS - 1, MAX_DAYS, None):
        fields = changed(head_of(store, channel), days, NOW)
        head = store.update_channel(channel, fields, None)
        assert head is not None
        assert (head.retention_days, head.retention_steps) == (days, fields["retention_steps"])
        assert head == head_of(store, channel)
        if days == MAX_DAYS:
            assert [each for _, each in steps_of(head.retention_steps)] == [1, 2, MAX_DAYS - 1]
            store.update_channel(channel, changed(head, 1, NOW), None)


def test_the_boundary_moves_from_the_one_that_was_read(store: Store) -> None:
    """At any size of its numbers; another boundary than the one that was read stays, and is returned."""
    channel = open_channel(store, user())
    assert head_of(store, channel).boundary == NOTHING_EXPIRED
    first = Boundary(1, 1, 0, 0, 60_000)
    assert store.move_boundary(channel, NOTHING_EXPIRED, first) == first
    assert store.move_boundary(channel, NOTHING_EXPIRED, Boundary(2)) == first
    largest = Boundary(keys.MAX_SEQ, keys.MAX_SEQ - 1, keys.MAX_SEQ - 2, keys.MAX_SEQ - 3, NOW)
    assert store.move_boundary(channel, first, largest) == largest
    assert head_of(store, channel).boundary == largest
    assert store.move_boundary(keys.new_channel_id(), NOTHING_EXPIRED, first) == NOTHING_EXPIRED


def test_entries_and_changes_say_when_they_expire(store: Store) -> None:
    """Also after a change, which leaves the entry's time as it is."""
    ada = user()
    channel = open_channel(store, ada)
    posted = replace(entry(reserve(store, channel).seq), expires=EXPIRES)
    assert store.commit(commitment(channel, ada, posted)) == Committed()
    assert store.entries(channel, 1, 1) == [posted]
    change = Change(1, ChangeKind.REACTION_ADDED, 1, ada, NOW, b'{"a":1}', "👍", b"", EXPIRES)
    by = replace(membership_of(store, channel, ada), role=Role.OWNER)
    edited = replace(posted, body=b'{"a":1}', rev=1)
    assert (
        store.commit_change(ChangeCommit(head_of(store, channel), by, posted, change, edited)) == Committed()
    )
    assert store.entries(channel, 1, 1) == [edited]
    assert store.changes(channel, 1, 1) == [change]


def test_a_message_that_expired_since_it_was_read_is_not_changed(store: Store) -> None:
    """The boundary has moved: the change is made anew from a fresh read, and a gap is never counted before it."""
    ada = user()
    channel = open_channel(store, ada)
    posted = entry(reserve(store, channel).seq)
    store.commit(commitment(channel, ada, posted))
    change = Change(1, ChangeKind.REACTION_ADDED, 1, ada, NOW, b'{"a":1}', "👍")
    edited = replace(posted, body=b'{"a":1}', rev=1)
    for boundary in (Boundary(1, 1), Boundary(2, 2)):
        head = head_of(store, channel)
        store.move_boundary(channel, head.boundary, boundary)
        by = membership_of(store, channel, ada)
        assert store.commit_change(ChangeCommit(head, by, posted, change, edited)) == StateChanged()
        summary = ChangeCommit(head, None, posted, replace(change, kind=ChangeKind.THREAD), edited)
        assert store.commit_summary(summary) == StateChanged()
    assert store.entries(channel, 1, 1) == [posted]


def test_a_root_that_has_expired_is_not_in_the_state_of_its_thread(store: Store) -> None:
    """Whether DynamoDB has deleted it or not."""
    ada = user()
    channel = open_channel(store, ada)
    posted = entry(reserve(store, channel).seq)
    store.commit(commitment(channel, ada, posted))
    log_id = keys.message_id(channel, 1)
    for root in (posted, None):
        for state in (store.read_channel_state(log_id, ada), store.read_message_state(log_id, ada, 1)[0]):
            assert state.thread is not None
            assert state.thread.root == root
        store.move_boundary(channel, NOTHING_EXPIRED, Boundary(1, 1))


def test_the_first_changes_of_a_range(store: Store) -> None:
    """A limit counts the changes that there are."""
    ada = user()
    channel = open_channel(store, ada)
    posted = entry(reserve(store, channel).seq)
    store.commit(commitment(channel, ada, posted))
    for rev in (1, 2, 3):
        change = Change(rev, ChangeKind.REACTION_ADDED, 1, ada, NOW, b'{"a":%d}' % rev, "👍")
        after = replace(posted, body=change.body, rev=rev)
        by = membership_of(store, channel, ada)
        assert (
            store.commit_change(ChangeCommit(head_of(store, channel), by, posted, change, after))
            == Committed()
        )
        posted = after
    assert [each.rev for each in store.changes(channel, 2, 3, 1)] == [2]
    assert [each.rev for each in store.changes(channel, 1, 2, 9)] == [1, 2]


def test_the_boundary_is_found_by_reading_a_few_entries(store: Store) -> None:
    """It is the last entry from before the retention; what lacks before an old entry has expired too."""
    ada = user()
    channel = open_channel(store, ada, retention_days=None)
    reserve(store, channel, 9)
    old = [replace(entry(seq), at=NOW + seq * HOUR_MS) for seq in (1, 2, 5, 6, 7, 9)]
    store.void(channel, old)
    store.update_channel(channel, {"retention_days": DAYS}, None)
    now = NOW + DAYS * 24 * HOUR_MS + HOUR_MS * 7 // 2
    moved = advance(store, head_of(store, channel), now).boundary
    assert (moved.seq, moved.messages) == (4, 4)
    assert head_of(store, channel).boundary == moved
    assert advance(store, head_of(store, channel), now + 1).boundary == moved
    end = advance(store, head_of(store, channel), LATER).boundary
    assert (end.seq, end.messages, end.gaps) == (9, 9, 0)


def test_what_dynamodb_does_not_delete_is_swept(store: Store) -> None:
    """Of each kind what is behind the boundary and has no time, or a later one; in a dry run nothing."""
    ada, eve = user(), user()
    channel, other = open_channel(store, ada, eve), open_channel(store, ada)
    for log in (channel, other):
        reserve(store, log, 4)
    posted = [replace(entry(seq), expires=at) for seq, at in ((1, 0), (2, SECOND), (3, SECOND + 1), (4, 0))]
    assert store.commit(commitment(channel, ada, *posted)) == Committed()
    store.commit(commitment(other, ada, *posted))
    for rev, each in enumerate(posted, 1):
        change = Change(rev, ChangeKind.REACTION_ADDED, rev, ada, NOW, b'{"a":1}', "👍", b"", each.expires)
        after = replace(each, body=change.body, rev=rev)
        by, head = membership_of(store, channel, ada), head_of(store, channel)
        made = ChangeCommit(head, by, each, change, after, reacted=eve)
        assert store.commit_change(made) == Committed()
    store.list_gaps(channel, [1, 3, 4])
    store.move_boundary(channel, NOTHING_EXPIRED, Boundary(3, 3, 0, 3, NOW))
    head = head_of(store, channel)

    def left() -> list[list[int]]:
        return [
            [each.seq for each in store.entries(channel, 1, 9)],
            [each.rev for each in store.changes(channel, 1, 9)],
            sorted(store.gaps(channel, 0)),
            [seq for seq in range(1, 5) if store.has_reacted(channel, seq, "👍", eve)],
        ]

    before = left()
    assert before == [[1, 2, 3, 4], [1, 2, 3, 4], [1, 3, 4], [1, 2, 3, 4]]
    assert [store.sweep(kind, head, 1, 9, NOW, dry_run=True) for kind in Expiring] == [2] * 4
    assert left() == before
    assert [store.sweep(kind, head, 2, 9, NOW) for kind in Expiring] == [1] * 4
    assert left() == [[1, 2, 4], [1, 2, 4], [1, 4], [1, 2, 4]]
    for found in (1, 0):
        assert [store.sweep(kind, head, 1, 9, NOW) for kind in Expiring] == [found] * 4
        assert left() == [[2, 4], [2, 4], [4], [2, 4]]
    assert store.entries(other, 1, 9) == posted


def test_many_items_are_swept_at_once(store: Store) -> None:
    """More than one batch; a write unit each."""
    channel = open_channel(store, user())
    reserve(store, channel, 60)
    store.void(channel, [entry(seq, None) for seq in range(1, 61)])
    store.move_boundary(channel, NOTHING_EXPIRED, Boundary(55, 55, 55, 0, NOW))
    meter = start_meter()
    assert store.sweep(Expiring.ENTRIES, head_of(store, channel), 1, 60, NOW) == 55
    assert meter.write_units == (0 if isinstance(store, MemoryStore) else 55)
    assert [each.seq for each in store.entries(channel, 1, 60)] == list(range(56, 61))
