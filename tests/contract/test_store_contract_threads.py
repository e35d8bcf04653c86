"""Threads: logs of their own under a channel's rights, what their root says of them, and who follows them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.domain import keys
from shared.domain.changes import Change, ChangeKind, Summary, summary_of, with_summary
from shared.domain.clock import rfc3339
from shared.domain.messages import redacted
from shared.domain.model import Entry, Follow, Head, Membership, Role, mention_mark
from shared.storage.protocol import (
    AlreadyFollowing,
    ChangeCommit,
    Committed,
    Copy,
    MembershipChanged,
    MentionedLeft,
    PositionTaken,
    StateChanged,
    Store,
)
from tests.contract.changing import entry_at, make, post, prepare
from tests.contract.samples import (
    NOW,
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

MARK = mention_mark(NOW, 1)


def opened(store: Store, *more: str) -> tuple[str, str, str]:
    """A channel with a root at position 1, the id of its thread, and the channel's owner, who wrote it."""
    ada = user()
    channel = open_channel(store, ada, *more)
    post(store, channel, ada, "root")
    return channel, keys.message_id(channel, 1), ada


def reply(store: Store, thread: str, user_id: str, **fields: Any) -> Entry:
    """A committed reply."""
    return post(store, thread, user_id, "reply", move_read=False, **fields)


def summarize(store: Store, channel: str, count: int = 1, seq: int = 1) -> ChangeCommit:
    """A summary of the thread at position 1, prepared from what is stored now."""
    head, root = head_of(store, channel), entry_at(store, channel, 1)
    body = with_summary(root.body or b"{}", head.rev + 1, Summary(count, seq, rfc3339(NOW), ("ada",)))
    change = Change(head.rev + 1, ChangeKind.THREAD, 1, "ada", NOW, body)
    return ChangeCommit(head, None, root, change, replace(root, body=body, rev=change.rev))


def everything(store: Store, channel: str, thread: str, users: list[str]) -> object:
    """All that a reply or a change of one may change."""
    logs = [
        (store.head(log), store.entries(log, 1, 9), store.changes(log, 1, 9)) for log in (channel, thread)
    ]
    return logs, store.members_of(channel, users), [store.follows(each) for each in users]


# --- the state ---


def test_the_state_of_a_thread_is_its_log_under_its_channel(store: Store) -> None:
    """Settings and members are the channel's; counters, preview and changes the thread's own, also before a reply."""
    channel, thread, ada = opened(store)
    own, member = head_of(store, channel), membership_of(store, channel, ada)
    root = entry_at(store, channel, 1)
    state = store.read_channel_state(thread, ada, "k1")
    assert state.head == own.over(Head.of_thread(thread), root.at)
    assert (state.head.seq, state.head.last, state.head.name) == (0, None, own.name)
    assert state.membership == member.in_thread(Follow(ada, thread))
    assert state.thread is not None
    assert (state.thread.channel, state.thread.member, state.thread.root) == (own, member, root)
    assert (state.thread.follow, state.idempotency_record) == (None, None)
    record = idempotency_record("k1", 1)
    made = reply(store, thread, ada, follow=True, idempotency_record=record)
    state = store.read_channel_state(thread, ada, "k1")
    assert state.head is not None
    assert (state.head.channel_id, state.head.seq, state.head.messages) == (thread, 1, 1)
    assert state.head.last is not None
    assert state.head.last.text == "reply"
    assert state.idempotency_record == record
    assert state.membership is not None
    assert (state.membership.channel_id, state.membership.read_seq) == (channel, 1)
    found, at = store.read_message_state(thread, ada, 1)
    assert at == made
    assert (found.head, found.thread and found.thread.root) == (state.head, root)
    assert head_of(store, channel).seq == 1


def test_a_thread_without_a_root_or_a_channel(store: Store) -> None:
    """The state says what is not there."""
    channel, _, ada = opened(store)
    state = store.read_channel_state(keys.message_id(channel, 2), ada)
    assert state.thread is not None
    assert (state.head is not None, state.thread.root, state.thread.has_root) == (True, None, False)
    nowhere = store.read_channel_state(keys.message_id(keys.new_channel_id(), 1), ada)
    assert (nowhere.head, nowhere.membership, nowhere.thread) == (None, None, None)


