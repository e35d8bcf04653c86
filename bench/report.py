"""The report of all benchmarks: ``python -m bench.report`` runs them and writes ``docs/performance.md``.

With names it runs those alone and takes the others from what was stored (``.local/bench``); with ``--stored`` it runs
none. Every figure of the report comes out of a result, as a table of its JSON: the sentences around them are fixed and
hold none. A target that is missed is marked. Ends with 1 if a benchmark failed; the report is written all the same,
from its last result.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.lib.command import progress
from bench.lib.functions import ROOT
from bench.lib.tables import nested, number, table

STORED: Final = ROOT / ".local" / "bench"
DOCUMENT: Final = ROOT / "docs" / "performance.md"
INTRODUCTION: Final = """# Performance

Made by `make bench-report`; no figure here is typed by hand. `make bench-report ONLY="growth cost"` runs some of the
benchmarks anew and takes the others from their last results. Times are of the machine below, and worth comparing with
one another only; units, bytes and dollars are what they are anywhere."""
WITHOUT: Final = frozenset(
    {"bench", "targets", "by_kind", "requests_a_second_by_round", "posts_per_second_by_round"}
)
"""Fields of results that are too many to be read; they are in the stored JSON."""
Series = Mapping[str, Sequence[tuple[float, float]]]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark of the report.

    Attributes:
        title: Its heading.
        shows: What it shows, in a sentence or two without a figure.
        arguments: What it is run with, beside ``--json``.
        bars: What is drawn as bars: a path into the result, and the fields of each row that are put on one another.
        lines: What is drawn as lines: a path to rows, the field across, the field along, and those that name a line.
    """

    title: str
    shows: str
    arguments: tuple[str, ...] = ()
    bars: tuple[str, tuple[str, ...]] | None = None
    lines: tuple[str, str, str, tuple[str, ...]] | None = None


BENCHMARKS: Final[Mapping[str, Benchmark]] = {
    "cold_start": Benchmark(
        "Cold starts",
        "From the start of a process to its first answer, the first call of DynamoDB included: each function as it is "
        "deployed, beside a bare handler, a FastAPI route that does nothing, and the same endpoint written the usual "
        "way.",
        bars=("contenders", ("wall_ms",)),
    ),
    "hot_path": Benchmark(
        "The hot path",
        "What a request costs in a warm container, from API Gateway's event to the answer: Budgie beside the floor, "
        "which is the same framework doing nothing, and beside the same endpoint over other caches. Microseconds.",
        bars=("routes", ("mangum", "fastapi", "log", "storage", "cache", "use_case")),
    ),
    "load": Benchmark(
        "Under load",
        "Requests a second and latencies over the local gateway with the real handlers, beside the same endpoints "
        "written the usual way and beside constant answers, which show what gateway and wire cost all of them.",
        lines=("runs", "clients", "requests_a_second", ("form", "contender")),
    ),
    "contention": Benchmark(
        "Many writers, one channel",
        "Posts to one channel by ever more writers, with and without readers that poll and with faults put in, each "
        "round beside the same calls of DynamoDB without Budgie: the engine's own limit.",
        lines=("cells", "writers", "posts_per_second", ("side", "weather", "readers")),
    ),
    "growth": Benchmark(
        "As a chat grows",
        "Whether pages and posts cost the same however long a channel is, however many members it has and however many "
        "channels their caller is in; and how a list of channels grows with the channels that are on it.",
        lines=("channels", "size", "ms", ()),
    ),
    "cost": Benchmark(
        "What it costs",
        "Dollars for each million of an operation, by service, nothing free taken off. Calls are the milliseconds of "
        "DynamoDB and Redis as the capacity planner counts them; own work is the processor's on this machine; cautious "
        "is the sum with the least share of a processor that Lambda gives a function of this memory. Egress, logs and "
        "traces are in none of the sums but the last.",
        bars=("operations/dollars", ("api_gateway", "lambda_requests", "lambda_seconds", "dynamodb")),
    ),
    "cache": Benchmark(
        "A day of a chat",
        "The same requests of a day through the real handlers with different caches before the same storage: none, the "
        "usual one with a time to live and `DEL`, ours, and ours with a key for each value. What is stale is counted.",
        bars=("days/strategies", ("redis_commands",)),
    ),
    "codec": Benchmark(
        "Codecs and encryption",
        "What compressing a page and a bundle saves and how long it takes; what the encryption of cached values adds "
        "to a fresh process, to packing and unpacking a bundle, to its bytes and to the artifact that is deployed.",
        arguments=("--artifacts",),
    ),
}


