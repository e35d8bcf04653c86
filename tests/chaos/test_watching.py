"""What a process holds, and whether it grows."""

from __future__ import annotations

import os
import time

import pytest

from tests.chaos.watching import Watch, sample, trend


def test_a_process_is_seen() -> None:
    """A sample of the own process has memory, threads and open files; one of a missing process is an error."""
    seen = sample(os.getpid())
    assert seen.rss > 10_000_000
    assert seen.threads >= 1
    assert seen.files >= 3
    with pytest.raises(FileNotFoundError):
        sample(2**22 + 1)


def test_a_watch_takes_samples_until_it_ends() -> None:
    """A watch takes samples in order of time, and none after it has ended."""
    with Watch(os.getpid(), every=0.001) as watch:
        while len(watch.samples) < 3:
            time.sleep(0.001)
    taken = len(watch.samples)
    assert [each.seconds for each in watch.samples] == sorted(each.seconds for each in watch.samples)
    time.sleep(0.01)
    assert len(watch.samples) == taken


def test_a_line_is_found() -> None:
    """The trend has the slope of the points, and an error only where they lie off the line."""
    line = trend([(x, 2.0 * x + 1) for x in range(10)])
    assert (round(line.slope, 6), round(line.error, 6)) == (2.0, 0.0)
    assert trend([(0, 0), (1, 1), (2, 0), (3, 1)]).error > 0
    assert trend([(0, 5)]).slope == 0
