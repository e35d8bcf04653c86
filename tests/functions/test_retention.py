"""Messages expire after the retention of their channel: for every reader, in every order of deletions by DynamoDB."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Any, Final, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.bootstrap import Services, compose
from shared.domain import keys
from shared.domain.changes import MAX_PINS
from shared.domain.messages import Draft
from shared.domain.model import Entry, Head, Kind, Membership, Preview, Role
from shared.domain.retention import DAY_MS, DELETED_MS, HOUR_MS, LATEST_MS
from shared.settings import Settings
from shared.storage.memory import MemoryStore
from shared.storage.protocol import Store
from shared.use_cases.fetch_messages import Window, fetch_messages
from shared.use_cases.manage_channels import update_channel
from shared.use_cases.post_message import post_message
from tests.api import Api
from tests.conftest import FakeClock
from tests.functions.changing import THUMB, Room, code, open_room
from tests.functions.chat import Chat, messages, texts
from tests.functions.threading import Thread

if TYPE_CHECKING:
    from collections.abc import Callable

CHANNEL: Final = "0123456789abcdef"
DAYS: Final = 30


@pytest.fixture
def room(chat: Chat) -> Room:
    """A channel of ada's with grace, which keeps messages for 30 days."""
    room = open_room(chat, "grace")
    room.set(retention_days=DAYS)
    return room


def pass_days(room: Room, days: float) -> None:
    """Time passes."""
    room.chat.clock.ms += round(days * DAY_MS)


def gone(room: Room, store: MemoryStore) -> None:
    """Until all messages have expired and DynamoDB has deleted them."""
    room.chat.clock.ms += DAYS * DAY_MS + DELETED_MS
    store.delete_expired(room.chat.clock.ms)


# --- the setting ---


def test_an_owner_sets_the_retention(chat: Chat) -> None:
    """It is shown with the channel; null turns it off."""
    room = open_room(chat)
    assert chat.seen(room.id)["retention_days"] is None
    room.set(retention_days=7)
    assert (chat.seen(room.id)["retention_days"], chat.seen(room.id)["expired_before"]) == (7, None)
    room.set(retention_days=None)
    assert chat.seen(room.id)["retention_days"] is None


@pytest.mark.parametrize("value", [0, 3_651, -1, 1.5, "7", True])
def test_a_bad_retention_is_refused(chat: Chat, value: Any) -> None:
    """It is a whole number of days from 1 to 3,650."""
    channel = chat.channel()
    response = chat.api("PATCH", f"/v1/channels/{channel}", body={"retention_days": value})
    assert (response.status, response.code) == (422, "validation_failed")


def test_a_moderator_may_not_change_the_retention(chat: Chat) -> None:
    """Though moderators change the other settings."""
    channel = chat.channel("grace")
    chat.put_member(channel, "grace", role="moderator")
    response = chat.api("PATCH", f"/v1/channels/{channel}", user="grace", body={"retention_days": 1})
    assert (response.status, response.code) == (403, "forbidden")
    assert chat.seen(channel)["retention_days"] is None


def test_a_longer_retention_does_not_apply_to_earlier_messages(room: Room, store: MemoryStore) -> None:
    """They keep the shorter one, which DynamoDB was told; messages posted ten minutes later keep the longer one."""
    room.post("early")
    room.set(retention_days=None)
    room.chat.clock.ms += HOUR_MS
    room.post("late")
    gone(room, store)
    assert texts(room.chat.page(room.id)) == ["late"]
    pass_days(room, 10_000)
    store.delete_expired(room.chat.clock.ms)
    assert texts(room.chat.page(room.id)) == ["late"]


def test_a_shorter_retention_applies_to_all_messages(room: Room) -> None:
    """Also to those that were posted before; a longer one does not bring them back."""
    room.post("old")
    pass_days(room, 5)
    room.post("new")
    room.set(retention_days=3)
    assert room.chat.seen(room.id)["expired_before"] == 2
    room.set(retention_days=100)
    assert texts(room.chat.page(room.id)) == ["new"]


