"""The cached values: blocks of a channel's log, and lists of a user's channels. They are copies or hints."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from shared.domain import keys
from shared.domain.changes import Change, lay_over

BLOCK_SIZE: Final = 50
"""Positions in a block. It equals the default page, so a page needs at most two blocks, a page of 100 three."""
OBJECT_BYTES: Final = 33
"""Python's overhead of a bytes object (CPython, 64 bits)."""
PLACE_BYTES: Final = 8
"""An element of a tuple, also for a void."""
VALUE_BYTES: Final = 170
"""A block without its bodies: the object, its numbers, its tuple."""
CHANGE_BYTES: Final = 450
"""A change without its body: the object, its numbers and texts."""
LIST_BYTES: Final = 60
LISTED_ID_BYTES: Final = 75
"""A list of channels, and each id of 16 to 26 characters with its element. tests/shared/cache compares all sizes with
tracemalloc; the tiers count their keys themselves."""
_VOID: Final = 0xFFFFFFFF
_HEAD: Final = struct.Struct("<QQI")


class UnreadableError(Exception):
    """Bytes that are not an intact value of ours."""


class Cached(Protocol):
    """A value that the tier in this process can hold."""

    @property
    def size(self) -> int:
        """Its bytes in this process."""


@dataclass(frozen=True, slots=True)
class Block:
    """A settled run of positions within one aligned block, with all changes up to ``rev`` in its messages.

    Immutable; more positions, or later changes, make a new block.
    """

    first: int
    bodies: tuple[bytes | None, ...]
    size: int
    rev: int = 0

    @classmethod
    def of(cls, first: int, bodies: Sequence[bytes | None], rev: int = 0) -> Block:
        """A block that starts at position ``first``."""
        held = sum(OBJECT_BYTES + len(body) for body in bodies if body is not None)
        size = VALUE_BYTES + PLACE_BYTES * len(bodies) + held
        return cls(first, tuple(bodies), size, rev)

    @property
    def last(self) -> int:
        """The last position that it holds."""
        return self.first + len(self.bodies) - 1

    @property
    def weight(self) -> int:
        """How many entries need not be read from the storage."""
        return len(self.bodies)

    def covers(self, first: int, last: int) -> bool:
        """Whether it holds all of these positions."""
        return self.first <= first and last <= self.last

    def caught_up(self, changes: Iterable[Change], rev: int) -> Block:
        """With these changes, which are all from its own ``rev`` to another one."""
        return Block.of(self.first, lay_over(self.first, self.bodies, changes), rev)

    def slice(self, first: int, last: int) -> tuple[bytes | None, ...]:
        """The bodies at these positions."""
        return self.bodies[first - self.first : last - self.first + 1]

    def joined(self, other: Block) -> Block:
        """The union with another run of the same block; the longer run if there is a gap between them."""
        low, high = (self, other) if self.first <= other.first else (other, self)
        if high.first > low.last + 1:
            return max(self, other, key=lambda block: (len(block.bodies), block.last))
        # Where both have a position, that of the later changes counts; the whole is as far as the older of its parts.
        newer, older = (self, other) if self.rev >= other.rev else (other, self)
        if newer.covers(older.first, older.last):
            return newer
        bodies = {seq: body for run in (older, newer) for seq, body in enumerate(run.bodies, run.first)}
        return Block.of(low.first, [bodies[seq] for seq in sorted(bodies)], older.rev)

    def encode(self) -> bytes:
        """First position, number of the last change, number of bodies, their lengths, and the bodies."""
        lengths = [_VOID if body is None else len(body) for body in self.bodies]
        head = _HEAD.pack(self.first, self.rev, len(lengths)) + struct.pack(f"<{len(lengths)}I", *lengths)
        return head + b"".join(body for body in self.bodies if body is not None)


@dataclass(frozen=True, slots=True)
class ChannelList:
    """The channels that a user was in when their list was last read."""

    channel_ids: tuple[str, ...]

    @property
    def size(self) -> int:
        """Its bytes in this process, with a string for each id."""
        return LIST_BYTES + LISTED_ID_BYTES * len(self.channel_ids)

    @property
    def weight(self) -> int:
        """It saves one round trip, which counts as much as ten entries."""
        return 10

    def encode(self) -> bytes:
        """The ids, separated by blanks."""
        return " ".join(self.channel_ids).encode()


