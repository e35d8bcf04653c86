"""Muting a channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.api import Response
    from tests.functions.chat import Chat


def mute(chat: Chat, channel: str, user: str = "grace", *, muted: bool = True) -> Response:
    """The response to muting a channel, or to the end of that."""
    return chat.api("PUT", f"/v1/channels/{channel}/muted", user=user, body={"muted": muted})


def unread(chat: Chat, user: str = "grace") -> list[str]:
    """The channels in a user's list of unread ones."""
    return [each["id"] for each in chat.listing(user, unread_only="true")["channels"]]


def test_a_muted_channel_is_unread_only_for_mentions(chat: Chat) -> None:
    """The list of all channels has it, with its counts; that of unread ones has it when it mentions the user."""
    for text in ("<@grace> lunch?", "<!channel> lunch?"):
        channel = chat.channel("grace")
        chat.post(channel)
        assert unread(chat) == [channel]
        assert mute(chat, channel).json == {"channel_id": channel, "muted": True}
        assert unread(chat) == []
        shown = chat.listing("grace")["channels"][0]
        assert (shown["muted"], shown["unread_count"], shown) == (True, 1, chat.seen(channel, "grace"))
        chat.post(channel, text)
        assert unread(chat) == [channel]
        chat.api("PUT", f"/v1/channels/{channel}/read", user="grace", body={"last_read_seq": 2})
        chat.post(channel)
        assert unread(chat) == []
        assert mute(chat, channel, muted=False).json == {"channel_id": channel, "muted": False}
        assert unread(chat) == [channel]
        assert chat.remove(channel, "me", "grace").status == 204


def test_it_is_the_callers_own(chat: Chat) -> None:
    """Other members are not concerned; what the user posts, reads and is made does not end it, leaving does."""
    channel = chat.channel("grace")
    for _ in range(2):
        assert mute(chat, channel).status == 200
    assert (chat.seen(channel)["muted"], chat.seen(channel, "linus")["muted"]) == (False, None)
    chat.post(channel, user="grace")
    chat.api("PUT", f"/v1/channels/{channel}/read", user="grace", body={"last_read_seq": 1})
    assert chat.put_member(channel, "grace", role="moderator").status == 200
    assert chat.seen(channel, "grace")["muted"] is True
    assert chat.remove(channel, "me", "grace").status == 204
    assert chat.put_member(channel, "me", "grace").status == 201
    assert chat.seen(channel, "grace")["muted"] is False
