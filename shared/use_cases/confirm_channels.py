"""Confirms a channel's preview and unread count, so that a post that was never committed is not shown.

A head shows and counts a message as soon as its position is reserved. If its writer is killed before the commit, both
are wrong until the position is settled. So the message is looked up before they are shown. A message that exists never
disappears, so a container looks each one up only once.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Final

from shared.bootstrap import Services
from shared.cache.tier import get_one
from shared.domain.errors import UnavailableError
from shared.domain.model import Entry, Head, Membership, Preview
from shared.domain.retention import cutoff
from shared.runtime.parallel import map_concurrently
from shared.storage.log_reader import DirectLogReader, current_preview, repair_preview
from shared.storage.protocol import Store
from shared.use_cases.expiry import with_boundary, without_expired_preview

SMALL_BADGE: Final = 3
"""Up to this many unread positions are all looked up, because users notice a badge of 1 without a message."""
CONFIRMED_BYTES: Final = 390
"""Size in memory of one channel's ``Confirmed``: an object and a set of four numbers (tests/shared/cache)."""
PAGE: Final = 100
"""Positions read at once to find the latest message: four batches."""
MAX_PAGES: Final = 10
REPAIRS: Final = 3
"""Times that a channel is read again because messages were redacted or changed meanwhile."""
Channel = tuple[Head, Membership]


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A channel's latest positions that need no further look-up. Never leaves this process."""

    seqs: frozenset[int]
    size: int = CONFIRMED_BYTES


def confirm(services: Services, channels: Sequence[Channel]) -> list[Channel]:
    """The channels with previews and counts of messages that a read returns.

    Costs nothing if the caller has read up to the preview, or this container has seen the message. Otherwise half a
    read unit for each channel (each 4 KB of its latest message; up to four times that if at most ``SMALL_BADGE``
    positions are unread), in one call for each 100 positions. A message that this eventually consistent read does not
    find costs one more read unit; if it does not exist, also a page, the settling of holes in it, and the head.

    A channel in which more gaps came since the caller's read position than the head keeps costs a read unit more: then
    its count is exact too.

    In a channel with a retention, what has expired is left out, see ``with_boundary``.

    If the storage is unavailable, a channel is returned unchanged, but without an expired preview.
    """
    channels = _with_boundaries(services, channels)
    confirmed = _with_previews(services, channels)
    try:
        return [(with_all_gaps(services.store, *each), each[1]) for each in confirmed]
    except UnavailableError:
        return confirmed


def _with_boundaries(services: Services, channels: Sequence[Channel]) -> list[Channel]:
    due = [
        head for head, _ in channels if head.retains and cutoff(head, services.now()) > head.boundary.cutoff
    ]
    heads = map_concurrently(lambda head: _with_boundary(services, head), due, services.background)
    current = {head.channel_id: head for head in heads}
    return [(current.get(head.channel_id, head), membership) for head, membership in channels]


def _with_boundary(services: Services, head: Head) -> Head:
    try:
        return with_boundary(services, head)
    except UnavailableError:
        return without_expired_preview(services, head)


def _with_previews(services: Services, channels: Sequence[Channel]) -> list[Channel]:
    unconfirmed = {head.channel_id: _unconfirmed(services, head, membership) for head, membership in channels}
    looked_up = [(channel_id, seq) for channel_id, seqs in unconfirmed.items() for seq in sorted(seqs)]
    if not looked_up:
        return list(channels)
    try:
        seen = services.store.standing(looked_up)
    except UnavailableError:
        return list(channels)
    lacking: dict[str, frozenset[int]] = {}
    for head, _ in channels:
        missed = frozenset(
            seq for seq in unconfirmed[head.channel_id] if not seen.get((head.channel_id, seq))
        )
        _put_confirmed(services, head, unconfirmed[head.channel_id] - missed)
        if missed:
            lacking[head.channel_id] = missed
    heads = [head for head, _ in channels if head.channel_id in lacking]
    repaired = map_concurrently(
        lambda head: _repaired(services, head, lacking[head.channel_id]), heads, services.background
    )
    current = {head.channel_id: head for head in repaired}
    return [(current.get(head.channel_id, head), membership) for head, membership in channels]


def confirm_one(services: Services, head: Head, membership: Membership | None) -> Head:
    """``confirm`` for one channel. Without a membership nothing unconfirmed is shown, so the head is unchanged."""
    return confirm(services, [(head, membership)])[0][0] if membership else head


