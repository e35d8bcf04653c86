"""Mentions: who is told, counts, and the inbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shared.domain.model import MAX_KEPT_MENTIONS
from tests.functions.changing import Room, code, open_room
from tests.functions.chat import messages
from tests.functions.refusals import assert_refused

if TYPE_CHECKING:
    from tests.functions.chat import Chat


@pytest.fixture
def room(chat: Chat) -> Room:
    """Ada owns it, grace and eve are members, mo is a moderator."""
    return open_room(chat, "grace", "eve", moderators=("mo",))


def inbox(chat: Chat, user: str, **query: Any) -> dict[str, Any]:
    """A page of a user's mentions."""
    response = chat.api("GET", "/v1/mentions", user=user, query=query)
    assert response.status == 200, response.body
    return dict(response.json)


def found(chat: Chat, user: str, **query: Any) -> list[str]:
    """The texts in a user's inbox."""
    return [each["message"]["text"] for each in inbox(chat, user, **query)["mentions"]]


def read(room: Room, user: str, seq: int) -> None:
    """Moves a user's read position."""
    body = {"last_read_seq": seq, "force": True}
    assert room.chat.api("PUT", f"/v1/channels/{room.id}/read", user=user, body=body).status == 200


# --- posts ---


def test_members_who_are_named_are_told(room: Room) -> None:
    """In the message, in the count, and in their inbox; each once, in the order of the text."""
    seq = room.post("<@grace>, <@eve> and <@grace>: hello <@nobody> <@ >")
    assert room.message(seq)["mentions"] == ["grace", "eve"]
    assert (room.counts("grace"), room.counts("eve"), room.counts("mo")) == ((1, 1), (1, 1), (1, 0))
    (mention,) = inbox(room.chat, "grace")["mentions"]
    assert mention == {"channel_id": room.id, "is_read": False, "message": room.message(seq)}
    assert found(room.chat, "mo") == []


def test_a_text_that_names_no_member_has_no_mentions(room: Room) -> None:
    """The text stays as it is."""
    for text in ("hello", "<@nobody>", "@grace", "<@>", "<grace>", "< @grace>"):
        assert "mentions" not in room.message(room.post(text))
    assert found(room.chat, "grace") == []


def test_naming_oneself_tells_nobody(room: Room) -> None:
    """It is in the message, but neither counted nor in the inbox."""
    seq = room.post("I, <@ada>")
    assert room.message(seq)["mentions"] == ["ada"]
    assert room.counts("ada") == (0, 0)
    assert found(room.chat, "ada") == []


def test_a_batch_tells_of_each_of_its_messages(room: Room) -> None:
    """Each message has its own mentions."""
    body = {"messages": [{"text": "1 <@grace>"}, {"text": "2"}, {"text": "3 <@grace> <@eve>"}]}
    assert room.chat.api("POST", messages(room.id), body=body).status == 201
    assert found(room.chat, "grace") == ["3 <@grace> <@eve>", "1 <@grace>"]
    assert room.counts("grace") == (3, 2)
    assert room.counts("eve") == (3, 1)


def test_a_request_names_fifty_users(chat: Chat) -> None:
    """51 are refused, in one text or over a batch, and nothing is posted; those who are no members count too."""
    crowd = [f"user{number:02}" for number in range(50)]
    room = open_room(chat, *crowd)
    text = "".join(f"<@{user}>" for user in crowd)
    seq = room.post(text)
    assert room.message(seq)["mentions"] == crowd
    room.chat.clock.ms += 60_000
    more = [{"text": text + "<@nobody>"}, {"messages": [{"text": text}, {"text": "<@nobody>"}]}]
    for body in more:
        assert_refused(chat.api("POST", messages(room.id), body=body), 422, "too_many_mentions")
    assert_refused(room.edit(seq, text + "<@nobody>"), 422, "too_many_mentions")
    assert chat.seen(room.id)["last_seq"] == seq
    assert room.counts(crowd[0]) == (1, 1)


def test_a_replayed_post_tells_once(room: Room) -> None:
    """Its key makes it one message."""
    for _ in range(2):
        headers = {"idempotency-key": "k"}
        sent = room.chat.api("POST", messages(room.id), body={"text": "<@grace>"}, headers=headers)
        assert sent.status == 201
    assert room.counts("grace") == (1, 1)


def test_reading_on_ends_the_count_and_keeps_the_inbox(room: Room) -> None:
    """The inbox says which are read; a read position that goes back counts them again."""
    room.post("1 <@grace>")
    room.post("2 <@grace>")
    read(room, "grace", 1)
    assert room.counts("grace") == (1, 1)
    assert [each["is_read"] for each in inbox(room.chat, "grace")["mentions"]] == [False, True]
    read(room, "grace", 2)
    assert room.counts("grace") == (0, 0)
    assert [each["is_read"] for each in inbox(room.chat, "grace")["mentions"]] == [True, True]
    read(room, "grace", 0)
    assert room.counts("grace") == (2, 2)


