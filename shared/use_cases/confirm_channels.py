"""What is shown of a channel: its latest message and how much is unread, never of a post that did not come to stand.

A head shows a message from the moment that its position was reserved, and counts it. Where its writer was killed before
the commit, both are wrong until somebody settles the position. So before they are shown it is asked whether the message
stands; what stands once stands for ever, and is not asked for again by the same container.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Final

from shared.bootstrap import Services
from shared.cache.tier import get_one
from shared.domain.errors import UnavailableError
from shared.domain.messages import preview_of
from shared.domain.model import Entry, Head, Membership
from shared.runtime.parallel import map_concurrently
from shared.storage.log_reader import DirectLogReader, repair_preview
from shared.storage.protocol import Store

SMALL_BADGE: Final = 3
"""Where at most so many positions are unread, all of them are asked for: everybody sees a badge of 1 for nothing."""
CONFIRMED_BYTES: Final = 390
"""Of what is remembered of a channel in this process: an object, a set of four numbers (tests/shared/cache)."""
PAGE: Final = 100
"""Positions that are read at once to find the latest message: four batches."""
MAX_PAGES: Final = 10
REPAIRS: Final = 3
"""Times that a channel is read again whose messages are redacted meanwhile."""
Channel = tuple[Head, Membership]


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Positions of a channel, the latest only, of which nothing more is to be learned. Stays in this process."""

    seqs: frozenset[int]
    size: int = CONFIRMED_BYTES


def confirm(services: Services, channels: Sequence[Channel]) -> list[Channel]:
    """The channels with previews of messages that a read returns, and counts as they are then.

    Nothing is asked where the caller has read as far as the preview, or this container has seen the message before.
    Otherwise half a read unit for each channel (each 4 KB of its latest message; up to four times that where at most
    ``SMALL_BADGE`` positions are unread), in one call for each 100 positions. Where a message is not seen so: a read
    unit for it, and if it does not stand a page, what it takes to settle holes there, and the head.

    A channel of which the storage cannot be asked is returned as it is.
    """
    doubtful = {head.channel_id: _doubtful(services, head, membership) for head, membership in channels}
    asked = [(channel_id, seq) for channel_id, seqs in doubtful.items() for seq in sorted(seqs)]
    if not asked:
        return list(channels)
    try:
        seen = services.store.standing(asked)
    except UnavailableError:
        return list(channels)
    lacking: dict[str, frozenset[int]] = {}
    for head, _ in channels:
        missed = frozenset(seq for seq in doubtful[head.channel_id] if not seen.get((head.channel_id, seq)))
        _remember(services, head, doubtful[head.channel_id] - missed)
        if missed:
            lacking[head.channel_id] = missed
    heads = [head for head, _ in channels if head.channel_id in lacking]
    repaired = map_concurrently(
        lambda head: _repaired(services, head, lacking[head.channel_id]), heads, services.background
    )
    current = {head.channel_id: head for head in repaired}
    return [(current.get(head.channel_id, head), membership) for head, membership in channels]


def confirm_one(services: Services, head: Head, membership: Membership | None) -> Head:
    """As above; who is no member is shown nothing that could be wrong."""
    return confirm(services, [(head, membership)])[0][0] if membership else head


def read_position(store: Store, head: Head, seq: int) -> tuple[int, int, int]:
    """Of the last entry up to a position: where it stands, and how many messages and gaps are counted up to it.

    A hole there is no entry yet: if it becomes a message, that message is unread. One Query of one entry; another one,
    of a read unit, where more gaps came since than the head keeps.
    """
    latest = store.latest_entries(head.channel_id, seq, 1) if seq else []
    if not latest:
        return 0, 0, 0
    after = head.gaps_after(latest[0].seq)
    if after is None:
        after = store.count_gaps(head.channel_id, latest[0].seq)
    return latest[0].seq, latest[0].messages, max(0, head.voids - after)


def _doubtful(services: Services, head: Head, membership: Membership) -> frozenset[int]:
    """Positions that the caller is about to be shown, or counted, as messages, and that may hold none."""
    shown = _shown(head)
    unsure = shown > membership.read_seq or shown in head.gaps or _is_older(head, membership)
    wanted = {shown} if shown and unsure else set()
    if head.seq - membership.read_seq <= SMALL_BADGE:
        wanted |= set(range(membership.read_seq + 1, head.seq + 1)) - head.gaps
    if not wanted:
        return frozenset()
    known = get_one(services.memory, _key(head), Confirmed)
    return frozenset(wanted - known.seqs if known else wanted)


def _is_older(head: Head, membership: Membership) -> bool:
    """Whether the membership, which was read beside the head, knows more of the log than the head does.

    Then what the head shows may have been in flight, and be a void by now, though the caller has read further.
    """
    return membership.read_seq > head.seq or membership.read_voids > head.voids


def _repaired(services: Services, head: Head, lacking: frozenset[int]) -> Head:
    """The head after it was asked again, strongly, and the end of its log settled where a message does not stand.

    A live writer's position may still be open: it is counted, as it is about to be a message, and not shown yet.
    """
    try:
        if _stand(services.store, head, lacking):
            _remember(services, head, lacking)
            return head
        for _ in range(REPAIRS):
            latest, settled_to = _settled(services, head)
            current = services.store.head(head.channel_id)
            if current is not None and current.erasures == head.erasures:
                settled = {seq for seq in lacking if seq <= settled_to and seq != _shown(current)}
                _remember(services, head, settled | ({latest.seq} if latest else set()))
                return current if latest and _shown(current) == latest.seq else _showing(current, latest)
            head = current or head
    except UnavailableError:
        return head
    return _showing(head, None)


def _stand(store: Store, head: Head, seqs: frozenset[int]) -> bool:
    found = store.entries(head.channel_id, min(seqs), max(seqs))
    return seqs <= {entry.seq for entry in found if entry.body is not None}


def _settled(services: Services, head: Head) -> tuple[Entry | None, int]:
    """The latest message that stands, and up to where the log is settled: read back until there is one."""
    reader = DirectLogReader(services.store, services.sleep, services.now)
    first, last, settled_to = head.seq + 1, head.seq, 0
    for _ in range(MAX_PAGES):
        first, last = max(1, first - PAGE), first - 1
        span = reader.read(head, first, last)
        settled_to = settled_to or (span.last if span.bodies else 0)
        messages = [(seq, body) for seq, body in enumerate(span.bodies, span.first) if body is not None]
        if messages or first == 1:
            break
    if _shown(head) in head.gaps:
        repair_preview(services.store, head.channel_id, _shown(head))
    return (Entry(messages[-1][0], 0, 0, messages[-1][1]) if messages else None), settled_to


def _showing(head: Head, latest: Entry | None) -> Head:
    return replace(head, last=preview_of(latest) if latest else None)


def _remember(services: Services, head: Head, seqs: AbstractSet[int]) -> None:
    """Of what is settled only what may be asked for again: the latest positions."""
    if not seqs:
        return
    known = get_one(services.memory, _key(head), Confirmed)
    latest = sorted(known.seqs.union(seqs) if known else seqs)[-SMALL_BADGE - 1 :]
    services.memory.put({_key(head): Confirmed(frozenset(latest))})


def _shown(head: Head) -> int:
    return head.last.seq if head.last else 0


def _key(head: Head) -> str:
    return f"s{head.channel_id}"
