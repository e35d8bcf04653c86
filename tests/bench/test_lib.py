"""What the benchmarks share: command line, timing, real text, tables, and the wrapper of the DynamoDB client."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

from bench.lib import command, conversations, timing
from bench.lib.client import BATCH_GET, RESERVATIONS, TRANSACT, UPDATE, MeasuredClient
from bench.lib.functions import ROOT, routed
from bench.lib.operations import OPERATIONS, Scene, fill_chat
from local.template import load as template
from shared.storage import items
from shared.storage.dynamodb import DynamoDBStore
from shared.storage.memory import MemoryStore
from tests.contract.fake_client import FakeClient
from tests.contract.samples import entry

TABLE, CHANNEL, USER = "budgie", "c" * 16, "writer-0"


def test_messages_have_the_size_that_was_asked_for() -> None:
    """Turns are joined until each message is large enough; positions are consecutive."""
    found = [json.loads(each) for each in conversations.bodies(4, (0, 900), channel_id="0123456789abcdef")]
    assert [each["seq"] for each in found] == [1, 2, 3, 4]
    assert {each["id"].split("-")[0] for each in found} == {"0123456789abcdef"}
    assert [len(each["text"]) > 700 for each in found] == [True, False, True, False]


def test_the_projects_own_sample_is_enough() -> None:
    """Without the shared data set the benchmarks read the sample that the project ships."""
    assert all(turn.text for each in conversations.conversations(conversations.SOURCES[1]) for turn in each)


def test_every_route_is_among_the_operations() -> None:
    """Every route of the template is priced and timed, and its request succeeds."""
    store = MemoryStore()
    fill_chat(store, length=50, listed=4)
    scene = Scene(store)
    keys = set()
    for each in OPERATIONS:
        ask = each.ready(scene)
        keys.add(routed(ask)[1]["routeKey"])
        scene.handlers(ask)
    assert keys == {route.key for route in template.load(ROOT / "template.yaml").routes}


# --- timing and the command line ---


def test_calls_are_timed_in_turns() -> None:
    """Each call is timed equally often, in rotating order; preparation is not timed."""
    order: list[str] = []
    calls: dict[str, timing.Timed] = {name: partial(order.append, name) for name in "ab"}
    times = timing.interleaved(calls | {"a": timing.Prepared(lambda: "a", order.append)}, rounds=2)
    assert {name: len(each) for name, each in times.items()} == {"a": 2, "b": 2}
    assert order == ["a", "b", "b", "a", "a", "b"]


@pytest.mark.parametrize(("percent", "value"), [(50, 50), (99, 99), (100, 100), (0, 1)])
def test_a_percentile_is_one_of_the_values(percent: float, value: int) -> None:
    """The smallest that is not exceeded by this percentage."""
    assert timing.percentile(range(1, 101), percent) == value


def test_a_missed_target_fails_only_a_check(capsys: pytest.CaptureFixture[str]) -> None:
    """Without ``--check`` a benchmark exits with 0 whatever it found."""
    for options, status in (([], 0), (["--check"], 1), (["--check", "--json"], 1)):
        arguments = command.parser("x").parse_args(options)
        assert command.finish(arguments, {"a": 1}, {"held": True, "not held": False}) == status
    assert "MISSED not held" in capsys.readouterr().out


# --- the wrapper of the DynamoDB client ---


@pytest.mark.parametrize(("asked", "cost"), [({"ConsistentRead": True}, 2), ({}, 1)])
def test_an_eventually_consistent_read_costs_half(asked: dict[str, bool], cost: float) -> None:
    """Also of missing items, and also in a batch."""
    table: dict[str, Any] = {"Table": {"KeySchema": []}}
    keys = [items.entry_key(CHANNEL, seq) for seq in (1, 2)]
    client = MeasuredClient(FakeClient(table, {"Responses": {TABLE: keys[:1]}}), exact=TABLE)
    client.call(BATCH_GET, {"RequestItems": {TABLE: {"Keys": keys, **asked}}})
    assert (client.tally.read, client.tally.missing) == (cost, cost / 2)


def test_calls_are_counted_and_their_writes_priced() -> None:
    """A void is 6 write units; an update that moves positions is a reservation."""
    client = MeasuredClient(FakeClient({}))
    DynamoDBStore(client, TABLE).void(CHANNEL, [entry(1, None)])
    client.call(UPDATE, {"ExpressionAttributeValues": {":count": items.n(1)}})
    tally = client.take()
    assert (tally.write, tally.calls) == (7, {TRANSACT: 1, RESERVATIONS: 1})
    assert client.take().calls == {}
