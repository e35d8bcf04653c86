"""A soak of a moment, and an overload of one; what they conclude from what they saw."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.open_loop import Outcome
from tests.chaos.overload import recovered_after
from tests.lengths import LONG

ROOT = Path(__file__).resolve().parents[2]


def printed(bench: str) -> dict[str, Any]:
    """What a tiny run says."""
    command = [sys.executable, "-m", bench, "--tiny", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)  # noqa: S603 - our own text
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.stack
def test_a_tiny_soak() -> None:
    """During faults every request is answered in the end, and no page is wrong."""
    found = printed("tests.chaos.soak")
    assert found["violations"] == 0, found["notes"]
    assert found["unanswered"] == 0
    assert found["acknowledged"] > 0
    assert found["samples"] > 2
    assert set(found["statuses"]) <= {"200", "201", "429", "503"}


@pytest.mark.stack
@pytest.mark.skipif(not LONG, reason="takes half a minute: LONG_TESTS=1 runs it")
def test_a_tiny_overload() -> None:
    """Some were served, the others refused as AWS or Budgie refuse, and no page was wrong."""
    found = printed("tests.chaos.overload")
    assert found["violations"] == 0, found["notes"]
    assert found["acknowledged"] > 0
    assert found["refused_by_the_gateway"] > 0
    assert found["of_these_without_retry_after"] == 0
    assert set(found["statuses"]) <= {"200", "201", "429", "503"}


def outcomes(*each: tuple[float, float, int], ours: bool = True) -> list[Outcome]:
    """Sent at, seconds, status."""
    return [
        Outcome(sent, sent, seconds, status, retry_after=False, ours=ours) for sent, seconds, status in each
    ]


def test_recovery_is_when_a_second_is_as_fast_as_it_should_be() -> None:
    """Slow responses and refusals do not count as served; requests over their own rate limit are left out."""
    slow = [(0.0, 0.9, 200), (0.9, 0.9, 200)]
    fast = [(2.0 + 0.1 * i, 0.1, 200) for i in range(20)]
    assert recovered_after(outcomes(*slow, *fast), 0.2) == 2.0
    assert recovered_after(outcomes(*slow), 0.2) is None
    refused = [(2.0, 0.01, 503), *fast[1:]]
    assert recovered_after(outcomes(*refused), 0.2) == 2.1
    own_limit = [(2.05 + 0.1 * i, 0.001, 429) for i in range(20)]
    assert recovered_after(outcomes(*fast, *own_limit), 0.2) == 2.0
    assert recovered_after(outcomes(*fast) + outcomes(*own_limit[:1], ours=False), 0.2) == 2.1
    assert recovered_after(outcomes(*slow, *own_limit), 0.2) is None
