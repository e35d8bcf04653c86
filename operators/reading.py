"""Reads in pieces: the channels of a user, the members of a channel, and its log from end to end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from shared.domain import keys
from shared.domain.changes import Change
from shared.domain.messages import sender_of
from shared.domain.model import Entry, Head, Member
from shared.storage.log_reader import DEAD_MS
from shared.storage.protocol import Log, Members, Store

PIECE: Final = 500
"""Positions of one Query: at most 10 MB of the longest messages, usually one page of it."""
MEMBERS: Final = 100
"""Members of one Query of the index."""


def settled(
    log: Log, head: Head, after: int, sleep: Callable[[float], None], now: Callable[[], int]
) -> Iterator[Entry]:
    """The entries behind a position, and behind what has expired, up to the current end of the log, in order.

    Writes nothing. It waits once for holes, as long as their writers may live (15 s): a hole after that stays a hole,
    or becomes a void.
    """
    all_over = now() + DEAD_MS
    for first, last in pieces(max(after, head.boundary.seq) + 1, head.seq):
        entries = log.entries(head.channel_id, first, last)
        if len(entries) <= last - first and now() < all_over:
            sleep((all_over - now()) / 1000)
            entries = log.entries(head.channel_id, first, last)
        yield from entries


def messages_of(log: Log, channel_id: str) -> Iterator[Entry]:
    """A log's messages: a read unit for each 4 KB."""
    head = log.head(channel_id)
    for first, last in pieces(1, head.seq if head else 0):
        yield from (entry for entry in log.entries(channel_id, first, last) if entry.body is not None)


def threads_of(store: Store, channel_id: str) -> list[Head]:
    """The heads of a channel's threads with its settings, by root: a read unit for each message of the channel.

    No index has them, and a root need not show its thread: it may be redacted, or the summary may be missing yet.
    """
    head = store.head(channel_id)
    return threads_up_to(store, head, head.seq) if head else []


def threads_up_to(store: Store, head: Head, seq: int) -> list[Head]:
    """As ``threads_of``, the threads of the messages up to a position, whether these have expired or not."""
    found: list[Head] = []
    for first, last in pieces(1, seq):
        heads = store.heads(keys.message_id(head.channel_id, seq) for seq in range(first, last + 1))
        found += [head.over(heads[log_id], head.created_at) for log_id in sorted(heads)]
    return found


def standing_of(log: Log, channel_id: str, user_id: str) -> Iterator[Entry]:
    """One sender's messages in a log: a read unit for each 4 KB of all of it."""
    for entry in messages_of(log, channel_id):
        if sender_of(entry.body or b"") == user_id:
            yield entry


def changes_of(log: Log, head: Head | None) -> Iterator[Change]:
    """A channel's changes up to the last one that the head knows, in order: a read unit for each 4 KB."""
    if head is not None:
        for first, last in pieces(1, head.rev):
            yield from log.changes(head.channel_id, first, last)


def channels_of(store: Store, user_id: str) -> list[str]:
    """Where a user is or was a member, in order.

    Memberships are read first: one that ends between the two reads is then found as a past membership.
    """
    present = {each.channel_id for each in store.memberships(user_id)}
    return sorted(present | {each.channel_id for each in store.past_memberships(user_id)})


def all_members(store: Members, channel_id: str) -> Iterator[Member]:
    """A channel's members by user id; changes of the last second may be missing."""
    after: str | None = None
    while found := store.members(channel_id, MEMBERS, after):
        yield from found
        after = found[-1].user_id


def pieces(first: int, last: int) -> Iterator[tuple[int, int]]:
    """A range of positions in pieces."""
    for start in range(first, last + 1, PIECE):
        yield start, min(start + PIECE - 1, last)
