"""What realtime's operations take: tickets, connections, frames from clients, and batches of the table's stream.

Through the real functions, over any engine; frames to clients are signed and counted, and go nowhere.
"""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from math import ceil
from threading import Lock
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

from bench.lib.client import MeasuredClient
from bench.lib.conversations import bodies
from bench.lib.dynamodb import TABLE, store_on
from bench.lib.functions import Ask, Handlers, routed
from bench.lib.operations import FRIEND, SETTINGS, USER, channel, fill
from bench.lib.timing import Stopwatch, medians
from functions.open_connection import handler as opening
from functions.receive_frame import handler as receiving
from local.gateway import websocket_events
from local.gateway.wire import Request
from operators.realtime_plan import CROWD, WATCHED
from shared.aws.client import Credentials, Signer
from shared.aws.http_sender import HttpSender
from shared.bootstrap import compose
from shared.domain.clock import now_ms
from shared.domain.messages import Draft
from shared.domain.realtime import CONNECTION_SECONDS, MAX_FRAME_BYTES, SUBPROTOCOL, Connection, Watch
from shared.observability.telemetry import logger
from shared.storage import items, realtime_items
from shared.storage.memory import MemoryStore
from shared.use_cases.dispatch_changes import dispatch
from shared.use_cases.fan_out import AT_ONCE
from shared.use_cases.issue_ticket import issue_ticket
from shared.use_cases.post_message import post_message
from shared.web import stream_events, websocket

if TYPE_CHECKING:
    from shared.aws.protocol import AwsClient
    from shared.runtime.http_pool import Connections

SEND_MS: Final = 10.0
"""Assumed time of a frame's request to API Gateway; ``AT_ONCE`` are under way at a time."""
REQUEST_ID: Final = "JKJaXmPLvHcESHA="
_NUMBERS: Final = count()


class Accepted:
    """In the place of connections to API Gateway, which takes every frame."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.reset()

    def reset(self) -> None:
        """Counts from 0."""
        self.frames = self.bytes = self.pieces = 0

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> tuple[Any, bytes]:  # noqa: ARG002 - as the real ones
        """200."""
        with self._lock:
            self.frames += 1
            self.bytes += len(body)
            self.pieces += pieces(body)
        return SimpleNamespace(status=200), b""

    def close(self) -> None:
        """Nothing is open."""


def pieces(frame: bytes) -> int:
    """As which API Gateway bills a frame."""
    return max(1, ceil(len(frame) / MAX_FRAME_BYTES))


@dataclass
class Scene:
    """The functions over a client of an engine; ``handlers`` are those of the HTTP API."""

    client: MeasuredClient
    handlers: Handlers
    now: Callable[[], int] = now_ms

    def __post_init__(self) -> None:
        self.accepted, self.lines = Accepted(), io.StringIO()
        self.opened: list[Connection] = []
        self.received = 0
        settings = replace(SETTINGS, realtime_url="wss://bench.example.com/v1")
        self.services = compose(settings, store_on(cast("AwsClient", self.client)), self.now)
        signer = Signer(Credentials("key", "secret"), "execute-api", "us-east-1", "bench.example.com")
        sender = HttpSender(cast("Connections", self.accepted), signer, "/v1")
        parts = (lambda: self.services, lambda: sender)
        self.open = websocket.Handler("open_connection", opening.ACTIONS, *parts)
        self.receive = websocket.Handler("receive_frame", receiving.ACTIONS, *parts)
        self.dispatch = stream_events.Handler("dispatch_changes", dispatch, *parts)

    def ask(self, ask: Ask) -> Mapping[str, Any]:
        """A request of the HTTP API."""
        self.handlers.services = self.services
        return self.handlers.invoke(*routed(ask))

    def begin(self) -> None:
        """Counts what follows from 0: units, frames, and lines of the log."""
        self.client.take()
        self.accepted.reset()
        self.lines = io.StringIO()
        log = logger().registered_handler
        assert isinstance(log, logging.StreamHandler)
        log.setStream(self.lines)

    def end(self) -> None:
        """Closes the connections that were opened for an operation."""
        self.received = 0
        while self.opened:
            self.services.store.close_connection(self.opened.pop())

    def connected(self, user: str, channels: Sequence[str] = (), *, live: bool = False) -> Connection:
        """A new connection of a user that watches these channels."""
        now = self.now()
        made = Connection(f"bench-{next(_NUMBERS)}=", user, now, now // 1000 + CONNECTION_SECONDS)
        self.services.store.open_connection(made)
        watches = [Watch(each, user, made.connection_id, made.expires, live) for each in channels]
        if watches:
            self.services.store.watch(made, watches, len(watches))
        self.opened.append(replace(made, watches=frozenset(channels)))
        return self.opened[-1]

    def frame(self, connection: Connection, kind: str, **fields: object) -> Call:
        """A frame from a client."""
        body = json.dumps({"v": 1, "type": kind, **fields})
        self.received = pieces(body.encode())
        return partial(self.receive, sends(connection.connection_id, body))


Call = Callable[[], Mapping[str, Any]]
Ready = Callable[[Scene], Call]


def opens(connection_id: str, protocols: str) -> dict[str, Any]:
    """The event of a handshake that offers these subprotocols."""
    handshake = Request("GET", f"/{websocket_events.STAGE}", headers=(("sec-websocket-protocol", protocols),))
    return websocket_events.connect(_client(connection_id), handshake, REQUEST_ID, 443)


def sends(connection_id: str, text: str) -> dict[str, Any]:
    """The event of a client's frame."""
    return websocket_events.message(_client(connection_id), text, REQUEST_ID, encoded=False)


