"""Managing the members of channels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain.model import PastMembership
from shared.storage.memory import MemoryStore
from tests.cases import case
from tests.functions.chat import messages

if TYPE_CHECKING:
    from shared.domain.model import Membership
    from tests.api import Response
    from tests.functions.chat import Chat


def members(chat: Chat, channel: str, user: str = "ada", **query: Any) -> dict[str, Any]:
    """A page of members."""
    response = chat.api("GET", f"/v1/channels/{channel}/members", user=user, query=query)
    assert response.status == 200, response.body
    return dict(response.json)


def roles(chat: Chat, channel: str, user: str = "ada") -> dict[str, str]:
    """A channel's members and their roles."""
    return {member["user_id"]: member["role"] for member in members(chat, channel, user)["members"]}


def said(response: Response) -> tuple[int, str]:
    """Status and code of a refusal."""
    return response.status, response.code


@pytest.fixture
def staffed(chat: Chat) -> str:
    """A channel of ada's with two moderators, grace and linus, and two members, mary and noor."""
    channel = chat.channel("mary", "noor")
    for moderator in ("grace", "linus"):
        assert chat.put_member(channel, moderator, role="moderator").status == 201
    return channel


# --- listing ---


def test_members_come_by_user_id(chat: Chat) -> None:
    """The list has each member's id, role and time of joining."""
    channel = chat.channel("grace")
    assert members(chat, channel) == {
        "members": [
            {"user_id": "ada", "role": "owner", "joined_at": "2026-11-23T18:44:24.000Z"},
            {"user_id": "grace", "role": "member", "joined_at": "2026-11-23T18:44:24.000Z"},
        ],
        "has_more": False,
        "next_cursor": None,
    }


def test_pages_have_every_member_once(chat: Chat) -> None:
    """Pages lose no member, whatever their ids look like."""
    for limit in [1, 2, 3, 7, 8]:
        with case(limit):
            users = ["ada", "Zoë", "a b", "user|1", "mary@example.com", "😀", "9"]
            channel = chat.channel(*users)
            found: list[str] = []
            cursor: dict[str, str] = {}
            page: dict[str, Any] = {"has_more": True}
            while page["has_more"] and len(found) <= len(users):
                page = members(chat, channel, limit=limit, **cursor)
                found += [member["user_id"] for member in page["members"]]
                cursor = {"cursor": page["next_cursor"]}
            assert found == sorted(users)


def test_members_of_a_public_channel_are_public(chat: Chat) -> None:
    """A user who may join may list the members."""
    assert roles(chat, chat.channel(), "grace") == {"ada": "owner"}


# --- joining and inviting ---


def test_anybody_joins_a_public_channel(chat: Chat) -> None:
    """201 for a new member, 200 for one who is a member already; from then on they take part."""
    channel = chat.channel()
    response = chat.put_member(channel, "me", "grace")
    member = {"user_id": "grace", "role": "member", "joined_at": "2026-11-23T18:44:24.000Z"}
    assert (response.status, response.json) == (201, member)
    again = chat.put_member(channel, "me", "grace")
    assert (again.status, again.json) == (200, member)
    assert chat.seen(channel, "grace")["member_count"] == 2
    chat.post(channel, user="grace")


def test_ones_own_id_is_me(chat: Chat) -> None:
    """`me` and the caller's id are the same."""
    channel = chat.channel()
    assert chat.put_member(channel, "grace", "grace").status == 201
    assert chat.remove(channel, "grace", "grace").status == 204


def test_what_was_said_before_is_not_unread(chat: Chat) -> None:
    """A new member starts at the channel's end, and may read what came before."""
    channel = chat.channel()
    chat.fill(channel, 3)
    chat.put_member(channel, "me", "grace")
    assert chat.seen(channel, "grace")["unread_count"] == 0
    assert len(chat.page(channel, "grace")["messages"]) == 3
    chat.post(channel)
    assert chat.seen(channel, "grace")["unread_count"] == 1


def test_joining_again_has_no_phantom_unreads(chat: Chat) -> None:
    """What was said while one was away is not unread after coming back."""
    channel = chat.channel("grace")
    chat.fill(channel, 2)
    chat.remove(channel, "me", "grace")
    chat.fill(channel, 3)
    chat.put_member(channel, "me", "grace")
    assert chat.seen(channel, "grace")["unread_count"] == 0
    assert chat.listing("grace", unread_only="true")["channels"] == []


