"""Fetching messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shared.domain.model import Preview
from tests.cases import case
from tests.functions.chat import messages, texts

if TYPE_CHECKING:
    from shared.storage.memory import MemoryStore
    from tests.api import Response
    from tests.functions.chat import Chat

SIZES = range(7)
LIMITS = (1, 2, 3, 6, 50)


def check(page: dict[str, Any], first: int, last: int, end: int) -> None:
    """A page that covers exactly these positions, in a channel without voids."""
    assert [message["seq"] for message in page["messages"]] == list(range(first, last + 1))
    assert (page["first_seq"], page["last_seq"], page["channel_last_seq"]) == (first, last, end)
    assert page["has_more_before"] == (first > 1)
    assert page["has_more_after"] == (last < end)


def test_the_latest_messages_come_unless_said_otherwise(chat: Chat) -> None:
    """Without a place the page is the end of the channel, as with `anchor=latest`."""
    for size in SIZES:
        with case(size):
            channel = chat.channel()
            chat.fill(channel, size)
            for limit in LIMITS:
                page = chat.page(channel, limit=limit)
                check(page, max(1, size - limit + 1), size, size)
                assert page == chat.page(channel, limit=limit, anchor="latest")


def test_before_takes_the_nearest_earlier_messages(chat: Chat) -> None:
    """`before` is exclusive, and may be one beyond the end."""
    for size in SIZES:
        with case(size):
            channel = chat.channel()
            chat.fill(channel, size)
            for limit in LIMITS:
                for before in range(1, size + 2):
                    check(
                        chat.page(channel, limit=limit, before=before),
                        max(1, before - limit),
                        before - 1,
                        size,
                    )


def test_after_takes_the_nearest_later_messages(chat: Chat) -> None:
    """`after` is exclusive, from 0 (all) to the end (nothing yet)."""
    for size in SIZES:
        with case(size):
            channel = chat.channel()
            chat.fill(channel, size)
            for limit in LIMITS:
                for after in range(size + 1):
                    check(
                        chat.page(channel, limit=limit, after=after),
                        after + 1,
                        min(size, after + limit),
                        size,
                    )


def test_around_has_the_message_in_a_full_page(chat: Chat) -> None:
    """`around` is in the page, which is as full as the channel allows, also at both ends."""
    for size in SIZES:
        with case(size):
            channel = chat.channel()
            chat.fill(channel, size)
            for limit in LIMITS:
                for around in range(1, max(size, 1) + 1):
                    page = chat.page(channel, limit=limit, around=around)
                    check(page, page["first_seq"], page["last_seq"], size)
                    assert len(page["messages"]) == min(limit, size)
                    assert not size or page["first_seq"] <= around <= page["last_seq"]


def test_around_is_in_the_middle(chat: Chat) -> None:
    """As much is shown before the message as after it, where there is as much."""
    channel = chat.channel()
    chat.fill(channel, 9)
    assert texts(chat.page(channel, around=5, limit=5)) == ["3", "4", "5", "6", "7"]


def test_the_oldest_messages_are_the_start(chat: Chat) -> None:
    """`anchor=oldest` is the channel's beginning."""
    for size in SIZES:
        with case(size):
            channel = chat.channel()
            chat.fill(channel, size)
            for limit in LIMITS:
                check(chat.page(channel, limit=limit, anchor="oldest"), 1, min(size, limit), size)


def test_first_unread_shows_where_reading_stopped(chat: Chat) -> None:
    """`anchor=first_unread` has the first unread message in it, or the end where there is none."""
    for read in range(7):
        with case(read):
            channel = chat.channel("grace")
            chat.fill(channel, 6)
            chat.api("PUT", f"/v1/channels/{channel}/read", user="grace", body={"last_read_seq": read})
            for limit in LIMITS:
                page = chat.page(channel, "grace", anchor="first_unread", limit=limit)
                check(page, page["first_seq"], page["last_seq"], 6)
                assert len(page["messages"]) == min(limit, 6)
                assert page["first_seq"] <= min(read + 1, 6) <= page["last_seq"]


