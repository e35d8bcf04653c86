"""The log: numbers, entries, voids, previews; every storage alike."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.domain import keys
from shared.domain.model import ChannelState, Head, IdempotencyRecord, Preview
from shared.observability.meter import start_meter
from shared.storage.memory import MemoryStore
from shared.storage.protocol import Commit, Committed, Reservation, Store
from tests.contract.samples import (
    NOW,
    SHOWN,
    commitment,
    entry,
    head_of,
    membership_of,
    open_channel,
    reserve,
    seqs,
    user,
)


def test_a_channel_state_has_head_membership_and_record(store: Store) -> None:
    """One read of the channel state has all three."""
    ada = user()
    channel = open_channel(store, ada)
    commit = commitment(channel, ada, entry(reserve(store, channel).seq), key="k1")
    assert store.commit(commit) == Committed()
    assert store.read_channel_state(channel, ada, "k1") == ChannelState(
        head_of(store, channel), membership_of(store, channel, ada), commit.idempotency_record
    )


def test_a_channel_state_has_none_for_what_is_missing(store: Store) -> None:
    """Unknown channel, no member, and a key that was not used, or used by another user."""
    ada, eve = user(), user()
    channel = open_channel(store, ada, eve)
    assert store.commit(commitment(channel, ada, entry(1), key="k1")) == Committed()
    assert store.read_channel_state(keys.new_channel_id(), ada, "k1") == ChannelState(None, None, None)
    assert store.read_channel_state(channel, user()).membership is None
    assert store.read_channel_state(channel, ada).idempotency_record is None
    assert store.read_channel_state(channel, ada, "k2").idempotency_record is None
    assert store.read_channel_state(channel, eve, "k1").idempotency_record is None


def test_an_unknown_channel_has_no_head(store: Store) -> None:
    """The head alone is None too."""
    assert store.head(keys.new_channel_id()) is None


def test_numbers_are_dense_and_the_last_one_is_shown(store: Store) -> None:
    """Taking one, then three, then one gives 1, 2 to 4, 5; the preview is that of the last."""
    channel = open_channel(store, user())
    assert [reserve(store, channel, count) for count in (1, 3, 1)] == [
        Reservation(1, 1, 1),
        Reservation(4, 4, 3),
        Reservation(5, 5, 1),
    ]
    head = head_of(store, channel)
    assert (head.seq, head.messages, head.last) == (5, 5, replace(SHOWN, seq=5))


def test_an_archived_channel_gives_no_numbers(store: Store) -> None:
    """The head comes back instead, and nothing was counted."""
    channel = open_channel(store, user())
    store.archive_channel(channel, NOW)
    refused = store.reserve(channel, 1, SHOWN)
    assert isinstance(refused, Head)
    assert (refused.seq, refused.archived_at) == (0, NOW)
    assert head_of(store, channel) == refused


def test_an_unknown_channel_gives_no_numbers(store: Store) -> None:
    """None, and no half a channel is left behind."""
    channel = keys.new_channel_id()
    assert store.reserve(channel, 1, SHOWN) is None
    assert store.head(channel) is None


def test_entries_are_given_by_range_without_holes(store: Store) -> None:
    """Both ends count, holes are left out, other channels' entries too."""
    ada = user()
    channel, other = open_channel(store, ada), open_channel(store, ada)
    for seq in (1, 2, 4, 5):
        store.void(channel, [entry(seq, b"%d" % seq)])
    store.void(other, [entry(3)])
    assert store.entries(channel, 2, 4) == [entry(2, b"2"), entry(4, b"4")]
    assert seqs(store.entries(channel, 1, 1000)) == [1, 2, 4, 5]
    assert store.entries(channel, 6, 9) == []
    assert store.entries(channel, 3, 3) == []


def test_a_body_keeps_its_bytes(store: Store) -> None:
    """Any bytes come back as they were."""
    channel = open_channel(store, user())
    stored = entry(keys.MAX_SEQ, bytes(range(256)))
    store.void(channel, [stored])
    assert store.entries(channel, keys.MAX_SEQ, keys.MAX_SEQ) == [stored]


def test_a_range_of_more_than_a_megabyte_comes_whole(store: Store) -> None:
    """100 entries of 16 KB are more than one page of a Query; the pages are followed."""
    channel = open_channel(store, user())
    body = b"x" * 16_000
    for seq in range(1, 101):
        store.void(channel, [entry(seq, body)])
    meter = start_meter()
    assert seqs(store.entries(channel, 1, 100)) == list(range(1, 101))
    assert isinstance(store, MemoryStore) or meter.calls >= 2
    assert seqs(store.latest_entries(channel, 100, 90)) == list(range(100, 10, -1))


