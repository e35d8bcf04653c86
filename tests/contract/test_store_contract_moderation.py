"""Blocks, bans and reports; every storage alike."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from shared.domain import keys
from shared.domain.changes import Change, ChangeKind
from shared.domain.model import ERASED, Entry, Head, Kind, Membership, PastMembership, Role
from shared.domain.moderation import Ban, Block, Report
from shared.storage.protocol import (
    ChangeCommit,
    Committed,
    MembershipChanged,
    PairBlocked,
    StateChanged,
    Store,
)
from tests.contract.samples import (
    NOW,
    at_once,
    commitment,
    entry,
    head_of,
    membership_of,
    open_channel,
    reserve,
    user,
)


def direct(store: Store, one: str, other: str) -> Head | PairBlocked | str:
    """The id of a pair's new direct channel, or why it was not created."""
    head = Head(keys.direct_channel_id(one, other), Kind.DIRECT, "", "", one, NOW, members=2)
    memberships = [Membership(each, head.channel_id, Role.MEMBER, NOW) for each in (one, other)]
    return store.create_channel(head, memberships) or head.channel_id


def ban_of(channel: str, user_id: str, by: str) -> Ban:
    """A ban."""
    return Ban(channel, user_id, by, NOW, "spam")


def report_of(channel: str, seq: int, reporter: str, at: int = NOW) -> Report:
    """An open report."""
    message = keys.message_id(channel, seq)
    return Report(channel, keys.new_report_id(at), message, reporter, "abuse", "Look at this", at)


# --- blocks ---


def test_a_block_marks_both_memberships(store: Store) -> None:
    """Each side's own mark; unblocking by one keeps the other's; both repeat without effect."""
    ada, eve = user(), user()
    channel = str(direct(store, ada, eve))
    assert store.block(Block(ada, eve, NOW))
    assert not store.block(Block(ada, eve, NOW + 1))
    assert store.block(Block(eve, ada, NOW))
    assert store.blocks(ada) == [Block(ada, eve, NOW)]
    assert store.blockers(ada) == [eve]
    for _ in range(2):
        store.unblock(ada, eve)
    mine, other = membership_of(store, channel, ada), membership_of(store, channel, eve)
    assert (mine.blocks, mine.is_blocked, other.blocks, other.is_blocked) == (False, True, True, False)
    store.unblock(eve, ada)
    assert membership_of(store, channel, ada) == Membership(ada, channel, Role.MEMBER, NOW)
    assert membership_of(store, channel, eve) == Membership(eve, channel, Role.MEMBER, NOW)
    assert not any([store.blocks(ada), store.blocks(eve), store.blockers(ada), store.blockers(eve)])


def test_blocks_are_listed_by_user_id(store: Store) -> None:
    """Those of one user alone."""
    ada, others = user(), sorted(user() for _ in range(3))
    for each in reversed(others):
        store.block(Block(ada, each, NOW))
        store.block(Block(each, user(), NOW))
    assert [each.other_id for each in store.blocks(ada)] == others


def test_a_blocked_pair_gets_no_direct_channel(store: Store) -> None:
    """Whoever of the two creates it; it can be created once nobody blocks the other."""
    ada, eve = user(), user()
    store.block(Block(ada, eve, NOW))
    assert direct(store, eve, ada) == direct(store, ada, eve) == PairBlocked(ada)
    assert store.memberships(eve) == []
    store.unblock(ada, eve)
    assert direct(store, eve, ada) == keys.direct_channel_id(ada, eve)
    assert not membership_of(store, keys.direct_channel_id(ada, eve), eve).is_blocked


def test_a_block_and_a_creation_at_once_are_in_some_order(store: Store) -> None:
    """Either the channel is not created, or its memberships are marked."""
    for _ in range(5):
        ada, eve = user(), user()
        at_once(partial(direct, store, eve, ada), partial(store.block, Block(ada, eve, NOW)))
        channel = keys.direct_channel_id(ada, eve)
        if store.head(channel) is not None:
            assert membership_of(store, channel, eve).is_blocked
            assert membership_of(store, channel, ada).blocks


def test_nothing_is_committed_after_a_block(store: Store) -> None:
    """By neither of the two, at a position that was reserved before; nor is a change that was prepared before."""
    ada, eve = user(), user()
    channel = str(direct(store, ada, eve))
    first = entry(reserve(store, channel).seq)
    assert store.commit(commitment(channel, eve, first)) == Committed()
    reserved = entry(reserve(store, channel).seq)
    head, by = head_of(store, channel), membership_of(store, channel, eve)
    change = Change(1, ChangeKind.REACTION_ADDED, first.seq, eve, NOW, b"{}", ":ship_it:")
    prepared = ChangeCommit(head, by, first, change, replace(first, rev=1))
    store.block(Block(ada, eve, NOW))
    late = commitment(channel, eve, reserved, tat_seen=by.tat)
    assert store.commit(late) == MembershipChanged(membership_of(store, channel, eve))
    mine = commitment(channel, ada, reserved)
    assert store.commit(mine) == MembershipChanged(membership_of(store, channel, ada))
    assert store.commit_change(prepared) == StateChanged()
    store.unblock(ada, eve)
    assert store.commit(late) == Committed()
    assert store.commit_change(prepared) == Committed()


