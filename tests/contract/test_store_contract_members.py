"""Memberships; every storage alike."""

from __future__ import annotations

from dataclasses import replace

from shared.domain import keys
from shared.domain.model import Member, Membership, PastMembership, Role
from shared.storage.protocol import Committed, Store
from tests.contract.changing import make
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


def test_members_are_listed_by_user_id(store: Store) -> None:
    """Page by page, without repeats or gaps; roles and times with them."""
    users = [user() for _ in range(7)]
    channel = open_channel(store, *users)
    open_channel(store, *users)
    listed: list[Member] = []
    while found := store.members(channel, 3, listed[-1].user_id if listed else None):
        assert len(found) <= 3
        listed += found
    assert [each.user_id for each in listed] == sorted(users)
    assert {each.user_id for each in listed if each.role is Role.OWNER} == {users[0]}
    assert {each.joined_at for each in listed} == {NOW}


def test_a_listing_goes_on_after_a_member_who_left(store: Store) -> None:
    """The place where a page ended still counts."""
    users = sorted(user() for _ in range(3))
    channel = open_channel(store, *users)
    assert store.remove_member(membership_of(store, channel, users[1]))
    assert [each.user_id for each in store.members(channel, 9, users[1])] == [users[2]]
    assert store.members(channel, 9, users[2]) == []


def test_an_unknown_membership_is_none(store: Store) -> None:
    """In a channel that exists and in one that does not."""
    assert store.membership(open_channel(store, user()), user()) is None
    assert store.membership(keys.new_channel_id(), user()) is None


def test_a_past_membership_is_found_by_user_and_channel(store: Store) -> None:
    """None before it ended; it stays when they are back."""
    ada, eve = user(), user()
    channel = open_channel(store, ada, eve)
    assert store.past_membership(channel, eve) is None
    assert store.remove_member(membership_of(store, channel, eve))
    assert store.past_membership(channel, eve) == PastMembership(channel, NOW)
    assert store.past_membership(channel, ada) is None
    again = Membership(eve, channel, Role.MEMBER, NOW + 1)
    assert store.add_member(again) == again
    assert store.past_membership(channel, eve) == PastMembership(channel, NOW)


def test_a_new_member_is_counted(store: Store) -> None:
    """The membership is stored as given; owners are counted too."""
    channel = open_channel(store, user())
    for role in Role:
        membership = Membership(user(), channel, role, NOW, read_seq=7, read_messages=6, tat=5)
        assert store.add_member(membership) == membership
        assert store.membership(channel, membership.user_id) == membership
    assert _counts(store, channel) == (4, 2)


def test_a_member_is_not_added_twice(store: Store) -> None:
    """The stored membership is returned, unchanged and not counted again, whether the channel is archived or not."""
    ada = user()
    channel = open_channel(store, ada)
    standing = membership_of(store, channel, ada)
    assert store.add_member(Membership(ada, channel, Role.MEMBER, NOW + 1)) == standing
    assert _counts(store, channel) == (1, 1)
    store.archive_channel(channel, NOW)
    assert store.add_member(Membership(ada, channel, Role.MEMBER, NOW + 1)) == standing


def test_an_archived_or_unknown_channel_cannot_be_joined(store: Store) -> None:
    """None, and no membership is left behind."""
    channel, eve = open_channel(store, user()), user()
    store.archive_channel(channel, NOW)
    for each in (channel, keys.new_channel_id()):
        assert store.add_member(Membership(eve, each, Role.MEMBER, NOW)) is None
        assert store.membership(each, eve) is None
    assert _counts(store, channel) == (1, 1)


def test_roles_change_and_owners_are_counted(store: Store) -> None:
    """Up and down; everything else of the membership stays."""
    ada, eve = user(), user()
    channel = open_channel(store, ada, eve)
    store.move_read_position(channel, eve, 3, 3, force=False)
    for role, owners in ((Role.MODERATOR, 1), (Role.OWNER, 2), (Role.MEMBER, 1)):
        before = membership_of(store, channel, eve)
        assert store.change_role(before, role)
        assert membership_of(store, channel, eve) == replace(before, role=role)
        assert _counts(store, channel) == (2, owners)


