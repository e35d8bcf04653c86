"""Encoded pages in memory: when they are used, and what they leave room for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from shared.cache.blocks import Block, block_key
from shared.cache.build import Cache
from shared.cache.pages import EncodedPage, encoded_key, page_json, page_state, read_page
from shared.cache.stale_fallback import StaleFallback
from shared.cache.tier import KEY_BYTES, MemoryTier, NoTier
from shared.domain.changes import Change
from shared.domain.model import Head, Kind
from shared.observability.meter import CacheMetrics
from shared.runtime.codings import Accepted, encode
from shared.storage.log_reader import Span
from tests.blocks import CHANNEL, OTHER

if TYPE_CHECKING:
    from tests.conftest import FakeClock

HEAD = Head(CHANNEL, Kind.PUBLIC, "lobby", "", "ada", 1, seq=60)
BLOCK = Block.of(1, [b"x" * 100] * 50)
KEPT = EncodedPage((1, 50, 60, 0), b"page")


@dataclass
class Messages:
    """A log reader without a cache that records the ranges that it was asked for."""

    ranges: list[tuple[int, int]] = field(default_factory=list)

    def begin(self) -> None:
        """Nothing to start."""

    def from_memory(self, head: Head, first: int, last: int) -> Span | None:  # noqa: ARG002 - the interface
        """Nothing."""
        return None

    def changes(self, head: Head, first: int, last: int) -> list[Change]:  # noqa: ARG002 - the interface
        """None."""
        return []

    def read(self, head: Head, first: int, last: int) -> Span:  # noqa: ARG002 - the interface
        """A message at each position."""
        self.ranges.append((first, last))
        return Span(first, [b'"a message"'] * (last - first + 1))


@pytest.fixture
def reader() -> Messages:
    """What is asked where memory lacks something."""
    return Messages()


def cache_of(clock: FakeClock, max_bytes: int) -> Cache:
    """A cache with memory alone."""
    memory = MemoryTier(max_bytes, 10, clock.now)
    stale_fallback = StaleFallback(MemoryTier(max_bytes, 10, clock.now), 10, 10, clock.now)
    return Cache(memory, NoTier(), NoTier(), stale_fallback, CacheMetrics(), None)


def keep(cache: Cache, head: Head, first: int, last: int, coding: str = "zstd") -> None:
    """As if this page had left before with other bytes, by which it is known again."""
    page = EncodedPage(page_state(head, first, last), KEPT.body)
    cache.memory.put({encoded_key(head.channel_id, first, last, coding): page})


def read(
    reader: Messages, cache: Cache, head: Head, first: int, last: int, coding: str | None = "zstd"
) -> bytes:
    """A page's bytes."""
    form = Accepted(coding, identity=False)
    return read_page(
        reader, cache.memory, cache.metrics, head, (first, last), lambda span: (span, span.last == last), form
    ).body


def test_a_page_is_found_again_for_what_it_was_made_of(clock: FakeClock, reader: Messages) -> None:
    """The same channel, range, last position and coding; anything else is encoded again."""
    cache = cache_of(clock, 10_000)
    keep(cache, HEAD, 11, 60)
    assert read(reader, cache, HEAD, 11, 60) == KEPT.body
    assert reader.ranges == []
    for head, first, last, coding in (
        (HEAD, 11, 60, "gzip"),
        (HEAD, 11, 60, None),
        (HEAD, 10, 59, "zstd"),
        (HEAD, 12, 60, "zstd"),
        (replace(HEAD, seq=61), 11, 60, "zstd"),
        (replace(HEAD, erasures=1), 11, 60, "zstd"),
        (replace(HEAD, channel_id=OTHER), 11, 60, "zstd"),
    ):
        cache = cache_of(clock, 10_000)
        keep(cache, HEAD, 11, 60)
        assert read(reader, cache, head, first, last, coding) != KEPT.body
        assert reader.ranges.pop() == (first, last)


def test_a_page_is_joined_from_blocks_in_memory(clock: FakeClock, reader: Messages) -> None:
    """Where memory has all of its blocks no storage is read, and the page is encoded and kept."""
    cache = cache_of(clock, 10**6)
    cache.memory.put({block_key(CHANNEL, 0): BLOCK})
    expected = page_json(HEAD, Span(11, [b"x" * 100] * 40), has_more_after=True)
    assert read(reader, cache, HEAD, 11, 50, None) == expected
    assert read(reader, cache, HEAD, 11, 50) == read(reader, cache, HEAD, 11, 50) == encode(expected, "zstd")
    assert reader.ranges == []
    assert cache.metrics.get("pages.memory") == 3


def test_a_page_whose_end_is_open_is_not_kept(clock: FakeClock, reader: Messages) -> None:
    """It says where it ends, and is encoded again until its end is settled."""
    cache = cache_of(clock, 10_000)
    form = Accepted("zstd", identity=False)
    for _ in range(2):
        open_end = read_page(
            reader,
            cache.memory,
            cache.metrics,
            HEAD,
            (11, 60),
            lambda span: (Span(11, span.bodies[:-1]), False),
            form,
        )
        assert (open_end.complete_to, open_end.coding) == (59, "zstd")
    assert len(reader.ranges) == 2
    assert len(cache.memory) == 0


def test_a_page_takes_the_place_of_the_one_before(clock: FakeClock, reader: Messages) -> None:
    """A channel that moves on leaves one page of a length for each block, not one for each post."""
    cache = cache_of(clock, 10**6)
    for seq in range(51, 101):
        read(reader, cache, replace(HEAD, seq=seq), seq - 49, seq)
    assert len(cache.memory) == 1
    asked = len(reader.ranges)
    read(reader, cache, replace(HEAD, seq=100), 51, 100)
    assert len(reader.ranges) == asked


def test_the_blocks_of_a_page_count_as_used(clock: FakeClock, reader: Messages) -> None:
    """A page that is read often keeps its blocks, which the next post is caught up with from."""
    cache = cache_of(clock, 2 * (BLOCK.size + KEY_BYTES) + KEPT.size + KEY_BYTES)
    cache.memory.put({block_key(CHANNEL, 0): BLOCK})
    keep(cache, HEAD, 1, 50)
    cache.memory.put({block_key(OTHER, 0): BLOCK})
    assert read(reader, cache, HEAD, 1, 50) == KEPT.body
    cache.memory.put({block_key(OTHER, 1): BLOCK})
    found = cache.memory.get([block_key(CHANNEL, 0), block_key(OTHER, 0)])
    assert set(found) == {block_key(CHANNEL, 0)}


def test_after_a_redaction_the_blocks_of_now_count_as_used(clock: FakeClock, reader: Messages) -> None:
    """Pages from before, which have the erased text, are not found."""
    cache = cache_of(clock, 2 * (BLOCK.size + KEY_BYTES) + KEPT.size + KEY_BYTES)
    head = replace(HEAD, erasures=1)
    before, now = block_key(CHANNEL, 0), block_key(CHANNEL, 0, 1)
    cache.memory.put({now: BLOCK})
    keep(cache, head, 1, 50)
    cache.memory.put({before: BLOCK})
    assert read(reader, cache, head, 1, 50) == KEPT.body
    cache.memory.put({block_key(OTHER, 1): BLOCK})
    assert set(cache.memory.get([before, now])) == {now}
