"""Memberships in memory."""

from __future__ import annotations

from dataclasses import replace

from shared.domain.model import (
    Head,
    Member,
    Membership,
    PastMembership,
    Role,
)
from shared.storage.memory.state import MemoryState
from shared.storage.stream import of_membership


class MemoryMembers(MemoryState):
    """See ``shared.storage.protocol.Members``."""

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

    def past_membership(self, channel_id: str, user_id: str) -> PastMembership | None:
        """See ``Members``."""
        with self._lock:
            return self._past_memberships.get((channel_id, user_id))

    def add_member(
        self, membership: Membership, by: Membership | None = None
    ) -> Membership | PastMembership | None:
        """See ``Members``."""
        key = (membership.channel_id, membership.user_id)
        with self._lock:
            if key in self._memberships:
                return replace(self._memberships[key])
            head = self._heads.get(membership.channel_id)
            if head is None or head.archived_at is not None or not self._role_unchanged(by):
                return None
            past_membership = self._past_memberships.get(key)
            if past_membership and (past_membership.is_banned or past_membership.tat > membership.tat):
                return past_membership
            self._count(head, 1, membership.role is Role.OWNER)
            self._write_member(membership)
            self._channels_of[membership.user_id].add(membership.channel_id)
            return membership

    def change_role(self, membership: Membership, role: Role, by: Membership | None = None) -> bool:
        """See ``Members``."""
        with self._lock:
            owners = (role is Role.OWNER) - (membership.role is Role.OWNER)
            if not self._role_unchanged(by) or not self._may_change(membership, owners):
                return False
            key = (membership.channel_id, membership.user_id)
            self._count(self._heads[membership.channel_id], 0, owners)
            self._write_member(replace(self._memberships[key], role=role))
            return True

    def remove_member(
        self, membership: Membership, by: Membership | None = None, *, even_last_owner: bool = False
    ) -> bool:
        """See ``Members``."""
        key = (membership.channel_id, membership.user_id)
        with self._lock:
            owners = -1 if membership.role is Role.OWNER else 0
            head = self._heads.get(membership.channel_id)
            keeps_owner = 0 if even_last_owner and head and head.archived_at is not None else owners
            if not self._role_unchanged(by) or not self._may_change(membership, keeps_owner):
                return False
            self._end_membership(key, owners)
            return True

    def _end_membership(self, key: tuple[str, str], owners: int) -> None:
        channel_id, user_id = key
        self._count(self._heads[channel_id], -1, owners)
        ended = self._memberships.pop(key)
        tat = max(ended.tat, ended.changes_tat)
        self._past_memberships[key] = PastMembership(channel_id, ended.joined_at, tat)
        self._channels_of[user_id].discard(channel_id)
        self._tell(of_membership(ended, None))

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
            self._write_member(moved)
            return moved

    def mute(self, channel_id: str, user_id: str, *, muted: bool) -> Membership | None:
        """See ``Members``."""
        with self._lock:
            current = self._memberships.get((channel_id, user_id))
            if current is not None:
                current = replace(current, muted=muted)
                self._write_member(current)
            return current

    def ping(self) -> None:
        """See ``Members``."""

    def _role_unchanged(self, by: Membership | None) -> bool:
        current = self._memberships.get((by.channel_id, by.user_id)) if by else None
        return by is None or (current is not None and current.role is by.role)
