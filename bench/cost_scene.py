"""What ``bench.cost`` measures in: a chat as ready items, and containers that remember what they should."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Final

from bench.conversations import bodies
from bench.handlers import Ask, Handlers
from bench.metered import Stopwatch
from bench.ready_items import Item, channel_items
from bench.sim_redis import Database, SimUpstash
from shared import keys
from shared.cache.encoded import CachedLogReader
from shared.cache.metrics import CacheMetrics
from shared.cache.redis import BundlePolicy, RedisTier
from shared.clock import now_ms
from shared.log_reader import DirectLogReader
from shared.services import Services, compose
from shared.settings import Settings
from shared.store.interface import Store

USER: Final = "00000000-0000-4000-8000-000000000000"
FRIEND: Final = "00000000-0000-4000-8000-000000000001"
GUEST: Final = "00000000-0000-4000-8000-000000000002"
BUSY: Final = "00000000-0000-4000-8000-000000000050"
"""Who is in 50 channels; ``USER`` is in 8, as a user of ``bench.day``."""
FEW: Final = 8
MANY: Final = 50
KILOBYTE: Final = 930
"""Bytes of a message's JSON at least, so that a page of 50 is as large as that by which codecs are chosen."""
LENGTH: Final = 200
_NUMBERS: Final = count()
SETTINGS: Final = Settings(rate_per_second=1000, rate_burst=1000)


def channel(name: str) -> str:
    """The id of the channel of this name."""
    return keys.derived_channel_id("cost", name)


WRITTEN: Final = channel("as written")
CAUGHT_UP: Final = channel("caught up")
POSTED: Final = channel("posted")
LARGE: Final = channel("large")


def ready_items() -> Iterator[Item]:
    """Channels of messages as people wrote them, one of large messages, and those that fill the lists."""
    for channel_id in (WRITTEN, CAUGHT_UP, POSTED):
        yield from channel_items(channel_id, [USER, FRIEND], bodies(LENGTH, channel_id=channel_id))
    yield from channel_items(LARGE, [USER, FRIEND], bodies(LENGTH, (KILOBYTE,), channel_id=LARGE))
    for number in range(MANY):
        members = [BUSY, USER] if number < FEW - 4 else [BUSY]
        listed = channel(f"listed {number}")
        yield from channel_items(listed, members, bodies(1, channel_id=listed))


class Scene:
    """The functions' containers over one storage.

    Args:
        handlers: of all routes.
        store: the storage.
        stopwatch: what calls of Redis are added to.
    """

    def __init__(self, handlers: Handlers, store: Store, stopwatch: Stopwatch) -> None:
        self.handlers, self._store, self._stopwatch = handlers, store, stopwatch
        self.stored_bytes = 0
        """Of the last bundle in Redis."""

    def number(self) -> int:
        """Another one each time."""
        return next(_NUMBERS)

    def new_container(self) -> None:
        """The next request meets one that remembers nothing."""
        self.handlers.services = compose(SETTINGS, self._store)

    def new_container_by_redis(self, asked: Ask) -> None:
        """The next one remembers nothing either, but another has left in Redis what this request needs."""
        database = Database()
        self.handlers.services = before = self._over(database)
        self.handlers(asked)
        before.cache.pages.begin()
        assert isinstance(before.cache.pages, RedisTier)
        before.cache.pages.settle()
        self.stored_bytes = database.most_bytes
        assert self.stored_bytes
        self.handlers.services = self._over(database)

    def _over(self, database: Database) -> Services:
        plain = compose(SETTINGS, self._store)
        upstash = SimUpstash(database, now_ms, self._stopwatch)
        policy, metrics = BundlePolicy(worth=1, rest_ms=0), CacheMetrics()
        pages = RedisTier(upstash, "p", "pages", policy, metrics, now_ms)
        reader = CachedLogReader(DirectLogReader(self._store), plain.cache.memory, pages, metrics)
        return replace(plain, reader=reader, cache=replace(plain.cache, pages=pages))
