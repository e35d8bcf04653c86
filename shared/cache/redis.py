"""The tier in Redis: one bundle of values under one key, read once in a container's life and written occasionally.

A command costs more than reading a page of ordinary messages from DynamoDB, so values do not have their own keys: a
starting container reads everything with one ``GET``, and writes its bundle with a ``SET`` when enough is new.
Containers overwrite each other's bundles. That costs reads but never loses messages, as nothing is served from a bundle
unless DynamoDB has confirmed it. See ``docs/adr/0005``.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from shared.cache.blocks import Cached, Kept, Shareable, UnreadableError
from shared.cache.breaker import Breaker
from shared.cache.bundle import Bundle
from shared.cache.codec import pack, unpack
from shared.cache.upstash import RedisError
from shared.observability.meter import CacheMetrics, meter
from shared.runtime.parallel import THREADS, Background, Task

JITTER: Final = 0.1
"""Expiries vary by up to a tenth, so that they do not coincide."""
SEEN_MS: Final = 3_600_000
"""If a container last read or wrote the bundle longer ago, it reads it again before overwriting it."""
MAX_INTERVAL_MS: Final = 86_400_000
"""The longest time between two writes; refused writes double the interval up to this."""


@dataclass(frozen=True, slots=True)
class BundlePolicy:
    """When a bundle is written, and how large it may be. ``bench.cache`` found these times best."""

    keep_seconds: int = 86_400
    """How long Redis keeps a bundle after it was written."""
    max_bytes: int = 1_000_000
    """Limit of the values before compression; the least recently used are dropped."""
    min_new_entries: int = 200
    """The number of entries missing in Redis from which a ``SET`` is worth a command at once."""
    max_delay_ms: int = 300_000
    """After this time a ``SET`` is worth it for any missing entry."""
    min_interval_ms: int = 600_000
    """The shortest time between two writes of one container."""
    codec: str = "zstd"
    unused_factor: int = 1
    """A value that was not used for ``keep_seconds`` times this is not written any more."""

    @property
    def unused_seconds(self) -> int:
        """How long a value stays after its last use."""
        return self.keep_seconds * self.unused_factor


class Commands(Protocol):
    """A client of one database: ``Upstash``, or a simulated one."""

    breaker: Breaker

    @property
    def budget_seconds(self) -> float:
        """The longest time that a request waits for a command."""

    def execute(self, reason: str, command: str, *arguments: str | int) -> Any:  # noqa: ANN401 - any result of Redis
        """Runs one command and returns its result; raises ``RedisError``."""


class RedisTier:
    """See ``Tier``. Commands run in the background, in parallel with the request's first read of the storage.

    Args:
        upstash: the database.
        key: the bundle's key.
        reason: its commands are counted as ``get_<reason>`` and ``put_<reason>``.
        policy: when to write.
        metrics: counts bytes and unreadable bundles.
        now: milliseconds since 1970.
        background: runs the commands.
    """

    name = "redis"

    def __init__(
        self,
        upstash: Commands,
        key: str,
        reason: str,
        policy: BundlePolicy,
        metrics: CacheMetrics,
        now: Callable[[], int],
        background: Background = THREADS,
    ) -> None:
        self._upstash = upstash
        self._key = key
        self._reason = reason
        self._policy = policy
        self._metrics = metrics
        self._now = now
        self._background = background
        self._lock = threading.RLock()
        self._bundle = Bundle(policy.max_bytes, policy.unused_seconds, now)
        self._lacking: dict[str, int] = {}
        """For each value, how many of its entries are missing in Redis."""
        self._lacking_since: int | None = None
        self._next_write_at = 0
        self._interval_ms = policy.min_interval_ms
        self._loaded = False
        self._seen_at = 0
        """When this container last read or wrote the bundle in Redis."""
        self._inherited: set[str] = set()
        """Keys of values that came from Redis unchanged."""
        self._task: Task | None = None
        self._first: Task | None = None
        self._first_ends = 0.0
        """When requests stop waiting for the first load; they do not wait for later ones, after a failure."""

    def begin(self) -> None:
        """Starts to read the bundle if it was not read yet, or to write it if that is due."""
        if self._upstash.breaker.state != "closed":
            meter().breaker = self._upstash.breaker.cause
        with self._lock:
            self._forget_unused()
            if self._is_busy():
                return
            if not self._loaded:
                self._start(self._load)
            elif self._is_due():
                self._start(self._save)

    def get(self, keys: Sequence[str]) -> dict[str, Cached]:
        """The bundle's values; waits for a container's first load, within the budget."""
        self._wait_for_first()
        with self._lock:
            return dict(self._bundle.find(keys))

    def origin(self, keys: Iterable[str]) -> str:
        """See ``Tier``; values that this container put here itself count as ``memory``."""
        return self.name if not self._inherited.isdisjoint(keys) else "memory"

    def put(self, items: Mapping[str, Cached]) -> None:
        """Adds values to the bundle; the policy decides when it is written."""
        with self._lock:
            for key, value in items.items():
                if not isinstance(value, Shareable):
                    continue
                before = self._bundle.put(key, value)
                self._inherited.discard(key)
                lacking = value.weight - (before.weight if before else 0)
                self._lacking[key] = self._lacking.get(key, 0) + max(lacking, 0)
            self._lacking = {key: lacking for key, lacking in self._lacking.items() if key in self._bundle}
            if self._lacking and self._lacking_since is None:
                self._lacking_since = self._now()

    def settle(self) -> None:
        """Waits for the running command; for tests and benchmarks."""
        if self._task is not None:
            self._task.join()

    def _is_due(self) -> bool:
        if not self._lacking or self._lacking_since is None or self._now() < self._next_write_at:
            return False
        is_overdue = self._now() - self._lacking_since >= self._policy.max_delay_ms
        return is_overdue or sum(self._lacking.values()) >= self._policy.min_new_entries

    def _forget_unused(self) -> None:
        """Drops unused values; a bundle without new values is not written."""
        self._bundle.forget_unused()
        self._lacking = {key: lacking for key, lacking in self._lacking.items() if key in self._bundle}

    def _load(self) -> None:
        try:
            stored = self._stored()
        except RedisError:
            return
        except Exception:  # noqa: BLE001 - an unreadable bundle is a miss; reading it again would not help
            self._metrics.count("unreadable")
            stored = {}
        with self._lock:
            self._loaded, self._seen_at = True, self._now()
            self._inherited |= {key for key in stored if key not in self._bundle}
            self._bundle.merge(stored)
            self._inherited = {key for key in self._inherited if key in self._bundle}

    def _stored(self) -> dict[str, Kept]:
        try:
            text = self._upstash.execute(f"get_{self._reason}", "GET", self._key)
        except RedisError as error:
            if error.kind == "wrong_type":
                raise UnreadableError from error
            raise
        meter().ledger.stored(self._key, len(text) if isinstance(text, str) else 0)
        return {} if text is None else unpack(text)

    def _save(self) -> None:
        if self._is_out_of_date():
            self._load()
            if self._is_out_of_date():
                return
        with self._lock:
            values, lacking = self._bundle.in_use(), self._lacking
            self._lacking, self._lacking_since = {}, None
            self._next_write_at = self._now() + self._interval_ms
        text = pack(values, self._policy.codec)
        spread = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads expiries, keeps no secret
        expiry = round(self._policy.keep_seconds * spread)
        try:
            self._upstash.execute(f"put_{self._reason}", "SET", self._key, text, "EX", expiry)
        except RedisError:
            with self._lock:
                self._lacking = lacking | self._lacking
                self._lacking_since = self._lacking_since or self._now()
                # A bundle is written as a whole: refused once, for its size or missing rights, it will be again.
                self._interval_ms = min(2 * self._interval_ms, MAX_INTERVAL_MS)
            return
        with self._lock:
            self._interval_ms, self._seen_at = self._policy.min_interval_ms, self._now()
            self._next_write_at = self._now() + self._interval_ms
        meter().ledger.stored(self._key, len(text))
        self._metrics.count("bytes_raw", sum(each.value.size for each in values.values()))
        self._metrics.count("bytes_stored", len(text))

    def _is_out_of_date(self) -> bool:
        return self._now() - self._seen_at > SEEN_MS

    def _start(self, work: Callable[[], None]) -> None:
        if self._upstash.breaker.state == "open":
            return
        begun = self._background.clock()
        self._task = self._background.start(work)
        if self._first is None:
            self._first, self._first_ends = self._task, begun + self._upstash.budget_seconds

    def _is_busy(self) -> bool:
        return self._task is not None and self._task.is_alive()

    def _wait_for_first(self) -> None:
        left = self._first_ends - self._background.clock()
        if self._first is not None and left > 0:
            self._first.join(left)
