"""Heads and the lists of them; every storage alike."""

from __future__ import annotations

import secrets
from dataclasses import replace

from shared.domain import keys
from shared.domain.model import Head, Kind, Membership, Role
from shared.storage.protocol import Committed, Store
from tests.cases import case
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


def test_a_channel_is_kept_as_it_was_made(store: Store) -> None:
    """Every field of head and memberships comes back, empty ones too."""
    for kind in Kind:
        with case(kind):
            ada, eve = user(), user()
            head = Head(
                keys.new_channel_id(),
                kind,
                "Grüße 🦜",
                "" if kind is Kind.DIRECT else "über\nVögel",
                ada,
                NOW,
                members=2,
                slow_mode=30,
                request_hash=b"\x00\xff" * 8 if kind is Kind.PUBLIC else b"",
            )
            roles = {ada: Role.OWNER, eve: Role.MODERATOR}
            memberships = [
                Membership(each, head.channel_id, role, NOW, 3, 2, 1) for each, role in roles.items()
            ]
            assert store.create_channel(head, memberships) is None
            assert store.head(head.channel_id) == head
            assert [membership_of(store, head.channel_id, each) for each in roles] == memberships


def test_a_channel_that_exists_is_found(store: Store) -> None:
    """Creating it again returns the stored channel and makes no memberships."""
    ada, eve = user(), user()
    channel = open_channel(store, ada, topic="first")
    reserve(store, channel)
    standing = head_of(store, channel)
    again = replace(standing, topic="second", seq=0, last=None)
    assert store.create_channel(again, [Membership(eve, channel, Role.OWNER, NOW)]) == standing
    assert store.head(channel) == standing
    assert store.membership(channel, eve) is None


def test_a_users_memberships(store: Store) -> None:
    """All of the user's channels, and no others."""
    ada, eve = user(), user()
    channels = [open_channel(store, ada), open_channel(store, eve, ada)]
    open_channel(store, eve)
    found = {each.channel_id: each for each in store.memberships(ada)}
    assert found == {each: membership_of(store, each, ada) for each in channels}
    assert store.memberships(user()) == []


def test_a_users_channels_are_counted(store: Store) -> None:
    """Up to the limit that is asked for; not what one has left, nor what others are in."""
    ada, eve = user(), user()
    assert store.count_memberships(ada, 5) == 0
    channels = [open_channel(store, eve, ada) for _ in range(4)]
    assert [store.count_memberships(ada, limit) for limit in (1, 3, 4, 5)] == [1, 3, 4, 4]
    assert store.remove_member(membership_of(store, channels[0], ada))
    assert [store.count_memberships(each, 5) for each in (ada, eve)] == [3, 4]


def test_more_heads_than_one_call_gives(store: Store) -> None:
    """120 heads take two calls; unknown channels are left out, none asked for is none."""
    ada = user()
    channels = [open_channel(store, ada) for _ in range(120)]
    heads = store.heads([*channels, keys.new_channel_id()])
    assert set(heads) == set(channels)
    assert all(heads[each].channel_id == each for each in channels)
    assert store.heads([]) == {}


def test_a_channel_that_is_asked_for_twice(store: Store) -> None:
    """An index may name it twice while it is renamed: one answer, no refusal (DynamoDB refuses a key named twice)."""
    ada = user()
    channel, other = open_channel(store, ada), open_channel(store, ada)
    assert set(store.heads([channel, other, channel])) == {channel, other}
    assert set(store.roles(ada, [channel, channel])) == {channel}


def test_a_users_roles_in_some_channels(store: Store) -> None:
    """Only memberships that exist, only in the channels asked about."""
    ada, eve = user(), user()
    mine, shared, foreign = open_channel(store, ada), open_channel(store, eve, ada), open_channel(store, eve)
    assert store.roles(ada, [shared, foreign]) == {shared: membership_of(store, shared, ada)}
    assert set(store.roles(ada, [mine, shared])) == {mine, shared}


