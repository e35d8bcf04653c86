"""Converts tickets, connections and watches to DynamoDB items and back. DynamoDB deletes each after its end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from shared.domain import keys
from shared.domain.realtime import Connection, Watch
from shared.storage.items import Item, n, s

LOGS: Final = "logs"
"""Of a connection: the ids of the logs that it watches."""
LIVE: Final = "live"
"""Of a watch: somebody looks at the channel; absent otherwise."""
TYPED_AT: Final = "typed_at"


def ss(texts: Iterable[str]) -> dict[str, Any]:
    """A set of strings; DynamoDB does not store an empty one."""
    return {"SS": sorted(texts)}


def ticket_key(ticket_hash: str) -> dict[str, Any]:
    """The key of a ticket."""
    return {"pk": s(keys.connection_pk(ticket_hash)), "sk": s(keys.TICKET_SK)}


def ticket_item(ticket_hash: str, user_id: str, expires: int) -> dict[str, Any]:
    """The item of a ticket."""
    return ticket_key(ticket_hash) | {"user": s(user_id), "expires": n(expires)}


def ticket_of(item: Item) -> tuple[str, int]:
    """User and ``expires`` of a ticket."""
    return item["user"]["S"], expires_of(item)


def connection_key(connection_id: str) -> dict[str, Any]:
    """The key of a connection."""
    return {"pk": s(keys.connection_pk(connection_id)), "sk": s(keys.CONNECTION_SK)}


def connection_item(connection: Connection) -> dict[str, Any]:
    """The item of a connection that watches nothing yet."""
    return connection_key(connection.connection_id) | {
        "user": s(connection.user_id),
        "opened_at": n(connection.opened_at),
        "expires": n(connection.expires),
    }


def connection_of(item: Item) -> Connection:
    """A connection from its item."""
    connection_id = item["pk"]["S"].removeprefix(keys.CONNECTIONS)
    return _connection(item, connection_id, item["user"]["S"])


def user_connection_key(user_id: str, connection_id: str) -> dict[str, Any]:
    """The key of the item that tells a user's partition of a connection."""
    return {"pk": s(keys.connections_pk(user_id)), "sk": s(keys.user_connection_sk(connection_id))}


def user_connection_item(connection: Connection) -> dict[str, Any]:
    """The item that tells a user's partition of a connection."""
    return user_connection_key(connection.user_id, connection.connection_id) | {
        "opened_at": n(connection.opened_at),
        "expires": n(connection.expires),
    }


def user_connection_of(item: Item) -> Connection:
    """A connection, without its watches, from the item in its user's partition."""
    return _connection(item, item["sk"]["S"].removeprefix(keys.CONNECTIONS), keys.user_of(item["pk"]["S"]))


def _connection(item: Item, connection_id: str, user_id: str) -> Connection:
    watches = frozenset(item[LOGS]["SS"]) if LOGS in item else frozenset()
    return Connection(connection_id, user_id, int(item["opened_at"]["N"]), expires_of(item), watches)


def watch_key(user_id: str, connection_id: str, log_id: str) -> dict[str, Any]:
    """The key of a watch: of a thread in its channel's partition."""
    pk = keys.channel_pk(keys.channel_of_log(log_id))
    return {"pk": s(pk), "sk": s(keys.watch_sk(user_id, connection_id, log_id))}


def watch_item(watch: Watch) -> dict[str, Any]:
    """The item of a watch."""
    item = watch_key(watch.user_id, watch.connection_id, watch.log_id) | {"expires": n(watch.expires)}
    return item | ({LIVE: n(1)} if watch.is_live else {})


def watch_of(item: Item) -> Watch:
    """A watch from its item."""
    user_id, connection_id, log_id = keys.watch_of(item["sk"]["S"])
    return Watch(log_id, user_id, connection_id, expires_of(item), LIVE in item)


def expires_of(item: Item) -> int:
    """When an item ends, in seconds since 1970."""
    return int(item["expires"]["N"])
