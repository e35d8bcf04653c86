"""Caches of messages that change: a block is caught up, or read again, and never shows a message as it was before."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.bootstrap import compose
from shared.cache.blocks import Block, ChangeRun, block_key, changes_key
from shared.cache.pages import MAX_LAID_OVER, CachedLogReader
from shared.cache.tier import MemoryTier
from shared.domain.changes import Change, ChangeKind, deleted, edited, lay_over, rev_of
from shared.domain.errors import StoreUnavailableError
from shared.domain.mentions import NOBODY
from shared.observability.meter import CacheMetrics
from shared.settings import Settings
from shared.storage.log_reader import DirectLogReader
from shared.storage.memory import MemoryStore
from tests.api import Api
from tests.blocks import CHANNEL, CREATED, body
from tests.conftest import FakeClock
from tests.fakes import DictTier, Shelf
from tests.functions.changing import Room, open_room
from tests.functions.chat import Chat, messages
from tests.lengths import examples
from tests.security.containers import Container, Deployment

if TYPE_CHECKING:
    from collections.abc import Sequence

FIRST, LAST = 51, 60
ACTS = ("edit", "delete", "react", "unreact", "pin", "post")


def change(rev: int, seq: int, text: str) -> Change:
    """An edit of a message of ``tests.blocks``."""
    after = edited(body(CHANNEL, seq), rev, "ada", CREATED, {"text": text}, NOBODY)
    return Change(rev, ChangeKind.EDITED, seq, "ada", CREATED, after)


@st.composite
def logs(draw: st.DrawFn) -> list[Change]:
    """A dense run of changes of some positions; a few of them pins, which have no message."""
    seqs = draw(st.lists(st.integers(FIRST - 3, LAST + 3), max_size=30))
    pins = draw(st.sets(st.integers(1, 30)))
    made = [change(rev, seq, f"text {rev}") for rev, seq in enumerate(seqs, 1)]
    return [replace(each, kind=ChangeKind.PINNED, body=None) if each.rev in pins else each for each in made]


def run(first: int = FIRST, last: int = LAST) -> list[bytes | None]:
    """Messages that never changed, with a void among them."""
    return [None if seq == FIRST + 2 else body(CHANNEL, seq) for seq in range(first, last + 1)]


# --- laying changes over messages ---


@given(logs())
def test_laying_over_makes_the_latest_change_of_each(log: list[Change]) -> None:
    """A void stays a void, what is outside is left alone, and pins change nothing."""
    made = lay_over(FIRST, run(), log)
    for seq, found in enumerate(made, FIRST):
        latest = [each.body for each in log if each.seq == seq and each.body is not None]
        before = run()[seq - FIRST]
        assert found == (latest[-1] if latest and before is not None else before)


@given(logs(), st.data())
def test_laying_over_again_changes_nothing(log: list[Change], data: st.DataObject) -> None:
    """Whatever part of the changes was laid over before, once or twice: the result is the same."""
    once = lay_over(FIRST, run(), log)
    assert lay_over(FIRST, once, log) == once
    cut = data.draw(st.integers(0, len(log)))
    part = lay_over(FIRST, run(), log[:cut])
    assert lay_over(FIRST, part, log) == lay_over(FIRST, part, log[cut:]) == once
    assert lay_over(FIRST, once, log[:cut]) == once, "an older change is laid over a newer one"


@given(logs(), st.data())
def test_some_messages_may_be_ahead(log: list[Change], data: st.DataObject) -> None:
    """A reader may see some messages after later changes than others: each has its own number."""
    ahead = [
        lay_over(FIRST, run(), log[: data.draw(st.integers(0, len(log)))])[at]
        for at in range(LAST - FIRST + 1)
    ]
    assert lay_over(FIRST, ahead, log) == lay_over(FIRST, run(), log)


@pytest.mark.parametrize("text", ['","rev":7}', '{"rev":9}', ',"rev":3', "\\"])
def test_a_text_is_not_taken_for_a_number(text: str) -> None:
    """Only the end of a message's JSON says what its last change was."""
    plain = body(CHANNEL, 1, text)
    assert rev_of(plain) == 0
    assert rev_of(edited(plain, 12, "ada", CREATED, {"text": text}, NOBODY)) == 12
    assert rev_of(deleted(plain, 999_999_999_999, "ada", CREATED)) == 999_999_999_999


