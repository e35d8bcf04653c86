"""What transactions wrote and no read sees yet: DynamoDB applies one item after the other.

A write that meets such an item waits for the transaction; that is what settles holes and replays rely on.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Final

from bench.sim.fibers import Loop
from shared.model import Entry

LONGEST_MS: Final = 60.0
"""A reader's patience with a hole is 75 ms."""


class Unseen:
    """Entries that stand, and when each is seen."""

    def __init__(self, loop: Loop, rng: Random) -> None:
        self._loop = loop
        self._rng = rng
        self._until: dict[tuple[str, int], float] = {}

    def hide(self, channel_id: str, entries: Iterable[Entry]) -> None:
        """They come to be seen in any order."""
        for entry in entries:
            self._until[channel_id, entry.seq] = self._loop.now + self._rng.uniform(0, LONGEST_MS)

    def wait_for(self, channel_id: str, seq: int) -> None:
        """Until the entry there, if there is one, is seen."""
        left = self._until.get((channel_id, seq), 0.0) - self._loop.now
        if left > 0:
            self._loop.wait(left)

    def seen(self, channel_id: str, entries: Iterable[Entry]) -> list[Entry]:
        """Those of these entries that are."""
        now = self._loop.now
        return [each for each in entries if self._until.get((channel_id, each.seq), 0.0) <= now]