def test_a_change_makes_a_new_version(store: Store) -> None:
    """The new head is returned and stored; fields that were not named stay."""
    channel = open_channel(store, user(), topic="old")
    reserve(store, channel)
    before = head_of(store, channel)
    changed = store.update_channel(channel, {"name": "new", "slow_mode": 10}, None)
    assert changed == replace(before, name="new", slow_mode=10, version=2) == store.head(channel)
    assert store.update_channel(channel, {"topic": ""}, 2) == replace(changed, topic="", version=3)


def test_a_change_of_another_version_is_refused(store: Store) -> None:
    """``if_version`` must be the present one; else nothing changes."""
    channel = open_channel(store, user())
    assert store.update_channel(channel, {"name": "new"}, 2) is None
    assert head_of(store, channel).name == "birds"


def test_a_change_that_is_sent_twice_is_made_once(store: Store) -> None:
    """The second returns the head that the first made, unless anything changed since or the values differ."""
    channel = open_channel(store, user())
    asked: dict[str, str | int] = {"name": "new", "slow_mode": 10}
    made = store.update_channel(channel, asked, 1)
    assert made == store.update_channel(channel, asked, 1) == store.head(channel)
    assert head_of(store, channel).version == 2
    assert store.update_channel(channel, asked | {"slow_mode": 11}, 1) is None
    assert store.update_channel(channel, {"topic": "next"}, 2)
    assert store.update_channel(channel, asked, 1) is None


def test_a_change_is_not_taken_for_made_where_the_channel_was_archived(store: Store) -> None:
    """Archiving is one version more too, and leaves the values: an equal change of before was not made."""
    channel = open_channel(store, user())
    store.archive_channel(channel, NOW)
    assert store.update_channel(channel, {"name": "birds"}, 1) is None


def test_nothing_changes_in_an_archived_or_unknown_channel(store: Store) -> None:
    """None, and an unknown channel does not come to be."""
    channel, unknown = open_channel(store, user()), keys.new_channel_id()
    store.archive_channel(channel, NOW)
    before = head_of(store, channel)
    assert store.update_channel(channel, {"name": "new"}, None) is None
    assert store.update_channel(unknown, {"name": "new"}, None) is None
    assert head_of(store, channel) == before
    assert store.head(unknown) is None


def test_a_channel_is_archived_once(store: Store) -> None:
    """The first time counts, with one version more; an unknown channel stays unknown."""
    channel, unknown = open_channel(store, user()), keys.new_channel_id()
    store.archive_channel(channel, NOW + 1)
    store.archive_channel(channel, NOW + 2)
    head = head_of(store, channel)
    assert (head.archived_at, head.version) == (NOW + 1, 2)
    store.archive_channel(unknown, NOW)
    assert store.head(unknown) is None


def test_a_channel_is_archived_of_one_version(store: Store) -> None:
    """Whether it is archived: not of another version, and of any once it was, as a lost answer is asked for again."""
    channel = open_channel(store, user())
    assert not store.archive_channel(channel, NOW, if_version=2)
    assert head_of(store, channel).archived_at is None
    assert store.archive_channel(channel, NOW, if_version=1)
    assert store.archive_channel(channel, NOW + 1, if_version=1)
    assert store.archive_channel(channel, NOW + 1)
    assert (head_of(store, channel).archived_at, head_of(store, channel).version) == (NOW, 2)
    assert not store.archive_channel(keys.new_channel_id(), NOW)


def test_an_archived_channel_is_unarchived_once(store: Store) -> None:
    """One version more, members may post again, a public channel is listed again; later calls return it as it is."""
    ada = user()
    channel = open_channel(store, ada, kind=Kind.PUBLIC)
    assert store.unarchive_channel(head_of(store, channel)) == head_of(store, channel)
    assert store.archive_channel(channel, NOW)
    archived = head_of(store, channel)
    assert not is_listed(store, channel)
    for _ in range(2):
        assert store.unarchive_channel(archived) == head_of(store, channel)
        assert head_of(store, channel) == replace(archived, archived_at=None, version=3)
        assert is_listed(store, channel)
    assert store.commit(commitment(channel, ada, entry(reserve(store, channel).seq))) == Committed()


