"""The report of all benchmarks: ``python -m bench.performance`` runs them and writes ``docs/performance.md``.

With names it runs those alone and takes the others from what was stored (``.local/bench``); with ``--stored`` it runs
none. Every figure of the report comes out of a result: the sentences around them are fixed and hold none. A target that
is missed is marked. Ends with 1 if a benchmark failed; the report is written all the same, from its last result.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from bench.benchmarks import BENCHMARKS, Benchmark, as_it_is
from bench.markdown import number, table, targets
from bench.sections import Section
from bench.stored import ROOT, STORED, FailedError, Run, run, store, stored

DOCUMENT: Final = ROOT / "docs" / "performance.md"
INTRODUCTION: Final = """# Performance

Made by `make bench-report`; no figure here is typed by hand. `make bench-report ONLY="growth cost"` runs some of the
benchmarks anew and takes the others from their last results. Times are of the machine below, and worth comparing with
one another only; units, bytes and dollars are what they are anywhere."""


def section(name: str, benchmark: Benchmark, found: Run) -> Section:
    """Its result set out; as it is, where it is not of the form that is known."""
    try:
        return benchmark.render(found.results)
    except (KeyError, TypeError, IndexError, ValueError) as error:
        print(f"bench.{name}: not of the known form ({error!r}), shown as it is", file=sys.stderr)
        return as_it_is(found.results)


def document(runs: Mapping[str, Run], folder: str) -> tuple[str, dict[str, str]]:
    """The report and its plots by file name; ``folder`` is where the plots will be, as the report names it."""
    blocks = [INTRODUCTION, *_summary(runs)]
    plots: dict[str, str] = {}
    for name, benchmark in BENCHMARKS.items():
        blocks.append(f"## {benchmark.title}\n\n{benchmark.shows}")
        found = runs.get(name)
        if found is None:
            blocks.append(f"Not run yet: `make bench-report ONLY={name}`.")
            continue
        made = section(name, benchmark, found)
        plots |= made.plots
        blocks += [f"![{benchmark.title}]({folder}/{file})" for file in made.plots]
        blocks += [*made.blocks, targets(found.results["targets"]), _origin(found)]
    return "\n\n".join(blocks) + "\n", plots


def _summary(runs: Mapping[str, Run]) -> Iterator[str]:
    machines = {tuple(found.machine.items()): found.machine for found in runs.values()}
    for each in machines.values():
        facts = (
            f"{number(each['cores'])} cores of {each['processor']}, {each['kernel']}, Python {each['python']}"
        )
        yield f"Machine: {facts}."
    rows = []
    for name, found in runs.items():
        held = [each for each in found.results["targets"].values() if each]
        missed = f"**MISSED** {len(found.missed)}" if found.missed else ""
        rows.append(
            (f"[{BENCHMARKS[name].title}](#{_anchor(BENCHMARKS[name].title)})", len(held), missed, found.date)
        )
    yield table(["benchmark", "targets held", "missed", "run"], rows)


def _anchor(title: str) -> str:
    """As GitHub and others make it of a heading."""
    return "".join(letter for letter in title.lower().replace(" ", "-") if letter.isalnum() or letter in "-_")


def _origin(found: Run) -> str:
    return f"*`{found.command}`, {found.date}, commit {found.commit}, {number(found.seconds)} s.*"


def write(runs: Mapping[str, Run], to: Path = DOCUMENT) -> None:
    """Writes the report, and its plots into the folder of its name; plots that are no more are removed."""
    folder = to.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    text, plots = document(runs, folder.name)
    for old in folder.glob("*.svg"):
        old.unlink()
    for name, svg in plots.items():
        (folder / name).write_text(svg, encoding="utf-8")
    to.write_text(text, encoding="utf-8")


def main(arguments: Sequence[str] | None = None, run_one: Callable[[str, Sequence[str]], Run] = run) -> int:
    """Runs what is asked for, and writes the report."""
    options = _parser().parse_args(arguments)
    wanted, failed = [] if options.stored else options.names or list(BENCHMARKS), []
    for name in wanted:
        print(f"--- bench.{name}", file=sys.stderr, flush=True)
        try:
            store(run_one(name, BENCHMARKS[name].arguments), options.results)
        except FailedError as error:
            print(error, file=sys.stderr)
            failed.append(name)
    found = {name: stored(name, options.results) for name in BENCHMARKS}
    runs = {name: each for name, each in found.items() if each is not None}
    write(runs, options.out)
    print(f"wrote {options.out.name}; failed: {', '.join(failed) or 'none'}")
    return int(bool(failed))


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m bench.performance", description=main.__doc__)
    made.add_argument(
        "names", nargs="*", metavar="NAME", type=_known, help=f"of {', '.join(BENCHMARKS)}; default: all"
    )
    made.add_argument("--stored", action="store_true", help="run none: make the report of what is stored")
    made.add_argument("--results", type=Path, default=STORED, help="where results are stored")
    made.add_argument(
        "--out", type=Path, default=DOCUMENT, help="the report; plots go into the folder of its name"
    )
    return made


def _known(name: str) -> str:
    if name not in BENCHMARKS:
        raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(BENCHMARKS)}")
    return name


if __name__ == "__main__":
    sys.exit(main())