# --- edits and deletions ---


def test_an_edit_tells_only_the_newly_named(room: Room) -> None:
    """Who was named already has it once, as it is now; who is named no more loses it."""
    seq = room.post("<@grace> <@mo>")
    read(room, "grace", seq)
    room.edit(seq, "<@grace> <@eve>")
    assert room.message(seq)["mentions"] == ["grace", "eve"]
    assert (room.counts("grace"), room.counts("eve"), room.counts("mo")) == ((0, 0), (1, 1), (1, 0))
    assert found(room.chat, "eve") == found(room.chat, "grace") == ["<@grace> <@eve>"]
    assert found(room.chat, "mo") == []
    room.edit(seq, "nobody")
    assert "mentions" not in room.message(seq)
    assert found(room.chat, "grace") == found(room.chat, "eve") == []


def test_an_edit_of_metadata_keeps_the_mentions(room: Room) -> None:
    """They are of the text."""
    seq = room.post("<@grace>")
    assert room.edit(seq, fields={"metadata": {"a": 1}}).json["mentions"] == ["grace"]
    assert room.counts("grace") == (1, 1)


def test_a_deletion_takes_its_mentions_back(room: Room) -> None:
    """NodeBB#7103, social-app#6023: no badge survives the message that it counted."""
    seq = room.post("<@grace> <@ada> <@eve>")
    room.post("2")
    room.delete(seq, "mo")
    assert (room.counts("grace"), room.counts("eve")) == ((1, 0), (1, 0))
    assert found(room.chat, "grace") == []


def test_an_author_is_not_told_by_their_own_edit(room: Room) -> None:
    """As by a post."""
    seq = room.post("x", "grace")
    assert room.edit(seq, "<@grace> <@mo>", "grace").json["mentions"] == ["grace", "mo"]
    assert found(room.chat, "grace") == []
    assert room.delete(seq, "mo").status == 204, "the acting member is named"
    assert found(room.chat, "mo") == []


def test_who_left_is_not_told(room: Room) -> None:
    """Not by posts, nor by edits; that a named member has left stops neither edits nor deletions."""
    one = room.post("<@grace>")
    two = room.post("<@grace> <@eve>")
    room.chat.remove(room.id, "me", "grace")
    three = room.post("<@grace> again")
    assert "mentions" not in room.message(three)
    assert room.edit(one, "<@grace> <@eve>").json["mentions"] == ["eve"]
    assert room.edit(two, "<@eve>").json["mentions"] == ["eve"]
    assert room.delete(two).status == 204
    assert found(room.chat, "eve") == ["<@grace> <@eve>"]
    room.chat.put_member(room.id, "grace", role="member")
    assert found(room.chat, "grace") == []


# --- everybody ---


@pytest.mark.parametrize("text", ["<!channel> lunch", "<!here> lunch", "lunch <!channel> <!here>"])
def test_everybody_is_counted(room: Room, text: str) -> None:
    """For every member but the author; the message says so, and the inbox does not list it."""
    seq = room.post(text, "grace")
    assert room.message(seq)["mentions_everybody"] is True
    assert (room.counts("ada"), room.counts("eve"), room.counts("grace")) == ((1, 1), (1, 1), (0, 0))
    assert found(room.chat, "eve") == []
    read(room, "eve", seq)
    assert room.counts("eve") == (0, 0)


def test_the_latest_three_for_everybody_are_counted(room: Room) -> None:
    """More than three count as three; one that also names a user counts once."""
    for _ in range(5):
        room.post("<!channel>")
    assert room.counts("eve") == (5, 3)
    read(room, "eve", 5)
    room.post("<!channel> <@eve>")
    assert room.counts("eve") == (1, 1)


def test_a_deleted_message_for_everybody_is_not_counted(room: Room) -> None:
    """Nor is it read."""
    seq = room.post("<!channel>")
    room.post("x")
    room.delete(seq)
    assert room.counts("eve") == (1, 0)


def test_nor_is_it_once_many_others_are_deleted(room: Room) -> None:
    """More than the head keeps the positions of."""
    room.post("<!channel>")
    for number in range(12):
        room.post(str(number))
    for seq in range(1, 12):
        room.delete(seq)
    assert room.counts("eve") == (2, 0)


def test_what_counts_for_everybody_is_the_text_that_was_posted(room: Room) -> None:
    """An edit that adds or removes a mention of everybody changes nobody's count."""
    plain, named = room.post("hello"), room.post("<!channel>")
    before = room.counts("eve")
    assert room.edit(plain, "<!channel>").json["mentions_everybody"] is True
    assert "mentions_everybody" not in room.edit(named, "hello").json
    assert room.counts("eve") == before == (2, 1)


