"""A deterministic simulation of the chat under faults: ``python -m tests.simulation.run``.

Many small worlds, each from a seed: containers that pause and die, a DynamoDB that throttles, loses answers, tears
reads and shows transactions in part, a Redis that lags, loses, delays, garbles and refuses, and clients that retry.
The code of ``shared/`` runs as it is; every answer is judged. ``--seed N`` lives one world again and prints its steps;
``--mutants`` lists the mutants that the judge has to find, ``--mutant NAME`` runs one, ``--every-mutant`` all.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from multiprocessing.context import BaseContext
from typing import Any, Final

from bench.lib import command
from operators.capacity import table
from tests.simulation.containers import Code
from tests.simulation.mutants import MUTANTS
from tests.simulation.world import REAL, Result, World

MINUTES: Final = 10
TRACE_LINES: Final = 60
"""Of the first violation's world, the last steps."""
PROGRESS: Final = 100
"""Worlds between two signs of life."""
READS: Final = ("page", "list", "one", "changes", "pins", "mentions", "versions", "threads")
ENOUGH: Final = 100
"""Worlds in which everything happens."""
SELDOM: Final = frozenset(
    {
        "edit: version_mismatch",
        "edit: store_unavailable",
        "page: redis",
        "page: stale",
        "list: stale",
        "edit: commit_unknown",
        "change: commit_unknown",
        "edit: message_deleted",
        "change: container died",
    }
    | {"erase: tool died", "versions: not found", "changes: container died"}
    | {"thread page: stale", "thread post: replayed to both", "thread change: deleted"}
    | {"thread change: nested_thread", "thread follow: unfollowed", "thread mark: marked"}
)


