"""Push in the simulation: ``python -m tests.simulation.push.run``; ``--every-mutant`` checks that each is found."""

from __future__ import annotations

import argparse
import os
import sys
import time
from functools import partial
from typing import Final

from bench.lib import command
from tests.simulation.push.mutants import MUTANTS, REAL
from tests.simulation.push.world import PushWorld
from tests.simulation.run import PROGRESS, pool_of
from tests.simulation.world import Result

EVENTS: Final = 100_000
"""Frames to clients, and frames and requests from them, in all worlds of the long form: at least so many each."""


def main(arguments: list[str] | None = None) -> int:
    """Runs what the command line asks for; the exit status."""
    parser = command.parser("Simulates push with lost, doubled, late and disordered frames, from seeds.")
    parser.add_argument("--operations", type=int, default=300_000, help="requests of clients, in all worlds")
    parser.add_argument("--seeds", type=int, default=1_000, help="worlds")
    parser.add_argument("--seed", type=int, help="live this world again, and print its steps")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--mutant", choices=MUTANTS, help="run with a bug put in")
    parser.add_argument("--every-mutant", action="store_true", help="run with each mutant, until it is found")
    given = parser.parse_args(arguments)
    if given.tiny:
        given.seeds, given.operations, given.processes = 4, 1_000, 1
    each = max(1, given.operations // given.seeds)
    if given.seed is not None:
        return _replay(given, each)
    if given.every_mutant:
        found = {name: _first_seed(name, given.seeds, each) for name in command.progress(MUTANTS, "mutants")}
        targets = {f"mutant {name} is found": seed is not None for name, seed in found.items()}
        return command.finish(given, {"found_by_seed": found}, targets)
    started = time.perf_counter()
    total = _all(given, each)
    frames = {name: total.outcomes[f"frames: {name}"] for name in ("sent", "taken", "said")}
    results = {
        "seeds": total.worlds,
        "operations": total.operations,
        "frames": frames,
        "seconds": round(time.perf_counter() - started, 1),
        "outcomes": dict(total.outcomes.most_common()),
        "faults": dict(total.faults.most_common()),
        "violations": len(total.violations),
        "first_violations": total.violations[:10],
    }
    targets = {"0 violations": not total.violations}
    if given.seeds >= PROGRESS:
        targets[f"{EVENTS} events each way"] = min(frames.values()) >= EVENTS
    return command.finish(given, results, targets)


def live(seed: int, operations: int, mutant: str | None = None) -> Result:
    """One world's result; its arguments can be pickled."""
    return PushWorld(seed, operations, MUTANTS[mutant].push if mutant else REAL).run()


def _all(given: argparse.Namespace, each: int) -> Result:
    one = partial(live, operations=each, mutant=given.mutant)
    pool = pool_of(given.processes) if given.processes > 1 else None
    total = Result()
    worlds = pool.map(one, range(given.seeds), chunksize=5) if pool else map(one, range(given.seeds))
    for done, result in enumerate(worlds, start=1):
        total.add(result)
        if done % PROGRESS == 0:
            print(f"{done} of {given.seeds} worlds, {len(total.violations)} violations", file=sys.stderr)
    if pool:
        pool.shutdown()
    return total


def _first_seed(mutant: str, seeds: int, operations: int) -> int | None:
    return next((seed for seed in range(seeds) if live(seed, operations, mutant).violations), None)


def _replay(given: argparse.Namespace, operations: int) -> int:
    push = MUTANTS[given.mutant].push if given.mutant else REAL
    world = PushWorld(given.seed, operations, push, traced=True)
    result = world.run()
    print("\n".join(world.trace or []))
    for _, what in result.violations:
        print(f"violation: {what}")
    return int(given.check and bool(result.violations))


if __name__ == "__main__":
    sys.exit(main())