@dataclass(frozen=True, slots=True)
class ChangeRun:
    """The latest changes of a channel, without a gap. Stays in this process."""

    changes: tuple[Change, ...]
    size: int

    @classmethod
    def of(cls, changes: Sequence[Change]) -> ChangeRun:
        """The run of these."""
        return cls(tuple(changes), sum(CHANGE_BYTES + len(each.body or b"") for each in changes))

    def since(self, rev: int) -> tuple[Change, ...] | None:
        """The changes after ``rev``; None where some of them are not here."""
        first = self.changes[0].rev
        return self.changes[rev + 1 - first :] if first <= rev + 1 <= self.changes[-1].rev + 1 else None


Shareable = Block | ChannelList
"""Values that containers share through Redis; others stay in their process."""


class Kept(NamedTuple):
    """A shared value, and the time of its last use (put or found) in seconds since 1970."""

    value: Shareable
    used: int


def block_key(channel_id: str, block: int, erasures: int = 0) -> str:
    """The key of block ``block``, which starts at position ``block * 50 + 1``.

    ``erasures`` is the head's, so blocks read before a redaction are not found any more.
    """
    return f"b{channel_id}.{block}.{erasures}" if erasures else f"b{channel_id}.{block}"


def block_keys(channel_id: str, erasures: int, first: int, last: int) -> dict[str, tuple[int, int]]:
    """The keys of a range's blocks, in order, each with its part of the range; empty for an empty range."""
    numbers = range(block_of(first), block_of(last) + 1) if first <= last else ()
    return {
        block_key(channel_id, each, erasures): (
            max(first, each * BLOCK_SIZE + 1),
            min(last, (each + 1) * BLOCK_SIZE),
        )
        for each in numbers
    }


def changes_key(channel_id: str, erasures: int) -> str:
    """The key of a channel's latest changes; ``erasures`` as of a block's."""
    return f"x{channel_id}.{erasures}"


def channels_key(user_id: str) -> str:
    """The key of a user's list of channels."""
    return f"u{user_id}"


def block_of(seq: int) -> int:
    """The block that a position is in."""
    return (seq - 1) // BLOCK_SIZE


def block_range(block: int) -> tuple[int, int]:
    """The first and last position of a block."""
    return block * BLOCK_SIZE + 1, (block + 1) * BLOCK_SIZE


def decode(key: str, raw: bytes) -> Shareable:
    """Decodes the value of a key.

    Raises:
        UnreadableError: it is not a value of this key.
    """
    try:
        if key.startswith("b"):
            return _decode_block(key, raw)
        if key.startswith("u"):
            return _decode_channels(raw)
    except (struct.error, ValueError) as error:
        raise UnreadableError from error
    raise UnreadableError


def _decode_block(key: str, raw: bytes) -> Block:
    first, rev, count = _HEAD.unpack_from(raw)
    channel_id, number, erasures = [*key[1:].split("."), "0"][:3]
    if key != block_key(channel_id, int(number), int(erasures)):
        raise UnreadableError
    start, end = block_range(int(number))
    if not (count and start <= first and first + count - 1 <= end):
        raise UnreadableError
    lengths = struct.unpack_from(f"<{count}I", raw, _HEAD.size)
    at, bodies = _HEAD.size + 4 * count, []
    for length in lengths:
        bodies.append(None if length == _VOID else raw[at : at + length])
        at += 0 if length == _VOID else length
    if at != len(raw) or not _are_of(channel_id, first, bodies):
        raise UnreadableError
    return Block.of(first, bodies, rev)


def _are_of(channel_id: str, first: int, bodies: Sequence[bytes | None]) -> bool:
    """Whether each body is this channel's message at its position, by the start of its JSON."""
    start = b'{"id":"%b-' % channel_id.encode()
    after = len(start) + keys.SEQ_CHARS
    return all(
        body is None or (body.startswith(start) and body.startswith(b'","seq":%d,' % seq, after))
        for seq, body in enumerate(bodies, first)
    )


def _decode_channels(raw: bytes) -> ChannelList:
    ids = tuple(raw.decode().split())
    if not all(map(keys.is_channel_id, ids)):
        raise UnreadableError
    return ChannelList(ids)
