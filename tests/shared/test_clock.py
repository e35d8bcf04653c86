"""Times: how they are written, and that they do not go back."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from hypothesis import example, given
from hypothesis import strategies as st

from shared.clock import MAX_SKEW_MS, from_rfc3339, not_before, now_ms, rfc3339

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
    """Up to five minutes the earlier time is kept to; beyond, the clock that wrote it was wrong."""
    kept = not_before(now, now + ahead)
    assert kept == (now + ahead if 0 < ahead <= MAX_SKEW_MS else now)


def test_now_is_now() -> None:
    """In milliseconds since 1970."""
    before = datetime.now(UTC).timestamp() * 1000
    assert before - 2 <= now_ms() <= datetime.now(UTC).timestamp() * 1000 + 2