# --- Results ---


class FailedError(Exception):
    """A benchmark ended without a result; the text says how."""


@dataclass(frozen=True, slots=True)
class Run:
    """A benchmark's result, and where it comes from.

    Attributes:
        name: Of the benchmark.
        arguments: That it was given.
        date: Of its end, UTC.
        commit: What was checked out; followed by a plus if files differed.
        seconds: That it took.
        machine: What the figures depend on, and nothing that names this machine.
        results: Its JSON, with ``targets``.
    """

    name: str
    arguments: list[str]
    date: str
    commit: str
    seconds: float
    machine: dict[str, Any]
    results: dict[str, Any]

    def store(self, directory: Path) -> None:
        """Keeps it, in the place of the one before."""
        directory.mkdir(parents=True, exist_ok=True)
        text = json.dumps(asdict(self), ensure_ascii=False, indent=1)
        (directory / f"{self.name}.json").write_text(text + "\n", encoding="utf-8")


def stored(name: str, directory: Path) -> Run | None:
    """The last result; None where there is none."""
    file = directory / f"{name}.json"
    return Run(**json.loads(file.read_text(encoding="utf-8"))) if file.exists() else None


def run(name: str, arguments: Sequence[str]) -> Run:
    """Runs ``python -m bench.<name> --json``, its progress on our standard error.

    Raises:
        FailedError: its last line is no result.
    """
    command = [sys.executable, "-m", f"bench.{name}", *arguments, "--json"]
    at, started = commit(), time.monotonic()
    ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603 - our own words
    try:
        results = json.loads(ended.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        results = None
    if ended.returncode or not isinstance(results, dict) or "targets" not in results:
        raise FailedError(f"bench.{name} ended with status {ended.returncode} and no result")
    seconds, now = round(time.monotonic() - started), datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return Run(name, list(arguments), now, at, seconds, machine(), results)


def machine() -> dict[str, Any]:
    """Cores, processor, Python, kernel."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return {
        "cores": os.cpu_count(),
        "processor": next(names, platform.processor() or platform.machine()),
        "python": platform.python_version(),
        "kernel": f"{platform.system()} {platform.release()}",
    }


def commit() -> str:
    """What is checked out, a plus behind it where files that git knows were changed; ``unknown`` without git."""
    try:
        short = _git("rev-parse", "--short", "HEAD")
        return short + ("+" if _git("status", "--porcelain", "-uno", "--", ":!docs") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*arguments: str) -> str:
    command = ["git", *arguments]  # whichever git is first in PATH
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 - our own words
    return said.stdout.strip()


# --- The document ---


def write(runs: Mapping[str, Run], to: Path = DOCUMENT) -> None:
    """Writes the report, and its charts into the folder of its name; charts that are no more are removed."""
    folder = to.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    blocks = [INTRODUCTION, *_summary(runs)]
    for name, benchmark in BENCHMARKS.items():
        blocks.append(f"## {benchmark.title}\n\n{benchmark.shows}")
        if name in runs:
            blocks += _section(benchmark, runs[name], folder / f"{name}.svg")
        else:
            blocks.append(f"Not run yet: `make bench-report ONLY={name}`.")
    to.write_text("\n\n".join(blocks) + "\n", encoding="utf-8")


def _summary(runs: Mapping[str, Run]) -> Iterator[str]:
    for each in {tuple(found.machine.items()): found.machine for found in runs.values()}.values():
        said = (
            f"{number(each['cores'])} cores of {each['processor']}, {each['kernel']}, Python {each['python']}"
        )
        yield f"Machine: {said}."
    rows = []
    for name, found in runs.items():
        title, held = BENCHMARKS[name].title, list(found.results["targets"].values())
        missed = f"**MISSED** {held.count(False)}" if not all(held) else ""
        anchor = "".join(each for each in title.lower().replace(" ", "-") if each.isalnum() or each == "-")
        rows.append((f"[{title}](#{anchor})", held.count(True), missed, found.date))
    yield table(["benchmark", "targets held", "missed", "run"], rows)


def _section(benchmark: Benchmark, found: Run, chart: Path) -> Iterator[str]:
    if draw(benchmark, found.results, chart):
        yield f"![{benchmark.title}]({chart.parent.name}/{chart.name})"
    yield from nested(found.results, without=WITHOUT)
    targets = found.results["targets"].items()
    said = [f"- {'held' if held else '**MISSED**'}: {name}" for name, held in targets]
    yield "\n".join(said) or "No targets are set for this run."
    given = f' ARGS="{" ".join(found.arguments)}"' if found.arguments else ""
    command = f"make bench NAME={found.name}{given}"
    yield f"*`{command}`, {found.date}, commit {found.commit}, {number(found.seconds)} s.*"


def draw(benchmark: Benchmark, results: Mapping[str, Any], to: Path) -> bool:
    """The benchmark's chart as SVG; whether it has one that can be drawn of this result."""
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "budgie"})
    figure = Figure(figsize=(10, 6), layout="constrained")
    axes = figure.subplots()
    if benchmark.bars:
        path, fields = benchmark.bars
        rows = dict(_named_rows(results, path))
        before = [0.0] * len(rows)
        for column in fields:
            widths = [max(0.0, float(row.get(column, 0))) for row in rows.values()]
            axes.barh(list(rows), widths, left=before, label=column.replace("_", " "))
            before = [sum(pair) for pair in zip(before, widths, strict=True)]
        axes.invert_yaxis()
    elif benchmark.lines:
        path, across, along, names = benchmark.lines
        for name, points in _series(results, path, across, along, names).items():
            axes.loglog(*zip(*points, strict=True), label=name, marker=".")
        axes.set(xlabel=across.replace("_", " "), ylabel=along.replace("_", " "))
    if not axes.has_data():
        return False
    axes.legend(fontsize="small")
    axes.set_title(benchmark.title)
    figure.savefig(to, format="svg", metadata={"Date": None})
    return True