def test_members_name_everybody_only_in_small_channels(chat: Chat) -> None:
    """Of more than 50 members only moderators and owners may; a post and an edit are refused alike."""
    crowd = [f"user{number:02}" for number in range(48)]
    room = open_room(chat, *crowd, moderators=("mo",))
    assert chat.seen(room.id)["member_count"] == 50
    seq = room.post("<!channel>", crowd[0])
    other = room.post("x", crowd[0])
    chat.put_member(room.id, "late")
    for text in ("<!channel>", "<!here>"):
        refused = chat.api("POST", messages(room.id), user=crowd[0], body={"text": text})
        assert code(refused) == (403, "forbidden")
        assert code(room.edit(other, text, crowd[0])) == (403, "forbidden")
    assert room.edit(seq, "<!here> again", crowd[0]).status == 200  # It named everybody before.
    assert room.edit(seq, "never mind", crowd[0]).status == 200
    assert code(room.edit(seq, "<!here>", crowd[0])) == (403, "forbidden")
    room.post("<!channel>", "mo")
    room.post("<!here>", "ada")


def test_the_two_of_a_direct_channel_may_name_everybody(chat: Chat) -> None:
    """Both are named by it."""
    room = Room(chat, chat.direct("ada", "grace"))
    room.post("<!channel>")
    assert room.counts("grace") == (1, 1)


# --- the inbox ---


def test_the_inbox_is_newest_first_over_all_channels(chat: Chat) -> None:
    """In pages, each mention once, whatever the limit."""
    rooms = [open_room(chat, "grace") for _ in range(3)]
    for number in range(10):
        rooms[number % 3].post(f"{number} <@grace>")
    expected = [f"{number} <@grace>" for number in range(9, -1, -1)]
    assert found(chat, "grace") == expected
    for limit in (1, 3, 10):
        texts: list[str] = []
        query: dict[str, Any] = {"limit": limit}
        while True:
            page = inbox(chat, "grace", **query)
            texts += [each["message"]["text"] for each in page["mentions"]]
            assert page["has_more"] == (page["next_cursor"] is not None)
            if not page["has_more"]:
                break
            query["cursor"] = page["next_cursor"]
        assert texts == expected


def test_a_message_is_listed_as_it_is_now(room: Room) -> None:
    """Edits and reactions show; its place is by when it was posted."""
    one = room.post("1 <@grace>")
    room.post("2 <@grace>")
    room.edit(one, "one <@grace>")
    room.react(one, user="eve")
    assert [each["message"] for each in inbox(room.chat, "grace")["mentions"]] == [
        room.message(2),
        room.message(1),
    ]


def test_who_may_not_read_the_channel_any_more_is_shown_nothing_of_it(room: Room) -> None:
    """Removed or gone: their inbox forgets the channel, also for who comes back."""
    room.post("secret <@grace>")
    room.chat.remove(room.id, "grace")
    assert inbox(room.chat, "grace") == {"mentions": [], "has_more": False, "next_cursor": None}
    room.chat.put_member(room.id, "grace", role="member")
    assert found(room.chat, "grace") == []


def test_the_latest_fifty_of_a_channel_are_kept(room: Room) -> None:
    """Older ones leave the inbox and the count."""
    for number in range(MAX_KEPT_MENTIONS + 7):
        room.post(f"{number} <@grace>")
    newest = MAX_KEPT_MENTIONS + 6
    assert found(room.chat, "grace", limit=100) == [
        f"{number} <@grace>" for number in range(newest, newest - MAX_KEPT_MENTIONS, -1)
    ]
    assert room.counts("grace") == (MAX_KEPT_MENTIONS + 7, MAX_KEPT_MENTIONS)


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 101}, {"cursor": ""}, {"x": 1}, {"limit": "a"}])
def test_bad_parameters_are_refused(chat: Chat, query: dict[str, Any]) -> None:
    """422 that names the parameter."""
    assert_refused(chat.api("GET", "/v1/mentions", query=query), 422, "validation_failed")


@pytest.mark.parametrize("cursor", ["x", "WzFd", "WzEsImEiXQ", "Wy0xLCJhIl0", "WyJhIiwxXQ"])
def test_a_cursor_of_another_listing_is_refused(chat: Chat, cursor: str) -> None:
    """422 with a code of its own."""
    assert_refused(chat.api("GET", "/v1/mentions", query={"cursor": cursor}), 422, "invalid_cursor")


def test_archived_channels_stay_in_the_inbox(room: Room) -> None:
    """Mentions in archived channels stay in the inbox, as these can still be read."""
    room.post("<@grace>")
    room.chat.archive(room.id)
    assert found(room.chat, "grace") == ["<@grace>"]