def test_walking_visits_each_message_once(chat: Chat) -> None:
    """Forward from the start and backward from the end, all messages come once and in order."""
    for limit in [1, 2, 3, 7, 22, 23, 100]:
        with case(limit):
            channel = chat.channel()
            chat.fill(channel, 23)
            every = [str(number) for number in range(1, 24)]
            page = chat.page(channel, limit=limit, anchor="oldest")
            forward = texts(page)
            while page["has_more_after"] and len(forward) < 30:
                page = chat.page(channel, limit=limit, after=page["last_seq"])
                forward += texts(page)
            page = chat.page(channel, limit=limit)
            backward = texts(page)
            while page["has_more_before"] and len(backward) < 30:
                page = chat.page(channel, limit=limit, before=page["first_seq"])
                backward = texts(page) + backward
            assert forward == every
            assert backward == every


def test_a_page_has_50_messages_unless_said_otherwise(chat: Chat) -> None:
    """The limit is 50 by default, and at most 100."""
    channel = chat.channel()
    chat.fill(channel, 101)
    check(chat.page(channel), 52, 101, 101)
    check(chat.page(channel, limit=100), 2, 101, 101)


def test_a_message_is_what_its_sender_got(chat: Chat) -> None:
    """Every reader gets the message that the sender got."""
    channel = chat.channel("grace")
    posted = chat.post(channel, "Zwölf Boxkämpfer 🥊\n\tjagen")
    assert chat.page(channel, "grace")["messages"] == [posted]
    assert chat.page(channel)["channel_id"] == channel


@pytest.mark.parametrize(
    ("query", "position"),
    [({"before": 5}, "before"), ({"after": 4}, "after"), ({"around": 4}, "around")],
)
def test_a_position_beyond_the_end_is_refused(chat: Chat, query: dict[str, int], position: str) -> None:
    """A position of the future is no empty page, for it would be taken for the end."""
    channel = chat.channel()
    chat.fill(channel, 3)
    response = chat.api("GET", messages(channel), query=query)
    assert (response.status, response.code) == (422, "position_out_of_range")
    assert response.json["errors"][0]["field"] == f"query.{position}"


def test_a_non_member_reads_no_messages(chat: Chat) -> None:
    """A public channel is joined before it is read."""
    channel = chat.channel()
    message = chat.post(channel)
    for path in (messages(channel), f"{messages(channel)}/{message['id']}"):
        response = chat.api("GET", path, user="grace")
        assert (response.status, response.code) == (403, "not_a_member")


# --- conditional requests ---


def ask(chat: Chat, channel: str, tag: str, user: str = "ada", **query: Any) -> Response:
    """The response to a reader who has a page with this tag."""
    return chat.api("GET", messages(channel), user=user, query=query, headers={"if-none-match": tag})


def test_a_page_that_is_still_right_is_not_sent_again(chat: Chat) -> None:
    """`If-None-Match` with the page's tag gets a 304 without a body until a message is posted."""
    channel = chat.channel()
    chat.post(channel)
    page = chat.api("GET", messages(channel))
    tag = page.headers["etag"]
    assert tag.startswith('W/"')
    assert page.headers["cache-control"] == "private, no-cache"
    again = ask(chat, channel, tag)
    assert (again.status, again.body, again.headers["etag"]) == (304, "", tag)
    chat.post(channel)
    changed = ask(chat, channel, tag)
    assert changed.status == 200
    assert changed.headers["etag"] != tag


def test_any_of_the_callers_tags_counts(chat: Chat) -> None:
    """`If-None-Match` may be a list, or `*`."""
    for form in ["{}", '"a", {}', 'W/"x",{} , "y"', "*"]:
        with case(form):
            channel = chat.channel()
            tag = chat.api("GET", messages(channel)).headers["etag"]
            assert ask(chat, channel, form.format(tag)).status == 304


def test_the_comparison_of_tags_is_weak(chat: Chat) -> None:
    """A tag whose mark of weakness got lost on the way still counts."""
    channel = chat.channel()
    tag = chat.api("GET", messages(channel)).headers["etag"]
    assert ask(chat, channel, tag.removeprefix("W/")).status == 304


def test_a_foreign_tag_gets_the_page(chat: Chat) -> None:
    """A tag of something else is no reason for a 304, nor for an error."""
    for tag in ["", '"x"', "nonsense", 'W/"', '"*"', "é", '"1.', ",,,"]:
        with case(tag):
            assert ask(chat, chat.channel(), tag).status == 200


