"""Stops orphans: processes whose owner was killed. Run as a script, this is the guard.

A record identifies a process by id and start time, so that a reused id is never killed.
This file imports only the standard library, as the guard runs outside any environment.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

# Engines write their state to disk before they exit, so they get time.
GRACE_SECONDS = 20.0
POLL_SECONDS = 0.05


def start_time(pid: int) -> str | None:
    """Return what identifies a process together with its id, or None if it does not run (any more)."""
    if Path("/proc/self/stat").exists():
        return _start_time_linux(pid)
    return _start_time_ps(pid)


def reap(run: Path) -> list[str]:
    """Stop every recorded process that still runs, and delete the records.

    Only the holder of the lock may call it.

    Returns:
        The names of those that were still running.
    """
    records = [(path, read(path)) for path in sorted(run.glob("*.json"))]
    found = [(path, record) for path, record in records if still_runs(record)]
    for _, record in found:
        _signal(record, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while any(still_runs(record) for _, record in found) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    for _, record in found:
        _signal(record, signal.SIGKILL)
    for path, _ in records:
        path.unlink(missing_ok=True)
    return [path.stem for path, _ in found]


def still_runs(record: Mapping[str, object]) -> bool:
    """Tell whether the process with the recorded id is the recorded one."""
    pid, started = record.get("pid"), record.get("started")
    return isinstance(pid, int) and isinstance(started, str) and start_time(pid) == started


def _signal(record: Mapping[str, object], number: signal.Signals) -> None:
    pid = record["pid"]
    if isinstance(pid, int) and still_runs(record):
        with contextlib.suppress(ProcessLookupError):
            # A child leads its own process group; SIGKILL also ends what it started.
            (os.killpg if number is signal.SIGKILL else os.kill)(pid, number)


def _start_time_linux(pid: int) -> str | None:
    try:
        # The name in brackets may contain anything, so split after it: state is field 3, start time field 22.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # Ticks count from boot, so the boot id is part of the result.
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return None if fields[0] in "ZX" else f"{boot}:{fields[19]}"


def _start_time_ps(pid: int) -> str | None:
    response = subprocess.run(
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)],
        env={"LC_ALL": "C", "TZ": "UTC"},
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    state, _, started = response.partition(" ")
    return None if not started or state.startswith("Z") else started.strip()


def read(path: Path) -> dict[str, object]:
    """Return a record, or an empty one if it does not exist or cannot be read."""
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write(path: Path, record: Mapping[str, object]) -> None:
    """Write a record atomically."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(record))
    partial.replace(path)


if __name__ == "__main__":
    sys.stdin.read()  # ends when the process that started us does
    reap(Path(sys.argv[1]))
