"""The API never disagrees with a simple model of chat; `make test-stateful` runs the long form."""

from __future__ import annotations

import os
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.stateful.comparison import ApiAndModel
from tests.stateful.machine import Machine
from tests.stateful.mutants import MUTANTS
from tests.stateful.rules import RefusedError

STEPS: Final = int(os.environ.get("STATEFUL_STEPS") or 500)
"""Requests that are sent at least."""
SEED: Final = int(os.environ.get("STATEFUL_SEED") or 1)
LONG: Final = STEPS > 2_000
QUICK: Final = (
    "KeepsBatchesToItself",
    "LargerBurst",
    "MixesChannels",
    "OwnIsUnread",
    "RemembersMembers",
    "ServesWithoutChanges",
    "SkipsMembers",
    "TrustsCopies",
)
"""Mutants that are found within seconds; the long form runs all of them."""
ROUND: Final = 100
"""Histories that are drawn from one seed."""


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
    ApiAndModel.steps, number = 0, SEED
    while ApiAndModel.steps < STEPS:
        run(Machine, number, min(ROUND, 1 + STEPS // 40), Phase.generate, Phase.shrink)
        number += 1
    with capsys.disabled():
        print(f"\n{ApiAndModel.steps} requests in agreement, seeds {SEED} to {number - 1}")  # noqa: T201 - what was asked for
    assert ApiAndModel.steps >= STEPS


@pytest.mark.parametrize("name", MUTANTS if LONG else QUICK)
def test_a_mutant_is_found(name: str) -> None:
    """The machine finds an API that has one bug."""
    mutant = MUTANTS[name]
    wrong = type("Wrong", (Machine,), {"code": mutant.code, "make_api": mutant.make_api})
    with pytest.raises((AssertionError, RefusedError, KeyError)):
        run(wrong, SEED, 300, Phase.generate)
