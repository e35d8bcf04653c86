"""Clients with real connections that follow the rule of ``docs/realtime.md``, many of them in one thread."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, WebSocketException

from bench.lib.sockets import opened
from local.demo.client import Client, Response, UnreachableError
from shared.domain import keys
from shared.domain.clock import from_rfc3339, now_ms
from shared.domain.realtime import VERSION, log_fields
from tests.realtime.follower import MESSAGES, Fetch, Follower

ASKING: Final = 12
"""Threads for requests to the REST API."""
FIRST_PAGE: Final = 20
LIMIT: Final = 100
AGAIN_SECONDS: Final = (0.3, 1.5)
"""Between these, before what failed is tried again."""
ANSWER_SECONDS: Final = 3.0
"""Longer than a frame's answer takes as a rule when there are no faults."""
PINGS: Final = 10
REFUSED: Final = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})


def path_of(log_id: str) -> str:
    """The messages of a log: a channel's, or a thread's replies."""
    path = f"/v1/channels/{keys.channel_of_log(log_id)}/messages"
    return f"{path}/{log_id}/replies" if keys.is_thread(log_id) else path


def changes_path(log_id: str) -> str:
    """The changes of a log."""
    if keys.is_thread(log_id):
        return f"{path_of(log_id)}/changes"
    return f"/v1/channels/{log_id}/changes"


@dataclass
class Outsiders:
    """Users whose removal from a channel was acknowledged, and who have not been asked back; thread-safe."""

    _since: dict[tuple[str, str], int] = field(default_factory=dict)

    def removed(self, channel_id: str, user_id: str, now: int) -> None:
        """A removal was acknowledged at ``now`` (milliseconds since 1970)."""
        self._since[channel_id, user_id] = now

    def returns(self, channel_id: str, user_id: str) -> None:
        """The user is about to be added again."""
        self._since.pop((channel_id, user_id), None)

    def knows(self, channel_id: str, user_id: str) -> bool:
        """Whether the user is an outsider of the channel."""
        return (channel_id, user_id) in self._since

    def may_not_hear(self, channel_id: str, user_id: str, posted_at: int) -> bool:
        """Whether a message was posted after the user's removal was acknowledged."""
        return posted_at > self._since.get((channel_id, user_id), posted_at)


