"""What DynamoDB vouched for last, in case that it cannot answer: for a short time it may stand in.

Heads and memberships are kept for the freshness time only (messages 120 s, channels 300 s by default). A page is then
served as it was vouched for, to a caller whose membership was vouched for as recently, and marked stale.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass, replace
from typing import Final

from shared.cache.memory import MemoryTier
from shared.cache.tier import get_one
from shared.domain.model import ChannelState, Head, Membership

HEAD_BYTES: Final = 800
MEMBERSHIP_BYTES: Final = 500
LIST_BYTES: Final = 150
LISTED_BYTES: Final = 1_400
"""What each costs in this process with its strings; tests/shared/cache hold them against tracemalloc."""


@dataclass(frozen=True, slots=True)
class VouchedHead:
    """A head without its texts, and when it was asked for (ms)."""

    head: Head
    at: int
    size: int = HEAD_BYTES


@dataclass(frozen=True, slots=True)
class VouchedMembership:
    """A membership, and when it was asked for (ms)."""

    membership: Membership
    at: int
    size: int = MEMBERSHIP_BYTES


@dataclass(frozen=True, slots=True)
class VouchedList:
    """A caller's channels, and when they were asked for (ms)."""

    channels: tuple[tuple[Head, Membership], ...]
    at: int

    @property
    def size(self) -> int:
        """Bytes in this process."""
        return LIST_BYTES + LISTED_BYTES * len(self.channels)


class StaleFallback:
    """Remembers what was vouched for, and recalls it while it is fresh.

    Args:
        memory: where it is kept.
        messages_seconds: how long a channel's head and a membership stand in.
        channels_seconds: how long a list of channels stands in.
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
        """Bytes of all that is kept."""
        return self._memory.bytes_held

    def now(self) -> int:
        """Milliseconds by the clock that freshness is counted with."""
        return self._now()

    def put(self, channel_id: str, user_id: str, state: ChannelState, asked_at: int) -> None:
        """After what a look vouched for was served; ``asked_at`` (ms) is when that look began."""
        if state.head is None or state.membership is None:
            return
        head = replace(state.head, name="", topic="", creator="", request_hash=b"")
        self._memory.put(
            {
                f"h{channel_id}": VouchedHead(head, asked_at),
                f"m{channel_id}.{user_id}": VouchedMembership(state.membership, asked_at),
            }
        )

    def forget(self, channel_id: str, user_id: str) -> None:
        """After a look that found no membership."""
        self._memory.forget(f"m{channel_id}.{user_id}")

    def get(self, channel_id: str, user_id: str) -> ChannelState | None:
        """What was vouched for, if both are fresh."""
        oldest = self._now() - self._messages_ms
        head = get_one(self._memory, f"h{channel_id}", VouchedHead)
        membership = get_one(self._memory, f"m{channel_id}.{user_id}", VouchedMembership)
        if head is None or membership is None or min(head.at, membership.at) < oldest:
            return None
        return ChannelState(head.head, membership.membership)

    def put_list(self, user_id: str, channels: tuple[tuple[Head, Membership], ...], asked_at: int) -> None:
        """After a caller's channels were read; ``asked_at`` (ms) is when that began."""
        self._memory.put({f"l{user_id}": VouchedList(channels, asked_at)})

    def narrow_list(self, user_id: str, channel_ids: Set[str]) -> None:
        """After the caller's memberships were read: leaves these channels in their list, and no others."""
        key = f"l{user_id}"
        found = get_one(self._memory, key, VouchedList)
        if found and not channel_ids >= {head.channel_id for head, _ in found.channels}:
            kept = tuple(each for each in found.channels if each[0].channel_id in channel_ids)
            self._memory.put({key: replace(found, channels=kept)})

    def get_list(self, user_id: str) -> tuple[tuple[Head, Membership], ...] | None:
        """The caller's channels, if they are fresh."""
        found = get_one(self._memory, f"l{user_id}", VouchedList)
        if found is None or found.at < self._now() - self._channels_ms:
            return None
        return found.channels
