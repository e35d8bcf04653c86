"""Pages, from memory in encoded form or joined from blocks; and blocks, from memory, Redis or the storage.

The head was read in this request, so its ``seq`` is the log's current end; a range is served only if it is there to its
end. A settled position never changes except by a redaction, which increments the head's ``erasures``. That number is
part of each block's key, so blocks need no invalidation: a block is complete, or it lacks the latest entries, which are
then read. See ``docs/adr/0009``.

A compressed page is cached in its encoded form and used again while nothing is posted. It is valid if everything that
determines its bytes is the same: the range, and the fields of the head that a page shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shared.cache.blocks import (
    Block,
    Cached,
    ChangeRun,
    block_keys,
    block_of,
    block_range,
    changes_key,
)
from shared.cache.tier import Tier, get_one
from shared.domain import keys
from shared.domain.changes import Change
from shared.domain.model import Head
from shared.observability.meter import CacheMetrics
from shared.runtime.codings import PLAIN, Accepted, encode
from shared.storage.log_reader import UNCERTAIN_CHANGES, LogReader, Span

MAX_LAID_OVER: Final = 300
"""Changes that a block is caught up with; one that lacks more is read anew."""
ENCODED_BYTES: Final = 300
"""An encoded page without its body: the object, its numbers, the overhead of bytes (tests/shared/cache)."""
Form = Accepted
"""The content coding to send a page in; small pages are not compressed."""
AS_IS: Final[Form] = PLAIN
State = tuple[int, ...]
Parts = Mapping[str, tuple[int, int]]
"""The keys of a range's blocks, in order, each with the first and last position of its part of the range."""
_BOOLEANS: Final = (b"false", b"true")


# --- pages ---


@dataclass(frozen=True, slots=True)
class EncodedPage:
    """A page in a content coding; ``of`` is the state that determined its bytes. Not shared with other containers."""

    of: State
    body: bytes

    @property
    def size(self) -> int:
        """Bytes in this process."""
        return ENCODED_BYTES + len(self.body)


@dataclass(frozen=True, slots=True)
class PageBytes:
    """A page as it is sent; ``coding`` is its content coding, None for plain JSON."""

    body: bytes
    coding: str | None
    complete_to: int
    """The channel's last position, or the page's last one if the next position is not settled yet."""


def read_page(
    reader: LogReader,
    memory: Tier,
    metrics: CacheMetrics,
    head: Head,
    positions: tuple[int, int],
    widened: Callable[[Span], tuple[Span, bool]],
    form: Form = AS_IS,
) -> PageBytes:
    """A page's bytes: the cached encoded page if it is still valid, else built from its messages.

    Memory is read once; if it has the page or all of its blocks, nothing else is read.

    Args:
        reader: reads what memory lacks.
        memory: the tier in this process.
        metrics: counts the outcome.
        head: the channel's head, read in this request.
        positions: the first and the last position.
        widened: extends a range without messages; also returns whether the range is settled to its end.
        form: the content coding to use.
    """
    first, last = positions
    blocks = block_keys(head.channel_id, head.erasures, first, last)
    key = encoded_key(head.channel_id, first, last, form.coding) if form.coding else ""
    # The blocks of an encoded page are read too, so that they count as used: they are needed after the next post.
    found = memory.get([key, *blocks])
    kept = found.get(key)
    if form.coding and isinstance(kept, EncodedPage) and kept.of == page_state(head, first, last):
        metrics.read("pages", "memory")
        return PageBytes(kept.body, form.coding, head.seq)
    span = _of_blocks(found, blocks, first, head.rev)
    if span is None:
        span = reader.read(head, first, last)
    elif span.bodies:
        metrics.read("pages", "memory")
    span, complete = widened(span)
    body = page_json(head, span, has_more_after=complete and span.last < head.seq)
    body, coding = in_form(body, form)
    # An extended page also depends on the window's direction, which is not part of the key, so it is not cached.
    if coding and complete and (span.first, span.last) == positions:
        memory.put({key: EncodedPage(page_state(head, first, last), body)})
    return PageBytes(body, coding, head.seq if complete else span.last)


