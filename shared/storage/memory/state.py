"""What the storage in memory holds, and how its parts write to it."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from shared.domain import keys
from shared.domain.changes import Change
from shared.domain.model import Entry, Follow, Head, IdempotencyRecord, Membership, PastMembership
from shared.domain.moderation import Ban, Block, Report
from shared.domain.news import News, Posted
from shared.domain.realtime import Connection, Watch
from shared.storage.stream import of_follow, of_head, of_membership


@dataclass
class MemoryState:
    """A lock makes each method atomic, like a call to DynamoDB."""

    _heads: dict[str, Head] = field(default_factory=dict)
    _entries: dict[str, dict[int, Entry]] = field(default_factory=dict)
    _memberships: dict[tuple[str, str], Membership] = field(default_factory=dict)
    _channels_of: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By user, so that benchmarks with many users stay fast."""
    _past_memberships: dict[tuple[str, str], PastMembership] = field(default_factory=dict)
    _idempotency_records: dict[tuple[str, str, str], IdempotencyRecord] = field(default_factory=dict)
    _spent: Counter[tuple[str, int]] = field(default_factory=Counter)
    _gaps: defaultdict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    _key_uses: dict[str, bytes] = field(default_factory=dict)
    _changes: defaultdict[str, dict[int, Change]] = field(default_factory=lambda: defaultdict(dict))
    _pins: defaultdict[str, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    _reacted: defaultdict[tuple[str, int, str], dict[str, tuple[int, int]]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    """By user: the number of the change, and when it expires."""
    _follows: dict[tuple[str, str], Follow] = field(default_factory=dict)
    """By user and thread."""
    _redacted: set[tuple[str, int]] = field(default_factory=set)
    _blocks: dict[tuple[str, str], Block] = field(default_factory=dict)
    _bans: dict[tuple[str, str], Ban] = field(default_factory=dict)
    _reports: dict[tuple[str, str], Report] = field(default_factory=dict)
    _reports_made: dict[tuple[str, str], str] = field(default_factory=dict)
    _tickets: dict[str, tuple[str, int]] = field(default_factory=dict)
    """User and ``expires`` by hash."""
    _connections: dict[str, Connection] = field(default_factory=dict)
    _watches: dict[tuple[str, str], Watch] = field(default_factory=dict)
    """By log and connection."""
    _typed_at: dict[tuple[str, str], int] = field(default_factory=dict)
    on_news: Callable[[News], None] | None = None
    """Called with what the table's stream would say of each write, as ``stream.news_of`` reads it: once, in the order
    of the writes, before the method returns. It must not wait for another thread that uses the storage."""
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def contents(self) -> dict[str, Any]:
        """A copy of everything that is stored, by kind; it does not change any more."""
        with self._lock:
            return {
                "heads": dict(self._heads),
                "entries": {channel: dict(log) for channel, log in self._entries.items() if log},
                "memberships": dict(self._memberships),
                "past_memberships": dict(self._past_memberships),
                "idempotency_records": dict(self._idempotency_records),
                "changes": {channel: dict(log) for channel, log in self._changes.items() if log},
                "pins": {channel: dict(pins) for channel, pins in self._pins.items() if pins},
                "follows": dict(self._follows),
                "reacted": {key: dict(users) for key, users in self._reacted.items() if users},
                "blocks": dict(self._blocks),
                "bans": dict(self._bans),
                "reports": dict(self._reports),
                "reports_made": dict(self._reports_made),
                "tickets": dict(self._tickets),
                "connections": dict(self._connections),
                "watches": dict(self._watches),
            }

    def log(self, channel_id: str) -> dict[int, Entry]:
        """A channel's entries by position, as they are stored: a test may change them."""
        return self._entries.setdefault(channel_id, {})

    # --- writes that the table's stream tells of ---

    def _tell(self, news: Iterable[News]) -> None:
        if self.on_news is not None:
            for each in news:
                self.on_news(each)

    def _write_entries(self, log_id: str, entries: Iterable[Entry]) -> None:
        """Those of free positions."""
        for each in entries:
            self.log(log_id)[each.seq] = each
            self._tell([Posted(log_id, each.seq, each.at)])

    def _write_member(self, membership: Membership) -> None:
        key = (membership.channel_id, membership.user_id)
        before = self._memberships.get(key)
        self._memberships[key] = membership
        self._tell(of_membership(before, membership))

    def _write_follow(self, follow: Follow) -> None:
        key = (follow.user_id, follow.log_id)
        before = self._follows.get(key)
        self._follows[key] = follow
        self._tell(of_follow(before, follow))

    def _write_settings(self, head: Head) -> None:
        before = self._heads[head.channel_id]
        self._heads[head.channel_id] = head
        self._tell(of_head(before, head))


def may_write(membership: Membership) -> bool:
    """Whether neither of a direct channel's members blocks the other."""
    return not membership.blocks and not membership.is_blocked


def shown_position(head: Head) -> int:
    """The position that a head's preview shows; 0 for none."""
    return head.last.seq if head.last else 0


def member_key(log_id: str, user_id: str) -> tuple[str, str]:
    """The key of a membership: of a thread the one in its channel."""
    return keys.channel_of_log(log_id), user_id
