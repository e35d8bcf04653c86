"""Reading the log: holes, how they are waited for and settled, and the preview after it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import pytest

from shared.log_reader import DEAD_MS, OLD_MS, PATIENCE_SECONDS, DirectLogReader, Span, mend_preview
from shared.messages import Draft, encode, preview, preview_of
from shared.model import Entry, Preview
from tests.conftest import FakeClock
from tests.contract.samples import head_of, open_channel
from tests.shared.scripted_store import ScriptedStore, after, passes


@dataclass
class World:
    """One channel, whose positions a test gives out and commits as it likes."""

    store: ScriptedStore
    clock: FakeClock
    channel: str

    def take(self, count: int = 1) -> int:
        """Numbers are given out, and their message shown; the last of them."""
        taken = self.store.take(self.channel, count, preview(0, "ada", "never came", self.clock.now()))
        return getattr(taken, "seq", 0)

    def entry(self, seq: int) -> Entry:
        """A message as its writer would commit it now."""
        now = self.clock.now()
        return Entry(seq, seq, now, encode(self.channel, seq, "ada", now, Draft(f"message {seq}")))

    def commit(self, *seqs: int) -> None:
        """Messages come to stand."""
        for seq in seqs:
            self.store._log(self.channel)[seq] = self.entry(seq)

    def read(self, first: int = 1, last: int | None = None) -> Span:
        """As a request does it: the head, then the range."""
        head = head_of(self.store, self.channel)
        self.store.calls.clear()
        reader = DirectLogReader(self.store, self.clock.sleep, self.clock.now)
        return reader.read(head, first, head.seq if last is None else last)

    def standing(self) -> dict[int, bool]:
        """What stands: True for a message, False for a void."""
        return {each.seq: each.body is not None for each in self.store.entries(self.channel, 0, 999)}

    def shown(self) -> Preview | None:
        """The head's preview."""
        return head_of(self.store, self.channel).last


@pytest.fixture
def world(store: ScriptedStore, clock: FakeClock) -> World:
    """A fresh channel."""
    return World(store, clock, open_channel(store, "ada", "eve"))


def kinds(span: Span) -> list[bool]:
    """Of each position covered, whether it is a message."""
    return [body is not None for body in span.bodies]


def test_a_log_without_holes_is_one_query(world: World) -> None:
    """No wait, no write."""
    world.take(3)
    world.commit(1, 2, 3)
    span = world.read()
    assert (span.first, span.last, kinds(span)) == (1, 3, [True] * 3)
    assert world.store.calls == ["entries"]
    assert world.clock.slept == []


def test_an_empty_range_asks_nothing(world: World) -> None:
    """As a client at the end of the log polls it."""
    world.take()
    span = world.read(2, 1)
    assert (span.first, span.last, span.bodies) == (2, 1, [])
    assert world.store.calls == []


def test_holes_at_the_end_do_no_harm(world: World) -> None:
    """What is before them is served at once; their writers go on undisturbed."""
    world.take(4)
    world.commit(1, 2)
    span = world.read()
    assert (span.last, kinds(span)) == (2, [True, True])
    assert (world.clock.slept, world.standing()) == ([], {1: True, 2: True})


def test_a_log_of_holes_alone_is_empty(world: World) -> None:
    """The first post is on its way."""
    world.take(2)
    span = world.read()
    assert (span.last, span.bodies, world.clock.slept) == (0, [], [])


def test_a_hole_before_a_message_is_waited_for_then_voided(world: World) -> None:
    """5, 10, 20, 40 ms, then a void stands there and all is served."""
    world.take(3)
    world.commit(1, 3)
    span = world.read()
    assert (span.last, kinds(span)) == (3, [True, False, True])
    assert world.clock.slept == [0.005, 0.010, 0.020, 0.040] == list(PATIENCE_SECONDS)
    assert world.standing() == {1: True, 2: False, 3: True}
    [void] = world.store.entries(world.channel, 2, 2)
    assert (void.messages, void.body) == (2, None)


def test_a_writer_who_comes_in_time_is_served(world: World) -> None:
    """The wait ends with the message; no void is written."""
    world.take(3)
    world.commit(1, 3)
    world.store.plan("entries", passes, passes, after(partial(world.commit, 2)))
    assert kinds(world.read()) == [True] * 3
    assert world.clock.slept == list(PATIENCE_SECONDS[:2])
    assert "void" not in world.store.calls


def test_a_writer_who_comes_at_the_last_moment_is_served(world: World) -> None:
    """Between the last look and the void: what stands there is what is served."""
    world.take(3)
    world.commit(1, 3)
    world.store.plan("void", after(partial(world.commit, 2)))
    assert kinds(world.read()) == [True] * 3
    assert world.standing()[2]


def test_messages_that_come_while_it_waits_are_served_too(world: World) -> None:
    """Also at the end of the range, where they were not waited for."""
    world.take(4)
    world.commit(3)
    world.store.plan("entries", passes, after(partial(world.commit, 1, 2, 4)))
    assert kinds(world.read()) == [True] * 4


@pytest.mark.parametrize(("age", "waits"), [(OLD_MS - 75, 4), (OLD_MS, 1), (OLD_MS + 1, 0)])
def test_a_hole_before_an_old_message_is_voided_at_once(world: World, age: int, waits: int) -> None:
    """Its writer had its time: more than a second, which may also pass while it is waited for."""
    world.take(2)
    world.commit(2)
    world.clock.ms += age
    assert kinds(world.read()) == [False, True]
    assert len(world.clock.slept) == waits


