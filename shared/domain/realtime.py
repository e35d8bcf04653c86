"""Realtime: connections, watches, and the frames of the protocol (``docs/realtime.md``). No correctness depends on it.

A frame is a JSON object in one WebSocket message; ``v`` is the protocol's version, ``type`` says what it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.domain import keys
from shared.domain.messages import dumps

VERSION: Final = 1
SUBPROTOCOL: Final = "budgie.v1"
TICKET_SECONDS: Final = 30
CONNECTION_SECONDS: Final = 2 * 3600
"""API Gateway ends a connection after two hours."""
RECONNECT_SECONDS: Final = (6_000, 6_600)
"""From which age on a connection's pings are answered by ``reconnect``: each connection has its own, between these, so
that those who came together do not come back together. A client that pings every ``PING_SECONDS`` is told five minutes
before the end at the latest."""
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


def watchers(watches: Iterable[Watch], log_id: str) -> list[str]:
    """The users with a watch of a log, by id."""
    return sorted({each.user_id for each in watches if each.log_id == log_id})


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
    """Adjacent numbers of a log, each with what it holds: finished JSON as REST gives it, or None.

    None is a void, or a change of a message that has expired.
    """

    first: int
    bodies: tuple[bytes | None, ...]

    @property
    def last(self) -> int:
        """The last number."""
        return self.first + len(self.bodies) - 1

    def json(self, number: bytes, holds: bytes) -> bytes:
        """As a part of a ``news`` frame: ``number`` is ``seq`` or ``rev``, ``holds`` the name of the list."""
        bodies = b",".join(body for body in self.bodies if body is not None)
        return b'{"first_%b":%d,"last_%b":%d,"%b":[%b]}' % (
            number,
            self.first,
            number,
            self.last,
            holds,
            bodies,
        )

    def halves(self) -> tuple[Run, Run]:
        """Both halves of a run of two or more."""
        middle = len(self.bodies) // 2
        return Run(self.first, self.bodies[:middle]), Run(self.first + middle, self.bodies[middle:])


def runs_of(held: Mapping[int, bytes | None]) -> tuple[Run, ...]:
    """The runs that these numbers make, in order."""
    found: list[Run] = []
    start, bodies = 0, list[bytes | None]()
    for number in sorted(held):
        if bodies and number != start + len(bodies):
            found.append(Run(start, tuple(bodies)))
            bodies = []
        start = start if bodies else number
        bodies.append(held[number])
    return (*found, Run(start, tuple(bodies))) if bodies else ()


@dataclass(frozen=True, slots=True)
class LogNews:
    """What is new in a log: runs of positions with their messages, and runs of changes."""

    log_id: str
    messages: tuple[Run, ...] = ()
    changes: tuple[Run, ...] = ()
    unread_seq: int = 0
    """The last position that has an entry which could not be read yet; 0 if there is none."""
    unread_rev: int = 0
    """The number of the last change that could not be read yet."""

    def json(self) -> bytes:
        """As a part of a ``news`` frame."""
        return b'{%b,"messages":[%b],"changes":[%b]}' % (
            keys.log_json(self.log_id),
            b",".join(each.json(b"seq", b"messages") for each in self.messages),
            b",".join(each.json(b"rev", b"changes") for each in self.changes),
        )

    def hint_json(self) -> bytes:
        """Its last numbers alone, 0 where there is none: what to fetch by REST."""
        seq = max((each.last for each in self.messages), default=0)
        rev = max((each.last for each in self.changes), default=0)
        return _hint(self.log_id, seq, rev)


def _hint(log_id: str, seq: int, rev: int) -> bytes:
    return b'{%b,"seq":%d,"rev":%d}' % (keys.log_json(log_id), seq, rev)


_NEWS: Final = b'{"v":%d,"type":"news","channels":[' % VERSION
_NEWS_END: Final = b"]}"


def news_frames(news: Sequence[LogNews]) -> list[bytes]:
    """The frames that tell a connection all of it, each within ``MAX_FRAME_BYTES``, runs of a log in their order.

    A message that does not fit a frame, what exceeds ``MAX_NEWS_BYTES`` in all, and what could not be read yet, is told
    by its numbers only.
    """
    room = MAX_FRAME_BYTES - len(_NEWS) - len(_NEWS_END)
    parts: list[bytes] = []
    total = 0
    for each in news:
        for piece in _pieces(each, room) if each.messages or each.changes else ():
            part = piece.json()
            if len(part) > room or total + len(part) > MAX_NEWS_BYTES:
                part = piece.hint_json()
            total += len(part)
            parts.append(part)
        if each.unread_seq or each.unread_rev:
            parts.append(_hint(each.log_id, each.unread_seq, each.unread_rev))
    return list(_packed(parts, room))


def _pieces(news: LogNews, room: int) -> Iterable[LogNews]:
    """The news in pieces that fit ``room``, or hold one message or change."""
    if len(news.json()) <= room:
        return [news]
    pieces = [LogNews(news.log_id, messages=(run,)) for run in news.messages]
    pieces += [LogNews(news.log_id, changes=(run,)) for run in news.changes]
    if len(pieces) == 1:
        (run,) = news.messages or news.changes
        if len(run.bodies) == 1:
            return [news]
        pieces = [
            LogNews(news.log_id, messages=(half,)) if news.messages else LogNews(news.log_id, changes=(half,))
            for half in run.halves()
        ]
    return [smaller for piece in pieces for smaller in _pieces(piece, room)]


def _packed(parts: Sequence[bytes], room: int) -> Iterable[bytes]:
    """Frames of as many parts as fit one, in order."""
    held: list[bytes] = []
    size = 0
    for part in parts:
        if held and size + 1 + len(part) > room:
            yield _NEWS + b",".join(held) + _NEWS_END
            held, size = [], 0
        size += len(part) + bool(held)
        held.append(part)
    if held:
        yield _NEWS + b",".join(held) + _NEWS_END
