"""Marking as read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shared.domain.model import Preview

if TYPE_CHECKING:
    from shared.storage.memory import MemoryStore
    from tests.api import Response
    from tests.functions.chat import Chat


def mark(chat: Chat, channel: str, seq: int, user: str = "grace", **body: Any) -> Response:
    """The response to marking as read."""
    return chat.api("PUT", f"/v1/channels/{channel}/read", user=user, body={"last_read_seq": seq} | body)


@pytest.fixture
def channel(chat: Chat) -> str:
    """A channel in which grace has not read five messages of ada's."""
    channel = chat.channel("grace")
    chat.fill(channel, 5)
    return channel


def test_the_answer_says_how_many_messages_are_unread(chat: Chat, channel: str) -> None:
    """Marking as read returns the new position and count, and the channel shows the same."""
    response = mark(chat, channel, 3)
    assert response.status == 200
    assert response.json == {"channel_id": channel, "last_read_seq": 3, "unread_count": 2}
    seen = chat.seen(channel, "grace")
    assert (seen["last_read_seq"], seen["unread_count"]) == (3, 2)


def test_the_position_does_not_go_back(chat: Chat, channel: str) -> None:
    """A late request of another device does not undo what was read since."""
    mark(chat, channel, 4)
    assert mark(chat, channel, 2).json == {"channel_id": channel, "last_read_seq": 4, "unread_count": 1}


def test_force_moves_the_position_back(chat: Chat, channel: str) -> None:
    """A user may mark messages as unread."""
    mark(chat, channel, 5)
    assert mark(chat, channel, 2, force=True).json["unread_count"] == 3
    assert mark(chat, channel, 0, force=True).json["unread_count"] == 5


def test_marking_twice_is_the_same_as_once(chat: Chat, channel: str) -> None:
    """Marking as read can be repeated."""
    assert mark(chat, channel, 3).json == mark(chat, channel, 3).json


def test_everything_read_leaves_nothing_unread(chat: Chat, channel: str) -> None:
    """The end of the channel is a position that may be marked."""
    assert mark(chat, channel, 5).json["unread_count"] == 0
    chat.post(channel)
    assert chat.seen(channel, "grace")["unread_count"] == 1


def test_a_position_beyond_the_end_is_refused(chat: Chat, channel: str) -> None:
    """What was not posted cannot have been read."""
    response = mark(chat, channel, 6)
    assert (response.status, response.code) == (422, "position_out_of_range")
    assert response.json["errors"][0]["field"] == "body.last_read_seq"
    assert chat.seen(channel, "grace")["last_read_seq"] == 0


def test_each_member_has_a_position_of_their_own(chat: Chat, channel: str) -> None:
    """Marking as read moves only the caller's position."""
    mark(chat, channel, 5)
    assert chat.seen(channel, "ada")["last_read_seq"] == 5, "the sender has read what she sent"
    mark(chat, channel, 1, user="ada", force=True)
    assert chat.seen(channel, "grace")["last_read_seq"] == 5


def test_own_messages_are_read(chat: Chat, channel: str) -> None:
    """Posting moves the sender's read position to the message."""
    chat.post(channel, user="grace")
    assert chat.seen(channel, "grace")["unread_count"] == 0


def test_an_archived_channel_can_be_marked_as_read(chat: Chat, channel: str) -> None:
    """An archived channel is read-only for messages, not for what its members have read."""
    chat.archive(channel)
    assert mark(chat, channel, 5).json["unread_count"] == 0


def test_a_non_member_has_no_read_position(chat: Chat, channel: str) -> None:
    """Reading positions are members'."""
    response = mark(chat, channel, 1, user="linus")
    assert (response.status, response.code) == (403, "not_a_member")


def test_an_open_end_is_not_marked_as_read(chat: Chat, channel: str, store: MemoryStore) -> None:
    """A message that is still being written is not read by marking its position."""
    store.reserve(channel, 1, Preview(0, "ada", "on its way", chat.clock.ms))
    assert mark(chat, channel, 6).json["last_read_seq"] == 5
