"""Measuring the capacity planner's figures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bench.measure import busiest
from operators import capacity_plan
from operators.capacity_plan import Measured, plan

ROOT = Path(__file__).resolve().parents[2]


def test_a_tiny_measurement_has_all_that_the_planner_reads(tmp_path: Path) -> None:
    """20 users are measured and planned for; a post costs 5 write units, a poll without news 2 read units."""
    out = tmp_path / "measured.json"
    command = [sys.executable, "-m", "bench.measure", "--tiny", "--out", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)  # noqa: S603 - our own text
    known = Measured(json.loads(out.read_text()))
    kinds = known.scales[0]["kinds"]
    assert kinds["post"]["write_units"] == 5
    assert kinds["poll"]["read_units"] == 2
    assert kinds["page"]["read_units"] < known.uncached["kinds"]["page"]["read_units"]
    assert all(cost["log_bytes"] > 0 for cost in kinds.values())
    report = plan(capacity_plan.Workload(users=20), known)
    assert report.is_measured
    assert report.redis.commands_today == known.scales[0]["redis_commands"] > 0
    assert report.redis.moved_bytes > report.redis.stored_bytes > 0  # type: ignore[operator]  # it was measured


def test_the_busiest_minutes_are_a_sliding_window() -> None:
    """Units within any 300 seconds."""
    assert busiest({86_400: 5, 86_699: 5, 86_700: 7, 87_300: 11}) == 12
