"""What tests of the tier in Redis say in one word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from shared.cache.blocks import Cached, Shareable, block_key
from shared.cache.redis import BundlePolicy, RedisTier
from tests.blocks import CHANNEL, block, unpacked
from tests.fakes import FakeUpstash

KEY: Final = "budgie:p1"
POLICY: Final = BundlePolicy(min_new_entries=40, max_delay_ms=120_000, min_interval_ms=60_000)
FIRST: Final = block_key(CHANNEL, 0)
SECOND: Final = block_key(CHANNEL, 1)
Start = Callable[..., RedisTier]
"""Starts a container over the test's database; arguments change the policy."""


def request(tier: RedisTier) -> None:
    """What a request sets off, to its end."""
    tier.begin()
    tier.settle()


def stored(upstash: FakeUpstash) -> dict[str, Shareable]:
    """The bundle in the database."""
    return unpacked(upstash.values[KEY])


def lacking(count: int, channel: str = CHANNEL) -> dict[str, Cached]:
    """A block of so many entries."""
    return {block_key(channel, 0): block(channel, 1, count)}
