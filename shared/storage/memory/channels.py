"""Channels and the lists of them in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from shared.domain.keys import public_name
from shared.domain.model import (
    Head,
    Kind,
    Membership,
)
from shared.storage.memory.members import MemoryMembers
from shared.storage.protocol import (
    PairBlocked,
)


class MemoryChannels(MemoryMembers):
    """See ``shared.storage.protocol.Channels``."""

    def memberships(self, user_id: str) -> list[Membership]:
        """See ``Channels``."""
        with self._lock:
            return [self._memberships[channel, user_id] for channel in sorted(self._channels_of[user_id])]

    def count_memberships(self, user_id: str, limit: int) -> int:
        """See ``Channels``."""
        with self._lock:
            return min(len(self._channels_of[user_id]), limit)

    def spend(self, user_id: str, minute: int, units: int, limit: int) -> bool:
        """See ``Channels``."""
        with self._lock:
            if self._spent[user_id, minute] >= limit:
                return False
            self._spent[user_id, minute] += units
            return True

    def heads(self, channel_ids: Iterable[str]) -> dict[str, Head]:
        """See ``Channels``."""
        with self._lock:
            return {each: self._heads[each] for each in channel_ids if each in self._heads}

    def roles(self, user_id: str, channel_ids: Iterable[str]) -> dict[str, Membership]:
        """See ``Channels``."""
        with self._lock:
            found = [(each, user_id) for each in channel_ids]
            return {key[0]: self._memberships[key] for key in found if key in self._memberships}

    def public_channels(self, limit: int, after: tuple[str, str] | None) -> list[tuple[str, str]]:
        """See ``Channels``."""
        with self._lock:
            found = sorted(
                (public_name(head.name, head.channel_id), head.channel_id)
                for head in self._heads.values()
                if head.kind is Kind.PUBLIC and head.archived_at is None
            )
        return [each for each in found if after is None or each > after][:limit]

    def reserve_key(self, key_id: str, request_hash: bytes) -> bytes:
        """See ``Channels``."""
        with self._lock:
            return self._key_uses.setdefault(key_id, request_hash)

    def create_channel(self, head: Head, memberships: Sequence[Membership]) -> Head | PairBlocked | None:
        """See ``Channels``."""
        with self._lock:
            if head.channel_id in self._heads:
                return self._heads[head.channel_id]
            users = [each.user_id for each in memberships] if head.kind is Kind.DIRECT else []
            for user in users:
                if any((user, other) in self._blocks for other in users):
                    return PairBlocked(user)
            self._heads[head.channel_id] = head
            for each in memberships:
                self._write_member(each)
                self._channels_of[each.user_id].add(head.channel_id)
            return None

    def update_channel(
        self,
        channel_id: str,
        changes: Mapping[str, str | int | None],
        if_version: int | None,
        by: Membership | None = None,
    ) -> Head | None:
        """See ``Channels``."""
        with self._lock:
            head = self._heads.get(channel_id)
            if head is None or not self._role_unchanged(by):
                return None
            if head.is_made_of(changes, if_version):
                return head
            if head.archived_at is not None or if_version not in {None, head.version}:
                return None
            changed = replace(head, version=head.version + 1, **changes)  # type: ignore[arg-type]  # the interface says them
            self._write_settings(changed)
            return changed

    def archive_channel(
        self, channel_id: str, now: int, by: Membership | None = None, *, if_version: int | None = None
    ) -> bool:
        """See ``Channels``."""
        with self._lock:
            head = self._heads.get(channel_id)
            if head is None or not self._role_unchanged(by):
                return False
            if head.archived_at is None and if_version in {None, head.version}:
                head = replace(head, archived_at=now, version=head.version + 1)
                self._write_settings(head)
            return head.archived_at is not None

    def unarchive_channel(self, head: Head, by: Membership | None = None) -> Head | None:
        """See ``Channels``."""
        with self._lock:
            current = self._heads.get(head.channel_id)
            if current is None or not self._role_unchanged(by):
                return None
            if current.archived_at is not None and current.version != head.version:
                return None
            if current.archived_at is not None:
                current = replace(current, archived_at=None, version=current.version + 1)
                self._write_settings(current)
            return current
