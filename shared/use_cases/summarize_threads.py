"""The summary of a thread in its root: how many replies, until when, and who replied first.

A summary is a change of the root in the channel's change log, on condition that channel and root are as they were read.
The count never passes the truth. It counts replies up to the first hole that were not deleted; a deletion writes the
lowered summary together with itself, also for a reply that is not counted yet. So a summary that was computed before
the deletion fails.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import takewhile
from typing import Any, Final

from shared.bootstrap import Services
from shared.domain.changes import (
    NO_SUMMARY,
    SHOWN_REPLIERS,
    Change,
    ChangeKind,
    Summary,
    is_redacted,
    summary_of,
    with_summary,
)
from shared.domain.errors import UnavailableError
from shared.domain.model import ERASED, ChannelState, Entry, Head, ThreadState
from shared.domain.retention import change_expires
from shared.storage.log_reader import DirectLogReader, Span
from shared.storage.protocol import ChangeCommit, Committed

EVERY: Final = 3
"""Replies that a summary may lack before a reply writes it: 2 write units a reply."""
BUSY_MS: Final = 1_000
"""A thread is busy if the reply before came less than so long ago. Most of its summaries would conflict."""
EVERY_IF_BUSY: Final = 25
"""At which positions the replies of a busy thread write the summary."""
TRIES: Final = 3
"""How often a reading of the thread tries to write its summary."""
CHUNK: Final = 100
MAX_CHUNKS: Final = 10
"""Replies that are read at once, and how often, to catch up with a thread."""


def summarize_after_post(
    services: Services, thread: ThreadState, head: Head, entries: Sequence[Entry], by: str
) -> None:
    """Writes the summary after these replies, if one is the first, or each third after it; in a busy thread each 25th.

    ``head`` is the thread's before them. One try: if anything changed meanwhile, a later reply or the next reading of
    the thread writes it, so that a busy thread does not contend on its root. Costs 6 write units and a Query where it
    writes.
    """
    summary = _current(thread)
    if summary is None:
        return
    first, last = entries[0].seq, entries[-1].seq
    is_busy = entries[0].at - head.active_at < BUSY_MS
    every, start = (EVERY_IF_BUSY, 0) if is_busy else (EVERY, summary.seq)
    is_due = (last - start) // every > (first - 1 - start) // every or (not summary.seq and first == 1)
    if not is_due:
        return
    with suppress(UnavailableError):
        end = min(last, summary.seq + CHUNK)
        found = {entry.seq: entry for entry in services.store.entries(head.channel_id, summary.seq + 1, end)}
        settled = [found[seq].body for seq in takewhile(found.__contains__, range(summary.seq + 1, end + 1))]
        counted = _counted(summary, settled)
        if counted.count != summary.count:
            services.store.commit_summary(_commit(services, thread, counted, by))


def summarize_after_read(services: Services, state: ChannelState, user_id: str) -> None:
    """Writes the summary if the thread, as it was just read, has more replies; never fails the reading.

    Costs nothing if the summary is right, else 6 write units; nothing more is read if the replies are in memory.
    """
    with suppress(UnavailableError):
        for _ in range(TRIES):
            thread, head = state.thread, state.head
            summary = _current(thread) if thread else None
            if thread is None or head is None or summary is None or head.seq <= summary.seq:
                return
            bodies = _after(services.reader.read, head, summary.seq)
            counted = _counted(summary, bodies)
            if counted.count == summary.count:
                return
            if services.store.commit_summary(_commit(services, thread, counted, user_id)) == Committed():
                return
            state = services.store.read_channel_state(head.channel_id, user_id)


def summary_without(
    services: Services, thread: ThreadState, head: Head, deleted: Entry, by: str
) -> ChangeCommit | None:
    """The summary that a deletion of this reply writes; None if the root takes no summary.

    Everything before the reply is settled first, so that the summary is complete to it.
    """
    summary = _current(thread)
    if summary is None:
        return None
    reader = DirectLogReader(services.store, services.sleep, services.now)
    counted = _counted(summary, _after(reader.read, head, summary.seq))
    sender = json.loads(deleted.body or b"{}")["sender"]
    repliers = counted.repliers
    if sender in repliers:
        bodies = reader.read(head, 1, min(counted.seq, CHUNK)).bodies
        others = [body for seq, body in enumerate(bodies, 1) if seq != deleted.seq]
        repliers = _first(filter(None, map(_replier, others)), [each for each in repliers if each != sender])
    count = counted.count - (deleted.seq <= counted.seq)
    return _commit(
        services,
        thread,
        replace(counted, count=count, at=counted.at if count else None, repliers=repliers),
        by,
    )


def _current(thread: ThreadState) -> Summary | None:
    """What the root says of its thread; None if it takes no summary, as it was redacted."""
    body = (thread.root and thread.root.body) or b""
    if not body or is_redacted(body):
        return None
    return summary_of(body) or NO_SUMMARY


def _after(read: Callable[[Head, int, int], Span], head: Head, seq: int) -> list[bytes | None]:
    """All that is settled in the thread after a position."""
    bodies: list[bytes | None] = []
    for _ in range(MAX_CHUNKS):
        first = seq + len(bodies) + 1
        last = min(head.seq, first + CHUNK - 1)
        span = read(head, first, last) if first <= last else Span(first, [])
        bodies += span.bodies
        if span.last < last or last == head.seq:
            break
    return bodies


def _counted(summary: Summary, bodies: Sequence[bytes | None]) -> Summary:
    """The summary with these entries, which follow it without a hole."""
    replies = [json.loads(body) for body in bodies if body is not None]
    there = [each for each in replies if "deleted" not in each]
    return Summary(
        summary.count + len(there),
        summary.seq + len(bodies),
        there[-1]["created_at"] if there else summary.at,
        _first([*summary.repliers, *(each["sender"] for each in there if each["sender"] != ERASED)]),
    )


def _first(users: Iterable[str], more: Iterable[str] = ()) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*users, *more]))[:SHOWN_REPLIERS]


def _replier(body: bytes | None) -> str | None:
    message: dict[str, Any] = json.loads(body or b"{}")
    sender = message.get("sender")
    return None if "deleted" in message or sender == ERASED else sender


def _commit(services: Services, thread: ThreadState, summary: Summary, by: str) -> ChangeCommit:
    root, rev = thread.root, thread.channel.rev + 1
    assert root is not None  # noqa: S101 - it has a summary
    body = with_summary(root.body or b"", rev, summary)
    until = change_expires(thread.channel, root)
    change = Change(rev, ChangeKind.THREAD, root.seq, by, services.now(), body, expires=until)
    return ChangeCommit(thread.channel, None, root, change, replace(root, body=body, rev=rev))
