"""Erasing users, in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from shared.domain.changes import Change
from shared.domain.model import (
    ERASED,
    Entry,
    Head,
    PastMembership,
)
from shared.storage.memory.state import MemoryState
from shared.storage.protocol import Expiring


class MemoryErasures(MemoryState):
    """See ``shared.storage.protocol.Erasures``."""

    def blockers(self, user_id: str) -> list[str]:
        """See ``Erasures``."""
        with self._lock:
            return sorted(user for user, other in self._blocks if other == user_id)

    def reports_made(self, user_id: str) -> list[tuple[str, str]]:
        """See ``Erasures``."""
        with self._lock:
            made = sorted(self._reports_made.items())
        return [(message, report) for (user, message), report in made if user == user_id]

    def forget_report_made(self, user_id: str, message_id: str) -> None:
        """See ``Erasures``."""
        with self._lock:
            self._reports_made.pop((user_id, message_id), None)

    def forget_moderator(self, channel_id: str, user_id: str) -> None:
        """See ``Erasures``."""
        with self._lock:
            for key, ban in list(self._bans.items()):
                if key[0] == channel_id and ban.by == user_id:
                    self._bans[key] = replace(ban, by=ERASED, reason="")
            for key, report in list(self._reports.items()):
                if key[0] == channel_id and report.reporter == user_id:
                    report = self._reports[key] = replace(report, reporter=ERASED, text="")  # noqa: PLW2901
                if key[0] == channel_id and report.closed_by == user_id:
                    self._reports[key] = replace(report, closed_by=ERASED, resolution="")

    def past_memberships(self, user_id: str) -> list[PastMembership]:
        """See ``Erasures``."""
        with self._lock:
            return [
                past_membership
                for (_, user), past_membership in sorted(self._past_memberships.items())
                if user == user_id
            ]

    def forget_past_membership(self, user_id: str, past_membership: PastMembership) -> None:
        """See ``Erasures``."""
        key = (past_membership.channel_id, user_id)
        with self._lock:
            found = self._past_memberships.get(key)
            if found and found.joined_at == past_membership.joined_at:
                del self._past_memberships[key]

    def redact(self, channel_id: str, seq: int, body: bytes) -> None:
        """See ``Erasures``."""
        with self._lock:
            log = self._entries.get(channel_id, {})
            if seq in log and log[seq].body is not None:
                log[seq] = replace(log[seq], body=body, versions=())
                self._redacted.add((channel_id, seq))

    def rewrite_message(self, channel_id: str, seen: Entry, body: bytes) -> bool:
        """See ``Erasures``."""
        with self._lock:
            log = self._entries.get(channel_id, {})
            found = log.get(seen.seq)
            if found is None or found.body is None or (channel_id, seen.seq) in self._redacted:
                return False
            if (found.rev, found.rewrites) != (seen.rev, seen.rewrites):
                return False
            log[seen.seq] = replace(found, body=body, rewrites=found.rewrites + 1)
            return True

    def rewrite_change(self, channel_id: str, seen: Change, change: Change) -> bool:
        """See ``Erasures``."""
        with self._lock:
            log = self._changes[channel_id]
            found = log.get(change.rev)
            if found is None or (found.by, found.body, found.before) != (seen.by, seen.body, seen.before):
                return False
            log[change.rev] = replace(found, by=change.by, body=change.body, before=change.before)
            return True

    def forget_reactions(self, channel_id: str, user_id: str) -> None:
        """See ``Erasures``."""
        with self._lock:
            for (channel, _, _), users in self._reacted.items():
                if channel == channel_id:
                    users.pop(user_id, None)

    def count_erasure(self, channel_id: str, user_id: str) -> Head | None:
        """See ``Erasures``."""
        with self._lock:
            head = self._heads.get(channel_id)
            if head is None:
                return None
            creator = ERASED if head.creator == user_id else head.creator
            self._heads[channel_id] = replace(head, erasures=head.erasures + 1, creator=creator)
            return self._heads[channel_id]

    def sweep(
        self, kind: Expiring, head: Head, first: int, last: int, now: int, *, dry_run: bool = False
    ) -> int:
        """See ``Erasures``."""
        with self._lock:
            found = [
                (items, key)
                for items, key, at, expires in self._expiring(kind, head)
                if first <= at <= last and not 0 < expires <= now // 1000
            ]
            for items, key in [] if dry_run else found:
                items.remove(key) if isinstance(items, set) else items.pop(key)
            return len(found)

    def _expiring(self, kind: Expiring, head: Head) -> Iterator[tuple[Any, Any, int, int]]:
        """What has expired: where it is, under which key, its position or number, and when it is deleted."""
        channel_id, end = head.channel_id, head.boundary
        match kind:
            case Expiring.ENTRIES:
                log = self.log(channel_id)
                yield from ((log, seq, seq, log[seq].expires) for seq in log if seq <= end.seq)
            case Expiring.CHANGES:
                for change in self._changes[channel_id].values():
                    if change.rev <= end.rev and change.seq <= end.seq:
                        yield self._changes[channel_id], change.rev, change.rev, change.expires
            case Expiring.GAPS:
                yield from (
                    (self._gaps[channel_id], seq, seq, 0) for seq in self._gaps[channel_id] if seq <= end.seq
                )
            case Expiring.REACTIONS:
                for (channel, seq, _), users in self._reacted.items():
                    if channel == channel_id and seq <= end.seq:
                        yield from ((users, user, seq, expires) for user, (_, expires) in users.items())
