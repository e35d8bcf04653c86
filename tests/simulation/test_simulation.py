"""The simulation in short: the code as it is passes, and every mutant is found."""

from __future__ import annotations

import errno
import json
import os
from multiprocessing.context import SpawnContext
from pathlib import Path
from typing import NoReturn

import pytest

from bench.lib.dynamodb import fastest
from tests.lengths import LONG
from tests.simulation.mutants import MUTANTS
from tests.simulation.run import live, main, pool_of
from tests.simulation.world import Result, World

PARTS = 8 if LONG else 2
WORLDS = 2
"""In each part. The parts are tests of their own, so that all workers share them."""
MUTANT_SEEDS = range(40)
FREQUENT = {
    *(f"page: {each}" for each in ("memory", "caught_up", "miss", "304", "empty", "synced")),
    *(f"page: {each}" for each in ("store_unavailable", "not_a_member")),
    *(f"post: {each}" for each in ("posted", "replayed", "commit_unknown")),
    *(f"edit: {each}" for each in ("edited", "replayed")),
    *(f"change: {each}" for each in ("deleted", "reaction_added", "reaction_removed", "pinned", "unpinned")),
    *("changes: caught up", "pins: pins", "mentions: mentions"),
    *("versions: versions", "erase: erased", "threads: listed"),
    *("archive: archived", "archive: unarchived", "post: channel_archived"),
    *(f"thread page: {each}" for each in ("memory", "miss", "304", "synced", "read once", "not_a_member")),
    *(f"thread {each}" for each in ("post: posted", "post: posted to both", "edit: edited")),
}
"""Outcomes that each part has; the long form requires the seldom ones too."""
FIRST_SEED = {
    "accept-from-blocked": 6,
    "acknowledge-early": 2,
    "acknowledge-in-part": 11,
    "believe-times": 1,
    "changes-with-holes": 12,
    "commit-again": 1,
    "count-apart": 3,
    "count-first": 1,
    "count-found-voids": 3,
    "etag-without-changes": 1,
    "join-past-ban": 6,
    "list-from-memory": 1,
    "memory-unnumbered": 1,
    "old-preview": 1,
    "preview-stays": 3,
    "redact-before-leaving": 5,
    "reply-unchecked": 18,
    "stale-for-ever": 14,
}
"""A seed that is known to find a mutant, tried first to save time; where it no longer does, all seeds are tried."""


@pytest.mark.parametrize("part", range(PARTS))
def test_the_code_as_it_is_passes(part: int) -> None:
    """In worlds of 1,000 requests every response is right, and no frequent kind of fault or outcome is missing."""
    total = Result()
    for seed in range(part * WORLDS, (part + 1) * WORLDS):
        total.add(live(seed, 1_000))
    assert total.violations == []
    assert total.operations > WORLDS * 1_000
    assert total.voids > WORLDS * 10
    assert len(total.faults) >= 14
    assert total.outcomes.keys() >= FREQUENT


def test_a_seed_decides_everything() -> None:
    """The same seed gives the same steps, another seed gives others."""

    def steps(seed: int) -> list[str] | None:
        world = World(seed, 300, traced=True)
        world.run()
        return world.trace

    assert steps(7) == steps(7)
    assert steps(7) != steps(8)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_found(name: str) -> None:
    """The judge reports a violation within 40 worlds that run this mutant."""
    seeds = [FIRST_SEED.get(name, 0), *MUTANT_SEEDS]
    assert any(live(seed, 1_000, name).violations for seed in seeds)


def test_the_command_line_reports_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """A tiny run succeeds and prints one line of JSON."""
    assert main(["--tiny", "--json", "--check"]) == 0
    printed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert printed["violations"] == 0
    assert printed["seeds"] == 4


def test_a_violation_is_shown_with_its_steps(capsys: pytest.CaptureFixture[str]) -> None:
    """A mutant is reported with its seed, and that seed reproduces the violation."""
    assert main(["--mutant", "skip-confirmation", "--check", "--operations", "3000", "--seeds", "3"]) == 0
    assert "first: seed 0: page by" in capsys.readouterr().out
    replay = ["--mutant", "skip-confirmation", "--operations", "1000", "--seeds", "1", "--seed", "0"]
    assert main([*replay, "--check"]) == 1
    assert "violation: page by" in capsys.readouterr().out


def test_the_mutants_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """``--mutants`` lists what each mutant does."""
    assert main(["--mutants"]) == 0
    assert all(name in capsys.readouterr().out for name in list(MUTANTS)[:1])


class NoLocks(SpawnContext):
    """A multiprocessing context on a machine whose /dev/shm cannot be written."""

    def Lock(self) -> NoReturn:  # noqa: N802  # as multiprocessing names it
        """Fails as the system does."""
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def test_without_shared_locks_one_process_does_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Where /dev/shm cannot be written, a warning names it and one process does all the work."""
    assert pool_of(2, NoLocks()) is None
    assert "/dev/shm" in capsys.readouterr().err  # noqa: S108  # only named


def test_an_engines_files_are_where_they_can_be_written(tmp_path: Path) -> None:
    """The engine's files are in memory where that can be written, else in the usual place."""
    assert fastest(tmp_path) == tmp_path
    assert fastest(tmp_path / "nowhere") is None
