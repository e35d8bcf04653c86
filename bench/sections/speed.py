"""The sections of ``bench.cold_start``, ``bench.hot_path``, ``bench.load`` and ``bench.contention``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bench import plot
from bench.markdown import nested, number, table
from bench.sections import Section

RATIOS: Final = {
    "of_floor": "of the floor",
    "of_peer": "of the usual way",
    "of_peer_as_shipped": "of the usual way as shipped",
}
CONTENTION: Final = {
    "writers": "writers",
    "readers": "readers",
    "posts_per_second": "posts/s",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "p99_of_p50": "p99/p50",
    "slowest_writer_of_mean": "slowest/mean",
    "takes_per_post": "takes",
    "commits_per_post": "commits",
    "write_units_per_post": "write units",
    "writer_cpu_ms_per_post": "CPU ms",
    "answers_503": "503",
    "holes_met": "holes",
    "voids": "voids",
}
LOAD: Final = {
    "requests_a_second": "requests/s",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "cpu_ms_a_request": "CPU ms",
    "bytes_an_answer": "bytes",
    "errors": "errors",
}


def cold_start(results: Mapping[str, Any]) -> Section:
    """Milliseconds from the process's start to its first answer, and how they compare."""
    contenders = results["contenders"]
    columns = {"wall_ms": "wall ms", "cpu_ms": "CPU ms", "wall_min": "least wall", "cpu_min": "least CPU"}
    rows = [[name, *(each[column] for column in columns)] for name, each in contenders.items()]
    blocks = [
        f"Medians and least of {number(results['runs'])} runs each, Python {results['python']}.",
        table(["", *columns.values()], rows),
    ]
    functions = list(results["of_floor"])
    header = [f"{kind} {said}" for said in RATIOS.values() for kind in ("wall", "CPU")]
    ratios = [
        [name, *(results[ratio][name][kind] for ratio in RATIOS for kind in ("wall", "cpu"))]
        for name in functions
    ]
    blocks.append(table(["", *header], ratios))
    walls = {name: {"wall": float(each["wall_ms"])} for name, each in contenders.items()}
    return Section(
        blocks, {"cold_start.svg": plot.bars("Milliseconds to the first answer", walls, "{:,.0f}")}
    )


def hot_path(results: Mapping[str, Any]) -> Section:
    """Every figure in tables; where routes were measured, what each consists of as bars."""
    blocks = nested({name: value for name, value in results.items() if name != "targets"})
    if "routes" not in results:
        return Section(blocks)
    routes = {
        name: {section: max(0.0, float(us)) for section, us in each.items() if section != "all"}
        for name, each in results["routes"].items()
    }
    return Section(
        blocks, {"hot_path.svg": plot.bars("Microseconds of a request, by section", routes, "{:,.0f}")}
    )


def load(results: Mapping[str, Any]) -> Section:
    """Requests a second by clients, ours and others', and how many times the usual way's they are."""
    blocks = [
        f"{results['engine']}, {number(results['rounds'])} rounds of {number(results['seconds_a_round'])} s; accepting "
        f"{results['accept_encoding']}; a page has "
        + ", ".join(f"{number(size)} bytes ({name})" for name, size in results["page_bytes"].items())
        + "."
    ]
    forms = list(dict.fromkeys(run["form"] for run in results["runs"]))
    panels = []
    for form in forms:
        runs = [run for run in results["runs"] if run["form"] == form]
        rows = [(run["contender"], run["clients"], *(run[each] for each in LOAD)) for run in runs]
        blocks.append(table([form, "clients", *LOAD.values()], rows))
        panels.append(_lines(f"Requests a second, {form}", "clients", "requests_a_second", "contender", runs))
    if results["compared"]:
        compared = [
            (f"{each['form']}, {number(each['clients'])} clients", *(each[name] for name in COMPARED))
            for each in results["compared"]
        ]
        blocks.append(table(["Budgie and the usual way", *COMPARED.values()], compared))
    return Section(blocks, {"load.svg": plot.lines(panels)})


COMPARED: Final = {
    "times_requests_a_second": "times its requests/s",
    "times_less_cpu_beside_the_floor": "times less CPU beside the floor",
}


def contention(results: Mapping[str, Any]) -> Section:
    """Posts to one channel by writers, with readers and faults, and the engine's own limit."""
    limits = {(each["writers"], each["readers"]): each["of_limit"] for each in results["of_limit"]}
    rows: list[tuple[object, ...]] = []
    shown: list[dict[str, Any]] = []
    for cell in results["cells"]:
        is_compared = cell["side"] == "budgie" and cell["weather"] == "fair"
        of_limit = limits.get((cell["writers"], cell["readers"])) if is_compared else None
        rows.append((f"{cell['side']}, {cell['weather']}", *(cell[each] for each in CONTENTION), of_limit))
        readers = f", {cell['readers']} readers" if cell["readers"] else ""
        shown.append({**cell, "name": f"{cell['side']}, {cell['weather']}{readers}"})
    rates = [
        f"{name}: " + ", ".join(f"{kind} {share:.0%}" for kind, share in each.items() if share)
        for name, each in results["rates"].items()
        if any(each.values())
    ]
    blocks = [
        f"{number(results['rounds'])} rounds of {number(results['seconds'])} s.",
        f"Faults put in, of calls: {'; '.join(rates)}.",
        table(["", *CONTENTION.values(), "of the engine's limit"], rows),
        *(f"- {fault}" for cell in results["cells"] for fault in cell["log_faults"]),
    ]
    panel = _lines("Posts a second to one channel", "writers", "posts_per_second", "name", shown)
    return Section(blocks, {"contention.svg": plot.lines([panel])})


def _lines(title: str, x: str, y: str, name: str, rows: list[dict[str, Any]]) -> plot.Lines:
    series: dict[str, list[plot.Point]] = {}
    for row in rows:
        series.setdefault(row[name], []).append((row[x], row[y]))
    across, along = (plot.Powers.around((row[column] for row in rows), "{:,g}") for column in (x, y))
    return plot.Lines(title, across, along, series, x_label=x)
