"""The values of a bundle, limited in bytes and in the time since their last use.

Unused values are not written again. So redacted text, whose keys are never requested any more, disappears after that
time, no matter how many containers write bundles. See ``docs/adr/0009``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping

from shared.cache.blocks import Block, Kept, Shareable


class Bundle:
    """The values of one bundle. Not thread-safe.

    Args:
        max_bytes: limit of all values' bytes in this process; the least recently used are dropped first.
        unused_seconds: how long a value stays after its last use (put or found).
        now: milliseconds since 1970.
    """

    def __init__(self, max_bytes: int, unused_seconds: int, now: Callable[[], int]) -> None:
        self._max_bytes = max_bytes
        self._unused_seconds = unused_seconds
        self._now = now
        self._values: OrderedDict[str, Kept] = OrderedDict()
        """In order of last use, the latest at the end."""
        self.bytes_held = 0

    def __contains__(self, key: str) -> bool:
        """Whether the key has a value."""
        return key in self._values

    def find(self, keys: Iterable[str]) -> dict[str, Shareable]:
        """The values of these keys, missing ones left out; counts as a use."""
        self.forget_unused()
        found = {key: self._values[key].value for key in keys if key in self._values}
        for key, value in found.items():
            self._values[key] = Kept(value, self._seconds())
            self._values.move_to_end(key)
        return found

    def put(self, key: str, value: Shareable) -> Shareable | None:
        """Stores a value and returns the one that it replaces."""
        before = self._values.get(key)
        self._keep(key, Kept(value, self._seconds()))
        return before.value if before else None

    def merge(self, stored: Mapping[str, Kept]) -> None:
        """Adds the values of other containers that are still in use.

        A time of use in the future (a fast clock, or a forgery) counts as now, so that no value can stay for ever.
        """
        now = self._seconds()
        theirs = {key: Kept(each.value, min(each.used, now)) for key, each in stored.items()}
        theirs = {key: each for key, each in theirs.items() if self._is_in_use(each)}
        both = {key: _merged(each, theirs.get(key)) for key, each in (theirs | self._values).items()}
        for key in sorted(both, key=lambda key: both[key].used):
            self._keep(key, both[key])

    def in_use(self) -> dict[str, Kept]:
        """All values in use, to be written for other containers."""
        self.forget_unused()
        return dict(self._values)

    def forget_unused(self) -> None:
        """Drops values that were not used for ``unused_seconds``."""
        while self._values and not self._is_in_use(next(iter(self._values.values()))):
            self._drop_oldest()

    def _is_in_use(self, kept: Kept) -> bool:
        return self._seconds() - kept.used < self._unused_seconds

    def _seconds(self) -> int:
        return self._now() // 1000

    def _keep(self, key: str, kept: Kept) -> None:
        if before := self._values.pop(key, None):
            self.bytes_held -= before.value.size
        if kept.value.size > self._max_bytes:
            return
        self._values[key] = kept
        self.bytes_held += kept.value.size
        while self.bytes_held > self._max_bytes:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        _, dropped = self._values.popitem(last=False)
        self.bytes_held -= dropped.value.size


def _merged(mine: Kept, theirs: Kept | None) -> Kept:
    """Combines two values of a key: the later use, blocks joined, of other values this container's."""
    if theirs is None:
        return mine
    value = mine.value
    if isinstance(value, Block) and isinstance(theirs.value, Block):
        value = value.joined(theirs.value)
    return Kept(value, max(mine.used, theirs.used))
