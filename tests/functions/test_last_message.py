"""The latest message and the unread count that channels show: never a post that was not committed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from shared.bootstrap import Services, compose
from shared.domain.errors import StoreUnavailableError
from shared.domain.model import MAX_GAPS, Entry, Head, Membership, Preview
from shared.runtime.parallel import Background
from shared.settings import Settings
from shared.storage.log_reader import DEAD_MS
from shared.storage.memory import MemoryStore
from shared.storage.protocol import Commit, Outcome, Reservation
from shared.use_cases.confirm_channels import SMALL_BADGE
from tests.api import Api
from tests.functions.chat import Chat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tests.conftest import FakeClock


@dataclass
class Watched(MemoryStore):
    """Records what is asked of the log, and fails on request."""

    calls: list[str] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    down: bool = False
    lags: bool = False
    before_memberships: Callable[[], object] = lambda: None
    after_heads: list[Callable[[], object]] = field(default_factory=list)

    def standing(self, positions: Sequence[tuple[str, int]]) -> dict[tuple[str, int], bool]:
        """Noted; an eventually consistent read may see nothing of the last moment."""
        self.calls.append("standing")
        self.asked.append(len(positions))
        self._answer()
        return {} if self.lags else super().standing(positions)

    def entries(self, channel_id: str, first: int, last: int) -> list[Entry]:
        """Noted."""
        self.calls.append("entries")
        self._answer()
        return super().entries(channel_id, first, last)

    def void(self, channel_id: str, voids: Sequence[Entry]) -> list[Entry]:
        """Noted."""
        self.calls.append("void")
        return super().void(channel_id, voids)

    def heads(self, channel_ids: Iterable[str]) -> dict[str, Head]:
        """Noted; something may happen after them."""
        self.calls.append("heads")
        found = super().heads(channel_ids)
        while self.after_heads:
            self.after_heads.pop()()
        return found

    def memberships(self, user_id: str) -> list[Membership]:
        """Something else may happen first."""
        self.before_memberships()
        return super().memberships(user_id)

    def _answer(self) -> None:
        if self.down:
            raise StoreUnavailableError(retry_after=1)


@pytest.fixture
def store() -> Watched:
    """As above."""
    return Watched()


@pytest.fixture
def services(store: Watched, clock: FakeClock) -> Services:
    """One container."""
    return compose(Settings(), store, clock.now, clock.sleep)


@pytest.fixture
def chat(services: Services, clock: FakeClock) -> Chat:
    """Users of that storage."""
    return Chat(Api(services), clock)


def die(chat: Chat, store: MemoryStore, channel: str, count: int = 1) -> None:
    """A container of ada's is killed between reserving a position and the commit."""
    taken = store.reserve(channel, count, Preview(0, "ada", "never came", chat.clock.ms))
    assert isinstance(taken, Reservation)


def listed(chat: Chat, user: str = "grace", **query: Any) -> tuple[str | None, int]:
    """The text that a user's only channel shows, and how many are unread."""
    [channel] = chat.listing(user, **query)["channels"]
    last = channel["last_message"]
    return last and last["text"], channel["unread_count"]


@pytest.fixture
def channel(chat: Chat) -> str:
    """Grace has not read the one message of ada's."""
    channel = chat.channel("grace")
    chat.post(channel, "hello")
    return channel


# --- writers that were killed ---


def test_lists_repair_what_a_dead_writer_left(chat: Chat, store: Watched, channel: str) -> None:
    """If no page is read, its text is never shown, and it counts as unread only while it may still be committed."""
    die(chat, store, channel)
    assert listed(chat) == ("hello", 2)
    chat.clock.ms += DEAD_MS + 1
    assert listed(chat) == ("hello", 1)
    head = store.head(channel)
    assert head is not None
    assert head.last is not None
    assert (head.last.text, head.voids) == ("hello", 1)


@pytest.mark.parametrize("count", [1, 5, 25])
def test_a_dead_batch_goes_as_a_whole(chat: Chat, store: Watched, channel: str, count: int) -> None:
    """However many positions it had; in a list of unread ones too, which the channel is not in then."""
    chat.api("PUT", f"/v1/channels/{channel}/read", user="grace", body={"last_read_seq": 1})
    die(chat, store, channel, count)
    chat.clock.ms += DEAD_MS + 1
    assert chat.listing("grace", unread_only="true")["channels"] == []
    assert listed(chat) == ("hello", 0)


def test_a_channel_of_a_dead_writer_alone_has_no_message(chat: Chat, store: Watched) -> None:
    """None at all."""
    channel = chat.channel("grace")
    die(chat, store, channel)
    chat.clock.ms += DEAD_MS + 1
    assert listed(chat) == (None, 0)
    assert chat.seen(channel, "grace")["last_message"] is None


