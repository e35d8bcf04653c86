"""Telling watchers what happens: what each connection is sent of what is done by REST."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest

from functions.dispatch_changes.handler import handler as deployed
from shared.aws.sender import Sent
from shared.bootstrap import compose
from shared.domain import keys
from shared.domain.errors import StoreUnavailableError
from shared.domain.model import Entry
from shared.domain.news import Changed, News, Posted
from shared.domain.realtime import MAX_PRESENT, MAX_WATCHES, SMALL_CHANNEL, Connection, Watch
from shared.settings import Settings
from shared.storage.memory import MemoryStore
from shared.storage.protocol import Committed
from shared.use_cases.dispatch_changes import OPENING_MS, Dispatched, dispatch
from shared.use_cases.fan_out import AT_ONCE, RETRY_WAITS, STALLED_MS
from shared.web.stream_events import BatchFailedError, Handler
from tests.api import Api
from tests.functions.chat import Chat, messages
from tests.realtime.senders import FakeSender
from tests.shared.web.conftest import log

if TYPE_CHECKING:
    from shared.bootstrap import Services
    from tests.conftest import FakeClock

__all__ = ["log"]  # a fixture


@dataclass
class FailingStore(MemoryStore):
    """Fails to read the watches of some channels, and lets something happen after it has read entries."""

    failing: dict[str, Exception] = field(default_factory=dict)
    after_entries: Callable[[], None] = lambda: None

    def entries(self, channel_id: str, first: int, last: int) -> list[Entry]:
        """See ``Log``."""
        found = super().entries(channel_id, first, last)
        self.after_entries()
        return found

    def watches(self, channel_id: str, now: int, user_id: str | None = None) -> list[Watch]:
        """See ``Realtime``."""
        if channel_id in self.failing:
            raise self.failing[channel_id]
        return super().watches(channel_id, now, user_id)


@dataclass
class Push:
    """A dispatcher that is run when a test says so, and connections."""

    chat: Chat
    services: Services
    store: FailingStore
    sender: FakeSender = field(default_factory=FakeSender)
    news: list[News] = field(default_factory=list)
    stalled: dict[str, int] = field(default_factory=dict)

    def connect(self, user: str, connection: str = "") -> Connection:
        """An open connection, by default with the user's name."""
        opened = Connection(
            connection or user, user, self.services.now(), self.services.now() // 1000 + 7_200
        )
        self.store.open_connection(opened)
        return opened

    def watch(self, user: str, *logs: str, live: bool = False, connection: str = "") -> None:
        """Watches logs; what that says is not dispatched."""
        opened = self.connect(user, connection)
        watches = [Watch(each, user, opened.connection_id, opened.expires, live) for each in logs]
        assert self.store.watch(opened, watches, MAX_WATCHES) == Committed()
        self.news.clear()

    def run(self) -> Dispatched:
        """Dispatches what happened since the last call."""
        news, self.news[:] = list(self.news), []
        return dispatch(self.services, self.sender, news, self.stalled)

    def told(self, connection: str) -> list[dict[str, Any]]:
        """The frames that a connection got since the last call."""
        found = self.sender.frames(connection)
        self.sender.sent[connection].clear()
        return found


@pytest.fixture
def push(clock: FakeClock) -> Iterator[Push]:
    """A dispatcher over a storage in memory; whatever it sends follows its schema."""
    store = FailingStore()
    services = compose(Settings(), store, clock.now, clock.sleep)
    made = Push(Chat(Api(services), clock), services, store)
    store.on_news = made.news.append
    yield made
    for connection in list(made.sender.sent):
        made.told(connection)


def changed(push: Push, channel: str, message: str, method: str = "PATCH", **body: Any) -> None:
    """A message is edited, or deleted."""
    response = push.chat.api(method, f"{messages(channel)}/{message}", user="ada", body=body or None)
    assert response.status in {200, 204}, response.body


# --- news ---


def test_watchers_get_what_a_page_shows(push: Push) -> None:
    """The very JSON of GET, with the positions that it covers; who does not watch gets nothing."""
    channel, other = push.chat.channel("grace"), push.chat.channel()
    push.watch("grace", channel)
    push.watch("ada", other)
    push.chat.post(channel, "one ☃")
    push.chat.post(channel, "two")
    done = push.run()
    page = push.chat.api("GET", messages(channel), user="grace").body
    (frame,) = push.sender.sent["grace"]
    start = page.index('"messages":[')
    assert page[start : page.index("]", start) + 1] in frame.decode()
    (told,) = json.loads(frame)["channels"]
    (run,) = told["messages"]
    assert (told["channel_id"], run["first_seq"], run["last_seq"]) == (channel, 1, 2)
    assert not push.sender.sent["ada"]
    assert (done.connections, done.frames, done.frame_bytes) == (1, 1, len(frame))
    assert done.max_lag_ms == 1_000, "the first message is a second older than its frame"


