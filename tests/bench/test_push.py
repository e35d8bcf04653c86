"""Push on the local stack, in the tiny form."""

from __future__ import annotations

import pytest

from bench.push import FULL, MS_A_WATCHER, slope, targets
from tests.running import tiny


@pytest.mark.stack
def test_every_post_comes_to_every_watcher() -> None:
    """In one frame each, and the posts of a burst in fewer."""
    found = tiny("bench.push")
    assert [each["frames_a_post"] for each in found["one_channel"]] == [1, 4]
    assert found["burst"]["all_came"]
    assert found["burst"]["frames_a_post_and_connection"] <= 1
    assert found["many_channels"]["frames_a_post"] == 2


def test_targets_are_of_lag_frames_and_growth() -> None:
    """A lag that is too long, too many frames, posts that do not come and a steep growth miss their targets."""
    runs = [
        {"watchers": count, "lag_p99_ms": 301.0, "slowest_p50_ms": count * (MS_A_WATCHER + 1)}
        for count in FULL.watchers
    ]
    burst = {"posts": FULL.burst, "all_came": False, "frames_a_post_and_connection": 0.21}
    results = {"one_channel": runs, "burst": burst, "ms_a_watcher": slope(runs)}
    assert list(targets(results).values()) == [False] * 6
