"""Simulated DynamoDB and Upstash for days of requests, which no engine could play in seconds.

They charge the units and commands of the real ones; their time is only added up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from bench.lib.timing import DYNAMODB_MS, REDIS_MS, Stopwatch
from operators import units
from shared.cache.breaker import Breaker
from shared.cache.metrics import CacheMetrics
from shared.domain.model import ChannelState, Entry, Head, Membership, Preview
from shared.observability.meter import meter
from shared.storage import items
from shared.storage.memory import MemoryStore
from shared.storage.protocol import Commit, Committed, Outcome, Reservation


class Database:
    """The Redis database of all containers: values with their expiry."""

    def __init__(self) -> None:
        self.values: dict[str, tuple[str, float]] = {}
        self.reasons: Counter[str] = Counter()
        self.most_bytes = 0
        self.moved = 0
        """Bytes of values sent and received."""

    def reset_counts(self) -> None:
        """Resets the counts, but not what is stored."""
        self.reasons, self.moved = Counter(), 0

    def run(self, now: int, command: str, arguments: tuple[Any, ...]) -> object:
        """Runs GET, SET … EX or DEL."""
        if command == "GET":
            value, until = self.values.get(arguments[0], ("", 0.0))
            found = value if now < until else None
            self.moved += len(found or "")
            return found
        if command == "SET":
            key, value, _, seconds = arguments
            self.moved += len(value)
            self.values[key] = (value, now + seconds * 1000)
            held = sum(len(key) + len(value) for key, (value, until) in self.values.items() if now < until)
            self.most_bytes = max(self.most_bytes, held)
            return "OK"
        assert command == "DEL"
        return sum(self.values.pop(key, None) is not None for key in arguments)


class SimUpstash:
    """One container's client, with the interface of ``shared.cache.upstash.Upstash``."""

    budget_seconds: float = 5.0

    def __init__(
        self, database: Database, metrics: CacheMetrics, now: Callable[[], int], stopwatch: Stopwatch
    ) -> None:
        self._database, self.metrics, self._now, self._stopwatch = database, metrics, now, stopwatch
        self.breaker = Breaker(now)

    def execute(self, reason: str, command: str, *arguments: str | int) -> Any:  # noqa: ANN401 - as the real one
        """A command's result."""
        self._database.reasons[reason] += 1
        meter().charge(redis=1)
        self._stopwatch.add(REDIS_MS)
        return self._database.run(self._now(), command, arguments)


class MeteredStore(MemoryStore):
    """A store in memory that charges the current request DynamoDB's units and time."""

    def __init__(self, stopwatch: Stopwatch) -> None:
        super().__init__()
        self._stopwatch = stopwatch

    def read_channel_state(self, channel_id: str, user_id: str, key: str | None = None) -> ChannelState:
        """See ``Log``."""
        self._charge(read=2 if key is None else 3)
        return super().read_channel_state(channel_id, user_id, key)

    def reserve(
        self, channel_id: str, count: int, preview: Preview, *, everybody: bool = False
    ) -> Reservation | Head | None:
        """See ``Log``."""
        self._charge(write=1)
        return super().reserve(channel_id, count, preview, everybody=everybody)

    def commit(self, commit: Commit) -> Outcome:
        """See ``Log``."""
        outcome = super().commit(commit)
        sizes = [units.size(items.entry_item(commit.channel_id, entry)) for entry in commit.entries]
        sizes += [0] if commit.idempotency_record is None else [0, 0]
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

    def members_queried(self) -> None:
        """Charges a Query of a channel's members."""
        self._charge(read=1)

    def heads_now(self) -> dict[str, Head]:
        """The current heads without charge, to compare responses with."""
        return self._heads

    def _charge(self, *, read: float = 0, write: float = 0) -> None:
        meter().charge(read=read, write=write, calls=1)
        self._stopwatch.add(DYNAMODB_MS)
