"""Bans from channels: who may ban whom, and what a banned user is refused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain.moderation import Ban
from shared.storage.memory import MemoryStore
from tests.cases import case
from tests.functions.chat import Chat, messages

if TYPE_CHECKING:
    from shared.domain.model import Membership, PastMembership
    from tests.api import Api, Response
    from tests.functions.chat import Clock


@pytest.fixture
def chat(api: Api, clock: Clock) -> Chat:
    """Users of the API."""
    return Chat(api, clock)


def ban(chat: Chat, channel: str, target: str, user: str = "ada", **body: Any) -> Response:
    """The response to a ban."""
    return chat.api("PUT", f"/v1/channels/{channel}/bans/{target}", user=user, body=body or None)


def unban(chat: Chat, channel: str, target: str, user: str = "ada") -> Response:
    """The response to lifting a ban."""
    return chat.api("DELETE", f"/v1/channels/{channel}/bans/{target}", user=user)


def test_a_banned_member_is_out_and_stays_out(chat: Chat) -> None:
    """Of a public channel they see nothing any more; they can join when the ban is lifted."""
    channel = chat.channel("eve")
    made = ban(chat, channel, "eve", reason="Posts advertisements")
    assert made.status == 201
    assert made.json == {
        "user_id": "eve",
        "reason": "Posts advertisements",
        "banned_by": "ada",
        "banned_at": made.json["banned_at"],
    }
    path = f"/v1/channels/{channel}"
    for method, place in (("PUT", "/members/me"), ("GET", ""), ("GET", "/members")):
        with case(method, place):
            response = chat.api(method, path + place, user="eve")
            assert (response.status, response.code) == (403, "banned")
    assert chat.api("GET", messages(channel), user="eve").code == "not_a_member"
    assert chat.put_member(channel, "eve").code == "user_banned"
    for _ in range(2):
        assert unban(chat, channel, "eve").status == 204
    assert chat.put_member(channel, "me", user="eve").status == 201


def test_a_banned_outsider_cannot_join(chat: Chat) -> None:
    """Before they ever were a member; leaving and removing treat them as who never was one."""
    channel, den = chat.channel(), chat.channel(kind="private")
    for place in (channel, den):
        assert ban(chat, place, "eve").json["reason"] is None
        assert chat.remove(place, "eve").code == "member_not_found"
    assert chat.put_member(channel, "me", user="eve").code == "banned"
    assert chat.remove(channel, "me", user="eve").code == "not_a_member"
    for method, path in (("GET", ""), ("PUT", "/members/me"), ("DELETE", "/members/me")):
        response = chat.api(method, f"/v1/channels/{den}{path}", user="eve")
        assert (response.status, response.code) == (404, "channel_not_found")
    assert chat.put_member(den, "eve").code == "user_banned"


def test_a_ban_repeated_is_the_first_one(chat: Chat) -> None:
    """200, with the first reason."""
    channel = chat.channel("eve")
    first = ban(chat, channel, "eve", reason="spam")
    chat.clock.ms += 5_000
    again = ban(chat, channel, "eve", reason="other")
    assert (again.status, again.json) == (200, first.json)


def test_moderators_ban_plain_members_only(chat: Chat) -> None:
    """Owners ban anybody but themselves; members nobody."""
    channel = chat.channel("eve", "grace", "linus", "mary")
    for each, role in (("grace", "moderator"), ("linus", "moderator"), ("mary", "owner")):
        assert chat.put_member(channel, each, role=role).status == 200
    assert ban(chat, channel, "linus", "eve").code == "forbidden"
    for target in ("linus", "ada"):
        assert (ban(chat, channel, target, "grace").status, ban(chat, channel, target, "grace").code) == (
            403,
            "forbidden",
        )
    assert ban(chat, channel, "eve", "grace").status == 201
    for target in ("linus", "mary"):
        assert ban(chat, channel, target).status == 201
    for name in ("me", "ada"):
        assert ban(chat, channel, name).code == "conflict"
    assert unban(chat, channel, "mary", "grace").status == 204
    assert unban(chat, channel, "linus", "eve").code == "not_a_member"


def test_bans_are_listed_for_moderators(chat: Chat) -> None:
    """By user id and page by page, also of an archived channel; a foreign cursor is refused."""
    channel = chat.channel("grace", "linus")
    chat.put_member(channel, "grace", role="moderator")
    for each in ("olga", "eve", "noor"):
        ban(chat, channel, each)
    path = f"/v1/channels/{channel}/bans"
    first = chat.api("GET", path, user="grace", query={"limit": 2}).json
    assert [each["user_id"] for each in first["bans"]] == ["eve", "noor"]
    assert chat.api("GET", path, user="linus").code == "forbidden"
    chat.archive(channel)
    rest = chat.api("GET", path, query={"limit": 2, "cursor": first["next_cursor"]}).json
    assert ([each["user_id"] for each in rest["bans"]], rest["has_more"]) == (["olga"], False)
    assert chat.api("GET", path, query={"cursor": "WzFd"}).code == "invalid_cursor"
    assert ban(chat, channel, "paul").code == unban(chat, channel, "eve").code == "channel_archived"


def test_nobody_is_banned_from_a_direct_channel(chat: Chat) -> None:
    """There the other one can be blocked."""
    channel = chat.direct("ada", "eve")
    responses = [
        ban(chat, channel, "eve"),
        unban(chat, channel, "eve"),
        chat.api("GET", f"/v1/channels/{channel}/bans"),
    ]
    assert {each.code for each in responses} == {"direct_channel"}


@dataclass
class BannedBetween(MemoryStore):
    """A ban comes between what a join reads and what it writes."""

    def add_member(
        self, membership: Membership, by: Membership | None = None
    ) -> Membership | PastMembership | None:
        """First the ban."""
        owner = self.membership(membership.channel_id, "ada")
        assert owner
        assert self.ban(Ban(membership.channel_id, membership.user_id, "ada", 1), None, owner)
        return super().add_member(membership, by)


def test_a_join_that_a_ban_overtakes_is_refused(chat: Chat) -> None:
    """The user is no member."""
    channel = chat.channel()
    chat.api.services = replace(chat.api.services, store=BannedBetween(**vars(chat.api.services.store)))
    assert chat.put_member(channel, "me", user="eve").code == "banned"
    assert [
        each["user_id"] for each in chat.api("GET", f"/v1/channels/{channel}/members").json["members"]
    ] == ["ada"]


@dataclass
class PromotedBetween(MemoryStore):
    """The target becomes a moderator between what a ban reads and what it writes, once."""

    is_first: bool = True

    def ban(self, ban: Ban, target: Membership | None, by: Membership) -> bool:
        """First the promotion."""
        if self.is_first and target:
            self.is_first = False
            self.change_role(target, target.role.__class__("moderator"))
        return super().ban(ban, target, by)


def test_a_ban_is_decided_anew_when_its_target_changes(chat: Chat) -> None:
    """A moderator may not ban who has just become one; an owner may."""
    for user, expected in (("grace", 403), ("ada", 201)):
        with case(user):
            channel = chat.channel("eve", "grace")
            chat.put_member(channel, "grace", role="moderator")
            store = PromotedBetween(**vars(chat.api.services.store) | {"is_first": True})
            chat.api.services = replace(chat.api.services, store=store)
            assert ban(chat, channel, "eve", user).status == expected
