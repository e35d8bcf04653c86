"""Whether time tells a hidden channel from none."""

from __future__ import annotations

import pytest

from tests.chaos.enumeration_timing import REQUESTS
from tests.running import tiny


@pytest.mark.stack
def test_a_tiny_run_asks_for_both() -> None:
    """Every request is refused alike, and timed for a channel that there is and for one that there is not."""
    found = tiny("tests.chaos.enumeration_timing")
    assert set(found["requests"]) == set(REQUESTS)
    for each in found["requests"].values():
        assert each["statuses"] == [404]
        assert set(each["microseconds"]) == {"hidden", "missing", "also missing"}
