"""Changes of messages: every outcome, and everything that must change together with the message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from shared.domain.changes import MAX_PINS, Change, ChangeKind
from shared.domain.errors import StoreThrottledError
from shared.domain.keys import new_channel_id
from shared.domain.messages import preview
from shared.domain.model import MAX_EVERYBODY, MAX_GAPS, Entry, Head, Kind, Membership, Role
from shared.storage.dynamodb import DynamoDBStore
from shared.storage.log_reader import trim
from shared.storage.protocol import (
    ChangeCommit,
    ChangeOutcome,
    Committed,
    Contended,
    KeyUsed,
    MentionedLeft,
    PinsFull,
    PinUnchanged,
    Reacted,
    Reservation,
    StateChanged,
    Store,
)
from tests.contract.changing import THUMB, entry_at, make, post, post_batch, prepare
from tests.contract.fake_client import FakeClient, cancelled, refusal
from tests.contract.samples import (
    NOW,
    SECOND,
    SHOWN,
    at_once,
    commitment,
    entry,
    head_of,
    idempotency_record,
    membership_of,
    open_channel,
    reserve,
    user,
)

MARK, OTHER_MARK = frozenset({NOW * 10**12 + 1}), frozenset({NOW * 10**12 + 2})
KINDS = [pytest.param(kind, id=kind.value) for kind in ChangeKind if kind is not ChangeKind.THREAD]
ODD_IDS = ["!", "A", "Z", "a", "a ", "a!", "aa", "ab", "b", "é", "ü@x", "ﬀ", "🦜", "🦜a"]
"""User ids in their order as UTF-8; some begin with another one."""


def opened(store: Store, *more: str) -> tuple[str, str]:
    """A channel with one message at position 1, and its owner, who posted it."""
    ada = user()
    channel = open_channel(store, ada, *more)
    post(store, channel, ada)
    return channel, ada


def everything(store: Store, channel: str, users: list[str]) -> object:
    """All that a change may change."""
    memberships = store.members_of(channel, users)
    log, changes = store.entries(channel, 1, 9), store.changes(channel, 1, 99)
    reacted = store.reacted(channel, 1, THUMB, 100, None)
    gaps = store.gaps(channel, 0)
    return head_of(store, channel), memberships, log, changes, store.pins(channel), reacted, gaps


def ready_for(store: Store, channel: str, ada: str, kind: ChangeKind) -> None:
    """Makes what the kind of change needs: an unpinned message cannot be unpinned."""
    if kind is ChangeKind.UNPINNED:
        make(store, channel, ada, kind=ChangeKind.PINNED)


# --- what is written, and read again ---


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_is_written_as_a_whole(store: Store, kind: ChangeKind) -> None:
    """It has the next number, is in the change log, and the message is as it says; pins leave the message alone."""
    channel, ada = opened(store)
    ready_for(store, channel, ada, kind)
    before, rev = entry_at(store, channel, 1), head_of(store, channel).rev
    commit = make(store, channel, ada, kind=kind)
    assert head_of(store, channel).rev == rev + 1 == commit.change.rev
    assert store.changes(channel, rev + 1, rev + 1) == [commit.change]
    assert entry_at(store, channel, 1) == (commit.entry or before)
    assert store.pins(channel) == ({1: rev + 1} if kind is ChangeKind.PINNED else {})


@pytest.mark.parametrize("kind", KINDS)
def test_a_repeated_commit_changes_nothing(store: Store, kind: ChangeKind) -> None:
    """The number is taken, so the same transaction that arrives twice is made once."""
    channel, ada = opened(store)
    ready_for(store, channel, ada, kind)
    commit = make(store, channel, ada, kind=kind)
    before = everything(store, channel, [ada])
    assert store.commit_change(commit) == StateChanged()
    assert everything(store, channel, [ada]) == before


@pytest.mark.parametrize("kind", KINDS)
def test_a_change_stores_the_rate_state_that_it_was_decided_on(store: Store, kind: ChangeKind) -> None:
    """Another change of the same user in between refuses it; the rate state of posts stays; None stores nothing."""
    channel, ada = opened(store)
    ready_for(store, channel, ada, kind)
    seen = membership_of(store, channel, ada)
    make(store, channel, ada, kind=kind, tat=NOW + 1)
    assert membership_of(store, channel, ada) == replace(seen, changes_tat=NOW + 1)
    stale = prepare(store, channel, ada, kind=ChangeKind.EDITED, tat=NOW + 2)
    assert store.commit_change(replace(stale, by=seen)) == StateChanged()
    assert store.commit_change(replace(stale, by=replace(seen, changes_tat=NOW))) == StateChanged()
    assert store.commit_change(replace(stale, tat=None)) == Committed()
    assert membership_of(store, channel, ada).changes_tat == NOW + 1


def test_a_change_keeps_all_its_fields(store: Store) -> None:
    """Kind, position, author, time, emoji, the message after it and what packs the one before."""
    channel, ada = opened(store)
    first = make(store, channel, ada).change
    commit = prepare(store, channel, ada, kind=ChangeKind.EDITED)
    second = replace(commit.change, before=b"\x00packed\xff", at=NOW + 7)
    assert commit.entry is not None
    after = replace(commit.entry, versions=(1, 2, second.rev))
    assert store.commit_change(replace(commit, change=second, entry=after)) == Committed()
    assert store.changes(channel, 1, 2) == [first, second]
    assert (first.emoji, second.emoji, first.by) == (THUMB, "", ada)
    assert entry_at(store, channel, 1) == after


def test_message_state_is_head_membership_record_and_entry(store: Store) -> None:
    """One read returns head, membership, idempotency record and entry; each is None if it does not exist."""
    channel, ada = opened(store)
    record = idempotency_record("k1", 1)
    make(store, channel, ada, idempotency_record=record)
    state, found = store.read_message_state(channel, ada, 1, "k1")
    assert state == store.read_channel_state(channel, ada, "k1")
    assert (state.idempotency_record, found) == (record, entry_at(store, channel, 1))
    state, found = store.read_message_state(channel, user(), 2, "k1")
    assert (state.head, state.membership, state.idempotency_record) == (head_of(store, channel), None, None)
    assert found is None
    nothing, found = store.read_message_state(new_channel_id(), ada, 1)
    assert (nothing.head, nothing.membership, found) == (None, None, None)


def test_many_changes_are_read_in_order(engine_store: Store) -> None:
    """A range of changes is read in order, both ends included; by number they come in any order."""
    channel, ada = opened(engine_store)
    made = [make(engine_store, channel, ada).change for _ in range(30)]
    assert engine_store.changes(channel, 1, 30) == made
    assert engine_store.changes(channel, 5, 20) == made[4:20]
    assert engine_store.changes(channel, 29, 500) == made[28:]
    assert engine_store.changes(channel, 31, 200) == engine_store.changes(channel, 7, 6) == []
    asked = [*range(10, 0, -1), *range(400, 500), *range(11, 31), 7]
    assert sorted(engine_store.changes_at(channel, asked), key=lambda each: each.rev) == made
    assert engine_store.changes_at(channel, []) == []


def test_large_changes_are_read_over_several_pages(engine_store: Store) -> None:
    """More than the 1 MB that one page of a Query holds."""
    channel, ada = opened(engine_store)
    for _ in range(10):
        commit = prepare(engine_store, channel, ada)
        assert commit.entry is not None
        body = b'{"text":"%s","rev":%d}' % (b"x" * 150_000, commit.change.rev)
        large = replace(commit.change, body=body)
        assert engine_store.commit_change(
            replace(commit, change=large, entry=replace(commit.entry, body=body))
        ) == (Committed())
    assert [each.rev for each in engine_store.changes(channel, 1, 10)] == list(range(1, 11))
    assert [each.rev for each in engine_store.changes(channel, 3, 9)] == list(range(3, 10))


def test_entries_are_read_by_position(engine_store: Store) -> None:
    """Each once, missing ones left out, voids included; more than one call's 100."""
    channel, ada = opened(engine_store)
    post(engine_store, channel, ada)
    reserve(engine_store, channel, 119)
    engine_store.void(channel, [Entry(seq, seq, NOW, None) for seq in range(3, 122)])
    found = engine_store.entries_at(channel, [*range(1, 123), 1, 121])
    assert sorted(each.seq for each in found) == list(range(1, 122))
    assert engine_store.entries_at(channel, []) == []


