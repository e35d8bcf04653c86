"""From a container's start to its first answer: ``python -m bench.cold_start [--json] [--check]``.

Each function's artifact runs under AWS's runtime client, over real engines, so that its first call of DynamoDB (and of
Redis, where it uses it) is part of it. Held against a bare handler, a FastAPI hello under Mangum, and the same endpoint
written the usual way (``bench.usual``), with bytecode and as it is usually shipped, without. All by turns; medians of
the milliseconds on the clock and of the processor.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import boto3

from bench.cold.containers import Contender, Lambda, Start, runtime
from bench.cold.contenders import (
    BARE,
    FUNCTIONS,
    HELLO,
    PEERS,
    SCENE,
    SHIPPED,
    USUAL,
    contenders,
    lambda_python,
    runtime_python,
)
from bench.load.scene import fill
from bench.report import finish, parser, table
from local import dynamodb
from local.artifacts import python_version
from local.settings import LocalSettings
from local.stack import Stack

ROOT: Final = Path(__file__).resolve().parent.parent
RUNS: Final = 15
MAX_OF_FLOOR, MAX_OF_PEER, MAX_OF_SHIPPED = 1.35, 0.6, 0.3
Starts = Mapping[str, Sequence[Start]]


def main() -> int:
    """Starts containers by turns; with ``--check`` 1 if a target is missed."""
    arguments = parser(main.__doc__ or "")
    arguments.add_argument("--runs", type=int, default=RUNS)
    options = arguments.parse_args()
    python = lambda_python()
    with tempfile.TemporaryDirectory() as state, runtime(runtime_python(python)) as made:
        starts = _measured(made, python, Path(state), 1 if options.tiny else options.runs)
    results = _results(starts, python)
    return finish(options, results, _targets(results), _text(results))


def _measured(made: Lambda, python: str, state: Path, runs: int) -> Starts:
    settings = LocalSettings(
        port=0, dynamodb_engine=dynamodb.default_engine(), dynamodb_port=0, redis_port=0, upstash_port=0
    )
    environ = dict(os.environ)
    with Stack(settings, ROOT, directory=state, environ=environ, log=lambda _line: None) as stack:
        access_key, secret_key = dynamodb.CREDENTIALS.values()
        session = boto3.Session(access_key, secret_key, region_name=dynamodb.REGION)
        fill(
            SCENE,
            session.client("dynamodb", endpoint_url=stack.dynamodb_url),
            session.resource("dynamodb", endpoint_url=stack.dynamodb_url),
        )
        variables = {name: value for name, value in environ.items() if os.environ.get(name) != value}
        return _by_turns(made, list(contenders(python, variables)), runs)


def _by_turns(made: Lambda, all_of_them: Sequence[Contender], runs: int) -> Starts:
    found: dict[str, list[Start]] = {each.name: [] for each in all_of_them}
    for turn in range(runs + 1):
        for i in range(len(all_of_them)):
            each = all_of_them[(turn + i) % len(all_of_them)]
            start = made.start(each)
            if turn:  # The first turn brings the files into the page cache.
                found[each.name].append(start)
        print(f"turn {turn} of {runs}", file=sys.stderr, flush=True)
    return found


def _results(starts: Starts, python: str) -> dict[str, Any]:
    times = {name: _summary(each) for name, each in starts.items()}
    return {
        "runs": len(next(iter(starts.values()))),
        "python": python_version(python),
        "contenders": times,
        "of_floor": {each: _ratio(times[each], times[HELLO]) for each in FUNCTIONS},
        "of_peer": {each: _ratio(times[each], times[f"{USUAL} {_peer(each)}"]) for each in FUNCTIONS},
        "of_peer_as_shipped": {
            each: _ratio(times[each], times[f"{SHIPPED} fetch_messages"]) for each in FUNCTIONS
        },
    }


def _peer(function: str) -> str:
    """The endpoint of the usual way that does most nearly what a function's does."""
    return function if function in PEERS else PEERS[0]


def _summary(starts: Sequence[Start]) -> dict[str, float]:
    wall, cpu = [each.wall_ms for each in starts], [each.cpu_ms for each in starts]
    return {
        "wall_ms": round(statistics.median(wall), 1),
        "wall_min": round(min(wall), 1),
        "cpu_ms": round(statistics.median(cpu), 1),
        "cpu_min": round(min(cpu), 1),
    }


def _ratio(ours: Mapping[str, float], theirs: Mapping[str, float]) -> dict[str, float]:
    return {name: round(ours[f"{name}_ms"] / theirs[f"{name}_ms"], 2) for name in ("wall", "cpu")}


def _targets(results: Mapping[str, Any]) -> dict[str, bool]:
    return {
        f"every function at most {most:g} x {name}, on the clock and of the processor": all(
            ratio <= most for each in results[ratios].values() for ratio in each.values()
        )
        for ratios, most, name in (
            ("of_floor", MAX_OF_FLOOR, "a FastAPI hello"),
            ("of_peer", MAX_OF_PEER, "the usual way with bytecode"),
            ("of_peer_as_shipped", MAX_OF_SHIPPED, "the usual way as it is shipped"),
        )
    }


def _text(results: Mapping[str, Any]) -> str:
    rows = [
        (name, *each.values(), *(_shown(results, kind, name) for kind in ("of_floor", "of_peer")))
        for name, each in results["contenders"].items()
    ]
    head = f"Start to first answer, Python {results['python']}, {results['runs']} runs ({BARE} is the floor of floors)"
    names = ("", "ms", "least", "CPU ms", "least", "of hello", "of usual")
    return f"{head}\n{table(names, rows)}"


def _shown(results: Mapping[str, Any], kind: str, name: str) -> str:
    found = results[kind].get(name)
    return f"{found['wall']:.2f} {found['cpu']:.2f}" if found else ""


if __name__ == "__main__":
    sys.exit(main())
