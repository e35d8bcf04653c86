"""The composition root: builds everything that the use cases need, once for each container."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from shared.cache.build import Cache, build_cache
from shared.cache.pages import CachedLogReader
from shared.domain.clock import SharedClock, now_ms
from shared.observability.telemetry import logger
from shared.runtime.parallel import THREADS, Background
from shared.settings import Settings, SettingsError
from shared.storage.log_reader import DirectLogReader, LogReader
from shared.storage.protocol import Store


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that a request uses."""

    settings: Settings
    store: Store
    reader: LogReader
    cache: Cache
    now: Callable[[], int] = now_ms
    sleep: Callable[[float], None] = time.sleep
    background: Background = THREADS


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
    return Services(settings, store, reader, built, now, sleep)
