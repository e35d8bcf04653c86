"""The tier in memory: its bound."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.cache.tier import KEY_BYTES, MemoryTier
from tests.conftest import FakeClock

BOUND = 4_000


@dataclass(frozen=True)
class Sized:
    """A value that says a size."""

    size: int


KEYS = st.sampled_from([f"k{number}" for number in range(8)])
STEPS = st.one_of(
    st.tuples(st.just("put"), KEYS, st.integers(0, BOUND + 100)),
    st.tuples(st.sampled_from(["get", "forget"]), KEYS, st.just(0)),
    st.tuples(st.just("wait"), st.just(""), st.integers(1, 15_000)),
)


class Model:
    """What a tier of 10 s must hold, as simply as can be said."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.held: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def apply(self, step: str, key: str, number: int) -> None:
        """One step."""
        _, until = self.held.get(key, (0, 0))
        if step == "forget" or (step == "get" and until < self.clock.ms):
            self.held.pop(key, None)
        elif step == "get":
            self.held.move_to_end(key)
        elif step == "put":
            while self.held and next(iter(self.held.values()))[1] < self.clock.ms:
                self.held.popitem(last=False)
            self.held.pop(key, None)
            if number + KEY_BYTES <= BOUND:
                self.held[key] = number + KEY_BYTES, self.clock.ms + 10_000
            while self.bytes > BOUND:
                self.held.popitem(last=False)

    @property
    def bytes(self) -> int:
        """Of all that is held."""
        return sum(size for size, _ in self.held.values())


@settings(deadline=None)
@given(st.lists(STEPS, max_size=60))
def test_the_bound_holds_exactly(steps: list[tuple[str, str, int]]) -> None:
    """After any operations the bytes counted are those of the values held, never above the bound, in order of use."""
    clock = FakeClock()
    tier, model = MemoryTier(BOUND, 10, clock.now), Model(clock)
    for step, key, number in steps:
        if step == "put":
            tier.put({key: Sized(number)})
        elif step == "get":
            assert (key in tier.get([key])) == (key in model.held and model.held[key][1] >= clock.ms)
        elif step == "forget":
            tier.forget(key)
        else:
            clock.ms += number
        model.apply(step, key, number)
        assert tier.bytes_held == model.bytes <= BOUND
        assert len(tier) == len(model.held)
    assert list(tier._values) == list(model.held)


def test_a_get_counts_as_use(clock: FakeClock) -> None:
    """What was asked for last goes last."""
    tier = MemoryTier(2 * (100 + KEY_BYTES), 10, clock.now)
    tier.put({"a": Sized(100), "b": Sized(100)})
    tier.get(["a"])
    tier.put({"c": Sized(100)})
    assert set(tier.get(["a", "b", "c"])) == {"a", "c"}


def test_a_value_above_the_bound_takes_the_older_one_with_it(clock: FakeClock) -> None:
    """What does not fit is not kept, nor what it was to replace; others stay."""
    tier = MemoryTier(1_000, 10, clock.now)
    tier.put({"a": Sized(100), "b": Sized(100)})
    tier.put({"a": Sized(1_000)})
    assert set(tier.get(["a", "b"])) == {"b"}
    assert tier.bytes_held == 100 + KEY_BYTES


def test_expiry_gives_its_bytes_back(clock: FakeClock) -> None:
    """A value is found until it expires, then neither found nor counted; a later put starts its time again."""
    tier = MemoryTier(BOUND, 10, clock.now)
    tier.put({"a": Sized(100), "b": Sized(100)})
    clock.ms += 9_000
    tier.put({"b": Sized(100)})
    clock.ms += 1_000
    assert set(tier.get(["a", "b"])) == {"a", "b"}
    clock.ms += 1
    assert set(tier.get(["a", "b"])) == {"b"}
    assert tier.bytes_held == 100 + KEY_BYTES


def test_what_nobody_asks_for_goes_in_time() -> None:
    """A value that was not used for its time is dropped by the next put, whatever was used since."""
    clock = FakeClock()
    tier = MemoryTier(BOUND, 10, clock.now)
    tier.put({"erased": Sized(100)})
    clock.sleep(6)
    tier.put({"used": Sized(100)})
    clock.sleep(4.001)
    tier.get(["used"])
    tier.put({"new": Sized(100)})
    assert (len(tier), tier.bytes_held) == (2, 2 * (100 + KEY_BYTES))
