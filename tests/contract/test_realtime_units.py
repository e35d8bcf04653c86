"""What connections and watches cost: by AWS's rules from the items' sizes, and by the engines' figures."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from local.dynamodb.engine import DYNAMODB_LOCAL, MINISTACK
from operators.units import WRITE_BYTES, query_units, read_units, size, sizes, write_units
from shared.domain import keys
from shared.domain.realtime import MAX_WATCHES, Connection, Watch
from shared.observability.meter import start_meter
from shared.storage import realtime_items
from tests.contract.samples import NOW, SECOND, open_channel, user

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.engines import Engines

CONNECTION = Connection("L0SM9cOFvHcCIhw=", "u" * 36, NOW, SECOND)
LONGEST = keys.derived_channel_id("key", "longest")


def units(call: Callable[[], Any]) -> tuple[float, float]:
    """The read and write units of a call."""
    meter = start_meter()
    call()
    return meter.read_units, meter.write_units


def test_the_largest_connection_is_seven_kilobytes() -> None:
    """With as many threads as it may watch, of channels with the longest ids: 2 read units, 14 to watch one more."""
    logs = [keys.message_id(LONGEST, seq) for seq in range(MAX_WATCHES)]
    item = realtime_items.connection_item(CONNECTION) | {realtime_items.LOGS: realtime_items.ss(logs)}
    assert realtime_items.connection_of(item) == replace(CONNECTION, watches=frozenset(logs))
    assert 6 * WRITE_BYTES < size(item) <= 7 * WRITE_BYTES
    assert (read_units([size(item)]), write_units([size(item)], transaction=True)) == (2, 14)


def test_thirty_watches_are_a_read_unit() -> None:
    """Of users with a UUID; the longest user id stays within a write unit."""
    watch = Watch(LONGEST[:16], CONNECTION.user_id, CONNECTION.connection_id, SECOND, is_live=True)
    item = realtime_items.watch_item(watch) | {realtime_items.TYPED_AT: {"N": str(NOW)}}
    assert query_units(sizes(*[item] * 30)) == 1
    longest = replace(watch, log_id=keys.message_id(LONGEST, 1), user_id="ü" * (keys.MAX_USER_ID_BYTES // 2))
    assert size(realtime_items.watch_item(longest)) < WRITE_BYTES


@pytest.mark.stack
def test_realtime_costs_what_was_computed(engines: Engines) -> None:
    """By ministack's figures for writes: 4 write units for a first watch, 2 for each more, and 2 for the connection."""
    store = engines.store(MINISTACK)
    ada = user()
    channel = open_channel(store, ada)
    logs = [channel, *(keys.message_id(channel, seq) for seq in (1, 2))]
    mine = replace(CONNECTION, connection_id=f"{ada}=", user_id=ada)
    watches = [Watch(each, ada, mine.connection_id, SECOND + 60, is_live=True) for each in logs]
    calls: list[tuple[Callable[[], Any], float]] = [
        (partial(store.add_ticket, ada, ada, SECOND + 60), 1),
        (partial(store.take_ticket, ada, NOW), 1),
        (partial(store.open_connection, mine), 2),
        (partial(store.watch, mine, watches[:1], 9), 2 + 2 + 2),
        (partial(store.watch, mine, watches[1:], 9), 2 + 2 * 2 + 2),
        (partial(store.may_type, watches[0], NOW, 1), 1),
        (partial(store.unwatch, mine, logs[:1]), 2 + 2),
        (partial(store.end_watches, channel, ada), 2 * 2),
        (partial(store.end_watches, channel, ada), 0),
        (partial(store.close_connection, mine), 1 + 1 + 2 * 2),
    ]
    assert [units(call)[1] for call, _ in calls] == [written for _, written in calls]


@pytest.mark.stack
@pytest.mark.dynamodb_local
def test_reading_watches_costs_what_was_computed(engines: Engines) -> None:
    """By DynamoDB Local's figures: a read unit for a few watches or connections; a pong half a unit a key."""
    store = engines.store(DYNAMODB_LOCAL)
    ada = user()
    channel = open_channel(store, ada)
    mine = replace(CONNECTION, connection_id=f"{ada}=", user_id=ada, watches=frozenset({channel}))
    store.open_connection(mine)
    store.watch(mine, [Watch(channel, ada, mine.connection_id, SECOND + 60)], 9)
    calls: list[tuple[Callable[[], Any], float]] = [
        (partial(store.watches, channel, NOW), 1),
        (partial(store.watches, channel, NOW, ada), 1),
        (partial(store.connection, mine.connection_id, 0), 1),
        (partial(store.connections_of, ada, 0), 1),
        (partial(store.watched_numbers, mine, NOW), 0.5 + 0.5),
    ]
    assert [units(call)[0] for call, _ in calls] == [read for _, read in calls]
