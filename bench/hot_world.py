"""A channel, its members and readers over any storage, and every request that the API knows: for ``bench.hot_path``.

What each request finds is the same whatever the storage: a page of 50 messages of real text, 50 members, 50 channels of
the caller's. Requests that use up what they find (archiving, removing) find another of it each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Final

from fastapi import FastAPI

from bench.conversations import CHANNEL, STARTED_AT, bodies, turns
from bench.fleet import event
from bench.one_page import PAGE, SIZES, USER
from functions.check_health.handler import app as check_health_app
from functions.fetch_messages.handler import app as fetch_messages_app
from functions.list_channels.handler import app as list_channels_app
from functions.manage_channels.handler import app as manage_channels_app
from functions.mark_read.handler import app as mark_read_app
from functions.post_message.handler import app as post_message_app
from shared import keys
from shared.codings import PLAIN
from shared.messages import Draft, preview_of
from shared.model import MAX_BATCH, Entry, Head, Kind, Membership, Role
from shared.services import Services
from shared.store.interface import Commit, Store
from shared.use_cases.check_health import check_health
from shared.use_cases.fetch_messages import Window, fetch_message, fetch_messages
from shared.use_cases.list_channels import Listing, list_channels, list_public_channels
from shared.use_cases.manage_channels import (
    Plan,
    archive_channel,
    create_channel,
    get_channel,
    update_channel,
)
from shared.use_cases.manage_members import list_members, put_member, remove_member
from shared.use_cases.mark_read import mark_read
from shared.use_cases.post_message import post_message

LISTED: Final = 50
"""Channels of the caller's, and members of the first of them, unless a run of a moment asks for fewer."""
POST, KEYED, LIST = "post", "post with a key", "list of channels"
STRANGER: Final = "stranger"
"""Is in no channel."""
TEXT: Final = "What was the most interesting thing that you have read about birds lately?"
Event = dict[str, Any]
Use = Callable[[Services], object]


@dataclass(frozen=True, slots=True)
class Case:
    """A request of one kind: the function that serves it, its next event, and its use case alone."""

    app: FastAPI
    event: Callable[[], Event]
    use: Use


