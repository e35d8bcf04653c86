"""Tickets, connections and watches in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from shared.domain import keys
from shared.domain.news import WatchChanged
from shared.domain.realtime import Connection, Watch, is_over
from shared.storage.memory.state import MemoryState
from shared.storage.protocol import Committed, ConnectionEnded, NotMembers, TooManyWatches, WatchOutcome


class MemoryRealtime(MemoryState):
    """See ``shared.storage.protocol.Realtime``."""

    def add_ticket(self, ticket_hash: str, user_id: str, expires: int) -> None:
        """See ``Realtime``."""
        with self._lock:
            self._tickets[ticket_hash] = (user_id, expires)

    def take_ticket(self, ticket_hash: str, now: int) -> str | None:
        """See ``Realtime``."""
        with self._lock:
            user_id, expires = self._tickets.pop(ticket_hash, ("", 0))
        return None if is_over(expires, now) else user_id

    def open_connection(self, connection: Connection) -> None:
        """See ``Realtime``."""
        with self._lock:
            self._connections[connection.connection_id] = replace(connection, watches=frozenset())

    def connection(self, connection_id: str, now: int) -> Connection | None:
        """See ``Realtime``."""
        with self._lock:
            found = self._connections.get(connection_id)
        return None if found is None or is_over(found.expires, now) else found

    def connections_of(self, user_id: str, now: int) -> list[Connection]:
        """See ``Realtime``."""
        with self._lock:
            found = [each for each in self._connections.values() if each.user_id == user_id]
        found = [replace(each, watches=frozenset()) for each in found if not is_over(each.expires, now)]
        return sorted(found, key=lambda each: (each.opened_at, each.connection_id))

    def close_connection(self, connection: Connection) -> None:
        """See ``Realtime``."""
        with self._lock:
            stored = self._connections.pop(connection.connection_id, connection)
            self._end(
                (log_id, connection.connection_id) for log_id in sorted(stored.watches | connection.watches)
            )

    def watch(self, connection: Connection, watches: Sequence[Watch], limit: int) -> WatchOutcome:
        """See ``Realtime``."""
        with self._lock:
            stored = self._connections.get(connection.connection_id)
            if stored is None:
                return ConnectionEnded()
            channels = {keys.channel_of_log(each.log_id) for each in watches}
            left = {each for each in channels if (each, connection.user_id) not in self._memberships}
            if left:
                return NotMembers(frozenset(left))
            watched = stored.watches | {each.log_id for each in watches}
            if len(watched) > limit:
                return TooManyWatches()
            self._connections[connection.connection_id] = replace(stored, watches=watched)
            for each in watches:
                key = (each.log_id, each.connection_id)
                is_new = key not in self._watches
                self._watches[key] = each
                self._typed_at.pop(key, None)
                if is_new:
                    self._tell([_changed(each, is_begun=True)])
            return Committed()

    def unwatch(self, connection: Connection, log_ids: Sequence[str]) -> None:
        """See ``Realtime``."""
        with self._lock:
            stored = self._connections.get(connection.connection_id)
            if stored is not None:
                left = replace(stored, watches=stored.watches - set(log_ids))
                self._connections[connection.connection_id] = left
            self._end((log_id, connection.connection_id) for log_id in log_ids)

    def _end(self, ended: Iterable[tuple[str, str]]) -> None:
        for key in list(ended):
            watch = self._watches.pop(key, None)
            self._typed_at.pop(key, None)
            if watch is not None:
                self._tell([_changed(watch, is_begun=False)])

    def watches(self, channel_id: str, now: int, user_id: str | None = None) -> list[Watch]:
        """See ``Realtime``."""
        with self._lock:
            return [each for each in self._watches_of(channel_id, user_id) if not is_over(each.expires, now)]

    def _watches_of(self, channel_id: str, user_id: str | None) -> list[Watch]:
        found = [
            each
            for each in self._watches.values()
            if keys.channel_of_log(each.log_id) == channel_id and user_id in {None, each.user_id}
        ]
        return sorted(found, key=lambda each: keys.watch_sk(each.user_id, each.connection_id, each.log_id))

    def end_watches(self, channel_id: str, user_id: str | None = None) -> None:
        """See ``Realtime``."""
        with self._lock:
            self._end((each.log_id, each.connection_id) for each in self._watches_of(channel_id, user_id))

    def watched_numbers(self, connection: Connection, now: int) -> dict[str, tuple[int, int] | None]:
        """See ``Realtime``."""
        with self._lock:
            found: dict[str, tuple[int, int] | None] = {}
            for log_id in connection.watches:
                watch, head = self._watches.get((log_id, connection.connection_id)), self._heads.get(log_id)
                is_there = watch is not None and not is_over(watch.expires, now)
                numbers = (head.seq, head.rev) if head else (0, 0)
                found[log_id] = numbers if is_there else None
            return found

    def may_type(self, watch: Watch, now: int, interval_ms: int) -> bool:
        """See ``Realtime``."""
        key = (watch.log_id, watch.connection_id)
        with self._lock:
            stored = self._watches.get(key)
            if stored is None or not stored.is_live or is_over(stored.expires, now):
                return False
            if now - self._typed_at.get(key, 0) < interval_ms:
                return False
            self._typed_at[key] = now
            return True


def _changed(watch: Watch, *, is_begun: bool) -> WatchChanged:
    return WatchChanged(watch.log_id, watch.user_id, watch.connection_id, is_begun)
