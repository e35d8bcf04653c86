"""Tickets, connections and watches; every storage alike."""

from __future__ import annotations

import secrets
from dataclasses import replace
from functools import partial

from shared.domain import keys
from shared.domain.model import Membership, Role
from shared.domain.realtime import Connection, Watch
from shared.storage.protocol import Committed, ConnectionEnded, NotMembers, Store, TooManyWatches
from tests.contract.samples import NOW, SECOND, at_once, membership_of, open_channel, reserve, user

LIMIT = 9
EXPIRES = SECOND + 60


def connected(store: Store, user_id: str, opened_at: int = NOW, expires: int = EXPIRES) -> Connection:
    """A connection that was opened."""
    connection = Connection(f"{secrets.token_urlsafe(10)}=", user_id, opened_at, expires)
    store.open_connection(connection)
    return connection


def watch_of(connection: Connection, log_id: str, *, is_live: bool = False) -> Watch:
    """A watch of a connection."""
    return Watch(log_id, connection.user_id, connection.connection_id, connection.expires, is_live)


def current(store: Store, connection: Connection) -> Connection:
    """The connection as it is stored, which it is."""
    found = store.connection(connection.connection_id, NOW)
    assert found is not None
    return found


def watch(store: Store, connection: Connection, *log_ids: str) -> list[Watch]:
    """The watches that were begun."""
    watches = [watch_of(connection, each) for each in log_ids]
    assert store.watch(current(store, connection), watches, LIMIT) == Committed()
    return watches


# --- tickets and connections ---


def test_a_ticket_is_used_once(store: Store) -> None:
    """By one of those who try at once; not after it has expired."""
    ada, used, late = user(), secrets.token_hex(16), secrets.token_hex(16)
    store.add_ticket(used, ada, EXPIRES)
    store.add_ticket(late, ada, EXPIRES)
    taken = at_once(*[partial(store.take_ticket, used, EXPIRES * 1000 - 1)] * 3)
    assert sorted(taken, key=str) == [None, None, ada]
    assert store.take_ticket(late, EXPIRES * 1000) is None
    assert store.take_ticket(secrets.token_hex(16), NOW) is None


def test_a_users_connections(store: Store) -> None:
    """The oldest first, without their watches and without those that have expired."""
    ada = user()
    channel = open_channel(store, ada)
    later, first = connected(store, ada, NOW + 1), connected(store, ada)
    over = connected(store, ada, expires=SECOND)
    connected(store, user())
    store.open_connection(first)
    watch(store, first, channel)
    assert store.connections_of(ada, NOW) == [first, later]
    assert store.connection(first.connection_id, NOW) == replace(first, watches=frozenset({channel}))
    assert store.connection(over.connection_id, NOW) is None
    assert store.connection(over.connection_id, NOW - 1) == over


def test_a_connection_ends_with_its_watches(store: Store) -> None:
    """Also where the caller does not know them; others stay, and nothing begins on it any more."""
    ada = user()
    channel = open_channel(store, ada)
    mine, other = connected(store, ada), connected(store, ada)
    watch(store, mine, channel, keys.message_id(channel, 1))
    kept = watch(store, other, channel)
    for _ in range(2):
        store.close_connection(mine)
    assert store.connection(mine.connection_id, NOW) is None
    assert store.connections_of(ada, NOW) == [other]
    assert store.watches(channel, NOW) == kept
    assert store.watch(mine, [watch_of(mine, channel)], LIMIT) == ConnectionEnded()
    assert store.watches(channel, NOW) == kept


def test_no_watch_is_left_by_a_connection_that_ends_meanwhile(store: Store) -> None:
    """In whatever order the two come."""
    ada = user()
    channel = open_channel(store, ada)
    for _ in range(5):
        mine = connected(store, ada)
        begin = partial(store.watch, mine, [watch_of(mine, channel)], LIMIT)
        at_once(begin, partial(store.close_connection, mine))
        assert store.watches(channel, NOW) == []


# --- watches ---


def test_watches_are_found_by_their_channel(store: Store) -> None:
    """Those of threads too; those of one user; none that has expired. Watching again replaces a watch."""
    ada, eve = sorted([user(), user()])
    channel, other = open_channel(store, ada, eve), open_channel(store, ada)
    thread = keys.message_id(channel, 1)
    mine, hers = connected(store, ada), connected(store, eve)
    ours = watch(store, mine, channel, thread)
    watch(store, mine, other)
    [theirs] = watch(store, hers, channel)
    assert store.watches(channel, NOW) == [*ours, theirs]
    assert store.watches(channel, NOW, ada) == ours
    assert store.watches(channel, NOW, ada[:-1]) == []
    assert store.watches(channel, EXPIRES * 1000) == []
    again = watch_of(mine, channel, is_live=True)
    assert store.watch(current(store, mine), [again], LIMIT) == Committed()
    assert store.watches(channel, NOW, ada) == [again, ours[1]]
    assert current(store, mine).watches == {channel, thread, other}


