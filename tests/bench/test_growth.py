"""What reads and posts cost as a chat grows, in the tiny form."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from bench import growth
from bench.growth import PAGE, USER, channel, chat, lister
from local.dynamodb.engine import DYNAMODB_LOCAL
from shared.storage import items
from tests.running import tiny


@pytest.mark.stack
def test_units_are_flat_and_a_list_grows_by_its_channels() -> None:
    """A post of 5 units, 7 with a key, a page of 2 from memory, at each size; a list of 5 takes 6, at first 8.5."""
    found = tiny("bench.growth")
    assert all(found["targets"].values())
    for axis in growth.AXES:
        posts = found[axis]["post"]
        assert [row["size"] for row in posts] == list(growth.TINY[axis])
        assert {(row["read"], row["write"], row["calls"]) for row in posts} == {(2, 5, 3)}
        assert {row["write"] for row in found[axis]["post with key"]} == {7}
        assert {row["read"] for row in found[axis]["page, memory"]} == {2}
        assert all(row["ms"] > 0 for rows in found[axis].values() for row in rows)
    assert [row["read"] for row in found["channels"]["list of channels, memory"]] == [2, 6]
    assert [row["read"] for row in found["channels"]["list of channels, none"]] == [2.5, 8.5]
    # One for the follows; of each thread its head, and its channel's membership and head.
    assert [row["read"] for row in found["channels"]["list of threads, memory"]] == [4, 16]


def test_the_chat_has_the_given_sizes() -> None:
    """Every channel has its entries, members, head and listing; the lister is in exactly its number of channels."""
    made = list(chat({"messages": [60], "members": [3], "channels": [2]}))
    pks = [each["pk"]["S"] for each in made]
    long = items.head_key(channel("messages", 60))["pk"]["S"]
    assert pks.count(long) == 60 + 2
    assert pks.count(items.head_key(channel("members", 3))["pk"]["S"]) == PAGE + 2
    assert pks.count(items.membership_key("c", lister(2))["pk"]["S"]) == 2
    assert pks.count(items.membership_key("c", USER)["pk"]["S"]) == 2
    assert len({(each["pk"]["S"], each["sk"]["S"]) for each in made}) == len(made)


def sample(**changes: Any) -> dict[str, Any]:
    """Results that meet every target, but for some changes of an operation's largest row."""
    row = {"read": 2.0, "write": 0.0, "calls": 1, "ms": 2.0, "cpu_ms": 1.0, "engine_agrees": True}
    flat = [{"size": 1, **row}, {"size": 50, **row}, {"size": 500, **row} | changes]
    listed = [{"size": size, **row, "read": 1.0 + size, "ms": 1 + size / 10} for size in (1, 50, 500)]
    return {
        "engine": DYNAMODB_LOCAL,
        **{axis: {"page": flat} for axis in growth.AXES},
        "channels": {"page": flat, "list of channels": listed, "list of threads": deepcopy(listed)},
    }


def test_the_targets_can_be_met() -> None:
    """With flat units and times, and a list within its limit."""
    assert all(growth.targets(sample(), is_timed=True).values())


@pytest.mark.parametrize(
    ("changes", "missed"),
    [({"read": 3.0}, 3), ({"calls": 2}, 3), ({"ms": 3.1}, 3), ({"engine_agrees": False}, 1)],
)
def test_growth_misses_a_target(changes: dict[str, Any], missed: int) -> None:
    """One more unit or call, or half as much time again, at the largest size misses a target on each axis."""
    found = growth.targets(sample(**changes), is_timed=True)
    assert sum(not held for held in found.values()) == missed


@pytest.mark.parametrize(("name", "units"), [("list of channels", 600.0), ("list of threads", 1600.0)])
def test_a_list_above_its_constant_misses_a_target(name: str, units: float) -> None:
    """More units than its constant allows are too many, and time must not grow faster than the list."""
    results = sample()
    results["channels"][name][-1] |= {"read": units, "ms": 500.0}
    found = growth.targets(results, is_timed=True)
    assert [name.split()[4] for name, held in found.items() if not held] == ["costs", "takes"]
