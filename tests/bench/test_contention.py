"""The parts of the contention benchmark: what it counts, injects, judges and holds Budgie against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bench.contending.channel import open_channel
from bench.contending.faults import Injector, Rates
from bench.contending.shift import Tally
from bench.contending.tolled import TolledClient, holes
from bench.contending.writers import BudgiePoster, EnginePoster
from shared.aws.protocol import ServiceError
from shared.errors import ContentionError, StoreThrottledError
from shared.services import Services
from shared.store import items
from shared.store.dynamodb import DynamoDBStore
from shared.store.interface import Contended
from tests.bench.crowded import WRITER, services_in_memory, shift_in
from tests.contract.fake_client import FakeClient
from tests.contract.samples import commitment, entry

TABLE = "budgie"


@pytest.fixture
def crowded() -> Services:
    """As ``services_in_memory``."""
    return services_in_memory()


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


def test_the_bare_calls_are_budgies_calls(crowded: Services) -> None:
    """The same operations with the same keys, items, conditions and expressions, and values of the same kinds."""
    channel = open_channel(crowded.store, [WRITER])
    look = crowded.store.look(channel, WRITER)
    assert look.head
    assert look.membership
    head, membership = items.head_item(look.head), items.membership_item(look.membership)
    answers: list[dict[str, Any]] = [
        {"Responses": {TABLE: [head, membership]}},
        {"Attributes": head | {"seq": items.n(1), "messages": items.n(1)}},
        {},
    ]
    theirs, ours = FakeClient(*answers), FakeClient(*answers)
    EnginePoster(TolledClient(theirs, Injector(Rates(), "")), TABLE, shift_in(channel)).post("hello", "key")
    services = replace(crowded, store=DynamoDBStore(ours, TABLE))
    assert BudgiePoster(services, shift_in(channel), Tally()).post("hello", "key") == 1
    assert ours.calls[-1][1].pop("ClientRequestToken")  # theirs is the client's to make
    assert masked([list(each) for each in theirs.calls]) == masked([list(each) for each in ours.calls])
    assert theirs.operations == ["BatchGetItem", "UpdateItem", "TransactWriteItems"]


# --- counts ---


def test_the_client_counts_what_a_post_costs(crowded: Services) -> None:
    """A number, a transaction, 7 write units with a key; a void that a reader writes 6 more: it is counted."""
    channel = open_channel(crowded.store, [WRITER])
    answer = {"Responses": {}, "Attributes": {"seq": items.n(1), "messages": items.n(1)}}
    client = TolledClient(FakeClient(answer), Injector(Rates(), ""))
    EnginePoster(client, TABLE, shift_in(channel)).post("hello", "key")
    assert client.counts == Counter(calls=3, takes=1, commits=1, write_units=7)
    DynamoDBStore(client, TABLE).void(channel, [entry(1, None)])
    assert (client.counts["voids"], client.counts["write_units"]) == (1, 13)


def test_holes_are_positions_that_a_query_skips() -> None:
    """Before an entry, from where it began; the open end of the log is none."""
    call = {"ExpressionAttributeValues": {":first": items.s("E#000000000004")}}
    found = [items.entry_key("c" * 16, seq) for seq in (5, 8)]
    assert holes(call, {"Items": found}) == {4, 6, 7}
    assert holes(call, {"Items": []}) == set()
    assert holes(call | {"Limit": 1}, {"Items": found}) == set()


# --- faults ---


def faulty(rates: Rates) -> tuple[DynamoDBStore, TolledClient, list[float]]:
    """A storage whose calls fail, and how long it slept."""
    slept: list[float] = []
    client = TolledClient(FakeClient({"Responses": {}, "UnprocessedKeys": {}}), Injector(rates, "seed"))
    return DynamoDBStore(client, TABLE, slept.append), client, slept


def test_injected_conflicts_are_what_budgie_takes_for_conflicts() -> None:
    """A cancelled transaction with its reasons is contention, a busy item is waited for; both are billed."""
    store, client, slept = faulty(Rates(conflicts=1))
    assert store.commit(commitment("c" * 16, WRITER, entry(1))) == Contended()
    assert (client.counts["faults"], client.counts["write_units"]) == (1, 4)
    calls: list[tuple[Rates, Callable[[DynamoDBStore], object]]] = [
        (Rates(busy=1), lambda store: store.correct_preview("c" * 16, 1, None, 0)),
        (Rates(conflicts=1), lambda store: store.void("c" * 16, [entry(1, None)])),
    ]
    for rates, call in calls:
        store, client, slept = faulty(rates)
        with pytest.raises(ContentionError):
            call(store)
        assert slept


def test_injected_throttling_is_what_budgie_takes_for_throttling() -> None:
    """As an error, as keys that stay unprocessed, as a transaction's reason; none of it is billed."""
    store, client, _ = faulty(Rates(throttled=1))
    calls: list[Callable[[], object]] = [
        lambda: store.look("c" * 16, WRITER),
        lambda: store.commit(commitment("c" * 16, WRITER, entry(1))),
        lambda: store.void("c" * 16, [entry(1, None)]),
    ]
    for call in calls * 5:
        with pytest.raises(StoreThrottledError):
            call()
    assert client.counts["faults"] == client.counts["calls"] >= 15
    assert client.counts["write_units"] == 0


def test_faults_come_at_their_rate_and_from_the_seed() -> None:
    """The same seed gives the same faults."""

    def fates(seed: str) -> list[bool]:
        injector, fates = Injector(Rates(conflicts=0.1), seed), []
        for _ in range(1_000):
            try:
                injector.instead("TransactWriteItems", {"TransactItems": [{}, {}]})
                fates.append(False)
            except ServiceError:
                fates.append(True)
        return fates

    assert fates("a") == fates("a") != fates("b")
    assert 70 < sum(fates("a")) < 130