def test_a_batch_is_one_frame_for_each_connection(push: Push) -> None:
    """With all of its logs; the frame is built once for all who get the same."""
    channels = [push.chat.channel("grace"), push.chat.channel("grace")]
    push.watch("grace", *channels)
    push.watch("ada", *channels, connection="phone")
    for channel in channels:
        push.chat.fill(channel, 30)
    assert push.run().frames == 2
    (frame,), (other,) = push.sender.sent["grace"], push.sender.sent["phone"]
    assert frame is other
    told = {each["channel_id"]: each["messages"] for each in json.loads(frame)["channels"]}
    assert {name: [(run["first_seq"], run["last_seq"]) for run in runs] for name, runs in told.items()} == {
        channel: [(1, 30)] for channel in channels
    }


def test_what_is_not_seen_yet_is_told_by_its_number(push: Push) -> None:
    """A transaction's writes are seen one by one: the client fetches what a read of it lacks."""
    channel = push.chat.channel("grace")
    push.watch("grace", channel)
    push.chat.post(channel)
    push.news += [Posted(channel, 2, push.services.now()), Changed(channel, 1, push.services.now())]
    push.run()
    (frame,) = push.told("grace")
    news, hint = frame["channels"]
    assert [run["last_seq"] for run in news["messages"]] == [1]
    assert hint == {"channel_id": channel, "seq": 2, "rev": 1}


def test_changes_are_told_as_they_are_read(push: Push) -> None:
    """As GET gives them: only the latest change of a message has it, and a deleted message is deleted."""
    channel = push.chat.channel("grace")
    push.watch("grace", channel)
    first, second = (push.chat.post(channel, text)["id"] for text in ("secret", "stays"))
    changed(push, channel, first, text="still secret")
    changed(push, channel, second, text="changed")
    changed(push, channel, first, "DELETE")
    push.run()
    (frame,) = push.sender.sent["grace"]
    page = push.chat.api("GET", f"/v1/channels/{channel}/changes", user="grace", query={"after": 0})
    (told,) = json.loads(frame)["channels"]
    (run,) = told["changes"]
    assert (run["first_rev"], run["last_rev"], run["changes"]) == (1, 3, page.json["changes"])
    assert told["messages"][0]["messages"] == push.chat.page(channel)["messages"]
    assert b"secret" not in frame


def test_a_change_of_an_expired_message_is_told_without_it(push: Push, clock: FakeClock) -> None:
    """As in a page of changes: the numbers go on, and nothing is shown."""
    channel = push.chat.channel("grace")
    push.watch("grace", channel)
    message = push.chat.post(channel, "secret")["id"]
    push.run()
    push.told("grace")
    clock.ms += 3 * 86_400_000
    push.watch("grace", channel)
    changed(push, channel, message, text="still secret")
    push.chat.api("PATCH", f"/v1/channels/{channel}", user="ada", body={"retention_days": 1})
    push.run()
    news, settings = push.told("grace")
    assert news["channels"][0]["changes"] == [{"first_rev": 1, "last_rev": 1, "changes": []}]
    assert settings["event"] == "changed"


def test_threads_are_told_to_those_who_watch_them(push: Push) -> None:
    """A reply to the thread's watchers; its root's summary to the channel's."""
    channel = push.chat.channel("grace")
    root = push.chat.post(channel)["id"]
    push.watch("grace", root)
    push.watch("ada", channel, connection="phone")
    push.chat.api("POST", f"{messages(channel)}/{root}/replies", user="grace", body={"text": "reply"})
    push.run()
    (thread,) = push.told("grace")[0]["channels"]
    assert (thread["thread_id"], thread["messages"][0]["messages"][0]["text"]) == (root, "reply")
    (told,) = push.told("phone")[0]["channels"]
    assert "thread_id" not in told
    assert told["messages"] == []
    assert told["changes"][0]["changes"][0]["message"]["thread"]["reply_count"] == 1


# --- who may hear, and what else is told ---


