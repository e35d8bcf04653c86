"""What cold starts come to; the starts themselves need artifacts."""

from __future__ import annotations

from bench import cold_start
from bench.cold_start import FUNCTIONS, HELLO, PEERS, SHIPPED, USUAL, Start, summed_up, targets


def starts(ours: float) -> dict[str, list[Start]]:
    """Two starts of each contender: of others as long as the targets are made for, of ours as given (ms)."""
    others = {
        HELLO: 100.0,
        f"{SHIPPED} fetch_messages": 450.0,
        **{f"{USUAL} {each}": 225.0 for each in PEERS},
    }
    times = others | dict.fromkeys(FUNCTIONS, ours)
    return {name: [Start(ms, ms), Start(ms, ms)] for name, ms in times.items()}


def test_functions_are_held_against_floor_and_peers() -> None:
    """Each with the endpoint of the usual way that does most nearly the same."""
    found = summed_up(starts(135.0), "3.13")
    assert set(found["of_floor"]) == set(FUNCTIONS)
    assert found["of_floor"]["post_message"] == {"wall": 1.35, "cpu": 1.35}
    assert found["of_peer"]["mark_read"] == {"wall": 0.6, "cpu": 0.6}
    assert found["contenders"]["mark_read"] == {
        "wall_ms": 135,
        "wall_min": 135,
        "cpu_ms": 135,
        "cpu_min": 135,
    }
    assert all(targets(found).values())


def test_a_slow_function_misses_all_targets() -> None:
    """By the clock or by the processor, of the floor, of the usual way with bytecode and as shipped."""
    slow = starts(135.0) | {"mark_read": [Start(135.0, 150.0)]}
    assert list(targets(summed_up(slow, "3.13")).values()) == [False] * len(cold_start.TARGETS)
