"""The benchmark of the hot path in the tiny form: what it reports, not how fast it was."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bench import hot_path
from bench.baseline import caches
from bench.lib.operations import OPERATIONS, PAGE_CHANGED, PAGE_IN_MEMORY
from shared.runtime.codings import encode
from tests.running import tiny


def test_the_hot_path_is_measured() -> None:
    """The result has every installed contender, every route, every way on the wire, and the targets."""
    found = tiny("bench.hot_path")
    assert set(found["microseconds"]) == {"budgie", "floor"} | (set(caches.PEERS) - set(caches.missing()))
    assert found["of_floor"] > 0
    assert all(set(page) == set(hot_path.WAYS) for page in found["wire"].values())
    assert len({page["identity"]["bytes"] for page in found["wire"].values()}) == 2
    assert set(found["routes"]) == {each.name for each in OPERATIONS if not each.is_missed}
    assert len(found["targets"]) == 2 + 4 + 1


def test_the_page_on_the_wire_is_of_50_messages_of_1_kb() -> None:
    """The page of the targets has the size that they name, and is small enough in both codings."""
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
        ({"times_faster_than": {"peer": 1.9}}, 1),
        ({"missing_peers": ["peer"]}, 1),
        ({"share": 0.4}, 2),
        ({"us": 3.0}, 2),
        ({"changed": 2.1}, 1),
    ],
)
def test_each_target_can_be_missed(changes: dict[str, Any], missed: int) -> None:
    """A slow page, a fast peer, a missing peer, a coding that saves too little or takes too long."""
    coded = {"share": changes.get("share", 0.3), "us": changes.get("us", 1.0)}
    page = {"identity": {"share": 1.0, "us": 2.0}, "zstd": coded, "gzip": coded}
    found = {
        "of_floor": 1.9,
        "fastest_peer": "peer",
        "times_faster_than": {"peer": 3.1},
        "missing_peers": [],
        "wire": {hot_path.JUDGED: page},
        "routes": {PAGE_CHANGED: changes.get("changed", 2.0), PAGE_IN_MEMORY: 1.0},
    }
    assert list(hot_path.targets(found | changes).values()).count(False) == missed
