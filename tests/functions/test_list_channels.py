"""Listing channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.cases import case

if TYPE_CHECKING:
    from tests.functions.chat import Chat

MANY_PAGES = 20


def names(page: dict[str, Any]) -> list[str]:
    """The names on a page."""
    return [channel["name"] for channel in page["channels"]]


def walk(chat: Chat, user: str = "ada", **query: Any) -> list[str]:
    """The names on all pages."""
    found: list[str] = []
    cursor: dict[str, str] = {}
    for _ in range(MANY_PAGES):
        page = chat.listing(user, **query, **cursor)
        found += names(page)
        assert page["has_more"] == (page["next_cursor"] is not None)
        if not page["has_more"]:
            return found
        cursor = {"cursor": page["next_cursor"]}
    raise AssertionError("the pages do not end")


def test_a_user_without_channels_has_an_empty_list(chat: Chat) -> None:
    """A list without channels is a list."""
    assert chat.listing() == {"channels": [], "has_more": False, "next_cursor": None}


def test_a_channel_says_all_that_a_list_shows(chat: Chat) -> None:
    """A channel in the list has the fields that the design names, and no others."""
    channel = chat.channel("grace")
    message = chat.post(channel, "Hello, Grace!")
    (listed,) = chat.listing("grace")["channels"]
    assert listed == chat.seen(channel, "grace")
    assert listed == {
        "id": channel,
        "name": "lobby",
        "topic": "",
        "kind": "public",
        "creator": "ada",
        "created_at": "2026-11-23T18:44:24.000Z",
        "archived": False,
        "slow_mode": 0,
        "edit_window": None,
        "members_pin": False,
        "show_reads": True,
        "retention_days": None,
        "expired_before": None,
        "version": 1,
        "member_count": 2,
        "last_seq": 1,
        "last_rev": 0,
        "last_message": {
            "id": message["id"],
            "seq": 1,
            "text": "Hello, Grace!",
            "sender": "ada",
            "created_at": "2026-11-23T18:44:25.000Z",
        },
        "last_read_seq": 0,
        "unread_count": 1,
        "mention_count": 0,
        "muted": False,
        "role": "member",
        "blocked": False,
        "capabilities": ["read", "post", "react", "leave"],
    }


def test_the_preview_is_the_start_of_the_text(chat: Chat) -> None:
    """A preview has at most 100 characters and 140 bytes, and cuts no grapheme: no flag, no family, no accent."""
    for text, shown in [
        *[("x" * 101, "x" * 100), ("é" * 71, "é" * 70), ("😀" * 36, "😀" * 35), ("x" * 100, "x" * 100)],
        ("🇩🇪" * 50, "🇩🇪" * 17),
        ("x" + "👨\u200d👩\u200d👧\u200d👦" * 9, "x" + "👨\u200d👩\u200d👧\u200d👦" * 5),
        ("x" * 99 + "e\u0301", "x" * 99),
        ("x" * 99 + "\r\n", "x" * 99),
        ("👍🏿" * 30, "👍🏿" * 17),
    ]:
        with case(text, shown):
            chat.post(chat.channel(), text)
            assert chat.listing()["channels"][0]["last_message"]["text"] == shown


def test_the_latest_activity_comes_first(chat: Chat) -> None:
    """A message moves its channel to the front; a channel without any counts from its creation."""
    first, second = chat.create(name="first")["id"], chat.create(name="second")["id"]
    chat.post(second)
    chat.post(first)
    chat.clock.ms += 1_000
    chat.create(name="third")
    assert names(chat.listing()) == ["third", "first", "second"]


def test_pages_have_every_channel_once(chat: Chat) -> None:
    """Turning pages loses no channel and doubles none, also among channels of the same moment."""
    for number in range(7):
        chat.create(name=f"channel {number}")
        chat.clock.ms += number % 2
    for limit in [1, 2, 3, 6, 7, 8]:
        with case(limit):
            assert walk(chat, limit=limit) == names(chat.listing())
            assert len(walk(chat, limit=limit)) == 7


def test_a_page_has_50_channels_unless_said_otherwise(chat: Chat) -> None:
    """The limit is 50 by default, and at most 100."""
    for number in range(51):
        chat.create(name=f"channel {number}")
    assert len(chat.listing()["channels"]) == 50
    assert len(chat.listing(limit=100)["channels"]) == 51


def test_activity_between_two_pages_loses_no_channel(chat: Chat) -> None:
    """A channel that becomes active between two pages moves to the first page; all others are still seen."""
    ids = []
    for number in range(4):
        ids.append(chat.create(name=f"channel {number}")["id"])
        chat.clock.ms += 1_000
    page = chat.listing(limit=2)
    assert names(page) == ["channel 3", "channel 2"]
    chat.post(ids[1])
    assert names(chat.listing(limit=2, cursor=page["next_cursor"])) == ["channel 0"]
    assert names(chat.listing(limit=1)) == ["channel 1"]


def test_unread_only_leaves_out_what_is_read(chat: Chat) -> None:
    """With `unread_only` the list has the channels with unread messages."""
    read, unread = chat.create(name="read", members=["grace"]), chat.create(name="unread", members=["grace"])
    chat.post(unread["id"])
    assert names(chat.listing("grace", unread_only="true")) == ["unread"]
    assert names(chat.listing("ada", unread_only="true")) == []
    assert len(chat.listing("grace", unread_only="false")["channels"]) == 2
    chat.post(read["id"])
    assert names(chat.listing("grace", unread_only="true", limit=1)) == ["read"]


def test_a_filtered_list_has_pages_too(chat: Chat) -> None:
    """Cursor and filter go together."""
    for number in range(6):
        chat.create(name=f"channel {number}", kind="private" if number % 2 else "public")
    assert sorted(walk(chat, limit=2, kind="private")) == ["channel 1", "channel 3", "channel 5"]


def test_kind_leaves_out_other_kinds(chat: Chat) -> None:
    """With `kind` the list has the channels of that kind."""
    chat.create(kind="public")
    chat.create(kind="private")
    chat.direct("ada", "grace")
    for kind in ["public", "private", "direct"]:
        with case(kind):
            assert [channel["kind"] for channel in chat.listing(kind=kind)["channels"]] == [kind]


def test_the_list_is_the_callers_own(chat: Chat) -> None:
    """A user's list has no channel in which they are not a member."""
    chat.create(name="ada's")
    assert names(chat.listing("grace")) == []


