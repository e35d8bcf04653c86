"""The contention benchmark: its bare calls, its writers, its judge, its cells and targets, and a run of a moment."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from bench.baseline.raw_calls import RawCalls
from bench.contention import (
    BUDGIE,
    ENGINE,
    FAIR,
    OWNER,
    WEATHERS,
    WRITE,
    Caller,
    Cell,
    Report,
    Setup,
    Shift,
    Verdict,
    judge,
    targets,
    write,
)
from bench.lib.client import BATCH_GET, TAKES, TRANSACT, MeasuredClient, Tally
from bench.lib.operations import SETTINGS, fill
from shared.bootstrap import Services, compose
from shared.domain import keys
from shared.storage import items
from shared.storage.dynamodb import DynamoDBStore
from shared.storage.memory import MemoryStore
from tests.contract.fake_client import FakeClient
from tests.running import tiny

TABLE = "budgie"
WRITER = "writer-0"


@pytest.fixture
def services() -> Services:
    """Services without rate limits over a storage in memory."""
    return compose(SETTINGS, MemoryStore())


def opened(services: Services) -> str:
    """A channel of the owner and the writer."""
    channel = keys.new_channel_id()
    fill(services.store, channel, [OWNER, WRITER], [])
    return channel


def shift_in(channel: str) -> Shift:
    """The writer's, which counts from the 3rd second to the 10th."""
    return Shift(BUDGIE, WRITE, channel, WRITER, 0, 3, 10, FAIR, "seed")


# --- the bare calls ---


def masked(value: Any) -> Any:
    """A call with its attribute values left out: keys, conditions, and which attributes there are."""
    if isinstance(value, dict):
        kinds = value.keys() & {"S", "N", "B"}
        return (
            sorted(kinds)
            if kinds and len(value) == 1
            else {name: masked(each) for name, each in value.items()}
        )
    return [masked(each) for each in value] if isinstance(value, list) else value


def test_the_bare_calls_are_budgies_calls(services: Services) -> None:
    """The same operations with the same keys, items, conditions and expressions, and values of the same kinds."""
    channel = opened(services)
    state = services.store.read_channel_state(channel, WRITER)
    assert state.head
    assert state.membership
    head, membership = items.head_item(state.head), items.membership_item(state.membership)
    responses: list[dict[str, Any]] = [
        {"Responses": {TABLE: [head, membership]}},
        {"Attributes": head | {"seq": items.n(1), "messages": items.n(1)}},
        {},
    ]
    theirs, ours = FakeClient(*responses), FakeClient(*responses)
    RawCalls(theirs, TABLE, channel, WRITER).post("hello", "key")
    over = replace(services, store=DynamoDBStore(ours, TABLE))
    assert Caller(over, shift_in(channel), Report()).post("hello", "key") == 1
    assert ours.calls[-1][1].pop("ClientRequestToken")  # theirs is the client's to make
    assert masked([list(each) for each in theirs.calls]) == masked([list(each) for each in ours.calls])
    assert theirs.operations == ["BatchGetItem", "UpdateItem", "TransactWriteItems"]


def test_a_post_is_counted_and_weighed(services: Services) -> None:
    """A position reserved, a transaction, 7 write units with a key."""
    response = {"Responses": {}, "Attributes": {"seq": items.n(1), "messages": items.n(1)}}
    client = MeasuredClient(FakeClient(response))
    RawCalls(client, TABLE, opened(services), WRITER).post("hello", "key")
    assert client.tally.calls == Counter({BATCH_GET: 1, TAKES: 1, TRANSACT: 1})
    assert client.tally.write == 7


class Clock:
    """Time that moves a second whenever somebody looks."""

    def __init__(self) -> None:
        self._now = 0.0

    def __call__(self) -> float:
        """Seconds."""
        self._now += 1
        return self._now


def written(services: Services, channel: str) -> Report:
    """What a writer through the handler reports."""
    report, shift = Report(), shift_in(channel)
    write(Caller(services, shift, report).post, shift, report, Clock())
    return report


# --- writers and the judge ---


def test_a_writer_reports_what_was_acknowledged(services: Services) -> None:
    """All of it for the judge, the window's for the figures."""
    channel = opened(services)
    report = written(services, channel)
    assert list(report.acknowledged) == [1, 2, 3, 4, 5]
    assert report.milliseconds == [1_000.0] * 3, "ended at 4, 6 and 8, not at 2 and 10"
    assert judge(services, channel, [report]) == Verdict(5, 0, [])


def test_the_judge_sees_what_is_wrong(services: Services) -> None:
    """A message that was lost, moved, doubled, never posted; a reader who was shown something else; voids count."""
    channel = opened(services)
    report = written(services, channel)
    text = report.acknowledged[5]
    lost = replace(report, acknowledged=report.acknowledged | {99: "lost"})
    assert "position 99 does not hold" in judge(services, channel, [lost]).faults[0]
    moved = replace(report, acknowledged=report.acknowledged | {5: report.acknowledged[4]})
    assert len(judge(services, channel, [moved]).faults) >= 2
    unknown = replace(report, acknowledged={}, unknown=list(report.acknowledged.values()))
    twice = judge(services, channel, [unknown])
    assert twice.faults
    assert all("stands" in fault for fault in twice.faults)
    skipping = Report(read=[(1, 2, None), (4, 5, None)])
    other = Report(read=[(1, 1, [{"seq": 1, "text": text}])])
    assert len(judge(services, channel, [report, skipping, other]).faults) >= 2


# --- cells and targets ---


def report_of(
    milliseconds: list[float], acknowledged: dict[int, str], takes: int, commits: int, units: int
) -> Report:
    """A writer's."""
    tally = Tally(write=units, calls=Counter({TAKES: takes, TRANSACT: commits}))
    return Report(milliseconds, acknowledged, tally=tally)


def result_of(**fields: Any) -> dict[str, Any]:
    """A cell's figures, all of them well."""
    cell = Cell(Setup(16, 0, FAIR), BUDGIE)
    cell.add(2.0, [report_of([10.0] * 10, {1: "a"}, 1, 1, 7)] * 16, Verdict(16, 0, []))
    return cell.result() | {"write_units_per_post": 7.0} | fields


def test_a_cell_adds_its_rounds_up() -> None:
    """Posts of the window by second and by writer, calls by acknowledged post, voids as the judge found them."""
    cell = Cell(Setup(2, 1, FAIR), BUDGIE)
    quick = report_of([10.0] * 3, {1: "a", 2: "b", 3: "c"}, 4, 5, 28)
    slow = replace(report_of([20.0], {4: "d"}, 1, 1, 7), refused=1)
    reader = Report(tally=Tally(holes={7, 8}))
    for _ in range(2):
        cell.add(2.0, [quick, slow, reader], Verdict(4, 1, ["wrong"]))
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
def test_a_tiny_run_reports_every_cell() -> None:
    """Each side and weather by 1 and 2 writers, and no log is wrong."""
    found = tiny("bench.contention")
    cells = {(each["side"], each["writers"], each["readers"], each["weather"]) for each in found["cells"]}
    assert len(cells) == len(found["cells"]) == 2 * 6
    assert {each["weather"] for each in found["cells"]} == set(WEATHERS)
    assert {each["side"] for each in found["cells"]} == {BUDGIE, ENGINE}
    assert not [each["log_faults"] for each in found["cells"] if each["log_faults"]]
    assert len(found["of_limit"]) == 4
