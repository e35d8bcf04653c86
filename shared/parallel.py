"""Two reads of the storage at the same time."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import copy_context
from threading import Thread
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def both(one: Callable[[], A], other: Callable[[], B]) -> tuple[A, B]:
    """What both return; the second runs in a thread of its own, charged to the same request.

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

    thread = Thread(target=copy_context().run, args=(run,), daemon=True)
    thread.start()
    try:
        result = one()
    finally:
        thread.join()
    if failures:
        raise failures[0]
    return result, results[0]
