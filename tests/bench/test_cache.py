"""A day of a chat with different caches, in the tiny form."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from bench.cache import STRATEGIES, Trace, targets
from operators.capacity_plan import Workload
from tests.running import tiny


def test_every_strategy_plays_the_same_day() -> None:
    """Requests and writes are the same for each; Budgie is never stale and sends fewer commands than TTL and DEL."""
    found = tiny("bench.cache")["days"][0]["strategies"]
    assert set(found) == {*STRATEGIES, "budgie_first_day"}
    same_day = [row for name, row in found.items() if name != "budgie_first_day"]
    assert len({(row["requests"], row["write_units"]) for row in same_day}) == 1
    for name in ("none", "budgie"):
        assert (found[name]["stale_pages"], found[name]["stale_lists"], found[name]["refused"]) == (0, 0, 0)
    assert found["none"]["redis_commands"] == 0 < found["budgie"]["redis_commands"]
    assert found["budgie"]["redis_commands"] < found["ttl_del"]["redis_commands"]
    assert found["budgie"]["read_units"] < found["none"]["read_units"]


def test_a_day_is_the_same_every_time() -> None:
    """The seed decides everything; each active user has 3 sessions."""
    first, again, other = (Trace(Workload(20), seed) for seed in (1, 1, 2))
    assert first.days == again.days != other.days
    assert Counter(request.kind for request in first.days[0])["list"] >= 14 * 3


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
    """A stale response, too few hits, too many commands, too much stored."""
    good = {
        "stale_pages": 0,
        "stale_lists": 0,
        "hit_rate": {"all": 0.96},
        "redis_commands": 130,
        "stored_bytes": 10,
    }
    peer = good | {"redis_commands": 3_000}
    days = {"budgie": good, "ttl_del": peer}
    assert all(targets(days).values())
    assert list(targets(days | {"budgie": good | miss}).values()).count(False) == 1
    assert not all(targets(days | {"ttl_del": good}).values())