def _named_rows(results: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Of ``rows/field`` each row's field; of ``list/field`` the rows of the list's first element."""
    first, _, rest = path.partition("/")
    found = results.get(first, {})
    if isinstance(found, list):
        found, rest = found[0][rest], ""
    for name, row in found.items():
        yield name, row[rest] if rest else row


def _series(
    results: Mapping[str, Any], path: str, across: str, along: str, names: Sequence[str]
) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {}
    rows = results.get(path, [])
    named = rows.items() if isinstance(rows, Mapping) else [("", rows)]
    for name, each in named:
        for row in each:
            label = name or ", ".join(
                f"{row[one]} readers" if one == "readers" else row[one] for one in names
            )
            found.setdefault(label, []).append((row[across], row[along]))
    return found


def main(arguments: Sequence[str] | None = None, run_one: Callable[[str, Sequence[str]], Run] = run) -> int:
    """Runs what is asked for, and writes the report."""
    options = _parser().parse_args(arguments)
    wanted, failed = [] if options.stored else options.names or list(BENCHMARKS), []
    for name in progress(wanted, "benchmarks"):
        try:
            run_one(name, BENCHMARKS[name].arguments).store(options.results)
        except FailedError as error:
            print(error, file=sys.stderr)
            failed.append(name)
    found = {name: stored(name, options.results) for name in BENCHMARKS}
    write({name: each for name, each in found.items() if each}, options.out)
    print(f"wrote {options.out.name}; failed: {', '.join(failed) or 'none'}")
    return int(bool(failed))


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m bench.report", description=main.__doc__)
    names = ", ".join(BENCHMARKS)
    made.add_argument("names", nargs="*", metavar="NAME", type=_known, help=f"of {names}; default: all")
    made.add_argument("--stored", action="store_true", help="run none: make the report of what is stored")
    made.add_argument("--results", type=Path, default=STORED, help="where results are stored")
    made.add_argument(
        "--out", type=Path, default=DOCUMENT, help="the report; charts go into the folder of its name"
    )
    return made


def _known(name: str) -> str:
    if name not in BENCHMARKS:
        raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(BENCHMARKS)}")
    return name


if __name__ == "__main__":
    sys.exit(main())
