"""What a million of each operation costs: ``python -m bench.cost [--json] [--check]``.

Every route runs through its real handler over DynamoDB Local. Units are computed from the items themselves
(``bench.lib.client``) and compared with the engines where they count as AWS does: DynamoDB Local for reads and, in a
second run, ministack for writes. The result also has the requests of a day of ``bench.cache``, with its hits and
misses, from ``operators/measured.json``, and the published prices of hosted chats. No free tier is deducted; egress,
logs and traces are listed apart. Storage is not included: see ``operators.capacity``.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from bench.lib.client import MeasuredClient, Tally
from bench.lib.command import finish, parser, progress
from bench.lib.dynamodb import TABLE, running, store_on
from bench.lib.functions import Handlers
from bench.lib.operations import OPERATIONS, PAGE_CHANGED, SETTINGS, Operation, Scene, fill_chat
from bench.lib.timing import Stopwatch, medians
from local.dynamodb.engine import DYNAMODB_LOCAL, MINISTACK
from operators import prices
from operators.capacity_plan import measured
from operators.costs import Figures, days, priced, user_month
from shared.bootstrap import compose
from shared.storage.memory import MemoryStore

GOALS: Final = {"read": 2.00, "poll": 1.50, "post": 7.00}
"""Dollars per million, including API Gateway and Lambda but not what is listed apart."""
MAX_READ_UNITS: Final = {PAGE_CHANGED: 4}
ROUNDS: Final = 30


def times(
    scene: Scene, client: MeasuredClient, stopwatch: Stopwatch, each: Operation, rounds: int
) -> dict[str, float]:
    """Medians: the assumed time of calls, Budgie's own CPU time, and wall time on this machine."""
    found: dict[str, list[float]] = {"calls_ms": [], "own_ms": [], "wall_ms": []}
    timed = scene.timed(each, anew=True)
    for _ in range(rounds):
        call = timed.ready()
        client.take()
        stopwatch.lap()
        started, worked = time.perf_counter(), time.process_time()
        timed.call(call)
        found["own_ms"].append((time.process_time() - worked) * 1000 - client.take().work_ms)
        found["wall_ms"].append((time.perf_counter() - started) * 1000)
        found["calls_ms"].append(stopwatch.lap())
    return medians(found, digits=6)


def compared(engine: str, tally: Tally) -> dict[str, Any]:
    """The engine's own count of units, and whether it agrees with AWS's rules where it can."""
    agrees = tally.engine_read == tally.read - tally.missing
    if engine == MINISTACK:
        agrees = tally.engine_write == tally.write
    return {"read": tally.engine_read, "write": tally.engine_write, "agrees": agrees}


def measure(rounds: int, engines: Sequence[str]) -> dict[str, Any]:
    """Prices all operations on the first engine; compares their units with every engine."""
    handlers, operations = Handlers(compose(SETTINGS, MemoryStore())), dict[str, Any]()
    for engine in engines:
        with running(engine) as dynamodb:
            fill_chat(store_on(dynamodb))
            exact, stopwatch = MeasuredClient(dynamodb, exact=TABLE), Stopwatch()
            client = MeasuredClient(dynamodb, stopwatch=stopwatch)
            for each in progress(OPERATIONS, f"operations on {engine}"):
                tally, reply = Scene(store_on(exact), handlers).tally(exact, each)
                if each.name not in operations:
                    figures = Figures(
                        **times(Scene(store_on(client), handlers), client, stopwatch, each, rounds),
                        read_units=tally.read,
                        write_units=tally.write,
                        out_bytes=len(reply.body) + reply.head_bytes,
                        log_bytes=len(reply.log),
                    )
                    calls = tally.calls.total()
                    operations[each.name] = {
                        "goal": each.goal,
                        **priced(figures),
                        "calls": calls,
                        "engines": {},
                    }
                operations[each.name]["engines"][engine] = compared(engine, tally)
    return {"rounds": rounds, "operations": operations}


def targets(results: Mapping[str, Any]) -> dict[str, bool]:
    """The goals of reads, polls and posts; lists have none."""
    shown = {
        f"{name}: at most ${GOALS[row['goal']]:.2f}": row["sum"] <= GOALS[row["goal"]]
        for name, row in results["operations"].items()
        if row["goal"] in GOALS
    }
    for name in MAX_READ_UNITS.keys() & results["operations"].keys():
        units = results["operations"][name]["figures"]["read_units"]
        shown[f"{name}: at most {MAX_READ_UNITS[name]} read units"] = units <= MAX_READ_UNITS[name]
    for day in results["days"]:
        users, kinds = f"{day['users']:,} users", day["kinds"]
        for what, dollars, goal in (
            ("the average page of {}", kinds["page"]["sum"] + day["starts"], "read"),
            ("the average page or list of {}", day["read"], "read"),
            ("the average post of {}", kinds["post"]["sum"] + day["starts"], "post"),
        ):
            shown[f"{what.format(users)}: at most ${GOALS[goal]:.2f}"] = dollars <= GOALS[goal]
    counted = [units for row in results["operations"].values() for units in row["engines"].values()]
    shown["the engines count the units that AWS's rules give"] = all(units["agrees"] for units in counted)
    return shown


def main() -> int:
    """Measures costs; with ``--check`` exits with 1 if a goal is missed."""
    options = parser(main.__doc__ or "").parse_args()
    engines = [MINISTACK] if options.tiny else [DYNAMODB_LOCAL, MINISTACK]
    found = measure(1 if options.tiny else ROUNDS, engines)
    results = {
        **found,
        "days": days(measured()),
        "user_month": user_month(measured()),
        "hosted": [asdict(each) for each in prices.PUBLISHED],
    }
    return finish(options, results, targets(results))


if __name__ == "__main__":
    sys.exit(main())
