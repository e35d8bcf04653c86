"""Pins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from shared.domain.changes import MAX_PINS
from tests.functions.changing import Room, code, open_room
from tests.functions.refusals import assert_refused

if TYPE_CHECKING:
    from tests.functions.chat import Chat


@pytest.fixture
def room(chat: Chat) -> Room:
    """Ada owns it, grace is a member, mo a moderator."""
    return open_room(chat, "grace", moderators=("mo",))


def test_the_last_pin_comes_first(room: Room) -> None:
    """Each with the message as it is now, and the number of the change that pinned it."""
    one, two, three = room.post("1"), room.post("2", "grace"), room.post("3")
    for seq in (two, three, one):
        assert room.pin(seq, "mo").status == 204
    room.edit(two, "two", "grace")
    found = room.get("/pins", "grace")
    assert found["channel_id"] == room.id
    assert [(each["rev"], each["message"]["text"]) for each in found["pins"]] == [
        (3, "1"),
        (2, "3"),
        (1, "two"),
    ]
    assert found["pins"][2]["message"] == room.message(two)


def test_a_pin_leaves_the_message_as_it_is(room: Room) -> None:
    """Only the change log says who pinned it and when; its changes have no message."""
    seq = room.post()
    before = room.message(seq)
    room.pin(seq, "mo")
    room.unpin(seq)
    assert room.message(seq) == before
    found = room.changes()
    assert [(each["kind"], each["by"], "message" in each) for each in found] == [
        ("pinned", "mo", False),
        ("unpinned", "ada", False),
    ]


def test_pinning_twice_is_pinning_once(room: Room) -> None:
    """204 each time, and the place in the list stays; so is unpinning."""
    one, two = room.post(), room.post()
    room.pin(one)
    room.pin(two)
    for _ in range(2):
        assert room.pin(one).status == 204
    assert room.pins() == [two, one]
    for _ in range(2):
        assert room.unpin(one).status == 204
    assert room.pins() == [two]
    assert len(room.changes()) == 3


def test_members_pin_where_a_setting_lets_them(room: Room) -> None:
    """Off by default; `pin` is among the capabilities of who may."""
    seq = room.post()
    assert code(room.pin(seq, "grace")) == (403, "forbidden")
    assert code(room.unpin(seq, "grace")) == (403, "forbidden")
    assert "pin" not in room.chat.seen(room.id, "grace")["capabilities"]
    assert "pin" in room.chat.seen(room.id, "mo")["capabilities"]
    room.set(members_pin=True)
    assert "pin" in room.chat.seen(room.id, "grace")["capabilities"]
    assert room.chat.seen(room.id)["members_pin"] is True
    assert room.pin(seq, "grace").status == 204
    assert room.unpin(seq, "grace").status == 204
    room.set(members_pin=False)
    assert code(room.pin(seq, "grace")) == (403, "forbidden")


@pytest.mark.parametrize("value", [1, "true", None])
def test_a_bad_setting_is_refused(room: Room, value: object) -> None:
    """`members_pin` is true or false."""
    response = room.chat.api("PATCH", f"/v1/channels/{room.id}", body={"members_pin": value})
    assert_refused(response, 422, "validation_failed")


def test_a_channel_has_fifty_pins(room: Room) -> None:
    """The 51st is refused; pinned ones can be pinned again, and an unpinned one makes room."""
    for number in range(MAX_PINS):
        assert room.pin(room.post(str(number))).status == 204
    room.post()
    assert_refused(room.pin(MAX_PINS + 1), 409, "too_many_pins")
    assert room.pin(1).status == 204
    room.unpin(7)
    assert room.pin(MAX_PINS + 1).status == 204
    assert room.pins() == [MAX_PINS + 1, *(seq for seq in range(MAX_PINS, 0, -1) if seq != 7)]


def test_deleted_messages_give_their_pins_away(room: Room) -> None:
    """They are not listed, and where the 50 are full they are unpinned for the next one."""
    for number in range(MAX_PINS):
        room.pin(room.post(str(number)))
    for _ in range(3):
        room.post()
    room.delete(3)
    room.delete(4)
    assert len(room.pins()) == MAX_PINS - 2
    assert room.pin(MAX_PINS + 1).status == 204
    unpinned = [each["seq"] for each in room.changes(after=MAX_PINS) if each["kind"] == "unpinned"]
    assert sorted(unpinned) == [3, 4]
    assert room.pin(MAX_PINS + 2).status == 204
    assert_refused(room.pin(MAX_PINS + 3), 409, "too_many_pins")
    assert len(room.pins()) == MAX_PINS


def test_a_member_who_may_pin_gives_away_the_pins_of_deleted_messages(room: Room) -> None:
    """A member who may pin may replace the pin of a deleted message when all 50 are used."""
    room.set(members_pin=True)
    for number in range(MAX_PINS + 1):
        room.post(str(number))
        room.pin(number)
    room.pin(MAX_PINS)
    room.delete(1)
    assert room.pin(MAX_PINS + 1, "grace").status == 204


def test_a_channel_without_pins_has_an_empty_list(room: Room) -> None:
    """A channel without pins returns 200 and an empty list."""
    assert room.get("/pins") == {"channel_id": room.id, "pins": []}
