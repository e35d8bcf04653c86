"""An artifact for one kind of processor does not start on another, and says why."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from local.template.intrinsics import parse
from shared.runtime import machine
from shared.runtime.machine import FILE, WrongMachineError
from tools.artifacts import LAMBDA, LOCAL, Target

ROOT: Final = Path(__file__).resolve().parents[3]
PARAMETER: Final = parse((ROOT / "template.yaml").read_text(encoding="utf-8"))["Parameters"]["Architecture"]


def built_for(directory: Path, name: str) -> Path:
    """An artifact's folder, as far as the check reads it."""
    (directory / FILE).write_text(f"{name}\n")
    return directory


def test_an_artifact_runs_on_what_it_was_built_for(tmp_path: Path) -> None:
    """On either of Lambda's two; the kernel is asked where nothing is given."""
    machine.check(built_for(tmp_path, "aarch64"), "aarch64")
    machine.check(built_for(tmp_path, "x86_64"), "x86_64")
    machine.check(built_for(tmp_path, os.uname().machine))


def test_sources_run_anywhere(tmp_path: Path) -> None:
    """They were built for nothing in particular: `make run`, tests."""
    machine.check(tmp_path, "riscv64")
    assert not (ROOT / FILE).exists()


@pytest.mark.parametrize(
    ("built", "runs", "platform", "architecture"),
    [
        ("aarch64", "x86_64", "x86_64-manylinux2014", "arm64"),
        ("x86_64", "aarch64", "aarch64-manylinux2014", "x86_64"),
    ],
)
def test_a_mismatch_is_refused_with_what_to_do(
    tmp_path: Path,
    built: str,
    runs: str,
    platform: str,
    architecture: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The two ways out, in the words of the build and of the template; in the log as well."""
    with pytest.raises(WrongMachineError) as caught:
        machine.check(built_for(tmp_path, built), runs)
    text = str(caught.value)
    assert f"built for {built}, but the function runs on {runs}" in text
    assert f"`ARTIFACT_PLATFORM={platform} sam build`" in text
    assert f"Architecture={architecture}." in text
    line = json.loads(capsys.readouterr().out)
    assert line == {"level": "ERROR", "message": "machine", "detail": text}
    assert Target(platform, sys.executable).machine == runs
    assert architecture in PARAMETER["AllowedValues"]


def test_what_is_built_by_default_is_what_the_template_deploys_by_default() -> None:
    """So that `sam build && sam deploy` fit together."""
    assert machine.ARCHITECTURES[Target(LAMBDA, sys.executable).machine] == PARAMETER["Default"]
    assert sorted(machine.ARCHITECTURES.values()) == sorted(PARAMETER["AllowedValues"])
    assert Target(LOCAL, sys.executable).machine == os.uname().machine
    assert Target("linux", sys.executable).machine == "x86_64"


def test_it_is_checked_before_any_library_is_loaded(tmp_path: Path) -> None:
    """A library's compiled part for another processor fails first otherwise, as a module that is missing."""
    for name in ("functions", "shared"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    built_for(tmp_path, "m68k")
    code = (
        "import sys\n"
        "try:\n    import functions.list_channels.handler\n"
        "except RuntimeError: print(sorted({'pydantic_core', 'fastapi'} & set(sys.modules)))"
    )
    ended = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    line, loaded = ended.stdout.splitlines()
    assert "built for m68k" in json.loads(line)["detail"]
    assert loaded == "[]"