def test_past_members_hear_nothing_more(push: Push) -> None:
    """Their watches end even if the function that removed them died before that; all their devices are told."""
    channel = push.chat.channel("grace", "joan")
    push.watch("grace", channel)
    push.connect("grace", "phone")
    push.watch("joan", channel)
    push.chat.post(channel, "before")
    membership = push.store.membership(channel, "grace")
    assert membership is not None
    assert push.store.remove_member(membership)
    push.chat.post(channel, "secret")
    push.run()
    removed = {"v": 1, "type": "channel", "channel_id": channel, "event": "removed"}
    assert push.told("grace") == push.told("phone") == [removed]
    assert [each["type"] for each in push.told("joan")] == ["news"]
    assert not push.store.watches(channel, push.services.now(), "grace")
    push.chat.put_member(channel, "grace")
    push.run()
    assert push.told("phone") == [removed | {"event": "added"}]


def test_who_is_removed_while_a_message_is_read_does_not_get_it(push: Push) -> None:
    """Watchers are read after it: a removal that was acknowledged before that counts."""
    channel = push.chat.channel("grace", "joan")
    push.watch("grace", channel)
    push.watch("joan", channel)
    push.chat.post(channel)

    def removed() -> None:
        push.store.after_entries = lambda: None
        assert push.chat.remove(channel, "grace").status == 204
        push.store.end_watches(channel, "grace")

    push.store.after_entries = removed
    push.run()
    assert push.told("grace") == []
    assert [each["type"] for each in push.told("joan")] == ["news"]


def test_an_archived_channel_is_told_to_those_who_watched_it(push: Push) -> None:
    """After their watches were ended; not to who is no member any more."""
    channel = push.chat.channel("grace", "joan")
    push.watch("grace", channel)
    push.watch("joan", channel)
    push.chat.remove(channel, "joan")
    push.chat.archive(channel)
    push.store.end_watches(channel)
    push.run()
    archived = {"v": 1, "type": "channel", "channel_id": channel, "event": "archived"}
    assert push.told("grace") == [archived]
    assert archived not in push.told("joan")


def test_a_watch_that_ended_by_itself_is_told(push: Push) -> None:
    """Archived and unarchived at once: the connection lists the log, and watches it no more. Its own doing is not."""
    channel = push.chat.channel("grace")
    push.watch("grace", channel)
    push.store.end_watches(channel)
    push.run()
    assert push.told("grace") == [{"v": 1, "type": "unwatched", "channels": [{"channel_id": channel}]}]
    push.watch("grace", channel)
    push.store.unwatch(push.connect("grace"), [channel])
    push.run()
    assert push.told("grace") == []


def test_other_settings_are_told_with_their_version(push: Push) -> None:
    """Once for several changes in a batch."""
    channel = push.chat.channel("grace")
    push.watch("grace", channel)
    for topic in ("one", "two"):
        push.chat.api("PATCH", f"/v1/channels/{channel}", user="ada", body={"topic": topic})
    push.run()
    assert push.told("grace") == [
        {"v": 1, "type": "channel", "channel_id": channel, "event": "changed", "version": 3}
    ]


def test_presence_is_told_to_those_who_look(push: Push) -> None:
    """The users who watch, when that changes; not for another device of one of them."""
    channel = push.chat.channel("grace", "joan")
    push.watch("grace", channel, live=True)
    push.watch("joan", channel)

    def present(user: str, connection: str, *, begins: bool) -> list[Any]:
        if begins:
            opened = push.connect(user, connection)
            push.store.watch(opened, [Watch(channel, user, connection, opened.expires)], MAX_WATCHES)
        else:
            push.store.close_connection(Connection(connection, user, 0, 0))
        push.run()
        assert not push.told("joan"), "she does not look at the channel"
        return [(each["type"], each["count"], each["users"]) for each in push.told("grace")]

    assert present("ada", "phone", begins=True) == [("presence", 3, ["ada", "grace", "joan"])]
    assert present("ada", "laptop", begins=True) == []
    assert present("ada", "phone", begins=False) == []
    assert present("ada", "laptop", begins=False) == [("presence", 2, ["grace", "joan"])]
    users = [f"user{number}" for number in range(MAX_PRESENT)]
    for user in users:
        push.chat.put_member(channel, user)
        push.watch(user, channel, live=True)
    assert present("ada", "phone", begins=True) == []


def test_read_positions_are_told_in_small_channels(push: Push) -> None:
    """The last one of a user, to those who look, unless the channel hides them."""
    channel = push.chat.channel("grace", "joan")
    push.chat.fill(channel, 3)
    push.watch("ada", channel, live=True, connection="phone")
    push.watch("joan", channel)

    def read(*seqs: int) -> list[dict[str, Any]]:
        for seq in seqs:
            body = {"last_read_seq": seq, "force": True}
            push.chat.api("PUT", f"/v1/channels/{channel}/read", user="grace", body=body)
        push.run()
        assert not [each for each in push.told("joan") if each["type"] == "read"]
        return push.told("phone")

    assert read(1, 3) == [
        {"v": 1, "type": "read", "channel_id": channel, "user_id": "grace", "last_read_seq": 3}
    ]
    for number in range(SMALL_CHANNEL):
        push.chat.put_member(channel, f"user{number}")
    assert read(1) == []
    for number in range(SMALL_CHANNEL):
        push.chat.remove(channel, f"user{number}")
    push.chat.api("PATCH", f"/v1/channels/{channel}", user="ada", body={"show_reads": False})
    assert [each["type"] for each in read(2)] == ["channel"]


