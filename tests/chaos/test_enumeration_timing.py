"""Whether timing tells a hidden channel from a missing one."""

from __future__ import annotations

from shared.bootstrap import compose
from shared.settings import Settings
from shared.storage.memory import MemoryStore
from tests.chaos.enumeration_timing import REQUESTS, measure


def test_both_channels_are_requested_and_timed() -> None:
    """Every request gets the same refusal for a hidden channel as for a missing one, and each is timed."""
    settings = Settings(rate_per_second=1000, rate_burst=1000)
    found = measure(compose(settings, MemoryStore()), rounds=2)
    assert set(found) == set(REQUESTS)
    for each in found.values():
        assert each["statuses"] == [404]
        assert set(each["microseconds"]) == {"hidden", "missing", "also missing"}
