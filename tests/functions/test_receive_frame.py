"""Frames from clients. Each answer is checked by its schema, see ``Connections``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.aws.sender import Sent
from shared.domain import keys
from shared.domain.errors import InvalidFrameError
from shared.domain.frames import parse
from shared.domain.model import Membership, Role
from shared.domain.realtime import MAX_PRESENT, MAX_WATCHES, Connection, Watch
from shared.storage.memory import MemoryStore
from shared.storage.protocol import WatchOutcome
from shared.use_cases.receive_frame import reconnect_age
from tests.cases import case
from tests.functions.chat import Chat
from tests.realtime.connections import Connections, event
from tests.realtime.frames import check, validator
from tests.security.leaks import captured
from tools.asyncapi import ANSWERS, EXAMPLES

if TYPE_CHECKING:
    from tests.api import Api
    from tests.conftest import FakeClock

ADA = "a1="
GRACE = "g1="


@pytest.fixture
def channel(chat: Chat, connections: Connections) -> str:
    """A channel of ada and grace, who have a connection each."""
    connections.open(ADA)
    connections.open(GRACE, "grace")
    return chat.channel("grace")


def log_of(log_id: str, **fields: Any) -> dict[str, Any]:
    """How a frame names a log."""
    channel_id = keys.channel_of_log(log_id)
    return {"channel_id": channel_id} | ({"thread_id": log_id} if log_id != channel_id else {}) | fields


def reply(chat: Chat, channel: str) -> str:
    """A thread with one reply, on a new message."""
    root = chat.post(channel)["id"]
    path = f"/v1/channels/{channel}/messages/{root}/replies"
    assert chat.api("POST", path, body={"text": "Hello"}).status == 201
    return str(root)


# --- parsing ---


def test_the_documented_frames_are_taken() -> None:
    """Each example of a client's frame is valid by its schema and for the parser; each of ours follows its schema."""
    for (side, kind), examples in EXAMPLES.items():
        for example in examples:
            shown = {"v": 1, "type": kind} | example
            if side == "client":
                validator(side, kind).validate(shown)
                assert parse(json.dumps(shown)).type == kind
            else:
                check(json.dumps(shown).encode())


JSON = st.sampled_from([None, True, 0, 1.0, "x", "0" * 16, [], ["x"], {}, {"channel_id": "0" * 16}])
LOGS = st.fixed_dictionaries(
    {}, optional={"channel_id": JSON, "thread_id": st.just(f"{'0' * 16}-00000001") | JSON, "live": JSON}
)
FRAMES = st.fixed_dictionaries(
    {"v": st.just(1) | JSON, "type": st.sampled_from(sorted(ANSWERS))},
    optional={"ref": JSON, "channels": st.lists(LOGS, max_size=2) | JSON, "channel_id": JSON, "other": JSON},
)


@given(FRAMES)
def test_the_parser_takes_what_the_schemas_take(frame: dict[str, Any]) -> None:
    """Neither is stricter, but for a log that is named twice; and nothing makes it fail otherwise."""
    kind = frame["type"] if isinstance(frame["type"], str) and frame["type"] in ANSWERS else None
    ids = [str(each["channel_id"]) for each in _objects(frame.get("channels")) if "channel_id" in each]
    is_valid = kind is not None and validator("client", kind).is_valid(frame)
    if is_valid and len(ids) == len(set(ids)):
        assert parse(json.dumps(frame)).type == kind
    else:
        with pytest.raises(InvalidFrameError):
            parse(json.dumps(frame))