def test_the_first_reservation_begins_the_thread(store: Store) -> None:
    """Also if several come at once: each gets a position of its own."""
    _, thread, _ = opened(store)
    taken = at_once(*[lambda: reserve(store, thread)] * 4)
    assert sorted(each.seq for each in taken) == [1, 2, 3, 4]
    head = head_of(store, thread)
    assert (head.channel_id, head.seq, head.messages) == (thread, 4, 4)
    assert store.heads([thread]) == {thread: head}


# --- replies ---


def test_a_reply_leaves_the_read_position_in_the_channel(store: Store) -> None:
    """It moves the sender's rate state, and their read position in the thread if they begin to follow it."""
    eve, max_ = user(), user()
    channel, thread, ada = opened(store, eve, max_)
    before = membership_of(store, channel, eve)
    made = reply(store, thread, eve, follow=True, follower=ada, mentions={max_: frozenset({MARK})}, voids=0)
    assert membership_of(store, channel, eve) == replace(before, tat=before.tat + 1)
    assert membership_of(store, channel, max_).mentions == frozenset()
    assert store.follows(eve) == [Follow(eve, thread, made.seq, made.messages)]
    assert store.follows(ada) == [Follow(ada, thread)]
    assert store.follows(max_) == [Follow(max_, thread, mentions=frozenset({MARK}))]
    assert store.members_of(thread, [max_, user()]) == {
        max_: membership_of(store, channel, max_).in_thread(store.follows(max_)[0])
    }


def test_who_is_named_and_begins_to_follow_is_written_once(store: Store) -> None:
    """The root's author may be named by the first reply."""
    eve = user()
    _, thread, ada = opened(store, eve)
    reply(store, thread, eve, follower=ada, mentions={ada: frozenset({MARK})})
    assert store.follows(ada) == [Follow(ada, thread, mentions=frozenset({MARK}))]


def test_a_follower_keeps_what_they_have_read(store: Store) -> None:
    """Neither a reply of others nor another follow moves their position; a mention is added to the others."""
    eve = user()
    _, thread, ada = opened(store, eve)
    reply(store, thread, ada, follow=True)
    later = frozenset({MARK + 1})
    reply(store, thread, eve, follower=ada, mentions={ada: frozenset({MARK})})
    reply(store, thread, eve, mentions={ada: later})
    stands = Follow(ada, thread, 1, 1, 0, later | {MARK})
    assert store.follow(Follow(ada, thread, 3, 3)) == stands
    assert store.follows(ada) == [stands]
    store.forget_mentions(thread, ada, later)
    assert store.follows(ada) == [replace(stands, mentions=frozenset({MARK}))]


def test_a_follow_never_moves_a_position_back(store: Store) -> None:
    """A commit that would do so writes nothing; without the follow it passes."""
    channel, thread, ada = opened(store)
    reserve(store, thread, 2)
    tat = membership_of(store, channel, ada).tat
    made = commitment(thread, ada, entry(1), tat_seen=tat, tat=tat + 1, move_read=False, follow=True)
    store.follow(Follow(ada, thread, 2, 2))
    before = everything(store, channel, thread, [ada])
    assert store.commit(made) == AlreadyFollowing()
    assert everything(store, channel, thread, [ada]) == before
    assert store.commit(replace(made, follow=False)) == Committed()


def test_who_left_cannot_reply(store: Store) -> None:
    """The membership in the channel is a condition of the commit; so is its rate state."""
    eve = user()
    channel, thread, ada = opened(store, eve)
    reserve(store, thread)
    member = membership_of(store, channel, eve)
    made = commitment(thread, eve, entry(1), tat_seen=7, move_read=False, follow=True)
    assert store.commit(made) == MembershipChanged(member)
    assert store.remove_member(member)
    assert store.commit(replace(made, tat_seen=member.tat)) == MembershipChanged(None)
    assert (store.entries(thread, 1, 9), store.follows(eve)) == ([], [])
    assert store.commit(replace(made, user_id=ada)) == MembershipChanged(membership_of(store, channel, ada))


