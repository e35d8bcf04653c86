"""Work side by side."""

from __future__ import annotations

from threading import Barrier, Lock

import pytest

from shared.runtime.parallel import map_concurrently
from tests.cases import case


def test_results_are_in_the_order_of_their_arguments() -> None:
    """However many there are."""
    for count in [0, 1, 2, 3, 5, 51]:
        with case(count):
            assert map_concurrently(lambda number: number * 2, range(count)) == [
                number * 2 for number in range(count)
            ]


def test_four_work_at_once() -> None:
    """None of them ends before all four have begun."""
    together = Barrier(4)
    assert len(map_concurrently(lambda _: together.wait(10), range(4))) == 4


def test_no_more_than_asked_for_work_at_once() -> None:
    """However many there are to do."""
    lock, working, most = Lock(), [0], [0]

    def work(number: int) -> int:
        with lock:
            working[0] += 1
            most[0] = max(most[0], working[0])
        with lock:
            working[0] -= 1
        return number

    assert map_concurrently(work, range(200), at_once=2) == list(range(200))
    assert 1 <= most[0] <= 2


def test_what_fails_fails_all() -> None:
    """If one call fails, its error is raised."""
    with pytest.raises(ZeroDivisionError):
        map_concurrently(lambda number: 1 // (number - 3), range(5))
