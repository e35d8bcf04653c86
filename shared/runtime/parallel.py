"""Work beside its caller: some reads of the storage at the same time, a command while a request goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from threading import Thread
from typing import Final, Protocol, TypeVar

A = TypeVar("A")
B = TypeVar("B")


class Task(Protocol):
    """Work under way."""

    def is_alive(self) -> bool:
        """Whether it has not ended yet."""

    def join(self, timeout: float | None = None) -> None:
        """Waits until it has ended, at most so many seconds."""


def start_thread(work: Callable[[], None]) -> Task:
    """Runs work in a thread of its own, charged to the request that set it off."""
    thread = Thread(target=copy_context().run, args=(work,), daemon=True)
    thread.start()
    return thread


@dataclass(frozen=True, slots=True)
class Background:
    """How work runs beside its caller, and the seconds by which it is waited for: threads, or a simulation's."""

    start: Callable[[Callable[[], None]], Task] = start_thread
    clock: Callable[[], float] = time.monotonic


THREADS: Final = Background()


def run_both(one: Callable[[], A], other: Callable[[], B], background: Background = THREADS) -> tuple[A, B]:
    """What both return; the second runs beside the first.

    Raises:
        Whatever either raises, the first one's first.
    """
    results: list[B] = []
    failures: list[Exception] = []

    def run() -> None:
        try:
            results.append(other())
        except Exception as error:  # noqa: BLE001 - it is raised again in the request's own thread
            failures.append(error)

    task = background.start(run)
    try:
        result = one()
    finally:
        task.join()
    if failures:
        raise failures[0]
    return result, results[0]


def map_concurrently(
    work: Callable[[A], B], given: Sequence[A], background: Background = THREADS, at_once: int = 4
) -> list[B]:
    """What the work returns for each, in order; up to ``at_once`` (a power of two) side by side.

    Raises:
        Whatever one of them raises, the first one's first.
    """
    if at_once == 1 or len(given) < 2:  # noqa: PLR2004 - nothing to divide
        return [work(each) for each in given]
    middle = (len(given) + 1) // 2
    parts = run_both(
        lambda: map_concurrently(work, given[:middle], background, at_once // 2),
        lambda: map_concurrently(work, given[middle:], background, at_once // 2),
        background,
    )
    return [*parts[0], *parts[1]]
