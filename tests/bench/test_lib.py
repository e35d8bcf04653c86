"""What the benchmarks share: the command line, timing, real text, and the wrapper of the DynamoDB client."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from bench.lib import command, conversations, timing
from bench.lib.client import (
    BATCH_GET,
    TAKES,
    TRANSACT,
    UPDATE,
    VOIDS,
    FaultRates,
    Faults,
    MeasuredClient,
    holes,
)
from bench.lib.functions import ROOT, Handlers, routed
from bench.lib.operations import OPERATIONS, Scene, fill_chat
from local.template import load as template
from shared.aws.protocol import ServiceError
from shared.bootstrap import compose
from shared.domain.errors import ContentionError, StoreThrottledError
from shared.settings import Settings
from shared.storage import items
from shared.storage.dynamodb import DynamoDBStore
from shared.storage.memory import MemoryStore
from shared.storage.protocol import Contended
from tests.contract.fake_client import FakeClient
from tests.contract.samples import commitment, entry

TABLE, CHANNEL, USER = "budgie", "c" * 16, "writer-0"


def test_messages_have_the_size_that_was_asked_for() -> None:
    """Turns are joined until each message is large enough, and each is the next in its channel."""
    found = [json.loads(each) for each in conversations.bodies(4, (0, 900), channel_id="0123456789abcdef")]
    assert [each["seq"] for each in found] == [1, 2, 3, 4]
    assert {each["id"].split("-")[0] for each in found} == {"0123456789abcdef"}
    assert [len(each["text"]) > 700 for each in found] == [True, False, True, False]


def test_the_projects_own_sample_will_do() -> None:
    """Without the shared data the benchmarks read the sample that the project ships."""
    assert all(turn.text for each in conversations.conversations(conversations.SOURCES[1]) for turn in each)


def test_every_route_is_among_the_operations() -> None:
    """Whatever the template sends a function is priced and profiled, and granted."""
    store = MemoryStore()
    fill_chat(store, length=50, listed=4)
    scene = Scene(Handlers(compose(Settings(), store)), store)
    keys = set()
    for each in OPERATIONS:
        ask = each.ready(scene)
        keys.add(routed(ask)[1]["routeKey"])
        scene.handlers(ask)
    assert keys == {route.key for route in template.load(ROOT / "template.yaml").routes}


# --- timing and the command line ---


def test_calls_are_timed_in_turns() -> None:
    """Each call is timed as often as the others, who begins changes, and what is made ready is not timed."""
    order: list[str] = []
    calls: dict[str, timing.Timed] = {name: partial(order.append, name) for name in "ab"}
    times = timing.interleaved(calls | {"a": timing.Prepared(lambda: "a", order.append)}, rounds=2)
    assert {name: len(each) for name, each in times.items()} == {"a": 2, "b": 2}
    assert order == ["a", "b", "b", "a", "a", "b"]


@pytest.mark.parametrize(("percent", "value"), [(50, 50), (99, 99), (100, 100), (0, 1)])
def test_a_percentile_is_one_of_the_values(percent: float, value: int) -> None:
    """The smallest that so many per cent do not exceed."""
    assert timing.percentile(range(1, 101), percent) == value


def test_a_missed_target_fails_only_a_check(capsys: pytest.CaptureFixture[str]) -> None:
    """Without ``--check`` a benchmark ends well whatever it found."""
    for options, status in (([], 0), (["--check"], 1), (["--check", "--json"], 1)):
        arguments = command.parser("x").parse_args(options)
        assert command.finish(arguments, {"a": 1}, {"held": True, "not held": False}) == status
    assert "MISSED not held" in capsys.readouterr().out


# --- the wrapper of the DynamoDB client ---


def test_holes_are_positions_that_a_query_skips() -> None:
    """Before an entry, from where it began; the open end of the log is none."""
    call = {"ExpressionAttributeValues": {":first": items.s("E#000000000004")}}
    found = [items.entry_key(CHANNEL, seq) for seq in (5, 8)]
    assert holes(call, {"Items": found}) == {4, 6, 7}
    assert holes(call, {"Items": []}) == set()
    assert holes(call | {"Limit": 1}, {"Items": found}) == set()


def faulty(rates: FaultRates) -> tuple[DynamoDBStore, MeasuredClient, list[float]]:
    """A storage whose calls fail, and how long it slept."""
    slept: list[float] = []
    client = MeasuredClient(FakeClient({"Responses": {}, "UnprocessedKeys": {}}), rates=rates, seed="seed")
    return DynamoDBStore(client, TABLE, slept.append), client, slept


def test_injected_conflicts_are_what_budgie_takes_for_conflicts() -> None:
    """A cancelled transaction with its reasons is contention, a busy item is waited for; both are billed."""
    store, client, slept = faulty(FaultRates(conflicts=1))
    assert store.commit(commitment(CHANNEL, USER, entry(1))) == Contended()
    assert (client.tally.faults, client.tally.write) == (1, 4)
    calls: list[tuple[FaultRates, Callable[[DynamoDBStore], object]]] = [
        (FaultRates(busy=1), lambda store: store.correct_preview(CHANNEL, 1, None, 0)),
        (FaultRates(conflicts=1), lambda store: store.void(CHANNEL, [entry(1, None)])),
    ]
    for rates, call in calls:
        store, client, slept = faulty(rates)
        with pytest.raises(ContentionError):
            call(store)
        assert slept


def test_injected_throttling_is_what_budgie_takes_for_throttling() -> None:
    """As an error, as keys that stay unprocessed, as a transaction's reason; none of it is billed."""
    store, client, _ = faulty(FaultRates(throttled=1))
    calls: list[Callable[[], object]] = [
        lambda: store.read_channel_state(CHANNEL, USER),
        lambda: store.commit(commitment(CHANNEL, USER, entry(1))),
        lambda: store.void(CHANNEL, [entry(1, None)]),
    ]
    for call in calls * 5:
        with pytest.raises(StoreThrottledError):
            call()
    assert client.tally.faults == client.tally.calls.total() >= 15
    assert client.tally.write == 0


