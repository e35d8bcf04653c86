"""Requests a second and latencies under load: ``python -m bench.load [--json] [--check] [--tiny]``.

Real handlers behind the local gateway, over the engines of `make run`: Budgie; the same endpoints written the usual way
(``bench.usual``); and constant answers, which show what gateway, wire and client cost both. Each has a process of its
own with the same gateway, token checks and log lines; they share the engines, and are loaded by turns. Two forms: reads
of pages of 50 messages, nearly all of the latest page of one of 20 channels; and 90 such reads to 9 posts and 1 list.

Requests a second are medians over the rounds, how many times the usual way's is the median of what each round shows.
One process plays all containers here and Python computes in one thread at a time, so with several clients requests a
second say how much processor time a request takes, and latencies how long the queue is.
"""

from __future__ import annotations

import statistics
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bench.load.contest import FORMS, FULL, TINY, Plan, Turn, default_engine, installed, opened
from bench.load.scene import BUDGIE, FLOOR, MIX, OLDER, USUAL
from bench.report import finish, parser, percentile, table
from local.dynamodb import ENGINES

TIMES_THE_USUAL: Final = 3.0
COLUMNS: Final = {
    "clients": "clients",
    "requests_a_second": "requests/s",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "cpu_ms_a_request": "CPU ms",
    "errors": "errors",
}


def main() -> int:
    """Runs all of it; with ``--check`` 1 if a target is missed."""
    options = parser(main.__doc__ or "")
    options.add_argument("--engine", choices=ENGINES, default=default_engine(), help="default: %(default)s")
    options.add_argument(
        "--accept-encoding", default="identity", help="what clients accept; default: %(default)s"
    )
    arguments = options.parse_args()
    plan = TINY if arguments.tiny else FULL
    names, turns = installed(), []
    print(f"starting {arguments.engine} and {len(names)} gateways", file=sys.stderr, flush=True)
    with opened(names, plan, arguments.engine, arguments.accept_encoding) as contest:
        for turn in contest.run():
            turns.append(turn)
            print(_progress(turn), file=sys.stderr, flush=True)
        page_bytes = contest.page_bytes
    results = {
        "engine": arguments.engine,
        "accept_encoding": arguments.accept_encoding,
        "page_bytes": {name: round(size) for name, size in page_bytes.items()},
        **summed_up(plan, names, turns),
    }
    return finish(arguments, results, targets(results), text(results))


def _progress(turn: Turn) -> str:
    rate = len(turn.lap.all) / turn.lap.seconds
    return f"{turn.form}, {turn.clients} clients, {turn.contender}: {rate:,.0f}/s"


def summed_up(plan: Plan, names: Sequence[str], turns: Sequence[Turn]) -> dict[str, Any]:
    """Everything that was measured, by form, number of clients and contender."""
    cells = {
        (form, clients, name): [
            turn for turn in turns if (turn.form, turn.clients, turn.contender) == (form, clients, name)
        ]
        for form in FORMS
        for clients in plan.clients
        for name in names
    }
    return {
        "contenders": list(names),
        "rounds": plan.rounds,
        "seconds_a_round": plan.seconds,
        "mix_percent": MIX,
        "older_pages_of_reads": OLDER,
        "channels": plan.scene.channels,
        "runs": [
            {"form": form, "clients": clients, "contender": name, **_run(cell)}
            for (form, clients, name), cell in cells.items()
        ],
        "compared": [
            {
                "form": form,
                "clients": clients,
                **_compared({name: cells[form, clients, name] for name in names}),
            }
            for form in FORMS
            for clients in plan.clients
        ]
        if USUAL in names
        else [],
        "errors": sum((turn.lap.errors for turn in turns), Counter[str]()),
    }


def _run(cell: Sequence[Turn]) -> dict[str, Any]:
    """One contender under so many clients, all rounds."""
    latencies = [each * 1000 for turn in cell for each in turn.lap.all]
    kinds = sorted({kind for turn in cell for kind in turn.lap.latencies})
    rates = [_rate(turn) for turn in cell]
    return {
        "requests_a_second": round(statistics.median(rates), 1),
        "requests_a_second_by_round": [round(each, 1) for each in rates],
        **_milliseconds(latencies),
        "by_kind": {
            kind: _milliseconds([s * 1000 for turn in cell for s in turn.lap.latencies.get(kind, [])])
            for kind in kinds
        },
        "cpu_ms_a_request": round(statistics.median(map(_cpu_ms, cell)), 3),
        "bytes_an_answer": round(statistics.mean(turn.lap.received / turn.lap.answered for turn in cell)),
        "requests": len(latencies),
        "errors": sum(turn.lap.errors.total() for turn in cell),
    }


def _milliseconds(times: Sequence[float]) -> dict[str, float]:
    return {"p50_ms": round(statistics.median(times), 2), "p99_ms": round(percentile(times, 99), 2)}


def _rate(turn: Turn) -> float:
    return len(turn.lap.all) / turn.lap.seconds


def _cpu_ms(turn: Turn) -> float:
    """Milliseconds of the gateway's process a request: the handler's and the gateway's own."""
    return turn.cpu_seconds * 1000 / turn.lap.answered


def _compared(rounds: Mapping[str, Sequence[Turn]]) -> dict[str, float]:
    """How many times the usual way's requests a second ours answers; and how many times less its handler computes."""
    together = list(zip(rounds[BUDGIE], rounds[USUAL], rounds[FLOOR], strict=True))
    return {
        "times_requests_a_second": round(
            statistics.median(_rate(ours) / _rate(usual) for ours, usual, _ in together), 2
        ),
        "times_less_cpu_beside_floor": round(
            statistics.median(
                (_cpu_ms(usual) - _cpu_ms(floor)) / (_cpu_ms(ours) - _cpu_ms(floor))
                for ours, usual, floor in together
            ),
            2,
        ),
    }


def targets(results: dict[str, Any]) -> dict[str, bool]:
    """For each number of clients, and that nothing failed."""
    reads = {
        each["clients"]: each["times_requests_a_second"]
        for each in results["compared"]
        if each["form"] == "reads"
    }
    reached = {
        f"reads by {clients} clients: at least {TIMES_THE_USUAL:g} times the usual way's requests a second": times
        >= TIMES_THE_USUAL
        for clients, times in reads.items()
    }
    return reached | {"the usual way is installed": bool(reads), "no request failed": not results["errors"]}


def text(results: dict[str, Any]) -> str:
    """The results for a person."""
    lines = [
        f"{results['engine']}; pages of {results['page_bytes']} bytes, accepting {results['accept_encoding']}"
    ]
    for form in FORMS:
        rows = [
            (each["contender"], *(each[name] for name in COLUMNS))
            for each in results["runs"]
            if each["form"] == form
        ]
        lines += [f"\n{form}", table(("", *COLUMNS.values()), rows)]
    compared = [
        (
            f"{each['form']}, {each['clients']} clients",
            each["times_requests_a_second"],
            each["times_less_cpu_beside_floor"],
        )
        for each in results["compared"]
    ]
    lines += [
        "",
        table(("Budgie and the usual way", "times requests/s", "times less CPU beside the floor"), compared),
    ]
    if results["errors"]:
        lines.append(f"\nerrors: {results['errors']}")
    if USUAL not in results["contenders"]:
        lines.append("\nthe usual way is not installed (make bench-setup)")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
