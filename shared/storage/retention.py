"""Finds how far a log has expired, and keeps it in the head as the boundary.

Readers go by the boundary alone: DynamoDB deletes expired entries days late, in any order. So a missing position up to
the boundary has expired or never had a message, and one after it is a hole. That holds because whoever posts brings the
boundary up to date first: an entry that DynamoDB may have deleted by now was behind the boundary of the next post.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from shared.domain.model import Boundary, Entry, Head
from shared.domain.retention import cutoff
from shared.storage.log_reader import HOLE_WAITS_SECONDS, OLD_MS, UNCERTAIN_CHANGES
from shared.storage.protocol import Log

WIDER: Final = 8
"""Factor by which the search widens from the old boundary."""
TRIES: Final = 3
"""Of moving a boundary that another process moves, less far."""


def advance(log: Log, head: Head, now: int, sleep: Callable[[float], None] = time.sleep) -> Head:
    """The head with the boundary as of now; at most once an hour for each log this reads and writes.

    Then it costs a read of one entry, and where n messages have expired since, about 1.4 log2(n) + 3 more, half a read
    unit each at least; up to 2 read units for the latest changes and gaps; and 1 write unit. If the latest message has
    expired, 1 write unit more removes its text from the preview.
    """
    wanted = cutoff(head, now)
    if wanted <= head.boundary.cutoff:
        return head
    for _ in range(TRIES):
        found = _found(log, head, wanted, now, sleep)
        # Another process may have moved it meanwhile; whichever is there counts.
        head = replace(head, boundary=log.move_boundary(head.channel_id, head.boundary, found))
        if wanted <= head.boundary.cutoff:
            break
    boundary = head.boundary
    if head.last and head.last.text and head.last.seq <= boundary.seq:
        emptied = replace(head.last, text="")
        log.correct_preview(head.channel_id, head.last.seq, emptied, head.erasures, head.rev)
    return head


def with_boundary_found(log: Log, head: Head, now: int, sleep: Callable[[float], None]) -> Head:
    """As ``advance``, but writes nothing: for operators who may only read."""
    wanted = cutoff(head, now)
    if wanted <= head.boundary.cutoff:
        return head
    return replace(head, boundary=_found(log, head, wanted, now, sleep))


def _found(log: Log, head: Head, wanted: int, now: int, sleep: Callable[[float], None]) -> Boundary:
    expired, following = _search(log, head, wanted)
    old = head.boundary
    seq, messages = (expired.seq, expired.messages) if expired else (old.seq, old.messages)
    # What is missing between two entries, or at the end, has expired or was never written: but for a young entry's
    # neighbours, whose writers may be at work.
    if following is None:
        if now - head.active_at > OLD_MS and head.seq > seq:
            seq, messages = head.seq, head.messages
    elif now - following.at > OLD_MS:
        seq, messages = following.seq - 1, following.messages - 1
    _settle_changes(log, head, sleep)
    gaps = max(old.gaps, head.voids - _gaps_after(log, head, seq))
    return Boundary(seq, messages, gaps, head.rev, wanted)


def _search(log: Log, head: Head, wanted: int) -> tuple[Entry | None, Entry | None]:
    """The last entry that has expired since the boundary was found, and the entry after it.

    Times of neighbours may be in the wrong order by ``MAX_SKEW_MS``, which ``cutoff`` allows for.
    """
    expired: Entry | None = None
    low, step = head.boundary.seq, 0
    following = log.entry_after(head.channel_id, low)
    while following is not None and following.at < wanted:
        expired, low, step = following, following.seq, max(1, step) * WIDER
        following = log.entry_after(head.channel_id, low + step)
    # The boundary is an entry from ``low`` to ``high``; ``following`` is the first entry after ``high``.
    high = low + step
    while low < high:
        middle = (low + high) // 2
        entry = log.entry_after(head.channel_id, middle)
        if entry is not None and entry.at < wanted:
            expired, low = entry, entry.seq
        else:
            following, high = entry, middle
    return expired, following


def _settle_changes(log: Log, head: Head, sleep: Callable[[float], None]) -> None:
    """Waits until the latest changes are seen, as a transaction may be seen in part; after that, what lacks expired."""
    first = max(head.boundary.rev + 1, head.rev - UNCERTAIN_CHANGES + 1)
    for wait in HOLE_WAITS_SECONDS:
        if len(log.changes(head.channel_id, first, head.rev)) == head.rev - first + 1:
            return
        sleep(wait)


def _gaps_after(log: Log, head: Head, seq: int) -> int:
    known = head.gaps_after(seq)
    if known is not None:
        return known
    gaps = log.gaps(head.channel_id, seq) | {gap for gap in head.gaps if gap > seq}
    return sum(gap <= head.seq for gap in gaps)
