"""The API never disagrees with a simple model of chat; `make test-stateful` runs the long form."""

from __future__ import annotations

import os
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.stateful.machine import Machine
from tests.stateful.planted import BUGS
from tests.stateful.rules import RefusedError
from tests.stateful.sides import Sides

STEPS: Final = int(os.environ.get("STATEFUL_STEPS") or 1_000)
"""Requests that are sent at least."""
SEED: Final = int(os.environ.get("STATEFUL_SEED") or 1)
LONG: Final = STEPS > 2_000
QUICK: Final = (
    "KeepsBatchesToItself",
    "LargerBurst",
    "LeavingForgives",
    "LosesOwners",
    "MixesChannels",
    "OwnIsUnread",
    "ReadGoesBack",
    "RemembersMembers",
    "SkipsMembers",
    "TrustsCopies",
)
"""Bugs that show within a second; the long form looks for all of them."""
ROUND: Final = 100
"""Histories under one seed."""


def run(machine: type[Machine], number: int, examples: int, *phases: Phase) -> None:
    """Histories of up to 50 rules each, drawn from a seed.

    Raises:
        AssertionError: the API and the model disagree; the shortest history found is printed.
    """
    run_state_machine_as_test(
        seed(number)(machine),
        settings=settings(
            max_examples=examples,
            stateful_step_count=50,
            deadline=None,
            database=None,
            phases=phases,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_api_and_the_model_agree(capsys: pytest.CaptureFixture[str]) -> None:
    """After each of many random requests, status, code, headers and body are what the model says."""
    Sides.steps, number = 0, SEED
    while Sides.steps < STEPS:
        run(Machine, number, min(ROUND, 1 + STEPS // 40), Phase.generate, Phase.shrink)
        number += 1
    with capsys.disabled():
        print(f"\n{Sides.steps} requests in agreement, seeds {SEED} to {number - 1}")  # noqa: T201 - what was asked for
    assert Sides.steps >= STEPS


@pytest.mark.parametrize("name", BUGS if LONG else QUICK)
def test_a_planted_bug_is_found(name: str) -> None:
    """The machine disagrees with an API that is wrong in one way."""
    bug = BUGS[name]
    wrong = type("Wrong", (Machine,), {"code": bug.code, "make_api": bug.make_api})
    with pytest.raises((AssertionError, RefusedError, KeyError)):
        run(wrong, SEED, 300, Phase.generate)
