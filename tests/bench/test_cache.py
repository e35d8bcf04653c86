"""The day of a chat with different caches, in a form of a moment."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from bench.cache import STRATEGIES, Cost, Tally, Trace, Workload, targets
from tests.running import tiny


def test_every_strategy_lives_through_the_same_day() -> None:
    """As many requests and writes each; ours is never stale, and asks Redis less than TTL and DEL do."""
    found = tiny("bench.cache")["days"][0]["strategies"]
    assert set(found) == {*STRATEGIES, "ttl_del_outage", "budgie_outage", "budgie_first_day"}
    same_day = [row for name, row in found.items() if name != "budgie_first_day"]
    assert len({(row["requests"], row["write_units"]) for row in same_day}) == 1
    for name in ("none", "budgie", "budgie_outage", "budgie_per_key"):
        assert (found[name]["stale_pages"], found[name]["stale_lists"], found[name]["refused"]) == (0, 0, 0)
    assert found["none"]["redis_commands"] == 0 < found["budgie"]["redis_commands"]
    assert found["budgie"]["redis_commands"] < found["ttl_del"]["redis_commands"]
    assert found["budgie"]["read_units"] < found["none"]["read_units"]


def test_a_day_is_the_same_every_time() -> None:
    """Its seed decides everything: so many users who are active have so many sessions."""
    first, again, other = (Trace(Workload(20), seed) for seed in (1, 1, 2))
    assert first.days == again.days != other.days
    assert Counter(request.kind for request in first.days[0])["list"] >= 14 * 3


def test_polls_are_not_part_of_a_day() -> None:
    """A day's sums are of what its users do."""
    tally = Tally(kinds={"page": Cost(2, ms=3.0), "poll": Cost(9, ms=9.0)})
    assert (tally.total("requests"), tally.total("ms")) == (2, 3)


@pytest.mark.parametrize(
    "miss",
    [
        {"stale_pages": 1},
        {"stale_lists": 1},
        {"hit_rate": {"all": 0.94}},
        {"redis_commands": 201},
        {"stored_bytes": 8e6},
    ],
)
def test_each_target_can_be_missed(miss: dict[str, Any]) -> None:
    """A stale answer, too few hits, too many commands, too much stored."""
    good = {
        "stale_pages": 0,
        "stale_lists": 0,
        "hit_rate": {"all": 0.96},
        "redis_commands": 130,
        "stored_bytes": 10,
    }
    peer = good | {"redis_commands": 3_000}
    days = {"budgie": good, "budgie_outage": good, "ttl_del": peer}
    assert all(targets(days).values())
    assert list(targets(days | {"budgie": good | miss}).values()).count(False) == 1
    assert not all(targets(days | {"ttl_del": good}).values())