def test_the_latest_entries_come_backwards(store: Store) -> None:
    """The last ones up to a position, the latest first, no more than asked for."""
    channel = open_channel(store, user())
    for seq in (1, 2, 4, 5, 6):
        store.void(channel, [entry(seq)])
    assert seqs(store.latest_entries(channel, 5, 3)) == [5, 4, 2]
    assert seqs(store.latest_entries(channel, 3, 10)) == [2, 1]
    assert store.latest_entries(channel, 0, 10) == []


def test_the_entry_after_a_position(store: Store) -> None:
    """The next one, holes are passed over; None at the end, also at the end of all numbers."""
    channel = open_channel(store, user())
    for seq in (2, 5):
        store.void(channel, [entry(seq)])
    assert store.entry_after(channel, 0) == entry(2)
    assert store.entry_after(channel, 2) == entry(5)
    assert store.entry_after(channel, 5) is None
    assert store.entry_after(keys.new_channel_id(), 0) is None


def test_a_void_is_written_at_a_free_position(store: Store) -> None:
    """A hole is settled; a second void finds the first."""
    channel = open_channel(store, user())
    void = entry(reserve(store, channel).seq, None)
    assert store.void(channel, [void])[0] == void
    assert store.void(channel, [replace(void, at=NOW + 1)])[0] == void
    assert store.entries(channel, 1, 1) == [void]


def test_a_void_finds_the_message_that_came_first(store: Store) -> None:
    """The message is returned and stays."""
    ada = user()
    channel = open_channel(store, ada)
    message = entry(reserve(store, channel).seq, b'{"text":"first"}')
    assert store.commit(commitment(channel, ada, message)) == Committed()
    assert store.void(channel, [entry(1, None)])[0] == message
    assert store.entries(channel, 1, 1) == [message]


def test_a_preview_is_corrected_while_it_is_still_that_one(store: Store) -> None:
    """Another message's preview takes its place, its position with it."""
    channel = open_channel(store, user())
    reserve(store, channel, 3)
    earlier = Preview(2, "eve", "earlier", NOW - 5)
    assert store.correct_preview(channel, 3, earlier, 0)
    head = head_of(store, channel)
    assert (head.seq, head.last) == (3, earlier)


def test_a_preview_goes_where_no_message_is_left(store: Store) -> None:
    """None takes it away, as in a new channel; the next post shows its own."""
    channel = open_channel(store, user())
    reserve(store, channel)
    assert store.correct_preview(channel, 1, None, 0)
    assert head_of(store, channel).last is None
    reserve(store, channel)
    assert head_of(store, channel).last == replace(SHOWN, seq=2)


def test_a_preview_comes_back_where_there_was_none(store: Store) -> None:
    """Position 0 means that there is no preview; an unknown channel has none either."""
    channel = open_channel(store, user())
    first, second = Preview(1, "eve", "first", NOW), Preview(2, "eve", "second", NOW)
    assert store.correct_preview(channel, 0, first, 0)
    assert not store.correct_preview(channel, 0, second, 0)
    assert head_of(store, channel).last == first
    unknown = keys.new_channel_id()
    assert not store.correct_preview(unknown, 0, first, 0)
    assert store.head(unknown) is None


@pytest.mark.parametrize("correction", [None, Preview(1, "eve", "earlier", NOW)])
def test_a_preview_that_moved_on_stays(store: Store, correction: Preview | None) -> None:
    """A later post's preview is not touched, and no channel is made out of nothing."""
    channel = open_channel(store, user())
    reserve(store, channel)
    reserve(store, channel)
    assert not store.correct_preview(channel, 1, correction, 0)
    assert head_of(store, channel).last == replace(SHOWN, seq=2)
    unknown = keys.new_channel_id()
    assert not store.correct_preview(unknown, 1, correction, 0)
    assert store.head(unknown) is None


def test_idempotency_records_of_similar_names_stay_apart(store: Store) -> None:
    """User and key of one idempotency record are never taken for those of another."""
    users = [user(), "a#b-" + user()]
    users.append(users[1].split("#")[0])
    channel = open_channel(store, *users)
    used: list[tuple[str, IdempotencyRecord]] = []
    for seq, (each, key) in enumerate(zip(users, ["k", "k", users[1].split("#")[1] + "#k"], strict=True), 1):
        commit: Commit = commitment(channel, each, entry(seq), key=key)
        assert store.commit(commit) == Committed()
        assert commit.idempotency_record
        used.append((each, commit.idempotency_record))
    assert [store.read_channel_state(channel, each, made.key).idempotency_record for each, made in used] == [
        made for _, made in used
    ]