def test_a_read_position_moves_in_a_blocked_channel(store: Store) -> None:
    """The marks stay."""
    ada, eve = user(), user()
    channel = str(direct(store, ada, eve))
    store.block(Block(ada, eve, NOW))
    moved = store.move_read_position(channel, eve, 3, 3, force=False)
    assert moved
    assert (moved.read_seq, moved.is_blocked) == (3, True)


def test_blocks_of_a_user_who_left_the_direct_channel(store: Store) -> None:
    """Who was erased has no membership to mark, and gets none."""
    ada, eve = user(), user()
    channel = str(direct(store, ada, eve))
    store.block(Block(ada, eve, NOW))
    assert store.remove_member(membership_of(store, channel, eve), even_last_owner=True)
    store.unblock(ada, eve)
    assert store.block(Block(ada, eve, NOW))
    assert store.membership(channel, eve) is None
    assert membership_of(store, channel, ada).blocks


# --- bans ---


def test_a_ban_ends_the_membership_and_keeps_the_user_out(store: Store) -> None:
    """In one step: the past membership says so to who joins; lifted, the user can join again."""
    ada, eve = user(), user()
    channel = open_channel(store, ada, eve)
    by, target = membership_of(store, channel, ada), membership_of(store, channel, eve)
    ban = ban_of(channel, eve, ada)
    assert store.ban(ban, target, by)
    assert store.ban(replace(ban, reason="again"), None, by)
    assert store.ban_of(channel, eve) == ban
    assert store.membership(channel, eve) is None
    assert head_of(store, channel).members == 1
    banned = PastMembership(channel, NOW, is_banned=True)
    assert store.past_membership(channel, eve) == banned
    again = Membership(eve, channel, Role.MEMBER, NOW + 1, tat=NOW)
    assert store.add_member(again) == store.add_member(again, by) == banned
    for _ in range(2):
        assert store.unban(channel, eve, by)
    assert store.ban_of(channel, eve) is None
    assert store.past_membership(channel, eve) == PastMembership(channel, NOW)
    assert store.add_member(again) is again


def test_who_was_never_a_member_can_be_banned(store: Store) -> None:
    """Lifted, nothing is left of it."""
    ada, eve = user(), user()
    channel = open_channel(store, ada)
    by = membership_of(store, channel, ada)
    assert store.ban(ban_of(channel, eve, ada), None, by)
    banned = PastMembership(channel, 0, is_banned=True)
    assert store.past_memberships(eve) == [banned]
    assert not banned.was_member
    assert store.add_member(Membership(eve, channel, Role.MEMBER, NOW)) == banned
    assert store.unban(channel, eve, by)
    assert store.past_memberships(eve) == []


def test_a_ban_depends_on_what_was_read(store: Store) -> None:
    """It fails if the target joined or was promoted since, or the acting member's role has changed."""
    ada, eve, bob = user(), user(), user()
    channel = open_channel(store, ada, eve, bob)
    by, target = membership_of(store, channel, ada), membership_of(store, channel, eve)
    assert not store.ban(ban_of(channel, eve, ada), None, by)
    assert not store.ban(ban_of(channel, eve, ada), target, replace(by, role=Role.MODERATOR))
    assert store.change_role(target, Role.MODERATOR)
    assert not store.ban(ban_of(channel, eve, ada), target, by)
    assert store.ban_of(channel, eve) is None
    assert head_of(store, channel).members == 3
    assert store.ban(ban_of(channel, bob, ada), membership_of(store, channel, bob), by)
    assert not store.unban(channel, bob, replace(by, role=Role.MODERATOR))
    assert store.ban_of(channel, bob) is not None


def test_a_post_meanwhile_does_not_prevent_a_ban(store: Store) -> None:
    """The rate state at the very end of the membership is kept."""
    ada, eve = user(), user()
    channel = open_channel(store, ada, eve)
    seen = membership_of(store, channel, eve)
    commit = commitment(channel, eve, entry(reserve(store, channel).seq))
    assert store.commit(commit) == Committed()
    assert store.ban(ban_of(channel, eve, ada), seen, membership_of(store, channel, ada))
    assert store.past_membership(channel, eve) == PastMembership(channel, NOW, commit.tat, is_banned=True)


def test_a_join_and_a_ban_at_once_are_in_some_order(store: Store) -> None:
    """Who is banned in the end is no member."""
    ada = user()
    channel = open_channel(store, ada)
    by = membership_of(store, channel, ada)
    for _ in range(5):
        eve = user()
        joins = partial(store.add_member, Membership(eve, channel, Role.MEMBER, NOW))
        at_once(joins, partial(store.ban, ban_of(channel, eve, ada), None, by))
        assert (store.membership(channel, eve) is None) is (store.ban_of(channel, eve) is not None)