def test_faults_come_at_their_rate_and_from_the_seed() -> None:
    """The same seed gives the same faults."""

    def fates(seed: str) -> list[bool]:
        faults, fates = Faults(FaultRates(conflicts=0.1), seed), []
        for _ in range(1_000):
            try:
                faults.instead(TRANSACT, {"TransactItems": [{}, {}]})
                fates.append(False)
            except ServiceError:
                fates.append(True)
        return fates

    assert fates("a") == fates("a") != fates("b")
    assert 70 < sum(fates("a")) < 130


@pytest.mark.parametrize(("asked", "cost"), [({"ConsistentRead": True}, 2), ({}, 1)])
def test_an_eventually_consistent_read_is_weighed_by_half(asked: dict[str, bool], cost: float) -> None:
    """Also what it does not find, and also in a batch."""
    table: dict[str, Any] = {"Table": {"KeySchema": []}}
    keys = [items.entry_key(CHANNEL, seq) for seq in (1, 2)]
    client = MeasuredClient(FakeClient(table, {"Responses": {TABLE: keys[:1]}}), exact=TABLE)
    client.call(BATCH_GET, {"RequestItems": {TABLE: {"Keys": keys, **asked}}})
    assert (client.tally.read, client.tally.missing) == (cost, cost / 2)


def test_calls_are_counted_and_their_writes_weighed() -> None:
    """A void is 6 write units, as it is counted; an update that moves positions is a reservation."""
    client = MeasuredClient(FakeClient({}))
    DynamoDBStore(client, TABLE).void(CHANNEL, [entry(1, None)])
    client.call(UPDATE, {"ExpressionAttributeValues": {":count": items.n(1)}})
    tally = client.take()
    assert (tally.write, tally.calls) == (7, {VOIDS: 1, TAKES: 1})
    assert client.take().calls == {}
