"""Running a benchmark, and keeping what it found: one file a benchmark, with when, where and on what it ran."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
STORED: Final = ROOT / ".local" / "bench"


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
        machine: See ``machine``.
        results: Its JSON, with ``targets``.
    """

    name: str
    arguments: list[str]
    date: str
    commit: str
    seconds: float
    machine: dict[str, Any]
    results: dict[str, Any]

    @property
    def command(self) -> str:
        """What to type to run it."""
        given = f' ARGS="{" ".join(self.arguments)}"' if self.arguments else ""
        return f"make bench NAME={self.name}{given}"

    @property
    def missed(self) -> list[str]:
        """Targets that were not reached."""
        return [target for target, held in self.results["targets"].items() if not held]


def machine() -> dict[str, Any]:
    """What the figures depend on, and nothing that names this machine."""
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "python": platform.python_version(),
        "kernel": f"{platform.system()} {platform.release()}",
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def commit() -> str:
    """What is checked out, a plus behind it where files that git knows were changed; ``unknown`` without git."""
    try:
        short, changes = (
            _git("rev-parse", "--short", "HEAD"),
            _git("status", "--porcelain", "-uno", "--", ":!docs"),
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return short + ("+" if changes else "")


def _git(*arguments: str) -> str:
    said = subprocess.run(  # noqa: S603 - our own words
        ["git", *arguments],  # noqa: S607 - whichever git is first in PATH
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return said.stdout.strip()


def run(name: str, arguments: Sequence[str]) -> Run:
    """Runs ``python -m bench.<name> --json``, its progress on our standard error.

    Raises:
        FailedError: its last line is no result.
    """
    command = [sys.executable, "-m", f"bench.{name}", *arguments, "--json"]
    at, started = commit(), time.monotonic()
    ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603 - as above
    try:
        results = json.loads(ended.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise FailedError(f"bench.{name} ended with status {ended.returncode} and no result") from None
    if ended.returncode or not isinstance(results, dict) or "targets" not in results:
        raise FailedError(f"bench.{name} ended with status {ended.returncode} and no targets")
    seconds = round(time.monotonic() - started)
    return Run(name, list(arguments), _now(), at, seconds, machine(), results)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def store(found: Run, directory: Path = STORED) -> None:
    """Keeps it, in the place of the one before."""
    directory.mkdir(parents=True, exist_ok=True)
    text = json.dumps(asdict(found), ensure_ascii=False, indent=1)
    (directory / f"{found.name}.json").write_text(text + "\n", encoding="utf-8")


def stored(name: str, directory: Path = STORED) -> Run | None:
    """The last result; None where there is none."""
    file = directory / f"{name}.json"
    return Run(**json.loads(file.read_text(encoding="utf-8"))) if file.exists() else None
