"""Times that can be held against each other: calls in interleaved rounds, medians, waiting that is only added up."""

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
"""Of a call, where calls are added up and not made: a fair one within a region."""
REDIS_MS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """A call that takes what is made ready before it, which is not timed."""

    ready: Callable[[], Any]
    call: Callable[[Any], object]


Timed = Callable[[], object] | Prepared


def interleaved(calls: Mapping[str, Timed], rounds: int, batch: int = 1) -> dict[str, list[float]]:
    """Microseconds of each call, made in turns: whatever disturbs the machine disturbs all of them alike.

    Args:
        calls: what to time, by name.
        rounds: how often each has its turn, after a tenth of it to warm up; who begins changes.
        batch: calls in a row, all timed, so that one is not always slowed by what the others left in the processor.
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
    """The median of each."""
    return {name: round(statistics.median(each), digits) for name, each in times.items()}


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)]


class Stopwatch:
    """Adds up the time that calls would have taken, by thread: what runs side by side counts once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ms: dict[int, float] = {}

    def add(self, ms: float) -> None:
        """A call of this thread."""
        with self._lock:
            me = threading.get_ident()
            self._ms[me] = self._ms.get(me, 0.0) + ms

    def lap(self) -> float:
        """The longest of the threads since the last lap."""
        with self._lock:
            longest = max(self._ms.values(), default=0.0)
            self._ms.clear()
            return longest
