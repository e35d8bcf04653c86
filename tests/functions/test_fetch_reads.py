"""The read positions of a channel's members."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from shared.domain.model import MAX_READS, Member, Role
from shared.storage.memory import MemoryStore
from tests.functions.refusals import assert_refused

if TYPE_CHECKING:
    from tests.api import Response
    from tests.functions.chat import Chat


def fetch(chat: Chat, channel: str, user: str = "ada") -> Response:
    """The response to asking for the read positions."""
    return chat.api("GET", f"/v1/channels/{channel}/reads", user=user)


def positions(response: Response) -> dict[str, Any]:
    """The positions of a response, by user."""
    assert response.status == 200, response.body
    return {each["user_id"]: each["last_read_seq"] for each in response.json["reads"]}


def test_each_member_has_a_position(chat: Chat) -> None:
    """By user id, as each has posted or marked; the same for every member."""
    channel = chat.channel("linus", "grace")
    chat.fill(channel, 5)
    chat.api("PUT", f"/v1/channels/{channel}/read", user="grace", body={"last_read_seq": 3})
    response = fetch(chat, channel)
    assert list(positions(response).items()) == [("ada", 5), ("grace", 3), ("linus", 0)]
    assert fetch(chat, channel, "linus").json == response.json


@dataclass
class LateIndex(MemoryStore):
    """An index of members that still lists past members, and does not list the newest one yet."""

    late: tuple[str, ...] = ()

    def members(self, channel_id: str, limit: int, after: str | None) -> list[Member]:
        """With users who have left, without the last one who joined."""
        found = [each for each in super().members(channel_id, limit, after) if each.user_id != "zoe"]
        past = [Member(each, Role.MEMBER, 0) for each in self.late]
        return sorted([*found, *past], key=lambda each: each.user_id)[:limit]


def test_a_late_index_shows_no_past_member(chat: Chat) -> None:
    """Who has left is gone at once and leaves no member out; who has just joined sees their own position at least."""
    others = [f"user{number:02}" for number in range(MAX_READS - 2)]
    channel = chat.channel(*others[:50])
    for each in (*others[50:], "zoe"):
        chat.put_member(channel, each)
    store = LateIndex(**vars(chat.api.services.store), late=tuple(f"a{number:02}" for number in range(99)))
    chat.api.services = replace(chat.api.services, store=store)
    assert list(positions(fetch(chat, channel))) == ["ada", *others]
    assert list(positions(fetch(chat, channel, "zoe"))) == ["ada", *others, "zoe"]


def test_a_channel_may_hide_them(chat: Chat) -> None:
    """Moderators set `show_reads`; without it no member sees any, and nothing else changes."""
    channel = chat.channel("grace")
    assert chat.put_member(channel, "linus", role="moderator").status == 201
    assert chat.seen(channel)["show_reads"] is True
    for shows in (False, True):
        changed = chat.api("PATCH", f"/v1/channels/{channel}", user="linus", body={"show_reads": shows})
        assert (changed.status, changed.json["show_reads"]) == (200, shows)
        for user in ("ada", "linus", "grace"):
            response = fetch(chat, channel, user)
            assert response.status == (200 if shows else 403)
            if not shows:
                assert_refused(response, 403, "reads_hidden")


def test_a_large_channel_shows_none(chat: Chat) -> None:
    """100 members are shown, 101 are a 409."""
    others = [f"user{number:02}" for number in range(MAX_READS - 1)]
    channel = chat.channel(*others[:50])
    for each in others[50:]:
        chat.put_member(channel, each)
    assert len(positions(fetch(chat, channel))) == MAX_READS
    chat.put_member(channel, "zoe")
    assert_refused(fetch(chat, channel), 409, "too_many_members")