class World:
    """Fills a storage and makes requests to it.

    Args:
        store: an empty one.
        fresh: how often each request that uses something up may be made.
        listed: channels of the caller's, and members of the first of them.
    """

    def __init__(self, store: Store, fresh: int, listed: int = LISTED) -> None:
        self._store = store
        self._listed = listed
        self._numbers = count()
        self._fill()
        self._archivable = self._channels(fresh)
        self._removable = self._members(fresh)

    def _fill(self) -> None:
        self._create(CHANNEL, "lobby", self._listed)
        self._say(CHANNEL, bodies(PAGE, SIZES))
        spoken = turns()
        for number in range(self._listed - 1):
            channel_id = keys.derived_channel_id("hot", str(number))
            self._create(channel_id, f"channel {number}", 2)
            self._say(channel_id, bodies(1, taken=spoken, channel_id=channel_id))

    def _say(self, channel_id: str, spoken: Sequence[bytes]) -> None:
        entries = [Entry(seq, seq, STARTED_AT, body) for seq, body in enumerate(spoken, 1)]
        for start in range(0, len(entries), MAX_BATCH):
            part = entries[start : start + MAX_BATCH]
            self._store.take(channel_id, len(part), preview_of(part[-1]))
            self._store.commit(
                Commit(
                    channel_id, USER, part, tat_seen=0, tat=0, move_read=True, receipt=None, now=STARTED_AT
                )
            )

    def _create(self, channel_id: str, name: str, members: int) -> None:
        """A public channel of the caller's, with a preview of real text."""
        others = [f"user-{number:03d}" for number in range(members - 1)]
        joined = [Membership(USER, channel_id, Role.OWNER, STARTED_AT)]
        joined += [Membership(each, channel_id, Role.MEMBER, STARTED_AT) for each in others]
        head = Head(channel_id, Kind.PUBLIC, name, TEXT, USER, STARTED_AT, members=members)
        self._store.create_channel(head, joined)

    def _channels(self, fresh: int) -> Iterator[str]:
        made = [keys.derived_channel_id("archived", str(number)) for number in range(fresh)]
        for each in made:
            membership = Membership("archivist", each, Role.OWNER, STARTED_AT)
            self._store.create_channel(
                Head(each, Kind.PRIVATE, "old", "", "archivist", STARTED_AT), [membership]
            )
        return iter(made)

    def _members(self, fresh: int) -> Iterator[str]:
        made = [f"leaver-{number:05d}" for number in range(fresh)]
        for each in made:
            self._store.add_member(Membership(each, CHANNEL, Role.MEMBER, STARTED_AT))
        return iter(made)

    def _new(self, what: str) -> str:
        return f"{what}-{next(self._numbers):06d}"

    def cases(self) -> Mapping[str, Case]:
        """Every request, by name."""
        return self._messages() | self._lists() | self._management() | self._membership()

    def _messages(self) -> dict[str, Case]:
        path, one = f"/v1/channels/{CHANNEL}/messages", keys.message_id(CHANNEL, 7)
        body, drafts = {"text": TEXT}, [Draft(TEXT)]
        batch, window = [Draft(TEXT)] * 10, Window(PAGE, before=PAGE + 1)
        read = f"/v1/channels/{CHANNEL}/read"
        return {
            "a page": Case(
                fetch_messages_app,
                _same(event("GET", path, USER, f"before={PAGE + 1}")),
                lambda at: fetch_messages(at, USER, CHANNEL, window, frozenset(), PLAIN),
            ),
            "one message": Case(
                fetch_messages_app,
                _same(event("GET", f"{path}/{one}", USER)),
                lambda at: fetch_message(at, USER, CHANNEL, one),
            ),
            POST: Case(
                post_message_app,
                _same(event("POST", path, USER, body=body)),
                lambda at: post_message(at, USER, CHANNEL, drafts, None),
            ),
            KEYED: Case(
                post_message_app,
                lambda: _keyed(event("POST", path, USER, body=body), self._new("key")),
                lambda at: post_message(at, USER, CHANNEL, drafts, self._new("key")),
            ),
            "post of ten": Case(
                post_message_app,
                _same(event("POST", path, USER, body={"messages": [body] * 10})),
                lambda at: post_message(at, USER, CHANNEL, batch, None),
            ),
            "mark as read": Case(
                mark_read_app,
                _same(event("PUT", read, "user-000", body={"last_read_seq": 40})),
                lambda at: mark_read(at, "user-000", CHANNEL, 40, force=False),
            ),
        }

    def _lists(self) -> dict[str, Case]:
        mine, public = (
            event("GET", "/v1/channels", USER),
            event("GET", "/v1/channels", STRANGER, "scope=public"),
        )
        health, probe = (event(method, "/v1/healthz", USER) for method in ("GET", "HEAD"))
        return {
            LIST: Case(list_channels_app, _same(mine), lambda at: list_channels(at, USER, Listing(50))),
            "public list": Case(
                list_channels_app, _same(public), lambda at: list_public_channels(at, STRANGER, Listing(50))
            ),
            "health": Case(check_health_app, _same(health), lambda at: check_health(at, deep=False)),
            "health probe": Case(check_health_app, _same(probe), lambda at: check_health(at, deep=False)),
        }

    def _management(self) -> dict[str, Case]:
        app, path = manage_channels_app, f"/v1/channels/{CHANNEL}"
        body, plan = {"kind": "private", "name": "crew"}, Plan(Kind.PRIVATE, "crew")
        return {
            "create a channel": Case(
                app,
                _same(event("POST", "/v1/channels", "maker", body=body)),
                lambda at: create_channel(at, "maker", plan, None),
            ),
            "get a channel": Case(
                app, _same(event("GET", path, USER)), lambda at: get_channel(at, USER, CHANNEL)
            ),
            "update a channel": Case(
                app,
                _same(event("PATCH", path, USER, body={"topic": TEXT})),
                lambda at: update_channel(at, USER, CHANNEL, {"topic": TEXT}, None),
            ),
            "archive a channel": Case(
                app,
                lambda: event("DELETE", f"/v1/channels/{next(self._archivable)}", "archivist"),
                lambda at: archive_channel(at, "archivist", next(self._archivable)),
            ),
        }

    def _membership(self) -> dict[str, Case]:
        app, path = manage_channels_app, f"/v1/channels/{CHANNEL}/members"
        return {
            "list of members": Case(
                app, _same(event("GET", path, USER)), lambda at: list_members(at, USER, CHANNEL, 50, None)
            ),
            "add a member": Case(
                app,
                lambda: event("PUT", f"{path}/{self._new('joiner')}", USER),
                lambda at: put_member(at, USER, CHANNEL, self._new("joiner"), None),
            ),
            "remove a member": Case(
                app,
                lambda: event("DELETE", f"{path}/{next(self._removable)}", USER),
                lambda at: remove_member(at, USER, CHANNEL, next(self._removable)),
            ),
        }


def generous(services: Services) -> Services:
    """The same services without a limit that a benchmark would meet."""
    unlimited = replace(services.settings, rate_per_second=1e6, rate_burst=10**6, max_channels_per_user=10**6)
    return replace(services, settings=unlimited)


def _same(made: Event) -> Callable[[], Event]:
    return lambda: made


def _keyed(made: Event, key: str) -> Event:
    made["headers"]["idempotency-key"] = key
    return made
