"""What the contention benchmark says of its runs: the judge of the logs, cells, targets, and a run of a moment."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from bench.contending.cell import Cell, Setup
from bench.contending.channel import OWNER, open_channel
from bench.contending.faults import FAIR, WEATHERS, Rates
from bench.contending.judge import Verdict, judge
from bench.contending.shift import BUDGIE, ENGINE, Tally
from bench.contending.targets import targets
from bench.contending.writers import BudgiePoster, write
from shared.services import Services
from tests.bench.crowded import WRITER, services_in_memory, shift_in
from tests.engines import skip_unless_runnable


class Clock:
    """Time that moves a second whenever somebody looks."""

    def __init__(self) -> None:
        self._now = 0.0

    def __call__(self) -> float:
        """Seconds."""
        self._now += 1
        return self._now


@pytest.fixture
def crowded() -> Services:
    """As ``services_in_memory``."""
    return services_in_memory()


def written(services: Services, channel: str) -> Tally:
    """What a writer through the handler reports."""
    tally, shift = Tally(), shift_in(channel)
    write(BudgiePoster(services, shift, tally), shift, tally, Clock())
    return tally


# --- writers and the judge ---


def test_a_writer_reports_what_was_acknowledged(crowded: Services) -> None:
    """All of it for the judge, the window's for the figures."""
    channel = open_channel(crowded.store, [WRITER])
    tally = written(crowded, channel)
    assert list(tally.acknowledged) == [1, 2, 3, 4, 5]
    assert tally.milliseconds == [1_000.0] * 3, "ended at 4, 6 and 8, not at 2 and 10"
    assert judge(crowded, channel, OWNER, [tally]) == Verdict(5, 0, [])


def test_the_judge_sees_what_is_wrong(crowded: Services) -> None:
    """A message that was lost, moved, doubled, never posted; a reader who was shown something else; voids count."""
    channel = open_channel(crowded.store, [WRITER])
    tally = written(crowded, channel)
    text = tally.acknowledged[5]
    lost = replace(tally, acknowledged=tally.acknowledged | {99: "lost"})
    assert "position 99 does not hold" in judge(crowded, channel, OWNER, [lost]).faults[0]
    moved = replace(tally, acknowledged=tally.acknowledged | {5: tally.acknowledged[4]})
    assert len(judge(crowded, channel, OWNER, [moved]).faults) >= 2
    unknown = replace(tally, acknowledged={}, unknown=list(tally.acknowledged.values()))
    twice = judge(crowded, channel, OWNER, [unknown])
    assert twice.faults
    assert all("stands" in fault for fault in twice.faults)
    skipping = Tally(read=[(1, 2, None), (4, 5, None)])
    other = Tally(read=[(1, 1, [{"seq": 1, "text": text}])])
    assert len(judge(crowded, channel, OWNER, [tally, skipping, other]).faults) >= 2


# --- cells and targets ---


def result_of(**fields: Any) -> dict[str, Any]:
    """A cell's figures, all of them well."""
    tallies = [
        Tally(milliseconds=[10.0] * 10, acknowledged={1: "a"}, counts=Counter(takes=1, commits=1))
    ] * 16
    cell = Cell(Setup(16, 0, FAIR, Rates()), BUDGIE)
    cell.add(2.0, tallies, [], Verdict(16, 0, []))
    return cell.result() | {"write_units_per_post": 7.0} | fields


def test_a_cell_adds_its_rounds_up() -> None:
    """Posts of the window by second and by writer, calls by acknowledged post, voids as the judge found them."""
    cell = Cell(Setup(2, 1, FAIR, Rates()), BUDGIE)
    quick = Tally([10.0] * 3, {1: "a", 2: "b", 3: "c"}, counts=Counter(takes=4, commits=5, write_units=28))
    slow = Tally([20.0], {4: "d"}, counts=Counter(takes=1, commits=1, write_units=7), refused=1)
    reader = Tally(holes={7, 8})
    for _ in range(2):
        cell.add(2.0, [quick, slow], [reader], Verdict(4, 1, ["wrong"]))
    found = cell.result()
    assert (found["posts"], found["posts_per_second"], found["slowest_writer_of_mean"]) == (8, 2.0, 0.5)
    assert (found["takes_per_post"], found["commits_per_post"]) == (1.25, 1.5)
    assert (found["write_units_per_post"], found["answers_503"]) == (8.75, 2)
    assert (found["holes_met"], found["voids"], found["voids_of_posts"]) == (4, 2, 0.25)
    assert (found["p50_ms"], found["p99_ms"], found["log_faults"]) == (10.0, 20.0, ["wrong", "wrong"])


@pytest.mark.parametrize(
    "miss",
    [
        {"posts_per_second": 79.0},
        {"p99_of_p50": 5.1},
        {"write_units_per_post": 7.3},
        {"slowest_writer_of_mean": 0.4},
        {"voids_of_posts": 0.002},
        {"log_faults": ["lost"]},
        {"given_up": 1},
    ],
)
def test_each_target_can_be_missed(miss: dict[str, Any]) -> None:
    """One figure that is too bad misses one target, and the limit is a target of its own."""
    limits = [{"writers": 16, "readers": 0, "of_limit": 0.9}]
    alone = result_of(writers=1)
    assert all(targets([alone, result_of()], limits).values())
    missed = targets([alone, result_of(**miss)], limits)
    assert list(missed.values()).count(False) == 1
    assert list(targets([alone, result_of()], [limits[0] | {"of_limit": 0.8}]).values()).count(False) == 1


# --- the whole ---


@pytest.mark.stack
@pytest.mark.dynamodb_local
def test_a_tiny_run_reports_every_cell() -> None:
    """On DynamoDB Local: each side and weather by 1 and 4 writers, and no log is wrong."""
    skip_unless_runnable()
    command = [sys.executable, "-m", "bench.contention", "--json", "--tiny"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)  # noqa: S603 - our own
    found = json.loads(ended.stdout.splitlines()[-1])
    cells = {(each["side"], each["writers"], each["readers"], each["weather"]) for each in found["cells"]}
    assert len(cells) == len(found["cells"]) == 2 * 6
    assert {each["weather"] for each in found["cells"]} == set(WEATHERS)
    assert {each["side"] for each in found["cells"]} == {BUDGIE, ENGINE}
    assert not [each["log_faults"] for each in found["cells"] if each["log_faults"]]
    assert len(found["of_limit"]) == 4