def in_form(body: bytes, form: Form) -> tuple[bytes, str | None]:
    """A page's bytes encoded as requested, and their content coding."""
    coding = form.choose(len(body))
    return (encode(body, coding), coding) if coding else (body, None)


def encoded_key(channel_id: str, first: int, last: int, coding: str) -> str:
    """One key for each block, length and coding, so that a page replaces the one that the next post made invalid."""
    return f"e{channel_id}.{block_of(last)}.{last - first + 1}.{coding}"


def page_state(head: Head, first: int, last: int) -> State:
    """What determines the bytes of a channel's page that is complete to ``last``."""
    return first, last, head.seq, head.erasures, head.rev, head.boundary.seq


def page_json(head: Head, span: Span, *, has_more_after: bool) -> bytes:
    """A page's JSON; the stored messages are joined unchanged."""
    expired = head.boundary.seq
    closing = (
        b'],"first_seq":%d,"last_seq":%d,"channel_last_seq":%d,"channel_last_rev":%d,"has_more_before":%b,"has_more_after":%b%b}'
        % (
            span.first,
            span.last,
            head.seq,
            head.rev,
            _BOOLEANS[span.first > expired + 1],
            _BOOLEANS[has_more_after],
            b',"expired_before":%d' % (expired + 1) if expired and span.first <= expired + 1 else b"",
        )
    )
    # Start and end are added to the first and last message, so that the whole is copied only once.
    messages = span.messages() or [b""]
    messages[0] = b'{%b,"messages":[%b' % (keys.log_json(head.channel_id), messages[0])
    messages[-1] += closing
    return b",".join(messages)


# --- blocks ---


