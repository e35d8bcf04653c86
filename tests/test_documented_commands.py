"""The commands of README and docs work: their targets, benchmarks and options exist."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.cases import case

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
    "soak-push": ["tests.chaos.push_soak"],
    "sweep-channel": ["operators", "sweep-channel"],
    "test-simulation": ["tests.simulation.run"],
    "usage": ["operators.usage"],
}
"""The program that a target passes its `ARGS` to."""
PROGRAMS_BY_NAME = {"bench": "bench", "test-chaos": "tests.chaos"}
"""The package of the program that a target's `NAME` names."""
SAM = frozenset({"deploy"})
"""Targets that pass their `ARGS` to SAM, which is installed only where it is used."""


def _commands(page: Path) -> list[str]:
    """The `make` commands in a page's code, each once."""
    code = _CODE.findall(page.read_text(encoding="utf-8"))
    return sorted({" ".join(each.split()) for part in code for each in _MAKE.findall(part)})


COMMANDS = {page: _commands(page) for page in PAGES}


def test_commands_are_found() -> None:
    """The pages have commands, so that the test of them tests something."""
    assert sum(len(commands) for commands in COMMANDS.values()) > 30
    assert "run" in COMMANDS[ROOT / "README.md"]


def test_the_commands_of_a_page_exist() -> None:
    """Each target is in the Makefile, each `NAME` is a program, and the program knows each option of `ARGS`."""
    for page in PAGES:
        with case(page):
            for command in COMMANDS[page]:
                target, *assignments = shlex.split(command.removeprefix("-s "))
                with case(command):
                    assert target in TARGETS
                    given = dict(each.split("=", 1) for each in assignments)
                    name = given.get("NAME", "…")
                    if target in PROGRAMS_BY_NAME and name[0].isalpha():
                        assert "__main__" in _source(f"{PROGRAMS_BY_NAME[target]}.{name}")
                    if target not in SAM and (options := _OPTION.findall(given.get("ARGS", ""))):
                        named = PROGRAMS_BY_NAME.get(target)
                        text = _help(*([f"{named}.{name}"] if named else PROGRAMS[target]))
                        assert [each for each in options if each not in text] == []


def _source(module: str) -> str:
    """A program's text."""
    path = ROOT / f"{module.replace('.', '/')}.py"
    assert path.exists(), f"{module} does not exist"
    return path.read_text(encoding="utf-8")


@cache
def _help(*program: str) -> str:
    """The output of a program's `--help`."""
    return subprocess.run(  # noqa: S603  # our own program
        [sys.executable, "-m", *program, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


def test_no_page_runs_a_module_with_just_any_python() -> None:
    """`python -m bench.cache` fails where the packages are not installed; the Makefile's targets install them."""
    module = re.compile(r"(?<![\w/])python3? -m (?:bench|local|operators|tests)\b")
    assert [page.name for page in PAGES if module.search(page.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("python", ["/nope", "/bin/true"])
def test_a_python_that_is_none_is_refused(python: str) -> None:
    """Any target refuses a `PYTHON` that is no Python, by name, instead of using another one."""
    done = subprocess.run(  # noqa: S603  # our own Makefile
        ["make", "help", f"PYTHON={python}"],  # noqa: S607  # wherever it lies
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert f"PYTHON={python} is not Python 3.11 or later" in done.stderr
