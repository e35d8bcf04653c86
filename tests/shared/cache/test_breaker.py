"""The circuit breaker."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from shared.cache.breaker import MAX_OPEN_MS, Breaker
from tests.conftest import FakeClock
from tests.lengths import examples


def opened(clock: FakeClock, failures: int = 3, open_ms: int = 10_000) -> Breaker:
    """A breaker that has just opened."""
    breaker = Breaker(clock.now, failures, open_ms)
    for _ in range(failures):
        assert breaker.allows()
        breaker.failed()
    assert breaker.state == "open"
    return breaker


def is_open_for(breaker: Breaker, clock: FakeClock, ms: int) -> bool:
    """Whether a breaker stays open for exactly so many milliseconds from now."""
    now = clock.ms
    states = []
    for clock.ms in (now, now + ms - 1, now + ms):
        states.append(breaker.state)
    clock.ms = now
    return states == ["open", "open", "half_open"]


def test_failures_in_a_row_open_it(clock: FakeClock) -> None:
    """Two failures and a success leave it closed; three in a row open it."""
    breaker = Breaker(clock.now, 3, 10_000)
    for outcome in (breaker.failed, breaker.failed, breaker.succeeded, breaker.failed, breaker.failed):
        outcome()
        assert breaker.state == "closed"
    breaker.failed()
    assert breaker.state == "open"
    assert not breaker.allows()


def test_one_probe_at_a_time(clock: FakeClock) -> None:
    """When its time is over, exactly one call is allowed until it has reported."""
    breaker = opened(clock)
    clock.ms += 9_999
    assert not breaker.allows()
    clock.ms += 1
    assert breaker.state == "half_open"
    assert [breaker.allows() for _ in range(3)] == [True, False, False]
    breaker.succeeded()
    assert breaker.state == "closed"
    assert [breaker.allows() for _ in range(3)] == [True, True, True]


def test_each_failed_probe_doubles_the_time(clock: FakeClock) -> None:
    """10 s, 20 s, 40 s, … up to five minutes; a success begins with 10 s again."""
    breaker = opened(clock)
    for open_for in (10_000, 20_000, 40_000, 80_000, 160_000, MAX_OPEN_MS, MAX_OPEN_MS):
        assert is_open_for(breaker, clock, open_for)
        clock.ms += open_for
        assert breaker.allows()
        breaker.failed()
    clock.ms += MAX_OPEN_MS
    assert breaker.allows()
    breaker.succeeded()
    for _ in range(3):
        breaker.failed()
    assert is_open_for(breaker, clock, 10_000)


def test_a_known_end_opens_it_at_once(clock: FakeClock) -> None:
    """One failure with a known end is enough to open it until then."""
    breaker = Breaker(clock.now, 3, 10_000)
    breaker.failed(until=clock.ms + 3_600_000)
    clock.ms += 3_599_999
    assert not breaker.allows()
    clock.ms += 1
    assert breaker.allows()


def test_late_failures_change_nothing(clock: FakeClock) -> None:
    """Calls that began before it opened and fail later neither prolong its time nor shorten a known end."""
    breaker = opened(clock)
    breaker.failed()
    assert is_open_for(breaker, clock, 10_000)
    breaker.failed(until=clock.ms + 3_600_000)
    breaker.failed()
    breaker.failed(until=clock.ms + 1)
    assert is_open_for(breaker, clock, 3_600_000)


class BreakerMachine(RuleBasedStateMachine):
    """Calls that begin, succeed and fail in any order while time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.breaker = Breaker(self.clock.now, 3, 10_000)
        self.under_way = 0
        self.probing = False

    @rule(ms=st.integers(1, 400_000))
    def wait(self, ms: int) -> None:
        """Time passes."""
        self.clock.ms += ms

    @rule()
    def begin(self) -> None:
        """A call is allowed while the breaker is closed, or as the one probe while it is half open."""
        before = self.breaker.state
        allowed = self.breaker.allows()
        assert allowed == (before == "closed" or (before == "half_open" and not self.probing))
        self.probing = self.probing or (allowed and before == "half_open")
        self.under_way += allowed

    @rule()
    def succeed(self) -> None:
        """A call succeeds, which closes the breaker."""
        if self.under_way:
            self.under_way -= 1
            self.probing = False
            self.breaker.succeeded()
            assert self.breaker.state == "closed"

    @rule(known=st.booleans())
    def fail(self, *, known: bool) -> None:
        """A call fails; where its end is known, the breaker is open until then."""
        if self.under_way:
            self.under_way -= 1
            self.probing = False
            self.breaker.failed(self.clock.ms + 1_000_000 if known else None)
            if known:
                assert is_open_for(self.breaker, self.clock, 1_000_000)

    @invariant()
    def never_open_for_ever(self) -> None:
        """It is never open for longer than the longest time or a known end."""
        self.clock.ms += 1_000_000
        assert self.breaker.state != "open"
        self.clock.ms -= 1_000_000


BreakerMachine.TestCase.settings = settings(max_examples=examples(30), stateful_step_count=30)
TestBreakerMachine = BreakerMachine.TestCase
