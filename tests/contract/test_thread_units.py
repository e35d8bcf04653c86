"""What threads cost, by the engines' figures: ministack counts write units as AWS does, DynamoDB Local read units."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

import pytest

from local import demo
from local.demo.conversations import read
from local.dynamodb.engine import DYNAMODB_LOCAL, MINISTACK
from shared.bootstrap import Services, compose
from shared.domain import keys
from shared.domain.clock import now_ms
from shared.domain.messages import Draft
from shared.domain.model import Kind
from shared.observability.meter import Meter, start_meter
from shared.settings import Settings
from shared.storage.log_reader import DirectLogReader
from shared.use_cases.delete_messages import delete_message
from shared.use_cases.fetch_messages import Window, fetch_messages
from shared.use_cases.list_channels import Listing
from shared.use_cases.list_threads import list_threads
from shared.use_cases.post_message import post_message
from shared.use_cases.summarize_threads import BUSY_MS
from tests.contract.samples import open_channel, user
from tests.engines import Engines

SAMPLE: Final = Path(demo.__file__).parent / "sample.jsonl"
FIRST: Final = 15
"""Write units of the first reply, with which the root's author begins to follow."""
LATER: Final = 6
SUMMARIZING: Final = 12
"""A reply that writes the summary: the fourth, the seventh and so on."""
MORE: Final = 1
"""What the first reply of each other participant costs besides."""
DELETION: Final = 14


class Room:
    """A channel on an engine with a message of the first user's."""

    def __init__(self, engines: Engines, kind: str, *more: str) -> None:
        store = engines.store(kind)
        composed = compose(Settings(rate_burst=1000), store)
        self.services: Services = replace(
            composed, reader=DirectLogReader(store), now=partial(next, count(now_ms(), BUSY_MS))
        )
        self.user = user()
        self.channel = open_channel(store, self.user, *more, kind=Kind.PUBLIC)
        self.thread = keys.message_id(self.channel, 1)
        self.post(self.channel, self.user)

    def post(self, log: str, by: str, text: str = "Hello") -> Meter:
        """What a message costs."""
        meter = start_meter()
        post_message(self.services, by, log, [Draft(text)], None)
        return meter

    def page(self, log: str) -> Meter:
        """What the latest page costs."""
        meter = start_meter()
        fetch_messages(self.services, self.user, log, Window(50), frozenset())
        return meter


@pytest.mark.stack
def test_replies_cost_what_was_computed(engines: Engines) -> None:
    """The first 15 write units; later ones 6; each third 12; a new participant 1 more; a deletion 14."""
    eve, bob = user(), user()
    room = Room(engines, MINISTACK, eve, bob)
    costs = [room.post(room.thread, by).write_units for by in (eve, room.user, eve, eve, eve, bob, eve)]
    assert costs == [FIRST, LATER, LATER, SUMMARIZING, LATER, LATER + MORE, SUMMARIZING]
    room.post(room.thread, eve)
    assert room.page(room.thread).write_units == 6
    assert room.page(room.thread).write_units == 0
    meter = start_meter()
    delete_message(room.services, eve, room.channel, keys.message_id(room.thread, 1))
    assert meter.write_units == DELETION


def test_replies_cost_nine_units_on_average() -> None:
    """Over threads as long as real conversations: the first message is the root, the others are its replies."""
    costs: list[int] = []
    for conversation in read(SAMPLE).all:
        root, *replies = (turn.speaker for turn in conversation.turns)
        followers = {root}
        for number, sender in enumerate(replies, 1):
            cost = FIRST if number == 1 else SUMMARIZING if number % 3 == 1 else LATER
            costs.append(cost + (0 if number == 1 or sender in followers else MORE))
            followers.add(sender)
    assert sum(costs) / len(costs) <= 9


@pytest.mark.stack
@pytest.mark.dynamodb_local
def test_a_page_with_threads_costs_what_one_without_does(engines: Engines) -> None:
    """Fifty messages of which ten have threads: the summaries are in the messages, so nothing else is read."""
    plain, threaded = Room(engines, DYNAMODB_LOCAL), Room(engines, DYNAMODB_LOCAL)
    for room in (plain, threaded):
        for _ in range(49):
            room.post(room.channel, room.user)
    for seq in range(1, 11):
        threaded.post(keys.message_id(threaded.channel, seq), threaded.user)
    found = [room.page(room.channel) for room in (plain, threaded)]
    assert found[0].calls == 2
    # The page's changes are read too, as after any ten changes.
    assert (found[1].calls, found[1].read_units - found[0].read_units <= 1) == (2, True)


@pytest.mark.stack
@pytest.mark.dynamodb_local
def test_a_list_of_threads_costs_what_was_computed(engines: Engines) -> None:
    """A unit for the follows, two for the channel, and one for each thread; nothing is looked up that was read."""
    room = Room(engines, DYNAMODB_LOCAL)
    for seq in range(1, 21):
        room.post(room.channel, room.user)
        room.post(keys.message_id(room.channel, seq), room.user)
    meter = start_meter()
    assert len(list_threads(room.services, room.user, Listing(50))["threads"]) == 20
    assert (meter.read_units, meter.calls) == (1 + 2 + 20, 4)
