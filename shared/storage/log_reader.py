"""Reads ranges of a log, only settled positions, directly from the storage. The cache implements the same interface.

A hole is a position that was reserved and is not committed (yet). A hole at the end of the log does no harm. A hole
before a committed entry must be settled before that entry is served; otherwise a client that polls after the later
entry would never see the earlier one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Final, Protocol

from shared.domain.changes import Change, lay_over
from shared.domain.clock import MAX_SKEW_MS, now_ms
from shared.domain.errors import StoreUnavailableError
from shared.domain.messages import preview_of
from shared.domain.model import MAX_GAPS, Entry, Head, Preview
from shared.storage.protocol import Log

HOLE_WAITS_SECONDS: Final = (0.005, 0.010, 0.020, 0.040)
"""How long a reader waits for the writer of a hole before settling it, when the storage is as fast as usual."""
PROMPT_MS: Final = 25
"""If reading the range takes longer than this, writers are slow too, and the waits grow in proportion. With 64 writers
on one slow engine (0.5 s a post), waits of 75 ms in all voided 4 posts in a run (``python -m bench.contention``)."""
MAX_SLOWNESS: Final = 20
"""Limits the waits to 1.5 s in all, of the 10 s that a function has."""
OLD_MS: Final = MAX_SKEW_MS
"""A hole is settled without waiting if the entry after it, or the channel's last activity, is older than this: its
writer has had enough time by any clock. Below this age a reader waits, as its clock may be ahead of a live writer's."""
DEAD_MS: Final = 15_000
"""Holes at the end of the log are settled too once the channel was quiet for this long: the writer's function (10 s)
has ended."""
UNCERTAIN_CHANGES: Final = 20
"""The latest changes that messages which were just read may lack: DynamoDB applies the writes of a transaction one by
one, so a head may be seen before the message that changed with it. They are laid over; the change log has no gaps."""
PREVIEW_SEARCH: Final = 25
PREVIEW_SEARCHES: Final = 10
PREVIEW_REPAIRS: Final = 5
"""A repair searches the latest message in at most ``PREVIEW_SEARCHES`` queries of ``PREVIEW_SEARCH`` entries, and
starts again at most ``PREVIEW_REPAIRS`` times in all if others change the preview."""


@dataclass(frozen=True, slots=True)
class Span:
    """The content of positions ``first`` to ``last``: for each a message's JSON, or None for a void.

    ``last`` is less than requested if the rest is not settled yet.
    """

    first: int
    bodies: list[bytes | None]

    @property
    def last(self) -> int:
        """The last position covered; ``first - 1`` if there is none."""
        return self.first + len(self.bodies) - 1

    def messages(self) -> list[bytes]:
        """The messages without the voids."""
        return [body for body in self.bodies if body is not None]


class LogReader(Protocol):
    """Reads ranges of logs."""

    def begin(self) -> None:
        """Called when a request begins: starts what can run in parallel with reading the channel state."""

    def from_memory(self, head: Head, first: int, last: int) -> Span | None:
        """The range if this process has all of it as of that head; used when the storage does not respond."""

    def read(self, head: Head, first: int, last: int) -> Span:
        """Positions ``first`` to ``last``, with ``last <= head.seq``; the head must have been read in this request.

        ``first`` is after the head's boundary: a hole before it would be taken for one that must be settled.
        """

    def changes(self, head: Head, first: int, last: int) -> Sequence[Change]:
        """The changes of these numbers, ``last <= head.rev``, for a head read in this request."""