def read_position(store: Store, head: Head, seq: int) -> tuple[int, int, int]:
    """The position of the last entry up to ``seq``, and the number of messages and of gaps up to it.

    A hole is not an entry yet: if it becomes a message, that message is unread. A position that has expired is read as
    it is: nothing before the boundary counts. Costs one Query of one entry, and one read unit more if more gaps have
    been added since than the head keeps.
    """
    expired = head.boundary
    if seq < expired.seq:
        return seq, max(0, expired.messages - (expired.seq - seq)), 0
    latest = store.latest_entries(head.channel_id, seq, 1) if seq > expired.seq else []
    if not latest or latest[0].seq <= expired.seq:
        return expired.seq, expired.messages, expired.gaps
    after = head.gaps_after(latest[0].seq)
    if after is None:
        after = _with_gaps_after(store, head, latest[0].seq).gaps_after(latest[0].seq) or 0
    return latest[0].seq, latest[0].messages, max(0, head.voids - after)


def with_all_gaps(store: Store, head: Head, membership: Membership) -> Head:
    """The head with all gaps after a read position: one Query, of a read unit, if it does not keep all of them."""
    return _with_gaps_after(store, head, membership.read_up_to(head))


def _with_gaps_after(store: Store, head: Head, seq: int) -> Head:
    if head.gaps_after(seq) is not None:
        return head
    gaps = store.gaps(head.channel_id, seq) | {gap for gap in head.gaps if gap > seq}
    # Those after the head's end came since it was read; the head does not count them as messages.
    return replace(head, gaps=frozenset(gap for gap in gaps if gap <= head.seq), gaps_from=seq)


def _unconfirmed(services: Services, head: Head, membership: Membership) -> frozenset[int]:
    """Positions that would be shown or counted as messages and that may not hold one."""
    shown = head.shown.seq if head.shown else 0
    read = membership.read_up_to(head)
    unsure = shown > membership.read_seq or shown in head.gaps or _is_older(head, membership)
    wanted = {shown} if shown and unsure else set()
    if head.seq - read <= SMALL_BADGE:
        wanted |= set(range(read + 1, head.seq + 1)) - head.gaps
    if not wanted:
        return frozenset()
    known = get_one(services.memory, _key(head), Confirmed)
    return frozenset(wanted - known.seqs if known else wanted)


def _is_older(head: Head, membership: Membership) -> bool:
    """Whether the membership, read together with the head, reflects a later state of the log than the head.

    The message that the head shows may then have become a void, although the caller's read position is beyond it.
    """
    return membership.read_seq > head.seq or membership.read_voids > head.voids


def _repaired(services: Services, head: Head, lacking: frozenset[int]) -> Head:
    """The head after a strongly consistent look-up; if a message does not exist, the end of the log is settled first.

    A live writer's position may still be open: it is counted, because it will become a message, but not shown yet.
    """
    try:
        if _all_exist(services.store, head, lacking):
            _put_confirmed(services, head, lacking)
            return head
        for _ in range(REPAIRS):
            latest, settled_to = _settled(services, head)
            current = services.store.head(head.channel_id)
            current = current and with_boundary(services, current)
            if current is not None and (current.erasures, current.rev) == (head.erasures, head.rev):
                settled = {seq for seq in lacking if seq <= settled_to and seq != _shown(current)}
                _put_confirmed(services, head, settled | ({latest.seq} if latest else set()))
                if latest is None or _shown(current) == latest.seq:
                    return current if latest else _showing(current, None)
                return _showing(current, current_preview(services.store, current, latest))
            head = current or head
    except UnavailableError:
        return head
    return _showing(head, None)


def _all_exist(store: Store, head: Head, seqs: frozenset[int]) -> bool:
    found = store.entries(head.channel_id, min(seqs), max(seqs))
    return seqs <= {entry.seq for entry in found if entry.body is not None}


def _settled(services: Services, head: Head) -> tuple[Entry | None, int]:
    """The latest message, and the position up to which the log is settled. Reads backward until it finds a message."""
    reader = DirectLogReader(services.store, services.sleep, services.now)
    start = head.boundary.seq + 1
    first, last, settled_to = head.seq + 1, head.seq, 0
    for _ in range(MAX_PAGES):
        first, last = max(start, first - PAGE), first - 1
        span = reader.read(head, first, last)
        settled_to = settled_to or (span.last if span.bodies else 0)
        messages = [(seq, body) for seq, body in enumerate(span.bodies, span.first) if body is not None]
        if messages or first == start:
            break
    if _shown(head) in head.gaps:
        repair_preview(services.store, head.channel_id, _shown(head))
    return (Entry(messages[-1][0], 0, 0, messages[-1][1]) if messages else None), settled_to


def _showing(head: Head, preview: Preview | None) -> Head:
    return replace(head, last=preview)


def _put_confirmed(services: Services, head: Head, seqs: AbstractSet[int]) -> None:
    """Keeps the latest positions only: no others are looked up again."""
    if not seqs:
        return
    known = get_one(services.memory, _key(head), Confirmed)
    latest = sorted(known.seqs.union(seqs) if known else seqs)[-SMALL_BADGE - 1 :]
    services.memory.put({_key(head): Confirmed(frozenset(latest))})


def _shown(head: Head) -> int:
    return head.last.seq if head.last else 0


def _key(head: Head) -> str:
    return f"s{head.channel_id}"
