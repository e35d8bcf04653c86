"""Many workers, one result; and how far they are."""

from __future__ import annotations

import io
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from local.crowd import Crowd
from local.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def _connect(sleep: Callable[[float], None]) -> Iterator[Callable[[float], None]]:
    yield sleep


def test_results_stand_in_the_order_of_the_jobs() -> None:
    """Each job is done once, whoever does it and whenever it ends."""
    assert Crowd(_connect, 4).work(lambda _, job: job * 2, range(100)) == list(range(0, 200, 2))
    assert Crowd(_connect, 4).work(lambda _, job: job, []) == []


def test_a_failure_stops_the_others() -> None:
    """It is raised, who waits wakes up, and what was not begun stays undone."""
    waiting = threading.Event()
    begun = []

    def work(sleep: Callable[[float], None], job: int) -> None:
        begun.append(job)
        if job == 0:
            waiting.wait(30)
            raise ValueError(job)
        waiting.set()
        sleep(3600)

    with pytest.raises(ValueError, match="0"):
        Crowd(_connect, 2).work(work, range(100))
    assert sorted(begun) == [0, 1]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _shown(out: io.StringIO) -> str:
    """What 10 steps of a second each show."""
    seconds = 0.0

    def now() -> float:
        return seconds

    with Progress("posted", 10, out, now) as progress:
        for _ in range(10):
            seconds += 1.0
            progress.step()
    return out.getvalue()


def test_a_terminal_shows_a_bar() -> None:
    """Drawn over itself, and left at the end."""
    shown = _shown(_Terminal())
    assert shown.count("\n") == 1
    assert shown.count("\r") == 11
    assert "[###############...............] 5/10, 1/s, 5 s" in shown


def test_a_file_gets_a_line_now_and_then() -> None:
    """No control characters, one line each five seconds, and the end."""
    assert _shown(io.StringIO()).splitlines() == [
        "posted 5/10, 1/s, 5 s",
        "posted 10/10, 1/s, 10 s",
        "posted 10/10, 1/s, 10 s",
    ]
