"""Posting: what is stored, replays, rights and rates."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from shared.domain import keys
from shared.domain.clock import CLOCKS_APART_MS, rfc3339
from shared.domain.errors import (
    ChannelArchivedError,
    ChannelNotFoundError,
    IdempotencyKeyReusedError,
    NotAMemberError,
)
from shared.domain.model import IDEMPOTENCY_SECONDS, Kind
from tests.contract.samples import open_channel
from tests.shared.use_cases.posting import Chat, messages
from tests.shared.use_cases.scripted_store import after


def test_a_post_is_stored_as_it_was_acknowledged(chat: Chat) -> None:
    """Byte for byte, at its position, shown in the list, read by its sender, unread by the others."""
    posted = chat.post("hello")
    [message] = messages(posted)
    assert message == {
        "id": keys.message_id(chat.channel, 1),
        "seq": 1,
        "sender": "eve",
        "text": "hello",
        "created_at": rfc3339(chat.clock.ms),
    }
    [entry] = chat.store.entries(chat.channel, 1, 9)
    assert ([entry.body], entry.seq, entry.messages) == (posted.bodies, posted.last_seq, 1)
    assert (chat.shown(), posted.replayed) == ("hello", False)
    assert [chat.membership(user).unread(chat.head()) for user in ("eve", "joe")] == [0, 1]


def test_a_post_is_three_calls(chat: Chat) -> None:
    """Read the channel state, reserve a position, commit."""
    chat.store.calls.clear()
    chat.post("hello", key="k1")
    assert chat.store.calls == ["read_channel_state", "reserve", "commit"]


def test_a_batch_has_adjacent_positions_after_a_void(chat: Chat) -> None:
    """25 messages in their order; the last is shown."""
    chat.limit(burst=30)
    chat.post("before")
    posted = chat.post(*[f"{i}" for i in range(25)])
    assert [each["seq"] for each in messages(posted)] == list(range(2, 27))
    assert chat.log() == ["before", *[f"{i}" for i in range(25)]]
    assert (chat.shown(), chat.membership().read_seq, chat.head().messages) == ("24", 26, 26)


def test_posting_leaves_a_read_position_that_is_further(chat: Chat) -> None:
    """A read position that moved on while posting stays."""
    chat.store.plan(
        "commit", after(partial(chat.store.move_read_position, chat.channel, "eve", 9, 9, force=False))
    )
    chat.post("hello")
    assert (chat.log(), chat.membership().read_seq) == (["hello"], 9)


# --- replays ---


def test_a_repeated_post_gets_its_first_result(chat: Chat) -> None:
    """The same bytes, nothing written, nothing charged to the rate."""
    first = chat.post("one", "two", key="k1")
    chat.clock.ms += 5000
    before = chat.membership()
    again = chat.post("one", "two", key="k1")
    assert (again.bodies, again.last_seq, again.replayed) == (first.bodies, 2, True)
    assert chat.log() == ["one", "two"]
    assert chat.membership() == before


def test_another_body_under_a_key_is_refused(chat: Chat) -> None:
    """Nothing is posted."""
    chat.post("one", key="k1")
    with pytest.raises(IdempotencyKeyReusedError):
        chat.post("two", key="k1")
    assert chat.log() == ["one"]


def test_a_key_is_forgotten_after_a_day(chat: Chat) -> None:
    """Until then it replays, afterwards it posts again."""
    chat.post("one", key="k1")
    chat.clock.ms += IDEMPOTENCY_SECONDS * 1000 + CLOCKS_APART_MS
    assert chat.post("one", key="k1").replayed
    chat.clock.ms += 1000
    assert not chat.post("one", key="k1").replayed
    assert chat.log() == ["one", "one"]


def test_a_post_can_be_asked_for_after_the_channel_was_archived(chat: Chat) -> None:
    """A post made before the channel was archived is replayed; a new one is refused."""
    first = chat.post("one", key="k1")
    chat.store.archive_channel(chat.channel, chat.clock.ms)
    assert chat.post("one", key="k1").bodies == first.bodies
    with pytest.raises(ChannelArchivedError):
        chat.post("two", key="k2")


def test_duplicates_at_the_same_time_are_one_message(chat: Chat) -> None:
    """The slower one gives up its position and gets the other's bytes."""
    inner = []
    chat.store.plan("commit", after(lambda: inner.append(chat.post("one", key="k1"))))
    outer = chat.post("one", key="k1")
    assert outer.bodies == inner[0].bodies
    assert (outer.replayed, inner[0].replayed, outer.last_seq) == (True, False, 2)
    assert (chat.log(), chat.shown()) == ([None, "one"], "one")


def test_another_body_at_the_same_time_is_refused(chat: Chat) -> None:
    """The number it had taken is given up."""
    chat.store.plan("commit", after(partial(chat.post, "one", key="k1")))
    with pytest.raises(IdempotencyKeyReusedError):
        chat.post("two", key="k1")
    assert (chat.log(), chat.shown()) == ([None, "one"], "one")


def test_many_duplicates_in_threads_are_one_message(chat: Chat) -> None:
    """Each gets the same bytes."""
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(chat.post, "one", "two", key="k1") for _ in range(8)]
        answered = [future.result() for future in futures]
    assert {tuple(each.bodies) for each in answered} == {tuple(answered[0].bodies)}
    assert [each.replayed for each in answered].count(False) == 1
    assert [text for text in chat.log() if text] == ["one", "two"]


# --- rights ---


@pytest.mark.parametrize(
    ("kind", "error"), [(Kind.PUBLIC, NotAMemberError), (Kind.PRIVATE, ChannelNotFoundError)]
)
def test_a_member_removed_meanwhile_posts_nothing(chat: Chat, kind: Kind, error: type[Exception]) -> None:
    """Removed between the read and the commit: the position is given up, the old preview is back."""
    chat.channel = open_channel(chat.store, "ada", "eve", kind=kind)
    chat.post("hello", user="ada")
    chat.store.plan("commit", after(chat.remove))
    with pytest.raises(error):
        chat.post("too late", key="k1")
    assert (chat.log(), chat.shown()) == (["hello", None], "hello")


def test_a_channel_archived_meanwhile_takes_nothing(chat: Chat) -> None:
    """No number is given out."""
    chat.store.plan("reserve", after(partial(chat.store.archive_channel, chat.channel, chat.clock.ms)))
    with pytest.raises(ChannelArchivedError):
        chat.post("too late")
    assert (chat.log(), chat.shown()) == ([], None)


def test_strangers_post_nothing(chat: Chat) -> None:
    """A non-member is told why in a public channel; an unknown channel is not found."""
    with pytest.raises(NotAMemberError):
        chat.post("hello", user="zoe")
    chat.channel = keys.new_channel_id()
    with pytest.raises(ChannelNotFoundError):
        chat.post("hello")
