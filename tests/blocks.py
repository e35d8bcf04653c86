"""Blocks of made-up messages, as channels' logs have them."""

from __future__ import annotations

from typing import Final

from shared.cache.values import Block
from shared.messages import Draft, encode

CHANNEL: Final = "0123456789abcdef"
OTHER: Final = "fedcba9876543210"
CREATED: Final = 1_795_459_464_000


def body(channel: str, seq: int, text: str = "Hello") -> bytes:
    """The stored JSON of a message."""
    return encode(channel, seq, "ada", CREATED + seq, Draft(text))


def block(channel: str, first: int, last: int, text: str = "Hello") -> Block:
    """Messages at these positions, which lie in one block."""
    return Block.of(first, [body(channel, seq, text) for seq in range(first, last + 1)])