def test_bans_are_listed_by_user_id(store: Store) -> None:
    """Page by page, those of one channel."""
    ada, users = user(), sorted(user() for _ in range(3))
    channel, other = open_channel(store, ada), open_channel(store, ada)
    for each in reversed(users):
        for place in (channel, other):
            store.ban(ban_of(place, each, ada), None, membership_of(store, place, ada))
    first = store.bans(channel, 2, None)
    assert first == [ban_of(channel, each, ada) for each in users[:2]]
    assert store.bans(channel, 2, users[1]) == [ban_of(channel, users[2], ada)]


# --- reports ---


def test_a_message_is_reported_once_by_a_user(store: Store) -> None:
    """Again returns the first report's id, also when that is closed; another user makes another report."""
    ada, eve = user(), user()
    channel = open_channel(store, ada, eve)
    report = report_of(channel, 1, eve)
    assert store.add_report(report, 9) == report.report_id
    assert store.add_report(report_of(channel, 1, eve), 9) == report.report_id
    closed = replace(report, closed_at=NOW + 1, closed_by=ada, resolution="done")
    assert store.close_report(closed, membership_of(store, channel, ada))
    assert store.add_report(report_of(channel, 1, eve), 9) == report.report_id
    assert store.report(channel, report.report_id) == closed
    other = report_of(channel, 1, ada)
    assert store.add_report(other, 9) == other.report_id
    assert store.report(channel, "0" * 16) is None


def test_reports_are_listed_by_time(store: Store) -> None:
    """Open ones and closed ones apart, page by page."""
    ada, eve = user(), user()
    channel = open_channel(store, ada, eve)
    by = membership_of(store, channel, ada)
    made = [report_of(channel, seq, eve, NOW + seq) for seq in range(1, 5)]
    for each in reversed(made):
        store.add_report(each, 9)
    closed = replace(made[1], closed_at=NOW + 9, closed_by=ada, resolution="done")
    assert store.close_report(closed, by)
    assert not store.close_report(closed, by)
    assert store.reports(channel, 2, None, is_open=True) == [made[0], made[2]]
    assert store.reports(channel, 2, made[2].report_id, is_open=True) == [made[3]]
    assert store.reports(channel, 2, None, is_open=False) == [closed]


def test_a_report_is_closed_by_who_still_may(store: Store) -> None:
    """It stays open if the acting member's role has changed."""
    ada, eve = user(), user()
    channel = open_channel(store, ada, eve)
    report = report_of(channel, 1, eve)
    store.add_report(report, 9)
    closed = replace(report, closed_at=NOW, closed_by=ada, resolution="done")
    by = replace(membership_of(store, channel, ada), role=Role.MODERATOR)
    assert not store.close_report(closed, by)
    assert store.report(channel, report.report_id) == report


def test_open_reports_are_limited(store: Store) -> None:
    """Closing one makes room for another."""
    ada = user()
    channel = open_channel(store, ada)
    made = [report_of(channel, seq, ada) for seq in range(1, 4)]
    assert all(store.add_report(each, 2) for each in made[:-1])
    assert store.add_report(made[-1], 2) is None
    closed = replace(made[0], closed_at=NOW, closed_by=ada, resolution="done")
    assert store.close_report(closed, membership_of(store, channel, ada))
    assert store.add_report(made[-1], 2) == made[-1].report_id


# --- erasures ---


def test_a_moderator_is_forgotten(store: Store) -> None:
    """As who banned, reported and closed, with what they wrote; others stay."""
    ada, eve, bob = user(), user(), user()
    channel = open_channel(store, ada, eve)
    by = membership_of(store, channel, ada)
    store.ban(ban_of(channel, bob, ada), None, by)
    mine, other = report_of(channel, 1, ada, NOW), report_of(channel, 2, eve, NOW + 1)
    for each in (mine, other):
        store.add_report(each, 9)
    closed = replace(other, closed_at=NOW, closed_by=ada, resolution="done")
    assert store.close_report(closed, by)
    assert store.reports_made(ada) == [(mine.message_id, mine.report_id)]
    store.forget_report_made(ada, mine.message_id)
    for _ in range(2):
        store.forget_moderator(channel, ada)
    assert store.reports_made(ada) == []
    assert store.ban_of(channel, bob) == Ban(channel, bob, ERASED, NOW)
    assert store.report(channel, mine.report_id) == replace(mine, reporter=ERASED, text="")
    assert store.report(channel, other.report_id) == replace(closed, closed_by=ERASED, resolution="")
    late = replace(mine, closed_at=NOW, closed_by=eve, resolution="done")
    assert not store.close_report(late, membership_of(store, channel, eve))


def test_an_entry_is_no_report(store: Store) -> None:
    """The lists of a channel's partition do not mix."""
    ada = user()
    channel = open_channel(store, ada)
    commit = commitment(channel, ada, Entry(reserve(store, channel).seq, 1, NOW, b"{}"), key="k")
    assert store.commit(commit) == Committed()
    assert store.bans(channel, 9, None) == []
    assert (
        store.reports(channel, 9, None, is_open=True) == store.reports(channel, 9, None, is_open=False) == []
    )
