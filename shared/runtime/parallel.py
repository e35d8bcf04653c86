"""Runs work in parallel: concurrent reads of the storage, a Redis command during a request."""

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
    """Running work."""

    def is_alive(self) -> bool:
        """Whether it is still running."""

    def join(self, timeout: float | None = None) -> None:
        """Waits until it has ended, at most ``timeout`` seconds."""


def start_thread(work: Callable[[], None]) -> Task:
    """Runs work in a new thread; its costs are charged to the request that started it."""
    thread = Thread(target=copy_context().run, args=(work,), daemon=True)
    thread.start()
    return thread


@dataclass(frozen=True, slots=True)
class Background:
    """How to start work in parallel, and the clock for waiting on it, in seconds: threads, or a simulation."""

    start: Callable[[Callable[[], None]], Task] = start_thread
    clock: Callable[[], float] = time.monotonic


THREADS: Final = Background()


def run_both(one: Callable[[], A], other: Callable[[], B], background: Background = THREADS) -> tuple[A, B]:
    """Runs both in parallel and returns both results.

    Raises:
        Exception: any that one of them raises; if both do, the first one's.
    """
    results: list[B] = []
    failures: list[Exception] = []

    def run() -> None:
        try:
            results.append(other())
        except Exception as error:  # noqa: BLE001 - raised again in the caller's thread
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
    """Runs the work for each value, up to ``at_once`` (a power of two) in parallel; returns the results in order.

    Raises:
        Exception: any that a call raises; of several, that of the first value.
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