# --- blocks ---


@given(logs(), st.data())
def test_joined_blocks_are_as_far_as_the_older_one(log: list[Change], data: st.DataObject) -> None:
    """Of runs with different numbers the union loses no change and, caught up, is as if read at once."""
    revs = [data.draw(st.integers(0, len(log))) for _ in range(2)]
    ends = [sorted(data.draw(st.lists(st.integers(FIRST, LAST), min_size=2, max_size=2))) for _ in range(2)]
    parts = [
        Block.of(low, lay_over(low, run()[low - FIRST : high - FIRST + 1], log[:rev]), rev)
        for rev, (low, high) in zip(revs, ends, strict=True)
    ]
    joined = parts[0].joined(parts[1])
    assert joined.rev in revs
    assert all(part.rev >= joined.rev for part in parts) or joined in parts
    caught_up = joined.caught_up(log[joined.rev :], len(log))
    whole = lay_over(FIRST, run(), log)
    assert list(caught_up.bodies) == whole[joined.first - FIRST : joined.last - FIRST + 1]
    assert caught_up.rev == len(log)


def test_a_run_of_changes_knows_what_it_has() -> None:
    """All after a number, or None if some of them came before the run."""
    changes = ChangeRun.of([change(rev, 1, "x") for rev in (5, 6, 7)])
    assert [each.rev for each in changes.since(4) or ()] == [5, 6, 7]
    assert [each.rev for each in changes.since(6) or ()] == [7]
    assert changes.since(7) == ()
    assert changes.since(3) is None
    assert changes.since(8) is None


# --- containers ---


@pytest.fixture
def deployment(clock: FakeClock) -> Deployment:
    """What containers share."""
    return Deployment(clock)


def of(container: Container, room: Room) -> Room:
    """The same channel through another container."""
    return Room(container.chat, room.id)


def page(room: Room, **query: int) -> str:
    """A page as bytes of JSON."""
    response = room.chat.api("GET", messages(room.id), query=query)
    assert response.status == 200, response.body
    return response.body


def test_a_block_from_redis_that_is_older_than_a_deletion_never_shows_the_text(
    deployment: Deployment, clock: FakeClock
) -> None:
    """The tombstone is laid over it before it is served, in a container that never saw the channel."""
    writer = deployment.start()
    room = open_room(writer.chat, "grace")
    for number in range(60):
        room.post(f"secret {number}")
    page(room, limit=100)
    writer.settle()
    clock.ms += 60_000
    assert any("p1" in key for key in deployment.redis)
    room.delete(7)
    room.edit(55, "fine")
    heir = deployment.start()
    found = page(of(heir, room), limit=100)
    assert heir.upstash.commands, "Redis was asked"
    assert '"secret 6"' not in found
    assert '"secret 54"' not in found
    assert found == page(of(deployment.start(is_loaded=False), room), limit=100)
    assert of(heir, room).message(7)["text"] == ""


def counted(deployment: Deployment, name: str) -> int:
    """Calls of a method of the storage."""
    return sum(call[0] == name for call in deployment.store.calls)


def test_a_block_that_lacks_a_few_changes_is_caught_up(deployment: Deployment) -> None:
    """By reading these changes alone; a second page of the same channel needs none of them again."""
    writer, reader = deployment.start(), deployment.start()
    room = open_room(writer.chat)
    for number in range(60):
        room.post(str(number))
    mine = of(reader, room)
    page(mine, limit=100)
    for seq in (3, 20, 57):
        room.edit(seq, "edited")
    deployment.store.calls.clear()
    page(mine, limit=10, before=61)
    assert (counted(deployment, "entries"), counted(deployment, "changes")) == (0, 1)
    found = page(mine, limit=100)
    assert (counted(deployment, "entries"), counted(deployment, "changes")) == (0, 1)
    assert found.count('"edited"') == 3
    assert page(mine, limit=100) == found
    assert counted(deployment, "changes") == 1


