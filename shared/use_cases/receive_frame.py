"""Frames from clients: hello, watch, unwatch, typing and ping, as ``docs/realtime.md`` says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from shared.aws.sender import Sender, Sent
from shared.bootstrap import Services
from shared.domain import keys, permissions
from shared.domain.clock import rfc3339
from shared.domain.errors import (
    BudgieError,
    ChannelArchivedError,
    ChannelNotFoundError,
    ConnectionEndedError,
    ContentionError,
    MessageNotFoundError,
    NotAMemberError,
    NotWatchedError,
    TooManyWatchesError,
)
from shared.domain.frames import ClientFrame, FrameType
from shared.domain.model import Head
from shared.domain.realtime import (
    MAX_CONNECTIONS,
    MAX_FRAME_BYTES,
    MAX_PRESENT,
    MAX_WATCHES,
    MAX_WATCHES_A_FRAME,
    PING_SECONDS,
    RECONNECT_SECONDS,
    TYPING_SECONDS,
    Connection,
    Watch,
    frame,
    log_fields,
    watchers,
)
from shared.runtime.parallel import map_concurrently
from shared.storage.protocol import ConnectionEnded, NotMembers, TooManyWatches

AT_ONCE: Final = 16
"""Frames that are sent side by side, and channels that are read."""
LIMITS: Final = {
    "connections": MAX_CONNECTIONS,
    "watches": MAX_WATCHES,
    "watches_a_frame": MAX_WATCHES_A_FRAME,
    "frame_bytes": MAX_FRAME_BYTES,
    "ping_seconds": PING_SECONDS,
    "typing_seconds": TYPING_SECONDS,
    "present": MAX_PRESENT,
}
"""What ``hello`` says."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The frame for the connection that sent one, if there is any, and what became of frames for others."""

    frame: bytes | None = None
    sent: Mapping[str, int] = field(default_factory=dict)


def find_connection(services: Services, connection_id: str) -> Connection:
    """The connection that a frame came from. Costs 1 read unit for each 4 KB of watched ids.

    Raises:
        ConnectionEndedError: it has expired, or its item is gone.
    """
    connection = services.store.connection(connection_id, services.now())
    if connection is None:
        raise ConnectionEndedError
    return connection


def receive_frame(services: Services, sender: Sender, connection: Connection, given: ClientFrame) -> Answer:
    """Does what a frame asks for, and answers it.

    Raises:
        TooManyWatchesError: the connection would watch more logs than it may.
        ConnectionEndedError: it has ended meanwhile.
        NotWatchedError, ForbiddenError, ChannelNotFoundError, ConflictError: its user may not type there.
    """
    match given.type:
        case FrameType.HELLO:
            return Answer(_hello(services, connection, given))
        case FrameType.WATCH:
            return Answer(_watch(services, connection, given))
        case FrameType.UNWATCH:
            services.store.unwatch(connection, list(given.logs))
            return Answer(frame("unwatched", channels=_named(given.logs), ref=given.ref))
        case FrameType.TYPING:
            return _typing(services, sender, connection, *given.logs)
        case FrameType.PING:
            return Answer(_ping(services, connection, given))


def _named(log_ids: Iterable[str]) -> list[dict[str, str]]:
    return [log_fields(each) for each in log_ids]


def _hello(services: Services, connection: Connection, given: ClientFrame) -> bytes:
    return frame(
        "hello",
        time=rfc3339(services.now()),
        connection_id=connection.connection_id,
        ends_at=rfc3339(connection.expires * 1000),
        limits=LIMITS,
        ref=given.ref,
    )


# --- watching ---


def _watch(services: Services, connection: Connection, given: ClientFrame) -> bytes:
    """Begins the watches, then reads all that the answer says: so nothing that happens falls between.

    Costs 2 read units (of a thread 5) and 4 write units a log, and 2 write units; with ``live`` also a Query of the
    channel's watches.
    """
    refused = _begin(services, connection, given.logs)
    begun = [each for each in given.logs if each not in refused]
    found = map_concurrently(
        lambda log_id: _head(services, connection, log_id), begun, services.background, AT_ONCE
    )
    heads: dict[str, Head] = {}
    for log_id, each in zip(begun, found, strict=True):
        if isinstance(each, Head):
            heads[log_id] = each
        else:
            refused[log_id] = each
    if ended := [each for each in begun if each in refused]:
        services.store.unwatch(connection, ended)
    users = _users_of(services, [each for each in heads if given.logs[each]])
    return _watching(heads, users, refused, given.ref)


