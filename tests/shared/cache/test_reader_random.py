"""Reading logs through the cache: random ranges in random order by several containers."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.cache.blocks import Block
from shared.cache.pages import CachedLogReader
from shared.cache.tier import MemoryTier
from shared.observability.meter import CacheMetrics
from shared.storage.log_reader import DirectLogReader
from tests.blocks import CHANNEL, CREATED
from tests.conftest import FakeClock
from tests.fakes import DictTier, Shelf
from tests.lengths import examples
from tests.shared.cache.logs import CountingStore, bodies, commit, fill, head_of, make_channel, reserve

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("fill"), st.integers(1, 60), st.just(0)),
        st.tuples(st.just("reserve"), st.integers(1, 3), st.just(0)),
        st.tuples(st.just("commit"), st.integers(0, 10), st.just(0)),
        st.tuples(st.just("wait"), st.sampled_from([10, 2_000, 20_000]), st.just(0)),
        st.tuples(st.just("read"), st.integers(0, 10**6), st.integers(1, 100)),
    ),
    max_size=40,
)


class World:
    """A log, containers that read it, and what they were shown."""

    def __init__(self, memory_bytes: int, shared_bytes: int) -> None:
        self.clock = FakeClock(CREATED)
        self.store = CountingStore()
        make_channel(self.store)
        self.open: list[int] = []
        self.shown: dict[int, bytes | None] = {}
        self.shelf = Shelf()
        self.memories = [MemoryTier(memory_bytes, 86_400, self.clock.now) for _ in range(2)]
        direct = DirectLogReader(self.store, self.clock.sleep, self.clock.now)
        self.readers = [
            CachedLogReader(
                direct, memory, DictTier(self.shelf, shared_bytes, 86_400, self.clock.now), CacheMetrics()
            )
            for memory in self.memories
        ]

    def step(self, what: str, number: int, length: int) -> None:
        """One step."""
        if what == "fill":
            fill(self.store, number)
        elif what == "reserve":
            last = reserve(self.store, number, at=self.clock.ms)
            self.open += range(last - number + 1, last + 1)
        elif what == "commit" and self.open:
            commit(self.store, self.open.pop(number % len(self.open)), at=self.clock.ms)
        elif what == "wait":
            self.clock.ms += number
        elif what == "read":
            self.read(number, length)

    def read(self, number: int, length: int) -> None:
        """Either container reads some range: it is what the log has, and what anybody was shown of it before."""
        head = head_of(self.store)
        if not head.seq:
            return
        first = number % head.seq + 1
        last = min(head.seq, first + length - 1)
        span = self.readers[number % 2].read(head, first, last)
        truth = {entry.seq: entry.body for entry in self.store.entries(CHANNEL, first, last)}
        found = dict(enumerate(span.bodies, first))
        assert found == {seq: truth[seq] for seq in found}
        assert all(self.shown.get(seq, each) == each for seq, each in found.items())
        committed = [seq for seq in truth if seq not in found]
        assert not committed, "an acknowledged message is missing"
        self.shown |= found

    def check_cached(self) -> None:
        """Everything in the tiers is settled and equals the log."""
        values = [value for memory in self.memories for value, _ in memory._values.values()]
        values += [value for value, _ in self.shelf.values.values()]
        for value in values:
            assert isinstance(value, Block)
            truth = {entry.seq: entry.body for entry in self.store.entries(CHANNEL, value.first, value.last)}
            assert dict(enumerate(value.bodies, value.first)) == truth


@settings(max_examples=examples(60))
@given(STEPS, st.sampled_from([1_000, 20_000, 10**7]), st.sampled_from([1_000, 30_000, 10**7]))
def test_the_cache_shows_what_the_log_has(
    steps: list[tuple[str, int, int]], memory_bytes: int, shared_bytes: int
) -> None:
    """Every committed message is there, in order, and nothing that was shown ever changes, however small the tiers."""
    world = World(memory_bytes, shared_bytes)
    for step in steps:
        world.step(*step)
    world.check_cached()


@given(st.lists(st.tuples(st.integers(1, 300), st.integers(1, 100)), max_size=20))
def test_nothing_is_read_twice(reads: list[tuple[int, int]]) -> None:
    """Of a log without holes, a range that was read just before is never read again."""
    world = World(10**7, 10**7)
    fill(world.store, 300)
    head, reader = head_of(world.store), world.readers[0]
    for first, length in reads:
        last = min(300, first + length - 1)
        assert reader.read(head, first, last).bodies == bodies(first, last)
        asked = len(world.store.ranges)
        assert reader.read(head, first, last).bodies == bodies(first, last)
        assert len(world.store.ranges) == asked
