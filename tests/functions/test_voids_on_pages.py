"""Pages of windows that hold no message: they reach to the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from shared.domain.model import Entry, Preview
from shared.storage.log_reader import DEAD_MS
from shared.use_cases.fetch_messages import WIDER
from tests.cases import case
from tests.functions.chat import messages, texts

if TYPE_CHECKING:
    from shared.storage.memory import MemoryStore
    from tests.functions.chat import Chat


def give_up(chat: Chat, store: MemoryStore, channel: str, count: int) -> None:
    """Posts that were not committed, whose positions were settled as voids."""
    head = store.head(channel)
    assert head is not None
    for first in range(head.seq + 1, head.seq + count + 1, 25):
        seqs = range(first, min(first + 25, head.seq + count + 1))
        store.reserve(channel, len(seqs), Preview(0, "ada", "never came", chat.clock.ms))
        store.void(channel, [Entry(seq, seq, chat.clock.ms, None) for seq in seqs])


def hold_up(chat: Chat, store: MemoryStore, channel: str, count: int) -> None:
    """A batch that is on its way."""
    store.reserve(channel, count, Preview(0, "ada", "on its way", chat.clock.ms))


@pytest.fixture
def channel(chat: Chat, store: MemoryStore) -> str:
    """Messages 1 to 10, voids 11 to 310, messages 311 to 320, of ada's; grace is a member."""
    channel = chat.channel("grace")
    chat.fill(channel, 10)
    give_up(chat, store, channel, 300)
    chat.fill(channel, 10)
    return channel


def said(page: dict[str, Any]) -> tuple[list[int], int, int]:
    """Which messages a page has, and what it covers."""
    return [each["seq"] for each in page["messages"]], page["first_seq"], page["last_seq"]


def test_a_window_of_voids_reaches_back_to_messages(chat: Chat, channel: str) -> None:
    """Before a position: as many as fit, without a gap up to the position."""
    page = chat.page(channel, before=311, limit=3)
    assert said(page) == ([8, 9, 10], 8, 310)
    assert (page["has_more_before"], page["has_more_after"]) == (True, True)
    assert said(chat.page(channel, before=300, limit=50))[0] == list(range(1, 11))


def test_a_window_of_voids_reaches_forward_to_messages(chat: Chat, channel: str) -> None:
    """After a position: a poller continues from the last position that was covered."""
    page = chat.page(channel, after=10, limit=3)
    assert said(page) == ([311, 312, 313], 11, 313)
    assert (page["has_more_before"], page["has_more_after"]) == (True, True)
    assert said(chat.page(channel, after=313, limit=50)) == ([*range(314, 321)], 314, 320)


@pytest.mark.parametrize("query", [{"around": 200}, {"anchor": "first_unread"}])
def test_a_window_around_a_void_reaches_back(chat: Chat, channel: str, query: dict[str, Any]) -> None:
    """A window around a void also shows the messages before it."""
    chat.api("PUT", f"/v1/channels/{channel}/read", user="grace", body={"last_read_seq": 200})
    messages, first, last = said(chat.page(channel, "grace", limit=4, **query))
    assert messages == [7, 8, 9, 10]
    assert first == 7
    assert 200 <= last <= 203


def test_the_last_page_is_not_empty(chat: Chat, store: MemoryStore) -> None:
    """However many voids follow the latest message; the page's ETag works as usual."""
    for voids in [1, 60, WIDER, WIDER + 1, 260]:
        with case(voids):
            channel = chat.channel()
            chat.post(channel, "hello")
            give_up(chat, store, channel, voids)
            response = chat.api("GET", messages(channel))
            assert texts(response.json) == ["hello"]
            assert said(response.json) == ([1], 1, voids + 1)
            again = chat.api("GET", messages(channel), headers={"If-None-Match": response.headers["etag"]})
            assert again.status == 304


