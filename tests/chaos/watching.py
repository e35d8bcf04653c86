"""A process as the system sees it while it works: memory, threads, connections; and whether they grow."""

from __future__ import annotations

import statistics
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

MEGABYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sample:
    """At one moment; ``rss`` in bytes."""

    seconds: float
    rss: int
    threads: int
    files: int
    """Open files, of which all but a handful are connections."""


def sample(pid: int, seconds: float = 0.0) -> Sample:
    """A process now, from /proc.

    Raises:
        OSError: it is gone, or the system has no /proc.
    """
    process = Path("/proc") / str(pid)
    fields = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines() if ":" in line)
    files = sum(1 for _ in (process / "fd").iterdir())
    return Sample(seconds, int(fields["VmRSS"].split()[0]) * 1024, int(fields["Threads"]), files)


class Watch:
    """Takes samples of a process, in a thread of its own, while it is entered.

    Args:
        pid: of the process.
        every: seconds between two samples.
    """

    def __init__(self, pid: int, every: float = 0.5) -> None:
        self._pid = pid
        self._every = every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.samples: list[Sample] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        began = time.monotonic()
        with suppress(OSError):
            while not self._over.wait(self._every):
                self.samples.append(sample(self._pid, time.monotonic() - began))


@dataclass(frozen=True, slots=True)
class Trend:
    """A straight line through values over time, by least squares."""

    slope: float
    """A second."""
    error: float
    """Standard error of the slope, as if samples were independent."""


def trend(points: list[tuple[float, float]]) -> Trend:
    """The line; none at all through fewer than three points."""
    if len(points) < 3:
        return Trend(0.0, 0.0)
    xs, ys = [x for x, _ in points], [y for _, y in points]
    line = statistics.linear_regression(xs, ys)
    residuals = sum((y - line.intercept - line.slope * x) ** 2 for x, y in points)
    spread = sum((x - statistics.fmean(xs)) ** 2 for x in xs)
    error = (residuals / (len(points) - 2) / spread) ** 0.5 if spread else 0.0
    return Trend(line.slope, error)
