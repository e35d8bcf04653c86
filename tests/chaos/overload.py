"""Three times as much as the local stack can do: `python -m tests.chaos.overload [--seconds 300]`.

First its capacity is measured without limits, then a new stack gets the limits that an operator would set for it
(`THROTTLE_RATE`, `CONCURRENCY`), and a crowd that waits for nobody. The stack is a process of its own; the engine too.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from bench.lib import command, timing
from local.dynamodb import engine as dynamodb
from local.running import RunningStack, running_stack
from operators.capacity import table
from tests.chaos.mixed import Mixed
from tests.chaos.open_loop import Outcome, offer, repeat
from tests.chaos.watching import MEGABYTE, Sample, Watch

SECONDS: Final = 300.0
TIMES: Final = 3
WORKERS: Final = 48
CONCURRENCY: Final = 4
"""Functions at once: twice the cores that serve them."""
AFTERWARDS: Final = 0.2
"""Of what the stack can do: an ordinary hour, within every limit, to see when it is well again."""
RECOVERY_SECONDS: Final = 5.0
RECOVERED: Final = 2.0
"""Times the unloaded median."""
WINDOW_SECONDS: Final = 1.0
GROWTH: Final = 32 * MEGABYTE
"""By which memory may grow in the second half of the overload: what the cache may hold."""
SEED: Final = 11
REFUSALS: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
QUIET: Final = {"LOG_LEVEL": "ERROR", "RATE_LIMIT_PER_SECOND": "0.2", "RATE_LIMIT_BURST": "5"}
"""A user may post so little that some of the refusals are Budgie's own."""


@contextmanager
def stack(engine: str, **variables: str) -> Iterator[RunningStack]:
    """A stack in a directory of its own."""
    with tempfile.TemporaryDirectory() as directory:
        chosen = {"DYNAMODB_ENGINE": engine, **QUIET, **variables}
        with running_stack(Path(directory), **chosen) as started:
            yield started


def capacity(engine: str, seconds: float) -> tuple[float, float]:
    """Requests a second that are served without limits, and the median seconds of one alone."""
    with stack(engine, THROTTLE_RATE="100000", RATE_LIMIT_PER_SECOND="1000") as started:
        mixed = Mixed(started, SEED)
        repeat(started.url, mixed.call, min(2.0, seconds), 1, 0)
        alone = repeat(started.url, mixed.call, seconds, 1, 10_000)
        many = repeat(started.url, mixed.call, seconds, 8, 20_000)
        served = [each for each in many if each.status < HTTPStatus.BAD_REQUEST]
        return len(served) / seconds, statistics.median(each.seconds for each in alone)


def overload(engine: str, can: float, seconds: float) -> dict[str, Any]:
    """The overload, then a few requests that measure how long the recovery takes."""
    limits = {"THROTTLE_RATE": str(max(1, round(can * 0.6))), "CONCURRENCY": str(CONCURRENCY)}
    with stack(engine, **limits) as started:
        mixed = Mixed(started, SEED + 1)
        calm = repeat(started.url, mixed.call, min(3.0, seconds), 1, 0)
        with Watch(started.pid) as watch:
            crowd = offer(
                started.url, lambda number: mixed.call(100_000 + number), TIMES * can, seconds, WORKERS
            )
        after = offer(
            started.url,
            lambda number: mixed.call(1_000_000_000 + number),
            AFTERWARDS * can,
            RECOVERY_SECONDS + 2 * WINDOW_SECONDS,
            CONCURRENCY,
        )
        mixed.read_all()
    median = statistics.median(each.seconds for each in calm)
    return {
        **_crowd(crowd, seconds),
        **_memory(watch.samples),
        "median_ms_with_limits": round(1000 * median, 1),
        "recovered_after_seconds": recovered_after(after, RECOVERED * median),
        "acknowledged": mixed.checker.acknowledged,
        "violations": mixed.checker.violations.total(),
        "notes": mixed.checker.notes,
    }


