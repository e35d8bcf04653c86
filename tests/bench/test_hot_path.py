"""The benchmark of the hot path, in a form of a moment: what it says, not how fast it was."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bench import hot_path
from bench.baseline import caches
from shared.runtime.codings import encode
from tests.running import tiny


@pytest.mark.stack
def test_the_hot_path_is_measured() -> None:
    """The report names every contender that is installed, every route, every way on the wire, and the targets."""
    found = tiny("bench.hot_path")
    names = {name.split(",")[0] for name in found["microseconds"]}
    assert names == {"budgie", "floor"} | (set(caches.PEERS) - set(caches.missing()))
    assert found["of_floor"] > 0
    assert all(set(page) == set(hot_path.WAYS) for page in found["wire"]["pages"].values())
    assert len({page["identity"]["bytes"] for page in found["wire"]["pages"].values()}) == 2
    assert set(found["routes"]) == set(found["calls"]["routes"]) == {each.name for each in hot_path.warm()}
    assert all(set(hot_path.SECTIONS) < set(each) for each in found["routes"].values())
    assert found["calls"]["routes"]["post"]["storage_calls"] == 3
    assert set(found["calls"]["of_floor"]) == set(hot_path.MAX_OF_CALLS)
    assert len(found["targets"]) == 2 + 4 + len(hot_path.MAX_OF_CALLS)


def test_the_page_on_the_wire_is_of_50_messages_of_1_kb() -> None:
    """What the targets are held against has the size that they name, and is smaller by as much in both codings."""
    page = hot_path.Page(hot_path.PAGES[hot_path.JUDGED]).body
    assert len(json.loads(page)["messages"]) == 50
    assert len(page) == pytest.approx(50 * 1_024, rel=0.05)
    for coding in ("zstd", "gzip"):
        assert len(encode(page, coding)) <= hot_path.MAX_SHARE * len(page)


@pytest.mark.parametrize(
    ("changes", "missed"),
    [
        ({}, 0),
        ({"of_floor": 2.1}, 1),
        ({"times_faster_than": {"peer": 2.9}}, 1),
        ({"missing_peers": ["peer"]}, 1),
        ({"share": 0.4}, 2),
        ({"us": 3.0}, 2),
        ({"post": 2.6}, 1),
    ],
)
def test_each_target_can_be_missed(changes: dict[str, Any], missed: int) -> None:
    """A slow page, a quick peer, one that was not there, a coding that saves little or takes long, a slow post."""
    coded = {"share": changes.get("share", 0.3), "us": changes.get("us", 1.0)}
    page = {"identity": {"share": 1.0, "us": 2.0}, "zstd": coded, "gzip": coded}
    found = {
        "of_floor": 1.9,
        "fastest_peer": "peer",
        "times_faster_than": {"peer": 3.1},
        "missing_peers": [],
        "wire": {"pages": {hot_path.JUDGED: page}},
        "calls": {"of_floor": dict.fromkeys(hot_path.MAX_OF_CALLS, 1.0) | {"post": changes.get("post", 1.0)}},
    }
    assert list(hot_path.targets(found | changes).values()).count(False) == missed