def test_mentions_are_told_on_all_connections(push: Push) -> None:
    """Whatever they watch; not to who has left."""
    channel = push.chat.channel("grace", "joan")
    for connection in ("phone", "laptop"):
        push.connect("grace", connection)
    push.connect("joan")
    push.news.clear()
    for text in ("<@grace> hello", "<@grace> and <@joan>"):
        push.chat.post(channel, text)
    assert push.chat.remove(channel, "joan").status == 204
    push.run()
    mention = {"v": 1, "type": "mention", "channel_id": channel, "seq": 2}
    assert push.told("phone") == push.told("laptop") == [mention]
    assert [each["type"] for each in push.told("joan")] == ["channel"]


# --- sending ---


def test_a_connection_that_is_gone_is_removed(push: Push, clock: FakeClock) -> None:
    """With its watches; nobody else waits for it. One that was opened just now stays."""
    channel = push.chat.channel("grace")
    push.watch("grace", channel)
    push.watch("grace", channel, connection="phone")
    push.sender.ended.add("grace")
    push.chat.post(channel)
    assert push.run().gone == 1
    assert push.store.connection("grace", push.services.now()) is not None
    clock.ms += OPENING_MS + 1_000
    push.chat.post(channel)
    done = push.run()
    assert (done.gone, done.frames, done.connections) == (1, 1, 2)
    assert [each.connection_id for each in push.store.watches(channel, push.services.now())] == ["phone"]
    assert push.store.connection("grace", push.services.now()) is None


def test_a_busy_connection_is_tried_again_in_order(push: Push) -> None:
    """No frame is lost, sent before an earlier one, or sent twice."""
    channel = push.chat.channel("grace")
    push.watch("grace", channel)
    push.sender.answers["grace"] = [Sent.BUSY, Sent.SENT, Sent.BUSY, Sent.BUSY]
    push.chat.api("PATCH", f"/v1/channels/{channel}", user="ada", body={"topic": "other"})
    push.chat.post(channel, "<@grace>")
    done = push.run()
    assert [each["type"] for each in push.told("grace")] == ["news", "channel", "mention"]
    assert (done.frames, done.retried, done.dropped) == (3, 3, 0)


def test_a_stalled_connection_is_given_up(push: Push, clock: FakeClock) -> None:
    """Its frames are dropped after the last try; then it rests, and is tried once until it takes a frame."""
    channel = push.chat.channel("grace")
    push.watch("grace", channel)

    def posted(*answers: Sent) -> tuple[int, int, int]:
        push.sender.answers["grace"] = list(answers)
        push.news.clear()
        push.store.on_news = push.news.append
        push.chat.post(channel)
        done = push.run()
        return done.frames, done.retried, done.dropped

    assert posted(*[Sent.BUSY] * 9) == (0, len(RETRY_WAITS), 1)
    assert posted() == (0, 0, 1)
    clock.ms += STALLED_MS
    assert posted(Sent.BUSY) == (0, 0, 1)
    clock.ms += STALLED_MS
    assert posted() == (1, 0, 0)
    assert posted(Sent.BUSY) == (1, 1, 0)


def test_a_slow_connection_delays_no_other(push: Push) -> None:
    """While one does not answer, all others get their frames."""
    channel = push.chat.channel("grace")
    for number in range(3 * AT_ONCE):
        push.watch("grace", channel, connection=f"device{number}")
    rest, sender = Event(), push.sender

    class OneIsSlow(FakeSender):
        def send(self, connection_id: str, frame: bytes) -> Sent:
            if connection_id == "device0":
                return Sent.SENT if rest.wait(20) else Sent.REFUSED
            sent = sender.send(connection_id, frame)
            if len(sender.sent) == 3 * AT_ONCE - 1:
                rest.set()
            return sent

    push.sender = OneIsSlow()
    push.chat.post(channel)
    assert push.run().frames == 3 * AT_ONCE


# --- the function ---