def _objects(given: Any) -> list[dict[str, Any]]:
    return [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []


def test_what_is_no_frame_is_answered(connections: Connections, channel: str) -> None:
    """By `error` with the frame's `ref` if that can be repeated; nothing of the text is quoted or done."""
    many = [log_of(f"{number:016d}") for number in range(21)]
    for text, ref in (
        *((text, None) for text in ("", "{", "[]", "7", '"x"', "[" * 10_000, "1" * 10_000, "\ud800")),
        ('{"v":2,"type":"ping","ref":"7"}', "7"),
        ('{"v":true,"type":"ping","ref":"two words"}', None),
        ('{"v":1,"type":"secret","ref":"\\ud800"}', None),
        ('{"v":1,"type":"ping","secret":1}', None),
        (json.dumps({"v": 1, "type": "watch", "ref": "7", "channels": many}), "7"),
        (json.dumps({"v": 1, "type": "unwatch", "channels": [log_of(channel), log_of(channel)]}), None),
        (json.dumps({"v": 1, "type": "ping", "ref": "7" + " " * 20_000}), None),
    ):
        with case(text):
            answer = connections.text(ADA, text)
            assert answer
            assert (answer["type"], answer["code"], answer.get("ref")) == ("error", "invalid_frame", ref)
            assert "secret" not in answer["detail"]
    binary = event("$default", ADA, body="aGVsbG8=", isBase64Encoded=True)
    assert json.loads(connections.receiving(binary)["body"])["code"] == "invalid_frame"


def test_an_unknown_connection_is_told_that_it_ended(
    connections: Connections, channel: str, clock: FakeClock
) -> None:
    """Whether its item is lost or it has lived for two hours."""
    connections.close(GRACE)
    clock.ms += 7_200_000
    for connection_id in (ADA, GRACE, "x="):
        answer = connections.send(connection_id, "watch", channels=[log_of(channel)], ref="7")
        assert answer
        assert (answer["code"], answer["ref"]) == ("connection_ended", "7")


# --- hello and ping ---


def test_hello_says_the_limits(connections: Connections) -> None:
    """And the time, the connection's id and when it ends."""
    connections.open(ADA)
    answer = connections.send(ADA, "hello", ref="1")
    assert answer
    assert (answer["connection_id"], answer["ref"]) == (ADA, "1")
    assert (answer["time"], answer["ends_at"]) == ("2026-11-23T18:44:24.000Z", "2026-11-23T20:44:24.000Z")
    assert answer["limits"]["watches"] == MAX_WATCHES


def test_pong_has_the_last_numbers(connections: Connections, chat: Chat, channel: str) -> None:
    """Of every watched log; those whose watch has ended are named."""
    thread, other = reply(chat, channel), chat.channel("grace")
    connections.watch(GRACE, log_of(channel), log_of(thread), log_of(other))
    chat.post(channel)
    assert chat.remove(other, "grace").status == 204
    pong = connections.send(GRACE, "ping", ref="7")
    assert pong
    assert sorted(pong["channels"], key=len) == [log_of(channel, seq=2, rev=1), log_of(thread, seq=1, rev=0)]
    assert (pong["ended"], pong["ref"]) == ([log_of(other)], "7")


def test_an_old_connection_is_asked_to_reconnect(connections: Connections, clock: FakeClock) -> None:
    """From an age of its own on, the same each time; others of the same age later."""
    connections.open(ADA)
    opened = clock.ms
    ages = {reconnect_age(f"c{number}=") for number in range(50)}
    assert len(ages) > 40
    assert all(6_000 <= age < 6_600 for age in ages)
    clock.ms = opened + reconnect_age(ADA) * 1000 - 1
    assert (connections.send(ADA, "ping") or {})["type"] == "pong"
    clock.ms += 1
    for _ in range(2):
        answer = connections.send(ADA, "ping")
        assert answer
        assert (answer["type"], answer["within_seconds"]) == ("reconnect", 7_200 - reconnect_age(ADA))


# --- watching ---


def test_watching_says_what_was_missed(connections: Connections, chat: Chat, channel: str) -> None:
    """Both numbers of each log, and who is there where the watch is live."""
    thread = reply(chat, channel)
    connections.watch(GRACE, log_of(channel))
    answer = connections.watch(ADA, log_of(channel, live=True), log_of(thread))
    assert answer["channels"] == [
        log_of(channel, seq=1, rev=1, present={"count": 2, "users": ["ada", "grace"]}),
        log_of(thread, seq=1, rev=0),
    ]
    assert answer["refused"] == []


def test_watching_again_replaces_live(
    connections: Connections, store: MemoryStore, channel: str, clock: FakeClock
) -> None:
    """And counts as one watch."""
    for is_live in (True, False):
        connections.watch(ADA, log_of(channel, live=is_live))
        [watch] = store.watches(channel, clock.ms)
        assert watch == Watch(channel, "ada", ADA, clock.ms // 1000 + 7_200, is_live)


def test_each_log_is_refused_by_itself(
    connections: Connections, chat: Chat, channel: str, store: MemoryStore, clock: FakeClock
) -> None:
    """With the code that a page would get; an archived channel too. The others are watched."""
    hidden, public, archived = chat.channel(kind="private"), chat.channel(), chat.channel("grace")
    assert chat.archive(archived).status == 204
    nothing, thread = "0" * 16, f"{channel}-00000009"
    answer = connections.watch(GRACE, *map(log_of, (hidden, public, archived, nothing, thread, channel)))
    assert {each.get("thread_id", each["channel_id"]): each["code"] for each in answer["refused"]} == {
        hidden: "channel_not_found",
        public: "not_a_member",
        archived: "channel_archived",
        nothing: "channel_not_found",
        thread: "message_not_found",
    }
    assert answer["channels"] == [log_of(channel, seq=0, rev=0)]
    connection = store.connection(GRACE, clock.ms)
    assert connection
    assert connection.watches == {channel}
    assert [store.watches(each, clock.ms) for each in (hidden, public, archived, nothing)] == [[], [], [], []]


def test_the_limit_of_watches(
    connections: Connections, channel: str, store: MemoryStore, clock: FakeClock
) -> None:
    """Beyond it nothing is watched, until something is unwatched."""
    connection = store.connection(ADA, clock.ms)
    assert connection
    threads = [keys.message_id(channel, seq) for seq in range(1, MAX_WATCHES + 1)]
    watches = [Watch(each, "ada", ADA, connection.expires) for each in threads]
    store.watch(connection, watches, MAX_WATCHES)
    assert connections.watch(ADA, log_of(channel))["code"] == "too_many_watches"
    answer = connections.send(ADA, "unwatch", channels=[log_of(threads[0])], ref="7")
    assert answer == {"v": 1, "type": "unwatched", "channels": [log_of(threads[0])], "ref": "7"}
    assert connections.watch(ADA, log_of(channel))["channels"] == [log_of(channel, seq=0, rev=0)]
    pong = connections.send(ADA, "ping")  # the longest there is
    assert pong
    assert len(pong["channels"]) == MAX_WATCHES


@dataclass
class Racing(MemoryStore):
    """A storage in which grace loses a membership just before, or just after, her watch is written."""

    removed: str = ""
    is_before: bool = False

    def watch(self, connection: Connection, watches: Sequence[Watch], limit: int) -> WatchOutcome:
        """Removes her, too."""
        if self.is_before:
            self._lose()
        outcome = super().watch(connection, watches, limit)
        self._lose()
        return outcome

    def _lose(self) -> None:
        membership = self.membership(self.removed, "grace")
        if membership:
            self.remove_member(membership)
            self.end_watches(self.removed, "grace")


@pytest.mark.parametrize("is_before", [True, False])
def test_a_membership_that_ends_meanwhile(api: Api, clock: FakeClock, *, is_before: bool) -> None:
    """The log is refused, no number of it is told, and no watch is left."""
    racing = Racing(is_before=is_before)
    api.services = replace(api.services, store=racing)
    chat, connections = Chat(api, clock), Connections(api)
    channel, other = chat.channel("grace"), chat.channel("grace")
    connections.open(GRACE, "grace")
    racing.removed = channel
    answer = connections.watch(GRACE, log_of(channel), log_of(other))
    assert answer["channels"] == [log_of(other, seq=0, rev=0)]
    assert answer["refused"] == [log_of(channel, code="not_a_member")]
    assert racing.watches(channel, clock.ms) == []


def test_names_are_left_out_where_they_do_not_fit(
    connections: Connections, chat: Chat, store: MemoryStore, clock: FakeClock
) -> None:
    """Above 50 users only the count is told; also where all names together exceed a frame."""
    connections.open(ADA)
    crowded, long = chat.channel(), [chat.channel() for _ in range(20)]
    expires = clock.ms // 1000 + 60
    users = [f"{number:02d}{'x' * 120}" for number in range(MAX_PRESENT + 1)]
    for channel, few in [(crowded, users), *((each, users[:20]) for each in long)]:
        for user in few:
            store.add_member(Membership(user, channel, Role.MEMBER, clock.ms))
            connection = Connection(f"{user[:2]}=", user, clock.ms, expires)
            store.open_connection(connection)
            store.watch(connection, [Watch(channel, user, connection.connection_id, expires)], MAX_WATCHES)
    [shown] = connections.watch(ADA, log_of(crowded, live=True))["channels"]
    assert shown["present"] == {"count": MAX_PRESENT + 2}
    answer = connections.watch(ADA, *(log_of(each, live=True) for each in long))
    assert [each["present"] for each in answer["channels"]] == [{"count": 21}] * 20


# --- typing ---


def test_typing_reaches_the_others_who_look(connections: Connections, chat: Chat, channel: str) -> None:
    """At once, at most every three seconds; neither the user's own connections nor those that do not look."""
    connections.open("a2=")
    connections.open("g2=", "grace")
    for connection_id in (ADA, "a2=", GRACE):
        connections.watch(connection_id, log_of(channel, live=True))
    connections.watch("g2=", log_of(channel))
    for _ in range(2):
        assert connections.send(ADA, "typing", **log_of(channel)) is None
    assert connections.sender.frames(GRACE) == [
        {"v": 1, "type": "typing", "channel_id": channel, "user_id": "ada"}
    ]
    chat.clock.ms += 3_000
    connections.send(ADA, "typing", **log_of(channel))
    assert [check(each)["type"] for each in connections.sender.sent[GRACE]] == ["typing"] * 2
    assert set(connections.sender.sent) == {GRACE}


def test_typing_in_a_thread(connections: Connections, chat: Chat, channel: str) -> None:
    """Only those who look at the thread are told."""
    thread = reply(chat, channel)
    connections.open("g2=", "grace")
    for connection_id, log_id in ((ADA, thread), (GRACE, thread), ("g2=", channel)):
        connections.watch(connection_id, log_of(log_id, live=True))
    connections.send(ADA, "typing", **log_of(thread))
    assert [each["thread_id"] for each in connections.sender.frames(GRACE)] == [thread]
    assert set(connections.sender.sent) == {GRACE}


def test_who_may_not_type(connections: Connections, chat: Chat, channel: str) -> None:
    """Nobody without a watch, after a removal, or in a direct channel that is blocked."""
    answer = connections.send(ADA, "typing", **log_of(channel), ref="7")
    assert answer
    assert (answer["code"], answer["ref"]) == ("not_watched", "7")
    connections.watch(ADA, log_of(channel, live=True))
    connections.watch(GRACE, log_of(channel, live=True))
    chat.remove(channel, "grace")
    assert connections.send(GRACE, "typing", **log_of(channel)) is None
    direct = chat.direct("ada", "grace")
    for connection_id in (ADA, GRACE):
        connections.watch(connection_id, log_of(direct, live=True))
    assert chat.api("PUT", "/v1/blocks/ada", user="grace").status == 204
    assert (connections.send(ADA, "typing", **log_of(direct)) or {})["code"] == "cannot_send"
    assert connections.sender.sent == {}


def test_a_connection_that_is_gone_is_forgotten(
    connections: Connections, channel: str, store: MemoryStore, clock: FakeClock
) -> None:
    """The others get the frame all the same; what is busy or refused is not tried again. The line counts them."""
    others = {"g2=": "grace", "g3=": "grace"}
    for connection_id in (ADA, GRACE):
        connections.watch(connection_id, log_of(channel, live=True))
    for connection_id, user in others.items():
        connections.open(connection_id, user)
        connections.watch(connection_id, log_of(channel, live=True))
    connections.sender.ended.add(GRACE)
    connections.sender.answers["g2="] = [Sent.BUSY]
    with captured() as stream:
        connections.send(ADA, "typing", **log_of(channel))
    line = json.loads(stream.getvalue().splitlines()[-1])
    assert (line["route"], line["frames"], line["gone"], line["dropped"]) == ("typing", 1, 1, 1)
    assert store.connection(GRACE, clock.ms) is None
    assert {each.connection_id for each in store.watches(channel, clock.ms)} == {ADA, *others}
    assert set(connections.sender.sent) == {"g3="}


def test_a_crash_is_answered(api: Api, connections: Connections) -> None:
    """By `internal_error` with the frame's `ref`; its lines quote neither the frame nor the error's text."""
    broken = Broken()
    api.services = replace(api.services, store=broken)
    with captured() as stream:
        answer = connections.send(ADA, "ping", ref="secret-ref")
    assert answer
    assert (answer["code"], answer["ref"]) == ("internal_error", "secret-ref")
    assert "secret" not in stream.getvalue()
    crash, line = (json.loads(each) for each in stream.getvalue().splitlines())
    assert (crash["error"], line["code"], line["Crashes"]) == ("RuntimeError", "internal_error", 1)


class Broken(MemoryStore):
    """A storage that crashes."""

    def connection(self, connection_id: str, now: int) -> Connection | None:
        """Fails."""
        raise RuntimeError(f"secret {connection_id} {now}")
