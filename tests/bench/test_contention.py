"""The contention benchmark: its members, its judge, its figures and targets, and a tiny run."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from bench.contention import (
    BUDGIE,
    ENGINE,
    OWNER,
    POST,
    REACT,
    REPLY,
    Assignment,
    Caller,
    Cell,
    Report,
    Setup,
    StoreCalls,
    judge,
    repeat,
    summed_up,
    targets,
    text_of,
)
from bench.lib.client import RESERVATIONS, TRANSACT, Tally
from bench.lib.conversations import bodies
from bench.lib.operations import SETTINGS, fill
from shared.bootstrap import Services, compose
from shared.domain import keys
from shared.storage.memory import MemoryStore
from shared.storage.protocol import ChangeCommit, ChangeOutcome, StateChanged
from tests.running import tiny

MEMBER = "member-0"


@pytest.fixture
def services() -> Services:
    """Services without rate limits over a store in memory."""
    return compose(SETTINGS, MemoryStore())


@pytest.fixture
def channel(services: Services) -> str:
    """A channel of the owner and the member, with one message."""
    made = keys.new_channel_id()
    fill(services.store, made, [OWNER, MEMBER], bodies(1, channel_id=made))
    return made


class Clock:
    """A clock that moves one second at each reading."""

    def __init__(self) -> None:
        self._now = 0.0

    def __call__(self) -> float:
        """Seconds."""
        self._now += 1
        return self._now


def done(services: Services, channel: str, does: str = POST) -> Report:
    """The report of a member that acts through the handlers; measured from the 3rd second to the 10th."""
    report, given = Report(does), Assignment(BUDGIE, does, channel, MEMBER, 0, 3, 10, "seed")
    repeat(Caller(services, given, report).actions[does], given, report, Clock())
    return report


# --- members and the judge ---


def test_a_writer_reports_what_was_acknowledged(services: Services, channel: str) -> None:
    """All posts for the judge, those of the window for the figures."""
    report = done(services, channel)
    assert list(report.acknowledged) == [2, 3, 4, 5, 6]
    assert report.milliseconds == [1_000.0] * 3, "ended at 4, 6 and 8, not at 2 and 10"
    assert judge(services, channel, [report]) == (0, [])


def test_the_store_alone_posts_and_polls_the_same(services: Services, channel: str) -> None:
    """It posts the same texts at the next positions, and polls them."""
    given, report = Assignment(ENGINE, POST, channel, MEMBER, 0, 0, 0, "seed"), Report()
    calls = StoreCalls(services.store, given, report)
    assert calls.post(0)
    assert calls.post(1)
    assert report.acknowledged == {2: text_of(MEMBER, 0), 3: text_of(MEMBER, 1)}
    assert calls.poll(0)
    assert judge(services, channel, [report]) == (0, [])


def test_the_judge_finds_what_is_wrong_with_the_log(services: Services, channel: str) -> None:
    """A message that was lost, moved or never posted."""
    report = done(services, channel)
    lost = replace(report, acknowledged=report.acknowledged | {99: "lost"})
    assert "position 99 does not have" in judge(services, channel, [lost])[1][0]
    moved = replace(report, acknowledged=report.acknowledged | {5: report.acknowledged[4]})
    assert len(judge(services, channel, [moved])[1]) >= 2
    unknown = replace(report, acknowledged={}, unknown=list(report.acknowledged.values()))
    assert judge(services, channel, [Report()])[1]
    assert all("found" in fault for fault in judge(services, channel, [unknown])[1])


def test_the_judge_counts_reactions_and_changes(services: Services, channel: str) -> None:
    """Five changes leave one reaction; a report of fewer or more finds both wrong."""
    report = done(services, channel, REACT)
    assert report.done == 5
    assert judge(services, channel, [report]) == (0, [])
    faults = judge(services, channel, [replace(report, done=4)])[1]
    assert faults[-2:] == ["1 reactions of 0", "5 changes for 4 reactions"]


def test_replies_are_judged_by_their_thread(services: Services, channel: str) -> None:
    """They are in the thread alone; a read of it makes the summary right, and one that stays wrong is found."""
    report = done(services, channel, REPLY)
    assert list(report.acknowledged) == [1, 2, 3, 4, 5]
    assert judge(services, channel, [report]) == (0, [])
    assert judge(services, channel, [replace(report, acknowledged={9: "lost"})])[1]


class SummaryLess(MemoryStore):
    """Refuses every summary, as if the root kept changing."""

    def commit_summary(self, commit: ChangeCommit) -> ChangeOutcome:  # noqa: ARG002 - nothing is written
        """See ``Changes``."""
        return StateChanged()


def test_a_summary_that_stays_wrong_is_found() -> None:
    """If the read of a thread did not make it right."""
    services, channel = compose(SETTINGS, SummaryLess()), keys.new_channel_id()
    fill(services.store, channel, [OWNER, MEMBER], bodies(1, channel_id=channel))
    report = done(services, channel, REPLY)
    [fault] = judge(services, channel, [report])[1]
    assert fault.endswith("for 6 replies after one read")


# --- figures and targets ---


def report_of(
    milliseconds: list[float], acknowledged: int, reserved: int, commits: int, units: int, does: str = POST
) -> Report:
    """A member's."""
    tally = Tally(write=units, calls=Counter({RESERVATIONS: reserved, TRANSACT: commits}))
    return Report(does, milliseconds, acknowledged, tally=tally)


