"""The benchmarks of the hot path and of the codec, in a form of a moment: what they say, not how fast it was."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

import pytest

from bench import (
    codec,
    conversations,
    hot_calls,
    hot_raw,
    hot_routes,
    hot_wire,
    hot_world,
    peers,
    report,
)
from bench.one_page import PAGE, event, scene
from local import template
from local.dynamodb import MINISTACK
from local.routing import Routes
from shared.codings import encode
from shared.store.memory import MemoryStore
from tests.bench.running import tiny
from tests.engines import TABLE, opened_engines

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.stack
def test_the_hot_path_is_measured() -> None:
    """The report names every contender that is installed, every route, every way on the wire, and the targets."""
    found = tiny("bench.hot_path")
    names = {name.split(",")[0] for name in found["microseconds"]}
    assert names == {"budgie", "floor"} | (set(peers.PEERS) - set(peers.missing()))
    assert found["of_floor"] > 0
    assert found["layers"]
    assert found["parts"]
    assert all(set(page) == set(hot_wire.WAYS) for page in found["wire"]["pages"].values())
    assert set(found["routes"]) == set(found["calls"]["routes"])
    assert all(set(hot_routes.SECTIONS) < set(each) for each in found["routes"].values())
    assert set(found["calls"]["of_floor"]) == set(hot_calls.MAX_OF_FLOOR)
    assert len(found["targets"]) == 2 + 4 + len(hot_calls.MAX_OF_FLOOR)


def test_every_route_is_in_the_profile() -> None:
    """Whatever the template sends a function is among the requests that are measured."""
    routes = template.load(conversations.ROOT / "template.yaml").routes
    cases = hot_world.World(MemoryStore(), fresh=1, listed=2).cases().values()
    made = [case.event()["requestContext"]["http"] for case in cases]
    matched = [Routes(routes).match(each["method"], each["path"]) for each in made]
    assert {each[0].key for each in matched if each} == {route.key for route in routes}


def test_the_page_on_the_wire_is_of_50_messages_of_1_kb() -> None:
    """What the targets are held against has the size that they name, and is smaller by as much in both codings."""
    page = scene(hot_wire.PAGES[hot_wire.JUDGED]).body
    assert len(page) == pytest.approx(50 * 1_024, rel=0.05)
    for coding in ("zstd", "gzip"):
        assert len(encode(page, coding)) <= hot_wire.MAX_SHARE * len(page)


@pytest.mark.stack
def test_raw_calls_write_what_posting_writes(tmp_path: Path) -> None:
    """The floor is the same work: an entry for each post, a receipt for one with a key, and a list of all channels."""
    with opened_engines(tmp_path) as engines:
        client = engines.client(MINISTACK)
        raw = hot_raw.Raw(client.meta.endpoint_url, TABLE, 3)
        raw.post(keyed=False)
        raw.post(keyed=True)
        assert raw.list() == 3
        raw.close()
        items = client.query(
            TableName=TABLE,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": "C#raw0000000000000"}},
        )["Items"]
    kinds = [item["sk"]["S"].partition("#")[0] for item in items]
    assert sorted(kinds) == ["E", "E", "HEAD", "I"]


def test_the_codec_is_measured_on_pages_and_on_a_bundle() -> None:
    """The report compares all codecs on both kinds of page, and says what a bundle takes."""
    found = tiny("bench.codec")
    for kind in ("pages_as_written", "large_page"):
        assert set(found[kind]["codecs"]) == set(codec.CODECS)
    assert 0 < found["bundle"]["zstd"]["stored_bytes"] < found["bundle"]["raw_bytes"]
    assert found["setting"] in codec.CODECS


def test_the_scene_is_one_page_of_real_text() -> None:
    """The page has 50 messages and is what the services answer for the event."""
    made = scene()
    assert len(json.loads(made.body)["messages"]) == PAGE
    assert event()["rawQueryString"] == f"limit={PAGE}"


def test_the_large_page_is_as_large_as_it_says() -> None:
    """Fifty messages, and hardly more than 49,247 bytes."""
    page = codec.large_page()
    assert len(json.loads(page)) == 50
    assert codec.LARGE_PAGE_BYTES <= len(page) < codec.LARGE_PAGE_BYTES * 1.01


def test_messages_have_the_size_that_was_asked_for() -> None:
    """Turns are joined until each message is large enough, and each is the next in its channel."""
    found = [json.loads(each) for each in conversations.bodies(4, (0, 900), channel_id="0123456789abcdef")]
    assert [each["seq"] for each in found] == [1, 2, 3, 4]
    assert {each["id"].split("-")[0] for each in found} == {"0123456789abcdef"}
    assert [len(each["text"]) > 700 for each in found] == [True, False, True, False]


def test_the_projects_own_sample_will_do() -> None:
    """Without the shared data the benchmarks read the sample that the project ships."""
    assert all(turn.text for each in conversations.conversations(conversations.SOURCES[1]) for turn in each)


def test_calls_are_timed_in_turns() -> None:
    """Each call is timed as often as the others, and who begins changes from round to round."""
    order: list[str] = []
    times = report.interleaved({name: partial(order.append, name) for name in "ab"}, rounds=2)
    assert {name: len(each) for name, each in times.items()} == {"a": 2, "b": 2}
    assert order == ["a", "b", "b", "a", "a", "b"]


@pytest.mark.parametrize(("percent", "value"), [(50, 50), (99, 99), (100, 100), (0, 1)])
def test_a_percentile_is_one_of_the_values(percent: float, value: int) -> None:
    """The smallest that so many per cent do not exceed."""
    assert report.percentile(range(1, 101), percent) == value


def test_a_missed_target_fails_only_a_check(capsys: pytest.CaptureFixture[str]) -> None:
    """Without ``--check`` a benchmark ends well whatever it found."""
    for options, status in (([], 0), (["--check"], 1), (["--check", "--json"], 1)):
        arguments = report.parser("x").parse_args(options)
        assert report.finish(arguments, {"a": 1}, {"held": True, "not held": False}, "text") == status
    assert "MISSED not held" in capsys.readouterr().out