def test_every_hole_before_a_message_is_voided(world: World) -> None:
    """Each counts its position, so that unread counts stay right; those after the last message are left."""
    world.take(7)
    world.commit(3, 5)
    assert kinds(world.read()) == [False, False, True, False, True]
    voids = [each for each in world.store.entries(world.channel, 1, 7) if each.body is None]
    assert [(each.seq, each.messages) for each in voids] == [(1, 1), (2, 2), (4, 4)]


def test_a_hole_is_settled_for_a_message_beyond_the_range(world: World) -> None:
    """A page that ends with a hole would else hold up who turns pages."""
    world.take(9)
    world.commit(1, 2, 8)
    span = world.read(1, 4)
    assert (span.last, kinds(span)) == (4, [True, True, False, False])
    assert world.standing() == {1: True, 2: True, 3: False, 4: False, 8: True}


def test_a_range_of_holes_after_which_nothing_stands_is_left(world: World) -> None:
    """All of them are at the end of the log."""
    world.take(9)
    world.commit(1, 2)
    assert world.read(3, 5).bodies == []
    assert world.standing() == {1: True, 2: True}


@pytest.mark.parametrize(("age", "voided"), [(DEAD_MS, False), (DEAD_MS + 1, True)])
def test_a_hole_at_the_end_dies_after_a_while(world: World, age: int, voided: bool) -> None:  # noqa: FBT001 - a case
    """After 15 s its writer's function has ended: it is voided at once, or its channel would look busy for ever."""
    world.take(2)
    world.commit(1)
    world.clock.ms += age
    assert kinds(world.read()) == ([True, False] if voided else [True])
    assert world.standing() == ({1: True, 2: False} if voided else {1: True})
    assert world.clock.slept == []


def test_a_log_of_dead_holes_is_settled(world: World) -> None:
    """Also where no message stands at all; then none is shown."""
    world.take(3)
    world.clock.ms += DEAD_MS + 1
    assert kinds(world.read()) == [False] * 3
    assert [each.messages for each in world.store.entries(world.channel, 1, 3)] == [1, 2, 3]
    assert world.shown() is None


def test_a_void_that_was_shown_gives_way_to_the_latest_message(world: World) -> None:
    """The head shows the message before it, as when that was posted."""
    world.take(2)
    world.commit(1, 2)
    world.take(2)
    world.clock.ms += DEAD_MS + 1
    world.read()
    assert world.shown() == preview_of(world.store.entries(world.channel, 2, 2)[0])


def test_a_preview_that_nobody_put_right_is_put_right_by_a_reader(world: World) -> None:
    """Whoever voided it failed before that; the next reader who meets the void does it, once."""
    world.take(2)
    world.commit(1)
    world.store.void(world.channel, Entry(2, 2, 0, None))
    assert kinds(world.read()) == [True, False]
    assert world.shown() == preview_of(world.store.entries(world.channel, 1, 1)[0])
    world.read()
    assert world.store.calls == ["entries"]


def test_a_message_committed_after_a_later_void_is_shown(world: World) -> None:
    """The void behind it had put the preview back before it came; who reads it puts the preview right."""
    world.take(2)
    world.commit(1)
    world.take()
    world.store.void(world.channel, Entry(3, 3, 0, None))
    mend_preview(world.store, world.channel, 3)
    world.commit(2)
    assert kinds(world.read()) == [True, True, False]
    assert world.shown() == preview_of(world.store.entries(world.channel, 2, 2)[0])


def test_a_first_message_committed_after_a_later_void_is_shown(world: World) -> None:
    """As above, where the head was left without a preview."""
    world.take(2)
    world.store.void(world.channel, Entry(2, 2, 0, None))
    mend_preview(world.store, world.channel, 2)
    assert world.shown() is None
    world.commit(1)
    world.read()
    assert world.shown() == preview_of(world.store.entries(world.channel, 1, 1)[0])


def test_a_void_that_was_not_shown_leaves_the_preview(world: World) -> None:
    """A later message is shown already."""
    world.take(2)
    shown = world.shown()
    world.commit(2)
    world.read()
    assert world.standing() == {1: False, 2: True}
    assert world.shown() == shown
    assert "correct_preview" not in world.store.calls


def test_a_preview_that_moved_on_meanwhile_stays(world: World) -> None:
    """A post between the void and the correction has its own."""
    world.take()
    world.clock.ms += DEAD_MS + 1
    world.store.plan("correct_preview", after(world.take))
    world.read()
    last = world.shown()
    assert last is not None
    assert last.seq == 2


def test_the_latest_message_is_looked_for_behind_voids(world: World) -> None:
    """Page by page, but not for ever."""
    for voids, found in ((60, True), (260, False)):
        channel = open_channel(world.store, "ada")
        seen = World(world.store, world.clock, channel)
        seen.take()
        seen.commit(1)
        seen.take(voids)
        for seq in range(2, voids + 1):
            world.store.void(channel, Entry(seq, seq, 0, None))
        world.clock.ms += DEAD_MS + 1
        seen.read(voids + 1)
        shown = seen.shown()
        assert (shown is not None and shown.seq == 1) == found
