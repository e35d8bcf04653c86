"""Pages as they leave: compressed once, for all who read the same page while nothing is posted.

Like all that is remembered, such a page is used only for a head that was read in the same request. What determines its
bytes is compared: the range, and all of the head that a page shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shared.cache.interface import Tier
from shared.cache.values import block_key, block_of
from shared.model import Head

ENCODED_BYTES: Final = 300
"""An encoded page beside its bytes: the object, its numbers, what Python adds to bytes (tests/shared/cache)."""
State = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class EncodedPage:
    """A page in a content coding; ``of`` is what its bytes were made of. Stays in this process."""

    of: State
    body: bytes

    @property
    def size(self) -> int:
        """Bytes in this process."""
        return ENCODED_BYTES + len(self.body)


def state(head: Head, first: int, last: int) -> State:
    """What determines the bytes of a channel's page that is complete to ``last``."""
    return first, last, head.seq, head.erasures


def encoded_key(channel_id: str, first: int, last: int, coding: str) -> str:
    """One for each block, length and coding: a page takes the place of the one that a later post made wrong."""
    return f"e{channel_id}.{block_of(last)}.{last - first + 1}.{coding}"


def recall(memory: Tier, head: Head, first: int, last: int, coding: str) -> bytes | None:
    """The page, if it was encoded before and is still the same."""
    key = encoded_key(head.channel_id, first, last, coding)
    # Its blocks are asked for too, so that they count as used: the next post is caught up with from them.
    numbers = range(block_of(first), block_of(last) + 1)
    blocks = (block_key(head.channel_id, each, head.erasures) for each in numbers)
    page = memory.get([key, *blocks]).get(key)
    if isinstance(page, EncodedPage) and page.of == state(head, first, last):
        return page.body
    return None


def remember(memory: Tier, head: Head, first: int, last: int, coding: str, body: bytes) -> None:
    """Keeps an encoded page that is complete to ``last``."""
    page = EncodedPage(state(head, first, last), body)
    memory.put({encoded_key(head.channel_id, first, last, coding): page})