def test_a_copy_in_the_channel_is_written_with_the_reply(store: Store) -> None:
    """The sender's read position in the channel moves to the copy, if it is not further."""
    channel, thread, ada = opened(store)
    reserve(store, thread)
    copied = reserve(store, channel)
    tat = membership_of(store, channel, ada).tat
    copy = Copy(entry(copied.seq, b'{"copy":1}'), move_read=True, voids=0)
    made = commitment(
        thread, ada, entry(1), tat_seen=tat, tat=tat + 1, move_read=False, follow=True, copy=copy
    )
    assert store.commit(made) == Committed()
    assert (store.entries(thread, 1, 9), store.entries(channel, 2, 9)) == ([entry(1)], [copy.entry])
    member = membership_of(store, channel, ada)
    assert (member.read_seq, member.read_messages, member.tat) == (2, 2, tat + 1)


@pytest.mark.parametrize("voided", ["reply", "copy"])
def test_neither_is_written_if_the_position_of_one_is_taken(store: Store, voided: str) -> None:
    """So a reply and its copy are both there or neither is."""
    channel, thread, ada = opened(store)
    reserve(store, thread)
    reserve(store, channel)
    log, seq = (thread, 1) if voided == "reply" else (channel, 2)
    [void] = store.void(log, [entry(seq, None)])
    tat = membership_of(store, channel, ada).tat
    copy = Copy(entry(2), move_read=True, voids=0)
    made = commitment(
        thread, ada, entry(1), tat_seen=tat, tat=tat + 1, move_read=False, follow=True, copy=copy
    )
    before = everything(store, channel, thread, [ada])
    assert store.commit(made) == PositionTaken(void)
    assert everything(store, channel, thread, [ada]) == before


def test_holes_gaps_and_previews_of_a_thread(store: Store) -> None:
    """As of a channel, with redactions that are counted for the thread alone."""
    channel, thread, ada = opened(store)
    made = reply(store, thread, ada)
    reserve(store, thread)
    store.void(thread, [entry(2, None)])
    head = head_of(store, thread)
    assert (head.voids, head.gaps, store.gaps(thread, 0)) == (1, frozenset({2}), frozenset({2}))
    assert store.standing([(thread, 1), (thread, 2)]) == {(thread, 1): True, (thread, 2): False}
    assert store.count_erasure(thread, ada) == replace(head, erasures=1)
    assert not store.correct_preview(thread, 2, None, 0)
    assert store.correct_preview(thread, 2, None, 1)
    assert (head_of(store, thread).last, head_of(store, channel).erasures) == (None, 0)
    store.redact(thread, 1, redacted(made.body or b""))
    assert b"redacted" in (entry_at(store, thread, 1).body or b"")


# --- the summary in the root ---


def test_a_summary_is_a_change_of_the_root_by_nobody(store: Store) -> None:
    """No membership is looked at; it is in the channel's change log, and the root shows it."""
    channel, thread, ada = opened(store)
    reply(store, thread, ada)
    commit = summarize(store, channel)
    assert store.commit_summary(commit) == Committed()
    assert store.changes(channel, 1, 9) == [commit.change]
    assert entry_at(store, channel, 1) == commit.entry
    assert summary_of(entry_at(store, channel, 1).body or b"") == Summary(1, 1, rfc3339(NOW), ("ada",))
    assert store.commit_summary(commit) == StateChanged()
    assert store.commit_summary(summarize(store, channel, 2, 2)) == Committed()


def test_a_summary_shows_on_a_tombstone_and_in_an_archived_channel(store: Store) -> None:
    """It says what is there, and nobody's text."""
    channel, thread, ada = opened(store)
    reply(store, thread, ada)
    make(store, channel, ada, kind=ChangeKind.DELETED)
    assert store.archive_channel(channel, NOW)
    assert store.commit_summary(summarize(store, channel)) == Committed()


def test_a_summary_of_what_is_out_of_date_is_refused(store: Store) -> None:
    """Another change of the channel, or a redaction of the root, came first."""
    channel, _, ada = opened(store)
    commit = summarize(store, channel)
    make(store, channel, ada)
    assert store.commit_summary(commit) == StateChanged()
    commit = summarize(store, channel)
    store.redact(channel, 1, commit.seen.body or b"")
    assert store.commit_summary(commit) == StateChanged()
    assert head_of(store, channel).rev == 1


