"""Erasing a user: what is removed, and what happens to channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from operators.erase_user import Erased, Survey, survey
from shared.domain.model import ERASED, Role
from shared.domain.realtime import Connection, Watch
from tests.functions.chat import messages, texts
from tests.operators.erasing import SECRET, erase, everything_of

if TYPE_CHECKING:
    from tests.conftest import FakeClock
    from tests.functions.chat import Chat
    from tests.shared.use_cases.scripted_store import ScriptedStore


# --- what is removed ---


def test_a_redacted_message_keeps_its_place_alone(chat: Chat, channel: str) -> None:
    """Id, position and time stay; sender, text, metadata and the client's own id go; it is marked as redacted."""
    body = {"text": SECRET, "metadata": {"mood": "sad"}, "client_message_id": "eve-7"}
    posted = chat.api("POST", messages(channel), user="eve", body=body).json
    assert erase(chat) == Erased(1, 3, returned=False)
    expected = {"sender": ERASED, "text": "", "redacted": True} | {
        name: posted[name] for name in ("id", "seq", "created_at")
    }
    assert chat.page(channel)["messages"][-1] == expected
    assert chat.api("GET", f"{messages(channel)}/{posted['id']}").json == expected


def test_others_messages_stay(chat: Chat, channel: str) -> None:
    """Byte for byte, and nothing is left out."""
    before = chat.page(channel)["messages"]
    erase(chat)
    after_it = chat.page(channel)["messages"]
    assert [each["seq"] for each in after_it] == [1, 2, 3]
    assert after_it[1] == before[1]
    assert chat.seen(channel, "joe")["unread_count"] == 3


def test_the_list_shows_no_erased_text(chat: Chat, channel: str) -> None:
    """The preview shows what is left of the latest message."""
    erase(chat)
    shown = chat.listing()["channels"][0]["last_message"]
    assert (shown["seq"], shown["sender"], shown["text"], shown["redacted"]) == (3, ERASED, "", True)
    chat.post(channel, "next")
    assert "redacted" not in chat.listing()["channels"][0]["last_message"]


def test_the_user_is_nowhere_any_more(chat: Chat, channel: str, store: ScriptedStore) -> None:
    """Neither their texts nor their id are anywhere in the table, except for idempotency keys used within a day."""
    other = str(chat.create("eve", name="eves own", members=["ada"])["id"])
    chat.post(other, SECRET, "eve")
    connection = Connection("conn=", "eve", 0, 1)  # It has expired long ago.
    store.open_connection(connection)
    store.watch(connection, [Watch(channel, "eve", "conn=", 1)], 1)
    left = chat.channel("eve")
    chat.post(left, SECRET, "eve")
    assert chat.remove(left, "me", "eve").status == 204
    assert erase(chat).channels == 3
    assert SECRET not in everything_of(store)
    assert "'eve'" not in everything_of(store)
    assert chat.seen(other)["creator"] == ERASED
    assert chat.seen(channel)["member_count"] == 2
    assert [
        each["user_id"] for each in chat.api("GET", f"/v1/channels/{channel}/members").json["members"]
    ] == [
        "ada",
        "joe",
    ]
    assert chat.listing("eve")["channels"] == []
    assert chat.api("GET", messages(channel), user="eve").status == 404


def test_messages_in_channels_that_were_left_are_erased(chat: Chat, channel: str) -> None:
    """After leaving, being removed, rejoining and leaving again their messages are still found."""
    chat.remove(channel, "eve")
    chat.put_member(channel, "eve")
    chat.post(channel, SECRET, "eve")
    chat.remove(channel, "eve")
    assert erase(chat) == Erased(1, 3, returned=False)
    assert texts(chat.page(channel)) == ["", "hello", "", ""]


def test_an_archived_channel_is_redacted_too(chat: Chat, channel: str) -> None:
    """An archived channel is read-only for members, but not for an erasure."""
    chat.archive(channel)
    assert erase(chat).messages == 2
    assert texts(chat.page(channel)) == ["", "hello", ""]


def test_a_long_log_is_redacted_whole(chat: Chat, clock: FakeClock) -> None:
    """A log longer than one query is redacted completely."""
    channel = chat.channel("eve")
    for number in range(52):
        clock.ms += 10_000
        posts = [{"text": f"{number}.{each}"} for each in range(10)]
        assert chat.api("POST", messages(channel), body={"messages": posts}, user="eve").status == 201
    assert erase(chat).messages == 520
    assert {each["text"] for each in chat.page(channel, limit=100)["messages"]} == {""}


