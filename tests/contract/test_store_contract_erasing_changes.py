"""What erasing a user removes from messages of others and from the change log; every storage alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest

from shared.domain.changes import Change, ChangeKind
from shared.domain.model import ERASED, Entry, Head, Membership
from shared.observability.meter import start_meter
from shared.storage.memory import MemoryStore
from shared.storage.protocol import ChangeCommit, Committed, StateChanged, Store
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

THUMB: Final = "👍"
HASH: Final = "#️⃣"
"""An emoji with the character that separates the parts of a reaction's key."""


@pytest.fixture
def ada() -> str:
    """The author of the message."""
    return user()


@pytest.fixture
def channel(store: Store, ada: str) -> str:
    """A channel with one message."""
    channel = open_channel(store, ada)
    seq = reserve(store, channel).seq
    assert store.commit(commitment(channel, ada, entry(seq, b'{"a":1}'))) == Committed()
    return channel


def message_of(store: Store, channel: str) -> Entry:
    """The message."""
    [found] = store.entries_at(channel, [1])
    return found


def reaction(
    head: Head, by: Membership, seen: Entry, *, emoji: str = THUMB, reacted: str | None = None
) -> ChangeCommit:
    """A reaction, prepared from what was read."""
    rev = head.rev + 1
    body = b'{"a":%d}' % (rev + 1)
    change = Change(rev, ChangeKind.REACTION_ADDED, 1, by.user_id, NOW, body, emoji)
    return ChangeCommit(head, by, seen, change, replace(seen, body=body, rev=rev), reacted=reacted)


def prepared(store: Store, channel: str, ada: str, **fields: str) -> ChangeCommit:
    """A reaction, prepared from what is stored now."""
    seen = message_of(store, channel)
    return reaction(head_of(store, channel), membership_of(store, channel, ada), seen, **fields)


def changed(store: Store, channel: str, ada: str, **fields: str) -> Change:
    """A reaction that is committed."""
    commit = prepared(store, channel, ada, **fields)
    assert store.commit_change(commit) == Committed()
    return commit.change


# --- messages ---


def test_a_message_is_rewritten_without_a_change(store: Store, channel: str, ada: str) -> None:
    """Only its bytes differ; the head does not count it as a change, and it can be changed afterwards."""
    for count, body in ((1, b'{"b":1}'), (2, b'{"c":1}')):
        seen = message_of(store, channel)
        assert store.rewrite_message(channel, seen, body)
        assert message_of(store, channel) == replace(seen, body=body, rewrites=count)
    assert head_of(store, channel).rev == 0
    assert changed(store, channel, ada).rev == 1
    seen = message_of(store, channel)
    assert store.rewrite_message(channel, seen, b"{}")
    assert message_of(store, channel) == replace(seen, body=b"{}", rewrites=3)


def test_a_change_that_was_prepared_before_fails(store: Store, channel: str, ada: str) -> None:
    """Otherwise it would bring back what the erasure removed. Also if the message had changes or rewrites before."""
    for _ in range(3):
        late = prepared(store, channel, ada)
        assert store.rewrite_message(channel, late.seen, b"{}")
        assert store.commit_change(late) == StateChanged()
        assert message_of(store, channel).body == b"{}"
        changed(store, channel, ada)


def test_a_message_that_changed_is_not_rewritten(store: Store, channel: str, ada: str) -> None:
    """A change, or another rewrite, since it was read: nothing is written."""
    seen = message_of(store, channel)
    changed(store, channel, ada)
    current = message_of(store, channel)
    assert not store.rewrite_message(channel, seen, b"{}")
    assert message_of(store, channel) == current
    assert store.rewrite_message(channel, current, b'{"b":1}')
    assert not store.rewrite_message(channel, current, b"{}")
    assert message_of(store, channel).body == b'{"b":1}'


def test_what_is_redacted_is_not_rewritten(store: Store, channel: str) -> None:
    """A redacted message, a void and a position without an entry are not rewritten."""
    seen = message_of(store, channel)
    store.redact(channel, 1, b"{}")
    assert not store.rewrite_message(channel, seen, b'{"b":1}')
    assert message_of(store, channel).body == b"{}"
    store.void(channel, [entry(2, None)])
    for seq in (2, 3):
        assert not store.rewrite_message(channel, replace(seen, seq=seq), b"{}")
    assert store.entries(channel, 2, 3) == [entry(2, None)]


