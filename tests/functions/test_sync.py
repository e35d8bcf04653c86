"""A client that was away for any time syncs with two requests a page, and then has what a fresh reader gets."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Final

import pytest

from shared.domain.messages import dumps
from tests.functions.changing import Room, open_room
from tests.functions.chat import messages
from tests.lengths import LONG

if TYPE_CHECKING:
    from tests.functions.chat import Chat

EVENTS: Final = 10_000 if LONG else 600
MEMBERS: Final = ("ada", "grace", "eve", "mo")
EMOJI: Final = ("👍", "🎉", ":ship_it:")


@dataclass
class Client:
    """Keeps a channel: messages by position, pins by position, and how far both logs are known."""

    room: Room
    messages: dict[int, bytes] = field(default_factory=dict)
    pins: dict[int, int] = field(default_factory=dict)
    seq: int = 0
    rev: int = 0
    requests: int = 0

    def sync(self, limit: int = 100) -> None:
        """Messages after its position and changes after its number, until neither has more."""
        more = True
        while more:
            new = self._get("/messages", after=self.seq, limit=limit)
            for each in new["messages"]:
                self._take(each)
            self.seq = new["last_seq"]
            changed = self._get("/changes", after=self.rev, limit=limit)
            assert [each["rev"] for each in changed["changes"]] == list(
                range(self.rev + 1, changed["last_rev"] + 1)
            )
            for each in changed["changes"]:
                self._apply(each)
            self.rev = changed["last_rev"]
            more = new["has_more_after"] or changed["has_more_after"]

    def _apply(self, change: dict[str, Any]) -> None:
        if change["kind"] == "pinned":
            self.pins[change["seq"]] = change["rev"]
        elif change["kind"] == "unpinned":
            del self.pins[change["seq"]]
        elif "message" in change and change["seq"] <= self.seq:
            self._take(change["message"])

    def _take(self, message: dict[str, Any]) -> None:
        """Takes a message unless the one that it has was changed later."""
        known = self.messages.get(message["seq"])
        if known is None or json.loads(known).get("rev", 0) < message.get("rev", 0):
            self.messages[message["seq"]] = dumps(message)

    def _get(self, rest: str, **query: int) -> dict[str, Any]:
        self.requests += 1
        return self.room.get(rest, "grace", **query)


def fresh(room: Room) -> tuple[dict[int, bytes], dict[int, int]]:
    """What a reader gets who has nothing: every page from the start, and the pins."""
    found: dict[int, bytes] = {}
    after, more = 0, True
    while more:
        page = room.get("/messages", "eve", after=after, limit=100)
        found |= {each["seq"]: dumps(each) for each in page["messages"]}
        after, more = page["last_seq"], page["has_more_after"]
    pins = {each["message"]["seq"]: each["rev"] for each in room.get("/pins", "eve")["pins"]}
    return found, pins


def event(room: Room, draw: Random, last: int) -> None:
    """Something that happens in the channel; what is refused happens too, and changes nothing."""
    user, seq, kind = draw.choice(MEMBERS), draw.randint(1, last), draw.random()
    room.chat.clock.ms += draw.randint(1, 60_000)
    if kind < 0.35:
        room.post(f"{draw.random()} <@{draw.choice(MEMBERS)}>", user)
    elif kind < 0.55:
        author = room.message(seq)["sender"]
        room.edit(seq, f"edited {draw.random()}", author)
    elif kind < 0.62:
        room.delete(seq, user)
    elif kind < 0.80:
        room.react(seq, draw.choice(EMOJI), user)
    elif kind < 0.90:
        room.unreact(seq, draw.choice(EMOJI), user)
    elif kind < 0.95:
        room.pin(seq, "mo")
    else:
        room.unpin(seq, "ada")


def happen(room: Room, draw: Random, count: int) -> None:
    """So many random events."""
    for _ in range(count):
        event(room, draw, room.chat.api.services.store.read_channel_state(room.id, "ada").head.seq)  # type: ignore[union-attr]


def check(client: Client) -> None:
    """Byte for byte what a fresh reader gets, and nothing else; pins without those of deleted messages."""
    shown, pins = fresh(client.room)
    assert client.messages == shown
    gone = {seq for seq, body in client.messages.items() if "deleted" in json.loads(body)}
    assert {seq: rev for seq, rev in client.pins.items() if seq not in gone} == pins


@pytest.fixture
def room(chat: Chat) -> Room:
    """Ada's channel with a message; mo is a moderator."""
    room = open_room(chat, "grace", "eve", moderators=("mo",))
    room.post()
    return room


def test_a_client_that_slept_has_what_a_fresh_reader_gets(room: Room) -> None:
    """Hundreds of events of all kinds (10,000 with LONG_TESTS=1), in as many requests as it takes for the longer log.

    stoatchat#941, mattermost#16505: nothing that happened while it was away is lost.
    """
    client, draw = Client(room), Random(941)  # noqa: S311 - draws events, keeps no secret
    client.sync()
    happen(room, draw, EVENTS)
    seen = room.chat.seen(room.id, "grace")
    behind = max(seen["last_seq"] - client.seq, seen["last_rev"] - client.rev)
    client.requests = 0
    client.sync()
    assert client.requests == 2 * -(-behind // 100)
    check(client)


def test_a_client_that_wakes_now_and_then_has_it_too(room: Room) -> None:
    """A client that syncs now and then in pages of any size has what a fresh reader gets."""
    client, draw = Client(room), Random(16_505)  # noqa: S311 - draws events, keeps no secret
    for limit in (1, 2, 3, 7, 50, 100):
        happen(room, draw, 25)
        client.sync(limit)
        check(client)


def test_what_happens_during_the_sync_is_not_lost(room: Room) -> None:
    """A message that is posted and changed between the two requests of a page is complete with the next sync."""
    draw = Random(1)  # noqa: S311 - draws events, keeps no secret

    class Busy(Client):
        def _get(self, rest: str, **query: int) -> dict[str, Any]:
            got = super()._get(rest, **query)
            if draw.random() < 0.5:
                happen(self.room, draw, 5)
            return got

    client = Busy(room)
    for _ in range(4):
        client.sync(3)
    quiet = Client(room, client.messages, client.pins, client.seq, client.rev)
    quiet.sync()
    check(quiet)


def test_after_a_sync_both_requests_are_304(room: Room) -> None:
    """After a sync both requests return 304 until something happens."""
    draw = Random(2)  # noqa: S311 - draws events, keeps no secret
    happen(room, draw, 30)
    client = Client(room)
    client.sync()
    for path, after in ((messages(room.id), client.seq), (f"/v1/channels/{room.id}/changes", client.rev)):
        first = room.chat.api("GET", path, query={"after": after})
        headers = {"if-none-match": first.headers["etag"]}
        assert room.chat.api("GET", path, query={"after": after}, headers=headers).status == 304
