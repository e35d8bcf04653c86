"""GCRA: never more than it allows, and what it tells the caller is true."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.clock import CLOCKS_APART_MS
from shared.domain.model import MAX_BATCH
from shared.domain.rate_limit import Rate, decide

NOW = 1_795_459_464_000
RATES = st.builds(Rate, st.integers(1, 90_000), st.integers(1, 40))
GAPS = st.lists(st.tuples(st.integers(0, 5_000), st.integers(1, MAX_BATCH)), min_size=1, max_size=50)


@given(RATES, GAPS)
def test_no_window_holds_more_than_the_rate(rate: Rate, gaps: list[tuple[int, int]]) -> None:
    """At most the burst, and one more for each interval that has passed, however long the window."""
    times = accumulate(gap for gap, _ in gaps)
    tat, passed = 0, []
    for time, (_, cost) in zip(times, gaps, strict=True):
        verdict = decide(rate, tat, NOW + time, min(cost, rate.burst))
        if verdict.allowed:
            tat = verdict.tat
            passed.append((time, min(cost, rate.burst)))
    for i, (start, _) in enumerate(passed):
        count = 0
        for end, cost in passed[i:]:
            count += cost
            assert count <= rate.burst + (end - start) / rate.interval_ms


@given(RATES, st.integers(-10_000, 10_000_000))
def test_what_is_above_the_burst_never_passes(rate: Rate, ahead: int) -> None:
    """Not even on a full bucket: nothing is posted on credit."""
    assert not decide(rate, 0, NOW, rate.burst + 1).allowed
    assert not decide(rate, NOW - ahead, NOW, rate.burst + 1).allowed


@given(RATES, st.integers(-10_000, 10_000_000), st.integers(1, MAX_BATCH))
def test_retry_after_is_honest(rate: Rate, ahead: int, cost: int) -> None:
    """After that wait a post is allowed, a second earlier it is not."""
    cost = min(cost, rate.burst)
    verdict = decide(rate, NOW + ahead, NOW, cost)
    assert verdict.allowed == (verdict.retry_after_seconds == 0)
    if not verdict.allowed:
        after = NOW + verdict.retry_after_seconds * 1000
        assert decide(rate, NOW + ahead, after, cost).allowed
        assert not decide(rate, NOW + ahead, after - 1000, cost).allowed


@given(RATES, st.integers(-10_000, 10_000_000), st.integers(1, MAX_BATCH))
def test_remaining_is_honest(rate: Rate, ahead: int, cost: int) -> None:
    """So many more pass at once, and not one more; after the reset the whole burst does."""
    cost = min(cost, rate.burst)
    verdict = decide(rate, NOW + ahead, NOW, cost)
    if not verdict.allowed:
        return
    assert 0 <= verdict.remaining <= rate.burst
    if verdict.remaining:
        assert decide(rate, verdict.tat, NOW, verdict.remaining).allowed
    if verdict.remaining < rate.burst:
        assert not decide(rate, verdict.tat, NOW, verdict.remaining + 1).allowed
    assert decide(rate, verdict.tat, NOW + verdict.reset_seconds * 1000, rate.burst).allowed


@given(RATES, st.integers(1, MAX_BATCH))
def test_the_first_post_passes(rate: Rate, cost: int) -> None:
    """A new membership has a full bucket."""
    cost = min(cost, rate.burst)
    verdict = decide(rate, 0, NOW, cost)
    assert verdict.allowed
    assert verdict.tat == NOW + cost * rate.interval_ms


def test_a_refusal_leaves_the_state() -> None:
    """Trying in vain does not make the wait longer."""
    rate = Rate(200, 2)
    tat = NOW + 400
    refused = decide(rate, tat, NOW)
    assert (refused.allowed, refused.tat, refused.remaining) == (False, tat, 0)
    assert (refused.limit, refused.remaining, refused.reset_seconds) == (2, 0, 1)


def test_a_state_from_a_clock_that_ran_ahead_recovers() -> None:
    """Five minutes ahead: the next message passes, and from then on the rate is kept as ever."""
    rate = Rate(200, 20)
    ahead = decide(rate, 0, NOW + 300_000).tat
    first = decide(rate, ahead, NOW)
    assert first.allowed
    assert not decide(rate, first.tat, NOW).allowed
    assert decide(rate, first.tat, NOW + 200).allowed


@given(RATES, st.integers(0, 300_000), st.integers(1, MAX_BATCH))
def test_a_wait_is_no_longer_than_a_debt_can_last(rate: Rate, ahead: int, cost: int) -> None:
    """After a write by a clock that is ahead, the wait is at most that of the burst plus the clocks' difference."""
    cost = min(cost, rate.burst)
    verdict = decide(rate, decide(rate, 0, NOW + ahead, cost).tat, NOW, cost)
    longest = rate.burst * rate.interval_ms + CLOCKS_APART_MS
    assert verdict.retry_after_seconds <= longest / 1000 + 1