def test_a_retention_is_raised_three_times_at_most(chat: Chat) -> None:
    """Until the messages from before have expired; it may always be lowered."""
    room = open_room(chat)
    for days in (1, 2, 3, 4):
        room.set(retention_days=days)
    refused = chat.api("PATCH", f"/v1/channels/{room.id}", body={"retention_days": 5})
    assert (refused.status, refused.code) == (409, "retention_raised")
    room.set(retention_days=2)
    room.set(retention_days=5)
    pass_days(room, 3)
    room.post()
    room.set(retention_days=6)
    room.set(retention_days=7)


# --- what is gone ---


def test_an_expired_message_is_gone_for_every_reader(room: Room) -> None:
    """Pages, the message, versions, reactions, pins, mentions, changes and the preview do not have it."""
    first = room.post("secret <@grace>")
    room.edit(first, "secret, edited <@grace>")
    room.react(first)
    room.pin(first)
    pass_days(room, DAYS - 1)
    assert room.message(first)["text"] == "secret, edited <@grace>"
    pass_days(room, 1 + LATEST_MS / DAY_MS)
    for path in ("", "/versions", f"/reactions?emoji={THUMB}"):
        place, _, query = path.partition("?")
        response = room.chat.api(
            "GET", room.path(first, place), query=dict([query.split("=")]) if query else {}
        )
        assert (response.status, response.json["expired_before"]) == (404, 2)
    for response in (room.edit(first, "again"), room.delete(first), room.react(first), room.pin(first)):
        assert (response.status, response.code) == (404, "message_not_found")
    seen = [
        room.chat.seen(room.id, "grace"),
        room.chat.page(room.id),
        room.get("/pins"),
        room.get("/changes"),
    ]
    seen += [room.chat.listing("grace"), room.chat.api("GET", "/v1/mentions", user="grace").json]
    assert "secret" not in json.dumps(seen)
    assert (seen[0]["unread_count"], seen[0]["mention_count"], seen[0]["last_message"]) == (0, 0, None)
    page = seen[1]
    assert (page["messages"], page["first_seq"], page["last_seq"], page["expired_before"]) == ([], 2, 1, 2)
    assert (page["has_more_before"], page["has_more_after"], page["channel_last_seq"]) == (False, False, 1)
    assert (seen[3]["changes"], seen[3]["last_rev"], seen[3]["expired_before"]) == ([], 3, 2)


def test_the_text_of_an_expired_message_leaves_the_head(room: Room, store: MemoryStore) -> None:
    """The preview is emptied, not only hidden."""
    room.post("secret")
    gone(room, store)
    room.chat.page(room.id)
    assert "secret" not in repr(store.contents())


def test_a_position_that_expired_is_no_hole(room: Room, store: MemoryStore) -> None:
    """Nothing is settled where DynamoDB deleted, also if the next message was posted a moment ago."""
    for _ in range(5):
        room.post()
        pass_days(room, 0.2)
    gone(room, store)
    room.post("new")
    slept = len(room.chat.clock.slept)  # type: ignore[attr-defined]  # the fake clock
    page = room.chat.page(room.id, after=0)
    assert (texts(page), page["first_seq"], page["expired_before"]) == (["new"], 6, 6)
    assert room.chat.seen(room.id, "grace")["unread_count"] == 1
    assert set(store.log(room.id)) == {6}
    assert len(room.chat.clock.slept) == slept  # type: ignore[attr-defined]  # as above


