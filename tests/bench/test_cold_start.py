"""The figures of cold starts; the starts themselves need artifacts."""

from __future__ import annotations

from bench import cold_start
from bench.cold_start import BASELINE, FUNCTIONS, HELLO, PEERS, SHIPPED, Start, summed_up, targets


def starts(ours: float) -> dict[str, list[Start]]:
    """Two starts of each contender (ms); those of the others are such that ours just meet the targets at 130."""
    others = {
        HELLO: 104.0,
        SHIPPED: 433.4,
        **{f"{BASELINE} {each}": 200.0 for each in PEERS},
    }
    times = others | dict.fromkeys(FUNCTIONS, ours)
    return {name: [Start(ms, ms), Start(ms, ms)] for name, ms in times.items()}


def test_functions_are_compared_with_floor_and_baseline() -> None:
    """Each with the most similar endpoint of the baseline."""
    found = summed_up(starts(130.0), "3.13")
    assert set(found["of_floor"]) == set(FUNCTIONS)
    assert found["of_floor"]["post_message"] == {"wall_ms": 1.25, "cpu_ms": 1.25}
    assert found["of_peer"]["mark_read"] == {"wall_ms": 0.65, "cpu_ms": 0.65}
    assert found["contenders"]["mark_read"] == {"wall_ms": 130, "cpu_ms": 130}
    assert all(targets(found).values())


def test_a_slow_function_misses_all_targets() -> None:
    """In CPU time alone: of the floor, and of the baseline with and without bytecode."""
    slow = starts(130.0) | {"mark_read": [Start(130.0, 150.0)]}
    assert list(targets(summed_up(slow, "3.13")).values()) == [False] * len(cold_start.TARGETS)


def test_every_function_is_started() -> None:
    """Each has an event; a new function needs one."""
    assert set(cold_start.events()) == set(FUNCTIONS)
