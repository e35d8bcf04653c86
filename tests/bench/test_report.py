"""The report is made from stored results, shows all of their figures, and marks missed targets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.lib.tables import nested, number, table
from bench.report import BENCHMARKS, Explanation, FailedError, Run, machine, main, run, stored, write

RESULT: dict[str, Any] = {
    "figure": 100_001,
    "rate": 0.0625,
    "none": None,
    "alike": {"one": {"a": 100_002, "b": {"c": 100_003}}, "two": {"a": 100_004, "b": {"c": 100_005}}},
    "rows": [{"name": "x", "a": 100_006}, {"name": "y", "a": 100_007}],
    "sizes": {"page": [{"size": 1, "ms": 100_008}, {"size": 2, "ms": 100_009}]},
    "unlike": {"deep": {"deeper": {"a": 100_010}}, "b": 100_011},
    "by_kind": {"read": 100_012},
    "targets": {"it flies": True, "as fast as light": False},
}
MADE = "2026-11-24 21:00 UTC"


def result_of(name: str, results: dict[str, Any] = RESULT) -> Run:
    """A run that missed one of two targets."""
    return Run(name, MADE, "abc1234", 12, machine(), results)


def test_every_figure_is_in_a_table() -> None:
    """Single values, rows with the same fields, lists of rows, and nested values."""
    shown = "\n".join(nested(RESULT))
    assert all(f"{figure:,}" in shown for figure in range(100_001, 100_013))
    assert "|  | a | b c |\n|---|---:|---:|\n| one | 100,002 | 100,003 |" in shown


def test_figures_are_readable() -> None:
    """Thousands are separated, four digits are significant, None is a dash."""
    written = [number(each) for each in (None, True, 12_345, 12_345.6, 0.123_456, 2.0, "x")]
    assert written == ["-", "yes", "12,345", "12,346", "0.1235", "2", "x"]
    assert table(["a", "b"], [["x|y", 1]]).splitlines()[-1] == "| x\\|y | 1 |"


def test_the_report_says_where_figures_come_from(tmp_path: Path) -> None:
    """Command, date, commit and seconds of each; a missed target is marked there and in the summary."""
    out = tmp_path / "performance.md"
    write({"codec": result_of("codec")}, out)
    text = out.read_text()
    assert f"*`make bench NAME=codec`, {MADE}, commit abc1234, 12 s.*" in text
    assert "- held: it flies" in text
    assert "- **MISSED**: as fast as light" in text
    assert "| **MISSED** 1 |" in text
    assert text.count("Not run yet: `make bench-report ONLY=") == len(BENCHMARKS) - 1


@pytest.mark.parametrize("name", BENCHMARKS)
def test_each_benchmark_explains_itself(name: str) -> None:
    """Its docstring is a title without the command, and sentences on how it measures."""
    title, text = Explanation.of(name)
    assert 0 < len(title) < 80
    assert "python" not in title
    assert len(text) > 100


def test_a_benchmark_is_run_and_stored(tmp_path: Path) -> None:
    """Its JSON and everything about its run are read back as stored."""
    found = run("codec", "--tiny")
    found.store(tmp_path)
    assert found.results["targets"]
    assert stored("codec", tmp_path) == found
    assert stored("growth", tmp_path) is None


def test_a_benchmark_that_fails_is_no_result() -> None:
    """Its name and status are in the error."""
    with pytest.raises(FailedError, match=r"bench\.no_such exited with status 1"):
        run("no_such")


def test_the_report_is_written_from_stored_results(tmp_path: Path) -> None:
    """A benchmark that is not run anew keeps its last result; tiny figures never reach the real report."""
    result_of("growth").store(tmp_path)
    out = tmp_path / "performance.md"
    assert main(["--stored"], tmp_path, out) == 0
    assert "100,001" in out.read_text()
    assert main(["codec", "--tiny"], tmp_path, tmp_path / "none.md") == 0
    assert "held" in (tmp_path / "tiny" / "tiny.md").read_text()
    assert not (tmp_path / "none.md").exists()


def test_only_known_benchmarks_are_run(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown name is refused before anything runs."""
    with pytest.raises(SystemExit, match="2"):
        main(["grwoth"])
    assert "no benchmark of the report: grwoth" in capsys.readouterr().err