def test_changes_that_were_deleted_are_left_out(room: Room, store: MemoryStore) -> None:
    """A client that was away goes on after them in one request, and applies the others."""
    first = room.post("one")
    for text in "abcdefgh":
        room.edit(first, text)
    pass_days(room, 20)
    second = room.post("two")
    room.react(second)
    room.edit(first, "i")
    room.react(second, user="grace")
    pass_days(room, 10)
    room.chat.clock.ms += DELETED_MS
    store.delete_expired(room.chat.clock.ms)
    changes = room.get("/changes", after=0, limit=5)
    assert [change["rev"] for change in changes["changes"]] == [9, 11]
    assert (changes["first_rev"], changes["last_rev"], changes["expired_before"]) == (1, 11, 2)
    assert [each["count"] for each in room.chat.page(room.id)["messages"][0]["reactions"]] == [2]
    room.unreact(second)
    after = room.get("/changes", after=11)
    assert ([change["rev"] for change in after["changes"]], "expired_before" in after) == ([12], False)


def test_the_etag_changes_when_the_boundary_moves(room: Room) -> None:
    """Within an hour a page stays the same; then its version names what has expired."""
    room.post("one")
    pass_days(room, 1)
    room.post("two")
    tags = []
    for hours in (0, 24 * (DAYS - 1) + 2, 0.1):
        room.chat.clock.ms += round(hours * HOUR_MS)
        tags.append(room.chat.api("GET", messages(room.id)).headers["etag"])
    assert tags[0] != tags[1] == tags[2]
    known = room.chat.api("GET", messages(room.id), headers={"if-none-match": tags[2]})
    assert known.status == 304


def test_pins_of_expired_messages_make_room(room: Room) -> None:
    """A channel whose pins have all expired can pin again."""
    for _ in range(MAX_PINS):
        assert room.pin(room.post()).status == 204
    pass_days(room, DAYS + 1)
    assert room.pin(room.post("new")).status == 204
    assert [pin["message"]["text"] for pin in room.get("/pins")["pins"]] == ["new"]


def test_marking_an_expired_position_as_read_counts_the_rest(room: Room) -> None:
    """The position moves where it was asked to; what has expired is not unread."""
    room.post()
    room.post()
    pass_days(room, 20)
    room.post()
    pass_days(room, 11)
    marked = room.chat.api(
        "PUT", f"/v1/channels/{room.id}/read", user="grace", body={"last_read_seq": 1}
    ).json
    assert (marked["last_read_seq"], marked["unread_count"]) == (1, 1)


# --- threads ---


@pytest.fixture(params=[False, True], ids=["hidden", "deleted"])
def expire(request: pytest.FixtureRequest, room: Room, store: MemoryStore) -> Callable[[float], None]:
    """Lets days pass, and a few hours; in one of two runs DynamoDB then deletes what has expired."""

    def passed(days: float) -> None:
        room.chat.clock.ms += round(days * DAY_MS) + DELETED_MS
        if request.param:
            store.delete_expired(room.chat.clock.ms)

    return passed


def test_a_thread_outlives_its_root(room: Room, expire: Callable[[float], None]) -> None:
    """Younger replies are read, changed, reported, listed and followed by others, though the root is gone."""
    thread = Thread(room, room.post("root"))
    pass_days(room, 10)
    for text in ("one <@grace>", "two <@grace>"):
        thread.reply(text)
    expire(DAYS - 10)
    assert thread.texts("grace") == ["one <@grace>", "two <@grace>"]
    assert thread.change("GET", 1).json["text"] == "one <@grace>"
    assert thread.change("PUT", 1, f"/reactions/{THUMB}/me", "grace").status == 200
    assert thread.change("PATCH", 1, body={"text": "first <@grace>"}).status == 200
    assert thread.change("POST", 1, "/reports", "grace", body={"reason": "spam"}).status == 201
    assert room.get("/reports")["reports"][0]["message"]["text"] == "first <@grace>"
    thread.delete(2)
    changes = thread.api("GET", "/replies/changes").json["changes"]
    assert [each["kind"] for each in changes] == ["reaction_added", "edited", "deleted"]
    assert thread.counts("grace") == (1, 1)
    mentions = room.chat.api("GET", "/v1/mentions", user="grace").json["mentions"]
    assert [each["message"]["text"] for each in mentions] == ["first <@grace>"]
    assert thread.read(2, "grace")["unread_count"] == 0
    thread.unfollow("grace")
    thread.follow("grace")
    assert thread.reply("three", "grace", also_in_channel=True)["seq"] == 3
    assert texts(room.chat.page(room.id)) == ["three"]
    gone = room.chat.api("GET", room.path(1))
    assert (*code(gone), gone.json["expired_before"]) == (404, "message_not_found", 2)


