"""Blocks of made-up messages, as channels' logs have them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shared.cache.blocks import Block, Kept, Shareable
from shared.cache.codec import pack, unpack
from shared.domain.messages import Draft, encode

CHANNEL: Final = "0123456789abcdef"
OTHER: Final = "fedcba9876543210"
CREATED: Final = 1_795_459_464_000
USED: Final = CREATED // 1000
"""When the clocks of tests begin, in seconds."""


def body(channel: str, seq: int, text: str = "Hello") -> bytes:
    """The stored JSON of a message."""
    return encode(channel, seq, "ada", CREATED + seq, Draft(text))


def block(channel: str, first: int, last: int, text: str = "Hello") -> Block:
    """Messages at these positions, which lie in one block."""
    return Block.of(first, [body(channel, seq, text) for seq in range(first, last + 1)])


def packed(items: Mapping[str, Shareable], codec: str = "zstd", used: int = USED) -> str:
    """A bundle's text of values that were last used then (seconds since 1970)."""
    return pack({key: Kept(value, used) for key, value in items.items()}, codec)


def unpacked(text: object) -> dict[str, Shareable]:
    """The values in a bundle's text."""
    return {key: kept.value for key, kept in unpack(text).items()}
