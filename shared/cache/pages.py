"""Pages: from memory as they left before, else joined from blocks; and blocks: from memory, Redis or the storage.

The head was read in this request, so its ``seq`` vouches for how far the log goes: a range is served only if it is
there to its end. What stands at a settled position never changes but by a redaction, which raises the head's
``erasures``: that number is part of each block's key, so a block needs no invalidation. It is complete, or it is a
little behind and is caught up. See ``docs/adr/0009``.

A page that was compressed is kept as it left, for all who read the same page while nothing is posted. What determines
its bytes is compared: the range, and all of the head that a page shows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from shared.cache.blocks import Block, Cached, block_key, block_keys, block_of, block_range
from shared.cache.metrics import CacheMetrics
from shared.cache.tier import Tier
from shared.domain.model import Head
from shared.runtime.codings import PLAIN, Accepted, encode
from shared.storage.log_reader import LogReader, Span

ENCODED_BYTES: Final = 300
"""An encoded page beside its bytes: the object, its numbers, what Python adds to bytes (tests/shared/cache)."""
Form = Accepted
"""How a page is to leave: compressed, if it is large enough for that, or as it is."""
AS_IS: Final[Form] = PLAIN
State = tuple[int, ...]
_BOOLEANS: Final = (b"false", b"true")


# --- pages ---


@dataclass(frozen=True, slots=True)
class EncodedPage:
    """A page in a content coding; ``of`` is what its bytes were made of. Stays in this process."""

    of: State
    body: bytes

    @property
    def size(self) -> int:
        """Bytes in this process."""
        return ENCODED_BYTES + len(self.body)


@dataclass(frozen=True, slots=True)
class PageBytes:
    """A page as it goes out: ``coding`` is its content coding, None for JSON as it is."""

    body: bytes
    coding: str | None
    complete_to: int
    """The channel's last position; where the page ends at one that is still open, the one before that."""


def read_page(
    reader: LogReader,
    memory: Tier,
    metrics: CacheMetrics,
    head: Head,
    positions: tuple[int, int],
    widened: Callable[[Span], tuple[Span, bool]],
    form: Form = AS_IS,
) -> PageBytes:
    """A page's bytes: those that left before where nothing that they show has changed, else made of its messages.

    Memory is looked into once. Nothing else is asked where it has the page, or all of its blocks.

    Args:
        reader: for what memory lacks.
        memory: the tier in this process.
        metrics: counts the outcome.
        head: of the channel, read in this request.
        positions: the first and the last.
        widened: extends a range of voids; says whether what it returns is settled to its end.
        form: how the page is to leave.
    """
    first, last = positions
    blocks = block_keys(head.channel_id, head.erasures, first, last)
    key = encoded_key(head.channel_id, first, last, form.coding) if form.coding else ""
    # The blocks of a kept page are asked for too, so that they count as used: the next post is caught up from them.
    found = memory.get([key, *blocks])
    kept = found.get(key)
    if form.coding and isinstance(kept, EncodedPage) and kept.of == page_state(head, first, last):
        metrics.read("pages", "memory")
        return PageBytes(kept.body, form.coding, head.seq)
    span = _of_blocks(found, blocks, first)
    if span is None:
        span = reader.read(head, first, last)
    elif span.bodies:
        metrics.read("pages", "memory")
    span, complete = widened(span)
    body = page_json(head, span, has_more_after=complete and span.last < head.seq)
    body, coding = in_form(body, form)
    # A page that was extended depends on the window's direction too, which its key does not name: it is made anew.
    if coding and complete and (span.first, span.last) == positions:
        memory.put({key: EncodedPage(page_state(head, first, last), body)})
    return PageBytes(body, coding, head.seq if complete else span.last)


def in_form(body: bytes, form: Form) -> tuple[bytes, str | None]:
    """A page's bytes as they are to leave, and their content coding."""
    coding = form.choose(len(body))
    return (encode(body, coding), coding) if coding else (body, None)


def encoded_key(channel_id: str, first: int, last: int, coding: str) -> str:
    """One for each block, length and coding: a page takes the place of the one that a later post made wrong."""
    return f"e{channel_id}.{block_of(last)}.{last - first + 1}.{coding}"


def page_state(head: Head, first: int, last: int) -> State:
    """What determines the bytes of a channel's page that is complete to ``last``."""
    return first, last, head.seq, head.erasures


def page_json(head: Head, span: Span, *, has_more_after: bool) -> bytes:
    """The page around the stored messages, which are joined as they are."""
    closing = (
        b'],"first_seq":%d,"last_seq":%d,"channel_last_seq":%d,"has_more_before":%b,"has_more_after":%b}'
        % (
            span.first,
            span.last,
            head.seq,
            _BOOLEANS[span.first > 1],
            _BOOLEANS[has_more_after],
        )
    )
    # The ends are put to the first and last message, so that the whole is copied once.
    messages = span.messages() or [b""]
    messages[0] = b'{"channel_id":"%b","messages":[%b' % (head.channel_id.encode(), messages[0])
    messages[-1] += closing
    return b",".join(messages)


