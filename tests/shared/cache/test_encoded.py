"""Encoded pages in memory: when they are used, and what they leave room for."""

from __future__ import annotations

from dataclasses import replace

from shared.cache.encoded import EncodedPage, recall, remember
from shared.cache.memory import KEY_BYTES, MemoryTier
from shared.cache.values import Block, block_key
from shared.model import Head, Kind
from tests.blocks import CHANNEL, OTHER
from tests.conftest import FakeClock

HEAD = Head(CHANNEL, Kind.PUBLIC, "lobby", "", "ada", 1, seq=60)


def test_a_page_is_recalled_for_what_it_was_made_of(clock: FakeClock) -> None:
    """The same channel, range, last position and coding; anything else is a miss."""
    memory = MemoryTier(10_000, 10, clock.now)
    remember(memory, HEAD, 11, 60, "zstd", b"page")
    assert recall(memory, HEAD, 11, 60, "zstd") == b"page"
    assert recall(memory, HEAD, 11, 60, "gzip") is None
    assert recall(memory, HEAD, 10, 59, "zstd") is None
    assert recall(memory, HEAD, 12, 60, "zstd") is None
    assert recall(memory, replace(HEAD, seq=61), 11, 60, "zstd") is None
    assert recall(memory, replace(HEAD, channel_id=OTHER), 11, 60, "zstd") is None


def test_a_page_takes_the_place_of_the_one_before(clock: FakeClock) -> None:
    """A channel that moves on leaves one page of a length for each block, not one for each post."""
    memory = MemoryTier(10**6, 10, clock.now)
    for seq in range(51, 101):
        remember(memory, replace(HEAD, seq=seq), seq - 49, seq, "zstd", b"page")
    assert len(memory) == 1
    assert recall(memory, replace(HEAD, seq=100), 51, 100, "zstd") == b"page"


def test_the_blocks_of_a_page_count_as_used(clock: FakeClock) -> None:
    """A page that is read often keeps its blocks, which the next post is caught up with from."""
    block = Block.of(1, [b"x" * 100] * 50)
    page = EncodedPage((1, 50, 60), b"page")
    memory = MemoryTier(2 * (block.size + KEY_BYTES) + page.size + KEY_BYTES, 10, clock.now)
    memory.put({block_key(CHANNEL, 0): block})
    remember(memory, HEAD, 1, 50, "zstd", page.body)
    memory.put({block_key(OTHER, 0): block})
    assert recall(memory, HEAD, 1, 50, "zstd") == page.body
    memory.put({block_key(OTHER, 1): block})
    assert set(memory.get([block_key(CHANNEL, 0), block_key(OTHER, 0)])) == {block_key(CHANNEL, 0)}


def test_after_a_redaction_the_blocks_of_now_count_as_used(clock: FakeClock) -> None:
    """Not those of before, which nobody looks for any more and which have the erased text."""
    block = Block.of(1, [b"x" * 100] * 50)
    page = EncodedPage((1, 50, 60, 1), b"page")
    memory = MemoryTier(2 * (block.size + KEY_BYTES) + page.size + KEY_BYTES, 10, clock.now)
    head = replace(HEAD, erasures=1)
    memory.put({block_key(CHANNEL, 0, 1): block})
    remember(memory, head, 1, 50, "zstd", page.body)
    memory.put({block_key(CHANNEL, 0): block})
    assert recall(memory, head, 1, 50, "zstd") == page.body
    memory.put({block_key(OTHER, 1): block})
    before, now = block_key(CHANNEL, 0), block_key(CHANNEL, 0, 1)
    assert set(memory.get([before, now])) == {now}
