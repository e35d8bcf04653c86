"""The other way to share blocks through Redis, to compare: a key for each, one ``MGET`` a miss, a ``SET`` when it lags.

The same vouching, the same blocks; only what is asked of Redis differs. See ``docs/adr/0005``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from bench.lib.simulated import SimUpstash
from shared.cache.blocks import Cached, Kept, Shareable, UnreadableError
from shared.cache.codec import pack, unpack
from shared.cache.upstash import RedisError

LAG: Final = 10
"""Entries that Redis must lack of a block for a SET."""
KEEP_SECONDS: Final = 86_400


class PerKeyTier:
    """See ``shared.cache.tier.Tier``."""

    name = "redis"

    def __init__(self, upstash: SimUpstash, reason: str) -> None:
        self._upstash = upstash
        self._reason = reason
        self._weights: dict[str, int] = {}
        """What Redis is known to hold of each value, in entries."""

    def begin(self) -> None:
        """Nothing to start: which keys are needed is known after the look."""

    def settle(self) -> None:
        """Nothing is under way."""

    def origin(self, keys: Iterable[str]) -> str:  # noqa: ARG002 - the interface
        """It keeps nothing itself."""
        return self.name

    def get(self, keys: Sequence[str]) -> dict[str, Cached]:
        """One command, however many keys."""
        try:
            texts = self._upstash.execute(f"get_{self._reason}", "MGET", *keys)
        except RedisError:
            return {}
        found: dict[str, Cached] = {}
        for key, text in zip(keys, texts, strict=True):
            if text is not None:
                found |= self._read(key, text)
        return found

    def put(self, items: Mapping[str, Cached]) -> None:
        """A command for each value that Redis lacks enough of."""
        for key, value in items.items():
            if isinstance(value, Shareable) and value.weight - self._weights.get(key, 0) >= LAG:
                self._put(key, value)

    def _read(self, key: str, text: str) -> dict[str, Shareable]:
        try:
            found = {key: kept.value for key, kept in unpack(text).items()}
        except UnreadableError:
            return {}
        self._weights[key] = found[key].weight
        return found

    def _put(self, key: str, value: Shareable) -> None:
        try:
            self._upstash.execute(
                f"put_{self._reason}", "SET", key, pack({key: Kept(value, 0)}), "EX", KEEP_SECONDS
            )
        except RedisError:
            return
        self._weights[key] = value.weight