def test_batches_on_their_way_do_not_hide_what_was_said(chat: Chat, store: MemoryStore) -> None:
    """As many voids as a page has positions: it shows the messages before them, and says where it ends."""
    channel = chat.channel()
    chat.fill(channel, 10)
    for _ in range(3):
        hold_up(chat, store, channel, 25)
    response = chat.api("GET", messages(channel), query={"limit": 4})
    assert said(response.json) == ([7, 8, 9, 10], 7, 10)
    assert (response.json["channel_last_seq"], response.json["has_more_after"]) == (85, False)
    chat.clock.ms += DEAD_MS + 1
    known = {"If-None-Match": response.headers["etag"]}
    response = chat.api("GET", messages(channel), query={"limit": 4}, headers=known)
    assert response.status == 200
    assert said(response.json) == ([7, 8, 9, 10], 7, 85)


def test_what_is_on_its_way_behind_voids_is_not_final(chat: Chat, store: MemoryStore) -> None:
    """After a position: the page ends where the open end begins, and is not taken for the whole."""
    channel = chat.channel()
    chat.fill(channel, 1)
    give_up(chat, store, channel, 20)
    hold_up(chat, store, channel, 2)
    query = {"after": 1, "limit": 5}
    response = chat.api("GET", messages(channel), query=query)
    assert said(response.json) == ([], 2, 21)
    assert response.json["has_more_after"] is False
    chat.clock.ms += DEAD_MS + 1
    chat.post(channel, "late")
    known = {"If-None-Match": response.headers["etag"]}
    assert said(chat.api("GET", messages(channel), query=query, headers=known).json) == ([24], 2, 24)


def test_a_log_of_voids_alone_is_empty(chat: Chat, store: MemoryStore) -> None:
    """And all of it is covered, in the direction that was asked for."""
    channel = chat.channel()
    give_up(chat, store, channel, 30)
    queries: list[dict[str, Any]] = [{}, {"before": 31}, {"after": 0}, {"around": 15}, {"anchor": "oldest"}]
    for query in queries:
        with case(query):
            found, first, last = said(chat.page(channel, limit=10, **query))
            assert found == []
            assert (first == 1) if "after" not in query else (last == 30)


@pytest.mark.parametrize("coding", ["zstd", "gzip"])
def test_a_page_that_reached_further_is_the_same_again(chat: Chat, channel: str, coding: str) -> None:
    """A page that was extended over voids is the same at the next request, compressed or not."""
    headers = {"Accept-Encoding": coding}
    query = {"before": 311, "limit": 10}
    first, again = (chat.api("GET", messages(channel), query=query, headers=headers).body for _ in range(2))
    assert first == again
    chat.post(channel)
    assert said(chat.page(channel, before=311, limit=10)) == ([*range(1, 11)], 1, 310)


@pytest.mark.parametrize("coding", ["zstd", "gzip"])
def test_a_page_that_reached_back_is_not_given_to_who_goes_forward(
    chat: Chat, channel: str, coding: str
) -> None:
    """Two windows of the same voids, from before and from after them: each is extended in its own direction."""
    headers = {"Accept-Encoding": f"{coding}, identity;q=0"}
    windows: tuple[dict[str, Any], ...] = ({"before": 311, "limit": 10}, {"after": 300, "limit": 10})
    plain = [chat.page(channel, **window) for window in windows]
    for window in windows:
        chat.api("GET", messages(channel), query=window, headers=headers)
    coded = [chat.api("GET", messages(channel), query=window, headers=headers).json for window in windows]
    assert [said(each) for each in coded] == [said(each) for each in plain]


def test_paging_back_and_forth_has_every_message_once(chat: Chat, channel: str) -> None:
    """By what pages say that they cover; in fewer pages than positions."""
    back: list[int] = []
    before = 321
    while before > 1:
        found, before, _ = said(chat.page(channel, before=before, limit=4))
        back = found + back
    forth: list[int] = []
    after = 0
    while after < 320:
        found, _, after = said(chat.page(channel, after=after, limit=4))
        forth += found
    assert back == forth == [*range(1, 11), *range(311, 321)]