@pytest.mark.parametrize("way", ["get", "patch", "patch nothing", "replay"])
def test_every_response_with_a_channel_shows_stored_messages(chat: Chat, store: Watched, way: str) -> None:
    """GET, PATCH and a repeated creation as the list does."""
    body = {"kind": "public", "name": "lobby", "members": ["grace"]}
    key = {"Idempotency-Key": "k1"}
    created = chat.api("POST", "/v1/channels", body=body, headers=key)
    channel = created.json["id"]
    chat.post(channel, "hello", user="grace")
    die(chat, store, channel)
    chat.clock.ms += DEAD_MS + 1
    place = f"/v1/channels/{channel}"
    shown = {
        "get": lambda: chat.api("GET", place),
        "patch": lambda: chat.api("PATCH", place, body={"topic": "birds"}),
        "patch nothing": lambda: chat.api("PATCH", place, body={"slow_mode": 0}),
        "replay": lambda: chat.api("POST", "/v1/channels", body=body, headers=key),
    }[way]().json
    assert (shown["last_message"]["text"], shown["unread_count"]) == ("hello", 1)


def test_marking_as_read_settles_what_a_dead_writer_left(chat: Chat, store: Watched, channel: str) -> None:
    """Reading the last message clears the badge."""
    die(chat, store, channel, 3)
    chat.clock.ms += DEAD_MS + 1
    response = chat.api("PUT", f"/v1/channels/{channel}/read", user="grace", body={"last_read_seq": 1})
    assert response.json["unread_count"] == 0
    assert listed(chat) == ("hello", 0)


def test_a_new_member_sees_stored_messages_after_a_writer_died(
    chat: Chat, store: Watched, channel: str
) -> None:
    """A position in flight is not read by joining."""
    die(chat, store, channel)
    assert chat.put_member(channel, "linus", user="linus").status == 201
    chat.clock.ms += DEAD_MS + 1
    assert listed(chat, "linus") == ("hello", 0)


def test_a_small_badge_is_exact_behind_a_dead_writer_in_the_middle(
    chat: Chat, store: Watched, channel: str
) -> None:
    """With a post after it: where few are unread, all of them are read."""
    die(chat, store, channel)
    chat.post(channel, "and again")
    assert listed(chat) == ("and again", 2)


def test_a_large_badge_is_exact_once_a_page_was_read(chat: Chat, store: Watched, channel: str) -> None:
    """For every reader."""
    die(chat, store, channel)
    chat.fill(channel, SMALL_BADGE)
    assert listed(chat) == ("3", 2 + SMALL_BADGE)
    chat.page(channel)
    assert listed(chat) == ("3", 1 + SMALL_BADGE)


# --- retries at the same moment ---


@dataclass
class Twice(Watched):
    """Each commit but a key's first finds that the same request has been committed."""

    meanwhile: list[Callable[[], object]] = field(default_factory=list)

    def commit(self, commit: Commit) -> Outcome:
        """The other one comes first."""
        if self.meanwhile:
            self.meanwhile.pop()()
        return super().commit(commit)


@pytest.mark.parametrize("count", [1, 25])
@pytest.mark.parametrize("times", [2, 3])
def test_the_same_key_at_the_same_moment_counts_once(clock: FakeClock, times: int, count: int) -> None:
    """Two and three requests at once, single and in batches: as many unread as there are messages."""
    store = Twice()
    chat = Chat(Api(compose(Settings(rate_burst=100), store, clock.now, clock.sleep)), clock)
    channel = chat.channel("grace")
    body: dict[str, Any] = {"messages": [{"text": f"hello {i}"} for i in range(count)]}

    def post() -> None:
        path = f"/v1/channels/{channel}/messages"
        assert chat.api("POST", path, body=body, headers={"Idempotency-Key": "k1"}).status in {200, 201}

    store.meanwhile = [post] * (times - 1)
    post()
    assert listed(chat) == (f"hello {count - 1}", count)
    assert listed(chat, "ada") == (f"hello {count - 1}", 0)
    page = chat.page(channel, "grace")
    assert len(page["messages"]) == count
    last = page["messages"][-1]["seq"]
    response = chat.api("PUT", f"/v1/channels/{channel}/read", user="grace", body={"last_read_seq": last})
    assert response.json["unread_count"] == 0
    assert listed(chat) == (f"hello {count - 1}", 0)


def test_a_channel_of_many_voids_is_marked_page_by_page(chat: Chat, store: Watched) -> None:
    """Far more than the head keeps: the count is exact at every step."""
    channel = chat.channel("grace")
    for _ in range(4 * MAX_GAPS):
        chat.post(channel)
        die(chat, store, channel)
        chat.clock.ms += DEAD_MS + 1
        chat.page(channel)
    unread = 4 * MAX_GAPS
    assert chat.seen(channel, "grace")["unread_count"] == unread
    for seq in range(1, 8 * MAX_GAPS + 1, 2):
        response = chat.api("PUT", f"/v1/channels/{channel}/read", user="grace", body={"last_read_seq": seq})
        unread -= 1
        assert response.json["unread_count"] == unread


# --- what it costs ---


def test_a_list_asks_once_for_each_message(chat: Chat, store: Watched) -> None:
    """In one call for all channels; then this container knows, and the list costs what it did before."""
    channels = [chat.channel("grace") for _ in range(10)]
    for each in channels:
        chat.post(each)
    chat.listing("grace")
    store.calls.clear()
    chat.listing("grace")
    assert store.calls == ["heads"]
    chat.post(channels[0])
    store.asked.clear()
    chat.listing("grace")
    assert store.asked == [1]


