"""Planted bugs in what is remembered of pages, each wrong in one way; see ``bench.sim.planted``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from shared.cache.encoded import EncodedPage
from shared.cache.interface import Tier
from shared.cache.memory import MemoryTier
from shared.cache.values import Cached
from shared.codings import PLAIN, Accepted
from shared.services import Services
from shared.use_cases.fetch_messages import Page, Window, fetch_messages


class _Anything(tuple[int, ...]):
    """Equal to whatever it is compared with."""

    __slots__ = ()
    __hash__ = tuple.__hash__

    def __eq__(self, other: object) -> bool:
        return True


class _Careless:
    """A memory whose encoded pages are right for every head."""

    def __init__(self, memory: Tier) -> None:
        self._memory = memory

    def get(self, keys: Sequence[str]) -> dict[str, Cached]:
        found = self._memory.get(keys)
        return {
            key: replace(value, of=_Anything()) if isinstance(value, EncodedPage) else value
            for key, value in found.items()
        }

    def put(self, items: Mapping[str, Cached]) -> None:
        self._memory.put(items)


def encoded_for_any_head(
    services: Services,
    user_id: str,
    channel_id: str,
    window: Window,
    etags: frozenset[str],
    accepted: Accepted = PLAIN,
) -> Page:
    """Sends a page that was encoded before, whatever was posted since."""
    memory = cast("MemoryTier", _Careless(services.cache.memory))
    careless = replace(services, cache=replace(services.cache, memory=memory))
    return fetch_messages(careless, user_id, channel_id, window, etags, accepted)