class PushClient:
    """One browser of a user: shows some logs, and connects again whenever its connection has ended.

    Args:
        crowd: that it belongs to.
        user_id: whose it is.
        readable: the logs that it may choose from.
        shown: how many it shows.
        is_live: whether its user looks at them.
        seed: decides what it does.
    """

    def __init__(
        self, crowd: Crowd, user_id: str, readable: list[str], shown: int, seed: str, *, is_live: bool
    ) -> None:
        self._crowd = crowd
        self.user_id = user_id
        self._readable = readable
        self._is_live = is_live
        self._random = random.Random(seed)
        self.follower = Follower()
        self.wanted = set(self._random.sample(readable, shown))
        """The logs that the client shows."""
        self._shown = shown
        self._connection: ClientConnection | None = None
        self._fetching: set[Fetch] = set()
        self._beginning: set[str] = set()
        self._pongs: dict[str, asyncio.Event] = {}
        self._under_way = 0
        self._number = 0

    @property
    def is_busy(self) -> bool:
        """Whether a request is under way, or about to be."""
        return self._under_way > 0

    # --- its connection ---

    async def live(self) -> None:
        """Keeps a connection open until the crowd goes home."""
        for log_id in sorted(self.wanted):
            self._ask_for(self._begin(log_id))
        while not self._crowd.is_over:
            try:
                ticket = await self._crowd.ask("POST", "/v1/realtime/tickets", self.user_id)
                if ticket.status != HTTPStatus.CREATED:
                    raise ConnectionRefusedError
                connection = await opened(ticket.json)
            except (OSError, WebSocketException):
                self._crowd.counts["connections refused"] += 1
                await self._wait()
                continue
            self._crowd.counts["connections"] += 1
            await self._listen(connection)
            await self._wait()

    async def _listen(self, connection: ClientConnection) -> None:
        self._connection = connection
        self.say("hello")
        self._watch(sorted(self.follower.logs))
        acting = asyncio.create_task(self._act())
        try:
            async for frame in connection:
                self._take(frame if isinstance(frame, bytes) else frame.encode())
        except ConnectionClosed:
            self._crowd.counts["connections lost"] += 1
        finally:
            acting.cancel()
            self._connection = None

    async def end(self) -> None:
        """Closes the connection, if there is one."""
        if self._connection is not None:
            await self._connection.close()

    async def _wait(self) -> None:
        await asyncio.sleep(self._random.uniform(*AGAIN_SECONDS))

    async def _act(self) -> None:
        """Now and then a ping; a user who turns to another log, comes back, or loses the connection."""
        while True:
            await asyncio.sleep(self._random.expovariate(1 / self._crowd.ping_seconds))
            way = self._random.choices(("ping", "look", "typing", "leave", "lose"), (14, 3, 2, 1, 1))[0]
            if way == "look":
                self._look_around()
            elif way == "typing" and self._is_live and self.follower.logs:
                self.say("typing", **log_fields(self._random.choice(sorted(self.follower.logs))))
            elif way == "leave" and self.wanted:
                self._leave(self._random.choice(sorted(self.wanted)))
            elif way == "lose" and self._connection is not None:
                self._connection.transport.abort()
            else:
                self.say("ping")

    def _look_around(self) -> None:
        """Shows as many logs as before, others instead of those that are gone."""
        if len(self.wanted) >= self._shown:
            self._leave(self._random.choice(sorted(self.wanted)))
        self._look(self._random.choice(self._readable))

    def _leave(self, log_id: str) -> None:
        self._drop(log_id)
        self.say("unwatch", channels=[log_fields(log_id)], ref="mine")

    # --- frames ---

    def say(self, kind: str, **fields: object) -> None:
        """Sends a frame, if there is a connection."""
        self._crowd.spawn(self._say(kind, fields))

    async def _say(self, kind: str, fields: Mapping[str, object]) -> None:
        if self._connection is not None:
            try:
                await self._connection.send(json.dumps({"v": VERSION, "type": kind, **fields}))
            except ConnectionClosed:
                return  # It will be opened again, and what is shown will be watched.

    def _take(self, frame: bytes) -> None:
        told = json.loads(frame)
        # API Gateway's own messages have no type.
        kind = told.get("type", "none")
        self._crowd.counts[f"{kind} frames"] += 1
        if kind == "news":
            self._crowd.judge(told, self.user_id)
        if kind == "none":
            return
        self._obey(told)
        for fetch in self.follower.frame(frame):
            self._ask_for(self._fetch(fetch))
        if kind == "pong" and (waiting := self._pongs.pop(told.get("ref", ""), None)):
            waiting.set()

    def _obey(self, told: Mapping[str, Any]) -> None:
        match told["type"]:
            case "reconnect":
                self._crowd.spawn(self.end())
            case "error":
                self._failed(told)
            case "channel":
                self._channel(told)
            case "unwatched" if "ref" not in told:
                self._ended(told["channels"])
            case "watching":
                for each in told["refused"]:
                    self._refused(_log_of(each), each["code"])
            case "pong":
                self._ended(told["ended"])
                self._watch_missing(told)

    def _failed(self, told: Mapping[str, Any]) -> None:
        self._crowd.counts[f"error {told['code']}"] += 1
        if told["code"] == "connection_ended":
            self._crowd.spawn(self.end())

    def _channel(self, told: Mapping[str, Any]) -> None:
        channel_id = told["channel_id"]
        if told["event"] in {"removed", "archived"}:
            for log_id in [each for each in self.wanted if keys.channel_of_log(each) == channel_id]:
                self._drop(log_id)
        elif told["event"] == "added" and channel_id in self._readable and len(self.wanted) < self._shown:
            self._look(channel_id)

    def _ended(self, logs: list[dict[str, str]]) -> None:
        """These are not watched any more: the client asks for them by REST, and watches them again if it may."""
        for log_id in map(_log_of, logs):
            if log_id in self.wanted:
                self._drop(log_id)
                self._look(log_id)

    def _refused(self, log_id: str, code: str) -> None:
        if code == "contention":
            self._ended([log_fields(log_id)])
        else:
            self._drop(log_id)

    def _watch_missing(self, pong: Mapping[str, Any]) -> None:
        """What is shown and not watched: a ``watch`` was lost, or failed."""
        watched = set(map(_log_of, pong["channels"]))
        self._watch(sorted(self.follower.logs.keys() - watched))

    def _watch(self, log_ids: list[str]) -> None:
        if log_ids:
            self.say("watch", channels=[{**log_fields(each), "live": self._is_live} for each in log_ids])

    # --- what it shows ---

    def _look(self, log_id: str) -> None:
        if log_id not in self.wanted:
            self.wanted.add(log_id)
            self._ask_for(self._begin(log_id))

    def _drop(self, log_id: str) -> None:
        self.wanted.discard(log_id)
        self.follower.logs.pop(log_id, None)

    def _ask_for(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs a coroutine that asks the REST API."""
        self._under_way += 1

        async def ask() -> None:
            try:
                await work
            finally:
                self._under_way -= 1

        self._crowd.spawn(ask())

    async def _begin(self, log_id: str) -> None:
        """Asks for the latest page until there is one; a log that may not be read is not shown."""
        if log_id in self._beginning:
            return
        self._beginning.add(log_id)
        while log_id in self.wanted and log_id not in self.follower.logs and not self._crowd.is_closed:
            page = await self._crowd.ask("GET", f"{path_of(log_id)}?limit={FIRST_PAGE}", self.user_id)
            if page.status in REFUSED:
                self._drop(log_id)
            elif page.status == HTTPStatus.OK and log_id in self.wanted:
                self.follower.begin(log_id, page.body)
                self._watch([log_id])
            else:
                await self._wait()
        self._beginning.discard(log_id)

    async def _fetch(self, fetch: Fetch) -> None:
        if fetch in self._fetching or fetch.log_id not in self.follower.logs:
            return
        self._fetching.add(fetch)
        is_messages = fetch.what == MESSAGES
        path = path_of(fetch.log_id) if is_messages else changes_path(fetch.log_id)
        page = await self._crowd.ask("GET", f"{path}?after={fetch.after}&limit={LIMIT}", self.user_id)
        self._crowd.counts["fetches"] += 1
        if page.status != HTTPStatus.OK and page.status not in REFUSED:
            await self._wait()
        self._fetching.discard(fetch)
        if fetch.log_id not in self.follower.logs:
            return
        if page.status in REFUSED:
            self._drop(fetch.log_id)
            return
        if page.status != HTTPStatus.OK:
            wanted = self.follower.due(fetch.log_id)
        else:
            apply = self.follower.page if is_messages else self.follower.changes
            # What is still on its way is found by the next frame or ping.
            wanted = [
                each
                for each in apply(fetch.log_id, page.body)
                if each.what != fetch.what or each.after > fetch.after
            ]
        for each in wanted:
            self._ask_for(self._fetch(each))

    # --- the end ---

    async def catch_up(self) -> bool:
        """Pings until there is an answer, and fetches what it says; whether there was one.

        The connection may just be ending, or be one that the functions have taken for gone.
        """
        for _ in range(PINGS):
            self._number += 1
            ref, came = f"last-{self._number}", asyncio.Event()
            self._pongs[ref] = came
            self.say("ping", ref=ref)
            with suppress(TimeoutError):
                await asyncio.wait_for(came.wait(), ANSWER_SECONDS)
                while self.is_busy:
                    await self._wait()
                return True
        return False


class Crowd:
    """All clients, in a thread of their own. A context manager.

    Args:
        connect: makes a client of the REST API, one a thread.
        ping_seconds: between two things that a client does, on average.
        outsiders: who may not hear of what.
    """

    def __init__(self, connect: Callable[[], Client], ping_seconds: float, outsiders: Outsiders) -> None:
        self._connect = connect
        self.ping_seconds = ping_seconds
        self.outsiders = outsiders
        self.clients: list[PushClient] = []
        self.counts: Counter[str] = Counter()
        self.lags_ms: deque[int] = deque(maxlen=2_000)
        """From a message's post to its coming by push, of the latest ones."""
        self.is_over = False
        """No connection is opened any more."""
        self.is_closed = False
        self._local = threading.local()
        self._pool = ThreadPoolExecutor(ASKING, "asking")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="clients", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.is_over = self.is_closed = True
        self.run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._pool.shutdown()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Runs a coroutine in the thread, and waits for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs a coroutine; in the thread."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self.counts[f"crash {type(error).__name__}: {error}"] += 1

    async def ask(self, method: str, path: str, user: str) -> Response:
        """A request to the REST API, once; status 0 without an answer."""
        found = await self._loop.run_in_executor(self._pool, self._ask, method, path, user)
        self.counts[f"status {found.status}"] += 1
        return found

    def _ask(self, method: str, path: str, user: str) -> Response:
        if not hasattr(self._local, "client"):
            self._local.client = self._connect()
        client: Client = self._local.client
        try:
            return client.call(method, path, user)
        except UnreachableError:
            return Response(0, {}, b"")

    def judge(self, news: Mapping[str, Any], user_id: str) -> None:
        """Notes how old the messages in news are, and whether the user may not hear of one."""
        now = now_ms()
        for log in news["channels"]:
            for message in (each for run in log.get("messages", ()) for each in run["messages"]):
                posted_at = from_rfc3339(message["created_at"])
                self.lags_ms.append(now - posted_at)
                self.counts["overheard"] += self.outsiders.may_not_hear(log["channel_id"], user_id, posted_at)

    # --- all of them ---

    def open(self, clients: list[PushClient]) -> None:
        """These clients come, and stay."""
        self.clients = clients
        self.run(self._come())

    async def _come(self) -> None:
        for each in self.clients:
            self.spawn(each.live())

    def catch_up(self) -> int:
        """Every client pings and fetches what it lacks; the number of those whose ping was not answered."""

        async def all_of_them() -> list[bool]:
            return await asyncio.gather(*(each.catch_up() for each in self.clients))

        return self.run(all_of_them()).count(False)  # type: ignore[no-any-return]

    def leave(self) -> None:
        """All connections are closed, and no further one is opened."""
        self.is_over = True

        async def all_of_them() -> None:
            while any(each._connection for each in self.clients):
                await asyncio.gather(*(each.end() for each in self.clients))

        self.run(all_of_them())

    async def _end(self) -> None:
        await asyncio.gather(*(each.end() for each in self.clients))
        others = self._tasks - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def _log_of(told: Mapping[str, str]) -> str:
    return told.get("thread_id", told["channel_id"])
