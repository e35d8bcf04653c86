"""Many workers with one result, and their progress."""

from __future__ import annotations

import io
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from local.demo.worker_pool import WorkerPool
from local.progress import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def _connect(sleep: Callable[[float], None]) -> Iterator[Callable[[float], None]]:
    yield sleep


def test_results_stand_in_the_order_of_the_jobs() -> None:
    """Each job is done once, in any order."""
    assert WorkerPool(_connect, 4).work(lambda _, job: job * 2, range(100)) == list(range(0, 200, 2))
    assert WorkerPool(_connect, 4).work(lambda _, job: job, []) == []


def test_a_failure_stops_the_others() -> None:
    """It is raised, waiting workers wake up, and no further job begins."""
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
        WorkerPool(_connect, 2).work(work, range(100))
    assert sorted(begun) == [0, 1]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _shown(out: io.StringIO) -> str:
    """The output of 10 steps by four threads, each of which is shown."""
    with counted("posted", 10, out, seconds=0.0) as step:
        WorkerPool(_connect, 4).work(lambda _, __: step(), range(10))
    return out.getvalue()


def test_a_terminal_shows_a_bar() -> None:
    """Drawn over itself, and left at the end."""
    shown = _shown(_Terminal())
    assert shown.count("\n") == 1
    assert shown.count("\r") > 10
    assert "posted: 100%" in shown.splitlines()[-1]
    assert "| 10/10 [" in shown


def test_a_file_gets_lines() -> None:
    """No control characters, and the last line says how it ended."""
    lines = _shown(io.StringIO()).splitlines()
    assert all(line.isprintable() for line in lines)
    assert [line.partition(",")[0] for line in lines][:11] == [f"posted {done}/10" for done in range(11)]
    assert lines[-1].startswith("posted 10/10, ")


def test_a_file_is_not_filled_with_lines() -> None:
    """A task that ends before the next line is due shows its beginning and its end."""
    out = io.StringIO()
    with counted("posted", 1000, out, seconds=3600.0) as step:
        for _ in range(1000):
            step()
    assert [line.partition(",")[0] for line in out.getvalue().splitlines()] == [
        "posted 0/1000",
        "posted 1000/1000",
    ]
