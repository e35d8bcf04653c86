"""Reading ranges of logs through the cache: blocks from memory, then Redis; what they lack from the storage.

The head was read in this request, so its ``seq`` vouches for how far the log goes: a range is served only if it is
there to its end. What stands at a settled position never changes but by a redaction, which raises the head's
``erasures``: that number is part of each block's key, so a block needs no invalidation. It is complete, or it is a
little behind and is caught up. See ``docs/adr/0009``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from shared.cache.interface import Tier
from shared.cache.metrics import CacheMetrics
from shared.cache.values import Block, block_key, block_of, block_range
from shared.log_reader import LogReader, Span
from shared.model import Head


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
        span = self.remembered(head, first, last)
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

    def remembered(self, head: Head, first: int, last: int) -> Span | None:
        """The range if memory has all of it: the way that nearly every read goes, so it does little else."""
        wanted = {_key(head, each): block_range(each)[1] for each in _blocks(first, last)}
        found = self._memory.get(list(wanted))
        bodies: list[bytes | None] = []
        for key, end in wanted.items():
            block, start, end_here = found.get(key), first + len(bodies), min(end, last)
            if not isinstance(block, Block) or not block.covers(start, end_here):
                return None
            bodies += block.slice(start, end_here)
        return Span(first, bodies)

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
