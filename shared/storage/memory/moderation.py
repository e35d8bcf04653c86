"""Blocks, bans and reports in memory."""

from __future__ import annotations

from dataclasses import replace

from shared.domain.keys import direct_channel_id
from shared.domain.model import (
    Membership,
    PastMembership,
    Role,
)
from shared.domain.moderation import Ban, Block, Report
from shared.storage.memory.members import MemoryMembers


class MemoryModeration(MemoryMembers):
    """See ``shared.storage.protocol.Moderation``."""

    def block(self, block: Block) -> bool:
        """See ``Moderation``."""
        with self._lock:
            key = (block.user_id, block.other_id)
            if key in self._blocks:
                return False
            self._blocks[key] = block
            self._mark_block(*key, is_blocked=True)
            return True

    def unblock(self, user_id: str, other_id: str) -> None:
        """See ``Moderation``."""
        with self._lock:
            if self._blocks.pop((user_id, other_id), None):
                self._mark_block(user_id, other_id, is_blocked=False)

    def _mark_block(self, user_id: str, other_id: str, *, is_blocked: bool) -> None:
        channel_id = direct_channel_id(user_id, other_id)
        mine, other = (channel_id, user_id), (channel_id, other_id)
        if mine in self._memberships:
            self._write_member(replace(self._memberships[mine], blocks=is_blocked))
        if other in self._memberships:
            self._write_member(replace(self._memberships[other], is_blocked=is_blocked))

    def blocks(self, user_id: str) -> list[Block]:
        """See ``Moderation``."""
        with self._lock:
            return [block for (user, _), block in sorted(self._blocks.items()) if user == user_id]

    def ban(self, ban: Ban, target: Membership | None, by: Membership) -> bool:
        """See ``Moderation``."""
        key = (ban.channel_id, ban.user_id)
        with self._lock:
            if key in self._bans:
                return True
            if not self._role_unchanged(by) or (target is None and key in self._memberships):
                return False
            if target is not None:
                owners = -1 if target.role is Role.OWNER else 0
                if not self._may_change(target, owners):
                    return False
                self._end_membership(key, owners)
            past = self._past_memberships.get(key, PastMembership(ban.channel_id, 0))
            self._past_memberships[key] = replace(past, is_banned=True)
            self._bans[key] = ban
            return True

    def unban(self, channel_id: str, user_id: str, by: Membership | None = None) -> bool:
        """See ``Moderation``."""
        key = (channel_id, user_id)
        with self._lock:
            past = self._past_memberships.get(key)
            if past is None or not past.is_banned:
                return True
            if not self._role_unchanged(by):
                return False
            self._bans.pop(key, None)
            self._past_memberships[key] = replace(past, is_banned=False)
            if not past.was_member:
                del self._past_memberships[key]
            return True

    def ban_of(self, channel_id: str, user_id: str) -> Ban | None:
        """See ``Moderation``."""
        with self._lock:
            return self._bans.get((channel_id, user_id))

    def bans(self, channel_id: str, limit: int, after: str | None) -> list[Ban]:
        """See ``Moderation``."""
        with self._lock:
            found = [ban for (channel, _), ban in sorted(self._bans.items()) if channel == channel_id]
        return [ban for ban in found if after is None or ban.user_id > after][:limit]

    def add_report(self, report: Report, limit: int) -> str | None:
        """See ``Moderation``."""
        made = (report.reporter, report.message_id)
        with self._lock:
            if made in self._reports_made:
                return self._reports_made[made]
            if len(self.reports(report.channel_id, limit, None, is_open=True)) >= limit:
                return None
            self._reports_made[made] = report.report_id
            self._reports[report.channel_id, report.report_id] = report
            return report.report_id

    def report(self, channel_id: str, report_id: str) -> Report | None:
        """See ``Moderation``."""
        with self._lock:
            return self._reports.get((channel_id, report_id))

    def reports(self, channel_id: str, limit: int, after: str | None, *, is_open: bool) -> list[Report]:
        """See ``Moderation``."""
        with self._lock:
            found = [each for (channel, _), each in sorted(self._reports.items()) if channel == channel_id]
        found = [each for each in found if each.is_open is is_open]
        return [each for each in found if after is None or each.report_id > after][:limit]

    def close_report(self, closed: Report, by: Membership) -> bool:
        """See ``Moderation``."""
        with self._lock:
            found = self._reports.get((closed.channel_id, closed.report_id))
            if found is None or not found.is_open or found.reporter != closed.reporter:
                return False
            if not self._role_unchanged(by):
                return False
            self._reports[closed.channel_id, closed.report_id] = closed
            return True
