"""The composition root: builds what the use cases need, once for each container; all else is handed its parts."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

from shared import redis
from shared.clock import now_ms
from shared.log_reader import DirectLogReader, LogReader
from shared.settings import Settings
from shared.store.interface import Store


@dataclass(frozen=True, slots=True)
class Services:
    """What a request may use."""

    settings: Settings
    store: Store
    reader: LogReader
    now: Callable[[], int] = now_ms
    sleep: Callable[[float], None] = time.sleep
    redis_ping: Callable[[], None] | None = None
    """None where no Redis is set up."""


@cache
def services() -> Services:
    """The services of this container, built at the first request from the environment."""
    from shared.store.dynamodb import DynamoDBStore  # noqa: PLC0415 - loads boto3's part only where it is used
    from shared.store.dynamodb.table import dynamodb_client  # noqa: PLC0415 - as above

    settings = Settings.from_env(os.environ)
    store = DynamoDBStore(dynamodb_client(settings), settings.table_name)
    redis_ping = partial(redis.ping, settings) if settings.upstash_url else None
    return Services(settings, store, DirectLogReader(store), redis_ping=redis_ping)
