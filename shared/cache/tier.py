"""What a tier of the cache is. Memory, Redis and none pass the same contract suite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from shared.cache.blocks import Cached

C = TypeVar("C", bound=Cached)


class Tier(Protocol):
    """Keeps values for a while. It may lose any of them at any time, and it never raises."""

    name: str

    def begin(self) -> None:
        """A request begins: what can be done beside its first read of the storage is started."""

    def get(self, keys: Sequence[str]) -> dict[str, Cached]:
        """The values that are here. A miss is left out; an empty value is a value."""

    def origin(self, keys: Iterable[str]) -> str:
        """Where the values under these keys, which it has, are from: ``redis`` or ``memory``."""

    def put(self, items: Mapping[str, Cached]) -> None:
        """Keeps these values, in place of older ones."""


class NoTier:
    """Keeps nothing."""

    name = "none"

    def begin(self) -> None:
        """Nothing to start."""

    def get(self, keys: Sequence[str]) -> dict[str, Cached]:  # noqa: ARG002 - the interface
        """Always a miss."""
        return {}

    def origin(self, keys: Iterable[str]) -> str:  # noqa: ARG002 - the interface
        """It has none."""
        return self.name

    def put(self, items: Mapping[str, Cached]) -> None:
        """Forgets them."""


def get_one(tier: Tier, key: str, kind: type[C]) -> C | None:
    """One value, if it is here and of this kind."""
    found = tier.get([key]).get(key)
    return found if isinstance(found, kind) else None
