"""Many realtime connections at once, in one thread with an event loop: what ``bench.push`` and the soak listen with."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from local.demo.client import Client
from shared.domain.realtime import MAX_WATCHES_A_FRAME, SUBPROTOCOL, VERSION

T = TypeVar("T")
OPENING: Final = 16
"""Connections that are opened at the same time."""
OnFrame = Callable[["Socket", bytes, int], None]
"""Called with each frame, and when it came: nanoseconds of the monotonic clock, which all processes share."""


class Socket:
    """One connection of a user."""

    def __init__(self, user: str, connection: ClientConnection) -> None:
        self.user = user
        self.connection = connection
        self.frames = 0
        self.bytes = 0

    async def say(self, kind: str, **fields: object) -> None:
        """Sends a frame."""
        await self.connection.send(json.dumps({"v": VERSION, "type": kind, **fields}))


async def opened(given: Mapping[str, str]) -> ClientConnection:
    """A connection with a ticket, as the API gives it; without the library's own pings and compression."""
    return await connect(
        given["url"],
        subprotocols=[Subprotocol(SUBPROTOCOL), Subprotocol(given["ticket"])],
        max_size=None,
        ping_interval=None,
        open_timeout=60,
        compression=None,
        proxy=None,
    )


class Sockets:
    """A context manager: connections run in a thread of their own.

    Args:
        client: gets the tickets.
        on_frame: takes the frames, in that thread.
        on_end: takes connections that have ended.
    """

    def __init__(
        self, client: Client, on_frame: OnFrame, on_end: Callable[[Socket], None] = lambda _: None
    ) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._on_frame = on_frame
        self._on_end = on_end
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sockets", daemon=True)
        self._readers: set[asyncio.Task[None]] = set()
        self.open: list[Socket] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.run(self._close_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine in the thread, and waits for it."""
        waiting: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return waiting.result()

    def connect(self, users: Sequence[str]) -> list[Socket]:
        """Opens a connection for each of these users, who may be named several times."""
        return self.run(self._connect_all(users))

    def watch(self, socket: Socket, channels: Sequence[str], *, live: bool = False) -> None:
        """Watches channels; the answer comes as a frame."""
        for start in range(0, len(channels), MAX_WATCHES_A_FRAME):
            part = channels[start : start + MAX_WATCHES_A_FRAME]
            self.say(socket, "watch", channels=[{"channel_id": each, "live": live} for each in part])

    def say(self, socket: Socket, kind: str, **fields: object) -> None:
        """Sends a frame."""
        self.run(socket.say(kind, **fields))

    def close(self, socket: Socket) -> None:
        """Ends a connection."""
        self.run(socket.connection.close())

    async def _connect_all(self, users: Sequence[str]) -> list[Socket]:
        room = asyncio.Semaphore(OPENING)

        async def one(user: str) -> Socket:
            async with room:
                return await self._connect(user)

        return list(await asyncio.gather(*map(one, users)))

    async def _connect(self, user: str) -> Socket:
        socket = Socket(user, await opened(await asyncio.to_thread(self._ticket, user)))
        self.open.append(socket)
        task = asyncio.create_task(self._read(socket))
        self._readers.add(task)
        task.add_done_callback(self._readers.discard)
        return socket

    def _ticket(self, user: str) -> dict[str, str]:
        with self._lock:
            response = self._client.call("POST", "/v1/realtime/tickets", user)
        if response.status != 201:  # noqa: PLR2004 - Created
            raise RuntimeError(f"no ticket: {response.status}")
        found: dict[str, str] = response.json
        return found

    async def _read(self, socket: Socket) -> None:
        try:
            async for frame in socket.connection:
                came = time.monotonic_ns()
                data = frame.encode() if isinstance(frame, str) else frame
                socket.frames += 1
                socket.bytes += len(data)
                self._on_frame(socket, data, came)
        except ConnectionClosed:
            pass
        finally:
            self.open.remove(socket)
            self._on_end(socket)

    async def _close_all(self) -> None:
        await asyncio.gather(*(each.connection.close() for each in list(self.open)), return_exceptions=True)
        while self._readers:
            await asyncio.wait(set(self._readers), timeout=5)