def good() -> dict[str, Any]:
    """Results that meet all targets."""
    cells = []
    for setup in (Setup(1), Setup(16), Setup(replying=16), Setup(reacting=16), Setup(4, reacting=16)):
        for side in (BUDGIE, ENGINE)[: 1 if setup.reacting or setup.replying else 2]:
            cells.append(Cell(setup, side, 2.0))
            reports = [report_of([10.0] * 10, 10, 10, 10, 70, does) for does in setup.actions()]
            cells[-1].add(reports, (0, []))
    return summed_up(cells)


def test_rounds_are_added_up() -> None:
    """Posts of the window by second and by writer, calls by acknowledged post, voids as the judge found them."""
    cell = Cell(Setup(2, 1, 1), BUDGIE, 2.0)
    quick, slow = report_of([10.0] * 3, 3, 4, 5, 28), replace(report_of([20.0], 1, 1, 1, 7), refused=1)
    for _ in range(2):
        cell.add([quick, slow, report_of([5.0], 1, 0, 2, 16, REACT), Report("poll")], (1, ["wrong"]))
    found = cell.figures(POST)
    assert (found["count"], found["per_second"], found["slowest_of_mean"]) == (8, 2.0, 0.5)
    assert (found["reservations"], found["transactions"]) == (1.25, 1.5)
    assert (found["write_units"], found["responses_503"], found["voids"]) == (8.75, 2, 0.25)
    assert (found["p50_ms"], found["p99_ms"], found["faults"]) == (10.0, 20.0, ["wrong", "wrong"])
    reactions = cell.figures(REACT)
    assert (reactions["count"], reactions["transactions"], reactions["p99_ms"]) == (2, 2.0, 5.0)


@pytest.mark.parametrize(
    ("part", "row", "miss"),
    [
        ("posts", 1, {"per_second": 4.9}),
        ("posts", 1, {"p99_ms": 51.0}),
        ("posts", 1, {"write_units": 7.3}),
        ("posts", 1, {"slowest_of_mean": 0.4}),
        ("posts", 1, {"voids": 0.002}),
        ("posts", 1, {"faults": ["lost"]}),
        ("posts", 1, {"given_up": 1}),
        ("posts", 2, {"given_up": 1}),
        ("posts_of_the_engine_alone", 0, {"faults": ["lost"]}),
        ("of_the_engine", 0, {"share": 0.8}),
        ("replies", 0, {"faults": ["lost"]}),
        ("replies", 0, {"given_up": 1}),
        ("replies_of_posts", 0, {"share": 0.84}),
        ("reactions", 0, {"faults": ["lost"]}),
        ("reactions", 0, {"given_up": 1}),
        ("reactions", 0, {"responses_503": 1}),
        ("reactions", 0, {"p99_ms": 3_001.0}),
        ("reactions", 1, {"given_up": 1}),
    ],
)
def test_each_target_can_be_missed(part: str, row: int, miss: dict[str, Any]) -> None:
    """A figure that is too bad misses one target."""
    found = good()
    assert all(targets(found).values())
    found[part][row] |= miss
    assert list(targets(found).values()).count(False) == 1


@pytest.mark.stack
def test_a_tiny_run_reports_every_setup() -> None:
    """Posts, the engine's limit and reactions; no log is wrong, and every reaction is stored once."""
    found = tiny("bench.contention")
    assert [(each["writers"], each["readers"], each["reacting"]) for each in found["posts"]] == [
        (1, 0, 0),
        (2, 1, 0),
        (2, 0, 0),
        (2, 0, 2),
    ]
    assert len(found["posts_of_the_engine_alone"]) == len(found["of_the_engine"]) == 3
    assert [each["replying"] for each in found["replies"]] == [2]
    assert found["replies_of_posts"][0]["share"] > 0
    together, beside = found["reactions"]
    assert (together["reacting"], together["count"], beside["writers"]) == (3, 3, 2)
    assert together["write_units"] >= 8
    rows = [
        row for kind in ("posts", "replies", "posts_of_the_engine_alone", "reactions") for row in found[kind]
    ]
    assert not [each["faults"] for each in rows if each["faults"]]
