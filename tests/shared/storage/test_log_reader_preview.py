"""Reading the log: the preview of a message that never came gives way."""

from __future__ import annotations

from functools import partial

from shared.domain.messages import preview_of
from shared.domain.model import Entry
from shared.storage.log_reader import DEAD_MS, PREVIEW_REPAIRS, DirectLogReader, repair_preview
from shared.storage.memory import MemoryStore
from tests.contract.samples import head_of, open_channel
from tests.shared.storage.holes import World, kinds
from tests.shared.use_cases.scripted_store import after, responses


def test_a_void_that_was_shown_gives_way_to_the_latest_message(world: World) -> None:
    """The head shows the message before it, as when that was posted."""
    world.reserve(2)
    world.commit(1, 2)
    world.reserve(2)
    world.clock.ms += DEAD_MS + 1
    world.read()
    assert world.shown() == preview_of(world.store.entries(world.channel, 2, 2)[0])


def test_a_preview_that_nobody_put_right_is_put_right_by_a_reader(world: World) -> None:
    """The voiding reader failed before that; the next reader that meets the void repairs the preview, once."""
    world.reserve(2)
    world.commit(1)
    world.store.void(world.channel, [Entry(2, 2, 0, None)])
    assert kinds(world.read()) == [True, False]
    assert world.shown() == preview_of(world.store.entries(world.channel, 1, 1)[0])
    world.read()
    assert world.store.calls == ["entries"]


def test_a_message_committed_after_a_later_void_is_shown(world: World) -> None:
    """The void after it had put the preview back before it came; reading it repairs the preview."""
    world.reserve(2)
    world.commit(1)
    world.reserve()
    world.store.void(world.channel, [Entry(3, 3, 0, None)])
    repair_preview(world.store, world.channel, 3)
    world.commit(2)
    assert kinds(world.read()) == [True, True, False]
    assert world.shown() == preview_of(world.store.entries(world.channel, 2, 2)[0])


def test_a_first_message_committed_after_a_later_void_is_shown(world: World) -> None:
    """As above, where the head was left without a preview."""
    world.reserve(2)
    world.store.void(world.channel, [Entry(2, 2, 0, None)])
    repair_preview(world.store, world.channel, 2)
    assert world.shown() is None
    world.commit(1)
    world.read()
    assert world.shown() == preview_of(world.store.entries(world.channel, 1, 1)[0])


def test_a_reader_with_an_earlier_head_repairs_the_preview(world: World) -> None:
    """It caches the message that came in between, so that later reads see it."""
    world.reserve(3)
    world.commit(1)
    head = head_of(world.store, world.channel)
    world.store.void(world.channel, [Entry(3, 3, 0, None)])
    repair_preview(world.store, world.channel, 3)
    world.commit(2)
    reader = DirectLogReader(world.store, world.clock.sleep, world.clock.now)
    assert kinds(reader.read(head, 1, 3)) == [True, True, False]
    assert world.shown() == preview_of(world.store.entries(world.channel, 2, 2)[0])


def test_of_two_who_put_a_preview_right_the_better_informed_wins(world: World) -> None:
    """Another preview came first: it is read again."""
    world.reserve(3)
    world.commit(1)
    [first] = world.store.entries(world.channel, 1, 1)
    world.store.void(world.channel, [Entry(3, 3, 0, None)])
    world.commit(2)
    put_back = partial(MemoryStore.correct_preview, world.store, world.channel, 3, preview_of(first), 0)
    world.store.plan("correct_preview", after(put_back))
    repair_preview(world.store, world.channel, 3)
    assert world.shown() == preview_of(world.store.entries(world.channel, 2, 2)[0])


def test_a_preview_that_moves_all_the_time_is_let_be(world: World) -> None:
    """Tries are bounded: a writer that moves the preview shows something later, or repairs it in turn."""
    world.reserve(2)
    world.commit(1)
    world.store.void(world.channel, [Entry(2, 2, 0, None)])
    world.store.plan("correct_preview", *[responses(False)] * 20)  # noqa: FBT003 - what it answers
    repair_preview(world.store, world.channel, 2)
    assert world.store.calls.count("correct_preview") == PREVIEW_REPAIRS


def test_a_void_that_was_not_shown_leaves_the_preview(world: World) -> None:
    """A later message is shown already."""
    world.reserve(2)
    shown = world.shown()
    world.commit(2)
    world.read()
    assert world.standing() == {1: False, 2: True}
    assert world.shown() == shown
    assert "correct_preview" not in world.store.calls


def test_a_preview_that_moved_on_meanwhile_stays(world: World) -> None:
    """A post between the void and the correction has its own."""
    world.reserve()
    world.clock.ms += DEAD_MS + 1
    world.store.plan("correct_preview", after(world.reserve))
    world.read()
    last = world.shown()
    assert last is not None
    assert last.seq == 2


def test_the_latest_message_is_found_before_voids(world: World) -> None:
    """Page by page, but not for ever."""
    for voids, found in ((60, True), (260, False)):
        channel = open_channel(world.store, "ada")
        seen = World(world.store, world.clock, channel)
        seen.reserve()
        seen.commit(1)
        seen.reserve(voids)
        for seq in range(2, voids + 1):
            world.store.void(channel, [Entry(seq, seq, 0, None)])
        world.clock.ms += DEAD_MS + 1
        seen.read(voids + 1)
        shown = seen.shown()
        assert (shown is not None and shown.seq == 1) == found
