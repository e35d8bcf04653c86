"""Realtime: connections, watches, and the frames of the protocol (``docs/realtime.md``). No correctness depends on it.

A frame is a JSON object in one WebSocket message; ``v`` is the protocol's version, ``type`` says what it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.domain import keys
from shared.domain.messages import dumps

VERSION: Final = 1
SUBPROTOCOL: Final = "budgie.v1"
TICKET_SECONDS: Final = 30
CONNECTION_SECONDS: Final = 2 * 3600
"""API Gateway ends a connection after two hours."""
RECONNECT_SECONDS: Final = (6_000, 6_900)
"""From which age on a connection's pings are answered by ``reconnect``: each connection has its own, between these, so
that those who came together do not come back together. The last ping comes ``PING_SECONDS`` before the end."""
PING_SECONDS: Final = 300
"""How often clients ping; API Gateway ends a connection that was silent for ten minutes."""
MAX_CONNECTIONS: Final = 10
"""Connections of one user; a further one ends the oldest."""
MAX_WATCHES: Final = 200
"""Channels and threads that one connection watches: their ids are in one item of 6 KB."""
MAX_WATCHES_A_FRAME: Final = 20
"""Of one ``watch`` or ``unwatch``: they are written in one transaction."""
MAX_FRAME_BYTES: Final = 32 * 1024
"""API Gateway bills and transfers in pieces of this size; longer frames are split."""
MAX_NEWS_BYTES: Final = 128 * 1024
"""What one batch may send a connection; of more it only gets the numbers, to fetch by REST."""
MAX_PRESENT: Final = 50
"""Watchers of a channel up to which presence names and pushes them; above, ``watching`` counts them."""
SMALL_CHANNEL: Final = 10
"""Members of a channel up to which read positions are pushed: each is a frame to each who looks at the channel."""
TYPING_SECONDS: Final = 3
"""A connection's ``typing`` is passed on at most this often for each channel."""


@dataclass(frozen=True, slots=True)
class Connection:
    """An open connection of a user. ``expires`` is in seconds since 1970, times else in milliseconds."""

    connection_id: str
    user_id: str
    opened_at: int
    expires: int
    watches: frozenset[str] = frozenset()
    """The ids of the logs that it watches; a watch may have ended since, see ``Watch``."""


@dataclass(frozen=True, slots=True)
class Watch:
    """A connection that is told what happens in a log: a channel's, or a thread's.

    It ends with the connection, with the membership, and when the channel is archived.
    """

    log_id: str
    user_id: str
    connection_id: str
    expires: int
    """Seconds since 1970: the connection's end."""
    is_live: bool = False
    """Whether somebody looks at the channel: only then ``typing``, ``presence`` and ``read`` are sent."""


def is_over(expires: int, now: int) -> bool:
    """Whether what ends at ``expires`` (seconds) has ended at ``now`` (milliseconds)."""
    return expires * 1000 <= now


# --- frames to clients ---


def frame(kind: str, **fields: Any) -> bytes:  # noqa: ANN401 - whatever JSON can hold
    """A frame; fields that are None are left out."""
    shown = {name: value for name, value in fields.items() if value is not None}
    return dumps({"v": VERSION, "type": kind} | shown)


def log_fields(log_id: str) -> dict[str, str]:
    """How frames name a log: by ``channel_id``, and of a thread also ``thread_id``."""
    named = {"channel_id": keys.channel_of_log(log_id)}
    return named | {"thread_id": log_id} if keys.is_thread(log_id) else named


@dataclass(frozen=True, slots=True)
class Run:
    """Adjacent numbers of a log, with all that they hold: finished JSON, as REST gives it. Voids hold nothing."""

    first: int
    last: int
    bodies: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class LogNews:
    """What is new in a log: runs of positions with their messages, and runs of changes."""

    log_id: str
    messages: tuple[Run, ...] = ()
    changes: tuple[Run, ...] = ()

    def json(self) -> bytes:
        """As a part of a ``news`` frame."""
        messages = b",".join(
            b'{"first_seq":%d,"last_seq":%d,"messages":[%b]}'
            % (each.first, each.last, b",".join(each.bodies))
            for each in self.messages
        )
        changes = b",".join(
            b'{"first_rev":%d,"last_rev":%d,"changes":[%b]}' % (each.first, each.last, b",".join(each.bodies))
            for each in self.changes
        )
        return b'{%b,"messages":[%b],"changes":[%b]}' % (keys.log_json(self.log_id), messages, changes)

    def hint_json(self) -> bytes:
        """Its last numbers alone, 0 where there is none: what to fetch by REST."""
        seq = max((each.last for each in self.messages), default=0)
        rev = max((each.last for each in self.changes), default=0)
        return b'{%b,"seq":%d,"rev":%d}' % (keys.log_json(self.log_id), seq, rev)


_NEWS: Final = b'{"v":%d,"type":"news","channels":[' % VERSION
_NEWS_END: Final = b"]}"


def news_frames(news: Sequence[LogNews]) -> list[bytes]:
    """The frames that tell a connection all of it, each within ``MAX_FRAME_BYTES``, runs of a log in their order.

    A message that does not fit a frame, and what exceeds ``MAX_NEWS_BYTES`` in all, is told by its numbers only.
    """
    room = MAX_FRAME_BYTES - len(_NEWS) - len(_NEWS_END)
    parts: list[bytes] = []
    total = 0
    for each in news:
        for piece in _pieces(each, room):
            part = piece.json()
            if len(part) > room or total + len(part) > MAX_NEWS_BYTES:
                part = piece.hint_json()
            total += len(part)
            parts.append(part)
    return list(_packed(parts, room))


def _pieces(news: LogNews, room: int) -> Iterable[LogNews]:
    """The news in pieces that fit ``room``, or hold one message or change."""
    if len(news.json()) <= room:
        return [news]
    runs = [LogNews(news.log_id, messages=(run,)) for run in news.messages]
    runs += [LogNews(news.log_id, changes=(run,)) for run in news.changes]
    if len(runs) > 1:
        return [piece for run in runs for piece in _pieces(run, room)]
    (run,) = news.messages or news.changes
    if run.first == run.last or len(run.bodies) != run.last - run.first + 1:
        # With voids in between it is not known here which body is whose: such a run is told by its numbers.
        return [news]
    middle = len(run.bodies) // 2
    halves = (
        Run(run.first, run.first + middle - 1, run.bodies[:middle]),
        Run(run.first + middle, run.last, run.bodies[middle:]),
    )
    return [
        piece
        for half in halves
        for piece in _pieces(
            LogNews(news.log_id, messages=(half,))
            if news.messages
            else LogNews(news.log_id, changes=(half,)),
            room,
        )
    ]


def _packed(parts: Sequence[bytes], room: int) -> Iterable[bytes]:
    """Frames of as many parts as fit one, in order."""
    held: list[bytes] = []
    size = 0
    for part in parts:
        if held and size + 1 + len(part) > room:
            yield _NEWS + b",".join(held) + _NEWS_END
            held, size = [], 0
        held.append(part)
        size += len(part) + (size > 0)
    if held:
        yield _NEWS + b",".join(held) + _NEWS_END
