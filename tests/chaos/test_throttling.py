"""DynamoDB throttles for a moment, and what it is asked is counted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from local.dynamodb.engine import MINISTACK

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.stack
def test_a_tiny_run_counts_attempts() -> None:
    """On a calm day a call is an attempt; throttled, some are repeated, and nothing is lost or doubled."""
    command = [sys.executable, "-m", "tests.chaos.throttling", "--tiny", "--json", "--engine", MINISTACK]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)  # noqa: S603 - our own text
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout.splitlines()[-1])
    calm, throttled, outage = printed["shares"]
    assert calm["attempts"] == calm["calls"]
    assert calm["ok"] == calm["requests"]
    assert throttled["attempts"] > throttled["calls"]
    assert outage["ok"] < outage["requests"]
    assert [each["violations"] for each in printed["shares"]] == [0, 0, 0]
