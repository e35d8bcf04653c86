"""Running a benchmark as its user would, in its form of a moment."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def tiny(module: str, *arguments: str) -> dict[str, Any]:
    """What a benchmark prints as its last line with ``--json --tiny``."""
    command = [sys.executable, "-m", module, "--json", "--tiny", *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True)  # noqa: S603 - our own
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found