def test_what_is_read_is_not_asked_for(chat: Chat, store: Watched) -> None:
    """Nothing more than before, also in a new container."""
    channel = chat.channel("grace")
    chat.post(channel)
    chat.listing("ada")
    chat.seen(channel, "ada")
    assert "standing" not in store.calls


def test_one_call_asks_for_a_page_of_large_badges(chat: Chat, store: Watched) -> None:
    """One position for each; for a small badge as many as it counts."""
    large, small = chat.channel("grace"), chat.channel("grace")
    chat.fill(large, 5)
    chat.fill(small, SMALL_BADGE)
    chat.listing("grace")
    assert store.asked == [1 + SMALL_BADGE]


@pytest.mark.usefixtures("channel")
def test_a_message_of_the_last_moment_is_asked_for_again(chat: Chat, store: Watched) -> None:
    """Strongly, for one unit: nothing is settled, nothing waited for, and it is known from then on."""
    store.lags = True
    store.calls.clear()
    assert listed(chat) == ("hello", 1)
    assert store.calls == ["heads", "standing", "entries"]
    assert listed(chat) == ("hello", 1)
    assert store.calls[3:] == ["heads"]


def test_members_at_different_places_do_not_ask_in_turns(chat: Chat, store: Watched) -> None:
    """What one of them was shown is known for the other."""
    channel = chat.channel("grace", "linus")
    chat.fill(channel, 2)
    chat.api("PUT", f"/v1/channels/{channel}/read", user="linus", body={"last_read_seq": 1})
    chat.listing("grace")
    store.calls.clear()
    for user in ("linus", "grace", "linus"):
        chat.listing(user)
    assert "standing" not in store.calls


def test_where_it_cannot_be_asked_the_list_is_as_it_was_read(
    chat: Chat, store: Watched, channel: str
) -> None:
    """It never fails because of this."""
    die(chat, store, channel)
    chat.clock.ms += DEAD_MS + 1
    store.down = True
    assert listed(chat) == ("never came", 2)
    store.down = False
    assert listed(chat) == ("hello", 1)


def test_a_stale_list_shows_repaired_previews(chat: Chat, store: Watched, channel: str) -> None:
    """While the storage does not respond the list is shown as it was shown before, not as it was read."""
    die(chat, store, channel)
    chat.clock.ms += DEAD_MS + 1
    assert listed(chat) == ("hello", 1)

    def fail() -> None:
        raise StoreUnavailableError(retry_after=1)

    store.before_memberships = fail
    assert listed(chat) == ("hello", 1)


def test_a_void_from_before_gaps_were_counted_is_checked_once(
    chat: Chat, store: Watched, channel: str
) -> None:
    """It counts until it is read past, as it did; but it does not cost a repair with every list."""
    die(chat, store, channel)
    store.log(channel)[2] = Entry(2, 2, chat.clock.ms, None)
    chat.post(channel, "later")
    assert listed(chat) == ("later", 3)
    store.calls.clear()
    assert listed(chat) == ("later", 3)
    assert store.calls == ["heads"]


# --- heads and memberships that were read side by side ---


class Done:
    """Work that was over when it was begun."""

    def is_alive(self) -> bool:
        """It is not."""
        return False

    def join(self, timeout: float | None = None) -> None:
        """Nothing to wait for."""


def at_once(work: Callable[[], None]) -> Done:
    """What is done beside a request comes first."""
    work()
    return Done()


def test_a_read_position_is_never_shown_beyond_the_end(
    store: Watched, services: Services, clock: FakeClock
) -> None:
    """Where the caller's post comes between the read of the heads and that of the memberships."""
    chat = Chat(Api(replace(services, background=Background(at_once))), clock)
    channel = chat.channel("grace")
    chat.post(channel, "hello")
    chat.listing("grace")  # which channels they are in is remembered: both are read side by side from then on
    store.after_heads = [lambda: chat.post(channel, "mine", user="grace")]
    [shown] = chat.listing("grace")["channels"]
    assert (shown["last_seq"], shown["last_read_seq"], shown["unread_count"]) == (1, 1, 0)
    [shown] = chat.listing("grace")["channels"]
    assert (shown["last_seq"], shown["last_read_seq"], shown["unread_count"]) == (2, 2, 0)


def test_a_head_that_is_older_than_the_membership_shows_no_void(
    store: Watched, services: Services, clock: FakeClock
) -> None:
    """A post in flight when the heads were read is given up, and the caller's own is committed after it."""
    chat = Chat(Api(replace(services, background=Background(at_once))), clock)
    channel = chat.channel("grace")
    chat.post(channel, "hello", user="grace")
    chat.listing("grace")
    die(chat, store, channel)
    void = Entry(2, 2, clock.ms, None)
    store.after_heads = [
        lambda: chat.post(channel, "mine", user="grace"),
        lambda: store.void(channel, [void]),
    ]
    assert listed(chat) == ("hello", 0)
    assert listed(chat) == ("mine", 0)