def test_joining_with_a_role_is_refused(chat: Chat) -> None:
    """Members cannot make themselves moderators or owners."""
    channel = chat.channel()
    for role in ("moderator", "owner"):
        assert said(chat.put_member(channel, "me", "grace", role)) == (403, "forbidden")
    assert roles(chat, channel) == {"ada": "owner"}
    chat.put_member(channel, "me", "grace", "member")
    for role in ("moderator", "owner"):
        assert said(chat.put_member(channel, "me", "grace", role)) == (403, "forbidden")


def test_a_private_channel_is_entered_by_invitation(chat: Chat) -> None:
    """A private channel cannot be joined uninvited; an invited user is a member at once."""
    channel = chat.channel(kind="private")
    assert said(chat.put_member(channel, "me", "grace")) == (404, "channel_not_found")
    assert chat.put_member(channel, "grace").status == 201
    assert chat.seen(channel, "grace")["role"] == "member"


@pytest.mark.parametrize("kind", ["public", "private"])
def test_members_do_not_invite(chat: Chat, kind: str) -> None:
    """Inviting is the owners' and moderators'."""
    channel = chat.channel("grace", kind=kind)
    assert said(chat.put_member(channel, "linus", "grace")) == (403, "forbidden")
    chat.put_member(channel, "grace", role="moderator")
    assert chat.put_member(channel, "linus", "grace").status == 201


def test_strangers_do_not_invite(chat: Chat) -> None:
    """A user who is not a member of a public channel cannot add others."""
    assert said(chat.put_member(chat.channel(), "linus", "grace")) == (403, "not_a_member")


# --- roles ---


def test_an_owner_changes_roles(chat: Chat, staffed: str) -> None:
    """A role can be given and taken away; without one in the body it stays."""
    response = chat.put_member(staffed, "mary", role="moderator")
    assert (response.status, response.json["role"]) == (200, "moderator")
    assert chat.put_member(staffed, "mary").json["role"] == "moderator"
    assert "invite" in chat.seen(staffed, "mary")["capabilities"]
    chat.put_member(staffed, "mary", role="member")
    assert "invite" not in chat.seen(staffed, "mary")["capabilities"]


def test_a_moderator_changes_no_roles(chat: Chat, staffed: str) -> None:
    """A moderator invites plain members only, and neither raises nor lowers anybody."""
    for member, role in (("mary", "moderator"), ("grace", "owner"), ("linus", "member"), ("ada", "member")):
        assert said(chat.put_member(staffed, member, "grace", role)) == (403, "forbidden")
    assert said(chat.put_member(staffed, "olga", "grace", "moderator")) == (403, "forbidden")
    assert chat.put_member(staffed, "olga", "grace", "member").status == 201


def test_a_channel_keeps_an_owner(chat: Chat) -> None:
    """The last owner neither leaves nor steps down before there is another."""
    channel = chat.channel("grace")
    assert said(chat.remove(channel, "me")) == (409, "last_owner")
    assert said(chat.put_member(channel, "me", role="member")) == (409, "last_owner")
    assert chat.put_member(channel, "grace", role="owner").status == 200
    assert chat.put_member(channel, "me", role="member").status == 200
    assert said(chat.remove(channel, "me", "grace")) == (409, "last_owner")
    assert chat.remove(channel, "me").status == 204
    assert roles(chat, channel, "grace") == {"grace": "owner"}


def test_an_owner_removes_another(chat: Chat) -> None:
    """Owners are equals, also in removing each other."""
    channel = chat.channel("grace")
    chat.put_member(channel, "grace", role="owner")
    assert chat.remove(channel, "ada", "grace").status == 204
    assert said(chat.remove(channel, "grace", "grace")) == (409, "last_owner")


# --- leaving and removing ---


