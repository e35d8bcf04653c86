"""The change log, and what clients see of it in pages and lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.functions.changing import THUMB, Room, open_room
from tests.functions.chat import messages
from tests.functions.refusals import assert_refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.api import Response
    from tests.functions.chat import Chat


@pytest.fixture
def room(chat: Chat) -> Room:
    """Ada owns it, grace is a member, mo a moderator."""
    return open_room(chat, "grace", moderators=("mo",))


def fetch(room: Room, etag: str | None = None, user: str = "grace", **query: Any) -> Response:
    """The response to a request for changes."""
    headers = {"if-none-match": etag} if etag else {}
    return room.chat.api("GET", f"/v1/channels/{room.id}/changes", user=user, query=query, headers=headers)


def page(room: Room, etag: str | None = None, user: str = "grace", **query: Any) -> Response:
    """The response to a request for a page of messages."""
    headers = {"if-none-match": etag} if etag else {}
    return room.chat.api("GET", messages(room.id), user=user, query=query, headers=headers)


def test_a_channel_in_which_nothing_changed_has_an_empty_log(room: Room) -> None:
    """Posts are no changes."""
    room.post()
    assert fetch(room).json == {
        "channel_id": room.id,
        "changes": [],
        "first_rev": 1,
        "last_rev": 0,
        "channel_last_rev": 0,
        "has_more_after": False,
    }


def test_each_change_says_what_who_when_and_where(room: Room) -> None:
    """In their order, dense from 1; reactions with their emoji, pins without the message."""
    one, two = room.post("1"), room.post("2", "grace")
    times = []
    changes: tuple[Callable[[], Response], ...] = (
        lambda: room.edit(one, "one"),
        lambda: room.react(two, user="mo"),
        lambda: room.unreact(two, user="mo"),
        lambda: room.pin(one),
        lambda: room.unpin(one, "mo"),
        lambda: room.delete(two, "mo"),
    )
    for change in changes:
        room.chat.clock.ms += 1_000
        times.append(room.chat.clock.ms)
        change()
    found = room.changes("grace")
    assert [each["rev"] for each in found] == [1, 2, 3, 4, 5, 6]
    assert [(each["kind"], each["seq"], each["by"], each.get("emoji")) for each in found] == [
        ("edited", one, "ada", None),
        ("reaction_added", two, "mo", THUMB),
        ("reaction_removed", two, "mo", THUMB),
        ("pinned", one, "ada", None),
        ("unpinned", one, "mo", None),
        ("deleted", two, "mo", None),
    ]
    assert len({each["at"] for each in found}) == len(times)
    assert sorted(each["at"] for each in found) == [each["at"] for each in found]
    assert found[0]["message_id"] == room.message(one)["id"]
    assert found[0]["message"] == room.message(one)
    assert found[5]["message"] == room.message(two)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_pages_follow_each_other_without_a_gap(room: Room, limit: int) -> None:
    """`after` the last number of each page; the last page says that there are no more."""
    for number in range(3):
        room.post(str(number))
    for number in range(7):
        room.react(number % 3 + 1, f":e{number}:")
    found: list[int] = []
    after = 0
    while True:
        got = room.get("/changes", "grace", after=after, limit=limit)
        assert (got["first_rev"], got["channel_last_rev"]) == (after + 1, 7)
        assert got["last_rev"] == min(7, after + limit)
        found += [each["rev"] for each in got["changes"]]
        after = got["last_rev"]
        assert got["has_more_after"] == (after < 7)
        if not got["has_more_after"]:
            break
    assert found == list(range(1, 8))


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_only_the_latest_change_of_a_message_has_it(room: Room, limit: int) -> None:
    """So that nobody reads a text from the log that was edited or deleted since, however the pages are cut."""
    one, two = room.post("secret 1"), room.post("secret 2")
    room.react(one, user="grace")
    room.edit(one, "secret 3")
    room.edit(two, "fine")
    room.pin(one)
    room.react(two, user="grace")
    room.delete(one)
    bodies: list[str] = []
    found: list[dict[str, Any]] = []
    for after in range(0, 6, limit):
        response = fetch(room, after=after, limit=limit)
        bodies.append(response.body)
        found += response.json["changes"]
    assert {each["rev"]: each["message"] for each in found if "message" in each} == {
        5: room.message(two),
        6: room.message(one),
    }
    assert "secret" not in "".join(bodies)


@pytest.mark.parametrize(
    "query", [{"after": -1}, {"after": "x"}, {"limit": 0}, {"limit": 101}, {"before": 1}]
)
def test_bad_parameters_are_refused(room: Room, query: dict[str, Any]) -> None:
    """422 that names the parameter."""
    assert_refused(fetch(room, **query), 422, "validation_failed")


def test_a_number_beyond_the_end_is_refused(room: Room) -> None:
    """422 with a code of its own; the end itself is an empty page."""
    seq = room.post()
    room.react(seq)
    assert fetch(room, after=1).json["changes"] == []
    assert_refused(fetch(room, after=2), 422, "position_out_of_range")


def test_a_page_of_changes_is_304_until_something_changes(room: Room) -> None:
    """Its `ETag` names what it holds; a full page that more changes follow has another one than before."""
    seq = room.post()
    room.react(seq)
    first = fetch(room, after=0, limit=1)
    assert first.headers["cache-control"] == "private, no-cache"
    tag = first.headers["etag"]
    again = fetch(room, tag, after=0, limit=1)
    assert (again.status, again.body, again.headers["etag"]) == (304, "", tag)
    room.post()
    assert fetch(room, tag, after=0, limit=1).status == 304, "a post is no change"
    assert fetch(room, tag, after=1, limit=1).status == 200, "another page"
    room.react(seq, user="mo")
    assert fetch(room, tag, after=0, limit=1).status == 200


def test_a_page_of_messages_is_304_until_something_changes(room: Room) -> None:
    """Each kind of change gives pages a new `ETag`, and states its number."""
    seq = room.post()
    room.post()
    tag = page(room).headers["etag"]
    changes: tuple[Callable[[], Response], ...] = (
        lambda: room.edit(seq, "x"),
        lambda: room.react(seq),
        lambda: room.pin(seq),
        lambda: room.delete(seq),
    )
    for number, change in enumerate(changes, start=1):
        assert page(room, tag).status == 304
        change()
        fresh = page(room, tag)
        assert (fresh.status, fresh.json["channel_last_rev"]) == (200, number)
        assert fresh.json["messages"][0] == room.message(seq)
        assert fresh.headers["etag"] != tag
        tag = fresh.headers["etag"]


def test_an_old_page_is_304_only_as_long_as_nothing_changed(room: Room) -> None:
    """Also one that ends before the channel does, and the page at the first unread message."""
    for number in range(4):
        room.post(str(number))
    for query in ({"before": 3}, {"after": 0, "limit": 2}, {"around": 2}, {"anchor": "first_unread"}):
        tag = page(room, **query).headers["etag"]
        assert page(room, tag, **query).status == 304
        room.react(1, f":{next(iter(query))}:")
        assert page(room, tag, **query).status == 200


def test_lists_and_channels_show_the_last_number(room: Room) -> None:
    """A client that knows a smaller one asks for the changes after that."""
    seq = room.post()
    room.react(seq)
    room.pin(seq)
    assert room.chat.seen(room.id, "grace")["last_rev"] == 2
    assert room.chat.listing("grace")["channels"][0]["last_rev"] == 2


def test_what_a_compressed_page_shows_follows_changes(room: Room) -> None:
    """A page that is cached in encoded form is not used after a change."""
    for number in range(12):
        room.post(f"{number} {'text ' * 60}")
    headers = {"accept-encoding": "gzip"}

    def compressed() -> Response:
        return room.chat.api("GET", messages(room.id), user="grace", headers=headers)

    first = compressed()
    assert first.headers["content-encoding"] == "gzip"
    assert compressed().body == first.body
    room.delete(5)
    assert compressed().json["messages"][4] == room.message(5)
    assert compressed().body == page(room).body


def test_changes_are_compressed_on_request(room: Room) -> None:
    """The same JSON in fewer bytes."""
    seq = room.post("text " * 200)
    room.react(seq)
    response = room.chat.api("GET", f"/v1/channels/{room.id}/changes", headers={"accept-encoding": "gzip"})
    assert response.headers["content-encoding"] == "gzip"
    assert response.json == fetch(room).json


@pytest.mark.parametrize("path", ["/changes", "/pins"])
def test_who_may_not_read_learns_nothing(chat: Chat, path: str) -> None:
    """403 in a public channel, 404 in any other, as for messages; 401 without a token."""
    for kind, status, code in (("public", 403, "not_a_member"), ("private", 404, "channel_not_found")):
        room = open_room(chat, kind=kind)
        assert_refused(chat.api("GET", f"/v1/channels/{room.id}{path}", user="eve"), status, code)
        assert chat.api("GET", f"/v1/channels/{room.id}{path}", user=None).status == 401


def test_deleted_replies_are_not_counted(room: Room) -> None:
    """stream-chat-flutter#1149, #1409, stream-chat-js#1328 complain that a count still has deleted messages.

    There are no threads yet; every count that there is leaves deleted messages out.
    """
    for number in range(4):
        room.post(f"<@grace> {number}")
    room.chat.api(
        "PUT", f"/v1/channels/{room.id}/read", user="grace", body={"last_read_seq": 0, "force": True}
    )
    room.delete(2)
    room.delete(4)
    assert room.counts("grace") == (2, 2)
    body = {"last_read_seq": 1}
    marked = room.chat.api("PUT", f"/v1/channels/{room.id}/read", user="grace", body=body).json
    assert marked["unread_count"] == 1


def test_what_happened_while_offline_is_not_lost(room: Room) -> None:
    """stoatchat#941: edits and deletions made while a client is offline reach it, however late it asks."""
    one, two, three = room.post("1"), room.post("2"), room.post("3")
    known = room.get("/changes", "grace")["channel_last_rev"]
    room.edit(one, "one")
    room.delete(two)
    room.react(three)
    room.chat.clock.ms += 400 * 24 * 3_600_000
    found = room.changes("grace", after=known)
    assert [(each["kind"], each["seq"]) for each in found] == [
        ("edited", one),
        ("deleted", two),
        ("reaction_added", three),
    ]
    assert [each["message"] for each in found] == [room.message(seq) for seq in (one, two, three)]


def test_no_message_is_lost_after_a_reconnect(room: Room) -> None:
    """mattermost#16505: what was posted, and deleted, while a client was away is in the page after its position."""
    room.post("1")
    known = page(room).json["last_seq"]
    room.post("2")
    room.delete(1)
    room.post("3")
    room.delete(2)
    found = page(room, after=known).json
    assert [(each["seq"], each["text"]) for each in found["messages"]] == [(2, ""), (3, "3")]
    assert found["channel_last_rev"] == 2