class CachedLogReader:
    """See ``LogReader``.

    Args:
        direct: reads settled ranges from the storage.
        memory: the tier in this process.
        shared: the tier that containers share.
        metrics: counts outcomes.
    """

    def __init__(self, direct: LogReader, memory: Tier, shared: Tier, metrics: CacheMetrics) -> None:
        self._direct = direct
        self._memory = memory
        self._shared = shared
        self._metrics = metrics

    def begin(self) -> None:
        """See ``LogReader``."""
        self._shared.begin()

    def read(self, head: Head, first: int, last: int) -> Span:
        """See ``LogReader``; reads other tiers only for blocks that memory lacks or has in part."""
        wanted = block_keys(head.channel_id, head.erasures, first, last)
        found = self._memory.get(list(wanted))
        span = _of_blocks(found, wanted, first, head.rev)
        if span is not None:
            if span.bodies:
                self._metrics.read("pages", "memory")
            return span
        blocks = _blocks_in(found)
        fetched = self._from_shared(blocks, wanted)
        blocks |= fetched
        outcome = self._shared.origin(fetched) if fetched else "memory"
        blocks = {key: block for key, block in blocks.items() if head.rev - block.rev <= MAX_LAID_OVER}
        filled: list[str] = []
        low, high = _lacking(blocks, wanted)
        if low <= high:
            filled = self._fill(head, blocks, wanted, low, high)
            outcome = "caught_up" if high - low + 1 <= (last - first + 1) // 2 else "miss"
        if behind := {key: block for key, block in blocks.items() if block.rev < head.rev}:
            blocks |= self._caught_up(head, behind)
            outcome = outcome if outcome == "miss" else "caught_up"
        self._shared.put({key: blocks[key] for key in filled})
        self._metrics.read("pages", outcome)
        return _span(blocks, wanted, first)

    def from_memory(self, head: Head, first: int, last: int) -> Span | None:
        """The range if memory has all of it."""
        wanted = block_keys(head.channel_id, head.erasures, first, last)
        return _of_blocks(self._memory.get(list(wanted)), wanted, first, head.rev)

    def changes(self, head: Head, first: int, last: int) -> Sequence[Change]:
        """See ``LogReader``: the latest from memory."""
        key = changes_key(head.channel_id, head.erasures)
        run = get_one(self._memory, key, ChangeRun)
        known = run.since(first - 1) if run else None
        if run is not None and known is not None and run.changes[-1].rev >= last:
            return [each for each in known if each.rev <= last]
        # What is known reaches up to some number: only what came after it is read.
        start = known[-1].rev + 1 if known else first
        found = [*(known or ()), *self._direct.changes(head, start, last)]
        if found and found[-1].rev == head.rev:
            self._memory.put({key: ChangeRun.of(found[-MAX_LAID_OVER:])})
        return found

    def _caught_up(self, head: Head, blocks: Mapping[str, Block]) -> dict[str, Block]:
        """The blocks with all changes up to the head's."""
        changes = self.changes(head, min(block.rev for block in blocks.values()) + 1, head.rev)
        fresh = {key: block.caught_up(changes, head.rev) for key, block in blocks.items()}
        self._memory.put(fresh)
        return fresh

    def _from_shared(self, blocks: Mapping[str, Block], wanted: Parts) -> dict[str, Block]:
        """The shared tier's blocks for those that are missing or incomplete, joined with these."""
        asked = [key for key, part in wanted.items() if key not in blocks or not blocks[key].covers(*part)]
        found = _blocks_in(self._shared.get(asked))
        better = {key: blocks[key].joined(each) if key in blocks else each for key, each in found.items()}
        self._memory.put(better)
        return better

    def _fill(self, head: Head, blocks: dict[str, Block], wanted: Parts, low: int, high: int) -> list[str]:
        """Adds the positions ``low`` to ``high`` to the blocks, from the storage; returns the keys of those blocks."""
        span = self._direct.read(head, low, high)
        rev = max(0, head.rev - UNCERTAIN_CHANGES)
        filled = []
        for key, (position, _) in wanted.items():
            # Beyond its part of the range too, where that is what connects it with a cached run.
            start, end = block_range(block_of(position))
            first, last = max(start, low), min(end, span.last)
            if first <= last:
                run = Block.of(first, span.bodies[first - low : last - low + 1], rev)
                blocks[key] = blocks[key].joined(run) if key in blocks else run
                filled.append(key)
        self._memory.put({key: blocks[key] for key in filled})
        return filled


def _blocks_in(found: Mapping[str, Cached]) -> dict[str, Block]:
    return {key: value for key, value in found.items() if isinstance(value, Block)}


def _of_blocks(found: Mapping[str, Cached], wanted: Parts, first: int, rev: int) -> Span | None:
    """The range, if these blocks hold all of it, with all changes up to ``rev``."""
    bodies: list[bytes | None] = []
    for key, (start, end) in wanted.items():
        block = found.get(key)
        if not isinstance(block, Block) or block.rev < rev or not block.covers(start, end):
            return None
        bodies += block.slice(start, end)
    return Span(first, bodies)


def _lacking(blocks: Mapping[str, Block], wanted: Parts) -> tuple[int, int]:
    """The smallest range to read so that the blocks cover all parts without gaps; (1, 0) if they do already."""
    lacking: list[int] = []
    for key, (start, end) in wanted.items():
        block = blocks.get(key)
        if block is None:
            lacking += (start, end)
            continue
        if start < block.first:
            lacking += (start, block.first - 1)
        if end > block.last:
            lacking += (block.last + 1, end)
    return min(lacking, default=1), max(lacking, default=0)


def _span(blocks: Mapping[str, Block], wanted: Parts, first: int) -> Span:
    """The range as far as the blocks reach without a gap."""
    bodies: list[bytes | None] = []
    for key, (start, end) in wanted.items():
        block = blocks.get(key)
        if block is None or block.first > start:
            break
        bodies += block.slice(start, min(end, block.last))
        if block.last < end:
            break
    return Span(first, bodies)