def test_a_deletion_and_the_lowered_summary_are_one_write(store: Store) -> None:
    """Both are made, or neither if the root is not as it was read."""
    channel, thread, ada = opened(store)
    reply(store, thread, ada)
    assert store.commit_summary(summarize(store, channel)) == Committed()
    deletion = prepare(store, thread, ada, kind=ChangeKind.DELETED)
    late = replace(deletion, summary=summarize(store, channel, 0))
    make(store, channel, ada)
    before = everything(store, channel, thread, [ada])
    assert store.commit_change(late) == StateChanged()
    assert everything(store, channel, thread, [ada]) == before
    assert store.commit_change(replace(deletion, summary=summarize(store, channel, 0))) == Committed()
    head = head_of(store, thread)
    assert (head.rev, head.voids, head.gaps) == (1, 1, frozenset({1}))
    summary = summary_of(entry_at(store, channel, 1).body or b"")
    assert summary is not None
    assert summary.count == 0


def test_mentions_of_a_changed_reply_are_marks_in_the_thread(store: Store) -> None:
    """Who is named anew follows it; a mark goes from who still follows it, also if they make the change."""
    eve = user()
    channel, thread, ada = opened(store, eve)
    reply(store, thread, ada)
    make(store, thread, ada, kind=ChangeKind.EDITED, mentions={eve: frozenset({MARK})})
    assert store.follows(eve) == [Follow(eve, thread, mentions=frozenset({MARK}))]
    assert membership_of(store, channel, eve).mentions == frozenset()
    going = {eve: frozenset({MARK})}
    make(store, thread, eve, kind=ChangeKind.EDITED, unmentions=going)
    assert store.follows(eve) == [Follow(eve, thread)]
    store.unfollow(thread, eve)
    late = prepare(store, thread, ada, kind=ChangeKind.EDITED, unmentions=going)
    assert store.commit_change(late) == MentionedLeft(frozenset({eve}))
    assert store.follows(eve) == []


def test_who_left_changes_no_reply(store: Store) -> None:
    """The membership in the channel is a condition of the change."""
    eve = user()
    channel, thread, ada = opened(store, eve)
    reply(store, thread, ada)
    commit = prepare(store, thread, eve)
    assert store.remove_member(membership_of(store, channel, eve))
    assert store.commit_change(commit) == StateChanged()


# --- following ---


def test_following_a_thread_and_ending_it(store: Store) -> None:
    """Each thread by itself; nothing of it is a membership."""
    channel, thread, ada = opened(store)
    other = keys.message_id(channel, 2)
    assert store.follows(ada) == []
    store.follow(Follow(ada, thread, 2, 2, 1))
    store.follow(Follow(ada, other))
    assert store.follows(ada) == [Follow(ada, thread, 2, 2, 1), Follow(ada, other)]
    assert [each.channel_id for each in store.memberships(ada)] == [channel]
    store.unfollow(other, ada)
    store.unfollow(other, ada)
    assert store.follows(ada) == [Follow(ada, thread, 2, 2, 1)]


def test_the_read_position_in_a_thread_moves_forward(store: Store) -> None:
    """Back only if forced, and only of who follows it."""
    _, thread, ada = opened(store)
    assert store.move_thread_position(thread, ada, 1, 1, force=True) is None
    assert store.follows(ada) == []
    store.follow(Follow(ada, thread))
    moved = Follow(ada, thread, 3, 3, 1)
    assert store.move_thread_position(thread, ada, 3, 3, force=False, voids=1) == moved
    assert store.move_thread_position(thread, ada, 2, 2, force=False) == moved
    assert store.move_thread_position(thread, ada, 2, 2, force=True) == Follow(ada, thread, 2, 2)


def test_a_membership_as_it_counts_in_a_thread() -> None:
    """Role and rate state are the channel's; read position and mentions the thread's."""
    member = Membership("ada", "c" * 16, Role.OWNER, NOW, 5, 5, 9, 1, mentions=frozenset({MARK}))
    follow = Follow("ada", keys.message_id("c" * 16, 1), 2, 2, 0, frozenset({MARK + 1}))
    assert member.in_thread(follow) == Membership(
        "ada", "c" * 16, Role.OWNER, NOW, 2, 2, 9, 0, mentions=frozenset({MARK + 1})
    )