def test_a_redacted_message_changes_no_more(store: Store, channel: str, ada: str) -> None:
    """Neither by a change that was prepared before, nor by one prepared afterwards."""
    late = prepared(store, channel, ada)
    store.redact(channel, 1, b"{}")
    assert store.commit_change(late) == StateChanged()
    assert store.commit_change(prepared(store, channel, ada)) == StateChanged()
    assert message_of(store, channel).body == b"{}"


# --- the change log ---


def test_a_change_is_rewritten(store: Store, channel: str, ada: str) -> None:
    """Who made it, the message after it, and the message before it, which may also be removed."""
    seen = changed(store, channel, ada)
    for new in (
        replace(seen, by=ERASED, body=b'{"b":1}', before=b"1"),
        replace(seen, by=ERASED, body=b'{"c":1}', before=b"2"),
        replace(seen, by=ERASED, body=b'{"c":1}'),
    ):
        assert store.rewrite_change(channel, seen, new)
        assert store.changes(channel, 1, 9) == [new]
        seen = new
    assert head_of(store, channel).rev == 1


def test_a_change_of_a_pin_is_rewritten(store: Store, channel: str, ada: str) -> None:
    """The change that pinned a message loses the user, although it contains no message."""
    commit = prepared(store, channel, ada)
    pin = Change(1, ChangeKind.PINNED, 1, ada, NOW)
    assert store.commit_change(replace(commit, change=pin, entry=None, pin=True)) == Committed()
    assert store.rewrite_change(channel, pin, replace(pin, by=ERASED))
    assert store.changes(channel, 1, 9) == [replace(pin, by=ERASED)]


def test_a_change_that_differs_is_not_rewritten(store: Store, channel: str, ada: str) -> None:
    """Two erasures at once: neither undoes the other's. A change that does not exist is not made."""
    seen = changed(store, channel, ada)
    new = replace(seen, body=b'{"b":1}')
    for other in (replace(seen, by="eve"), replace(seen, body=b"1"), replace(seen, before=b"1")):
        assert not store.rewrite_change(channel, other, new)
    assert not store.rewrite_change(channel, replace(seen, body=None), new)
    assert not store.rewrite_change(channel, replace(seen, rev=2), replace(new, rev=2))
    assert store.changes(channel, 1, 9) == [seen]


# --- reactions that messages do not show ---


def test_a_users_reactions_are_forgotten(store: Store, channel: str, ada: str) -> None:
    """With every emoji, in this channel only; those of others stay. It can be repeated."""
    eve, joe = user(), user()
    other = open_channel(store, ada)
    assert store.commit(commitment(other, ada, entry(reserve(store, other).seq))) == Committed()
    changed(store, other, ada, reacted=eve)
    for emoji in (THUMB, HASH, ":ship_it:"):
        changed(store, channel, ada, emoji=emoji, reacted=eve)
        changed(store, channel, ada, emoji=emoji, reacted=joe)
    for _ in range(2):
        store.forget_reactions(channel, eve)
        for emoji in (THUMB, HASH, ":ship_it:"):
            found = store.reacted(channel, 1, emoji, 9, None)
            assert [each.user_id for each in found] == [joe]
    assert store.has_reacted(other, 1, THUMB, eve)


def test_what_it_costs(store: Store, channel: str, ada: str) -> None:
    """Rewriting a small message, change or reaction costs one write unit."""
    eve = user()
    change = changed(store, channel, ada, reacted=eve)
    seen = message_of(store, channel)
    costs = []
    calls: list[Callable[[], object]] = [
        lambda: store.rewrite_message(channel, seen, b"{}"),
        lambda: store.rewrite_change(channel, change, replace(change, by=ERASED)),
        lambda: store.forget_reactions(channel, eve),
    ]
    for call in calls:
        meter = start_meter()
        call()
        costs.append(meter.write_units)
    assert costs == ([0] * 3 if isinstance(store, MemoryStore) else [1, 1, 1])
