"""Several calls at once, in threads: one of them is first, and all learn which; on every storage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from shared.domain import keys
from shared.domain.model import Entry, Membership, PastMembership, Role
from shared.storage.protocol import (
    Commit,
    Committed,
    Contended,
    KeyUsed,
    MembershipChanged,
    Outcome,
    PositionTaken,
    Reservation,
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

ROUNDS = 8


def _commit(store: Store, commit: Commit) -> Outcome:
    """As a post does it: again where it only met another transaction."""
    for _ in range(50):
        outcome = store.commit(commit)
        if not isinstance(outcome, Contended):
            return outcome
    pytest.fail("it met another transaction 50 times")


def test_numbers_are_each_given_once(store: Store) -> None:
    """Eight takers: together they get 1 to 80, each once, and the count of messages goes along."""
    channel = open_channel(store, user())

    def taker() -> list[Reservation]:
        return [reserve(store, channel) for _ in range(10)]

    taken = [each for found in at_once(*[taker] * 8) for each in found]
    assert sorted(each.seq for each in taken) == list(range(1, 81))
    assert all(each.seq == each.messages for each in taken)
    assert head_of(store, channel).seq == 80


def test_batches_of_numbers_do_not_overlap(store: Store) -> None:
    """Each batch has its numbers side by side."""
    channel = open_channel(store, user())
    calls = [partial(reserve, store, channel, count) for count in (1, 2, 3, 4) * 4]
    given = [seq for each in at_once(*calls) for seq in range(each.seq - each.count + 1, each.seq + 1)]
    assert sorted(given) == list(range(1, 41))


def test_one_key_commits_once(store: Store) -> None:
    """Of two posts under one key at once one is stored, and the other gets its record."""
    for _ in range(ROUNDS):
        ada = user()
        channel = open_channel(store, ada)
        commits = [commitment(channel, ada, entry(seq), key="k1", tat=NOW + seq) for seq in (1, 2)]
        outcomes = at_once(*[partial(_commit, store, each) for each in commits])
        first = outcomes.index(Committed())
        winner = commits[first]
        assert winner.idempotency_record
        assert outcomes[1 - first] == KeyUsed(winner.idempotency_record)
        assert store.entries(channel, 1, 9) == list(winner.entries)


def test_one_rate_state_commits_once(store: Store) -> None:
    """Of four posts that were decided on one rate state one is stored; the others get the new state."""
    for _ in range(ROUNDS):
        ada = user()
        channel = open_channel(store, ada)
        commits = [commitment(channel, ada, entry(seq), tat=NOW + seq) for seq in (1, 2, 3, 4)]
        outcomes = at_once(*[partial(_commit, store, each) for each in commits])
        first = outcomes.index(Committed())
        changed = MembershipChanged(membership_of(store, channel, ada))
        assert outcomes == [Committed() if i == first else changed for i in range(4)]
        assert store.entries(channel, 1, 9) == list(commits[first].entries)


def test_a_commit_and_a_void_settle_one_position_once(store: Store) -> None:
    """Either the message or the void is stored, and both calls learn which."""
    for _ in range(ROUNDS):
        ada = user()
        channel = open_channel(store, ada)
        message, void = entry(reserve(store, channel).seq, b'"message"'), entry(1, None)
        calls = [partial(_commit_or_entry, store, commitment(channel, ada, message))]
        calls += [partial(_void, store, channel, each) for each in (void, replace(void, at=NOW + 1))]
        learnt = at_once(*calls)
        [stands] = store.entries(channel, 1, 9)
        assert learnt == [stands] * 3
        assert membership_of(store, channel, ada).read_seq == (1 if stands == message else 0)


def _commit_or_entry(store: Store, commit: Commit) -> Entry:
    outcome = _commit(store, commit)
    if isinstance(outcome, PositionTaken):
        return outcome.entry
    assert outcome == Committed()
    return commit.entries[0]


def test_a_batch_and_a_void_settle_all_positions_once(store: Store) -> None:
    """A void at any of its positions keeps the whole batch out; else the whole batch is stored."""
    for _ in range(ROUNDS):
        ada = user()
        channel = open_channel(store, ada)
        batch = commitment(channel, ada, *(entry(seq) for seq in range(1, 6)))
        outcome, void = at_once(
            partial(_commit, store, batch), partial(_void_outcome, store, channel, entry(3, None))
        )
        standing = store.entries(channel, 1, 9)
        if outcome == Committed():
            assert standing == list(batch.entries)
            assert void == PositionTaken(entry(3))
        else:
            assert outcome == void == PositionTaken(entry(3, None))
            assert standing == [entry(3, None)]


def _void_outcome(store: Store, channel: str, void: Entry) -> Outcome:
    return PositionTaken(_void(store, channel, void))


def _void(store: Store, channel: str, void: Entry) -> Entry:
    [standing] = store.void(channel, [void])
    return standing


def test_a_member_removed_while_committing(store: Store) -> None:
    """Either the message was first, or there is none; the member is gone in any case."""
    for _ in range(ROUNDS):
        ada, eve = user(), user()
        channel = open_channel(store, ada, eve)
        commit = commitment(channel, eve, entry(1), key="k1")
        seen = membership_of(store, channel, eve)
        calls: list[Callable[[], object]] = [
            partial(_commit, store, commit),
            partial(store.remove_member, seen),
        ]
        outcome, removed = at_once(*calls)
        assert removed is True
        assert outcome in (Committed(), MembershipChanged(None))
        assert bool(store.entries(channel, 1, 9)) == (outcome == Committed())
        assert store.membership(channel, eve) is None
        assert (store.read_channel_state(channel, eve, "k1").idempotency_record is not None) == (
            outcome == Committed()
        )


def test_a_member_added_twice_at_once_is_counted_once(store: Store) -> None:
    """A member who is added twice at the same time is stored and counted once."""
    for _ in range(ROUNDS):
        channel, eve = open_channel(store, user()), user()
        wanted = [Membership(eve, channel, Role.MEMBER, NOW + i) for i in range(4)]
        added = at_once(*[partial(store.add_member, each) for each in wanted])
        assert added == [membership_of(store, channel, eve)] * 4
        assert head_of(store, channel).members == 2


def test_of_equal_joins_at_once_one_is_reported_as_new(store: Store) -> None:
    """The given membership itself; the others get an equal one, which is another object."""
    for _ in range(ROUNDS):
        channel, eve = open_channel(store, user()), user()
        wanted = [Membership(eve, channel, Role.MEMBER, NOW) for _ in range(4)]
        added = at_once(*[partial(store.add_member, each) for each in wanted])
        assert added == wanted
        assert sum(found is given for found, given in zip(added, wanted, strict=True)) == 1
        assert store.add_member(wanted[0]) is not wanted[0]


def test_two_owners_who_leave_at_once(store: Store) -> None:
    """Of two owners who leave at the same time, one stays."""
    for _ in range(ROUNDS):
        ada, eve = user(), user()
        channel = open_channel(store, ada, eve)
        assert store.change_role(membership_of(store, channel, eve), Role.OWNER)
        owners = [membership_of(store, channel, each) for each in (ada, eve)]
        assert sorted(at_once(*[partial(store.remove_member, each) for each in owners])) == [False, True]
        head = head_of(store, channel)
        assert (head.members, head.owners) == (1, 1)
        assert [each.role for each in store.members(channel, 9, None)] == [Role.OWNER]


def test_one_of_two_changes_of_a_version_wins(store: Store) -> None:
    """Both name the version they saw; the later is refused."""
    for _ in range(ROUNDS):
        channel = open_channel(store, user())
        changes = [partial(store.update_channel, channel, {"topic": f"{i}"}, 1) for i in range(3)]
        [winner] = [each for each in at_once(*changes) if each is not None]
        assert store.head(channel) == winner
        assert winner.version == 2


def test_a_channel_made_twice_at_once_is_one(store: Store) -> None:
    """One makes it, the others find it, as for a direct channel that both open."""
    for _ in range(ROUNDS):
        ada, eve = user(), user()
        head = replace(head_of(store, open_channel(store, ada)), channel_id=keys.new_channel_id(), members=2)
        memberships = [Membership(each, head.channel_id, Role.MEMBER, NOW) for each in (ada, eve)]
        made = at_once(*[partial(store.create_channel, head, memberships)] * 3)
        assert made.count(None) == 1
        assert made.count(head) == 2


def test_a_post_and_a_removal_keep_the_debt(store: Store) -> None:
    """Either the post came first and its rate debt is kept, or its sender is no member any more."""
    for _ in range(ROUNDS):
        ada, eve = user(), user()
        channel = open_channel(store, ada, eve)
        commit = commitment(channel, eve, entry(reserve(store, channel).seq))
        seen = membership_of(store, channel, eve)
        calls: list[Callable[[], object]] = [
            partial(_commit, store, commit),
            partial(store.remove_member, seen),
        ]
        outcome, removed = at_once(*calls)
        assert removed is True
        assert outcome in (Committed(), MembershipChanged(None))
        owed = commit.tat if outcome == Committed() else 0
        assert store.past_memberships(eve) == [PastMembership(channel, NOW, owed)]


def test_joining_forgives_no_debt(store: Store) -> None:
    """Two joins at once, one followed by a post and the end: no later membership has an earlier state."""
    for _ in range(ROUNDS):
        channel, eve = open_channel(store, user()), user()
        joins = Membership(eve, channel, Role.MEMBER, NOW)

        def stay(joins: Membership = joins) -> object:
            standing = store.add_member(joins)
            if isinstance(standing, Membership):
                seq = reserve(store, joins.channel_id).seq
                _commit(store, commitment(joins.channel_id, joins.user_id, entry(seq), tat_seen=standing.tat))
                store.remove_member(standing)
            return standing

        at_once(stay, partial(store.add_member, joins))
        current = store.membership(channel, eve)
        owed = [each.tat for each in store.past_memberships(eve)]
        assert current is None or not owed or current.tat >= owed[0]