def test_a_role_that_changed_meanwhile_is_left(store: Store) -> None:
    """A role that changed since it was read is neither changed nor removed; nor is a user who is no member."""
    ada, eve = user(), user()
    channel = open_channel(store, ada, eve)
    seen = membership_of(store, channel, eve)
    assert store.change_role(seen, Role.MODERATOR)
    assert not store.change_role(seen, Role.OWNER)
    assert not store.remove_member(seen)
    assert not store.remove_member(replace(seen, user_id=user()))
    assert not store.change_role(replace(seen, user_id=user()), Role.OWNER)
    assert membership_of(store, channel, eve).role is Role.MODERATOR
    assert _counts(store, channel) == (2, 1)


def test_the_last_owner_stays_one(store: Store) -> None:
    """Neither another role nor removal; with a second owner both are possible."""
    ada, eve = user(), user()
    channel = open_channel(store, ada, eve)
    owner = membership_of(store, channel, ada)
    assert not store.change_role(owner, Role.MEMBER)
    assert not store.remove_member(owner)
    assert store.change_role(membership_of(store, channel, eve), Role.OWNER)
    assert store.remove_member(owner)
    assert _counts(store, channel) == (1, 1)


def test_a_removed_member_is_gone(store: Store) -> None:
    """From membership, listing and count; they may leave an archived channel as well."""
    ada, eve = user(), user()
    channel = open_channel(store, ada, eve)
    store.archive_channel(channel, NOW)
    assert store.remove_member(membership_of(store, channel, eve))
    assert store.membership(channel, eve) is None
    assert store.memberships(eve) == []
    assert [each.user_id for each in store.members(channel, 9, None)] == [ada]
    assert _counts(store, channel) == (1, 1)


def test_a_debt_outlives_the_membership(store: Store) -> None:
    """Joining with a rate state that is too old returns the stored one; with that or a later one it succeeds."""
    ada, eve = user(), user()
    channel = open_channel(store, ada, eve)
    commit = commitment(channel, eve, entry(reserve(store, channel).seq))
    assert store.commit(commit) == Committed()
    assert store.remove_member(membership_of(store, channel, eve))
    again = Membership(eve, channel, Role.MEMBER, NOW + 7, tat=commit.tat - 1)
    assert store.add_member(again) == PastMembership(channel, NOW, commit.tat)
    assert store.membership(channel, eve) is None
    assert _counts(store, channel) == (1, 1)
    for tat in (commit.tat, commit.tat + 1):
        back = replace(again, tat=tat)
        assert store.add_member(back) == back == membership_of(store, channel, eve)
        assert store.remove_member(back)
        assert store.past_memberships(eve) == [PastMembership(channel, NOW + 7, tat)]


def test_the_later_one_of_both_debts_outlives_the_membership(store: Store) -> None:
    """Of posts and of changes; also if the change was made after the member was read."""
    ada, eve = user(), user()
    channel = open_channel(store, ada, eve)
    commit = commitment(channel, ada, entry(reserve(store, channel).seq))
    assert store.commit(commit) == Committed()
    seen = membership_of(store, channel, eve)
    make(store, channel, eve, tat=NOW + 99)
    assert store.remove_member(seen)
    assert store.past_memberships(eve) == [PastMembership(channel, NOW, NOW + 99)]


def test_a_debt_of_another_channel_is_no_debt_here(store: Store) -> None:
    """Nor is another user's."""
    ada, eve = user(), user()
    channel, other = open_channel(store, ada, eve), open_channel(store, ada)
    assert store.commit(commitment(channel, eve, entry(reserve(store, channel).seq))) == Committed()
    assert store.remove_member(membership_of(store, channel, eve))
    for each in (Membership(eve, other, Role.MEMBER, NOW), Membership(user(), channel, Role.MEMBER, NOW)):
        assert store.add_member(each) == each


