"""What was cached before a redaction is not found after it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shared.cache.blocks import Block, UnreadableError, block_key, decode
from shared.cache.pages import CachedLogReader
from shared.cache.tier import MemoryTier, NoTier, Tier
from shared.domain.messages import redacted
from shared.observability.meter import CacheMetrics
from shared.storage.log_reader import DirectLogReader
from shared.storage.memory import MemoryStore
from tests.blocks import CHANNEL, block, body
from tests.conftest import FakeClock
from tests.fakes import DictTier, Shelf
from tests.shared.cache.logs import CountingStore, bodies, fill, head_of, make_channel

Start = Callable[[], CachedLogReader]
REDACTED = redacted(body(CHANNEL, 7))


@pytest.fixture
def store() -> CountingStore:
    """A log of sixty messages."""
    store = CountingStore()
    make_channel(store)
    fill(store, 60)
    return store


@pytest.fixture(params=["memory", "shared"])
def start(request: pytest.FixtureRequest, store: CountingStore, clock: FakeClock) -> Start:
    """Starts containers with a memory of their own, or with the shared cache only."""
    shelf = Shelf()

    def start() -> CachedLogReader:
        memory: Tier = MemoryTier(10**7, 86_400, clock.now) if request.param == "memory" else NoTier()
        shared: Tier = NoTier() if request.param == "memory" else DictTier(shelf, 10**7, 86_400, clock.now)
        return CachedLogReader(DirectLogReader(store, clock.sleep, clock.now), memory, shared, CacheMetrics())

    return start


def erase(store: MemoryStore) -> None:
    """Redacts message 7, and says so."""
    store.redact(CHANNEL, 7, REDACTED)
    store.count_erasure(CHANNEL, "eve")


def test_a_block_from_before_is_a_miss(start: Start, store: CountingStore) -> None:
    """It is read again, once, with what is left of the message."""
    reader = start()
    assert reader.read(head_of(store), 1, 60).bodies == bodies(1, 60)
    erase(store)
    expected = bodies(1, 60)
    expected[6] = REDACTED
    for _ in range(2):
        assert reader.read(head_of(store), 1, 60).bodies == expected
    assert store.ranges == [(1, 60), (1, 60)]


def test_a_block_from_before_completes_nothing(start: Start, store: CountingStore) -> None:
    """A range that is half there from before is read whole: old and new are never joined."""
    reader = start()
    reader.read(head_of(store), 1, 20)
    erase(store)
    expected = bodies(1, 30)
    expected[6] = REDACTED
    assert reader.read(head_of(store), 1, 30).bodies == expected
    assert store.ranges == [(1, 20), (1, 30)]


def test_a_reader_on_its_way_keeps_nothing_for_others(start: Start, store: CountingStore) -> None:
    """It had its head before the redaction: what it reads and keeps is found under that head alone."""
    before = head_of(store)
    reader = start()
    assert reader.read(before, 1, 60).bodies == bodies(1, 60)
    erase(store)
    assert reader.read(before, 1, 60).bodies == bodies(1, 60)
    reader.read(head_of(store), 1, 60)
    assert reader.read(head_of(store), 7, 7).bodies == [REDACTED]


def test_a_stale_page_is_of_the_confirmed_head(store: CountingStore, clock: FakeClock) -> None:
    """Without the storage a range is cached for the head under which it was read, and for no other."""
    memory = MemoryTier(10**7, 86_400, clock.now)
    reader = CachedLogReader(DirectLogReader(store, clock.sleep, clock.now), memory, NoTier(), CacheMetrics())
    before = head_of(store)
    reader.read(before, 1, 60)
    erase(store)
    assert reader.from_memory(head_of(store), 1, 60) is None
    found = reader.from_memory(before, 1, 60)
    assert found is not None
    assert found.bodies == bodies(1, 60)


def test_keys_say_how_often_messages_were_redacted() -> None:
    """From the first time on, so that what was cached by an earlier version is found where nothing was."""
    keys = [
        block_key(CHANNEL, 3),
        block_key(CHANNEL, 3, 0),
        block_key(CHANNEL, 3, 1),
        block_key(CHANNEL, 3, 12),
    ]
    assert keys == [f"b{CHANNEL}.3", f"b{CHANNEL}.3", f"b{CHANNEL}.3.1", f"b{CHANNEL}.3.12"]


def test_a_block_is_decoded_under_its_own_key_alone() -> None:
    """With and without a number of redactions, and under no key that is not one of ours."""
    value = block(CHANNEL, 1, 9)
    for erasures in (0, 1, 7):
        assert decode(block_key(CHANNEL, 0, erasures), value.encode()) == value
    for key in (
        f"b{CHANNEL}.0.0",
        f"b{CHANNEL}.0.01",
        f"b{CHANNEL}.0.1.1",
        f"b{CHANNEL}.0.x",
        f"b{CHANNEL}.00",
        f"b{CHANNEL}",
    ):
        with pytest.raises(UnreadableError):
            decode(key, value.encode())


def test_a_redacted_message_is_this_channels_still() -> None:
    """What is left of a message begins as every message does, so that a shared block with it is taken for ours."""
    value = Block.of(7, [REDACTED])
    assert decode(block_key(CHANNEL, 0, 1), value.encode()) == value
    with pytest.raises(UnreadableError):
        decode(block_key("f" * 16, 0, 1), value.encode())
