"""Tickets, connections and watches on DynamoDB."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from shared.domain import keys
from shared.domain.errors import ContentionError
from shared.domain.realtime import Connection, Watch, is_over
from shared.storage import items, realtime_items
from shared.storage.dynamodb.conflicts import retry_conflicts, transact
from shared.storage.dynamodb.table import ConditionFailedError, OnTable
from shared.storage.protocol import Committed, ConnectionEnded, NotMembers, TooManyWatches, WatchOutcome

WATCH_TRIES: Final = 4
"""How often watches are tried; each further try is needed because the connection's watches changed meanwhile."""
MAX_DELETES: Final = 100
"""DynamoDB's limit of writes in one transaction."""
_LOGS: Final = {"#logs": realtime_items.LOGS}
_EXISTS: Final = "attribute_exists(pk)"


class DynamoDBRealtime(OnTable):
    """See ``shared.storage.protocol.Realtime``."""

    def add_ticket(self, ticket_hash: str, user_id: str, expires: int) -> None:
        """One PutItem: 1 write unit."""
        self._table.put(Item=realtime_items.ticket_item(ticket_hash, user_id, expires))

    def take_ticket(self, ticket_hash: str, now: int) -> str | None:
        """One DeleteItem: 1 write unit."""
        key = realtime_items.ticket_key(ticket_hash)
        try:
            # The condition decides between two at once: DynamoDB Local returns the item to both without it.
            item = self._table.delete(Key=key, ConditionExpression=_EXISTS, ReturnValues="ALL_OLD")
        except ConditionFailedError:
            return None
        user_id, expires = realtime_items.ticket_of(item or {})
        return None if is_over(expires, now) else user_id

    def open_connection(self, connection: Connection) -> None:
        """Two PutItems: 2 write units. The user's comes first, so that no connection escapes an erasure."""
        self._table.put(Item=realtime_items.user_connection_item(connection))
        self._table.put(Item=realtime_items.connection_item(connection))

    def connection(self, connection_id: str, now: int) -> Connection | None:
        """One GetItem: 1 read unit for each 4 KB, 2 with 200 watches."""
        found = self._connection(connection_id)
        return None if found is None or is_over(found.expires, now) else found

    def _connection(self, connection_id: str) -> Connection | None:
        item = self._table.get(realtime_items.connection_key(connection_id))
        return realtime_items.connection_of(item) if item else None

    def connections_of(self, user_id: str, now: int) -> list[Connection]:
        """One Query: 1 read unit."""
        found = self._table.query(
            ConsistentRead=True,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=items.values({":pk": keys.connections_pk(user_id)}),
        )
        opened = [realtime_items.user_connection_of(item) for item in found]
        current = [each for each in opened if not is_over(each.expires, now)]
        return sorted(current, key=lambda each: (each.opened_at, each.connection_id))

    def close_connection(self, connection: Connection) -> None:
        """1 read unit, 2 write units for each watch, and 3 for the connection.

        The watches go first and the user's item last, so that whoever repeats it finds what is left.
        """
        stored = self._connection(connection.connection_id) or connection
        logs = stored.watches | connection.watches
        self._delete_watches(connection, logs)
        key = realtime_items.connection_key(connection.connection_id)
        item = self._delete(key, ReturnValues="ALL_OLD")
        if item:  # What it began to watch meanwhile; from now on it cannot.
            self._delete_watches(connection, realtime_items.connection_of(item).watches - logs)
        self._delete(realtime_items.user_connection_key(connection.user_id, connection.connection_id))

    def watch(self, connection: Connection, watches: Sequence[Watch], limit: int) -> WatchOutcome:
        """One transaction: 2 write units a watch, 2 a channel, and 2 for each KB of the connection.

        Another transaction if the connection's watches changed since it was read.
        """
        wanted = {each.log_id: each for each in watches}
        channels = sorted({keys.channel_of_log(log_id) for log_id in wanted})
        if len(wanted) > limit:
            return TooManyWatches()
        puts = [{"Put": {"Item": realtime_items.watch_item(each)}} for each in wanted.values()]
        checks = [_is_member(channel_id, connection.user_id) for channel_id in channels]
        seen = connection.watches
        for _ in range(WATCH_TRIES):
            update = _add_logs(connection, wanted.keys(), wanted.keys() & seen, limit)
            failed = transact(self._table, self._sleep, update, *checks, *puts)
            if failed is None:
                return Committed()
            standing, *members = failed
            if standing == {}:
                return ConnectionEnded()
            left = {each for each, lost in zip(channels, members, strict=False) if lost is not None}
            if left:
                return NotMembers(frozenset(left))
            seen = realtime_items.connection_of(standing or {}).watches
            if len(seen | wanted.keys()) > limit:
                return TooManyWatches()
        raise ContentionError(retry_after=1)

    def unwatch(self, connection: Connection, log_ids: Sequence[str]) -> None:
        """One transaction: 2 write units a watch, and 2 for each KB of the connection."""
        logs = frozenset(log_ids)
        update = {
            "Update": {
                "Key": realtime_items.connection_key(connection.connection_id),
                "UpdateExpression": "DELETE #logs :logs",
                "ConditionExpression": _EXISTS,
                "ExpressionAttributeNames": _LOGS,
                "ExpressionAttributeValues": {":logs": realtime_items.ss(logs)},
            }
        }
        deletes = [{"Delete": {"Key": key}} for key in _watch_keys(connection, logs)]
        if transact(self._table, self._sleep, update, *deletes) is not None:  # The connection has ended.
            self._delete_watches(connection, logs)

    def watches(self, channel_id: str, now: int, user_id: str | None = None) -> list[Watch]:
        """One Query: a read unit for each 30 watches or so."""
        found = [realtime_items.watch_of(item) for item in self._watch_items(channel_id, user_id)]
        return [each for each in found if not is_over(each.expires, now)]

    def _watch_items(self, channel_id: str, user_id: str | None) -> Iterable[dict[str, Any]]:
        return self._table.query(
            ConsistentRead=True,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
            ExpressionAttributeValues=items.values(
                {":pk": keys.channel_pk(channel_id), ":sk": keys.watches_of(user_id)}
            ),
        )

    def end_watches(self, channel_id: str, user_id: str | None = None) -> None:
        """One Query, 1 read unit where there are no watches; 2 write units a watch, 100 in each transaction."""
        found = self._watch_items(channel_id, user_id)
        self._delete_all([{"pk": item["pk"], "sk": item["sk"]} for item in found])

    def watched_numbers(self, connection: Connection, now: int) -> dict[str, tuple[int, int] | None]:
        """A BatchGetItem for each 50 logs: half a read unit for each watch, and for each head."""
        logs = sorted(connection.watches)
        wanted = [*_watch_keys(connection, logs), *map(items.head_key, logs)]
        watched, numbers = set(), {}
        for item in self._table.batch_get(wanted, consistent=False):
            if item["sk"]["S"] == keys.HEAD_SK:
                head = items.head_of(item)
                numbers[head.channel_id] = (head.seq, head.rev)
            elif not is_over(realtime_items.expires_of(item), now):
                watched.add(realtime_items.watch_of(item).log_id)
        return {log_id: numbers.get(log_id, (0, 0)) if log_id in watched else None for log_id in logs}

    def may_type(self, watch: Watch, now: int, interval_ms: int) -> bool:
        """One UpdateItem: 1 write unit, also where it returns False."""
        try:
            retry_conflicts(
                lambda: self._table.update(
                    Key=realtime_items.watch_key(watch.user_id, watch.connection_id, watch.log_id),
                    UpdateExpression=f"SET {realtime_items.TYPED_AT} = :now",
                    ConditionExpression=(
                        f"attribute_exists({realtime_items.LIVE}) AND expires > :second AND "
                        f"(attribute_not_exists({realtime_items.TYPED_AT}) OR "
                        f"{realtime_items.TYPED_AT} <= :before)"
                    ),
                    ExpressionAttributeValues=items.values(
                        {":now": now, ":second": now // 1000, ":before": now - interval_ms}
                    ),
                ),
                self._sleep,
            )
        except ConditionFailedError:
            return False
        return True

    def _delete(self, key: dict[str, Any], **arguments: Any) -> dict[str, Any] | None:  # noqa: ANN401 - passed on to DeleteItem as it is
        return retry_conflicts(lambda: self._table.delete(Key=key, **arguments), self._sleep)

    def _delete_watches(self, connection: Connection, logs: Iterable[str]) -> None:
        self._delete_all(_watch_keys(connection, logs))

    def _delete_all(self, wanted: Sequence[dict[str, Any]]) -> None:
        """In transactions: BatchWriteItem would cost half, but who may delete by it may also put items."""
        for start in range(0, len(wanted), MAX_DELETES):
            deletes = [{"Delete": {"Key": key}} for key in wanted[start : start + MAX_DELETES]]
            transact(self._table, self._sleep, *deletes)


def _watch_keys(connection: Connection, logs: Iterable[str]) -> list[dict[str, Any]]:
    return [
        realtime_items.watch_key(connection.user_id, connection.connection_id, log_id)
        for log_id in sorted(logs)
    ]


def _is_member(channel_id: str, user_id: str) -> dict[str, Any]:
    key = items.membership_key(channel_id, user_id)
    return {"ConditionCheck": {"Key": key, "ConditionExpression": _EXISTS}}


def _add_logs(
    connection: Connection, wanted: Iterable[str], present: Iterable[str], limit: int
) -> dict[str, Any]:
    """Adds logs to those that a connection watches, which has ``present`` of them already, and never over ``limit``."""
    wanted, present = set(wanted), sorted(present)
    same = {f":log{i}": items.s(log_id) for i, log_id in enumerate(present)}
    condition = f"{_EXISTS} AND (attribute_not_exists(#logs) OR size(#logs) <= :room)"
    return {
        "Update": {
            "Key": realtime_items.connection_key(connection.connection_id),
            "UpdateExpression": "ADD #logs :logs",
            "ConditionExpression": " AND ".join([condition, *(f"contains(#logs, {name})" for name in same)]),
            "ExpressionAttributeNames": _LOGS,
            "ExpressionAttributeValues": same
            | {":logs": realtime_items.ss(wanted), ":room": items.n(limit - len(wanted) + len(present))},
        }
    }
