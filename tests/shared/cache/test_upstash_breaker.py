"""The client wrapper's breaker: how long Redis is left alone after which failure."""

from __future__ import annotations

from datetime import datetime

import pytest

from local.upstash.endpoint import UpstashEndpoint
from local.upstash.faults import Fault
from tests.conftest import FakeClock
from tests.shared.cache.calls import Make, failure, failure_unasked

pytestmark = pytest.mark.stack


def test_failures_open_the_breaker(make: Make, endpoint: UpstashEndpoint, clock: FakeClock) -> None:
    """Three in a row, and Redis is not asked for ten seconds; then one probe says that it is well again."""
    upstash = make(endpoint.url, breaker_failures=3)
    endpoint.faults.add(Fault(kind="garbage"))
    for _ in range(3):
        assert failure(upstash) == "garbled"
    assert failure_unasked(upstash, endpoint)
    endpoint.faults.clear()
    clock.ms += 10_000
    assert upstash.execute("get", "GET", "k") is None
    assert upstash.breaker.state == "closed"


@pytest.mark.parametrize(
    ("form", "now", "until"),
    [
        ("daily", "2026-11-23T18:44:24", "2026-11-24T00:00:00"),
        ("daily", "2026-12-31T23:59:59", "2027-01-01T00:00:00"),
        ("monthly", "2026-11-23T18:44:24", "2026-12-01T00:00:00"),
        ("monthly", "2026-12-01T00:00:00", "2027-01-01T00:00:00"),
        ("monthly", "2028-01-31T12:00:00", "2028-02-01T00:00:00"),
    ],
)
def test_a_quota_is_respected_until_it_is_renewed(
    make: Make, endpoint: UpstashEndpoint, clock: FakeClock, form: str, now: str, until: str
) -> None:
    """One refusal, and no command until midnight UTC, or until the first of the month."""
    upstash = make(endpoint.url)
    clock.ms = _ms(now)
    endpoint.faults.add(Fault(kind="quota", form=form))
    assert failure(upstash) == f"{form}_quota"
    endpoint.faults.clear()
    clock.ms = _ms(until) - 1
    assert failure_unasked(upstash, endpoint)
    clock.ms += 1
    assert upstash.execute("get", "GET", "k") is None


def _ms(moment: str) -> int:
    return round(datetime.fromisoformat(f"{moment}+00:00").timestamp() * 1000)
