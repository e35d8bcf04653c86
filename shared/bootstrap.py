"""The composition root: builds everything that the use cases need, once for each container."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Self

from shared.cache.build import Cache, build_cache
from shared.cache.pages import CachedLogReader
from shared.cache.stale_fallback import StaleFallback
from shared.cache.tier import MemoryTier, Tier
from shared.cache.upstash import Upstash
from shared.domain.clock import SharedClock, now_ms
from shared.domain.errors import BudgieError, MisconfiguredError
from shared.observability.meter import CacheMetrics
from shared.observability.telemetry import logger
from shared.runtime.parallel import THREADS, Background
from shared.settings import Settings, SettingsError
from shared.storage.log_reader import DirectLogReader, LogReader
from shared.storage.protocol import Store

if TYPE_CHECKING:
    from shared.aws.sender import Sender


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that a request may use, all by name (``docs/adr/0020``); ``upstash`` is None without Redis."""

    settings: Settings
    store: Store
    reader: LogReader
    memory: MemoryTier
    pages: Tier
    lists: Tier
    stale_fallback: StaleFallback
    metrics: CacheMetrics
    upstash: Upstash | None
    now: Callable[[], int]
    sleep: Callable[[float], None]
    background: Background

    @classmethod
    def of(
        cls,
        settings: Settings,
        store: Store,
        reader: LogReader,
        cache: Cache,
        now: Callable[[], int] = now_ms,
        sleep: Callable[[float], None] = time.sleep,
        background: Background = THREADS,
    ) -> Self:
        """Services with the parts of a cache."""
        return cls(
            settings,
            store,
            reader,
            memory=cache.memory,
            pages=cache.pages,
            lists=cache.lists,
            stale_fallback=cache.stale_fallback,
            metrics=cache.metrics,
            upstash=cache.upstash,
            now=now,
            sleep=sleep,
            background=background,
        )

    @property
    def bytes_held(self) -> int:
        """Bytes of all that the cache holds in this process."""
        return self.memory.bytes_held + self.stale_fallback.bytes_held


@cache
def services() -> Services:
    """This container's services, built from the environment at the first call."""
    from shared.aws.connect import dynamodb_client  # noqa: PLC0415 - loaded only if DynamoDB is used
    from shared.storage.dynamodb import DynamoDBStore  # noqa: PLC0415 - as above

    try:
        settings = Settings.from_env(os.environ)
        client = dynamodb_client(settings)
    except SettingsError as error:
        # Every request fails until it is corrected; clients only see that the service is misconfigured.
        logger().error("settings", detail=str(error))
        raise
    logger().setLevel(settings.log_level)
    clock = SharedClock()
    store = DynamoDBStore(client, settings.table_name, on_server_date=clock.on_server_date)
    if not settings.upstash_url:
        logger().info("cache", redis="off", tiers=["memory"])
    return compose(settings, store, clock.now, own=now_ms)


def known_error(error: Exception) -> BudgieError | None:
    """The error that the client gets; None if the error is unexpected."""
    if isinstance(error, SettingsError):  # ``services`` has logged the details, which are not for clients.
        return MisconfiguredError()
    return error if isinstance(error, BudgieError) else None


@cache
def sender() -> Sender:
    """Sends frames to this deployment's connections; built at the first call, only where realtime is on.

    Raises:
        SettingsError: ``REALTIME_URL`` is empty or invalid.
    """
    from shared.aws.connect import frame_sender  # noqa: PLC0415 - loaded only if frames are sent

    return frame_sender(services().settings.realtime_url)


def compose(
    settings: Settings,
    store: Store,
    now: Callable[[], int] = now_ms,
    sleep: Callable[[float], None] = time.sleep,
    own: Callable[[], int] | None = None,
) -> Services:
    """Builds services over a storage, with the cache in front of it.

    Args:
        settings: the settings.
        store: the storage.
        now: milliseconds since 1970 by the clock that all containers share.
        sleep: waits for a number of seconds.
        own: milliseconds since 1970 by the cache's clock, which is never corrected; ``now`` if None.
    """
    built = build_cache(settings, own or now)
    reader = CachedLogReader(DirectLogReader(store, sleep, now), built.memory, built.pages, built.metrics)
    return Services.of(settings, store, reader, built, now, sleep)