def _crowd(crowd: Sequence[Outcome], seconds: float) -> dict[str, Any]:
    statuses = Counter(each.status for each in crowd)
    refused = [each for each in crowd if each.status in REFUSALS]
    served = [each for each in crowd if HTTPStatus.OK <= each.status < HTTPStatus.BAD_REQUEST]
    ours = [each for each in refused if each.ours]
    return {
        "offered_a_second": round(len(crowd) / seconds, 1),
        "served_a_second": round(len(served) / seconds, 1),
        "statuses": dict(sorted(statuses.items())),
        "refused_by_the_gateway": len(refused) - len(ours),
        "refused_by_budgie": len(ours),
        "of_these_without_retry_after": sum(not each.retry_after for each in ours),
        "served_ms": _milliseconds(served),
        "refused_ms": _milliseconds(refused),
    }


def _milliseconds(outcomes: Sequence[Outcome]) -> dict[str, float]:
    return (
        timing.summary([1000 * each.seconds for each in outcomes]) if outcomes else {"p50": 0.0, "p99": 0.0}
    )


def _memory(samples: Sequence[Sample]) -> dict[str, Any]:
    half = len(samples) // 2
    first, second = samples[: half + 1], samples[half:]
    growth = max(each.rss for each in second) - max(each.rss for each in first)
    return {
        "peak_mb": round(max(each.rss for each in samples) / MEGABYTE),
        "growth_in_second_half_mb": round(growth / MEGABYTE, 1),
        "peak_threads": max(each.threads for each in samples),
    }


def recovered_after(after: Sequence[Outcome], median: float) -> float | None:
    """Seconds until a second begins whose median is at most this, and in which nothing is refused; None if none does.

    Who posts faster than a user may is told so on any day: Budgie's 429 says nothing of the stack.
    """
    asked = [each for each in after if not (each.ours and each.status == HTTPStatus.TOO_MANY_REQUESTS)]
    for begin in sorted(asked, key=lambda each: each.sent):
        window = [each for each in asked if begin.sent <= each.sent < begin.sent + WINDOW_SECONDS]
        ok = all(each.status < HTTPStatus.BAD_REQUEST for each in window)
        if ok and statistics.median(each.seconds for each in window) <= median:
            return round(begin.sent, 2)
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures, prints, and says whether the targets were met."""
    parser = command.parser("three times as much as the local stack can do")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of overload")
    parser.add_argument("--engine", default=dynamodb.default_engine(), choices=dynamodb.ENGINES)
    options = parser.parse_args(arguments)
    seconds, measured = (4.0, 2.0) if options.tiny else (options.seconds, 10.0)
    can, alone = capacity(options.engine, measured)
    print(f"can do {can:.0f} requests a second", file=sys.stderr, flush=True)
    results: dict[str, Any] = {"capacity_a_second": round(can, 1), "alone_ms": round(1000 * alone, 1)}
    began = time.monotonic()
    results |= overload(options.engine, can, seconds)
    results["seconds"] = round(time.monotonic() - began, 1)
    served, refused = results["served_ms"], results["refused_ms"]
    targets = {
        "0 violations: every acknowledged post is there once, pages right": results["violations"] == 0,
        "nothing but answers, 429 and 503": set(results["statuses"])
        <= {HTTPStatus.OK, HTTPStatus.CREATED, *REFUSALS},
        "some were refused, at once: the 99th percentile no later than that of the served": 0
        < refused["p99"]
        <= max(served["p99"], 250.0),
        "Budgie's own refusals carry Retry-After": results["of_these_without_retry_after"] == 0,
        "memory bounded": results["growth_in_second_half_mb"] <= GROWTH / MEGABYTE,
        f"well again within {RECOVERY_SECONDS:g} s": (results["recovered_after_seconds"] or 99)
        <= RECOVERY_SECONDS
        or results["recovered_after_seconds"] == 0,
    }
    text = table(["", ""], [(name.replace("_", " "), value) for name, value in results.items()])
    return command.finish(options, {"bench": "overload", "engine": options.engine, **results}, targets, text)


if __name__ == "__main__":
    sys.exit(main())
