"""What README and docs tell to type can be typed: targets, benchmarks and options are there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")} - {ROOT / "CHANGELOG.md"})
TARGETS = frozenset(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
_CODE = re.compile(r"```.*?```|`[^`]+`", re.DOTALL)
_MAKE = re.compile(r"\bmake\s+((?:-s\s+)?[a-z][a-z-]*(?:\s+[A-Z_]+=(?:\"[^\"]*\"|[^\s`;|&)\"]+))*)")
_OPTION = re.compile(r"--[a-z][a-z-]+")
PROGRAMS = {
    "bench-report": ["bench.report"],
    "capacity": ["operators.capacity"],
    "erase-user": ["operators", "erase-user"],
    "export-channel": ["operators", "export-channel"],
    "export-user": ["operators", "export-user"],
    "fuzz": ["tests.chaos.fuzz"],
    "soak": ["tests.chaos.soak"],
    "test-simulation": ["tests.simulation.run"],
    "usage": ["operators.usage"],
}
"""What a target runs, whose options its `ARGS` are."""
PROGRAMS_BY_NAME = {"bench": "bench", "test-chaos": "tests.chaos"}
"""Where a target finds the program that its `NAME` names."""
SAM = frozenset({"deploy"})
"""Targets whose `ARGS` are options of SAM, which is installed only where it is used."""


def _commands() -> list[tuple[str, str]]:
    found = set()
    for page in PAGES:
        for code in _CODE.findall(page.read_text(encoding="utf-8")):
            found |= {
                (page.relative_to(ROOT).as_posix(), " ".join(each.split())) for each in _MAKE.findall(code)
            }
    return sorted(found)


COMMANDS = _commands()


def test_commands_are_found() -> None:
    """The pages do tell to type something."""
    assert len(COMMANDS) > 30
    assert ("README.md", "run") in COMMANDS


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=str)
def test_a_command_of_the_pages_exists(page: str, command: str) -> None:
    """Its target is in the Makefile; its benchmark is a program; its options are known to that."""
    target, *assignments = shlex.split(command.removeprefix("-s "))
    assert target in TARGETS, page
    given = dict(each.split("=", 1) for each in assignments)
    name = given.get("NAME", "…")
    if target in PROGRAMS_BY_NAME and name[0].isalpha():
        assert "__main__" in _source(f"{PROGRAMS_BY_NAME[target]}.{name}"), page
    if target not in SAM and (options := _OPTION.findall(given.get("ARGS", ""))):
        named = PROGRAMS_BY_NAME.get(target)
        program = [f"{named}.{name}"] if named else PROGRAMS[target]
        told = _help(*program)
        assert [each for each in options if each not in told] == [], page


def _source(module: str) -> str:
    """A program's text."""
    path = ROOT / f"{module.replace('.', '/')}.py"
    assert path.exists(), f"{module} is no program"
    return path.read_text(encoding="utf-8")


@cache
def _help(*program: str) -> str:
    """What a program says of itself."""
    return subprocess.run(  # noqa: S603  # our own program
        [sys.executable, "-m", *program, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_tells_to_run_a_module_with_whatever_python_there_is(page: Path) -> None:
    """`python -m bench.cache` fails where the packages are not installed: a target of the Makefile sets them up."""
    assert not re.search(
        r"(?<![\w/])python3? -m (?:bench|local|operators|tests)\b", page.read_text(encoding="utf-8")
    )


@pytest.mark.parametrize("python", ["/nope", "/bin/true"])
def test_a_python_that_is_none_is_refused(python: str) -> None:
    """With a sentence that names it, whatever the target: no other is taken in its place."""
    done = subprocess.run(  # noqa: S603  # our own Makefile
        ["make", "help", f"PYTHON={python}"],  # noqa: S607  # wherever it lies
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert f"PYTHON={python} is not Python 3.11 or later" in done.stderr
