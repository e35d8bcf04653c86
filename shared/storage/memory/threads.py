"""The threads that users follow, and mentions, in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from shared.domain import keys
from shared.domain.model import (
    Follow,
)
from shared.storage.memory.state import MemoryState


class MemoryThreads(MemoryState):
    """See ``shared.storage.protocol.Threads``."""

    def follow(self, follow: Follow) -> Follow:
        """See ``Threads``."""
        with self._lock:
            if (follow.user_id, follow.log_id) not in self._follows:
                self._write_follow(follow)
            return self._follows[follow.user_id, follow.log_id]

    def unfollow(self, log_id: str, user_id: str) -> None:
        """See ``Threads``."""
        with self._lock:
            self._follows.pop((user_id, log_id), None)

    def follows(self, user_id: str) -> list[Follow]:
        """See ``Threads``."""
        with self._lock:
            return [follow for (user, _), follow in sorted(self._follows.items()) if user == user_id]

    def move_thread_position(
        self, log_id: str, user_id: str, seq: int, messages: int, *, force: bool, voids: int = 0
    ) -> Follow | None:
        """See ``Threads``."""
        with self._lock:
            current = self._follows.get((user_id, log_id))
            if current is None or (current.read_seq > seq and not force):
                return current
            moved = replace(current, read_seq=seq, read_messages=messages, read_voids=voids)
            self._write_follow(moved)
            return moved

    def _followed(self, log_id: str, user_id: str) -> Follow:
        return self._follows.get((user_id, log_id), Follow(user_id, log_id))

    def _mark(
        self, channel_id: str, added: Mapping[str, frozenset[int]], removed: Mapping[str, frozenset[int]]
    ) -> None:
        for user in {*added, *removed}:
            if keys.is_thread(channel_id):
                follow = self._followed(channel_id, user)
                now = (follow.mentions | added.get(user, frozenset())) - removed.get(user, frozenset())
                self._write_follow(replace(follow, mentions=now))
                continue
            membership = self._memberships[channel_id, user]
            marks = membership.mentions | added.get(user, frozenset())
            self._write_member(replace(membership, mentions=marks - removed.get(user, frozenset())))

    def _left(self, channel_id: str, users: Iterable[str]) -> frozenset[str]:
        return frozenset(user for user in users if (channel_id, user) not in self._memberships)