def test_memberships_of_a_channel_are_read_by_user(engine_store: Store) -> None:
    """Those who are members, each once; more than one call's 100."""
    users = [user() for _ in range(20)]
    channel = open_channel(engine_store, *users)
    others = [f"nobody-{number}" for number in range(100)]
    found = engine_store.members_of(channel, [*users[:10], *others, *users[10:], users[0]])
    assert found == {each: membership_of(engine_store, channel, each) for each in users}
    assert engine_store.members_of(channel, []) == {}


# --- refusals: nothing is written ---


def _archive(store: Store, channel: str, ada: str) -> None:
    assert store.archive_channel(channel, NOW, membership_of(store, channel, ada))


def _change_it(store: Store, channel: str, ada: str) -> None:
    make(store, channel, ada)


def _change_another(store: Store, channel: str, ada: str) -> None:
    make(store, channel, ada, post(store, channel, ada).seq)


def _change_role(store: Store, channel: str, ada: str) -> None:
    assert store.add_member(Membership(user(), channel, Role.OWNER, NOW))
    assert store.change_role(membership_of(store, channel, ada), Role.MEMBER)


def _leave(store: Store, channel: str, ada: str) -> None:
    assert store.archive_channel(channel, NOW)
    assert store.remove_member(membership_of(store, channel, ada), even_last_owner=True)


