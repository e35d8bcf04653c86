"""Blocks and lists of channels: round trips, and how blocks grow."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.cache.blocks import (
    BLOCK_SIZE,
    Block,
    ChannelList,
    UnreadableError,
    block_key,
    block_of,
    block_range,
    channels_key,
    decode,
)
from shared.domain.keys import ID_ALPHABET
from tests.blocks import CHANNEL, OTHER, block, body
from tests.cases import case

CHANNEL_IDS = st.text(ID_ALPHABET, min_size=16, max_size=26)


@st.composite
def runs(draw: st.DrawFn, number: int | None = None) -> tuple[int, Block]:
    """A block's number, and a run of messages and voids within it."""
    number = draw(st.integers(0, 10**6)) if number is None else number
    start, end = block_range(number)
    first = draw(st.integers(start, end))
    last = draw(st.integers(first, end))
    texts = draw(
        st.lists(st.none() | st.text(max_size=20), min_size=last - first + 1, max_size=last - first + 1)
    )
    bodies = [None if text is None else body(CHANNEL, seq, text) for seq, text in enumerate(texts, first)]
    return number, Block.of(first, bodies)


@st.composite
def two_runs(draw: st.DrawFn) -> tuple[Block, Block]:
    """Two runs of the same log: where both have a position, they have the same there."""
    number, one = draw(runs())
    _, other = draw(runs(number))
    agreed = [
        one.bodies[seq - one.first] if one.covers(seq, seq) else each
        for seq, each in enumerate(other.bodies, other.first)
    ]
    return one, Block.of(other.first, agreed)


def held(run: Block) -> dict[int, bytes | None]:
    """What a run has at each position."""
    return dict(enumerate(run.bodies, run.first))


@settings(deadline=None)
@given(runs())
def test_a_block_comes_back_from_its_bytes(run: tuple[int, Block]) -> None:
    """Messages of any text and voids come back as they were, with the same size."""
    number, value = run
    assert decode(block_key(CHANNEL, number), value.encode()) == value


@settings(deadline=None)
@given(st.lists(CHANNEL_IDS, max_size=40), st.text(min_size=1, max_size=20))
def test_a_list_comes_back_from_its_bytes(channel_ids: list[str], user: str) -> None:
    """Any number of channels, none included, under any user's key."""
    value = ChannelList(tuple(channel_ids))
    assert decode(channels_key(user), value.encode()) == value


@settings(deadline=None)
@given(two_runs())
def test_joined_runs_lose_nothing_and_have_no_gap(runs: tuple[Block, Block]) -> None:
    """Runs that touch give all that either has; of others the longer stays whole; never a gap, never another body."""
    one, other = runs
    joined = one.joined(other)
    union = held(one) | held(other)
    assert all(union[seq] == each for seq, each in held(joined).items())
    touching = max(one.first, other.first) <= min(one.last, other.last) + 1
    if touching:
        assert held(joined) == union
    else:
        assert joined in (one, other)
        assert joined.weight == max(one.weight, other.weight)
    assert joined == other.joined(one)
    assert joined.size == Block.of(joined.first, joined.bodies).size


@settings(deadline=None)
@given(runs(), st.data())
def test_a_slice_has_the_entries_of_its_range(run: tuple[int, Block], data: st.DataObject) -> None:
    """A slice within a run has each position's body, in order."""
    _, value = run
    first = data.draw(st.integers(value.first, value.last))
    last = data.draw(st.integers(first, value.last))
    assert value.covers(first, last)
    assert value.slice(first, last) == tuple(held(value)[seq] for seq in range(first, last + 1))
    assert not value.covers(value.first - 1, last)
    assert not value.covers(first, value.last + 1)


@settings(deadline=None)
@given(st.integers(1, 10**12))
def test_each_position_is_in_one_block(seq: int) -> None:
    """The range of a position's block has the position in it, and is a block long."""
    start, end = block_range(block_of(seq))
    assert start <= seq <= end
    assert end - start + 1 == BLOCK_SIZE


@settings(deadline=None)
@given(
    st.binary(max_size=200),
    st.sampled_from([block_key(CHANNEL, 0), channels_key("ada"), "x", "b", "bx.y", ""]),
)
def test_foreign_bytes_are_unreadable(raw: bytes, key: str) -> None:
    """Any bytes are a value of the key's kind or raise `UnreadableError`."""
    try:
        value = decode(key, raw)
    except UnreadableError:
        return
    assert isinstance(value, Block if key.startswith("b") else ChannelList)


def test_a_value_under_a_wrong_key_is_unreadable() -> None:
    """Another channel's block, another block's, one moved by a position, an empty one, another kind: all refused."""
    cases: list[tuple[str, Block | ChannelList]] = [
        (block_key(OTHER, 0), block(CHANNEL, 1, 3)),
        (block_key(CHANNEL, 1), block(CHANNEL, 1, 3)),
        (block_key(CHANNEL, 0), Block.of(2, block(CHANNEL, 1, 3).bodies)),
        (block_key(CHANNEL, 0), Block.of(1, [body(CHANNEL, 1), body(CHANNEL, 1)])),
        (block_key(CHANNEL, 0), Block.of(50, [body(CHANNEL, 50), body(CHANNEL, 51)])),
        (block_key(CHANNEL, 0), Block.of(1, [])),
        (block_key(CHANNEL, 0), Block.of(1, [b"{}"])),
        (channels_key("ada"), block(CHANNEL, 1, 3)),
        (block_key(CHANNEL, 0), ChannelList((CHANNEL,))),
    ]
    for key, value in cases:
        with case(key, value), pytest.raises(UnreadableError):
            decode(key, value.encode())


def test_a_block_that_claims_too_much_is_unreadable() -> None:
    """Numbers of bodies and lengths that the bytes do not have are refused before anything is allocated."""
    for raw in (
        struct.pack("<QI", 1, 2**32 - 1),
        struct.pack("<QII", 1, 1, 2**31),
        block(CHANNEL, 1, 3).encode()[:-1],
        block(CHANNEL, 1, 3).encode() + b"x",
    ):
        with pytest.raises(UnreadableError):
            decode(block_key(CHANNEL, 0), raw)
