"""The part of the storage in memory that has to do with members."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import replace

from shared.model import Former, Head, Member, Membership, Role


class MemoryMembers:
    """See ``shared.store.interface.Members``."""

    _heads: dict[str, Head]
    _memberships: dict[tuple[str, str], Membership]
    _channels_of: defaultdict[str, set[str]]
    _formers: dict[tuple[str, str], Former]
    _lock: threading.RLock

    def members(self, channel_id: str, limit: int, after: str | None) -> list[Member]:
        """See ``Members``."""
        with self._lock:
            users = sorted(user for channel, user in self._memberships if channel == channel_id)
            found = [self._memberships[channel_id, user] for user in users if after is None or user > after]
        return [Member(each.user_id, each.role, each.joined_at) for each in found[:limit]]

    def membership(self, channel_id: str, user_id: str) -> Membership | None:
        """See ``Members``."""
        with self._lock:
            return self._memberships.get((channel_id, user_id))

    def former(self, channel_id: str, user_id: str) -> Former | None:
        """See ``Members``."""
        with self._lock:
            return self._formers.get((channel_id, user_id))

    def add_member(self, membership: Membership, by: Membership | None = None) -> Membership | Former | None:
        """See ``Members``."""
        key = (membership.channel_id, membership.user_id)
        with self._lock:
            if key in self._memberships:
                return replace(self._memberships[key])
            head = self._heads.get(membership.channel_id)
            if head is None or head.archived_at is not None or not self._stands(by):
                return None
            former = self._formers.get(key)
            if former and former.tat > membership.tat:
                return former
            self._count(head, 1, membership.role is Role.OWNER)
            self._memberships[key] = membership
            self._channels_of[membership.user_id].add(membership.channel_id)
            return membership

    def change_role(self, membership: Membership, role: Role, by: Membership | None = None) -> bool:
        """See ``Members``."""
        with self._lock:
            owners = (role is Role.OWNER) - (membership.role is Role.OWNER)
            if not self._stands(by) or not self._may_change(membership, owners):
                return False
            key = (membership.channel_id, membership.user_id)
            self._count(self._heads[membership.channel_id], 0, owners)
            self._memberships[key] = replace(self._memberships[key], role=role)
            return True

    def remove_member(
        self, membership: Membership, by: Membership | None = None, *, even_last_owner: bool = False
    ) -> bool:
        """See ``Members``."""
        key = (membership.channel_id, membership.user_id)
        with self._lock:
            owners = -1 if membership.role is Role.OWNER else 0
            if not self._stands(by) or not self._may_change(membership, 0 if even_last_owner else owners):
                return False
            self._count(self._heads[membership.channel_id], -1, owners)
            ended = self._memberships.pop(key)
            self._formers[key] = Former(ended.channel_id, ended.joined_at, ended.tat)
            self._channels_of[membership.user_id].discard(membership.channel_id)
            return True

    def _stands(self, by: Membership | None) -> bool:
        current = self._memberships.get((by.channel_id, by.user_id)) if by else None
        return by is None or (current is not None and current.role is by.role)

    def _may_change(self, membership: Membership, owners: int) -> bool:
        current = self._memberships.get((membership.channel_id, membership.user_id))
        if current is None or current.role is not membership.role:
            return False
        return owners >= 0 or self._heads[membership.channel_id].owners > 1

    def _count(self, head: Head, members: int, owners: int) -> None:
        self._heads[head.channel_id] = replace(
            head, members=head.members + members, owners=head.owners + owners
        )

    def move_read_position(
        self, channel_id: str, user_id: str, seq: int, messages: int, *, force: bool, voids: int = 0
    ) -> Membership | None:
        """See ``Members``."""
        with self._lock:
            current = self._memberships.get((channel_id, user_id))
            if current is None or (current.read_seq > seq and not force):
                return current
            moved = replace(current, read_seq=seq, read_messages=messages, read_voids=voids)
            self._memberships[channel_id, user_id] = moved
            return moved

    def ping(self) -> None:
        """See ``Members``."""
