"""One channel, many writers: ``python -m bench.contention [--json] [--check] [--tiny]``.

1, 4, 16 and 64 writers, each a process and a user of its own as each would be a container on Lambda, post to one
channel in a closed loop, every post with an idempotency key, through the function's handler from API Gateway's event to
its answer. Beside each round goes one in which the same processes, on the same connections, make the same calls
(BatchGetItem, UpdateItem, TransactWriteItems; same items, same conditions) without Budgie: the engine's own limit. With
and without readers that poll; with throttling and with transaction conflicts, which no engine raises by itself, put in
at the client. DynamoDB Local runs for the time of the benchmark on 127.0.0.1. After each round a fresh reader reads the
whole log and holds it against what was acknowledged.

Rate limits are out of the way, and a call may take 10 s before it is given up: all of it shares two processors.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from bench import report
from bench.contending.cell import Cell, Setup
from bench.contending.channel import OWNER, cpu_seconds, engine, open_channel
from bench.contending.crew import Crew, crew, services_on, settings, use_local_credentials
from bench.contending.faults import FAIR, WEATHERS
from bench.contending.judge import judge
from bench.contending.shift import BUDGIE, ENGINE, READ, WRITE, Shift
from bench.contending.targets import targets
from local.dynamodb import Engine
from local.dynamodb_local import UnavailableError
from shared.aws.connect import dynamodb_client
from shared.services import Services

WRITERS: Final = (1, 4, 16, 64)
READERS: Final = 4
SIDES: Final = (BUDGIE, ENGINE)
POSTS_EACH: Final = 8
"""That a writer is to commit within a window, so that writers can be held against each other."""
LONGEST_SECONDS: Final = 20.0
"""Of a window, on however slow a machine."""


def main(arguments: list[str] | None = None) -> int:
    """Runs all of it; with ``--check`` 1 if a target is missed."""
    given = _parse(arguments)
    use_local_credentials()
    try:
        with engine() as started, crew(started.url, max(given.writers) + READERS) as workers:
            cells = Bench(started, workers, given).run()
    except UnavailableError as error:
        print(error, file=sys.stderr)
        return 1
    results = _results(given, cells)
    return report.finish(given, results, targets(results["cells"], results["of_limit"]), _text(results))


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = report.parser("Posts to one channel by many writers, against the engine's own limit.")
    parser.add_argument("--rounds", type=int, default=5, help="of each cell; half as many with faults")
    parser.add_argument("--seconds", type=float, default=3.0, help="of a round's window, at least")
    parser.add_argument("--warm-up", type=float, default=1.0, help="seconds before the window, at least")
    parser.add_argument("--writers", type=int, nargs="+", default=WRITERS)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    if min(given.writers) < 1 or given.rounds < 1 or given.seconds <= 0:
        parser.error("writers, rounds and seconds are above 0")
    if given.tiny:
        given.rounds, given.seconds, given.warm_up, given.writers = 1, 0.5, 0.2, [4]
    given.writers = sorted({1, *given.writers})  # All are held against one.
    return given


class Bench:
    """All cells, in interleaved rounds."""

    def __init__(self, started: Engine, workers: Crew, given: argparse.Namespace) -> None:
        self._engine = started
        self._settings = settings(started.url)
        self._client = dynamodb_client(self._settings)
        self._crew = workers
        self._given = given
        self._random = random.Random(given.seed)
        self._pace: dict[int, float] = {}
        """Seconds that a post takes among so many writers, as the bare calls showed while all warmed up."""

    def run(self) -> list[Cell]:
        """Each round runs every cell once, Budgie and the bare calls one after the other, in changing order."""
        setups = list(_setups(self._given.writers))
        cells = {(setup, side): Cell(setup, side) for setup in setups for side in _sides(setup)}
        self._warm_up(setups)
        for turn in range(self._given.rounds):
            for i, setup in enumerate(setups):
                if setup.weather != FAIR and turn % 2:
                    continue
                sides = _sides(setup)[:: (-1) ** (turn + i)]
                for side in sides:
                    self._round(cells[setup, side], turn)
            print(f"round {turn + 1} of {self._given.rounds}", file=sys.stderr)
        return list(cells.values())

    def _warm_up(self, setups: Sequence[Setup]) -> None:
        """Java compiles what it runs often, and a process loads much at its first post: neither is what is measured."""
        for setup in [] if self._given.tiny else [each for each in setups if each.weather == FAIR]:
            for side in SIDES:
                cell = Cell(setup, side)
                self._round(cell, -1)
                self._pace[setup.writers] = setup.writers / max(1.0, cell.rates[0])
        print("warm", file=sys.stderr)

    def _round(self, cell: Cell, turn: int) -> None:
        setup, given = cell.setup, self._given
        users = [f"writer-{i}" for i in range(setup.writers)]
        channel = open_channel(self._fresh().store, users)
        begins = time.monotonic() + 0.05
        pace = self._pace.get(setup.writers, 0.0)
        counts_from = begins + max(given.warm_up, min(pace, LONGEST_SECONDS / 4))
        common: dict[str, Any] = {"side": cell.side, "channel": channel, "begins": begins}
        seconds = max(given.seconds, min(POSTS_EACH * pace, LONGEST_SECONDS))
        common |= {"counts_from": counts_from, "ends": counts_from + seconds, "rates": setup.rates}
        common |= {"seed": f"{given.seed}-{turn}-{self._random.getrandbits(32):08x}"}
        shifts = [Shift(does=WRITE, user=user, **common) for user in users]
        shifts += [Shift(does=READ, user=OWNER, **common) for _ in range(setup.readers)]
        before = cpu_seconds(self._engine.pid)
        tallies = self._crew.work(shifts)
        cell.engine_cpu += cpu_seconds(self._engine.pid) - before
        verdict = judge(self._fresh(), channel, OWNER, tallies)
        cell.add(seconds, tallies[: setup.writers], tallies[setup.writers :], verdict)

    def _fresh(self) -> Services:
        """Services that remember nothing."""
        return services_on(self._client, self._settings)


def _setups(writers: Sequence[int]) -> Iterator[Setup]:
    """Without and with readers, and with each kind of fault."""
    for count in writers:
        yield Setup(count, 0, FAIR, WEATHERS[FAIR])
    for weather, rates in WEATHERS.items():
        for count in writers:
            yield Setup(count, READERS, weather, rates)


def _sides(setup: Setup) -> tuple[str, ...]:
    """The bare calls stop at the first fault, so they have fair weather only."""
    return SIDES if setup.weather == FAIR else (BUDGIE,)


def _results(given: argparse.Namespace, cells: Sequence[Cell]) -> dict[str, Any]:
    by_setup: dict[Setup, dict[str, Cell]] = {}
    for cell in cells:
        by_setup.setdefault(cell.setup, {})[cell.side] = cell
    return {
        "rounds": given.rounds,
        "seconds": given.seconds,
        "rates": {
            name: {"throttled": r.throttled, "conflicts": r.conflicts, "busy": r.busy}
            for name, r in WEATHERS.items()
        },
        "cells": [cell.result() for cell in cells],
        "of_limit": [
            {"writers": setup.writers, "readers": setup.readers, "of_limit": _of_limit(sides)}
            for setup, sides in by_setup.items()
            if ENGINE in sides
        ],
    }


def _of_limit(sides: Mapping[str, Cell]) -> float:
    """The median of the rounds, each against the one beside it: whatever disturbs the machine disturbs both."""
    pairs = zip(sides[BUDGIE].rates, sides[ENGINE].rates, strict=True)
    return round(statistics.median(ours / limit if limit else 0.0 for ours, limit in pairs), 3)


COLUMNS: Final = {
    "writers": "writers",
    "readers": "readers",
    "posts/s": "posts_per_second",
    "p50 ms": "p50_ms",
    "p99 ms": "p99_ms",
    "p99/p50": "p99_of_p50",
    "slowest/mean": "slowest_writer_of_mean",
    "takes": "takes_per_post",
    "commits": "commits_per_post",
    "units": "write_units_per_post",
    "cpu ms": "writer_cpu_ms_per_post",
    "engine's": "engine_cpu_ms_per_post",
    "503": "answers_503",
    "holes": "holes_met",
    "voids": "voids",
}


def _text(results: dict[str, Any]) -> str:
    limits = {(each["writers"], each["readers"]): each["of_limit"] for each in results["of_limit"]}
    rows = []
    for cell in results["cells"]:
        is_ours = cell["side"] == BUDGIE and cell["weather"] == FAIR
        of_limit = limits[cell["writers"], cell["readers"]] if is_ours else ""
        name = f"{cell['side']}, {cell['weather']}"
        rows.append((name, *(cell[column] for column in COLUMNS.values()), of_limit))
    wrong = [
        f"{cell['side']} {cell['writers']}: {fault}"
        for cell in results["cells"]
        for fault in cell["log_faults"]
    ]
    return "\n".join([report.table(("", *COLUMNS, "of limit"), rows), *wrong])


if __name__ == "__main__":
    sys.exit(main())
