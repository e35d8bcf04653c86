"""What is served while the storage does not respond."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from shared.bootstrap import compose
from shared.domain.errors import StoreUnavailableError
from shared.storage.memory import MemoryStore
from tests.api import Api
from tests.functions.chat import Chat, messages

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shared.bootstrap import Services
    from shared.domain.model import ChannelState, Entry, Head, Membership
    from tests.api import Response
    from tests.functions.chat import Clock


@dataclass
class Outage(MemoryStore):
    """A storage whose reads of the channel state fail while it is down."""

    down: bool = False
    heads_down: bool = False
    clock: Clock | None = None
    slow_ms: int = 0
    """What reading a log takes."""

    def read_channel_state(self, channel_id: str, user_id: str, key: str | None = None) -> ChannelState:
        """Fails while down."""
        self._check()
        return super().read_channel_state(channel_id, user_id, key)

    def entries(self, channel_id: str, first: int, last: int) -> list[Entry]:
        """Takes its time."""
        if self.clock:
            self.clock.ms += self.slow_ms
        return super().entries(channel_id, first, last)

    def memberships(self, user_id: str) -> list[Membership]:
        """Fails while down."""
        self._check()
        return super().memberships(user_id)

    def heads(self, channel_ids: Iterable[str]) -> dict[str, Head]:
        """Fails while down, or while these alone are."""
        self._check()
        if self.heads_down:
            raise StoreUnavailableError(retry_after=1)
        return super().heads(channel_ids)

    def _check(self) -> None:
        if self.down:
            raise StoreUnavailableError(retry_after=1)


@pytest.fixture
def store() -> Outage:
    """A storage that can fail; the services of this file are built over it."""
    return Outage()


@pytest.fixture
def channel(chat: Chat) -> str:
    """A channel of ada's and grace's with three messages."""
    channel = chat.channel("grace")
    chat.fill(channel, 3)
    return channel


def fetch(chat: Chat, channel: str, user: str = "grace", **query: Any) -> Response:
    """The response to fetching messages."""
    return chat.api("GET", messages(channel), user=user, query=query)


def test_a_page_is_served_stale_for_a_short_time(chat: Chat, channel: str, store: Outage) -> None:
    """A reader gets the page of a moment ago, marked stale, until it is too old."""
    fresh = fetch(chat, channel)
    assert "warning" not in fresh.headers
    store.down = True
    chat.clock.ms += 119_000
    stale = fetch(chat, channel)
    assert (stale.status, stale.body) == (200, fresh.body)
    assert stale.headers["x-cache"] == "stale"
    assert stale.headers["warning"].startswith("110 ")
    chat.clock.ms += 2_000
    refused = fetch(chat, channel)
    assert (refused.status, refused.code) == (503, "store_unavailable")
    assert refused.headers["retry-after"] == "1"


def test_a_stale_page_is_only_for_confirmed_readers(chat: Chat, channel: str, store: Outage) -> None:
    """Cached data of a channel is served only to users whose access was confirmed a moment ago."""
    fetch(chat, channel)
    store.down = True
    assert fetch(chat, channel, "ada").status == 503
    assert fetch(chat, channel, "eve").status == 503
    assert fetch(chat, channel).status == 200


def test_a_removed_reader_gets_no_stale_page(chat: Chat, channel: str, store: Outage) -> None:
    """Once a reader was refused, an outage does not let them in again."""
    fetch(chat, channel)
    chat.remove(channel, "grace")
    assert fetch(chat, channel).status == 403
    store.down = True
    assert fetch(chat, channel).status == 503


def test_a_page_that_memory_lacks_is_a_503(
    services: Services, chat: Chat, channel: str, store: Outage
) -> None:
    """Another container, which has read nothing, has no stale fallback."""
    fetch(chat, channel)
    store.down = True
    other = compose(services.settings, store, services.now, services.sleep)
    assert fetch(Chat(Api(other), chat.clock), channel).status == 503


def test_a_list_is_served_stale_for_a_short_time(chat: Chat, channel: str, store: Outage) -> None:
    """The list of channels is served stale too, for longer, and marked so."""
    assert channel
    fresh = chat.api("GET", "/v1/channels")
    store.down = True
    chat.clock.ms += 299_000
    stale = chat.api("GET", "/v1/channels")
    assert (stale.status, stale.body, stale.headers["x-cache"]) == (200, fresh.body, "stale")
    assert chat.api("GET", "/v1/channels", user="grace").status == 503
    chat.clock.ms += 2_000
    assert chat.api("GET", "/v1/channels").status == 503


def test_a_removed_reader_gets_no_stale_channel(chat: Chat, channel: str, store: Outage) -> None:
    """The memberships were read but the heads were not: the rest of the list is served stale, without previews."""
    other = chat.channel("grace")
    assert {each["id"] for each in chat.listing("grace")["channels"]} == {channel, other}
    chat.remove(channel, "grace")
    store.heads_down = True
    for _ in range(2):
        stale = chat.api("GET", "/v1/channels", user="grace")
        assert (stale.status, stale.headers["x-cache"]) == (200, "stale")
        assert [each["id"] for each in stale.json["channels"]] == [other]
        store.down = True


def test_after_an_outage_all_is_fresh_again(chat: Chat, channel: str, store: Outage) -> None:
    """Nothing stale outlives the outage."""
    fetch(chat, channel)
    store.down = True
    assert fetch(chat, channel).headers["x-cache"] == "stale"
    store.down = False
    chat.post(channel, "4")
    response = fetch(chat, channel)
    assert response.json["last_seq"] == 4
    assert "warning" not in response.headers


def test_nothing_is_written_during_an_outage(chat: Chat, channel: str, store: Outage) -> None:
    """Posting has no fallback: 503, to be repeated with the same key."""
    store.down = True
    response = chat.api("POST", messages(channel), body={"text": "x"})
    assert (response.status, response.json["retryable"]) == (503, True)


def test_a_position_beyond_the_stale_state_is_a_503(chat: Chat, channel: str, store: Outage) -> None:
    """A poller that is ahead of this container's cache gets 503, not an error about its position."""
    fetch(chat, channel)
    store.down = True
    assert fetch(chat, channel, after=3).status == 200
    assert fetch(chat, channel, after=4).status == 503


def test_a_stale_page_is_as_old_as_its_channel_state(chat: Chat, channel: str, store: Outage) -> None:
    """The freshness time runs from the read of the channel state, however long the rest of the request took."""
    store.slow_ms = 50_000
    store.clock = chat.clock
    fetch(chat, channel)
    store.down = True
    chat.clock.ms += 119_000 - store.slow_ms
    assert fetch(chat, channel).status == 200
    chat.clock.ms += 2_000
    assert fetch(chat, channel).status == 503


def test_a_stale_page_comes_in_the_accepted_coding(chat: Chat, channel: str, store: Outage) -> None:
    """A stale page is compressed like any other page, and is the same."""
    chat.post(channel, "a long message " * 150)
    coded = {"accept-encoding": "zstd"}
    fresh = chat.api("GET", messages(channel), headers=coded)
    store.down = True
    stale = chat.api("GET", messages(channel), headers=coded)
    assert (stale.headers["x-cache"], stale.headers["content-encoding"]) == ("stale", "zstd")
    assert stale.body == fresh.body
