"""What values say that they occupy, against what Python says."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable
from random import Random

import pytest

from shared.cache.blocks import Block, Cached, ChannelList, block_key, channels_key
from shared.cache.pages import EncodedPage, encoded_key
from shared.cache.stale_fallback import ConfirmedHead, ConfirmedList, ConfirmedMembership
from shared.cache.tier import MemoryTier
from shared.domain.model import Head, Kind, Membership, Preview, Role
from shared.use_cases.confirm_channels import Confirmed

COUNT = 400
NOW = 1_795_459_464_000
TOLERANCE = 0.15 if sys.version_info < (3, 12) else 0.2
"""Later versions of Python need less for some objects; to count too much is the safe side."""
Make = Callable[[int], dict[str, Cached]]


def encoded(length: int) -> Make:
    """Encoded pages of so many bytes."""
    randbytes = Random(1).randbytes  # noqa: S311 - filling, no secret
    return lambda n: {
        encoded_key(channel(n), n * 50 + 1, n * 50 + 50, "zstd"): EncodedPage(
            (n * 50 + 1, n * 50 + 50, 10**6 + n), randbytes(length)
        )
    }


def channel(number: int) -> str:
    """A channel's id."""
    return f"{number:016d}"


def user(number: int) -> str:
    """A user's id, of a UUID's length."""
    return f"user-{number:031d}"


def blocks(bodies: int, length: int) -> Make:
    """Blocks of so many messages of so many bytes."""
    randbytes = Random(1).randbytes  # noqa: S311 - filling, no secret
    return lambda n: {
        block_key(channel(n), n): Block.of(n * 50 + 1, [randbytes(length) for _ in range(bodies)])
    }


def lists(count: int) -> Make:
    """Lists of so many channels."""
    return lambda n: {channels_key(user(n)): ChannelList(tuple(channel(n * 100 + i) for i in range(count)))}


def head(number: int, *, texts: bool) -> Head:
    """A channel's head, with or without its texts."""
    name, topic, creator = (
        (f"name {number:015d}", f"topic {number:054d}", user(number)) if texts else ("",) * 3
    )
    last = Preview(1_000 + number, user(number), f"{number:060d}", NOW + number)
    seq = 1_000 + number
    return Head(
        channel(number),
        Kind.PUBLIC,
        name,
        topic,
        creator,
        NOW - number,
        members=seq,
        seq=seq,
        messages=seq,
        last=last,
    )


def membership(number: int) -> Membership:
    """A membership."""
    seq = 1_000 + number
    return Membership(user(number), channel(number), Role.MEMBER, NOW - number, seq, seq, NOW + number)


def stale_list(count: int) -> Make:
    """Stale lists of so many channels."""

    def make(n: int) -> dict[str, Cached]:
        channels = tuple((head(n * 100 + i, texts=True), membership(n * 100 + i)) for i in range(count))
        return {f"l{user(n)}": ConfirmedList(channels, NOW + n)}

    return make


CASES: dict[str, Make] = {
    "a message": blocks(1, 300),
    "short messages": blocks(10, 60),
    "a full block": blocks(50, 200),
    "long messages": blocks(50, 1_000),
    "voids": lambda n: {block_key(channel(n), n): Block.of(n * 50 + 1, [None] * 50)},
    "a short encoded page": encoded(500),
    "an encoded page": encoded(17_000),
    "an empty list": lists(0),
    "a list of one": lists(1),
    "a list of thirty": lists(30),
    "a head": lambda n: {f"h{channel(n)}": ConfirmedHead(head(n, texts=False), NOW + n)},
    "a membership": lambda n: {f"m{channel(n)}.{user(n)}": ConfirmedMembership(membership(n), NOW + n)},
    "what was confirmed of a channel": lambda n: {
        f"s{channel(n)}": Confirmed(frozenset(range(1000 + n, 1004 + n)))
    },
    "a stale list of one": stale_list(1),
    "a stale list of thirty": stale_list(30),
}


@pytest.mark.parametrize("case", CASES)
def test_a_size_is_what_the_value_occupies(case: str) -> None:
    """What the tier counts for a value, its key and its place is within 15 % of what Python allocated for it."""
    make, tier = CASES[case], MemoryTier(10**9, 100, lambda: NOW)
    tier.put(make(COUNT))
    tier.forget(next(iter(make(COUNT))))
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(COUNT):
            tier.put(make(number))
        gc.collect()
        occupied = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(tier) == COUNT
    assert tier.bytes_held == pytest.approx(occupied, rel=TOLERANCE)