def record(number: int, channel: str, seq: int) -> dict[str, Any]:
    """The stream's record of a new entry."""
    pk, sk = keys.entry_key(channel, seq)
    change = {"Keys": {"pk": {"S": pk}, "sk": {"S": sk}}, "NewImage": {"at": {"N": "1795459464000"}}}
    return {"eventName": "INSERT", "dynamodb": change | {"SequenceNumber": str(number)}}


@pytest.fixture
def handle(push: Push) -> Callable[..., list[str]]:
    """Invokes the function; returns what it reports as failed."""
    handler = Handler("dispatch_changes", dispatch, lambda: push.services, lambda: push.sender)

    def handled(*records: Any) -> list[str]:
        result = handler({"Records": list(records)})
        return [each["itemIdentifier"] for each in result["batchItemFailures"]]

    return handled


@pytest.fixture
def channels(push: Push) -> list[str]:
    """Three channels with two messages each, which grace watches."""
    made = [push.chat.channel("grace") for _ in range(3)]
    push.watch("grace", *made)
    for channel in made:
        push.chat.fill(channel, 2)
    return made


def told_of(push: Push) -> set[str]:
    """The channels that grace was told of since the last call."""
    return {each["channel_id"] for frame in push.told("grace") for each in frame["channels"]}


def test_all_of_a_batch_is_told(push: Push, channels: list[str], handle: Callable[..., list[str]]) -> None:
    """Nothing is to be repeated; payloads that are no batch are none."""
    assert handle(*(record(number, each, 1) for number, each in enumerate(channels))) == []
    assert told_of(push) == set(channels)
    assert handle() == []
    events: list[Any] = [None, {}, {"Records": "no"}, []]
    for event in events:
        assert Handler("f", dispatch, lambda: push.services, lambda: push.sender)(event) == {
            "batchItemFailures": []
        }


def test_a_record_that_cannot_be_understood_is_repeated(
    push: Push, channels: list[str], handle: Callable[..., list[str]]
) -> None:
    """With all after it; what is before it is told. Without a number the whole batch is repeated."""
    first, second, _ = channels
    poison: Any = {"eventName": "INSERT", "dynamodb": {"SequenceNumber": "12"}}
    assert handle(record(11, first, 1), poison, record(13, second, 1)) == ["12"]
    assert told_of(push) == {first}
    assert handle(record(11, first, 1), "poison") == [""]
    with pytest.raises(BatchFailedError):  # so that Lambda divides the batch
        handle(poison, record(13, second, 1))


def test_a_channel_that_fails_holds_up_no_other(
    push: Push, channels: list[str], handle: Callable[..., list[str]]
) -> None:
    """Its first record is repeated, whether the storage failed or what it holds cannot be understood."""
    first, second, third = channels
    batch = [record(11, first, 1), record(12, second, 1), record(13, third, 1), record(14, second, 2)]
    for error in (StoreUnavailableError(), KeyError("pk")):
        push.store.failing = {second: error}
        assert handle(*batch) == ["12"]
        assert told_of(push) == {first, third}
    push.store.failing = {}
    assert handle(*batch[1:]) == []
    assert told_of(push) == {second, third}


def test_an_unexpected_error_repeats_the_batch(push: Push, channels: list[str]) -> None:
    """The invocation fails; so it does with settings that cannot be used, as here, where there are none."""

    def broken() -> Any:
        raise KeyError

    for each in (Handler("dispatch_changes", dispatch, lambda: push.services, broken), deployed):
        with pytest.raises(BatchFailedError):
            each({"Records": [record(11, channels[0], 1)]})


def test_the_line_of_a_batch_has_its_counts(
    push: Push,
    channels: list[str],
    handle: Callable[..., list[str]],
    log: Callable[[], list[dict[str, Any]]],
) -> None:
    """And the metrics of ``basic``; no text, no user, of connections only slow ones."""
    push.watch("ada", channels[0], connection="phone")
    push.watch("ada", channels[0], connection="slow")
    push.sender.answers["phone"] = [Sent.REFUSED]
    push.sender.answers["slow"] = [Sent.BUSY] * 9
    handle(record(11, channels[0], 1), "poison")
    line = log()[-1]
    expected = {"records": 2, "connections": 3, "frames": 1, "refused": 1, "poisoned": 1, "dropped": 1}
    assert expected.items() <= line.items()
    assert line["aws_error"] == "FrameRefused"
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    names = {each["Name"] for each in directive["Metrics"]}
    assert names == {"ColdStarts", "Frames", "DispatchLag", "Dropped", "Poisoned", "Misconfigured"}
    assert line["slow"] == "slow"
    assert not {"grace", "phone", "1"} & {str(each) for each in line.values() if isinstance(each, str)}
