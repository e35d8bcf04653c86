"""Push in the simulation, in short: clients by the rule end at the log, nobody hears too much, mutants are found."""

from __future__ import annotations

import json

import pytest

from tests.lengths import LONG
from tests.simulation.push.mutants import MUTANTS
from tests.simulation.push.run import live, main
from tests.simulation.world import Result

WORLDS = 60 if LONG else 12
OPERATIONS = 250
"""Requests in a world."""
MUTANT_SEEDS = range(120)
FIRST_SEED = {"acknowledge-after-failure": 16, "early-changes-forgotten": 41, "watch-without-membership": 12}
"""A seed that is known to find a mutant, tried first to save time."""


def test_every_client_ends_at_the_log() -> None:
    """Whatever is lost, doubled, late or disordered; in reliable worlds before anybody asks; and nobody hears more."""
    total = Result()
    for seed in range(WORLDS):
        total.add(live(seed, OPERATIONS))
    assert total.violations == []
    assert min(total.outcomes[f"frames: {name}"] for name in ("sent", "taken", "said")) > WORLDS * 20
    assert {"frame lost", "frame doubled", "batch failed", "batch dispatched again"} <= total.faults.keys()


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_found(name: str) -> None:
    """A violation is reported within 120 worlds that run this mutant."""
    seeds = [FIRST_SEED.get(name, 0), *MUTANT_SEEDS]
    assert any(live(seed, OPERATIONS, name).violations for seed in seeds)


def test_the_command_line_reports_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """A tiny run succeeds and prints one line of JSON."""
    assert main(["--tiny", "--json", "--check"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["violations"] == 0
