"""Several connections that work through a list of jobs, and stop together."""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

C = TypeVar("C")
J = TypeVar("J")
R = TypeVar("R")


class WorkerPool(Generic[C]):
    """Workers with a connection each. After a failure or Ctrl-C the others end after their current job.

    Args:
        connect: opens a connection, given its function to wait with, which returns early when all stop.
        size: the number of workers.
    """

    def __init__(
        self, connect: Callable[[Callable[[float], None]], AbstractContextManager[C]], size: int
    ) -> None:
        self._connect = connect
        self._size = size

    def work(self, work: Callable[[C, J], R], jobs: Sequence[J]) -> list[R]:
        """Do each job once; return the results in the jobs' order. A job's exception is raised here."""
        stop = threading.Event()
        left = deque(enumerate(jobs))
        results: dict[int, R] = {}

        def worker() -> None:
            with self._connect(lambda seconds: _rest(stop, seconds)) as connection:
                while not stop.is_set() and left:
                    # Another worker may have taken the last one meanwhile.
                    with_number = _next(left)
                    if with_number is not None:
                        number, job = with_number
                        results[number] = work(connection, job)

        with ThreadPoolExecutor(self._size, "pool") as pool:
            try:
                for future in as_completed([pool.submit(worker) for _ in range(self._size)]):
                    future.result()
            finally:
                stop.set()
        return [results[number] for number in sorted(results)]


class StoppedError(RuntimeError):
    """Work was abandoned because other work failed."""


def _rest(stop: threading.Event, seconds: float) -> None:
    if stop.wait(seconds):
        raise StoppedError("stopped")


def _next(left: deque[tuple[int, J]]) -> tuple[int, J] | None:
    try:
        return left.popleft()
    except IndexError:
        return None
