"""Reading logs through the cache: which tier is asked, and how that is counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from shared.cache.blocks import Block, block_key
from shared.cache.pages import CachedLogReader
from shared.cache.redis import BundlePolicy, RedisTier
from shared.cache.tier import MemoryTier, NoTier, Tier
from shared.observability.meter import CacheMetrics
from shared.storage.log_reader import OLD_MS, DirectLogReader
from tests.blocks import CHANNEL, CREATED, OTHER, block, body
from tests.conftest import FakeClock
from tests.fakes import DictTier, FakeUpstash, Shelf
from tests.shared.cache.logs import CountingStore, bodies, commit, fill, head_of, make_channel, reserve

Start = Callable[..., CachedLogReader]


@pytest.fixture
def store() -> CountingStore:
    """A storage with an empty log."""
    store = CountingStore()
    make_channel(store)
    return store


@pytest.fixture
def metrics() -> CacheMetrics:
    """Counts of all containers of a test."""
    return CacheMetrics()


@pytest.fixture
def start(store: CountingStore, clock: FakeClock, metrics: CacheMetrics) -> Start:
    """Starts a container, over a shared tier if there is one."""

    def start(shared: Tier | None = None) -> CachedLogReader:
        memory = MemoryTier(10**7, 86_400, clock.now)
        direct = DirectLogReader(store, clock.sleep, clock.now)
        return CachedLogReader(direct, memory, shared or NoTier(), metrics)

    return start


@pytest.fixture
def shelf(clock: FakeClock) -> Callable[[], Tier]:
    """Makes tiers that share their values."""
    shelf = Shelf()
    return lambda: DictTier(shelf, 10**7, 86_400, clock.now)


def outcomes(metrics: CacheMetrics) -> dict[str, int]:
    """How reads were served so far."""
    return dict(metrics.snapshot()["pages"])


def cached(reader: CachedLogReader, number: int, channel: str = CHANNEL) -> Block | None:
    """What memory has of a block."""
    found = reader._memory.get([block_key(channel, number)]).get(block_key(channel, number))
    assert found is None or isinstance(found, Block)
    return found


def test_a_warm_read_asks_nobody(start: Start, store: CountingStore, clock: FakeClock) -> None:
    """The second read of any part asks neither the storage nor Redis."""
    fill(store, 120)
    upstash = FakeUpstash(clock.now)
    shared = RedisTier(upstash, "bundle", "pages", BundlePolicy(), upstash.metrics, clock.now)
    reader = start(shared)
    reader.begin()
    shared.settle()
    head = head_of(store)
    assert reader.read(head, 1, 120).bodies == bodies(1, 120)
    asked = len(store.ranges), len(upstash.commands)
    for first, last in ((71, 120), (1, 50), (30, 80), (101, 101), (50, 51), (1, 120)):
        assert reader.read(head, first, last).bodies == bodies(first, last)
    assert (len(store.ranges), len(upstash.commands)) == asked == (1, 1)


def test_catching_up_reads_what_is_lacking(start: Start, store: CountingStore, metrics: CacheMetrics) -> None:
    """After three more messages three entries are read, also where they begin another block."""
    fill(store, 48)
    reader = start()
    reader.read(head_of(store), 1, 48)
    fill(store, 3)
    assert reader.read(head_of(store), 2, 51).bodies == bodies(2, 51)
    assert store.ranges == [(1, 48), (49, 51)]
    assert outcomes(metrics) == {"miss": 1, "caught_up": 1}


def test_windows_share_their_blocks(start: Start, store: CountingStore) -> None:
    """Pages before, after and around some position are put together from the same blocks."""
    fill(store, 200)
    reader, head = start(), head_of(store)
    for first, last in ((151, 200), (101, 150), (126, 175), (150, 199)):
        assert reader.read(head, first, last).bodies == bodies(first, last)
    assert store.ranges == [(151, 200), (101, 150)]


@pytest.mark.parametrize(
    ("reads", "held"),
    [
        ([(20, 25), (26, 30)], (20, 30)),
        ([(20, 25), (15, 19)], (15, 25)),
        ([(20, 25), (10, 40)], (10, 40)),
        ([(20, 25), (23, 28)], (20, 28)),
        ([(20, 25), (24, 24), (1, 22)], (1, 25)),
        ([(1, 5), (30, 45)], (1, 45)),
        ([(30, 45), (1, 5)], (1, 45)),
    ],
)
def test_a_block_grows_without_gaps(
    start: Start, store: CountingStore, reads: list[tuple[int, int]], held: tuple[int, int]
) -> None:
    """A range is added at either end, with everything between it and the cached part."""
    fill(store, 50)
    reader, head = start(), head_of(store)
    for first, last in reads:
        assert reader.read(head, first, last).bodies == bodies(first, last)
    assert cached(reader, 0) == block(CHANNEL, *held)


def test_one_query_fills_several_gaps(start: Start, store: CountingStore) -> None:
    """Where both ends lack something, it is read in one go."""
    fill(store, 150)
    reader, head = start(), head_of(store)
    reader.read(head, 60, 90)
    assert reader.read(head, 41, 140).bodies == bodies(41, 140)
    assert store.ranges == [(60, 90), (41, 140)]
    assert cached(reader, 1) == block(CHANNEL, 51, 100)


def test_nothing_is_read_of_an_empty_range(start: Start, store: CountingStore, metrics: CacheMetrics) -> None:
    """An empty window asks no tier, counts as no read, and begins where it was asked to."""
    fill(store, 3)
    reader = start()
    span = reader.read(head_of(store), 4, 3)
    assert (span.first, span.last, span.bodies) == (4, 3, [])
    assert reader.from_memory(head_of(store), 4, 3) == span
    assert store.ranges == []
    assert outcomes(metrics) == {}


def test_an_open_hole_at_the_end_is_not_kept(start: Start, store: CountingStore) -> None:
    """A position that was given out and not committed yet is no void: when it is committed it is served."""
    fill(store, 3)
    open_seq = reserve(store)
    reader = start()
    assert reader.read(head_of(store), 1, 4).bodies == bodies(1, 3)
    assert cached(reader, 0) == block(CHANNEL, 1, 3)
    commit(store, open_seq)
    assert reader.read(head_of(store), 1, 4).bodies == bodies(1, 4)
    assert store.ranges[-1] == (4, 4)


def test_a_block_that_holds_nothing_is_not_kept(start: Start, store: CountingStore) -> None:
    """The first position of a block is still open: there is no such block yet."""
    fill(store, 50)
    reserve(store)
    reader = start()
    assert reader.read(head_of(store), 40, 51).last == 50
    assert cached(reader, 1) is None


def test_a_settled_hole_is_kept(start: Start, store: CountingStore, clock: FakeClock) -> None:
    """A hole before a later entry is settled by the first read, and read from memory by the second."""
    fill(store, 2)
    reserve(store)
    fill(store, 2)
    clock.ms = CREATED + OLD_MS + 1
    reader = start()
    expected = [body(CHANNEL, 1), body(CHANNEL, 2), None, body(CHANNEL, 4), body(CHANNEL, 5)]
    for _ in range(2):
        assert reader.read(head_of(store), 1, 5).bodies == expected
    assert store.ranges == [(1, 5)]


def test_what_lies_beyond_the_read_is_not_filled(start: Start, store: CountingStore) -> None:
    """A block ends where reading ended, even if the log has grown since."""
    fill(store, 10)
    before = head_of(store)
    fill(store, 5)
    reader = start()
    assert reader.read(before, 1, 10).bodies == bodies(1, 10)
    assert cached(reader, 0) == block(CHANNEL, 1, 10)
    assert reader.read(head_of(store), 1, 15).bodies == bodies(1, 15)
    assert store.ranges == [(1, 10), (11, 15)]


def test_channels_are_kept_apart(start: Start, store: CountingStore) -> None:
    """The same positions of two channels are two blocks."""
    make_channel(store, OTHER)
    fill(store, 5)
    fill(store, 5, OTHER)
    reader = start()
    for _ in range(2):
        for channel in (CHANNEL, OTHER):
            assert reader.read(head_of(store, channel), 1, 5).bodies == bodies(1, 5, channel)
    assert len(store.ranges) == 2


def test_outcomes(
    start: Start, store: CountingStore, metrics: CacheMetrics, shelf: Callable[[], Tier]
) -> None:
    """Miss, memory, Redis and caught up are each counted as what they were; half or more from the storage is a miss."""
    fill(store, 10)
    one = start(shelf())
    one.read(head_of(store), 1, 10)
    one.read(head_of(store), 5, 10)
    other = start(shelf())
    other.read(head_of(store), 1, 10)
    other.read(head_of(store), 1, 10)
    assert outcomes(metrics) == {"miss": 1, "memory": 2, "redis": 1}
    fill(store, 10)
    one.read(head_of(store), 1, 20)
    fill(store, 21)
    one.read(head_of(store), 1, 41)
    assert outcomes(metrics) == {"miss": 2, "memory": 2, "redis": 1, "caught_up": 1}
    assert metrics.hit_rate("pages") == round(4 / 6, 4)


def test_memory_and_redis_complete_each_other(
    start: Start, store: CountingStore, metrics: CacheMetrics, shelf: Callable[[], Tier]
) -> None:
    """Memory has the start of a range and Redis its end: the storage is not asked."""
    fill(store, 80)
    one, other = start(shelf()), start(shelf())
    one.read(head_of(store), 1, 30)
    other._memory.put(
        {block_key(CHANNEL, 0): block(CHANNEL, 20, 50), block_key(CHANNEL, 1): block(CHANNEL, 51, 80)}
    )
    assert other.read(head_of(store), 1, 80).bodies == bodies(1, 80)
    assert store.ranges == [(1, 30)]
    assert outcomes(metrics) == {"miss": 1, "redis": 1}
    assert cached(other, 0) == block(CHANNEL, 1, 50)


def test_remembered_is_all_or_nothing(start: Start, store: CountingStore) -> None:
    """While the storage does not respond, a range is served from memory if all of it is there."""
    fill(store, 120)
    reader = start()
    reader.read(head_of(store), 30, 80)
    found = reader.from_memory(head_of(store), 31, 80)
    assert found is not None
    assert found.bodies == bodies(31, 80)
    for first, last in ((29, 80), (30, 81), (81, 90), (1, 10)):
        assert reader.from_memory(head_of(store), first, last) is None
    assert reader.from_memory(replace(head_of(store), channel_id=OTHER), 30, 80) is None
    assert len(store.ranges) == 1
