"""The interface of a cache tier. Memory, Redis and none pass the same contract suite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from shared.cache.blocks import Cached

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


def get_one(tier: Tier, key: str, kind: type[C]) -> C | None:
    """One value, if there is one of this type."""
    found = tier.get([key]).get(key)
    return found if isinstance(found, kind) else None