STALE = {
    "archived": _archive,
    "changed": _change_it,
    "another message changed": _change_another,
    "role changed": _change_role,
    "left": _leave,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("happens", STALE.values(), ids=STALE)
def test_a_change_of_what_is_out_of_date_is_refused(
    store: Store, happens: Callable[[Store, str, str], None], kind: ChangeKind
) -> None:
    """Channel, message and the acting member's role must be as they were read."""
    channel, ada = opened(store)
    ready_for(store, channel, ada, kind)
    commit = prepare(store, channel, ada, kind=kind)
    happens(store, channel, ada)
    before = everything(store, channel, [ada])
    assert store.commit_change(commit) == StateChanged()
    assert everything(store, channel, [ada]) == before


def test_a_message_that_changed_under_the_same_number_is_refused(store: Store) -> None:
    """The message's own number is a condition, whatever the head's is."""
    channel, ada = opened(store)
    unchanged = prepare(store, channel, ada)
    make(store, channel, ada)
    stale = prepare(store, channel, ada)
    before = everything(store, channel, [ada])
    for seen in (unchanged.seen, replace(stale.seen, rev=9)):
        assert store.commit_change(replace(stale, seen=seen)) == StateChanged()
    assert everything(store, channel, [ada]) == before


def test_no_channel_no_message_and_a_void_are_refused(store: Store) -> None:
    """A change of an unknown channel, a missing message or a void is refused and creates nothing."""
    channel, ada = opened(store)
    reserve(store, channel)
    store.void(channel, [entry(2, None)])
    commit = prepare(store, channel, ada)
    assert commit.entry is not None
    for seq in (2, 3):
        elsewhere = replace(
            commit, change=replace(commit.change, seq=seq), entry=replace(commit.entry, seq=seq)
        )
        assert store.commit_change(elsewhere) == StateChanged()
    other = replace(commit.head, channel_id=new_channel_id())
    assert store.commit_change(replace(commit, head=other)) == StateChanged()
    assert store.entries_at(channel, [2, 3]) == [entry(2, None)]
    assert head_of(store, channel).rev == 0


@pytest.mark.parametrize("kind", KINDS)
def test_posts_and_read_positions_do_not_stand_in_the_way(store: Store, kind: ChangeKind) -> None:
    """A change depends on neither position, rate state nor settings; edits and deletions on the preview only."""
    eve = user()
    channel, ada = opened(store, eve)
    post(store, channel, ada)
    ready_for(store, channel, ada, kind)
    commit = prepare(store, channel, ada, kind=kind)
    post(store, channel, ada)
    store.move_read_position(channel, ada, 3, 3, force=True)
    store.update_channel(channel, {"topic": "new"}, None, membership_of(store, channel, ada))
    assert store.commit_change(commit) == Committed()
    head = head_of(store, channel)
    assert (head.seq, head.rev, head.topic) == (3, commit.change.rev, "new")


@pytest.mark.parametrize("kind", [ChangeKind.EDITED, ChangeKind.REACTION_ADDED, ChangeKind.PINNED])
def test_a_used_key_is_refused_with_its_record(store: Store, kind: ChangeKind) -> None:
    """A used key is refused with its record, whatever else has changed; an expired record is ignored."""
    channel, ada = opened(store)
    record = idempotency_record("k1", 1)
    make(store, channel, ada, kind=kind, idempotency_record=record)
    again = idempotency_record("k1", 2)
    before = everything(store, channel, [ada])
    commit = prepare(store, channel, ada, kind=ChangeKind.EDITED, idempotency_record=again)
    assert store.commit_change(commit) == KeyUsed(record)
    assert store.commit_change(replace(commit, head=replace(commit.head, rev=9))) == KeyUsed(record)
    assert everything(store, channel, [ada]) == before
    expired = idempotency_record("k2", 3, expires=SECOND - 1)
    make(store, channel, ada, idempotency_record=expired)
    fresh = idempotency_record("k2", 4)
    make(store, channel, ada, idempotency_record=fresh)
    assert store.read_channel_state(channel, ada, "k2").idempotency_record == fresh


def test_keys_belong_to_one_user(store: Store) -> None:
    """Two members may use the same key."""
    eve = user()
    channel, ada = opened(store, eve)
    for each in (ada, eve):
        make(store, channel, each, idempotency_record=idempotency_record("k1", 1))


# --- the preview ---


@pytest.mark.parametrize("kind", [ChangeKind.EDITED, ChangeKind.DELETED])
def test_the_preview_follows(store: Store, kind: ChangeKind) -> None:
    """The text of the latest message; its position, sender and time stay."""
    channel, ada = opened(store)
    shown = head_of(store, channel).last
    assert shown is not None
    commit = make(store, channel, ada, kind=kind)
    assert commit.preview is not None
    assert head_of(store, channel).last == replace(shown, text=commit.preview)


@pytest.mark.parametrize("kind", [ChangeKind.EDITED, ChangeKind.DELETED])
def test_a_change_of_an_earlier_message_leaves_the_preview(store: Store, kind: ChangeKind) -> None:
    """Editing or deleting an earlier message leaves the preview of the latest one."""
    channel, ada = opened(store)
    post(store, channel, ada, "later")
    shown = head_of(store, channel).last
    make(store, channel, ada, kind=kind)
    assert head_of(store, channel).last == shown


@pytest.mark.parametrize("kind", [ChangeKind.EDITED, ChangeKind.DELETED])
def test_a_preview_that_moved_is_noticed(store: Store, kind: ChangeKind) -> None:
    """A position was reserved since the head was read; or a repair showed this message again."""
    channel, ada = opened(store)
    commit = prepare(store, channel, ada, kind=kind)
    reserve(store, channel)
    assert store.commit_change(commit) == StateChanged()
    commit = prepare(store, channel, ada, kind=kind)
    assert commit.preview is None
    head = head_of(store, channel)
    assert store.correct_preview(channel, 2, replace(SHOWN, seq=1), head.erasures, head.rev)
    assert store.commit_change(commit) == StateChanged()
    assert head_of(store, channel).rev == 0
    make(store, channel, ada, kind=kind)


def test_a_channel_without_a_preview_has_changes_too(store: Store) -> None:
    """A change succeeds in a channel whose preview a repair has removed."""
    channel, ada = opened(store)
    commit = prepare(store, channel, ada, kind=ChangeKind.EDITED)
    assert store.correct_preview(channel, 1, None, 0)
    assert store.commit_change(commit) == StateChanged()
    make(store, channel, ada, kind=ChangeKind.EDITED)
    assert head_of(store, channel).last is None


def test_a_repair_of_the_preview_notices_a_change(store: Store) -> None:
    """What it read may have been changed since: the head's number must be the one it was made under."""
    channel, ada = opened(store)
    shown = replace(SHOWN, seq=1)
    make(store, channel, ada)
    assert not store.correct_preview(channel, 1, shown, 0)
    assert not store.correct_preview(channel, 1, shown, 0, 2)
    assert store.correct_preview(channel, 1, shown, 0, 1)
    assert store.correct_preview(channel, 1, None, 0, 1)
    assert head_of(store, channel).last is None


# --- gaps of deleted messages ---


def test_a_deletion_counts_its_position_as_a_gap_once(store: Store) -> None:
    """In the head alone: in the list of gaps it comes before it is trimmed."""
    channel, ada = opened(store)
    commit = make(store, channel, ada, kind=ChangeKind.DELETED)
    assert store.commit_change(commit) == StateChanged()
    head = head_of(store, channel)
    assert (head.voids, head.gaps, head.messages, head.seq) == (1, frozenset({1}), 1, 1)
    assert store.gaps(channel, 0) == frozenset()


def test_gaps_of_head_and_list_together_are_exact(engine_store: Store) -> None:
    """Deleted messages and voids, many of them, in any order; trimming and listing may be repeated."""
    channel, ada = opened(engine_store)
    post_batch(engine_store, channel, ada, ["Hello"] * 23)
    reserve(engine_store, channel)
    gaps = {25}
    engine_store.void(channel, [Entry(25, 25, NOW, None)])
    for seq in (9, 3, 24, 1, 20, 15, 8, 4, 22, 12):
        before = head_of(engine_store, channel)
        make(engine_store, channel, ada, seq, ChangeKind.DELETED)
        gaps.add(seq)
        for _ in range(2):
            trim(engine_store, before, [seq])
            head = head_of(engine_store, channel)
            assert len(head.gaps) <= MAX_GAPS + 1, "the head before may not have known one that came since"
            for after in (0, 6, 12, 24):
                found = head.gaps | engine_store.gaps(channel, after)
                assert {gap for gap in found if gap > after} >= {
                    gap for gap in gaps if gap > max(after, head.gaps_from)
                }
        trim(engine_store, head_of(engine_store, channel), [])
        head = head_of(engine_store, channel)
        assert head.voids == len(gaps)
        assert head.gaps | engine_store.gaps(channel, 0) == gaps
        assert head.gaps == {gap for gap in gaps if gap > head.gaps_from}
        assert len(head.gaps) <= MAX_GAPS


def test_listed_gaps_are_read_after_a_position(store: Store) -> None:
    """Gaps after a position are read from the list; listing a gap twice changes nothing."""
    channel, _ = opened(store)
    for gaps in ([3, 1, 7], [7, 3], []):
        store.list_gaps(channel, gaps)
    assert [store.gaps(channel, after) for after in (0, 1, 6, 7)] == [{1, 3, 7}, {3, 7}, {7}, frozenset()]
    assert head_of(store, channel).voids == 0


# --- mentions ---


def marks_of(store: Store, channel: str, *users: str) -> list[frozenset[int]]:
    """The marks of these members."""
    return [membership_of(store, channel, each).mentions for each in users]


def test_a_post_marks_whom_it_names(store: Store) -> None:
    """In its transaction; more than one message of it, and the author too."""
    eve, bob = user(), user()
    channel, ada = opened(store, eve, bob)
    marks = {eve: MARK | OTHER_MARK, bob: MARK}
    post(store, channel, ada, mentions=marks)
    assert marks_of(store, channel, ada, eve, bob) == [frozenset(), MARK | OTHER_MARK, MARK]
    post(store, channel, ada, mentions={eve: MARK})
    assert marks_of(store, channel, eve) == [MARK | OTHER_MARK]
    assert [each.mentions for each in store.memberships(eve)] == [MARK | OTHER_MARK]
    assert store.roles(bob, [channel])[channel].mentions == MARK


def test_a_post_that_names_who_left_is_refused(store: Store) -> None:
    """A post that mentions somebody who has left is refused with their id, and nothing is written."""
    eve, gone, away = user(), user(), user()
    channel, ada = opened(store, eve)
    made = reserve(store, channel)
    tat = membership_of(store, channel, ada).tat
    marks = {gone: MARK, eve: MARK, away: OTHER_MARK}
    fields = {"tat_seen": tat, "tat": tat + 1, "mentions": marks}
    for key in (None, "k1"):
        commit = commitment(channel, ada, entry(made.seq), key=key, **fields)
        assert store.commit(commit) == MentionedLeft(frozenset({gone, away}))
    assert marks_of(store, channel, eve) == [frozenset()]
    assert store.entries(channel, made.seq, made.seq) == []
    assert store.membership(channel, gone) is None


def test_a_change_adds_and_removes_marks(store: Store) -> None:
    """Of those whom an edit names newly, and of those whom it names no more."""
    eve, bob = user(), user()
    channel, ada = opened(store, eve, bob)
    make(store, channel, ada, kind=ChangeKind.EDITED, mentions={eve: MARK, bob: MARK})
    make(store, channel, ada, kind=ChangeKind.EDITED, mentions={eve: OTHER_MARK}, unmentions={bob: MARK})
    assert marks_of(store, channel, ada, eve, bob) == [frozenset(), MARK | OTHER_MARK, frozenset()]
    # A mark that is not there is removed all the same.
    make(store, channel, ada, kind=ChangeKind.DELETED, unmentions={eve: MARK, bob: MARK})
    assert marks_of(store, channel, eve, bob) == [OTHER_MARK, frozenset()]


@pytest.mark.parametrize("key", [None, "k1"])
def test_the_acting_member_may_be_named(store: Store, key: str | None) -> None:
    """A moderator deletes a message that names them: one write of their membership, on condition of the role."""
    eve = user()
    channel, ada = opened(store, eve)
    record = idempotency_record(key, 1) if key else None
    make(
        store,
        channel,
        ada,
        kind=ChangeKind.EDITED,
        mentions={ada: MARK, eve: MARK},
        idempotency_record=record,
    )
    assert marks_of(store, channel, ada, eve) == [MARK, MARK]
    stale = prepare(store, channel, ada, kind=ChangeKind.DELETED, unmentions={ada: MARK, eve: MARK})
    _change_role(store, channel, ada)
    assert store.commit_change(stale) == StateChanged()
    make(store, channel, ada, kind=ChangeKind.DELETED, unmentions={ada: MARK, eve: MARK})
    assert marks_of(store, channel, ada, eve) == [frozenset(), frozenset()]


@pytest.mark.parametrize("key", [None, "k1"])
def test_a_change_that_names_who_left_is_refused(store: Store, key: str | None) -> None:
    """It says whom, of those whose marks come and of those whose marks go; nothing was written."""
    eve, gone, away = user(), user(), user()
    channel, ada = opened(store, eve)
    record = idempotency_record(key, 1) if key else None
    given: dict[str, Any] = {
        "mentions": {gone: MARK, eve: MARK},
        "unmentions": {away: MARK},
        "idempotency_record": record,
    }
    commit = prepare(store, channel, ada, kind=ChangeKind.EDITED, **given)
    before = everything(store, channel, [ada, eve, gone, away])
    assert store.commit_change(commit) == MentionedLeft(frozenset({gone, away}))
    assert everything(store, channel, [ada, eve, gone, away]) == before
    assert store.commit_change(replace(commit, mentions={eve: MARK}, unmentions={})) == Committed()


def test_as_many_as_may_be_named(engine_store: Store) -> None:
    """50 users in one transaction, with a key."""
    named = [user() for _ in range(50)]
    channel, ada = opened(engine_store)
    for each in named:
        engine_store.add_member(Membership(each, channel, Role.MEMBER, NOW))
    record = idempotency_record("k1", 1)
    make(
        engine_store,
        channel,
        ada,
        kind=ChangeKind.EDITED,
        mentions=dict.fromkeys(named, MARK),
        idempotency_record=record,
    )
    assert marks_of(engine_store, channel, *named) == [MARK] * 50


def test_marks_are_forgotten(store: Store) -> None:
    """Those that are there; again it changes nothing, nor for somebody who is no member."""
    eve = user()
    channel, ada = opened(store, eve)
    make(store, channel, ada, kind=ChangeKind.EDITED, mentions={eve: MARK | OTHER_MARK})
    for _ in range(2):
        store.forget_mentions(channel, eve, MARK | {5})
        assert marks_of(store, channel, eve) == [OTHER_MARK]
    store.forget_mentions(channel, eve, OTHER_MARK)
    assert marks_of(store, channel, eve) == [frozenset()]
    store.forget_mentions(channel, "nobody", MARK)
    assert store.membership(channel, "nobody") is None


def test_marks_outlive_posts_reading_and_roles_but_not_leaving(store: Store) -> None:
    """Everything else of a membership may change; who leaves and comes again begins without any."""
    eve = user()
    channel, ada = opened(store, eve)
    make(store, channel, ada, kind=ChangeKind.EDITED, mentions={eve: MARK})
    post(store, channel, eve)
    store.move_read_position(channel, eve, 1, 1, force=True)
    store.change_role(membership_of(store, channel, eve), Role.MODERATOR)
    assert marks_of(store, channel, eve) == [MARK]
    assert store.remove_member(membership_of(store, channel, eve))
    assert store.add_member(Membership(eve, channel, Role.MEMBER, NOW, tat=NOW + 10**6))
    assert marks_of(store, channel, eve) == [frozenset()]


def test_a_head_keeps_the_latest_messages_that_name_everybody(engine_store: Store) -> None:
    """The head keeps the latest three messages that mention everybody; other posts leave them."""
    channel, _ = opened(engine_store)
    kept: list[int] = []
    for everybody in (True, False, True, True, False, True, True):
        reserved = engine_store.reserve(channel, 2, SHOWN, everybody=everybody)
        assert isinstance(reserved, Reservation)
        kept = ([reserved.seq] if everybody else []) + kept
        assert head_of(engine_store, channel).mentions == tuple(kept[:MAX_EVERYBODY])
    assert engine_store.archive_channel(channel, NOW)
    assert isinstance(engine_store.reserve(channel, 1, SHOWN, everybody=True), Head)
    assert engine_store.reserve(new_channel_id(), 1, SHOWN, everybody=True) is None


# --- reactions that the message does not show ---


def test_reactions_beyond_the_shown_ones_come_and_go(store: Store) -> None:
    """Reactions that the message does not show are listed once each, with the number of their change."""
    eve = user()
    channel, ada = opened(store, eve)
    assert not store.has_reacted(channel, 1, THUMB, eve)
    commit = make(store, channel, eve, reacted=eve)
    assert store.has_reacted(channel, 1, THUMB, eve)
    assert store.reacted(channel, 1, THUMB, 10, None) == [Reacted(eve, commit.change.rev)]
    assert store.commit_change(prepare(store, channel, eve, reacted=eve)) == StateChanged()
    # Others of the same user, the same emoji, or the same message.
    post(store, channel, ada)
    found = [(2, THUMB, eve), (1, "🦜", eve), (1, THUMB, ada)]
    assert not any(store.has_reacted(channel, *each) for each in found)
    make(store, channel, ada, kind=ChangeKind.REACTION_REMOVED, unreacted=eve)
    assert store.reacted(channel, 1, THUMB, 10, None) == []
    gone = prepare(store, channel, ada, kind=ChangeKind.REACTION_REMOVED, unreacted=eve)
    assert store.commit_change(gone) == StateChanged()
    assert head_of(store, channel).rev == 2


def test_reactions_are_paged_by_user_id(engine_store: Store) -> None:
    """In the order of the ids' bytes; none twice and none left out, whatever they begin with."""
    channel, ada = opened(engine_store)
    for each in reversed(ODD_IDS):
        make(engine_store, channel, ada, reacted=each)
    found, after = [], None
    while page := engine_store.reacted(channel, 1, THUMB, 3, after):
        found += [each.user_id for each in page]
        after = found[-1]
    assert found == ODD_IDS == sorted(ODD_IDS)
    for i, each in enumerate(ODD_IDS):
        assert [found.user_id for found in engine_store.reacted(channel, 1, THUMB, 99, each)] == ODD_IDS[
            i + 1 :
        ]
    assert engine_store.reacted(channel, 1, THUMB, 99, "a#") != []


@pytest.mark.parametrize("others", [["👍🏽", "👍🏽"], ["#️⃣", "⃣"], [":a:", ":a", "a:"]])
def test_reactions_of_other_emoji_are_not_mixed(store: Store, others: list[str]) -> None:
    """Also where one emoji begins with another, or has the character that ends it in the key."""
    channel, ada = opened(store)
    for emoji in [THUMB, *dict.fromkeys(others)]:
        commit = prepare(store, channel, ada, reacted=f"by {emoji}")
        commit = replace(commit, change=replace(commit.change, emoji=emoji))
        assert store.commit_change(commit) == Committed()
    for emoji in [THUMB, *others]:
        assert [each.user_id for each in store.reacted(channel, 1, emoji, 9, None)] == [f"by {emoji}"]


# --- pins ---


def test_pins_come_and_go(store: Store) -> None:
    """Each position with the number of the change; pinned twice, or unpinned without a pin, nothing changes."""
    channel, ada = opened(store)
    post(store, channel, ada)
    assert store.pins(channel) == {}
    nothing = prepare(store, channel, ada, kind=ChangeKind.UNPINNED)
    assert store.commit_change(nothing) == PinUnchanged()
    make(store, channel, ada, 2, ChangeKind.PINNED)
    make(store, channel, ada, 1, ChangeKind.PINNED)
    assert store.commit_change(prepare(store, channel, ada, 2, ChangeKind.PINNED)) == PinUnchanged()
    assert store.pins(channel) == {2: 1, 1: 2}
    make(store, channel, ada, 2, ChangeKind.UNPINNED)
    assert store.commit_change(prepare(store, channel, ada, 2, ChangeKind.UNPINNED)) == PinUnchanged()
    assert store.pins(channel) == {1: 2}
    assert head_of(store, channel).rev == 3


def test_as_many_pins_as_may_be(engine_store: Store) -> None:
    """One more is refused, one that is there is unchanged, and one that goes makes room."""
    channel, ada = opened(engine_store)
    for _ in range(2):
        post_batch(engine_store, channel, ada, ["Hello"] * 25)
    for seq in range(1, MAX_PINS + 1):
        make(engine_store, channel, ada, seq, ChangeKind.PINNED)
    full = prepare(engine_store, channel, ada, MAX_PINS + 1, ChangeKind.PINNED)
    assert engine_store.commit_change(full) == PinsFull()
    assert (
        engine_store.commit_change(prepare(engine_store, channel, ada, 7, ChangeKind.PINNED))
        == PinUnchanged()
    )
    assert len(engine_store.pins(channel)) == head_of(engine_store, channel).rev == MAX_PINS
    make(engine_store, channel, ada, 7, ChangeKind.UNPINNED)
    make(engine_store, channel, ada, MAX_PINS + 1, ChangeKind.PINNED)
    assert set(engine_store.pins(channel)) == {*range(1, MAX_PINS + 2)} - {7}


# --- settings, and erasure ---


def test_settings_of_changes_are_set_and_removed(store: Store) -> None:
    """An edit window of 0 differs from none; None removes it, alone or with other changes; repeating it succeeds."""
    channel, ada = opened(store)
    by = membership_of(store, channel, ada)
    head = head_of(store, channel)
    assert (head.edit_window, head.members_pin, head.show_reads) == (None, False, True)
    steps: list[tuple[dict[str, str | int | None], int | None, bool]] = [
        ({"edit_window": 0}, 0, False),
        ({"edit_window": 3600, "members_pin": 1}, 3600, True),
        ({"edit_window": None}, None, True),
        ({"edit_window": None, "topic": "none"}, None, True),
        ({"members_pin": 0, "edit_window": 5, "show_reads": 0}, 5, False),
    ]
    for version, (changes, window, pin) in enumerate(steps, 1):
        for _ in range(2):
            found = store.update_channel(channel, changes, version, by)
            assert found == head_of(store, channel)
            assert found is not None
            assert (found.edit_window, bool(found.members_pin), found.version) == (window, pin, version + 1)
            assert bool(found.show_reads) is (version < len(steps))


@pytest.mark.parametrize("kind", [ChangeKind.EDITED, ChangeKind.DELETED, ChangeKind.REACTION_ADDED])
def test_a_redacted_message_changes_no_more(store: Store, kind: ChangeKind) -> None:
    """Neither by a change that was under way, nor by one made from what is read afterwards."""
    channel, ada = opened(store)
    make(store, channel, ada, kind=ChangeKind.EDITED)
    commit = prepare(store, channel, ada, kind=kind)
    store.redact(channel, 1, b'{"redacted":true}')
    redacted = entry_at(store, channel, 1)
    assert (redacted.body, redacted.versions) == (b'{"redacted":true}', ())
    assert store.commit_change(commit) == StateChanged()
    assert store.commit_change(prepare(store, channel, ada, kind=kind)) == StateChanged()
    assert entry_at(store, channel, 1) == redacted
    assert head_of(store, channel).rev == 1


# --- several at once ---


def settled(store: Store, make_commit: Callable[[], ChangeCommit]) -> ChangeOutcome:
    """As a change is made: again from a fresh read while others come first."""
    for _ in range(300):
        outcome = store.commit_change(make_commit())
        if not isinstance(outcome, Contended | StateChanged):
            return outcome
    pytest.fail("others came first 300 times")


def test_changes_made_at_once_get_adjacent_numbers(store: Store) -> None:
    """Of one message and of several: none is lost, none has the number of another."""
    users = [user() for _ in range(6)]
    channel, ada = opened(store, *users)
    post(store, channel, ada)
    calls = [
        partial(settled, store, partial(prepare, store, channel, each, 1 + i % 2))
        for i, each in enumerate(users)
    ]
    assert at_once(*calls) == [Committed()] * 6
    made = store.changes(channel, 1, 6)
    assert [each.rev for each in made] == list(range(1, 7))
    assert {each.by for each in made} == set(users)
    for seq in (1, 2):
        assert entry_at(store, channel, seq).rev == max(each.rev for each in made if each.seq == seq)


def test_of_two_changes_from_the_same_read_one_is_made(store: Store) -> None:
    """Of two changes made from the same read, one is made; the other must read again."""
    for _ in range(8):
        channel, ada = opened(store)
        commits = [
            prepare(store, channel, ada, kind=kind) for kind in (ChangeKind.EDITED, ChangeKind.DELETED)
        ]
        outcomes = at_once(*(partial(store.commit_change, each) for each in commits))
        assert outcomes.count(Committed()) <= 1
        made: list[Change] = store.changes(channel, 1, 2)
        assert len(made) == outcomes.count(Committed()) == head_of(store, channel).rev


# --- what only DynamoDB may refuse ---


def _on(client: FakeClient) -> DynamoDBStore:
    return DynamoDBStore(client, "table", lambda _: None)


def _sample(**fields: object) -> ChangeCommit:
    channel = new_channel_id()
    head = Head(channel, Kind.PRIVATE, "birds", "", "ada", NOW, seq=1, messages=1)
    head = replace(head, last=preview(1, "ada", "Hello", NOW))
    by = Membership("ada", channel, Role.OWNER, NOW)
    change = Change(1, ChangeKind.EDITED, 1, "ada", NOW, b'{"rev":1}')
    commit = ChangeCommit(
        head, by, entry(1), change, replace(entry(1), body=b'{"rev":1}', rev=1), preview="x"
    )
    return replace(commit, **fields)  # type: ignore[arg-type]  # fields of ``ChangeCommit``


NONE, FAILED, CONFLICT = "None", "ConditionalCheckFailed", "TransactionConflict"


@pytest.mark.parametrize(
    "refused",
    [
        cancelled(CONFLICT, NONE, NONE, NONE),
        cancelled(NONE, NONE, NONE, CONFLICT),
        # What a failed condition saw may be gone with the other transaction.
        cancelled(FAILED, NONE, CONFLICT, NONE),
        refusal("TransactionConflictException"),
        refusal("TransactionInProgressException"),
    ],
)
def test_another_transaction_is_reported(refused: Exception) -> None:
    """The same change may be tried again; the storage does not try it again by itself."""
    assert _on(FakeClient(refused)).commit_change(_sample()) == Contended()


def test_a_used_key_is_the_most_decisive_reason() -> None:
    """If a used key and a conflict both refuse a change, the key is the reason returned."""
    record = idempotency_record("k1", 1)
    item = {"hash": {"B": record.request_hash}, "seq": {"N": "1"}, "count": {"N": "1"}}
    item["expires"] = {"N": str(record.expires)}
    refused = cancelled(CONFLICT, NONE, NONE, FAILED, FAILED, item=item)
    assert _on(FakeClient(refused)).commit_change(_sample(idempotency_record=record)) == KeyUsed(record)


@pytest.mark.parametrize(
    ("codes", "outcome"),
    [
        ([NONE] * 4 + [NONE, FAILED, FAILED], MentionedLeft(frozenset({"eve", "bob"}))),
        ([NONE] * 4 + [NONE, FAILED, NONE], MentionedLeft(frozenset({"eve"}))),
        ([NONE] * 4 + [FAILED, NONE, NONE], StateChanged()),
        ([NONE] * 3 + [FAILED, NONE, FAILED, NONE], StateChanged()),
        ([FAILED, NONE, NONE, NONE, NONE, NONE, FAILED], StateChanged()),
    ],
)
def test_each_reason_is_taken_for_what_it_is(codes: list[str], outcome: ChangeOutcome) -> None:
    """A transaction of head, change, member, message, reaction and two mentions, the acting member's own apart."""
    marks = {"ada": MARK, "eve": MARK}
    commit = _sample(reacted="zoe", mentions=marks, unmentions={"bob": MARK})
    assert _on(FakeClient(cancelled(*codes))).commit_change(commit) == outcome


def test_a_throttled_change_is_an_error() -> None:
    """A change that stays throttled after the table's own tries raises an error."""
    client = FakeClient(cancelled("ThrottlingError", NONE, NONE, NONE))
    with pytest.raises(StoreThrottledError):
        _on(client).commit_change(_sample())
    assert len(client.calls) > 1
