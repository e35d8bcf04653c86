"""The values of a bundle, bounded in bytes and in how long nobody used them.

What nobody uses any more is carried no further: erased text, which lies under keys that nobody asks for, is gone when
its time is up, however many containers go on writing. See ``docs/adr/0009``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping

from shared.cache.blocks import Block, Kept, Shareable


class Bundle:
    """For one thread at a time.

    Args:
        max_bytes: of all values, as they lie in this process; the least recently used go first.
        unused_seconds: that a value stays after it was last put or found.
        now: milliseconds since 1970.
    """

    def __init__(self, max_bytes: int, unused_seconds: int, now: Callable[[], int]) -> None:
        self._max_bytes = max_bytes
        self._unused_seconds = unused_seconds
        self._now = now
        self._values: OrderedDict[str, Kept] = OrderedDict()
        """What was used last is at the end."""
        self.bytes_held = 0

    def __contains__(self, key: str) -> bool:
        """Whether there is a value."""
        return key in self._values

    def find(self, keys: Iterable[str]) -> dict[str, Shareable]:
        """The values that are here, which counts as a use."""
        self.forget_unused()
        found = {key: self._values[key].value for key in keys if key in self._values}
        for key, value in found.items():
            self._values[key] = Kept(value, self._seconds())
            self._values.move_to_end(key)
        return found

    def put(self, key: str, value: Shareable) -> Shareable | None:
        """Keeps a value, in place of an older one, which it returns."""
        before = self._values.get(key)
        self._keep(key, Kept(value, self._seconds()))
        return before.value if before else None

    def merge(self, stored: Mapping[str, Kept]) -> None:
        """Adds what other containers left, as far as it is in use.

        A use that is yet to come, by a clock that is ahead or by a forger, is taken for one of now: nothing stays for
        ever by what it says of itself.
        """
        now = self._seconds()
        theirs = {key: Kept(each.value, min(each.used, now)) for key, each in stored.items()}
        theirs = {key: each for key, each in theirs.items() if self._is_in_use(each)}
        both = {key: _merged(each, theirs.get(key)) for key, each in (theirs | self._values).items()}
        for key in sorted(both, key=lambda key: both[key].used):
            self._keep(key, both[key])

    def in_use(self) -> dict[str, Kept]:
        """All of it, for other containers."""
        self.forget_unused()
        return dict(self._values)

    def forget_unused(self) -> None:
        """Drops what was not used within the time."""
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
    """The later use of both; a block with what they had of it beside, any other value as this container knows it."""
    if theirs is None:
        return mine
    value = mine.value
    if isinstance(value, Block) and isinstance(theirs.value, Block):
        value = value.joined(theirs.value)
    return Kept(value, max(mine.used, theirs.used))