def test_what_the_caller_read_is_part_of_first_unreads_tag(chat: Chat) -> None:
    """Reading on moves the page of `first_unread`, so its tag changes too."""
    channel = chat.channel("grace")
    chat.fill(channel, 3)
    page = chat.api("GET", messages(channel), user="grace", query={"anchor": "first_unread", "limit": 1})
    tag = page.headers["etag"]
    assert ask(chat, channel, tag, "grace", anchor="first_unread", limit=1).status == 304
    chat.api("PUT", f"/v1/channels/{channel}/read", user="grace", body={"last_read_seq": 2})
    moved = ask(chat, channel, tag, "grace", anchor="first_unread", limit=1)
    assert (moved.status, texts(moved.json)) == (200, ["3"])


def test_a_tag_does_not_let_a_stranger_in(chat: Chat) -> None:
    """Access is decided before tags are compared."""
    assert ask(chat, chat.channel(kind="private"), "*", "grace").status == 404
    assert ask(chat, chat.channel(), "*", "grace").status == 403


# --- holes ---


def reserve(chat: Chat, store: MemoryStore, channel: str) -> None:
    """A position that is given out and not written."""
    store.reserve(channel, 1, Preview(0, "ada", "on its way", chat.clock.ms))


def test_a_page_ends_before_a_message_that_is_being_written(chat: Chat, store: MemoryStore) -> None:
    """The open end is left for the next poll, which `has_more_after` does not promise anything of yet."""
    channel = chat.channel()
    chat.fill(channel, 2)
    reserve(chat, store, channel)
    page = chat.page(channel)
    assert (texts(page), page["last_seq"], page["channel_last_seq"]) == (["1", "2"], 2, 3)
    assert page["has_more_after"] is False


def test_a_page_with_an_open_end_is_asked_for_again(chat: Chat, store: MemoryStore) -> None:
    """The tag of a page that is not complete never makes a 304."""
    channel = chat.channel()
    chat.fill(channel, 2)
    reserve(chat, store, channel)
    tag = chat.api("GET", messages(channel)).headers["etag"]
    assert ask(chat, channel, tag).status == 200


def test_a_void_is_covered_and_not_shown(chat: Chat, store: MemoryStore) -> None:
    """A position whose writer failed is settled when a later message is read, and stays so."""
    channel = chat.channel()
    chat.fill(channel, 1)
    reserve(chat, store, channel)
    chat.post(channel, "3")
    page = chat.page(channel)
    assert (texts(page), page["first_seq"], page["last_seq"]) == (["1", "3"], 1, 3)
    after = chat.page(channel, after=1, limit=1)
    assert (texts(after), after["first_seq"], after["last_seq"]) == (["3"], 2, 3)
    assert chat.page(channel) == page


# --- one message ---


def test_a_message_is_found_by_its_id(chat: Chat) -> None:
    """A message alone is the same as on its page."""
    channel = chat.channel()
    chat.fill(channel, 3)
    for message in chat.page(channel)["messages"]:
        response = chat.api("GET", f"{messages(channel)}/{message['id']}")
        assert (response.status, response.json) == (200, message)


def test_ids_sort_as_the_messages_do(chat: Chat) -> None:
    """Ids sort in commit order, also where the number of digits grows."""
    channel = chat.channel()
    chat.fill(channel, 40)
    ids = [message["id"] for message in chat.page(channel)["messages"]]
    assert ids == sorted(ids)
    assert len(set(ids)) == 40


def test_an_unknown_message_is_not_found(chat: Chat) -> None:
    """Ids of the future, of other channels, and of nothing are all 404."""
    for place in ["{c}-00000002", "{c}-00000000", "{c}-vvvvvvvv", "{c}", "x", "{other}", "-"]:
        with case(place):
            channel = chat.channel()
            chat.post(channel)
            other = chat.post(chat.channel())["id"]
            response = chat.api("GET", f"{messages(channel)}/{place.format(c=channel, other=other)}")
            assert (response.status, response.code) == (404, "message_not_found")


def test_a_void_is_no_message(chat: Chat, store: MemoryStore) -> None:
    """A position without a message has none by id either."""
    channel = chat.channel()
    reserve(chat, store, channel)
    last = chat.post(channel)["id"]
    response = chat.api("GET", f"{messages(channel)}/{last[:-1]}1")
    assert (response.status, response.code) == (404, "message_not_found")