def test_an_archiving_that_was_not_seen_is_not_ended(store: Store) -> None:
    """A channel that was unarchived and archived again since stays archived; an unknown one does not come to be."""
    channel = open_channel(store, user(), kind=Kind.PUBLIC)
    assert store.archive_channel(channel, NOW)
    seen = head_of(store, channel)
    assert store.unarchive_channel(seen)
    assert store.archive_channel(channel, NOW + 1)
    assert store.unarchive_channel(seen) is None
    assert (head_of(store, channel).archived_at, is_listed(store, channel)) == (NOW + 1, False)
    unknown = replace(seen, channel_id=keys.new_channel_id())
    assert store.unarchive_channel(unknown) is None
    assert store.head(unknown.channel_id) is None


def is_listed(store: Store, channel_id: str) -> bool:
    """Whether a channel is in the index of public channels."""
    found: list[tuple[str, str]] = []
    while page := store.public_channels(100, found[-1] if found else None):
        found += page
    return channel_id in {each for _, each in found}


def test_a_key_is_reserved_for_its_first_request(store: Store) -> None:
    """A later request gets the first one's channel, every time."""
    key, other = keys.derived_channel_id("key", user(), "1"), keys.derived_channel_id("key", user(), "1")
    assert store.reserve_key(key, b"first") == b"first"
    assert store.reserve_key(key, b"second") == b"first"
    assert store.reserve_key(key, b"first") == b"first"
    assert store.reserve_key(other, b"second") == b"second"
    assert store.head(key) is None


def test_public_channels_are_listed_by_name(store: Store) -> None:
    """Without regard to case, page by page, without repeats or gaps, also where names begin alike."""
    token = secrets.token_hex(5)
    names = [f"{token} b", f"{token} A", *[f"{token} the same start"] * 5, f"{token} Z"]
    made = {open_channel(store, user(), kind=Kind.PUBLIC, name=name): name for name in names}
    private = open_channel(store, user(), kind=Kind.PRIVATE, name=f"{token} b")
    listed = [each for each in _public(store, page=3) if each in made or each == private]
    assert sorted(listed) == sorted(made)
    assert listed == sorted(made, key=lambda each: (made[each].casefold(), each))


def test_a_listing_goes_on_after_a_channel_that_left_it(store: Store) -> None:
    """A cursor is still valid when the channel that it names has been archived."""
    token = secrets.token_hex(5)
    made = sorted(open_channel(store, user(), kind=Kind.PUBLIC, name=token) for _ in range(3))
    store.archive_channel(made[1], NOW)
    assert [each for each in _public(store, page=50) if each in made] == [made[0], made[2]]
    found = store.public_channels(1, (keys.public_name(token, made[1]), made[1]))
    assert found == [(keys.public_name(token, made[2]), made[2])]


def test_a_renamed_public_channel_moves_in_the_listing(store: Store) -> None:
    """It moves to the place of its new name; other changes leave it where it is."""
    token = secrets.token_hex(5)
    first, second = (open_channel(store, user(), kind=Kind.PUBLIC, name=f"{token} {c}") for c in "ab")
    assert store.update_channel(first, {"topic": "none"}, None)
    assert [each for each in _public(store, page=50) if each in {first, second}] == [first, second]
    assert store.update_channel(first, {"name": f"{token} C"}, None)
    assert [each for each in _public(store, page=50) if each in {first, second}] == [second, first]


def _public(store: Store, *, page: int) -> list[str]:
    listed: list[tuple[str, str]] = []
    while found := store.public_channels(page, listed[-1] if listed else None):
        assert len(found) <= page
        listed += found
    return [channel for _, channel in listed]
