"""Logs in a storage that counts its reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from shared.domain.model import Entry, Head, Kind, Preview
from shared.storage.memory import MemoryStore
from tests.blocks import CHANNEL, CREATED, body


@dataclass
class CountingStore(MemoryStore):
    """Notes each range that is read."""

    ranges: list[tuple[int, int]] = field(default_factory=list)

    def entries(self, channel_id: str, first: int, last: int) -> list[Entry]:
        """See ``Log``."""
        self.ranges.append((first, last))
        return super().entries(channel_id, first, last)


LATER: Final = 60_000
"""Milliseconds between the messages of these logs: nobody waits for a hole before an old entry."""


def make_channel(store: MemoryStore, channel: str = CHANNEL) -> None:
    """An empty log."""
    store.create_channel(Head(channel, Kind.PUBLIC, "lobby", "", "ada", CREATED), [])


def reserve(store: MemoryStore, count: int = 1, channel: str = CHANNEL, at: int = CREATED) -> int:
    """Positions that nothing is committed to yet; the last of them."""
    taken = store.reserve(channel, count, Preview(0, "ada", "…", at))
    assert taken is not None
    return taken.seq


def commit(store: MemoryStore, seq: int, channel: str = CHANNEL, at: int = CREATED) -> None:
    """A message at a position that was taken."""
    store.void(channel, [Entry(seq, seq, at, body(channel, seq))])


def fill(store: MemoryStore, count: int, channel: str = CHANNEL) -> None:
    """So many further messages."""
    last = reserve(store, count, channel)
    for seq in range(last - count + 1, last + 1):
        commit(store, seq, channel)


def head_of(store: MemoryStore, channel: str = CHANNEL) -> Head:
    """The head as the channel state would have it."""
    head = store.head(channel)
    assert head is not None
    return head


def bodies(first: int, last: int, channel: str = CHANNEL) -> list[bytes | None]:
    """Entries at positions without holes."""
    return [body(channel, seq) for seq in range(first, last + 1)]