def test_an_archived_channel_stays_in_its_members_list(chat: Chat) -> None:
    """Members still find an archived channel, marked as archived; they may only read, leave and unarchive it."""
    chat.archive(chat.channel())
    (channel,) = chat.listing()["channels"]
    assert channel["archived"] is True
    assert channel["capabilities"] == ["read", "leave", "archive"]


def test_public_channels_are_those_one_may_join(chat: Chat) -> None:
    """`scope=public` leaves out what is joined, archived, private or direct."""
    chat.create(name="open")
    chat.create(name="joined", members=["grace"])
    chat.create(name="hidden", kind="private")
    chat.direct("ada", "linus")
    chat.archive(chat.create(name="archived")["id"])
    page = chat.listing("grace", scope="public")
    assert names(page) == ["open"]
    assert page["channels"][0]["capabilities"] == ["join"]


def test_public_channels_tell_nothing_of_what_is_said_there(chat: Chat) -> None:
    """A user who is not a member of a public channel sees the channel, not its messages."""
    chat.post(chat.channel(), "among us")
    (channel,) = chat.listing("grace", scope="public")["channels"]
    own = ("last_message", "last_read_seq", "unread_count", "role")
    assert [channel[name] for name in own] == [None, None, None, None]


def test_public_channels_come_by_name_on_pages_without_loss(chat: Chat) -> None:
    """Pages of public channels have each once, by name without case, also where some are left out."""
    for name in ["delta", "Bravo", "alpha", "charlie", "alpha"]:
        chat.create(name=name)
    chat.create(name="between", members=["grace"])
    for limit in [1, 2, 3, 5, 6]:
        with case(limit):
            assert walk(chat, "grace", scope="public", limit=limit) == [
                "alpha",
                "alpha",
                "Bravo",
                "charlie",
                "delta",
            ]


def test_public_channels_come_by_their_whole_name(chat: Chat) -> None:
    """Names with a common beginning are compared to their ends, and a shorter name comes first."""
    ordered = ["engineering-team-a", "Engineering-Team-B", "engineering-team-c"]
    ordered += ["ops", "Ops a", "ops!", *(f"release notes 2026-0{month}" for month in (1, 2, 3))]
    for name in reversed(ordered):
        chat.create(name=name)
    assert walk(chat, "grace", scope="public", limit=2) == ordered


@pytest.mark.parametrize(("scope", "other"), [("mine", "public"), ("public", "mine")])
def test_a_cursor_of_another_listing_is_refused(chat: Chat, scope: str, other: str) -> None:
    """The two lists have cursors of their own."""
    for name in ["alpha", "bravo"]:
        chat.create(name=name)
        chat.create("grace", name=name)
    cursor = chat.listing(scope=other, limit=1)["next_cursor"]
    response = chat.api("GET", "/v1/channels", query={"scope": scope, "cursor": cursor})
    assert (response.status, response.code) == (422, "invalid_cursor")


def test_hundreds_of_channels_are_all_listed(chat: Chat) -> None:
    """More channels than one call to the storage returns are listed, each once, cached or not."""
    made = [chat.channel() for _ in range(205)]
    for _ in range(2):
        found: list[str] = []
        cursor: dict[str, str] = {}
        while len(found) < len(made):
            page = chat.listing(limit=100, **cursor)
            found += [channel["id"] for channel in page["channels"]]
            cursor = {"cursor": page["next_cursor"]}
        assert sorted(found) == sorted(made)
        assert not page["has_more"]
