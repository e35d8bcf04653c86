"""A storage that costs what DynamoDB would, for days of requests that no engine could play in seconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bench.lib.timing import DYNAMODB_MS, Stopwatch
from operators import units
from shared.meter import meter
from shared.model import Entry, Head, Look, Membership, Preview
from shared.store import items
from shared.store.interface import Commit, Committed, Outcome, Taken
from shared.store.memory import MemoryStore


class MeteredStore(MemoryStore):
    """A storage in memory that charges the request at hand what DynamoDB would: units, and time."""

    def __init__(self, stopwatch: Stopwatch) -> None:
        super().__init__()
        self._stopwatch = stopwatch

    def look(self, channel_id: str, user_id: str, key: str | None = None) -> Look:
        """See ``Log``."""
        self._charge(read=2 if key is None else 3)
        return super().look(channel_id, user_id, key)

    def take(self, channel_id: str, count: int, preview: Preview) -> Taken | Head | None:
        """See ``Log``."""
        self._charge(write=1)
        return super().take(channel_id, count, preview)

    def commit(self, commit: Commit) -> Outcome:
        """See ``Log``."""
        outcome = super().commit(commit)
        sizes = [units.size(items.entry_item(commit.channel_id, entry)) for entry in commit.entries]
        sizes += [0] if commit.receipt is None else [0, 0]
        self._charge(write=units.write_units(sizes, transaction=True))
        assert isinstance(outcome, Committed), "the benches post one at a time"
        return outcome

    def entries(self, channel_id: str, first: int, last: int) -> list[Entry]:
        """See ``Log``."""
        found = super().entries(channel_id, first, last)
        sizes = (units.size(items.entry_item(channel_id, entry)) for entry in found)
        self._charge(read=units.query_units(sizes))
        return found

    def memberships(self, user_id: str) -> list[Membership]:
        """See ``Channels``."""
        found = super().memberships(user_id)
        self._charge(read=units.query_units(units.size(items.membership_item(each)) for each in found))
        return found

    def heads(self, channel_ids: Iterable[str]) -> dict[str, Head]:
        """See ``Channels``."""
        wanted = list(channel_ids)
        self._charge(read=len(wanted))
        return super().heads(wanted)

    def membership(self, channel_id: str, user_id: str) -> Membership | None:
        """See ``Members``."""
        self._charge(read=1)
        return super().membership(channel_id, user_id)

    def fill(self, channel_id: str, entries: Mapping[int, Entry], head: Head) -> None:
        """Puts a history in place before the day begins."""
        self._entries[channel_id] = dict(entries)
        self._heads[channel_id] = head

    def members_queried(self) -> None:
        """A Query of a channel's members, for who must know them."""
        self._charge(read=1)

    def heads_now(self) -> dict[str, Head]:
        """The truth, free of charge, to hold answers against."""
        return self._heads

    def _charge(self, *, read: float = 0, write: float = 0) -> None:
        meter().charge(read=read, write=write, calls=1)
        self._stopwatch.add(DYNAMODB_MS)
