"""The simulated people who watch: each follows the rule of ``docs/realtime.md``, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from shared.bootstrap import Services
from shared.domain import keys
from shared.domain.errors import ConnectionEndedError
from shared.domain.frames import parse
from shared.domain.realtime import SUBPROTOCOL, VERSION
from shared.use_cases.fetch_changes import ChangePage, fetch_changes
from shared.use_cases.fetch_messages import Page, Window
from shared.use_cases.issue_ticket import issue_ticket
from shared.use_cases.open_connection import close_connection, open_connection
from shared.use_cases.receive_frame import Answer, find_connection, receive_frame
from tests.realtime.follower import MESSAGES, Fetch
from tests.simulation.ledger import Asked
from tests.simulation.pages import plain
from tests.simulation.push.network import SimSender
from tests.simulation.requests import Request

if TYPE_CHECKING:
    from tests.simulation.push.world import PushWorld

FIRST_PAGE: Final = 20
LIMIT: Final = 100
TIMEOUT_MS: Final = 60_000.0
"""Longer than any request runs."""
AGAIN_MS: Final = 400.0
"""After a failure."""


class Watcher:
    """One person in one browser.

    Args:
        world: they live in.
        user_id: whose connection it is.
    """

    def __init__(self, world: PushWorld, user_id: str) -> None:
        self._world = world
        self.user_id = user_id
        self.follower = world.push.follower()
        self.connection_id: str | None = None
        self._fetching: set[Fetch] = set()
        self._is_opening = False
        self._leaving: set[str] = set()
        """Logs whose `unwatch` is not answered yet: a `watch` might overtake it."""
        self.wanted: set[str] = set()
        """The logs that the client shows."""

    # --- what a person does ---

    def act(self) -> None:
        """One thing: connects, looks at another log, pings, or loses the connection."""
        world = self._world
        if self.connection_id is None:
            self.connect()
            return
        way = world.rng.choices(("look", "peek", "ping", "unwatch", "lose"), (5, 3, 3, 1, 1))[0]
        if way == "look":
            self.look(world.clients.threads.somewhere(world.rng.choice(world.channels)))
        elif way == "peek":  # At whatever there is, without having read a page of it.
            self._say("watch", channels=[_named(world.rng.choice(world.channels))])
        elif way == "ping":
            self.ping()
        elif way == "unwatch" and self.wanted:
            self._unwatch(world.rng.choice(sorted(self.wanted)))
        else:
            self.lose()

    def look(self, log_id: str) -> None:
        """Shows a log: its first page, then it is watched."""
        if log_id in self.wanted or log_id in self._leaving:
            return
        self.wanted.add(log_id)
        self._begin(log_id)

    def connect(self) -> None:
        """Opens a connection with a ticket, and watches everything that the client shows."""
        if self._is_opening or self.connection_id is not None:
            return
        self._is_opening = True
        connection_id = f"{self.user_id}-{len(self._world.network.users)}"
        self._world.network.users[connection_id] = self.user_id

        def call(services: Services) -> object:
            ticket = issue_ticket(services, self.user_id).ticket
            return open_connection(services, SimSender(self._world), connection_id, (SUBPROTOCOL, ticket))

        def check(_: Asked, __: object) -> str:
            self._is_opening = False
            self.connection_id = connection_id
            self._world.network.open[connection_id] = self.take
            self._watch(sorted(self.wanted))
            return "connected"

        self._send("connect", call, check, self._not_opened)

    def _not_opened(self, _: BaseException) -> None:
        self._is_opening = False
        self._world.loop.spawn(self.connect, 2_000)

    def lose(self) -> None:
        """The connection ends; API Gateway tells the function of it as a rule."""
        if self.connection_id is not None:
            self._world.hang_up(self.connection_id)

    def lost(self) -> None:
        """The connection has ended."""
        connection_id, self.connection_id = self.connection_id, None
        self._world.loop.spawn(self.connect, self._world.rng.uniform(100, 5_000))
        if connection_id is None or self._world.chance(0.3):
            return

        def call(services: Services) -> object:
            close_connection(services, connection_id)
            return "closed"

        self._send("disconnect", call, lambda *_: "closed")

    def ping(self) -> None:
        """Asks for the numbers of everything that is watched."""
        self._say("ping")

    # --- frames ---

    def take(self, frame: bytes) -> None:
        """A frame has come."""
        told = json.loads(frame)
        self._world.taken += 1
        match told["type"]:
            case "reconnect":
                self.lose()
            case "channel":
                self._channel(told)
            case "unwatched" if "ref" not in told:
                self._ended(told["channels"])
            case "pong":
                self._ended(told["ended"])
                named = {each.get("thread_id", each["channel_id"]) for each in told["channels"]}
                self._watch(sorted(self.wanted & self.follower.logs.keys() - named))
            case "watching":
                for each in told["refused"]:
                    self._drop(each.get("thread_id", each["channel_id"]))
        for fetch in self.follower.frame(frame):
            self._fetch(fetch)

    def _channel(self, told: dict[str, Any]) -> None:
        if told["event"] in {"removed", "archived"}:
            for log_id in [each for each in self.wanted if keys.channel_of_log(each) == told["channel_id"]]:
                self._drop(log_id)
        elif told["event"] == "added":
            self.look(told["channel_id"])

    def _ended(self, logs: list[dict[str, str]]) -> None:
        """These are not watched any more: the client asks for them by REST, and watches them again if it may."""
        for each in logs:
            log_id = each.get("thread_id", each["channel_id"])
            if log_id in self.wanted:
                self._drop(log_id)
                self.look(log_id)

    def _drop(self, log_id: str) -> None:
        self.wanted.discard(log_id)
        self.follower.logs.pop(log_id, None)

    def _unwatch(self, log_id: str) -> None:
        self._drop(log_id)
        self._leaving.add(log_id)
        self._say("unwatch", channels=[_named(log_id)], ref="mine")

    def _watch(self, log_ids: list[str]) -> None:
        if log_ids:
            self._say("watch", channels=[_named(log_id) for log_id in log_ids])

    def _say(self, kind: str, **fields: Any) -> None:
        """A frame to the server, whose answer comes back as the result of its route."""
        connection_id = self.connection_id
        if connection_id is None:
            return
        text = json.dumps({"v": VERSION, "type": kind, **fields})

        def call(services: Services) -> object:
            connection = find_connection(services, connection_id)
            return receive_frame(services, SimSender(self._world), connection, parse(text))

        def check(_: Asked, answer: Answer) -> str:
            self._answered(kind, fields)
            if answer.frame is not None and self.connection_id == connection_id:
                self.take(answer.frame)
                return str(json.loads(answer.frame)["type"])
            return "no answer"

        def failed(error: BaseException) -> None:
            self._answered(kind, fields)
            if isinstance(error, ConnectionEndedError):
                self.lose()
            elif kind != "unwatch":  # What comes of a watch that stays is ignored.
                self._world.loop.spawn(partial(self._say, kind, **fields), AGAIN_MS)

        self._send(kind, call, check, failed)

    def _answered(self, kind: str, fields: dict[str, Any]) -> None:
        if kind == "unwatch":
            self._leaving -= {each.get("thread_id", each["channel_id"]) for each in fields["channels"]}

    # --- requests ---

    def _begin(self, log_id: str) -> None:
        """The latest page; a log that may not be read is not shown."""

        def check(asked: Asked, page: Page) -> str:
            page = plain(page)
            self._world.judge.page(asked, Window(FIRST_PAGE), page, None)
            if log_id in self.wanted and log_id not in self.follower.logs:
                self.follower.begin(log_id, page.body or b"")
                self._watch([log_id])
            return "begun"

        def call(services: Services) -> object:
            return self._world.code.fetch(services, self.user_id, log_id, Window(FIRST_PAGE), frozenset())

        self._send("page", call, check, lambda _: self._drop(log_id), log_id)

    def _fetch(self, fetch: Fetch) -> None:
        if fetch in self._fetching or fetch.log_id not in self.follower.logs:
            return
        self._fetching.add(fetch)

        def check(asked: Asked, page: Any) -> str:
            self._fetching.discard(fetch)
            if fetch.log_id not in self.follower.logs:
                return "not wanted any more"
            for further in self._apply(asked, fetch, page):
                # What is still on its way is found by the next frame or ping.
                if further.what != fetch.what or further.after > fetch.after:
                    self._fetch(further)
            return "caught up"

        def call(services: Services) -> object:
            if fetch.what == MESSAGES:
                window = Window(LIMIT, after=fetch.after)
                return self._world.code.fetch(services, self.user_id, fetch.log_id, window, frozenset())
            return fetch_changes(services, self.user_id, fetch.log_id, fetch.after, LIMIT, ())

        def failed(_: BaseException) -> None:
            self._fetching.discard(fetch)
            self._world.loop.spawn(lambda: self._retry(fetch.log_id), AGAIN_MS)

        kind = "page" if fetch.what == MESSAGES else "changes"
        self._send(kind, call, check, failed, fetch.log_id, fetch.after)

    def _retry(self, log_id: str) -> None:
        if log_id in self.follower.logs and self._world.is_member(log_id, self.user_id):
            for fetch in self.follower.due(log_id):
                self._fetch(fetch)

    def _apply(self, asked: Asked, fetch: Fetch, page: Page | ChangePage) -> list[Fetch]:
        if isinstance(page, Page):
            page = plain(page)
            self._world.judge.page(asked, Window(LIMIT, after=fetch.after), page, None)
            return self.follower.page(fetch.log_id, page.body or b"")
        return self.follower.changes(fetch.log_id, page.body or b"")

    def _send(
        self,
        kind: str,
        call: Callable[[Services], Any],
        check: Callable[[Asked, Any], str],
        failed: Callable[[BaseException], None] = lambda _: None,
        log_id: str = "",
        position: int = 0,
    ) -> None:
        log_id = log_id or self._world.channels[0]
        self._world.said += 1
        is_over = False

        def checked(asked: Asked, result: Any) -> str:
            nonlocal is_over
            is_over = True
            return check(asked, result)

        def ended(error: BaseException) -> None:
            nonlocal is_over
            if not is_over:
                is_over = True
                failed(error)

        # A container that dies before it begins with a request tells nobody.
        self._world.loop.spawn(lambda: ended(TimeoutError()), TIMEOUT_MS)
        self._world.clients.send(Request(kind, self.user_id, log_id, call, checked, ended, position))


def _named(log_id: str) -> dict[str, str]:
    named = {"channel_id": keys.channel_of_log(log_id)}
    return named | {"thread_id": log_id} if keys.is_thread(log_id) else named
