"""Comparable times: calls in interleaved rounds, medians, and a stopwatch for waits that are only added up."""

from __future__ import annotations

import gc
import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Final

DYNAMODB_MS: Final = 4.0
"""Assumed time of a call within a region, where calls are simulated."""
REDIS_MS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A call whose argument ``ready`` makes beforehand; only ``call`` is timed."""

    ready: Callable[[], Any]
    call: Callable[[Any], object]


Timed = Callable[[], object] | Prepared


def interleaved(calls: Mapping[str, Timed], rounds: int, batch: int = 1) -> dict[str, list[float]]:
    """Microseconds of each call, made in turns so that disturbances of the machine affect all of them alike.

    Args:
        calls: what to time, by name.
        rounds: how often each is called, after a tenth as many rounds to warm up; the order rotates.
        batch: calls in a row, all timed, so that a call is not always slowed by CPU caches that the others filled.
    """
    names, times = list(calls), {name: list[float]() for name in calls}
    warm_up = max(1, rounds // 10)
    gc.collect()
    gc.disable()
    try:
        for turn in range(warm_up + rounds):
            for i in range(len(names)):
                name = names[(turn + i) % len(names)]
                elapsed = [_microseconds(calls[name]) for _ in range(batch)]
                if turn >= warm_up:
                    times[name] += elapsed
            gc.collect(0)
    finally:
        gc.enable()
    return times


def _microseconds(timed: Timed) -> float:
    if isinstance(timed, Prepared):
        given, call = timed.ready(), timed.call
        started = time.perf_counter_ns()
        call(given)
    else:
        started = time.perf_counter_ns()
        timed()
    return (time.perf_counter_ns() - started) / 1000


def summary(times: Sequence[float]) -> dict[str, float]:
    """Median and 99th percentile, in the unit of the times."""
    return {"p50": round(statistics.median(times), 1), "p99": round(percentile(times, 99), 1)}


def medians(times: Mapping[str, Sequence[float]], digits: int = 1) -> dict[str, float]:
    """The median of each, rounded."""
    return {name: round(statistics.median(each), digits) for name, each in times.items()}


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that is not exceeded by this percentage of the values."""
    ordered = sorted(values)
    return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)]


class Stopwatch:
    """Adds up the time that calls would have taken, by thread, so that concurrent calls count once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ms: dict[int, float] = {}

    def add(self, ms: float) -> None:
        """Adds a call of this thread."""
        with self._lock:
            me = threading.get_ident()
            self._ms[me] = self._ms.get(me, 0.0) + ms

    def lap(self) -> float:
        """The longest sum of any thread since the last lap."""
        with self._lock:
            longest = max(self._ms.values(), default=0.0)
            self._ms.clear()
            return longest