def ends(connection_id: str) -> dict[str, Any]:
    """The event of a connection's end."""
    return websocket_events.disconnect(_client(connection_id), REQUEST_ID, 1000, "")


def _client(connection_id: str) -> websocket_events.Client:
    return websocket_events.Client(connection_id, 1, "api.example.com", "192.0.2.1", "bench")


def batch(kind: str, item: Mapping[str, Any], name: str = "NewImage") -> dict[str, Any]:
    """A batch of one record of the stream."""
    plain = {key: value for key, value in item.items() if "B" not in value}
    change = {"Keys": {key: item[key] for key in ("pk", "sk")}, name: plain, "SequenceNumber": "1"}
    return {"Records": [{"eventID": "1", "eventName": kind, "dynamodb": change}]}


CHANNELS: Final = tuple(channel(f"realtime {number}") for number in range(WATCHED))
LOOKED_AT, QUIET = CHANNELS[:2]
"""A channel that ``CROWD`` users look at, and one that a single user watches."""


def fill_scene(scene: Scene) -> None:
    """Creates the channels and their watchers."""
    people = [USER, FRIEND, *(f"watcher-{number:028d}" for number in range(CROWD - 1))]
    for each in CHANNELS:
        fill(scene.services.store, each, people, bodies(1, channel_id=each))
    for user in people[1 : CROWD + 1]:
        scene.connected(user, [LOOKED_AT], live=True)
    scene.connected(FRIEND, [QUIET])
    scene.opened.clear()


def _ticket(scene: Scene) -> Call:
    return partial(scene.ask, Ask("POST", "/v1/realtime/tickets", USER))


def _connect(scene: Scene) -> Call:
    """By a new user each time, as a user's connections have a limit."""
    ticket = issue_ticket(scene.services, f"opener-{next(_NUMBERS):029d}").ticket
    given = opens(f"bench-{next(_NUMBERS)}=", f"{SUBPROTOCOL}, {ticket}")
    return partial(scene.open, given)


def _logs(channels: Sequence[str], **fields: object) -> list[dict[str, object]]:
    return [{"channel_id": each, **fields} for each in channels]


def _watch(scene: Scene) -> Call:
    return scene.frame(scene.connected(USER), "watch", channels=_logs(CHANNELS))


def _look(scene: Scene) -> Call:
    return scene.frame(scene.connected(USER, CHANNELS), "watch", channels=_logs([LOOKED_AT], live=True))


def _unwatch(scene: Scene) -> Call:
    return scene.frame(scene.connected(USER, CHANNELS), "unwatch", channels=_logs([LOOKED_AT]))


