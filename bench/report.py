"""The report of all benchmarks: ``python -m bench.report`` runs them and writes ``docs/performance.md``.

With names it runs only those and takes the others from their stored results (``.local/bench``); with ``--stored`` it
runs none. Every result in the report comes from a run; the sentences before the tables are the benchmark's docstring.
A missed target is marked. Exits with 1 if a benchmark failed; the report is then written from its last result.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.lib.command import progress
from bench.lib.functions import ROOT
from bench.lib.tables import nested, number, table

STORED: Final = ROOT / ".local" / "bench"
DOCUMENT: Final = ROOT / "docs" / "performance.md"
INTRODUCTION: Final = """# Performance

Made by `make bench-report`; no result here is typed by hand. `make bench-report ONLY="growth cost"` runs only these
benchmarks and takes the others from their last results. Times are those of the machine below: compare them only with
one another. Units, bytes and dollars are the same anywhere."""


BENCHMARKS: Final = (
    "cold_start",
    "hot_path",
    "load",
    "contention",
    "growth",
    "cost",
    "cache",
    "codec",
    "push",
)
_COMMAND: Final = re.compile(r": ``python -m [^`]+``\.$")


class Explanation(NamedTuple):
    """A benchmark's heading, and how it measures: its own docstring."""

    title: str
    text: str

    @classmethod
    def of(cls, name: str) -> Explanation:
        """From the benchmark's source, which need not be imported for that."""
        source = (ROOT / "bench" / f"{name}.py").read_text(encoding="utf-8")
        first, _, rest = (ast.get_docstring(ast.parse(source)) or "").partition("\n\n")
        return cls(_COMMAND.sub("", first), rest.replace("``", "`"))


# --- Results ---


class FailedError(Exception):
    """A benchmark ended without a result; the text says how."""


@dataclass(frozen=True, slots=True)
class Run:
    """A benchmark's result and its origin.

    Attributes:
        name: Of the benchmark.
        date: When it ended, UTC.
        commit: What was checked out; marked if tracked files were changed.
        seconds: How long it took.
        machine: What the figures depend on, without anything that identifies this machine.
        results: Its JSON, with ``targets``.
    """

    name: str
    date: str
    commit: str
    seconds: float
    machine: dict[str, Any]
    results: dict[str, Any]

    def store(self, directory: Path) -> None:
        """Stores it in place of the previous one."""
        directory.mkdir(parents=True, exist_ok=True)
        text = json.dumps(asdict(self), ensure_ascii=False, indent=1)
        (directory / f"{self.name}.json").write_text(text + "\n", encoding="utf-8")


def stored(name: str, directory: Path) -> Run | None:
    """The last stored result, or None."""
    file = directory / f"{name}.json"
    if not file.exists():
        return None
    found = json.loads(file.read_text(encoding="utf-8"))
    return Run(**{field: found[field] for field in Run.__dataclass_fields__})


def run(name: str, *arguments: str) -> Run:
    """Runs ``python -m bench.<name> --json``; its progress goes to standard error.

    Raises:
        FailedError: its last line is not a result.
    """
    at, started = commit(), time.monotonic()
    command = [sys.executable, "-m", f"bench.{name}", "--json", *arguments]
    ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603 - our own
    try:
        results = json.loads(ended.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        results = None
    if ended.returncode or not isinstance(results, dict) or "targets" not in results:
        raise FailedError(f"bench.{name} exited with status {ended.returncode} and without a result")
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return Run(name, now, at, round(time.monotonic() - started), machine(), results)


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
    """The commit that is checked out, marked if tracked files were changed; ``unknown`` without git."""
    command = ["git", "describe", "--always", "--dirty"]  # the first git in PATH
    try:
        found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 - our own
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()


# --- The document ---


def write(runs: Mapping[str, Run], to: Path = DOCUMENT) -> None:
    """Writes the report."""
    blocks = [INTRODUCTION, *_summary(runs)]
    for name in BENCHMARKS:
        blocks.append("## {}\n\n{}".format(*Explanation.of(name)))
        if name in runs:
            blocks += _section(runs[name])
        else:
            blocks.append(f"Not run yet: `make bench-report ONLY={name}`.")
    to.write_text("\n\n".join(blocks) + "\n", encoding="utf-8")


def _summary(runs: Mapping[str, Run]) -> Iterator[str]:
    for each in {tuple(found.machine.items()): found.machine for found in runs.values()}.values():
        where = f"{each['cores']} cores of {each['processor']}, {each['kernel']}, Python {each['python']}"
        yield f"Machine: {where}."
    lines = []
    for name, found in runs.items():
        held = list(found.results["targets"].values())
        missed = "" if all(held) else f"**MISSED** {held.count(False)}"
        lines.append((Explanation.of(name).title, held.count(True), missed, found.date))
    yield table(["benchmark", "targets held", "missed", "run"], lines)


def _section(found: Run) -> Iterator[str]:
    yield from nested({name: value for name, value in found.results.items() if name != "targets"})
    targets = found.results["targets"].items()
    lines = [f"- {'held' if held else '**MISSED**'}: {name}" for name, held in targets]
    yield "\n".join(lines) or "No targets are set for this run."
    yield f"*`make bench NAME={found.name}`, {found.date}, commit {found.commit}, {number(found.seconds)} s.*"


def main(arguments: Sequence[str] | None = None, directory: Path = STORED, document: Path = DOCUMENT) -> int:
    """Runs the benchmarks and writes the report."""
    made = argparse.ArgumentParser(prog="python -m bench.report", description=main.__doc__)
    made.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; default: all")
    made.add_argument("--stored", action="store_true", help="run none; write the report from stored results")
    made.add_argument(
        "--tiny", action="store_true", help="runs of seconds; the report is .local/bench/tiny/tiny.md"
    )
    options = made.parse_args(arguments)
    if unknown := set(options.names) - set(BENCHMARKS):
        made.error(f"no benchmark of the report: {', '.join(sorted(unknown))}")
    if options.tiny:
        directory /= "tiny"
        document = directory / "tiny.md"
    failed = []
    for name in progress([] if options.stored else options.names or list(BENCHMARKS), "benchmarks"):
        try:
            run(name, *["--tiny"] * options.tiny).store(directory)
        except FailedError as error:
            print(error, file=sys.stderr)
            failed.append(name)
    found = {name: stored(name, directory) for name in BENCHMARKS}
    write({name: each for name, each in found.items() if each}, document)
    print(f"wrote {document.name}; failed: {', '.join(failed) or 'none'}")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
