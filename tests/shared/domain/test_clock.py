"""Times: how they are written, and that they do not go back."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import formatdate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.domain.clock import (
    CLOCKS_APART_MS,
    MAX_SKEW_MS,
    TOLERANCE_MS,
    SharedClock,
    from_rfc3339,
    not_before,
    now_ms,
    rfc3339,
)
from tests.conftest import FakeClock

TIMES = st.integers(0, 253_402_300_799_999)
"""1970 to the end of 9999."""


@given(TIMES)
@example(1_795_459_464_999)
@example(999)
def test_times_come_back_from_the_wire(milliseconds: int) -> None:
    """To the millisecond."""
    assert from_rfc3339(rfc3339(milliseconds)) == milliseconds


@given(TIMES, TIMES)
def test_times_on_the_wire_sort_as_times(one: int, other: int) -> None:
    """All have one form: UTC, three decimals."""
    first, second = rfc3339(one), rfc3339(other)
    assert (one < other) == (first < second)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first, re.ASCII)


def test_a_time_on_the_wire() -> None:
    """As RFC 3339 writes it."""
    assert rfc3339(1_795_459_464_123) == "2026-11-23T18:44:24.123Z"


@given(TIMES, st.integers(-2 * MAX_SKEW_MS, 2 * MAX_SKEW_MS))
def test_a_time_does_not_go_back_for_a_clock_a_little_behind(now: int, ahead: int) -> None:
    """Up to ten minutes the earlier time is kept to; beyond, the clock that wrote it was wrong."""
    kept = not_before(now, now + ahead)
    assert kept == (now + ahead if 0 < ahead <= MAX_SKEW_MS else now)


def test_now_is_now() -> None:
    """In milliseconds since 1970."""
    before = datetime.now(UTC).timestamp() * 1000
    assert before - 2 <= now_ms() <= datetime.now(UTC).timestamp() * 1000 + 2


# --- the time that containers share ---


class Container:
    """A wrong clock, and a storage that responds after a delay."""

    def __init__(self, skew: int) -> None:
        self.right = FakeClock()
        self.clock = SharedClock(lambda: self.right.ms + skew)

    def call(self, before: int, behind: int) -> None:
        """The storage stamps its response so many ms after the call; the response arrives some more later."""
        self.right.ms += before
        said = formatdate(self.right.ms // 1000, usegmt=True)
        self.right.ms += behind
        self.clock.on_server_date(said, (before + behind) / 1000)

    def error(self) -> int:
        """Milliseconds ahead of the right time."""
        return self.clock.now() - self.right.ms


DELAYS = st.lists(st.tuples(st.integers(0, 999), st.integers(0, 999)), min_size=1, max_size=20)


@given(st.integers(-86_400_000, 86_400_000), DELAYS)
def test_a_wrong_clock_is_put_right(skew: int, delays: list[tuple[int, int]]) -> None:
    """From the first response on, the clock is within half of the largest difference between two containers."""
    container = Container(skew)
    for before, behind in delays:
        container.call(before, behind)
        assert abs(container.error()) <= TOLERANCE_MS + 1_000 + before + behind
    container.right.ms += 1_000
    container.call(5, 5)
    assert abs(container.error()) <= CLOCKS_APART_MS / 2


@given(st.integers(-TOLERANCE_MS, TOLERANCE_MS), DELAYS)
def test_a_clock_that_is_nearly_right_is_let_be(skew: int, delays: list[tuple[int, int]]) -> None:
    """Whole seconds and slow responses do not make time jump."""
    container = Container(skew)
    for before, behind in delays:
        container.call(before, behind)
        assert container.error() == skew


@pytest.mark.parametrize("said", [None, "", "yesterday", "Tue, 99 Nov 2026 25:00:00 GMT"])
def test_an_answer_without_a_time_changes_nothing(said: str | None) -> None:
    """The container's own clock is all there is."""
    container = Container(5_000)
    container.clock.on_server_date(said, 0.01)
    assert container.error() == 5_000


def test_a_clock_that_is_set_right_later_is_followed() -> None:
    """The correction goes when it is needed no longer."""
    skew = [300_000]
    right = FakeClock()
    clock = SharedClock(lambda: right.ms + skew[0])
    for each in (300_000, 0):
        skew[0] = each
        right.ms += 1_000
        clock.on_server_date(formatdate(right.ms // 1000, usegmt=True), 0.0)
        assert abs(clock.now() - right.ms) <= 1_000
