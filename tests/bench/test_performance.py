"""The report: made from stored results alone, every figure of theirs in it, missed targets marked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from bench import performance, stored
from bench.benchmarks import BENCHMARKS
from bench.markdown import money, nested, number, table, targets
from bench.performance import INTRODUCTION, document, main
from bench.stored import FailedError, Run
from tests.bench.report_samples import KNOWN, MACHINE, MISSED, samples


def figures_of(value: Any) -> Iterator[float]:
    """Every number of a result, whatever it is nested in."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from figures_of(each)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


def is_written(figure: float, text: str) -> bool:
    """In one of the forms that the report has for a number."""
    forms = (number(figure), money(figure), f"${figure:.4f}", f"{figure:.1%}", f"{figure:.0%}")
    return any(form in text for form in forms)


@pytest.fixture(scope="module")
def runs() -> dict[str, Run]:
    """The samples."""
    return samples()


@pytest.fixture(scope="module")
def report(runs: dict[str, Run]) -> str:
    """Made of the samples."""
    return document(runs, "performance")[0]


def section_of(name: str, report: str) -> str:
    """A benchmark's part of the report."""
    return report.partition(f"\n## {BENCHMARKS[name].title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_figure_is_in_its_section(name: str, runs: dict[str, Run], report: str) -> None:
    """Each number of a result is in the report, under the benchmark's own heading."""
    section = section_of(name, report)
    lacking = [each for each in figures_of(runs[name].results) if each and not is_written(each, section)]
    assert not lacking


@pytest.mark.parametrize("name", KNOWN)
def test_known_forms_are_set_out(name: str, runs: dict[str, Run]) -> None:
    """A section that knows its benchmark takes the sample as it is; none falls back to tables of tables."""
    assert BENCHMARKS[name].render(runs[name].results).blocks


def test_a_missed_target_is_marked(report: str) -> None:
    """In its section and at the beginning; a held one is not."""
    for name in BENCHMARKS:
        section = section_of(name, report)
        assert f"- **MISSED**: {MISSED}, {name}" in section
        assert "- held: it flies" in section
    beginning = report.partition("\n## ")[0]
    assert beginning.count("**MISSED** 1") == len(BENCHMARKS)


def test_the_report_says_where_figures_come_from(runs: dict[str, Run], report: str) -> None:
    """Machine, command, date, commit and seconds; no name of the machine."""
    assert "2 cores of Feather 9000, Linux 6.1, Python 3.13.0" in report
    found = runs["growth"]
    origin = f"*`make bench NAME=growth`, 2026-11-24 21:00 UTC, commit abc1234, {found.seconds:,} s.*"
    assert origin in section_of("growth", report)
    assert set(stored.machine()) == set(MACHINE)


def test_plots_are_files_beside_the_report(runs: dict[str, Run], tmp_path: Path) -> None:
    """Each is a well-formed SVG that the report shows; those of an earlier report are gone."""
    (tmp_path / "performance").mkdir()
    (tmp_path / "performance" / "old.svg").touch()
    performance.write(runs, tmp_path / "performance.md")
    report = (tmp_path / "performance.md").read_text()
    files = sorted((tmp_path / "performance").iterdir())
    assert {f"{name}.svg" for name in KNOWN if name not in {"day", "simulation"}} <= {
        each.name for each in files
    }
    assert "old.svg" not in {each.name for each in files}
    for each in files:
        ET.fromstring(each.read_text())  # noqa: S314 - written above
        assert f"(performance/{each.name})" in report


def test_sentences_hold_no_figures() -> None:
    """What is written by hand says what is measured, never how much it was."""
    for each in (INTRODUCTION, *(f"{each.title} {each.shows}" for each in BENCHMARKS.values())):
        assert not any(letter.isdigit() for letter in each), each


def test_a_changed_form_is_shown_as_it_is(runs: dict[str, Run], capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is lost where a section does not know a result's form; whoever makes the report is told."""
    found = runs["growth"]
    other = Run(found.name, [], found.date, found.commit, 1, MACHINE, {"other": 123_456, "targets": {}})
    made = document({"growth": other}, "performance")[0]
    assert "| other | 123,456 |" in section_of("growth", made)
    assert "bench.growth: not of the known form" in capsys.readouterr().err


def test_what_was_not_run_is_said(tmp_path: Path) -> None:
    """The report can be made of any of them, with nothing but files."""
    found = samples()["memory"]
    stored.store(found, tmp_path / "results")
    out = tmp_path / "performance.md"
    assert main(["--stored", "--results", str(tmp_path / "results"), "--out", str(out)]) == 0
    report = out.read_text()
    assert report.count("Not run yet: `make bench-report ONLY=") == len(BENCHMARKS) - 1
    assert all(is_written(each, report) for each in figures_of(found.results) if each)


def test_a_result_comes_back_as_it_was_stored(tmp_path: Path) -> None:
    """With all that is known of its run."""
    found = samples()["cost"]
    stored.store(found, tmp_path)
    assert stored.stored("cost", tmp_path) == found
    assert stored.stored("growth", tmp_path) is None


def test_a_benchmark_is_run_and_stored(tmp_path: Path) -> None:
    """In a form of a moment: its JSON with targets, and where it comes from."""
    found = stored.run("codec", ["--tiny"])
    stored.store(found, tmp_path)
    assert found.results["targets"]
    assert found.command == 'make bench NAME=codec ARGS="--tiny"'
    assert json.loads((tmp_path / "codec.json").read_text())["machine"] == stored.machine()


def test_a_benchmark_that_fails_is_no_result(tmp_path: Path) -> None:
    """The report is written from the last result all the same, and ends with 1."""
    with pytest.raises(FailedError, match=r"bench\.no_such ended with status 1"):
        stored.run("no_such", [])
    found = samples()["memory"]
    stored.store(found, tmp_path)

    def fails(name: str, _: object) -> Run:
        raise FailedError(name)

    out = tmp_path / "performance.md"
    assert main(["memory", "--results", str(tmp_path), "--out", str(out)], fails) == 1
    assert is_written(found.results["figure"], out.read_text())


def test_only_known_benchmarks_are_run(capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is none is refused before anything runs."""
    with pytest.raises(SystemExit, match="2"):
        main(["grwoth"])
    assert "grwoth is none of" in capsys.readouterr().err


def test_every_benchmark_of_the_report_can_be_run() -> None:
    """Each is a module here, but for those that are still to come."""
    there = {each.stem for each in Path(performance.__file__).parent.iterdir()}
    assert set(BENCHMARKS) <= there


def test_figures_are_written_as_one_reads_them() -> None:
    """Thousands apart, four digits that matter, no words for what is none."""
    written = [number(each) for each in (None, True, 12_345, 12_345.6, 0.123_456, 2.0, "x")]
    assert written == ["-", "yes", "12,345", "12,346", "0.1235", "2", "x"]
    assert [money(each) for each in (None, 1_234.5, 0.004)] == ["-", "$1,234.50", "$0.00"]
    assert targets({}) == "No targets are set for this run."
    assert table(["a", "b"], [["x|y", 1]]).splitlines()[-1] == "| x\\|y | 1 |"
    assert nested({}) == []
