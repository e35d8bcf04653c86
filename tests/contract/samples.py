"""Fresh channels, users and commits for the contract suite."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, Final, TypeVar

from shared.domain import keys
from shared.domain.model import Entry, Head, IdempotencyRecord, Kind, Membership, Preview, Role
from shared.storage.protocol import Commit, Reservation, Store

T = TypeVar("T")
# Far ahead: engines remove what has expired by the clock of the machine, in the midst of a test.
NOW: Final = 4_102_444_800_000
SECOND: Final = NOW // 1000
SHOWN: Final = Preview(0, "ada", "grüß dich 🦜", NOW)


def user() -> str:
    """A user id that no other test uses."""
    return f"user-{secrets.token_hex(6)}"


def open_channel(store: Store, *users: str, kind: Kind = Kind.PRIVATE, **fields: Any) -> str:
    """The id of a fresh channel: the first user owns it, the others are members."""
    head = Head(keys.new_channel_id(), kind, "birds", "", users[0], NOW, members=len(users))
    head = replace(head, **fields)
    memberships = [Membership(each, head.channel_id, Role.MEMBER, NOW) for each in users]
    memberships[0] = replace(memberships[0], role=Role.OWNER)
    assert store.create_channel(head, memberships) is None
    return head.channel_id


def head_of(store: Store, channel_id: str) -> Head:
    """The head, which is there."""
    head = store.head(channel_id)
    assert head is not None
    return head


def membership_of(store: Store, channel_id: str, user_id: str) -> Membership:
    """The membership, which is there."""
    membership = store.membership(channel_id, user_id)
    assert membership is not None
    return membership


def reserve(store: Store, channel_id: str, count: int = 1) -> Reservation:
    """Numbers, which are given."""
    taken = store.reserve(channel_id, count, SHOWN)
    assert isinstance(taken, Reservation)
    return taken


def entry(seq: int, body: bytes | None = b"{}") -> Entry:
    """An entry in a log without anything but messages."""
    return Entry(seq, seq, NOW, body)


def idempotency_record(
    key: str, seq: int, *, count: int = 1, expires: int = SECOND + 60
) -> IdempotencyRecord:
    """An idempotency record."""
    return IdempotencyRecord(key, b"0123456789abcdef", seq, count, expires)


def commitment(
    channel_id: str, user_id: str, *entries: Entry, key: str | None = None, **fields: Any
) -> Commit:
    """A first post's commit."""
    commit = Commit(
        channel_id=channel_id,
        user_id=user_id,
        entries=entries,
        tat_seen=0,
        tat=NOW + 200,
        move_read=True,
        idempotency_record=None
        if key is None
        else idempotency_record(key, entries[-1].seq, count=len(entries)),
        now=NOW,
    )
    return replace(commit, **fields)


def at_once(*calls: Callable[[], T]) -> list[T]:
    """The results of calls that threads make at the same time."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def seqs(entries: Sequence[Entry]) -> list[int]:
    """Their positions."""
    return [each.seq for each in entries]
