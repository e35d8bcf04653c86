"""The rate limit counts in milliseconds; a faster rate is not a crash."""

from __future__ import annotations

import pytest

from shared.domain.model import Head, Kind, Membership, Role
from shared.domain.rate_limit import decide
from shared.settings import Settings
from shared.use_cases.post_message import rate_of

HEAD = Head("0123456789abcdef", Kind.PRIVATE, "crew", "", "ada", created_at=0)
ADA = Membership("ada", HEAD.channel_id, Role.MEMBER, joined_at=0)


@pytest.mark.parametrize("per_second", [1_000.0, 5_000.0, 1e9])
def test_a_rate_above_what_it_counts_is_the_fastest_it_knows(per_second: float) -> None:
    """1,000 messages a second and more: one each millisecond, and the burst at once."""
    rate = rate_of(Settings(rate_per_second=per_second, rate_burst=3), HEAD, ADA)
    assert rate.interval_ms == 1
    assert decide(rate, tat=0, now=1_000, cost=3).allowed
