"""The cache of one container, put together from the settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from shared.aws.parameters import parameter_reader
from shared.cache.encryption import SealedUpstash
from shared.cache.memory import MemoryTier
from shared.cache.metrics import CacheMetrics
from shared.cache.redis import BundlePolicy, RedisTier
from shared.cache.stale_fallback import StaleFallback
from shared.cache.tier import NoTier, Tier
from shared.cache.upstash import Upstash, UpstashOptions
from shared.settings import Settings

STALE_FALLBACK_PART: Final = 8
"""One part in so many: each caller's heads and memberships are needed for minutes, and must not push pages out."""
LISTS_UNUSED: Final = 2
"""People come back after more than a day, and a list has no text in it, so unused lists stay for two. With one, by
``bench.cache``, 1 to 2 % more of all reads miss, and a tenth more commands are sent to leave what was learned again."""


@dataclass(frozen=True, slots=True)
class Cache:
    """The tiers and what belongs to them; ``upstash`` None where no Redis is set up."""

    memory: MemoryTier
    pages: Tier
    lists: Tier
    stale_fallback: StaleFallback
    metrics: CacheMetrics
    upstash: Upstash | None


def memory_tiers(settings: Settings, now: Callable[[], int]) -> tuple[MemoryTier, MemoryTier]:
    """The memory for blocks and lists, and the smaller one for what may stand in when DynamoDB does not answer."""
    stale_fallback = settings.cache_memory_bytes // STALE_FALLBACK_PART
    fresh_seconds = max(settings.cache_ttl_messages, settings.cache_ttl_channels)
    return (
        MemoryTier(settings.cache_memory_bytes - stale_fallback, settings.cache_keep_seconds, now),
        MemoryTier(stale_fallback, fresh_seconds, now),
    )


def bundle_policies(settings: Settings) -> tuple[BundlePolicy, BundlePolicy]:
    """When the bundles of blocks and of lists are written, and what they hold."""
    blocks = BundlePolicy(keep_seconds=settings.cache_keep_seconds, codec=settings.cache_codec)
    return blocks, replace(blocks, unused_factor=LISTS_UNUSED)


def pages_key(settings: Settings) -> str:
    """The key of the bundle of blocks in Redis."""
    return f"{settings.table_name}:p1"


def build_cache(settings: Settings, now: Callable[[], int]) -> Cache:
    """Memory, and Redis where it is set up."""
    metrics = CacheMetrics()
    memory, stale_memory = memory_tiers(settings, now)
    stale_fallback = StaleFallback(
        stale_memory, settings.cache_ttl_messages, settings.cache_ttl_channels, now
    )
    if not settings.upstash_url:
        return Cache(memory, NoTier(), NoTier(), stale_fallback, metrics, None)
    options = UpstashOptions(
        settings.upstash_url,
        settings.upstash_token,
        settings.redis_connect_timeout_ms,
        settings.redis_read_timeout_ms,
        settings.redis_wait_ms,
        settings.redis_breaker_failures,
        settings.redis_breaker_open_ms,
        read_token=parameter_reader(settings.upstash_token_parameter),
    )
    upstash = Upstash(options, metrics, now)
    for_blocks, for_lists = bundle_policies(settings)
    commands = _sealed(upstash, settings, now) if settings.encrypts_cache else upstash
    # The table's name is in the key: a table restored under a new name gives out positions anew.
    pages = RedisTier(commands, pages_key(settings), "pages", for_blocks, metrics, now)
    lists = RedisTier(commands, f"{settings.table_name}:u1", "channels", for_lists, metrics, now)
    return Cache(memory, pages, lists, stale_fallback, metrics, upstash)


def _sealed(upstash: Upstash, settings: Settings, now: Callable[[], int]) -> SealedUpstash:
    given = settings.cache_encryption_key
    read = parameter_reader(settings.cache_encryption_key_parameter)
    return SealedUpstash(upstash, (lambda: given) if given else read, now)