def test_only_members_watch(store: Store) -> None:
    """All or none; who left is told which channels."""
    ada, eve = user(), user()
    mine = connected(store, eve)
    channel, other, left = open_channel(store, eve), open_channel(store, ada), open_channel(store, ada, eve)
    assert store.remove_member(membership_of(store, left, eve))
    wanted = [watch_of(mine, each) for each in (channel, other, left, keys.message_id(left, 1))]
    assert store.watch(mine, wanted, LIMIT) == NotMembers(frozenset({other, left}))
    assert current(store, mine).watches == frozenset()
    assert not any(store.watches(each, NOW) for each in (channel, other, left))


def test_watches_of_a_connection_are_limited(store: Store) -> None:
    """What it watches already does not count twice, whatever the caller knows of it."""
    ada = user()
    channel = open_channel(store, ada)
    logs = [channel, *(keys.message_id(channel, seq) for seq in (1, 2, 3))]
    stale = connected(store, ada)
    for known in (stale, replace(stale, watches=frozenset(logs[:1]))):
        assert store.watch(known, [watch_of(stale, each) for each in logs[:3]], 3) == Committed()
        one_more = [watch_of(stale, each) for each in logs[2:]]
        assert store.watch(known, one_more, 3) == TooManyWatches()
    assert current(store, stale).watches == set(logs[:3])
    ended = replace(stale, watches=frozenset(logs))
    assert store.watch(ended, [watch_of(stale, logs[3])], 4) == Committed()
    assert store.watch(stale, [watch_of(stale, each) for each in logs], 3) == TooManyWatches()


def test_a_watch_is_ended_by_its_connection(store: Store) -> None:
    """Again it changes nothing; also when the connection has ended."""
    ada = user()
    channel = open_channel(store, ada)
    thread = keys.message_id(channel, 1)
    mine = connected(store, ada)
    [kept, _] = watch(store, mine, channel, thread)
    for _ in range(2):
        store.unwatch(mine, [thread])
        assert store.watches(channel, NOW) == [kept]
        assert current(store, mine).watches == {channel}
    store.close_connection(mine)
    store.unwatch(mine, [channel])
    assert store.connection(mine.connection_id, NOW) is None


def test_the_watches_of_a_channel_are_ended(store: Store) -> None:
    """One user's, or all; the connections stay and see it. More than fit one request."""
    ada, eve = user(), user()
    channel = open_channel(store, ada, eve)
    mine, hers = connected(store, ada), connected(store, eve)
    watch(store, mine, channel)
    [theirs] = watch(store, hers, channel)
    threads = [keys.message_id(channel, seq) for seq in range(1, 121)]
    for start in range(0, 120, 40):
        wanted = [watch_of(mine, each) for each in threads[start : start + 40]]
        assert store.watch(current(store, mine), wanted, 200) == Committed()
    assert len(store.watches(channel, NOW, ada)) == 121
    for _ in range(2):
        store.end_watches(channel, ada)
        assert store.watches(channel, NOW) == [theirs]
    assert len(current(store, mine).watches) == 121
    store.end_watches(channel)
    assert store.watches(channel, NOW) == []


def test_no_watch_outlives_a_removal(store: Store) -> None:
    """Whatever begins meanwhile."""
    ada, eve = user(), user()
    channel = open_channel(store, ada)
    mine = connected(store, eve)

    def remove() -> None:
        assert store.remove_member(membership_of(store, channel, eve))
        store.end_watches(channel, eve)

    for joined in range(5):
        member = Membership(eve, channel, Role.MEMBER, NOW + joined)
        assert store.add_member(member) is member
        at_once(partial(store.watch, mine, [watch_of(mine, channel)], LIMIT), remove)
        assert store.watches(channel, NOW) == []


def test_the_numbers_of_what_is_watched(store: Store) -> None:
    """Zeros of a thread without replies; nothing of a watch that has ended."""
    ada = user()
    channel, ended = open_channel(store, ada), open_channel(store, ada)
    thread, bare = keys.message_id(channel, 1), keys.message_id(channel, 2)
    mine = connected(store, ada)
    watch(store, mine, channel, thread, bare, ended)
    reserve(store, channel, 3)
    reserve(store, thread, 2)
    store.end_watches(ended)
    known = current(store, mine)
    expected = {channel: (3, 0), thread: (2, 0), bare: (0, 0), ended: None}
    assert store.watched_numbers(known, NOW) == expected
    assert store.watched_numbers(known, EXPIRES * 1000) == dict.fromkeys(expected)


def test_typing_is_passed_on_now_and_then(store: Store) -> None:
    """Only by who watches live, and for each log by itself."""
    ada = user()
    channel = open_channel(store, ada)
    thread = keys.message_id(channel, 1)
    mine = connected(store, ada)
    live = [watch_of(mine, each, is_live=True) for each in (channel, thread)]
    assert not store.may_type(live[0], NOW, 3_000)
    watch(store, mine, channel)
    assert not store.may_type(live[0], NOW, 3_000)
    assert store.watch(current(store, mine), live, LIMIT) == Committed()
    assert [store.may_type(live[0], NOW + after, 3_000) for after in (0, 2_999, 3_000)] == [True, False, True]
    assert store.may_type(live[1], NOW, 3_000)
    assert not store.may_type(live[1], EXPIRES * 1000, 3_000)
    assert store.watches(channel, NOW) == live