def test_a_block_that_lacks_too_many_changes_is_read_again(deployment: Deployment, clock: FakeClock) -> None:
    """More than 300: one read of the messages instead of many changes; what it shows is the same."""
    writer, reader = deployment.start(), deployment.start()
    room = open_room(writer.chat)
    for number in range(4):
        room.post(str(number))
    mine = of(reader, room)
    page(mine)
    for number in range(MAX_LAID_OVER // 2 + 1):
        clock.ms += 5_000  # Within the rate of changes.
        room.react(number % 4 + 1, ":x:")
        room.unreact(number % 4 + 1, ":x:")
    room.edit(2, "edited")
    deployment.store.calls.clear()
    found = page(mine)
    assert counted(deployment, "entries") == 1
    assert found == page(of(deployment.start(), room))
    assert '"edited"' in found


@pytest.mark.parametrize("behind", [1, MAX_LAID_OVER, MAX_LAID_OVER + 1, 2 * MAX_LAID_OVER])
def test_however_far_behind_the_page_is_right(deployment: Deployment, clock: FakeClock, behind: int) -> None:
    """A block that is any number of changes behind, up to the limit, gives the right page."""
    writer, reader = deployment.start(), deployment.start()
    room = open_room(writer.chat)
    room.post("0")
    room.post("1")
    mine = of(reader, room)
    page(mine)
    for number in range(behind):
        clock.ms += 5_000  # Within the rate of changes.
        (room.react if number % 2 == 0 else room.unreact)(1, ":x:")
    assert page(mine) == page(of(deployment.start(), room))
    found = mine.get("/changes", after=behind - 1)
    assert [each["rev"] for each in found["changes"]] == [behind]


def test_the_latest_changes_come_from_memory(deployment: Deployment) -> None:
    """A container that caught a page up answers requests for these changes without reading them again."""
    container = deployment.start()
    room = open_room(container.chat)
    for number in range(3):
        room.post(str(number))
    for number in range(5):
        room.react(number % 3 + 1, f":e{number}:")
    first = room.get("/changes", after=2)
    deployment.store.calls.clear()
    assert room.get("/changes", after=2) == first
    assert counted(deployment, "changes") == 0
    room.react(1, ":more:")
    deployment.store.calls.clear()
    assert [each["rev"] for each in room.get("/changes", after=4)["changes"]] == [5, 6]
    assert [call[2:] for call in deployment.store.calls if call[0] == "changes"] == [(6, 6)]


def test_a_stale_page_has_the_changes_that_were_confirmed(clock: FakeClock) -> None:
    """During an outage: what was changed before the last confirmed read shows, and its number is stated."""
    deployment = Deployment(clock)
    container = deployment.start()
    room = open_room(container.chat)
    for number in range(3):
        room.post(f"secret {number}")
    page(room)
    room.delete(2)
    room.edit(3, "edited")
    confirmed = room.chat.api("GET", messages(room.id))
    deployment.store.fail(StoreUnavailableError(retry_after=1))
    stale = room.chat.api("GET", messages(room.id))
    assert stale.headers["x-cache"] == "stale"
    assert (stale.body, stale.headers["etag"]) == (confirmed.body, confirmed.headers["etag"])
    assert "secret 1" not in stale.body


def test_a_container_that_did_not_hear_of_a_change_is_not_stale_after_it(clock: FakeClock) -> None:
    """It has read the head again and nothing else when the outage begins: it has no page, rather than an old one."""
    deployment = Deployment(clock)
    container, writer = deployment.start(), deployment.start()
    room = open_room(writer.chat)
    room.post("secret")
    mine = of(container, room)
    page(mine)
    room.delete(1)
    tag = f'W/"{room.chat.api("GET", messages(room.id)).headers["etag"][3:-1]}"'
    answer = mine.chat.api("GET", messages(room.id), headers={"if-none-match": tag})
    assert answer.status == 304
    deployment.store.fail(StoreUnavailableError(retry_after=1))
    late = mine.chat.api("GET", messages(room.id))
    assert late.status == 503
    assert "secret" not in late.body


STEPS = st.lists(
    st.tuples(
        st.sampled_from([*ACTS, "read", "read", "settle", "start"]),
        st.integers(0, 10**6),
        st.integers(1, 100),
    ),
    max_size=60,
)


def act(room: Room, what: str, number: int) -> None:
    """Something that changes the channel."""
    seq = number % max(1, room.chat.seen(room.id)["last_seq"]) + 1
    if what == "post":
        room.post(f"text {number}")
    elif what == "edit":
        room.edit(seq, f"edited {number}")
    elif what == "delete":
        room.delete(seq)
    elif what == "react":
        room.react(seq, f":e{number % 3}:", ("ada", "grace")[number % 2])
    elif what == "unreact":
        room.unreact(seq, f":e{number % 3}:", ("ada", "grace")[number % 2])
    elif what == "pin":
        room.pin(seq)


@settings(max_examples=examples(12))
@given(STEPS)
def test_pages_are_a_fresh_readers_after_whatever_happened(steps: Sequence[tuple[str, int, int]]) -> None:
    """Byte for byte, in whichever container, with Redis between them, whatever is cached where and how old."""
    clock = FakeClock()
    deployment = Deployment(clock)
    containers = [deployment.start(), deployment.start()]
    room = open_room(containers[0].chat, "grace")
    for number in range(55):
        room.post(str(number))
    built = compose(Settings(), deployment.store.store, clock.now, clock.sleep)
    uncached = DirectLogReader(deployment.store.store, clock.sleep, clock.now)
    direct = Chat(Api(replace(built, reader=uncached)), clock)
    started = list(containers)
    for what, number, length in steps:
        place = number % len(containers)
        here = of(containers[place], room)
        if what == "read":
            after = number % (room.chat.seen(room.id)["last_seq"] + 1)
            truth = page(Room(direct, room.id), after=after, limit=length)
            assert page(here, after=after, limit=length) == truth
        elif what == "settle":
            clock.ms += 20_000
            containers[place].settle()
        elif what == "start":
            containers[place] = deployment.start()
            started.append(containers[place])
        else:
            act(here, what, number)
    for each in started:
        each.settle()  # No thread of theirs runs on into the next example.


@settings(max_examples=examples(12))
@given(STEPS, st.sampled_from([2_000, 30_000, 10**7]), st.sampled_from([2_000, 30_000, 10**7]))
def test_small_tiers_lose_no_change(
    steps: Sequence[tuple[str, int, int]], memory_bytes: int, shared_bytes: int
) -> None:
    """Blocks and runs of changes that are evicted at any moment, in two containers over one shared tier."""
    clock, store, shelf = FakeClock(), MemoryStore(), Shelf()
    built = compose(Settings(), store, clock.now, clock.sleep)
    direct = DirectLogReader(store, clock.sleep, clock.now)
    rooms = []
    for _ in range(2):
        memory = MemoryTier(memory_bytes, 86_400, clock.now)
        shared = DictTier(shelf, shared_bytes, 86_400, clock.now)
        reader = CachedLogReader(direct, memory, shared, CacheMetrics())
        rooms.append(Chat(Api(replace(built, memory=memory, reader=reader)), clock))
    room = open_room(rooms[0], "grace")
    for number in range(52):
        room.post(str(number))
    for what, number, length in steps:
        here = Room(rooms[number % 2], room.id)
        if what in ACTS:
            act(here, what, number)
            continue
        head = store.head(room.id)
        assert head is not None
        first = number % head.seq + 1
        last = min(head.seq, first + length - 1)
        found = here.chat.api.services.reader.read(head, first, last)
        assert found.bodies == direct.read(head, first, last).bodies


def test_keys_of_changes_name_the_redactions() -> None:
    """What was kept before a redaction is not found after it."""
    assert changes_key(CHANNEL, 0) != changes_key(CHANNEL, 1)
    assert changes_key(CHANNEL, 0) != block_key(CHANNEL, 0)