def test_nothing_of_an_unknown_user_is_no_work(chat: Chat, clock: FakeClock) -> None:
    """It waits once, as a membership may be ending right now, but not as long as stale pages may be returned."""
    assert erase(chat, "nobody") == Erased(0, 0, returned=False)
    assert clock.slept == [15.0]


def test_a_survey_changes_nothing(chat: Chat, channel: str, store: ScriptedStore) -> None:
    """It counts what an erasure would redact."""
    before = everything_of(store)
    assert survey(store, "eve") == Survey(1, 2)
    assert everything_of(store) == before
    chat.remove(channel, "eve")
    assert survey(store, "eve") == Survey(1, 2)


# --- memberships ---


def test_the_last_owner_is_followed(chat: Chat, store: ScriptedStore) -> None:
    """By the moderator of longest standing, even if members joined earlier."""
    channel = chat.channel("eve", "joe")
    for each in ("kim", "lea"):
        chat.clock.ms += 1
        chat.put_member(channel, each, role="moderator")
    erase(chat, "ada")
    roles = {each.user_id: each.role for each in store.members(channel, 9, None)}
    assert roles == {"eve": Role.MEMBER, "joe": Role.MEMBER, "kim": Role.OWNER, "lea": Role.MODERATOR}
    head = store.head(channel)
    assert head is not None
    assert (head.owners, head.members, head.archived_at) == (1, 4, None)


def test_without_moderators_the_oldest_member_follows(chat: Chat, store: ScriptedStore) -> None:
    """The member who joined first, whatever their id."""
    channel = chat.channel("zoe")
    chat.clock.ms += 1
    chat.put_member(channel, "bob")
    erase(chat, "ada")
    assert {each.user_id: each.role for each in store.members(channel, 9, None)} == {
        "zoe": Role.OWNER,
        "bob": Role.MEMBER,
    }


def test_one_of_two_owners_needs_no_follower(chat: Chat, store: ScriptedStore) -> None:
    """Erasing one of two owners changes no role."""
    channel = chat.channel("eve", "joe")
    chat.put_member(channel, "joe", role="owner")
    erase(chat, "ada")
    assert {each.user_id: each.role for each in store.members(channel, 9, None)} == {
        "eve": Role.MEMBER,
        "joe": Role.OWNER,
    }


def test_a_channel_without_anybody_is_archived(chat: Chat, store: ScriptedStore) -> None:
    """It is not listed as public, and nobody can join it or post to it."""
    channel = chat.channel()
    erase(chat, "ada")
    head = store.head(channel)
    assert head is not None
    assert (head.members, head.owners, head.archived_at) == (0, 0, chat.clock.ms - 315_000)
    assert chat.listing("eve", scope="public")["channels"] == []
    assert chat.put_member(channel, "me", "eve").code == "channel_archived"


@pytest.mark.parametrize("erased", ["ada", "eve"])
@pytest.mark.parametrize("kind", ["direct", "group"])
def test_a_channel_of_fixed_members_is_over(chat: Chat, erased: str, kind: str) -> None:
    """The other members can read their own messages, but not post; the erased user is as a stranger to it."""
    channel = chat.direct("ada", "eve") if kind == "direct" else chat.group("ada", "eve", "mary")
    stays = ({"ada", "eve"} - {erased}).pop()
    chat.post(channel, SECRET, erased)
    chat.post(channel, "mine", stays)
    erase(chat, erased)
    assert texts(chat.page(channel, stays)) == ["", "mine"]
    assert chat.seen(channel, stays)["archived"]
    assert chat.api("POST", messages(channel), user=stays, body={"text": "?"}).code == "channel_archived"
    body = {"kind": kind, "members": [stays, *(["mary"] if kind == "group" else [])]}
    assert chat.api("POST", "/v1/channels", user=erased, body=body).code == "channel_not_found"


def test_a_channel_with_oneself_ends_with_the_user(chat: Chat) -> None:
    """Nobody is in it any more, and the user who comes back does not find it."""
    channel = chat.direct("eve", "eve")
    chat.post(channel, SECRET, "eve")
    erase(chat, "eve")
    assert chat.api("GET", f"/v1/channels/{channel}", user="eve").code == "channel_not_found"
    again = chat.api("POST", "/v1/channels", user="eve", body={"kind": "direct"})
    assert again.code == "channel_not_found"
