"""DynamoDB and Upstash as days of requests see them, which no engine could play in seconds.

They cost what the real ones do, units and billed commands, and take time that is only added up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from bench.lib.timing import DYNAMODB_MS, REDIS_MS, Stopwatch
from operators import units
from shared.cache.breaker import Breaker
from shared.cache.metrics import CacheMetrics
from shared.cache.upstash import RedisError
from shared.domain.model import ChannelState, Entry, Head, Membership, Preview
from shared.observability.meter import meter
from shared.storage import items
from shared.storage.memory import MemoryStore
from shared.storage.protocol import Commit, Committed, Outcome, Reservation

TIMEOUT_MS: Final = 300.0


class Database:
    """What all containers share: values with their expiry, and when it cannot be reached."""

    def __init__(self, outages: list[tuple[int, int]] | None = None) -> None:
        self.values: dict[str, tuple[str, float]] = {}
        self.outages = outages or []
        self.commands = 0
        self.reasons: dict[str, int] = {}
        self.most_bytes = 0
        self.moved = 0
        """Bytes that values took on the wire, either way."""

    def reset_counts(self) -> None:
        """Counts from here on; what is stored stays."""
        self.commands, self.reasons, self.moved = 0, {}, 0

    def is_down(self, now: int) -> bool:
        """Whether it cannot be reached at this time."""
        return any(start <= now < end for start, end in self.outages)

    def run(self, now: int, command: str, arguments: tuple[Any, ...]) -> object:
        """GET, MGET, SET … EX, DEL."""
        response = self._run(now, command, arguments)
        value = arguments[1] if command == "SET" else response
        self.moved += len(value) if isinstance(value, str) else 0
        return response

    def _run(self, now: int, command: str, arguments: tuple[Any, ...]) -> object:
        if command == "MGET":
            return [self._get(now, key) for key in arguments]
        if command == "GET":
            return self._get(now, arguments[0])
        if command == "SET":
            key, value, _, seconds = arguments
            self.values[key] = (value, now + seconds * 1000)
            held = sum(len(key) + len(value) for key, (value, until) in self.values.items() if now < until)
            self.most_bytes = max(self.most_bytes, held)
            return "OK"
        assert command == "DEL"
        return sum(self.values.pop(key, None) is not None for key in arguments)

    def _get(self, now: int, key: str) -> str | None:
        value, until = self.values.get(key, (None, 0.0))
        return value if now < until else None


class SimUpstash:
    """One container's client, with the breaker and the interface of ``shared.cache.upstash.Upstash``."""

    budget_seconds: float = 5.0

    def __init__(self, database: Database, now: Callable[[], int], stopwatch: Stopwatch) -> None:
        self._database = database
        self._now = now
        self._stopwatch = stopwatch
        self.metrics = CacheMetrics()
        self.breaker = Breaker(now)

    def execute(self, reason: str, command: str, *arguments: str | int) -> Any:  # noqa: ANN401 - as the real one
        """One command's result; a time-out while the database is down."""
        if not self.breaker.allows():
            raise RedisError("breaker_open")
        self._database.commands += 1
        self._database.reasons[reason] = self._database.reasons.get(reason, 0) + 1
        meter().charge(redis=1)
        if self._database.is_down(self._now()):
            self._stopwatch.add(TIMEOUT_MS)
            self.breaker.failed()
            raise RedisError("timeout")
        self._stopwatch.add(REDIS_MS)
        self.breaker.succeeded()
        return self._database.run(self._now(), command, arguments)


class MeteredStore(MemoryStore):
    """A storage in memory that charges the request at hand what DynamoDB would: units, and time."""

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
