"""Deletes a channel's expired messages that DynamoDB keeps: those from before it had a retention, or a shorter one.

They carry no time at which DynamoDB deletes them, or a later one; readers see none of them. Every step may be repeated,
so an interrupted run is simply started again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from operators.exports import UnknownError
from operators.reading import pieces, threads_up_to
from shared.domain.model import Head
from shared.storage.log_reader import DEAD_MS
from shared.storage.protocol import Expiring, Store
from shared.storage.retention import advance, with_boundary_found

ONE: Final = {
    Expiring.ENTRIES: "entry",
    Expiring.CHANGES: "change",
    Expiring.GAPS: "gap",
    Expiring.REACTIONS: "reaction",
}


@dataclass(frozen=True)
class Swept:
    """How many items were deleted, or would be, by kind, and in how many logs."""

    items: Counter[Expiring]
    logs: int

    def __str__(self) -> str:
        """In words."""
        kinds = ((self.items[kind], ONE[kind] if self.items[kind] == 1 else str(kind)) for kind in Expiring)
        found = ", ".join(f"{count} {kind}" for count, kind in kinds)
        return f"{found} in {self.logs} log{'' if self.logs == 1 else 's'}"


@dataclass(frozen=True)
class Sweeper:
    """Sweeps channels.

    Args:
        store: the storage.
        sleep: waits for a number of seconds.
        now: milliseconds since 1970.
        say: takes messages about the progress.
    """

    store: Store
    sleep: Callable[[float], None]
    now: Callable[[], int]
    say: Callable[[str], None] = lambda _: None

    def sweep(self, channel_id: str, *, dry_run: bool) -> Swept:
        """Deletes what has expired in a channel and its threads, except for what DynamoDB is about to delete by itself.

        With ``dry_run`` it only counts. Costs a read unit for each 4 KB that has expired and is stored, one for each
        expired position of the channel, to find the threads, and a write unit for each KB of each item.

        Raises:
            UnknownError: there is no such channel.
        """
        head = self.store.head(channel_id)
        if head is None:
            raise UnknownError(f"there is no channel {channel_id}")
        find = with_boundary_found if dry_run else advance
        channel = find(self.store, head, self.now(), self.sleep)
        # A root is older than its replies: while it has not expired, none of them has.
        threads = threads_up_to(self.store, channel, channel.boundary.seq)
        logs = [channel, *(find(self.store, each, self.now(), self.sleep) for each in threads)]
        logs = [log for log in logs if log.boundary.seq]
        if logs and not dry_run:
            self.say(f"waiting {DEAD_MS // 1000} s for requests to end that do not know yet what has expired")
            self.sleep(DEAD_MS / 1000)
        swept = {log.channel_id: self._sweep(log, dry_run=dry_run) for log in logs}
        return Swept(sum(swept.values(), Counter()), sum(1 for found in swept.values() if found))

    def _sweep(self, log: Head, *, dry_run: bool) -> Counter[Expiring]:
        found: Counter[Expiring] = Counter()
        for kind in Expiring:
            end = log.boundary.rev if kind is Expiring.CHANGES else log.boundary.seq
            for first, last in pieces(1, end):
                found[kind] += self.store.sweep(kind, log, first, last, self.now(), dry_run=dry_run)
        found = +found
        if found:
            self.say(f"{log.channel_id}: {Swept(found, 1)}")
        return found