def _begin(services: Services, connection: Connection, logs: Mapping[str, bool]) -> dict[str, BudgieError]:
    """Begins the watches of all logs in whose channels the user is a member; returns why the others are refused."""
    refused: dict[str, BudgieError] = {}
    left = dict(logs)
    while left:
        watches = [
            Watch(log_id, connection.user_id, connection.connection_id, connection.expires, is_live)
            for log_id, is_live in left.items()
        ]
        match services.store.watch(connection, watches, MAX_WATCHES):
            case NotMembers(channel_ids):
                for log_id in [each for each in left if keys.channel_of_log(each) in channel_ids]:
                    del left[log_id]
                    found = _head(services, connection, log_id)
                    # A head: the user has become a member meanwhile.
                    refused[log_id] = ContentionError() if isinstance(found, Head) else found
            case TooManyWatches():
                raise TooManyWatchesError
            case ConnectionEnded():
                raise ConnectionEndedError
            case _:
                break
    return refused


def _head(services: Services, connection: Connection, log_id: str) -> Head | BudgieError:
    """The head of a log; the error that a page would get, or that its channel is archived: nothing happens there."""
    try:
        head, _ = permissions.require_member(services.store.read_channel_state(log_id, connection.user_id))
    except (ChannelNotFoundError, NotAMemberError, MessageNotFoundError) as error:
        return error
    return head if head.archived_at is None else ChannelArchivedError()


def _users_of(services: Services, log_ids: Sequence[str]) -> dict[str, list[str]]:
    """Who watches each of these logs."""
    channels = list(dict.fromkeys(map(keys.channel_of_log, log_ids)))
    now = services.now()
    found = map_concurrently(
        lambda channel_id: services.store.watches(channel_id, now), channels, services.background, AT_ONCE
    )
    watches = [watch for each in found for watch in each]
    return {log_id: watchers(watches, log_id) for log_id in log_ids}


def _watching(
    heads: Mapping[str, Head],
    users: Mapping[str, list[str]],
    refused: Mapping[str, BudgieError],
    ref: str | None,
) -> bytes:
    """The answer; without the names of those present if it would be too long with them."""

    def made(most_named: int) -> bytes:
        channels = [
            log_fields(log_id) | {"seq": head.seq, "rev": head.rev} | _present(users.get(log_id), most_named)
            for log_id, head in heads.items()
        ]
        codes = [log_fields(log_id) | {"code": error.code} for log_id, error in refused.items()]
        return frame("watching", channels=channels, refused=codes, ref=ref)

    full = made(MAX_PRESENT)
    return full if len(full) <= MAX_FRAME_BYTES else made(0)


def _present(users: list[str] | None, most_named: int) -> dict[str, Any]:
    if users is None:
        return {}
    named = {"users": users} if len(users) <= most_named else {}
    return {"present": {"count": len(users)} | named}


# --- typing ---


def _typing(services: Services, sender: Sender, connection: Connection, log_id: str) -> Answer:
    """Tells the others who look at the log, if they are few.

    Costs 1 write unit, 2 read units and a Query of the channel's watches.
    """
    if log_id not in connection.watches:
        raise NotWatchedError
    now, channel_id = services.now(), keys.channel_of_log(log_id)
    own = Watch(log_id, connection.user_id, connection.connection_id, connection.expires, is_live=True)
    if not services.store.may_type(own, now, TYPING_SECONDS * 1000):
        return Answer()
    permissions.require_capability(services.store.read_channel_state(channel_id, connection.user_id), "post")
    watches = services.store.watches(channel_id, now)
    if len(watchers(watches, log_id)) > MAX_PRESENT:
        return Answer()
    told = [
        each
        for each in watches
        if each.log_id == log_id and each.is_live and each.user_id != connection.user_id
    ]
    made = frame("typing", **log_fields(log_id), user_id=connection.user_id)
    results = map_concurrently(
        lambda watch: _send(services, sender, watch, made), told, services.background, AT_ONCE
    )
    return Answer(sent=Counter(each.value for each in results))


def _send(services: Services, sender: Sender, watch: Watch, made: bytes) -> Sent:
    """Sends once: what comes too late is worth nothing here."""
    sent = sender.send(watch.connection_id, made)
    if sent is Sent.GONE:
        gone = Connection(watch.connection_id, watch.user_id, opened_at=0, expires=watch.expires)
        services.store.close_connection(gone)
    return sent


# --- ping ---


def reconnect_age(connection_id: str) -> int:
    """From which age in seconds on pings of a connection are answered by ``reconnect``: the same each time."""
    least, most = RECONNECT_SECONDS
    return least + int.from_bytes(sha256(connection_id.encode()).digest()[:4], "big") % (most - least)


def _ping(services: Services, connection: Connection, given: ClientFrame) -> bytes:
    now = services.now()
    if now >= connection.opened_at + reconnect_age(connection.connection_id) * 1000:
        return frame("reconnect", within_seconds=connection.expires - now // 1000, ref=given.ref)
    numbers = sorted(services.store.watched_numbers(connection, now).items())
    channels = [
        log_fields(log_id) | {"seq": found[0], "rev": found[1]}
        for log_id, found in numbers
        if found is not None
    ]
    ended = [log_fields(log_id) for log_id, found in numbers if found is None]
    return frame("pong", time=rfc3339(now), channels=channels, ended=ended, ref=given.ref)
