"""Recently confirmed channel states, served for a short time if DynamoDB does not respond.

Heads and memberships are kept for the freshness time only (messages 120 s, channels 300 s by default). During an outage
a page is served as of the confirmed head, to callers whose membership was confirmed as recently, and marked stale.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass, replace
from typing import Final

from shared.cache.tier import MemoryTier, get_one
from shared.domain import keys
from shared.domain.model import ChannelState, Head, Membership

HEAD_BYTES: Final = 800
MEMBERSHIP_BYTES: Final = 500
LIST_BYTES: Final = 150
LISTED_BYTES: Final = 1_400
"""The bytes of each in this process, with its strings; tests/shared/cache compares them with tracemalloc."""


@dataclass(frozen=True, slots=True)
class ConfirmedHead:
    """A head without its texts, and when its read began (ms)."""

    head: Head
    at: int
    size: int = HEAD_BYTES


@dataclass(frozen=True, slots=True)
class ConfirmedMembership:
    """A membership, and when its read began (ms)."""

    membership: Membership
    at: int
    size: int = MEMBERSHIP_BYTES


@dataclass(frozen=True, slots=True)
class ConfirmedList:
    """A user's channels, and when their read began (ms)."""

    channels: tuple[tuple[Head, Membership], ...]
    at: int

    @property
    def size(self) -> int:
        """Bytes in this process."""
        return LIST_BYTES + LISTED_BYTES * len(self.channels)


class StaleFallback:
    """Keeps confirmed states and returns them while they are fresh.

    Args:
        memory: where they are kept.
        messages_seconds: how long a channel's head and a membership are fresh.
        channels_seconds: how long a list of channels is fresh.
        now: milliseconds since 1970.
    """

    def __init__(
        self, memory: MemoryTier, messages_seconds: float, channels_seconds: float, now: Callable[[], int]
    ) -> None:
        self._memory = memory
        self._messages_ms = messages_seconds * 1000
        self._channels_ms = channels_seconds * 1000
        self._now = now

    @property
    def bytes_held(self) -> int:
        """The bytes of all values."""
        return self._memory.bytes_held

    def now(self) -> int:
        """Milliseconds by the clock that freshness is measured with."""
        return self._now()

    def put(self, channel_id: str, user_id: str, state: ChannelState, asked_at: int) -> None:
        """Keeps a state after it was served; ``asked_at`` (ms) is when its read began."""
        if state.head is None or state.membership is None:
            return
        head = replace(state.head, name="", topic="", creator="", request_hash=b"")
        found: dict[str, ConfirmedHead | ConfirmedMembership] = {
            f"h{channel_id}": ConfirmedHead(head, asked_at)
        }
        member = state.membership
        if state.thread is not None and state.thread.member is not None:
            found[_read_key(channel_id, user_id)] = ConfirmedMembership(member, asked_at)
            member = state.thread.member
        found[_member_key(channel_id, user_id)] = ConfirmedMembership(member, asked_at)
        self._memory.put(found)

    def forget(self, channel_id: str, user_id: str) -> None:
        """Drops the membership, also for the channel's threads; to be called after a read found none."""
        self._memory.forget(_member_key(channel_id, user_id))

    def get(self, channel_id: str, user_id: str) -> ChannelState | None:
        """The state, if head and membership are fresh."""
        oldest = self._now() - self._messages_ms
        head = get_one(self._memory, f"h{channel_id}", ConfirmedHead)
        membership = get_one(self._memory, _member_key(channel_id, user_id), ConfirmedMembership)
        if head is None or membership is None or min(head.at, membership.at) < oldest:
            return None
        if keys.is_thread(channel_id):
            membership = get_one(self._memory, _read_key(channel_id, user_id), ConfirmedMembership)
        return ChannelState(head.head, membership.membership) if membership else None

    def put_list(self, user_id: str, channels: tuple[tuple[Head, Membership], ...], asked_at: int) -> None:
        """Keeps a user's channels after they were read; ``asked_at`` (ms) is when that read began."""
        self._memory.put({f"l{user_id}": ConfirmedList(channels, asked_at)})

    def narrow_list(self, user_id: str, channel_ids: Set[str]) -> None:
        """Drops all other channels from a user's list; to be called after their memberships were read."""
        key = f"l{user_id}"
        found = get_one(self._memory, key, ConfirmedList)
        if found and not channel_ids >= {head.channel_id for head, _ in found.channels}:
            kept = tuple(each for each in found.channels if each[0].channel_id in channel_ids)
            self._memory.put({key: replace(found, channels=kept)})

    def get_list(self, user_id: str) -> tuple[tuple[Head, Membership], ...] | None:
        """The user's channels, if they are fresh."""
        found = get_one(self._memory, f"l{user_id}", ConfirmedList)
        if found is None or found.at < self._now() - self._channels_ms:
            return None
        return found.channels


def _member_key(log_id: str, user_id: str) -> str:
    """The membership in the channel, which threads need too."""
    return f"m{keys.channel_of_log(log_id)}.{user_id}"


def _read_key(log_id: str, user_id: str) -> str:
    """The membership with the read position in a thread."""
    return f"m{log_id}.{user_id}"