# --- blocks ---


class CachedLogReader:
    """See ``LogReader``.

    Args:
        direct: reads the storage, settled ranges only.
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
        """See ``LogReader``: nothing but memory where it has the whole range."""
        span = self.from_memory(head, first, last)
        if span is not None:
            if span.bodies:
                self._metrics.read("pages", "memory")
            return span
        blocks = self._remembered(head, first, last)
        fetched = self._fetched(head, blocks, first, last)
        blocks |= fetched
        outcome = self._shared.origin([_key(head, each) for each in fetched]) if fetched else "memory"
        if not _covers(blocks, first, last):
            outcome = self._fill(head, blocks, first, last)
        self._metrics.read("pages", outcome)
        return _span(blocks, first, last)

    def from_memory(self, head: Head, first: int, last: int) -> Span | None:
        """The range if memory has all of it: the way that nearly every read goes, so it does little else."""
        wanted = block_keys(head.channel_id, head.erasures, first, last)
        return _of_blocks(self._memory.get(list(wanted)), wanted, first)

    def _remembered(self, head: Head, first: int, last: int) -> dict[int, Block]:
        wanted = {_key(head, each): each for each in _blocks(first, last)}
        found = self._memory.get(list(wanted))
        return {wanted[key]: value for key, value in found.items() if isinstance(value, Block)}

    def _fetched(self, head: Head, blocks: dict[int, Block], first: int, last: int) -> dict[int, Block]:
        """What the shared tier adds to blocks that do not reach."""
        wanted = {
            _key(head, each): each
            for each in _blocks(first, last)
            if each not in blocks or not _reaches(blocks[each], each, first, last)
        }
        better: dict[int, Block] = {}
        for key, value in self._shared.get(list(wanted)).items():
            if isinstance(value, Block):
                mine = blocks.get(wanted[key])
                better[wanted[key]] = mine.joined(value) if mine else value
        self._memory.put({_key(head, each): block for each, block in better.items()})
        return better

    def _fill(self, head: Head, blocks: dict[int, Block], first: int, last: int) -> str:
        """Reads what the blocks lack, in one go, and says whether that was most of it."""
        low, high = _lacking(blocks, first, last)
        span = self._direct.read(head, low, high)
        fresh: dict[str, Block] = {}
        for each in _blocks(low, span.last):
            start, end = block_range(each)
            start, end = max(start, low), min(end, span.last)
            run = Block.of(start, span.bodies[start - low : end - low + 1])
            blocks[each] = blocks[each].joined(run) if each in blocks else run
            fresh[_key(head, each)] = blocks[each]
        self._memory.put(fresh)
        self._shared.put(fresh)
        held = (last - first + 1) - (high - low + 1)
        return "caught_up" if held >= high - low + 1 else "miss"


def _of_blocks(found: Mapping[str, Cached], wanted: Mapping[str, tuple[int, int]], first: int) -> Span | None:
    """The range, if these blocks hold all of it."""
    bodies: list[bytes | None] = []
    for key, (start, end) in wanted.items():
        block = found.get(key)
        if not isinstance(block, Block) or not block.covers(start, end):
            return None
        bodies += block.slice(start, end)
    return Span(first, bodies)


def _key(head: Head, block: int) -> str:
    return block_key(head.channel_id, block, head.erasures)


def _blocks(first: int, last: int) -> range:
    return range(block_of(first), block_of(last) + 1) if first <= last else range(0)


def _part(block: int, first: int, last: int) -> tuple[int, int]:
    """The part of a range that is in a block."""
    start, end = block_range(block)
    return max(start, first), min(end, last)


def _reaches(block: Block, number: int, first: int, last: int) -> bool:
    return block.covers(*_part(number, first, last))


def _covers(blocks: dict[int, Block], first: int, last: int) -> bool:
    return all(each in blocks and _reaches(blocks[each], each, first, last) for each in _blocks(first, last))


def _lacking(blocks: dict[int, Block], first: int, last: int) -> tuple[int, int]:
    """The smallest range to read so that the blocks cover ``first`` to ``last`` and stay without gaps."""
    low, high = last + 1, first - 1
    for each in _blocks(first, last):
        start, end = _part(each, first, last)
        block = blocks.get(each)
        if block is None:
            low, high = min(low, start), max(high, end)
            continue
        if start < block.first:
            low, high = min(low, start), max(high, block.first - 1)
        if end > block.last:
            low, high = min(low, block.last + 1), max(high, end)
    return low, high


def _span(blocks: dict[int, Block], first: int, last: int) -> Span:
    """The range as far as the blocks reach without a gap."""
    parts: list[Sequence[bytes | None]] = []
    for each in _blocks(first, last):
        start, end = _part(each, first, last)
        block = blocks.get(each)
        if block is None or block.first > start:
            break
        parts.append(block.slice(start, min(end, block.last)))
        if block.last < end:
            break
    return Span(first, list(chain.from_iterable(parts)))
