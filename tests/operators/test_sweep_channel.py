"""Sweeping a channel: expired messages that DynamoDB keeps are deleted, and nothing else is."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any, Final, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.exports import UnknownError
from operators.sweep_channel import Sweeper
from shared.bootstrap import compose
from shared.domain.changes import SHOWN_USERS
from shared.domain.model import MAX_GAPS
from shared.domain.retention import DAY_MS, HOUR_MS
from shared.settings import Settings
from shared.storage.memory import MemoryStore
from tests.api import Api
from tests.conftest import FakeClock
from tests.functions.changing import Room, open_room
from tests.functions.chat import Chat
from tests.functions.threading import Thread
from tests.operators.changing import crowd
from tests.operators.erasing import SECRET, everything_of
from tests.operators.killed import KilledError, KillingStore
from tests.operators.test_erase_user_changes import deepcopy_of

if TYPE_CHECKING:
    from shared.storage.protocol import Store

DAYS: Final = 30


@pytest.fixture
def store() -> MemoryStore:
    """A store that can be copied."""
    return MemoryStore()


def sweeper(store: object, clock: FakeClock) -> Sweeper:
    """The tool over a store."""
    return Sweeper(cast("Store", store), clock.sleep, clock.now)


def clock_of(room: Room) -> FakeClock:
    """The clock of a room's users."""
    return cast("FakeClock", room.chat.clock)


def lively(chat: Chat) -> Room:
    """A channel with threads, from before it had a retention; half of each has expired."""
    room = open_room(chat, "grace", *crowd(SHOWN_USERS + 1))
    for text in ("root", "many reactions", "another root"):
        room.post(f"{SECRET} {text}")
    room.edit(1, f"{SECRET} edited")
    for user in crowd(SHOWN_USERS + 1):
        assert room.react(2, user=user).status == 200
    for _ in range(MAX_GAPS + 2):
        room.delete(room.post(SECRET))
    for root in (1, 3):
        Thread(room, root).reply(f"{SECRET} reply <@grace>")
        Thread(room, root).page()
    chat.clock.ms += 20 * DAY_MS
    room.post("new root")
    room.react(room.post("new"))
    for root in (1, 14):
        Thread(room, root).reply("new reply <@grace>")
        Thread(room, root).page()
    room.set(retention_days=DAYS)
    chat.clock.ms += 11 * DAY_MS
    return room


def reads(room: Room) -> list[Any]:
    """What readers get, in the channel and its threads."""
    seen: list[Any] = [
        room.chat.page(room.id, after=0),
        room.get("/changes"),
        room.chat.seen(room.id, "grace"),
    ]
    seen += [room.chat.listing("grace"), room.chat.api("GET", "/v1/mentions", user="grace").json]
    for root in (1, 3, 14):
        thread = Thread(room, root)
        seen += [thread.page(after=0), thread.api("GET", "/replies/changes").json, thread.listed("grace")]
    return seen


def test_nothing_of_an_expired_message_stays(chat: Chat, store: MemoryStore) -> None:
    """Neither in the channel nor in its threads; readers see no difference, and a second sweep finds nothing."""
    room = lively(chat)
    before = reads(room)
    assert SECRET in everything_of(store)
    swept = sweeper(store, clock_of(room)).sweep(room.id, dry_run=False)
    assert SECRET not in everything_of(store)
    assert all(swept.items.values())
    assert len(swept.items) == 4
    assert swept.logs == 3
    assert set(store.log(room.id)) == {14, 15}
    assert store.gaps(room.id, 0) == frozenset()
    assert reads(room) == before
    again = sweeper(store, clock_of(room)).sweep(room.id, dry_run=False)
    assert str(again) == "0 entries, 0 changes, 0 gaps, 0 reactions in 0 logs"


def test_a_dry_run_counts_and_writes_nothing(chat: Chat, store: MemoryStore) -> None:
    """It finds as much as is deleted then."""
    room = lively(chat)
    before = everything_of(store)
    counted = sweeper(store, clock_of(room)).sweep(room.id, dry_run=True)
    assert everything_of(store) == before
    assert sweeper(store, clock_of(room)).sweep(room.id, dry_run=False) == counted


def test_requests_from_before_end_first(chat: Chat, store: MemoryStore) -> None:
    """Whoever read the head before the boundary was kept would take what is deleted for holes: it waits for them."""
    room = lively(chat)
    calls = KillingStore(store)
    waits: list[tuple[float, bool]] = []
    tool = Sweeper(
        cast("Store", calls), lambda wait: waits.append((wait, "sweep" in calls.calls)), clock_of(room).now
    )
    tool.sweep(room.id, dry_run=False)
    assert waits == [(15, False)]
    assert calls.calls.count("move_boundary") == 3


def test_a_sweep_may_be_stopped_anywhere(chat: Chat, store: MemoryStore) -> None:
    """At each of its calls, before and after its effect: readers see no difference, the next one deletes the rest."""
    room = lively(chat)
    before, clock = reads(room), clock_of(room)
    counting = KillingStore(deepcopy_of(store))
    sweeper(counting, clock).sweep(room.id, dry_run=False)
    assert len(counting.calls) > 10
    for at, done in product(range(1, len(counting.calls) + 1), (False, True)):
        left = deepcopy_of(store)
        with pytest.raises(KilledError):
            sweeper(KillingStore(left, at, done=done), clock).sweep(room.id, dry_run=False)
        again = Room(Chat(Api(compose(Settings(), left, clock.now)), room.chat.clock), room.id)
        assert reads(again) == before
        sweeper(left, clock).sweep(room.id, dry_run=False)
        assert SECRET not in everything_of(left)


def test_an_unknown_channel_is_said(store: MemoryStore) -> None:
    """As by exports."""
    with pytest.raises(UnknownError):
        sweeper(store, FakeClock()).sweep("0" * 16, dry_run=False)


COURSES: Final = st.lists(
    st.tuples(st.sampled_from(["post", "reply", "keep", "delete"]), st.integers(0, 60)),
    min_size=4,
    max_size=25,
)


@settings(max_examples=30, deadline=None)
@given(COURSES)
def test_what_has_not_expired_is_never_swept(course: list[tuple[str, int]]) -> None:
    """Whatever retentions a channel had, and whatever DynamoDB has deleted: readers see no difference."""
    clock, store = FakeClock(), MemoryStore()
    room = open_room(Chat(Api(compose(Settings(), store, clock.now, clock.sleep)), clock))
    thread = Thread(room, room.post())
    thread.reply()
    for what, hours in course:
        clock.ms += hours * HOUR_MS
        match what:
            case "post":
                room.post()
            case "reply":
                thread.reply()
            case "keep":
                retention = {"retention_days": hours % 4 or None}
                room.chat.api("PATCH", f"/v1/channels/{room.id}", body=retention)
            case _:
                store.delete_expired(clock.ms)
    before = thread.page(after=0), room.chat.page(room.id, after=0), room.changes()
    sweeper(store, clock).sweep(room.id, dry_run=False)
    assert (thread.page(after=0), room.chat.page(room.id, after=0), room.changes()) == before
