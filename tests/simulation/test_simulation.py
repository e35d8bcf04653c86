"""The simulation in short: the code as it is passes, and every planted bug is found."""

from __future__ import annotations

import errno
import json
import os
from multiprocessing.context import SpawnContext
from pathlib import Path
from typing import NoReturn

import pytest

from bench.lib.dynamodb import fastest
from tests.simulation.mutants import MUTANTS
from tests.simulation.run import live, main, pool_of
from tests.simulation.world import Result, World

SEEDS = range(25)
MUTANT_SEEDS = range(40)


def test_the_code_as_it_is_passes() -> None:
    """25 worlds of 1,000 requests under faults: every answer is right."""
    total = Result()
    for seed in SEEDS:
        total.add(live(seed, 1_000))
    assert total.violations == []
    assert total.operations > 25_000
    assert total.voids > 100


def test_the_worlds_are_as_hard_as_they_claim() -> None:
    """Each kind of fault happens, and each way of answering a read."""
    total = Result()
    for seed in range(8):
        total.add(live(seed, 1_000))
    assert len(total.faults) >= 14
    outcomes = {
        "memory",
        "redis",
        "caught_up",
        "miss",
        "stale",
        "304",
        "empty",
        "store_unavailable",
        "not_a_member",
    }
    assert outcomes <= {name.removeprefix("page: ") for name in total.outcomes}
    assert total.outcomes["post: replayed"] > 0
    assert total.outcomes["post: commit_unknown"] > 0
    assert total.outcomes["erase: erased"] >= 8
    assert total.outcomes["erase: tool died"] > 0


def test_a_seed_decides_everything() -> None:
    """The same seed gives the same steps, another one others."""

    def steps(seed: int) -> list[str] | None:
        world = World(seed, 300, traced=True)
        world.run()
        return world.trace

    assert steps(7) == steps(7)
    assert steps(7) != steps(8)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_planted_bug_is_found(name: str) -> None:
    """The judge sees what this bug does within a few worlds."""
    assert any(live(seed, 1_000, name).violations for seed in MUTANT_SEEDS)


def test_the_command_line_reports_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """A tiny run ends well, with one line of JSON."""
    assert main(["--tiny", "--json", "--check"]) == 0
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert printed["violations"] == 0
    assert printed["seeds"] == 4


def test_a_violation_is_shown_with_its_steps(capsys: pytest.CaptureFixture[str]) -> None:
    """A planted bug is reported with its seed, and can be lived through again."""
    assert main(["--mutant", "skip-vouching", "--check", "--operations", "3000", "--seeds", "3"]) == 0
    assert "first: seed 0: page by" in capsys.readouterr().out
    replay = ["--mutant", "skip-vouching", "--operations", "1000", "--seeds", "1", "--seed", "0"]
    assert main([*replay, "--check"]) == 1
    assert "violation: page by" in capsys.readouterr().out


def test_the_planted_bugs_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """``--mutants`` says what each does."""
    assert main(["--mutants"]) == 0
    assert all(name in capsys.readouterr().out for name in list(MUTANTS)[:1])


class NoLocks(SpawnContext):
    """A machine whose /dev/shm cannot be written."""

    def Lock(self) -> NoReturn:  # noqa: N802  # as multiprocessing names it
        """As the system says it."""
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def test_without_shared_locks_one_process_does_it(capsys: pytest.CaptureFixture[str]) -> None:
    """A /dev/shm that cannot be written is named, and ends nothing."""
    assert pool_of(2, NoLocks()) is None
    assert "/dev/shm" in capsys.readouterr().err  # noqa: S108  # only named


def test_an_engines_files_are_where_they_can_be_written(tmp_path: Path) -> None:
    """In memory, or in the usual place."""
    assert fastest(tmp_path) == tmp_path
    assert fastest(tmp_path / "nowhere") is None