def main(arguments: list[str] | None = None) -> int:
    """Runs what the command line asks for; the exit status."""
    given = _parse(arguments)
    if given.mutants:
        print("\n".join(f"{name:24}{each.what}" for name, each in MUTANTS.items()))
        return 0
    if given.every_mutant:
        return _each_mutant(given)
    if given.seed is not None:
        return _replay(given)
    started = time.perf_counter()
    total = _found(given) if given.mutant else _all(given)
    seconds = time.perf_counter() - started
    results = _results(given, total, seconds)
    targets = {"0 violations": not total.violations, f"within {MINUTES} minutes": seconds <= MINUTES * 60}
    if given.seeds >= ENOUGH:
        missing = SELDOM - total.outcomes.keys()
        targets[
            f"seldom outcomes happened{': not ' if missing else ''}{', '.join(sorted(missing))}"
        ] = not missing
    if given.mutant:
        targets = {f"mutant {given.mutant} is found": bool(total.violations)}
    return command.finish(given, results, targets, _text(given, results))


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = command.parser("Simulates the chat under faults, from seeds, and judges every answer.")
    parser.add_argument(
        "--operations", type=int, default=1_000_000, help="requests of clients, in all worlds"
    )
    parser.add_argument("--seeds", type=int, default=1_000, help="worlds")
    parser.add_argument("--seed", type=int, help="live this world again, and print its steps")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--mutant", choices=MUTANTS, help="run with a bug put in, until it is found")
    parser.add_argument("--mutants", action="store_true", help="list the mutants")
    parser.add_argument("--every-mutant", action="store_true", help="run with each mutant, until it is found")
    given = parser.parse_args(arguments)
    if given.tiny:
        given.seeds, given.operations, given.processes = 4, 2_000, 1
    given.each = max(1, given.operations // given.seeds)
    return given


def live(seed: int, operations: int, mutant: str | None = None) -> Result:
    """One world's result; its arguments can be pickled."""
    return World(seed, operations, _code(mutant)).run()


def _code(mutant: str | None) -> Code:
    return MUTANTS[mutant].code if mutant else REAL


def _all(given: argparse.Namespace) -> Result:
    one = partial(live, operations=given.each)
    if given.processes == 1:
        return _sum(map(one, range(given.seeds)), given.seeds)
    pool = pool_of(given.processes)
    if pool is None:
        return _sum(map(one, range(given.seeds)), given.seeds)
    with pool:
        return _sum(pool.map(one, range(given.seeds), chunksize=5), given.seeds)


def pool_of(processes: int, context: BaseContext | None = None) -> ProcessPoolExecutor | None:
    """So many processes; None, and a line that says why, where they cannot share a lock."""
    try:
        # Spawned, not forked: what a world does depends on its seed and the code alone.
        return ProcessPoolExecutor(processes, context or get_context("spawn"))
    except OSError as error:
        print(f"one process only: {processes} need a /dev/shm that can be written ({error})", file=sys.stderr)
        return None


def _found(given: argparse.Namespace) -> Result:
    one = partial(live, operations=given.each, mutant=given.mutant)
    return _sum(_until_found(one, given.seeds), given.seeds)


def _each_mutant(given: argparse.Namespace) -> int:
    found = {}
    for name in command.progress(MUTANTS, "mutants"):
        worlds = _until_found(partial(live, operations=given.each, mutant=name), given.seeds)
        found[name] = next((seed for each in worlds for seed, _ in each.violations), None)
    targets = {f"mutant {name} is found": seed is not None for name, seed in found.items()}
    return command.finish(given, {"found_by_seed": found}, targets)


def _until_found(one: Callable[[int], Result], seeds: int) -> Iterator[Result]:
    for seed in range(seeds):
        result = one(seed)
        yield result
        if result.violations:
            return


def _sum(results: Iterable[Result], seeds: int) -> Result:
    total = Result()
    for done, result in enumerate(results, start=1):
        total.add(result)
        if done % PROGRESS == 0:
            said = (
                f"{done} of {seeds} worlds, {total.operations} operations, {len(total.violations)} violations"
            )
            print(said, file=sys.stderr)
    return total


def _results(given: argparse.Namespace, total: Result, seconds: float) -> dict[str, Any]:
    outcomes: dict[str, dict[str, int]] = {}
    for name, count in total.outcomes.most_common():
        kind, _, outcome = name.partition(": ")
        outcomes.setdefault(kind, {})[outcome] = count
    reads = [each for kind in READS for each in (kind, f"thread {kind}")]
    first = total.violations[0] if total.violations else None
    return {
        "mutant": given.mutant,
        "seeds": total.worlds,
        "operations": total.operations,
        "reads": sum(sum(outcomes.get(kind, {}).values()) for kind in reads),
        "seconds": round(seconds, 1),
        "operations_per_second": round(total.operations / seconds),
        "virtual_hours": round(total.virtual_seconds / 3600, 1),
        "outcomes": outcomes,
        "faults": dict(total.faults.most_common()),
        "faults_injected": total.faults.total(),
        "holes_voided": total.voids,
        "violations": len(total.violations),
        "first_violation": first and {"seed": first[0], "what": first[1], "operations": given.each},
    }


def _text(given: argparse.Namespace, results: dict[str, Any]) -> str:
    done = f"{results['seeds']} worlds, {results['operations']} operations ({results['reads']} reads)"
    speed = f"{results['seconds']} s: {results['operations_per_second']} a second"
    inside = f"{results['virtual_hours']} hours passed in them, {results['holes_voided']} holes were voided"
    lines = [f"{done} in {speed}; {inside}", ""]
    for kind, outcomes in results["outcomes"].items():
        lines.append(f"{kind:7}" + ", ".join(f"{outcome} {count}" for outcome, count in outcomes.items()))
    faults = Counter(results["faults"]).most_common()
    lines += ["", table(("fault injected", "times"), faults), ""]
    lines.append(f"violations: {results['violations']}")
    first = results["first_violation"]
    if first:
        lines += [
            f"first: seed {first['seed']}: {first['what']}",
            "its last steps:",
            *_trace(given, first["seed"]),
        ]
        lines.append(f"all of them: {_replay_command(given, first['seed'])}")
    return "\n".join(lines)


def _trace(given: argparse.Namespace, seed: int) -> list[str]:
    return _traced(given, seed)[1][-TRACE_LINES:]


def _traced(given: argparse.Namespace, seed: int) -> tuple[Result, list[str]]:
    world = World(seed, given.each, _code(given.mutant), traced=True)
    result = world.run()
    return result, world.trace or []


def _replay_command(given: argparse.Namespace, seed: int) -> str:
    mutant = f" --mutant {given.mutant}" if given.mutant else ""
    return f"python -m tests.simulation.run --operations {given.each} --seeds 1{mutant} --seed {seed}"


def _replay(given: argparse.Namespace) -> int:
    result, trace = _traced(given, given.seed)
    print("\n".join(trace))
    for _, what in result.violations:
        print(f"violation: {what}")
    return int(given.check and bool(result.violations))


if __name__ == "__main__":
    sys.exit(main())
