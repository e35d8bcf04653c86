"""Builds a container's cache from the settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from shared.aws.parameters import parameter_reader
from shared.cache.encryption import EncryptedUpstash
from shared.cache.redis import BundlePolicy, RedisTier
from shared.cache.stale_fallback import StaleFallback
from shared.cache.tier import MemoryTier, NoTier, Tier
from shared.cache.upstash import Upstash, UpstashOptions
from shared.observability.meter import CacheMetrics
from shared.settings import Settings

STALE_FALLBACK_PART: Final = 8
"""The stale fallback gets 1/8 of the memory: it is needed for minutes only, and must not evict pages."""
LISTS_UNUSED: Final = 2
"""Unused lists stay for two days, as they contain no text and users return after more than a day. With one day,
``bench.cache`` shows 1 to 2 % more misses of all reads, and a tenth more commands to write relearned lists."""


@dataclass(frozen=True, slots=True)
class Cache:
    """The tiers and their parts; ``upstash`` is None if no Redis is configured."""

    memory: MemoryTier
    pages: Tier
    lists: Tier
    stale_fallback: StaleFallback
    metrics: CacheMetrics
    upstash: Upstash | None


def memory_tiers(settings: Settings, now: Callable[[], int]) -> tuple[MemoryTier, MemoryTier]:
    """The memory for blocks and lists, and the smaller one for the stale fallback."""
    stale_fallback = settings.cache_memory_bytes // STALE_FALLBACK_PART
    fresh_seconds = max(settings.cache_ttl_messages, settings.cache_ttl_channels)
    return (
        MemoryTier(settings.cache_memory_bytes - stale_fallback, settings.cache_keep_seconds, now),
        MemoryTier(stale_fallback, fresh_seconds, now),
    )


def bundle_policies(settings: Settings) -> tuple[BundlePolicy, BundlePolicy]:
    """The policies of the bundles of blocks and of lists."""
    blocks = BundlePolicy(keep_seconds=settings.cache_keep_seconds, codec=settings.cache_codec)
    return blocks, replace(blocks, unused_factor=LISTS_UNUSED)


def pages_key(settings: Settings) -> str:
    """The key of the bundle of blocks in Redis."""
    return f"{settings.table_name}:p1"


def build_cache(settings: Settings, now: Callable[[], int]) -> Cache:
    """Memory, and Redis if it is configured."""
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
    commands = _encrypted(upstash, settings, now) if settings.encrypts_cache else upstash
    # The key contains the table's name: a table restored under a new name assigns the same positions again.
    pages = RedisTier(commands, pages_key(settings), "pages", for_blocks, metrics, now)
    lists = RedisTier(commands, f"{settings.table_name}:u1", "channels", for_lists, metrics, now)
    return Cache(memory, pages, lists, stale_fallback, metrics, upstash)


def _encrypted(upstash: Upstash, settings: Settings, now: Callable[[], int]) -> EncryptedUpstash:
    given = settings.cache_encryption_key
    read = parameter_reader(settings.cache_encryption_key_parameter)
    return EncryptedUpstash(upstash, (lambda: given) if given else read, now)
