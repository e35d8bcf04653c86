"""The benchmarks of the hot path and of the codec, in a form of a moment: what they say, not how fast it was."""

from __future__ import annotations

import json
from functools import partial

import pytest

from bench import codec, conversations, peers, report
from bench.one_page import PAGE, event, scene
from tests.bench.running import tiny


def test_the_hot_path_is_measured_against_the_floor_and_the_peers() -> None:
    """The report names every contender that is installed, and the targets."""
    found = tiny("bench.hot_path")
    names = {name.split(",")[0] for name in found["microseconds"]}
    assert names == {"budgie", "floor"} | (set(peers.PEERS) - set(peers.missing()))
    assert found["of_floor"] > 0
    assert len(found["targets"]) == 2
    assert found["layers"]
    assert found["parts"]


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
