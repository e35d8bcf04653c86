"""Reading a range of a log: only what is settled. Direct from the storage; a cache fills the same interface.

A hole is a position that was given out and not committed, or not yet. One at the end of the log does no harm. One
before a committed entry must be settled before that entry is served, or a client that polls after the later entry
would never see the earlier.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final, Protocol

from shared.domain.changes import Change
from shared.domain.clock import MAX_SKEW_MS, now_ms
from shared.domain.messages import preview_of
from shared.domain.model import MAX_GAPS, Entry, Head
from shared.storage.protocol import Log

HOLE_WAITS_SECONDS: Final = (0.005, 0.010, 0.020, 0.040)
"""How long a reader waits for the writer of a hole before it settles it, where the storage is as fast as usual."""
PROMPT_MS: Final = 25
"""Where reading the range takes longer than this, writers take longer too: they are waited for in proportion. With 64
writers on one slow engine (0.5 s a post), 75 ms voided 4 posts of a run (``python -m bench.contention``)."""
MAX_SLOWNESS: Final = 20
"""So that no reader waits for more than 1.5 s, of the 10 s that a function has."""
OLD_MS: Final = MAX_SKEW_MS
"""A hole before an entry of this age, or of a channel that was quiet for so long, is settled at once: its writer had
its time whatever its clock said. Any other is waited for: a clock ahead must not cost a live writer its number."""
DEAD_MS: Final = 15_000
"""A hole at the end of the log after this time is settled too: its writer's function (10 s) has ended."""
PREVIEW_SEARCH: Final = 25
PREVIEW_SEARCHES: Final = 10
PREVIEW_REPAIRS: Final = 5
"""A preview is looked for in at most so many queries of so many entries, while others move it so many times."""


@dataclass(frozen=True, slots=True)
class Span:
    """What stands at positions ``first`` to ``last``: a message's JSON, or None for a void.

    ``last`` is less than was asked for where the rest is still open.
    """

    first: int
    bodies: list[bytes | None]

    @property
    def last(self) -> int:
        """The last position covered; ``first - 1`` where there is none."""
        return self.first + len(self.bodies) - 1

    def messages(self) -> list[bytes]:
        """The messages without the voids."""
        return [body for body in self.bodies if body is not None]


class LogReader(Protocol):
    """Reads ranges of logs."""

    def begin(self) -> None:
        """A request begins: what can be done beside its vouching read is started."""

    def from_memory(self, head: Head, first: int, last: int) -> Span | None:
        """The range if this process has all of it as of that head; for when the storage does not answer."""

    def read(self, head: Head, first: int, last: int) -> Span:
        """Positions ``first`` to ``last``, ``last <= head.seq``, for a head read in this request."""

    def changes(self, head: Head, first: int, last: int) -> Sequence[Change]:
        """The changes of these numbers, ``last <= head.rev``, for a head read in this request."""


class DirectLogReader:
    """Reads the storage each time: the tier "none".

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
        """Nothing is remembered."""
        return None

    def read(self, head: Head, first: int, last: int) -> Span:
        """See ``LogReader``: one Query where there is no hole."""
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
        """See ``LogReader``: one Query. There are no holes, as a change gets its number when it is made."""
        return self._log.changes(head.channel_id, first, last)

    def _entries(self, channel_id: str, first: int, last: int) -> dict[int, Entry]:
        if last < first:
            return {}
        return {entry.seq: entry for entry in self._log.entries(channel_id, first, last)}

    def _later(self, head: Head, found: dict[int, Entry], holes: list[int], last: int) -> Entry | None:
        """The entry that the holes stand before: none for holes at the end of the log."""
        if not holes:
            return None
        latest = found[max(found)] if found else None
        if last < head.seq and (latest is None or latest.seq < holes[-1]):
            return self._log.entry_after(head.channel_id, last) or latest
        return latest

    def _repair(self, head: Head, found: dict[int, Entry]) -> None:
        """Puts the preview right that shows a void, settled just now or by somebody who failed before this.

        Or that a void behind the latest message put back, before that message was committed.
        """
        shown = head.last.seq if head.last else 0
        latest = max((seq for seq, entry in found.items() if entry.body is not None), default=0)
        if shown in found and found[shown].body is None:
            repair_preview(self._log, head.channel_id, shown)
        elif latest > shown:
            self._log.correct_preview(
                head.channel_id, shown, preview_of(found[latest]), head.erasures, head.rev
            )

    def _void(self, head: Head, seq: int, later: Entry | None) -> Entry:
        counted = later.messages - (later.seq - seq) if later else head.messages - (head.seq - seq)
        return Entry(seq, counted, self._now(), None)


def _next(found: dict[int, Entry], seq: int) -> Entry | None:
    return min(
        (entry for entry in found.values() if entry.seq > seq), key=lambda entry: entry.seq, default=None
    )


def settle(log: Log, head: Head, voids: Sequence[Entry]) -> list[Entry]:
    """Settles holes: the entries that stand there now, each the void given or what was there before it.

    The head may have been read at any time before: where it has more gaps than it keeps, the smallest of those known
    are removed. What others added meanwhile is larger, or stays until the next ones come.
    """
    standing = log.void(head.channel_id, voids)
    trim(log, head, [each.seq for each in standing if each.body is None])
    return standing


def trim(log: Log, head: Head, gaps: Iterable[int]) -> None:
    """Removes the smallest gaps from a head that has more than it keeps, now that these came; may be repeated."""
    trimmed = sorted(head.gaps.union(gaps))[:-MAX_GAPS]
    if trimmed:
        # Those of voids are listed already; which of the head's are deleted messages it does not say.
        log.list_gaps(head.channel_id, head.gaps.intersection(trimmed))
        log.trim_gaps(head.channel_id, trimmed, max(trimmed[-1], head.gaps_from))


def repair_preview(log: Log, channel_id: str, voided: int) -> None:
    """Shows the latest message before a void, where the head shows the message that never came, or an earlier one.

    An earlier one was put back by somebody who did not see the latest yet. The head is read before the entries: a
    redaction in between is one that the correction then sees.
    """
    for _ in range(PREVIEW_REPAIRS):
        head = log.head(channel_id)
        shown = head.last.seq if head and head.last else 0
        if head is None or shown > voided:
            return  # Somebody posted since: one read unit instead of a query and a write that fails.
        latest = _latest_message(log, channel_id, voided - 1)
        if shown < voided and (latest is None or latest.seq <= shown):
            return
        preview = preview_of(latest) if latest else None
        if log.correct_preview(channel_id, shown, preview, head.erasures, head.rev):
            return


def _latest_message(log: Log, channel_id: str, up_to: int) -> Entry | None:
    for _ in range(PREVIEW_SEARCHES):
        entries = log.latest_entries(channel_id, up_to, PREVIEW_SEARCH)
        latest = next((entry for entry in entries if entry.body is not None), None)
        if latest or not entries:
            return latest
        up_to = entries[-1].seq - 1
    return None