def test_an_archived_channel_is_closed_to_who_comes_back_too(store: Store) -> None:
    """None, whatever they owe."""
    ada, eve = user(), user()
    channel = open_channel(store, ada, eve)
    assert store.commit(commitment(channel, eve, entry(reserve(store, channel).seq))) == Committed()
    assert store.remove_member(membership_of(store, channel, eve))
    store.archive_channel(channel, NOW)
    assert store.add_member(Membership(eve, channel, Role.MEMBER, NOW)) is None


def test_a_post_meanwhile_does_not_keep_a_member(store: Store) -> None:
    """A rate state that moved since the member was read is kept as it is at the end of the membership."""
    ada, eve = user(), user()
    channel = open_channel(store, ada, eve)
    seen = membership_of(store, channel, eve)
    commit = commitment(channel, eve, entry(reserve(store, channel).seq))
    assert store.commit(commit) == Committed()
    assert store.remove_member(seen)
    assert store.past_memberships(eve) == [PastMembership(channel, NOW, commit.tat)]
    assert _counts(store, channel) == (1, 1)


def test_a_post_meanwhile_makes_nobody_else_go(store: Store) -> None:
    """The last owner stays, and so does a member whose role has changed."""
    ada, eve = user(), user()
    channel = open_channel(store, ada, eve)
    for each in (ada, eve):
        seen = membership_of(store, channel, each)
        if each == eve:
            assert store.change_role(seen, Role.MODERATOR)
        assert store.commit(commitment(channel, each, entry(reserve(store, channel).seq))) == Committed()
        assert not store.remove_member(seen)
    assert _counts(store, channel) == (2, 1)
    assert store.past_memberships(eve) == []


def test_a_read_position_only_goes_forward(store: Store) -> None:
    """Backwards it stays, and says where; with force it goes."""
    ada = user()
    channel = open_channel(store, ada)
    start = membership_of(store, channel, ada)
    moved = replace(start, read_seq=5, read_messages=4)
    assert store.move_read_position(channel, ada, 5, 4, force=False) == moved
    assert store.move_read_position(channel, ada, 3, 3, force=False) == moved
    assert store.move_read_position(channel, ada, 5, 4, force=False) == moved
    assert membership_of(store, channel, ada) == moved
    back = replace(start, read_seq=3, read_messages=3)
    assert store.move_read_position(channel, ada, 3, 3, force=True) == back
    assert membership_of(store, channel, ada) == back


def test_a_stranger_has_no_read_position(store: Store) -> None:
    """None, forced or not, and no membership comes to be."""
    channel, eve = open_channel(store, user()), user()
    for force in (False, True):
        assert store.move_read_position(channel, eve, 1, 1, force=force) is None
    assert store.membership(channel, eve) is None


def test_the_storage_is_reached(store: Store) -> None:
    """A ping of a reachable storage raises nothing."""
    store.ping()


def _counts(store: Store, channel: str) -> tuple[int, int]:
    head = head_of(store, channel)
    return head.members, head.owners


def test_a_membership_is_muted(store: Store) -> None:
    """Until that is ended, whatever else changes in it; a later membership is not; nobody else has one."""
    ada, eve = user(), user()
    channel = open_channel(store, ada, eve)
    before = membership_of(store, channel, eve)
    for muted in (True, True, False, False, True):
        assert store.mute(channel, eve, muted=muted) == replace(before, muted=muted)
        assert membership_of(store, channel, eve) == replace(before, muted=muted)
    moved = store.move_read_position(channel, eve, 0, 0, force=True)
    assert moved == replace(before, muted=True)
    commit = commitment(channel, eve, entry(1))
    assert store.commit(commit) == Committed()
    assert store.memberships(eve)[0].muted
    assert store.mute(channel, user(), muted=True) is None
    assert not membership_of(store, channel, ada).muted
    assert store.remove_member(membership_of(store, channel, eve))
    assert store.add_member(replace(before, tat=commit.tat))
    assert not membership_of(store, channel, eve).muted
