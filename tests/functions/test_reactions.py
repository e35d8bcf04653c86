"""Reactions: which emoji, how many, who is shown, and who reacted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from shared.domain.changes import MAX_EMOJI, SHOWN_USERS
from shared.domain.emoji_table import FULLY_QUALIFIED
from tests.functions.changing import THUMB, Room, code, open_room
from tests.functions.refusals import assert_refused

if TYPE_CHECKING:
    from tests.functions.chat import Chat

CROWD = [f"user{number:02}" for number in range(SHOWN_USERS + 6)]


@pytest.fixture
def room(chat: Chat) -> Room:
    """Ada owns it, grace and eve are members."""
    return open_room(chat, "grace", "eve")


@pytest.fixture
def crowded(chat: Chat) -> tuple[Room, int]:
    """A message to which 26 members have reacted, in the reverse order of their ids."""
    room = open_room(chat, *CROWD)
    seq = room.post()
    for user in reversed(CROWD):
        assert room.react(seq, user=user).status == 200
    return room, seq


def shown(room: Room, seq: int) -> list[tuple[str, int, list[str]]]:
    """The reactions that a message shows."""
    found = room.message(seq).get("reactions", [])
    return [(each["emoji"], each["count"], each["users"]) for each in found]


def test_a_reaction_is_shown_in_the_message(room: Room) -> None:
    """With its count and its users in order; emoji in the order in which they came. The response is the message."""
    seq = room.post(user="grace")
    before = room.message(seq)
    room.react(seq, THUMB, "eve")
    room.react(seq, ":ship_it:", "ada")
    response = room.react(seq, THUMB, "ada")
    assert response.json == room.message(seq)
    assert shown(room, seq) == [(THUMB, 2, ["eve", "ada"]), (":ship_it:", 1, ["ada"])]
    rest = {name: value for name, value in response.json.items() if name not in {"reactions", "rev"}}
    assert rest == before, "a reaction is no edit"


def test_reacting_again_changes_nothing(room: Room) -> None:
    """200 with the message, and one change in the log."""
    seq = room.post()
    first = room.react(seq)
    assert room.react(seq).body == first.body
    assert len(room.changes()) == 1


def test_a_reaction_is_taken_back(room: Room) -> None:
    """204, again too, also by who never reacted; without its last user an emoji is shown no more."""
    seq = room.post()
    room.react(seq, user="grace")
    room.react(seq, user="eve")
    assert room.unreact(seq, user="ada").status == 204
    assert room.unreact(seq, user="grace").status == 204
    assert room.unreact(seq, user="grace").status == 204
    assert shown(room, seq) == [(THUMB, 1, ["eve"])]
    room.unreact(seq, user="eve")
    assert "reactions" not in room.message(seq)
    kinds = [each["kind"] for each in room.changes()]
    assert kinds == ["reaction_added", "reaction_added", "reaction_removed", "reaction_removed"]


def test_a_message_has_twenty_different_emoji(room: Room) -> None:
    """The 21st is refused; those that are there can still be used, and one that leaves makes room."""
    seq = room.post()
    for number in range(MAX_EMOJI):
        assert room.react(seq, f":e{number}:").status == 200
    refused = room.react(seq, ":one_more:", "grace")
    assert_refused(refused, 409, "too_many_reactions")
    assert room.react(seq, ":e7:", "grace").status == 200
    assert room.react(seq, ":e7:", "grace").status == 200, "existing reactions never fail at the limit"
    room.unreact(seq, ":e3:")
    assert room.react(seq, ":one_more:", "grace").status == 200
    assert shown(room, seq)[-1][0] == ":one_more:"


def test_the_first_twenty_users_are_shown(crowded: tuple[Room, int]) -> None:
    """The count is of all; the 21st user and later ones are counted once each."""
    room, seq = crowded
    expected = (THUMB, len(CROWD), CROWD[::-1][:SHOWN_USERS])
    assert shown(room, seq) == [expected]
    before = room.changes(limit=100)
    for user in CROWD:
        assert room.react(seq, user=user).status == 200
    assert shown(room, seq) == [expected]
    assert room.changes(limit=100) == before


def test_who_is_not_shown_takes_a_reaction_back(crowded: tuple[Room, int]) -> None:
    """The count falls, the shown ones stay; again it changes nothing, and they may react again."""
    room, seq = crowded
    for _ in range(2):
        assert room.unreact(seq, user=CROWD[0]).status == 204
        assert shown(room, seq) == [(THUMB, len(CROWD) - 1, CROWD[::-1][:SHOWN_USERS])]
    assert room.react(seq, user=CROWD[0]).json["reactions"][0]["count"] == len(CROWD)


def test_the_earliest_of_the_others_takes_a_free_place(crowded: tuple[Room, int]) -> None:
    """A shown user who leaves is followed by who reacted first of those who are not shown."""
    room, seq = crowded
    order = CROWD[::-1]
    room.unreact(seq, user=order[3])
    kept = [*order[:3], *order[4 : SHOWN_USERS + 1]]
    assert shown(room, seq) == [(THUMB, len(CROWD) - 1, kept)]
    assert sorted(room.reactions(seq)["users"]) == sorted(set(CROWD) - {order[3]})
    for user in CROWD:
        room.unreact(seq, user=user)
    assert "reactions" not in room.message(seq)
    assert room.reactions(seq)["users"] == []


def test_a_deleted_message_has_no_reactions_of_any_user(crowded: tuple[Room, int]) -> None:
    """Nor of those whom it did not show, whose items stay in the storage until the user is erased."""
    room, seq = crowded
    page = room.reactions(seq, limit=SHOWN_USERS)
    room.delete(seq)
    for cursor in ({}, {"cursor": page["next_cursor"]}):
        found = room.reactions(seq, **cursor)
        assert (found["count"], found["users"], found["has_more"]) == (0, [], False)
    assert room.unreact(seq, user=CROWD[0]).status == 204


@pytest.mark.parametrize("limit", [1, 3, 19, 20, 21, 25, 26, 100])
def test_all_who_reacted_are_listed_in_pages(crowded: tuple[Room, int], limit: int) -> None:
    """First those whom the message shows, in their order, then the others by id; each once."""
    room, seq = crowded
    found: list[str] = []
    query: dict[str, Any] = {"limit": limit}
    for _ in range(len(CROWD) + 2):
        page = room.reactions(seq, **query)
        assert (page["emoji"], page["count"]) == (THUMB, len(CROWD))
        assert len(page["users"]) <= limit
        found += page["users"]
        assert page["has_more"] == (page["next_cursor"] is not None)
        if not page["has_more"]:
            break
        query["cursor"] = page["next_cursor"]
    order = CROWD[::-1]
    assert found == [*order[:SHOWN_USERS], *sorted(order[SHOWN_USERS:])]


def test_an_emoji_that_nobody_used_has_an_empty_list(room: Room) -> None:
    """200, as for a message without reactions."""
    seq = room.post()
    empty = {"emoji": THUMB, "count": 0, "users": [], "has_more": False, "next_cursor": None}
    assert room.reactions(seq) == empty
    room.react(seq, ":x:")
    assert room.reactions(seq) == empty


@pytest.mark.parametrize("cursor", ["x", "WzFd", "WzIxLCJhIl0", "Wy0xLCIiXQ", "WzEsIiMiXQ", "WzEsMl0"])
def test_a_cursor_of_another_listing_is_refused(room: Room, cursor: str) -> None:
    """422 with a code of its own."""
    seq = room.post()
    room.react(seq)
    query = {"emoji": THUMB, "cursor": cursor}
    refused = room.chat.api("GET", room.path(seq, "/reactions"), query=query)
    assert_refused(refused, 422, "invalid_cursor")


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("👍", "👍"),
        ("❤️", "❤️"),
        ("❤", "❤️"),
        ("☝🏽", "☝🏽"),
        ("👋🏿", "👋🏿"),
        ("🇩🇪", "🇩🇪"),
        ("🏴󠁧󠁢󠁳󠁣󠁴󠁿", "🏴󠁧󠁢󠁳󠁣󠁴󠁿"),
        ("👨‍👩‍👧‍👦", "👨‍👩‍👧‍👦"),
        ("🧑🏻‍❤️‍💋‍🧑🏿", "🧑🏻‍❤️‍💋‍🧑🏿"),
        ("🧑🏻‍❤‍💋‍🧑🏿", "🧑🏻‍❤️‍💋‍🧑🏿"),
        ("🏳️‍🌈", "🏳️‍🌈"),
        ("🏳‍🌈", "🏳️‍🌈"),
        ("1️⃣", "1️⃣"),
        ("👍️", "👍"),
        (":ship_it:", ":ship_it:"),
        (":+1:", ":+1:"),
        (f":{'a' * 32}:", f":{'a' * 32}:"),
    ],
)  # fmt: skip
def test_one_emoji_is_taken(room: Room, sent: str, kept: str) -> None:
    """RGI sequences with or without variation selectors are one emoji each; shortcodes stay as they are."""
    seq = room.post()
    assert room.react(seq, sent).json["reactions"][0]["emoji"] == kept
    assert room.react(seq, kept).status == 200
    assert len(room.changes()) == 1
    assert room.reactions(seq, sent)["users"] == ["ada"]
    assert room.unreact(seq, sent).status == 204
    assert "reactions" not in room.message(seq)


@pytest.mark.parametrize(
    "sent",
    ["👍👍", "👍🎉", "a", "1", "#", "hello", ":)", "::", ":Ship:", ":a b:", f":{'a' * 33}:", ":a", "🏽", "\u200d",
     "\ufe0f", "🇩", "🇩🇩", "👍 ", " 👍", "👨‍", "💩‍💩", "e\u0301", "\u20e3", "x👍", ":x::y:", "👍" * 30, "ﷺ", ".", "..",
     "%", "\x00"],
)  # fmt: skip
def test_anything_else_is_refused(room: Room, sent: str) -> None:
    """Two emoji, a text, half a flag, a lone modifier: 422 when written and when listed, and nothing changes."""
    seq = room.post()
    for response in (room.react(seq, sent), room.unreact(seq, sent)):
        problem = assert_refused(response, 422, "validation_failed")
        assert [each["field"] for each in problem["errors"]] == ["path.emoji"]
    query = {"emoji": sent}
    assert_refused(room.chat.api("GET", room.path(seq, "/reactions"), query=query), 422, "validation_failed")
    assert room.changes() == []


def test_every_emoji_of_the_table_is_one(room: Room) -> None:
    """Percent-encoded, each fits a path; none is refused (spot check: every 97th)."""
    seq = room.post()
    for emoji in FULLY_QUALIFIED.split()[::97]:
        room.chat.clock.ms += 1_000
        assert room.react(seq, emoji).status == 200, quote(emoji)
        room.unreact(seq, emoji)


def test_a_list_needs_an_emoji(room: Room) -> None:
    """Listing reactions without the parameter `emoji` is refused."""
    seq = room.post()
    assert_refused(room.chat.api("GET", room.path(seq, "/reactions")), 422, "validation_failed")


def test_who_left_keeps_their_reaction(room: Room) -> None:
    """It stays until a user is erased; without being in the channel they cannot take it back."""
    seq = room.post()
    room.react(seq, user="grace")
    room.chat.remove(room.id, "me", "grace")
    assert shown(room, seq) == [(THUMB, 1, ["grace"])]
    assert code(room.unreact(seq, user="grace")) == (403, "not_a_member")