def test_a_removed_member_is_out_at_once(chat: Chat) -> None:
    """With the next request a removed member finds nothing more."""
    channel = chat.channel("grace", kind="private")
    message = chat.post(channel, user="grace")
    assert chat.remove(channel, "grace").status == 204
    responses = [
        chat.api("GET", f"/v1/channels/{channel}", user="grace"),
        chat.api("GET", messages(channel), user="grace"),
        chat.api("GET", f"{messages(channel)}/{message['id']}", user="grace"),
        chat.api("GET", f"/v1/channels/{channel}/members", user="grace"),
        chat.api("POST", messages(channel), user="grace", body={"text": "still here"}),
        chat.api("PUT", f"/v1/channels/{channel}/read", user="grace", body={"last_read_seq": 1}),
    ]
    assert [said(response) for response in responses] == [(404, "channel_not_found")] * 6
    assert chat.listing("grace")["channels"] == []
    assert chat.seen(channel)["member_count"] == 1


def test_leaving_does_not_escape_slow_mode(chat: Chat) -> None:
    """Leaving and coming back shortens no wait, also after a removal and a new invitation."""
    channel = chat.channel("grace")
    chat.api("PATCH", f"/v1/channels/{channel}", body={"slow_mode": 60})
    for remover, inviter in (("grace", "grace"), ("ada", "ada")):
        chat.post(channel, user="grace")
        assert chat.remove(channel, "grace", remover).status == 204
        assert chat.put_member(channel, "grace", inviter).status == 201
        refused = chat.api("POST", messages(channel), user="grace", body={"text": "again"})
        assert (*said(refused), refused.headers["retry-after"]) == (429, "rate_limited", "60")
        chat.clock.ms += 60_000
    chat.post(channel, user="grace")


def test_leaving_does_not_refill_a_burst(chat: Chat) -> None:
    """What is left of the burst is the same before and after; in another channel it is whole."""
    channel, other = chat.channel(), chat.channel("grace")
    chat.put_member(channel, "me", "grace")
    batch = {"messages": [{"text": "x"}] * 15}
    left = [chat.api("POST", messages(channel), user="grace", body=batch).headers["ratelimit-remaining"]]
    chat.remove(channel, "me", "grace")
    chat.put_member(channel, "me", "grace")
    for place in (channel, other):
        response = chat.api("POST", messages(place), user="grace", body={"text": "x"})
        left.append(response.headers["ratelimit-remaining"])
    assert left == ["10", "9", "24"]


class AlwaysOwing(MemoryStore):
    """Each time a user joins, another of their memberships has just ended."""

    def add_member(self, membership: Membership, by: Membership | None = None) -> PastMembership:  # noqa: ARG002 - the interface
        """Later than any that is offered."""
        return PastMembership(membership.channel_id, 0, membership.tat + 1)


def test_a_join_that_never_comes_to_an_end_is_given_up(chat: Chat) -> None:
    """503 with a time to come back."""
    channel = chat.channel()
    store = AlwaysOwing(**vars(chat.api.services.store))
    chat.api.services = replace(chat.api.services, store=store)
    response = chat.put_member(channel, "me", "grace")
    assert (*said(response), response.headers["retry-after"]) == (503, "contention", "1")


def test_messages_outlive_their_senders_membership(chat: Chat) -> None:
    """What was said stays said."""
    channel = chat.channel("grace")
    chat.post(channel, user="grace")
    chat.remove(channel, "me", "grace")
    assert chat.page(channel)["messages"][0]["sender"] == "grace"


def test_a_moderator_removes_plain_members_only(chat: Chat, staffed: str) -> None:
    """Owners and other moderators are out of a moderator's reach; leaving is not."""
    assert chat.remove(staffed, "mary", "grace").status == 204
    for target in ("linus", "ada"):
        assert said(chat.remove(staffed, target, "grace")) == (403, "forbidden")
    assert chat.remove(staffed, "me", "grace").status == 204
    assert roles(chat, staffed) == {"ada": "owner", "linus": "moderator", "noor": "member"}


def test_a_member_removes_nobody_else(chat: Chat, staffed: str) -> None:
    """Plain members may only leave."""
    assert said(chat.remove(staffed, "noor", "mary")) == (403, "forbidden")
    assert chat.remove(staffed, "me", "mary").status == 204


def test_a_non_member_cannot_be_removed(chat: Chat) -> None:
    """Removing a stranger is 404, leaving as one 403."""
    channel = chat.channel()
    assert said(chat.remove(channel, "grace")) == (404, "member_not_found")
    assert said(chat.remove(channel, "me", "grace")) == (403, "not_a_member")
