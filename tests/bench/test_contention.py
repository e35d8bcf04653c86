"""The contention benchmark: its writers, its judge, its figures and targets, and a tiny run."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from bench.contention import (
    BUDGIE,
    ENGINE,
    OWNER,
    WRITE,
    Assignment,
    Caller,
    Report,
    Rounds,
    Setup,
    StoreCalls,
    Verdict,
    judge,
    reaction_targets,
    targets,
    write,
)
from bench.lib.client import RESERVATIONS, TRANSACT, Tally
from bench.lib.operations import SETTINGS, fill
from shared.bootstrap import Services, compose
from shared.domain import keys
from shared.storage.memory import MemoryStore
from tests.running import tiny

WRITER = "writer-0"


@pytest.fixture
def services() -> Services:
    """Services without rate limits over a store in memory."""
    return compose(SETTINGS, MemoryStore())


def opened(services: Services) -> str:
    """A channel of the owner and the writer."""
    channel = keys.new_channel_id()
    fill(services.store, channel, [OWNER, WRITER], [])
    return channel


def assignment(channel: str) -> Assignment:
    """The writer's, which is measured from the 3rd second to the 10th."""
    return Assignment(BUDGIE, WRITE, channel, WRITER, 0, 3, 10, "seed")


class Clock:
    """A clock that moves one second at each reading."""

    def __init__(self) -> None:
        self._now = 0.0

    def __call__(self) -> float:
        """Seconds."""
        self._now += 1
        return self._now


def written(services: Services, channel: str) -> Report:
    """The report of a writer that posts through the handler."""
    report, given = Report(), assignment(channel)
    write(Caller(services, given, report).post, given, report, Clock())
    return report


# --- writers and the judge ---


def test_a_writer_reports_what_was_acknowledged(services: Services) -> None:
    """All posts for the judge, those of the window for the figures."""
    channel = opened(services)
    report = written(services, channel)
    assert list(report.acknowledged) == [1, 2, 3, 4, 5]
    assert report.milliseconds == [1_000.0] * 3, "ended at 4, 6 and 8, not at 2 and 10"
    assert judge(services, channel, [report]) == Verdict(5, 0, [])


def test_the_store_alone_posts_and_polls_the_same(services: Services) -> None:
    """Its posts take the next positions, and its polls return the last one."""
    channel = opened(services)
    given, report = assignment(channel), Report()
    calls, caller = StoreCalls(services.store, given), Caller(services, given, report)
    assert [calls.post("hello", "a"), calls.post("hello", "b")] == [1, 2]
    assert calls.poll(0) == caller.poll(0) == 2
    assert judge(services, channel, [Report(acknowledged={1: "hello"})]).messages == 2


def test_the_judge_finds_what_is_wrong(services: Services) -> None:
    """A message that was lost, moved or never posted."""
    channel = opened(services)
    report = written(services, channel)
    lost = replace(report, acknowledged=report.acknowledged | {99: "lost"})
    assert "position 99 does not have" in judge(services, channel, [lost]).faults[0]
    moved = replace(report, acknowledged=report.acknowledged | {5: report.acknowledged[4]})
    assert len(judge(services, channel, [moved]).faults) >= 2
    unknown = replace(report, acknowledged={}, unknown=list(report.acknowledged.values()))
    assert judge(services, channel, [Report()]).faults
    assert all("found" in fault for fault in judge(services, channel, [unknown]).faults)


# --- figures and targets ---


def report_of(
    milliseconds: list[float], acknowledged: dict[int, str], reserved: int, commits: int, units: int
) -> Report:
    """A writer's."""
    tally = Tally(write=units, calls=Counter({RESERVATIONS: reserved, TRANSACT: commits}))
    return Report(milliseconds, acknowledged, tally=tally)


def result_of(**fields: Any) -> dict[str, Any]:
    """Figures that meet all targets, but for some fields."""
    rounds = Rounds(Setup(16, 0), BUDGIE, 2.0)
    rounds.add([report_of([10.0] * 10, {1: "a"}, 1, 1, 7)] * 16, Verdict(16, 0, []))
    return rounds.result() | {"write_units_per_post": 7.0} | fields


def test_rounds_are_added_up() -> None:
    """Posts of the window by second and by writer, calls by acknowledged post, voids as the judge found them."""
    rounds = Rounds(Setup(2, 1), BUDGIE, 2.0)
    quick = report_of([10.0] * 3, {1: "a", 2: "b", 3: "c"}, 4, 5, 28)
    slow = replace(report_of([20.0], {4: "d"}, 1, 1, 7), refused=1)
    for _ in range(2):
        rounds.add([quick, slow, Report()], Verdict(4, 1, ["wrong"]))
    found = rounds.result()
    assert (found["posts"], found["posts_per_second"], found["slowest_writer_of_mean"]) == (8, 2.0, 0.5)
    assert (found["reservations_per_post"], found["commits_per_post"]) == (1.25, 1.5)
    assert (found["write_units_per_post"], found["responses_503"]) == (8.75, 2)
    assert found["voids_of_posts"] == 0.25
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
    """A figure that is too bad misses one target; the engine's limit is a target of its own."""
    limits = [{"writers": 16, "readers": 0, "of_limit": 0.9}]
    alone = result_of(writers=1)
    assert all(targets([alone, result_of()], limits).values())
    missed = targets([alone, result_of(**miss)], limits)
    assert list(missed.values()).count(False) == 1
    assert list(targets([alone, result_of()], [limits[0] | {"of_limit": 0.8}]).values()).count(False) == 1


@pytest.mark.stack
def test_a_tiny_run_reports_every_setup() -> None:
    """Each side with 1 and 2 writers, without and with readers; no log is wrong."""
    found = tiny("bench.contention")
    cells = {(each["side"], each["writers"], each["readers"]) for each in found["cells"]}
    assert len(cells) == len(found["cells"]) == 2 * 4
    assert {each["side"] for each in found["cells"]} == {BUDGIE, ENGINE}
    assert not [each["log_faults"] for each in found["cells"] if each["log_faults"]]
    assert len(found["of_limit"]) == 4
    [reactions] = found["reactions"]
    assert (reactions["members"], reactions["reactions"], reactions["faults"]) == (3, 3, [])
    assert reactions["write_units_per_reaction"] >= 8
    assert {"posts_alone", "posts_beside_reactions", "reactions_beside_posts"} == set(found["beside"])


def test_each_target_of_reactions_can_be_missed() -> None:
    """A reaction that is lost, too slow or given up; a post that is given up beside reactions."""
    good = {"faults": [], "given_up": 0, "responses_503": 0, "p99_ms": 3_000.0, "log_faults": []}
    beside = {"posts_beside_reactions": good, "reactions_beside_posts": good}
    assert all(reaction_targets([good], beside).values())
    for miss in ({"faults": ["lost"]}, {"given_up": 1}, {"responses_503": 1}, {"p99_ms": 3_001.0}):
        assert list(reaction_targets([good | miss], beside).values()).count(False) == 1
    for name in beside:
        missed = reaction_targets([good], beside | {name: good | {"given_up": 1}})
        assert list(missed.values()).count(False) == 1
