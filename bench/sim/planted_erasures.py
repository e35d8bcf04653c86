"""Planted bugs around erasures: each would show again what was erased."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from operators.erase_user import Erased, Eraser
from operators.reading import channels_of, standing_of
from shared.cache.encoded import CachedLogReader
from shared.messages import redacted
from shared.use_cases.fetch_messages import Page, Window, fetch_messages

if TYPE_CHECKING:
    from shared.cache.interface import Tier
    from shared.cache.metrics import CacheMetrics
    from shared.cache.values import Cached
    from shared.log_reader import LogReader
    from shared.model import Head
    from shared.services import Services


class _Unnumbered:
    """A tier whose keys do not say how often messages had been redacted."""

    def __init__(self, tier: Tier) -> None:
        self._tier = tier
        self.name = tier.name

    def begin(self) -> None:
        self._tier.begin()

    def get(self, keys: Sequence[str]) -> dict[str, Cached]:
        found = self._tier.get([_unnumbered(key) for key in keys])
        return {key: found[_unnumbered(key)] for key in keys if _unnumbered(key) in found}

    def origin(self, keys: Iterable[str]) -> str:
        return self._tier.origin([_unnumbered(key) for key in keys])

    def put(self, items: Mapping[str, Cached]) -> None:
        self._tier.put({_unnumbered(key): value for key, value in items.items()})


def _unnumbered(key: str) -> str:
    return ".".join(key.split(".")[:2])


class MemoryUnnumbered(CachedLogReader):
    """Finds blocks in memory whatever was redacted since."""

    def __init__(self, direct: LogReader, memory: Tier, shared: Tier, metrics: CacheMetrics) -> None:
        super().__init__(direct, _Unnumbered(memory), shared, metrics)


class RedisUnnumbered(CachedLogReader):
    """Finds blocks in Redis' bundle whatever was redacted since."""

    def __init__(self, direct: LogReader, memory: Tier, shared: Tier, metrics: CacheMetrics) -> None:
        super().__init__(direct, memory, _Unnumbered(shared), metrics)


class CountsFirst(Eraser):
    """Raises the number before the messages are redacted."""

    def redact(self, user_id: str, channel_id: str) -> int:
        """In the wrong order."""
        head = self.store.count_erasure(channel_id, user_id)
        standing = list(standing_of(self.store, channel_id, user_id))
        for entry in standing:
            self.store.redact(channel_id, entry.seq, redacted(entry.body or b""))
        self._mend_preview(head and self.store.head(channel_id), user_id)
        return len(standing)


class CountsNothing(Eraser):
    """Redacts, and says so to nobody."""

    def redact(self, user_id: str, channel_id: str) -> int:
        """Without raising the number."""
        standing = list(standing_of(self.store, channel_id, user_id))
        for entry in standing:
            self.store.redact(channel_id, entry.seq, redacted(entry.body or b""))
        self._mend_preview(self.store.head(channel_id), user_id)
        return len(standing)


class RedactsBeforeLeaving(Eraser):
    """Ends the memberships when the messages are redacted: some come after."""

    def erase(self, user_id: str) -> Erased:
        """In the wrong order."""
        channels = channels_of(self.store, user_id)
        messages = sum(self.redact(user_id, channel_id) for channel_id in channels)
        self.leave(user_id)
        self.sleep(self.stand_in_seconds)
        return Erased(len(channels), messages, returned=False)


class LeavesPreviews(Eraser):
    """Forgets that the list of channels shows text too."""

    def _mend_preview(self, head: Head | None, user_id: str) -> None:
        """Nothing."""


class AcknowledgesEarly(Eraser):
    """Does not wait until what may stand in is too old."""

    def erase(self, user_id: str) -> Erased:
        """At once."""
        return Eraser.erase(replace(self, stand_in_seconds=0), user_id)


def etag_unnumbered(
    services: Services, user_id: str, channel_id: str, window: Window, etags: frozenset[str]
) -> Page:
    """Names a page by its positions alone."""
    head = services.store.head(channel_id)
    number = f"-{head.erasures}" if head and head.erasures else ""
    named = frozenset(each.replace('W/"1.', f'W/"1{number}.') for each in etags)
    page = fetch_messages(services, user_id, channel_id, window, named)
    return replace(page, etag=page.etag.replace(f'W/"1{number}.', 'W/"1.'))