def test_a_thread_whose_replies_have_all_expired(room: Room, expire: Callable[[float], None]) -> None:
    """Its pages are empty, as a channel's, and it is listed for nobody, until there is another reply."""
    thread = Thread(room, room.post("root"))
    thread.reply("one <@grace>")
    expire(DAYS)
    page = thread.page()
    assert (page["messages"], page["first_seq"], page["last_seq"], page["expired_before"]) == ([], 2, 1, 2)
    assert thread.read(1, "grace")["unread_count"] == 0
    assert thread.listed("grace") == []
    thread.reply("two")
    assert thread.texts() == ["two"]
    assert thread.counts("grace") == (1, 0)


def test_an_expired_message_takes_no_first_reply(room: Room, expire: Callable[[float], None]) -> None:
    """Also if nobody has looked at the channel since; it is no message any more, as one that never was."""
    thread = Thread(room, room.post("root"))
    expire(DAYS)
    refused = thread.api("POST", "/replies", body={"text": "late"})
    assert code(refused) == (404, "message_not_found")
    room.chat.page(room.id)
    for method, rest, body in (
        ("POST", "/replies", {"text": "late"}),
        ("GET", "/replies", None),
        ("PUT", "/thread/follow", None),
    ):
        response = thread.api(method, rest, body=body)
        assert (*code(response), response.json["expired_before"]) == (404, "message_not_found", 2)
        never = Thread(room, 2).api(method, rest, body=body)
        assert code(never) == (404, "message_not_found")
        assert "expired_before" not in never.json


def test_a_thread_that_nobody_read_keeps_to_a_retention_that_is_over(
    room: Room, expire: Callable[[float], None], store: MemoryStore
) -> None:
    """Its replies expire as the channel's messages of their time, though the head has forgotten that retention."""
    thread = Thread(room, room.post("root"))
    thread.reply("old")
    room.set(retention_days=None)
    expire(DAYS + 1)
    room.post()
    room.set(retention_days=DAYS * 2)
    assert not store._heads[room.id].retention_steps
    assert thread.texts() == []
    assert set(store.log(thread.id)) <= {1}
    assert all(entry.body for entry in store.log(thread.id).values())


def test_what_a_root_says_of_its_thread_expires_with_it(room: Room, store: MemoryStore) -> None:
    """Changes of kind `thread` have the root's text; nothing of it stays."""
    thread = Thread(room, room.post("secret"))
    thread.reply()
    thread.page()
    assert [change["kind"] for change in room.changes()] == ["thread"]
    gone(room, store)
    room.chat.page(room.id)
    assert "secret" not in repr(store.contents())


def test_marking_a_thread_finds_what_has_expired(room: Room, store: MemoryStore) -> None:
    """As marking a channel: the replies that are left are counted, though nobody has read the thread since."""
    thread = Thread(room, room.post("root"))
    thread.follow("grace")
    for days in (20, 11):
        thread.reply()
        thread.reply()
        pass_days(room, days)
    store.delete_expired(room.chat.clock.ms)
    marked = thread.read(1, "grace")
    assert (marked["last_read_seq"], marked["unread_count"]) == (1, 2)
    thread.unfollow("grace")
    thread.follow("grace")
    assert thread.counts("grace") == (0, 0)


# --- a long log of which half has expired ---


@dataclass
class Counted:
    """A storage that counts calls and items read; one for ten items or fewer, as for units."""

    store: MemoryStore
    cost: float = 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.store, name)

        def call(*arguments: Any, **named: Any) -> Any:
            result = method(*arguments, **named)
            self.cost += max(1.0, len(result) / 10 if isinstance(result, list | dict | frozenset) else 1)
            return result

        return call


