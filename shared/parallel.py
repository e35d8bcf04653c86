"""Work beside its caller: two reads of the storage at the same time, a command while a request goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
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


def both(one: Callable[[], A], other: Callable[[], B], background: Background = THREADS) -> tuple[A, B]:
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
