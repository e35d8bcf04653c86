"""The interface of a cache tier, the tier in this process, and none. All, and Redis, pass the same contract suite."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol, TypeVar

from shared.cache.blocks import Cached

KEY_BYTES: Final = 250
"""The bytes of a key of some 35 characters, its place in an ordered dictionary and its expiry (tests/shared/cache)."""
C = TypeVar("C", bound=Cached)


class Tier(Protocol):
    """Keeps values for a while. It may lose any value at any time, and never raises."""

    name: str

    def begin(self) -> None:
        """Called when a request begins: starts what can run in parallel with its first read of the storage."""

    def get(self, keys: Sequence[str]) -> dict[str, Cached]:
        """The values of these keys; misses are left out."""

    def origin(self, keys: Iterable[str]) -> str:
        """The origin of the values under these keys, which it must have: ``redis`` or ``memory``."""

    def put(self, items: Mapping[str, Cached]) -> None:
        """Stores these values, replacing older ones."""


def get_one(tier: Tier, key: str, kind: type[C]) -> C | None:
    """One value, if there is one of this type."""
    found = tier.get([key]).get(key)
    return found if isinstance(found, kind) else None


class MemoryTier:
    """In this process: limited in bytes; the least recently used values are dropped first. Thread-safe.

    Args:
        max_bytes: limit of the bytes of all values with their keys.
        keep_seconds: how long a value is kept.
        now: milliseconds since 1970.
    """

    name = "memory"

    def __init__(self, max_bytes: int, keep_seconds: float, now: Callable[[], int]) -> None:
        self._max_bytes = max_bytes
        self._keep_ms = keep_seconds * 1000
        self._now = now
        self._values: OrderedDict[str, tuple[Cached, float]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    @property
    def bytes_held(self) -> int:
        """The bytes of all values with their keys."""
        return self._bytes

    def __len__(self) -> int:
        """How many values are kept."""
        return len(self._values)

    def begin(self) -> None:
        """Nothing to start."""

    def get(self, keys: Sequence[str]) -> dict[str, Cached]:
        """See ``Tier``."""
        found: dict[str, Cached] = {}
        now = self._now()
        with self._lock:
            for key in keys:
                value, until = self._values.get(key, (None, 0.0))
                if value is None:
                    continue
                if until < now:
                    self._drop(key)
                    continue
                self._values.move_to_end(key)
                found[key] = value
        return found

    def origin(self, keys: Iterable[str]) -> str:  # noqa: ARG002 - the interface
        """See ``Tier``."""
        return self.name

    def put(self, items: Mapping[str, Cached]) -> None:
        """See ``Tier``. A value larger than the whole limit is not kept."""
        now = self._now()
        until = now + self._keep_ms
        with self._lock:
            self._drop_expired(now)
            for key, value in items.items():
                if key in self._values:
                    self._drop(key)
                if value.size + KEY_BYTES > self._max_bytes:
                    continue
                self._values[key] = (value, until)
                self._bytes += value.size + KEY_BYTES
            while self._bytes > self._max_bytes:
                self._drop(next(iter(self._values)))

    def forget(self, key: str) -> None:
        """Drops a value, if there is one."""
        with self._lock:
            if key in self._values:
                self._drop(key)

    def _drop_expired(self, now: int) -> None:
        """Drops expired values, so that values that are never requested (redacted text among them) do not stay."""
        while self._values and next(iter(self._values.values()))[1] < now:
            self._drop(next(iter(self._values)))

    def _drop(self, key: str) -> None:
        value, _ = self._values.pop(key)
        self._bytes -= value.size + KEY_BYTES


class NoTier:
    """Keeps nothing."""

    name = "none"

    def begin(self) -> None:
        """Nothing to start."""

    def get(self, keys: Sequence[str]) -> dict[str, Cached]:  # noqa: ARG002 - the interface
        """Always a miss."""
        return {}

    def origin(self, keys: Iterable[str]) -> str:  # noqa: ARG002 - the interface
        """Its own name, as it has no values."""
        return self.name

    def put(self, items: Mapping[str, Cached]) -> None:
        """Does nothing."""