@dataclass
class Planted:
    """A channel with a long log."""

    chat: Chat
    store: MemoryStore
    counted: Counted
    length: int

    def cost(self, read: Callable[[], object]) -> float:
        """What a read costs in a new container, which has nothing cached."""
        services = compose(Settings(), cast("Store", self.counted), self.chat.clock.now, lambda _: None)  # type: ignore[attr-defined]  # the fake clock
        self.chat.api = Api(services)
        before = self.counted.cost
        read()
        return round(self.counted.cost - before, 3)


def planted(length: int, *, deleted: bool) -> Planted:
    """Messages over 60 days, of which the first half has expired; ``deleted`` by DynamoDB, all but some."""
    clock, store = FakeClock(), MemoryStore()
    begun = clock.ms - 2 * DAYS * DAY_MS - HOUR_MS * 3 // 2
    last = Preview(length, "ada", "last", clock.ms)
    head = Head(CHANNEL, Kind.PUBLIC, "lobby", "", "ada", begun, members=2, seq=length, messages=length)
    head = replace(head, last=last, retention_days=DAYS)
    roles = {"ada": Role.OWNER, "grace": Role.MEMBER}
    store.create_channel(head, [Membership(user, CHANNEL, role, begun) for user, role in roles.items()])
    log = store.log(CHANNEL)
    for seq in range(1, length + 1):
        at = begun + (seq - 1) * 2 * DAYS * DAY_MS // length
        body = b'{"id":"%b","seq":%d,"sender":"ada","text":"%d","created_at":"2026-11-23T18:44:24.123Z"}' % (
            keys.message_id(CHANNEL, seq).encode(),
            seq,
            seq,
        )
        log[seq] = Entry(seq, seq, at, body, expires=(at + DAYS * DAY_MS + DELETED_MS) // 1000)
    if deleted:
        kept = {seq: log[seq] for seq in Random(1).sample(range(1, length // 2), 5)}  # noqa: S311 - a sample
        store.delete_expired(clock.ms)
        log.update(kept)
    counted = Counted(store)
    return Planted(Chat(Api(compose(Settings(), store, clock.now)), clock), store, counted, length)


@pytest.mark.parametrize("deleted", [False, True])
def test_no_read_grows_with_what_expired(*, deleted: bool) -> None:
    """Every read of a log of 100,000 messages whose half expired costs what it costs in a log of 1,000."""
    costs = []
    for length in (1_000, 100_000):
        log = planted(length, deleted=deleted)
        first = log.cost(lambda: log.chat.page(CHANNEL))  # noqa: B023 - called at once
        assert first < 40
        half = log.chat.page(CHANNEL, anchor="oldest", limit=1)["first_seq"]
        assert length // 2 < half <= length // 2 + length * LATEST_MS // DAY_MS // 2 // DAYS + 1
        assert sum(entry.body is None for entry in log.store.log(CHANNEL).values()) == 0
        oldest = log.chat.page(CHANNEL, anchor="oldest", limit=100)
        assert [message["seq"] for message in oldest["messages"]] == list(range(half, half + 100))
        assert oldest["expired_before"] == half
        assert not oldest["has_more_before"]
        assert log.chat.page(CHANNEL, after=0, limit=100) == oldest
        assert log.chat.page(CHANNEL, around=half // 2, limit=100) == oldest
        before = log.chat.page(CHANNEL, before=half + 10)
        assert (before["first_seq"], before["last_seq"], before["expired_before"]) == (half, half + 9, half)
        void = log.chat.page(CHANNEL, before=half // 2)
        assert (void["messages"], void["has_more_before"], void["has_more_after"]) == ([], False, True)
        assert log.chat.seen(CHANNEL, "grace")["unread_count"] == length - half + 1
        assert log.chat.listing("grace")["channels"][0]["unread_count"] == length - half + 1
        unread = log.chat.page(CHANNEL, "grace", anchor="first_unread", limit=50)
        assert (unread["first_seq"], unread["last_seq"]) == (half, half + 49)
        reads: list[Callable[[], object]] = [
            lambda: log.chat.page(CHANNEL),  # noqa: B023 - as above
            lambda: log.chat.page(CHANNEL, after=0),  # noqa: B023 - as above
            lambda: log.chat.page(CHANNEL, anchor="oldest"),  # noqa: B023 - as above
            lambda: log.chat.page(CHANNEL, before=half + 10),  # noqa: B023 - as above
            lambda: log.chat.page(CHANNEL, around=1),  # noqa: B023 - as above
            lambda: log.chat.listing("grace"),  # noqa: B023 - as above
            lambda: log.chat.seen(CHANNEL, "grace"),  # noqa: B023 - as above
        ]
        costs.append([log.cost(read) for read in reads])
    assert costs[0] == costs[1]


# --- any course of events ---

EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("post"), st.just(0)),
        st.tuples(st.just("wait"), st.integers(1, 40)),
        st.tuples(st.just("keep"), st.sampled_from([1, 2, 3, 5, 0])),
        st.tuples(st.just("delete"), st.integers(0, 7)),
        st.tuples(st.just("read"), st.just(0)),
    ),
    min_size=5,
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(EVENTS)
def test_what_is_shown_is_what_was_promised(events: list[tuple[str, int]]) -> None:
    """Each message for the shortest retention since it was posted, at most two hours more; nothing is ever settled."""
    clock, store = FakeClock(), MemoryStore()
    services = compose(Settings(), store, clock.now, clock.sleep)
    head = Head(CHANNEL, Kind.PUBLIC, "lobby", "", "ada", clock.ms)
    store.create_channel(head, [Membership("ada", CHANNEL, Role.OWNER, clock.ms)])
    days: int | None = None
    ends: dict[int, tuple[int, int | None]] = {}
    """Position: when it was posted, and its retention."""
    for what, number in [*events, ("read", 0)]:
        clock.ms += 61_000
        match what:
            case "post":
                ends[len(ends) + 1] = (clock.ms, days)
                post_message(services, "ada", CHANNEL, [Draft("x")], None)
            case "wait":
                clock.ms += number * HOUR_MS
            case "keep":
                wanted = number or None
                if wanted is None or (days and wanted > days):
                    clock.ms += 6 * DAY_MS  # So that it was not raised too often.
                    _shown(services)
                update_channel(services, "ada", CHANNEL, {"retention_days": wanted}, None)
                days = wanted
                if days:
                    ends = {seq: (at, min(days, old or days)) for seq, (at, old) in ends.items()}
                clock.ms += 11 * 60_000
            case "delete":
                due = [
                    seq for seq, each in store.log(CHANNEL).items() if 0 < each.expires <= clock.ms // 1000
                ]
                for seq in Random(number).sample(due, len(due) * number // 7):  # noqa: S311 - a sample
                    del store.log(CHANNEL)[seq]
            case _:
                shown = _shown(services)
                for seq, (at, kept) in ends.items():
                    end = at + kept * DAY_MS if kept else clock.ms + 1
                    assert seq in shown or clock.ms >= end, f"{seq} is missing"
                    assert seq not in shown or clock.ms < end + LATEST_MS, f"{seq} is shown"
    assert all(entry.body is not None for entry in store.log(CHANNEL).values())


def _shown(services: Services) -> list[int]:
    """The positions that a reader from the beginning is shown."""
    shown, after = [], 0
    while True:
        page = json.loads(
            fetch_messages(services, "ada", CHANNEL, Window(3, after=after), frozenset()).body or b""
        )
        shown += [message["seq"] for message in page["messages"]]
        after = page["last_seq"]
        if not page["has_more_after"]:
            return shown