class DirectLogReader:
    """Reads the storage every time: the cache tier "none".

    Args:
        log: the storage.
        sleep: waits for a number of seconds.
        now: milliseconds since 1970.
    """

    def __init__(
        self,
        log: Log,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], int] = now_ms,
    ) -> None:
        self._log = log
        self._sleep = sleep
        self._now = now

    def begin(self) -> None:
        """Nothing to start."""

    def from_memory(self, head: Head, first: int, last: int) -> Span | None:  # noqa: ARG002 - the interface
        """Nothing is cached."""
        return None

    def read(self, head: Head, first: int, last: int) -> Span:
        """See ``LogReader``: one Query if there is no hole."""
        began = self._now()
        found = self._entries(head.channel_id, first, last)
        slowness = min(max(1.0, (self._now() - began) / PROMPT_MS), MAX_SLOWNESS)
        for wait in (*HOLE_WAITS_SECONDS, None):
            holes = [seq for seq in range(first, last + 1) if seq not in found]
            later = self._later(head, found, holes, last)
            dead = self._now() - head.active_at > DEAD_MS
            due = [seq for seq in holes if dead or (later and seq < later.seq)]
            if not due:
                break
            since = later.at if later and not dead else head.active_at
            if wait is None or self._now() - since > OLD_MS:
                voids = [self._void(head, seq, _next(found, seq) or later) for seq in due]
                found |= {entry.seq: entry for entry in settle(self._log, head, voids)}
                break
            self._sleep(wait * slowness)
            found |= self._entries(head.channel_id, holes[0], holes[-1])
        self._repair(head, found)
        settled = takewhile(found.__contains__, range(first, last + 1))
        return Span(first, [found[seq].body for seq in settled])

    def changes(self, head: Head, first: int, last: int) -> Sequence[Change]:
        """See ``LogReader``: one Query.

        A change gets its number when it is made, so there are no holes. One that expired is ``Change.gone``.

        Raises:
            StoreUnavailableError: a change that the head counts is not there, after some waiting.
        """
        found = {each.rev: each for each in self._log.changes(head.channel_id, first, last)}
        # What lacks up to the boundary has expired; for the rest, the head may be seen a moment before the change.
        sure = range(max(first, head.boundary.rev + 1), last + 1)
        for wait in HOLE_WAITS_SECONDS:
            missing = [rev for rev in sure if rev not in found]
            if not missing:
                break
            self._sleep(wait)
            found |= {each.rev: each for each in self._log.changes(head.channel_id, missing[0], missing[-1])}
        if not all(rev in found for rev in sure):
            raise StoreUnavailableError(retry_after=1)
        return [found.get(rev) or Change.gone(rev) for rev in range(first, last + 1)]

    def _entries(self, channel_id: str, first: int, last: int) -> dict[int, Entry]:
        if last < first:
            return {}
        return {entry.seq: entry for entry in self._log.entries(channel_id, first, last)}

    def _later(self, head: Head, found: dict[int, Entry], holes: list[int], last: int) -> Entry | None:
        """An entry after the holes; None for holes at the end of the log."""
        if not holes:
            return None
        latest = found[max(found)] if found else None
        if last < head.seq and (latest is None or latest.seq < holes[-1]):
            return self._log.entry_after(head.channel_id, last) or latest
        return latest

    def _repair(self, head: Head, found: dict[int, Entry]) -> None:
        """Repairs the preview if it shows a void, or an earlier message than the latest one in the range.

        The first happens when the reader that settled the void failed before its repair; the second when a void was
        repaired before the latest message was committed.
        """
        shown = head.last.seq if head.last else 0
        latest = max((seq for seq, entry in found.items() if entry.body is not None), default=0)
        if shown in found and found[shown].body is None:
            repair_preview(self._log, head.channel_id, shown)
        elif latest > shown:
            preview = current_preview(self._log, head, found[latest])
            if preview is not None:
                self._log.correct_preview(head.channel_id, shown, preview, head.erasures, head.rev)

    def _void(self, head: Head, seq: int, later: Entry | None) -> Entry:
        counted = later.messages - (later.seq - seq) if later else head.messages - (head.seq - seq)
        # Times are in the order of positions, so that the boundary of what expired is found by halving.
        return Entry(seq, counted, later.at if later else self._now(), None)


def _next(found: dict[int, Entry], seq: int) -> Entry | None:
    return min(
        (entry for entry in found.values() if entry.seq > seq), key=lambda entry: entry.seq, default=None
    )


def settle(log: Log, head: Head, voids: Sequence[Entry]) -> list[Entry]:
    """Settles holes and returns the entries now there: the given voids, or what a position held already.

    If the head then has more gaps than ``MAX_GAPS``, the smallest known ones are removed. ``head`` may be out of date:
    gaps that others have added since are larger, or remain until the next gaps are added.
    """
    standing = log.void(head.channel_id, voids)
    trim(log, head, [each.seq for each in standing if each.body is None], are_listed=True)
    return standing


def trim(log: Log, head: Head, gaps: Iterable[int], *, are_listed: bool = False) -> None:
    """Removes the smallest gaps from a head that has more than ``MAX_GAPS``; may be repeated.

    Args:
        log: the log.
        head: the head before ``gaps`` were added.
        gaps: the gaps that were added.
        are_listed: whether ``gaps`` are listed already, as those of voids are.
    """
    trimmed = sorted(head.gaps.union(gaps))[:-MAX_GAPS]
    if trimmed:
        # The head does not say which of its gaps are deleted messages, which are not listed yet.
        log.list_gaps(head.channel_id, head.gaps.intersection(trimmed) if are_listed else trimmed)
        log.trim_gaps(head.channel_id, trimmed, max(trimmed[-1], head.gaps_from))


def repair_preview(log: Log, channel_id: str, voided: int) -> None:
    """Sets the preview to the latest message before a void, if it shows the void's lost message or an earlier message.

    It shows an earlier message if another repair did not see the latest one yet. The head is read before the entries,
    so that the write notices a redaction in between.
    """
    for _ in range(PREVIEW_REPAIRS):
        head = log.head(channel_id)
        shown = head.last.seq if head and head.last else 0
        if head is None or shown > voided:
            return  # A later post has replaced it: saves a query and a write that would fail.
        latest = _latest_message(log, channel_id, voided - 1)
        if latest and latest.seq <= head.boundary.seq:
            latest = None
        if shown < voided and (latest is None or latest.seq <= shown):
            return
        preview = current_preview(log, head, latest) if latest else None
        if latest and preview is None:
            continue
        if log.correct_preview(channel_id, shown, preview, head.erasures, head.rev):
            return


def current_preview(log: Log, head: Head, entry: Entry) -> Preview | None:
    """A message's preview with all changes up to the head's; None if not all of the latest changes are seen yet."""
    if not head.rev:
        return preview_of(entry)
    first = max(1, head.rev - UNCERTAIN_CHANGES + 1)
    latest = log.changes(head.channel_id, first, head.rev)
    if sum(each.rev > head.boundary.rev for each in latest) < head.rev - max(first - 1, head.boundary.rev):
        return None
    [body] = lay_over(entry.seq, [entry.body], latest)
    return preview_of(replace(entry, body=body))


def _latest_message(log: Log, channel_id: str, up_to: int) -> Entry | None:
    for _ in range(PREVIEW_SEARCHES):
        entries = log.latest_entries(channel_id, up_to, PREVIEW_SEARCH)
        latest = next((entry for entry in entries if entry.body is not None), None)
        if latest or not entries:
            return latest
        up_to = entries[-1].seq - 1
    return None