def _typing(scene: Scene) -> Call:
    return scene.frame(scene.connected(USER, CHANNELS, live=True), "typing", channel_id=LOOKED_AT)


def _disconnect(scene: Scene) -> Call:
    gone = scene.connected(USER, CHANNELS)
    return partial(scene.open, ends(gone.connection_id))


def _posted(channel_id: str) -> Ready:
    def ready(scene: Scene) -> Call:
        post_message(scene.services, USER, channel_id, [Draft("Yes, let us do that.")], None)
        head = scene.services.store.head(channel_id)
        assert head
        (entry,) = scene.services.store.entries(channel_id, head.seq, head.seq)
        return partial(scene.dispatch, batch("INSERT", items.entry_item(channel_id, entry)))

    return ready


def _presence(scene: Scene) -> Call:
    made = scene.connected(USER, [LOOKED_AT], live=True)
    item = realtime_items.watch_item(Watch(LOOKED_AT, USER, made.connection_id, made.expires, is_live=True))
    return partial(scene.dispatch, batch("INSERT", item))


def _nothing(scene: Scene) -> Call:
    head = scene.services.store.head(LOOKED_AT)
    assert head
    record = batch("MODIFY", items.head_item(head))
    record["Records"][0]["dynamodb"]["OldImage"] = record["Records"][0]["dynamodb"]["NewImage"]
    return partial(scene.dispatch, record)


OPERATIONS: Final[Mapping[str, Ready]] = {
    "ticket": _ticket,
    "connect": _connect,
    "watch": _watch,
    "look": _look,
    "unwatch": _unwatch,
    "typing": _typing,
    "ping": lambda scene: scene.frame(scene.connected(USER, CHANNELS), "ping"),
    "disconnect": _disconnect,
    "post": _posted(LOOKED_AT),
    "post to one": _posted(QUIET),
    "presence": _presence,
    "nothing": _nothing,
}
"""``watch``, ``ping`` and ``disconnect`` are of ``WATCHED`` channels; ``look`` is a ``live`` watch of one. ``post``,
``typing`` and ``presence`` reach ``CROWD`` users, ``nothing`` is a batch without news, such as a post's head."""


def measure(dynamodb: AwsClient, rounds: int) -> dict[str, Any]:
    """For each operation: units, the function's milliseconds (assumed for calls and sending, else CPU time), frames."""
    handlers, stopwatch = Handlers(compose(SETTINGS, MemoryStore())), Stopwatch()
    fill_scene(Scene(MeasuredClient(dynamodb), handlers))
    exact = Scene(MeasuredClient(dynamodb, exact=TABLE), handlers)
    timed = Scene(MeasuredClient(dynamodb, stopwatch=stopwatch), handlers)
    return {name: _measured(exact, timed, stopwatch, ready, rounds) for name, ready in OPERATIONS.items()}


def _measured(exact: Scene, timed: Scene, stopwatch: Stopwatch, ready: Ready, rounds: int) -> dict[str, Any]:
    call = ready(exact)
    exact.begin()
    result = call()
    answer, tally, sent = (result.get("body") or "").encode(), exact.client.take(), exact.accepted
    assert result.get("statusCode", 200) < 400, result  # noqa: PLR2004 - HTTP's first error
    assert b'"error"' not in answer, result
    assert not result.get("batchItemFailures"), result
    found = {
        "read_units": tally.read,
        "write_units": tally.write,
        "log_bytes": len(exact.lines.getvalue()),
        "frames": sent.frames,
        "messages": exact.received + sent.pieces + (pieces(answer) if exact.received and answer else 0),
        "bytes_out": sent.bytes + len(answer),
    }
    exact.end()
    sending, times = SEND_MS * ceil(sent.frames / AT_ONCE), list[float]()
    for _ in range(rounds):
        call = ready(timed)
        timed.begin()
        stopwatch.lap()
        worked = time.process_time()
        call()
        own = (time.process_time() - worked) * 1000 - timed.client.take().work_ms
        times.append(own + stopwatch.lap() + sending)
        timed.end()
    return found | medians({"ms": times}, digits=3)
