"""The figures of cold starts; the starts themselves need artifacts."""

from __future__ import annotations

from bench import cold_start
from bench.cold_start import BASELINE, FUNCTIONS, HELLO, PEERS, SHIPPED, Start, summed_up, targets


def starts(ours: float) -> dict[str, list[Start]]:
    """Two starts of each contender (ms); those of the others are such that ours just meet the targets at 135."""
    others = {
        HELLO: 100.0,
        SHIPPED: 450.0,
        **{f"{BASELINE} {each}": 225.0 for each in PEERS},
    }
    times = others | dict.fromkeys(FUNCTIONS, ours)
    return {name: [Start(ms, ms), Start(ms, ms)] for name, ms in times.items()}


def test_functions_are_compared_with_floor_and_baseline() -> None:
    """Each with the most similar endpoint of the baseline."""
    found = summed_up(starts(135.0), "3.13")
    assert set(found["of_floor"]) == set(FUNCTIONS)
    assert found["of_floor"]["post_message"] == {"wall_ms": 1.35, "cpu_ms": 1.35}
    assert found["of_peer"]["mark_read"] == {"wall_ms": 0.6, "cpu_ms": 0.6}
    assert found["contenders"]["mark_read"] == {"wall_ms": 135, "cpu_ms": 135}
    assert all(targets(found).values())


def test_a_slow_function_misses_all_targets() -> None:
    """In CPU time alone: of the floor, and of the baseline with and without bytecode."""
    slow = starts(135.0) | {"mark_read": [Start(135.0, 150.0)]}
    assert list(targets(summed_up(slow, "3.13")).values()) == [False] * len(cold_start.TARGETS)
