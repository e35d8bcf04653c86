"""What the benchmarks share: arguments, timing in interleaved rounds, and a report as text or one line of JSON."""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Any


def parser(description: str) -> argparse.ArgumentParser:
    """The arguments that every benchmark has; it may add its own."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--json", action="store_true", help="print one line of JSON")
    made.add_argument("--check", action="store_true", help="end with 1 if a target is missed")
    made.add_argument("--tiny", action="store_true", help="a run of a moment, to see that it works")
    return made


def interleaved(
    calls: Mapping[str, Callable[[], object]], rounds: int, batch: int = 1
) -> dict[str, list[float]]:
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


def _microseconds(call: Callable[[], object]) -> float:
    started = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - started) / 1000


def summary(times: Sequence[float]) -> dict[str, float]:
    """Median and 99th percentile, in the unit of the times."""
    return {"p50": round(statistics.median(times), 1), "p99": round(percentile(times, 99), 1)}


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)]


def finish(
    arguments: argparse.Namespace, results: dict[str, Any], targets: Mapping[str, bool], text: str
) -> int:
    """Prints the results, as text or as JSON with the targets added; returns the exit status.

    Args:
        arguments: as ``parser`` parsed them.
        results: anything JSON has a word for.
        targets: what was to be shown, each in words, and whether it was.
        text: the results for a person.
    """
    if arguments.json:
        print(json.dumps(results | {"targets": dict(targets)}, ensure_ascii=False))
    else:
        print(text)
        for target, held in targets.items():
            print(f"{'ok    ' if held else 'MISSED'} {target}")
    return int(arguments.check and not all(targets.values()))


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns, the first to the left, the others to the right."""
    cells = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    )
