"""What the turns of a load test come to: rows for tables and plots, comparisons, targets."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from bench.load.contest import FORMS, Plan, Turn
from bench.load.scene import BUDGIE, FLOOR, MIX, OLDER, USUAL
from bench.report import percentile, table

TIMES_THE_USUAL: Final = 3.0
COLUMNS: Final = {
    "clients": "clients",
    "requests_a_second": "requests/s",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "cpu_ms_a_request": "CPU ms",
    "errors": "errors",
}


def rate(turn: Turn) -> float:
    """Requests a second."""
    return len(turn.lap.all) / turn.lap.seconds


def cpu_ms(turn: Turn) -> float:
    """Milliseconds of processor time that a request takes in the gateway's process: the gateway's and the handler's."""
    return turn.cpu_seconds * 1000 / max(1, turn.lap.answered)


def summed_up(plan: Plan, names: Sequence[str], turns: Sequence[Turn]) -> dict[str, Any]:
    """Everything that was measured."""
    runs, compared = [], []
    for form in FORMS:
        for clients in plan.clients:
            of = {name: _of(turns, form, clients, name) for name in names}
            cell = {"form": form, "clients": clients}
            runs += [{**cell, "contender": name, **_run(each)} for name, each in of.items()]
            compared += [{**cell, **_compared(of)}] if USUAL in of else []
    return {
        "contenders": list(names),
        "rounds": plan.rounds,
        "seconds_a_round": plan.seconds,
        "channels": plan.scene.channels,
        "mix_percent": MIX,
        "older_pages_of_reads": OLDER,
        "runs": runs,
        "compared": compared,
        "errors": dict(sum((turn.lap.errors for turn in turns), Counter[str]())),
    }


def _of(turns: Sequence[Turn], form: str, clients: int, name: str) -> list[Turn]:
    return [turn for turn in turns if (turn.form, turn.clients, turn.contender) == (form, clients, name)]


def _run(rounds: Sequence[Turn]) -> dict[str, Any]:
    """One contender under so many clients. Requests a second and processor time are medians over the rounds."""
    rates = [round(rate(turn), 1) for turn in rounds]
    return {
        "requests_a_second": statistics.median(rates),
        "requests_a_second_by_round": rates,
        **_latencies([turn.lap.all for turn in rounds]),
        "by_kind": {kind: _latencies([turn.lap.latencies.get(kind, []) for turn in rounds]) for kind in MIX},
        "cpu_ms_a_request": round(statistics.median(map(cpu_ms, rounds)), 3),
        "bytes_an_answer": round(
            sum(turn.lap.received for turn in rounds) / max(1, sum(turn.lap.answered for turn in rounds))
        ),
        "errors": sum(turn.lap.errors.total() for turn in rounds),
    }


def _latencies(rounds: Sequence[Sequence[float]]) -> dict[str, float | None]:
    """Over all requests of all rounds; none where there was none."""
    times = [seconds * 1000 for each in rounds for seconds in each]
    return {
        "requests": len(times),
        "p50_ms": round(statistics.median(times), 2) if times else None,
        "p99_ms": round(percentile(times, 99), 2) if times else None,
    }


def _compared(of: Mapping[str, Sequence[Turn]]) -> dict[str, float]:
    """How many times the usual way's requests a second ours answers, and its handler's processor time ours saves."""

    def own(name: str) -> list[float]:
        return [cpu_ms(turn) - cpu_ms(floor) for turn, floor in zip(of[name], of[FLOOR], strict=True)]

    return {
        "times_requests_a_second": _times(map(rate, of[BUDGIE]), map(rate, of[USUAL])),
        "times_less_cpu_beside_the_floor": _times(own(USUAL), own(BUDGIE)),
    }


def _times(ones: Iterable[float], others: Iterable[float]) -> float:
    """The median of what each round shows."""
    return round(statistics.median(one / other for one, other in zip(ones, others, strict=True)), 2)


def targets(results: Mapping[str, Any]) -> dict[str, bool]:
    """Reads for each number of clients; and that it was a fair contest."""
    reads = [each for each in results["compared"] if each["form"] == "reads"]
    asked = f"at least {TIMES_THE_USUAL:g} times the usual way's requests a second"
    return {
        f"reads by {each['clients']} clients: {asked}": each["times_requests_a_second"] >= TIMES_THE_USUAL
        for each in reads
    } | {"the usual way is installed": bool(reads), "no request failed": not results["errors"]}


def text(results: Mapping[str, Any]) -> str:
    """The results for a person."""
    sizes = ", ".join(f"{name} {size:,}" for name, size in results["page_bytes"].items())
    lines = [f"{results['engine']}; bytes of a page: {sizes}; accepting {results['accept_encoding']}"]
    for form in FORMS:
        rows = [each for each in results["runs"] if each["form"] == form]
        lines += [f"\n{form}", _table(rows, {"contender": ""} | COLUMNS)]
    if compared := results["compared"]:
        shown = {"form": "Budgie, of the usual way", "clients": "clients"}
        shown |= {name: name.replace("_", " ") for name in compared[0] if name not in shown}
        lines += ["", _table(compared, shown)]
    else:
        lines.append("\nthe usual way is not installed (make bench-setup)")
    if results["errors"]:
        lines.append(f"\nerrors: {results['errors']}")
    return "\n".join(lines)


def _table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> str:
    return table(list(columns.values()), [[row[name] for name in columns] for row in rows])
