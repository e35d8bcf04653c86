"""The simulated stream of the table, delivered by the local stack's imitation of Lambda."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from local.streams.batches import Batches, Discarded, sequence_number
from local.streams.event_source import EventSource
from shared.domain import keys
from shared.domain.news import MembershipChanged, Mentioned, News, ReadMoved
from shared.observability.meter import start_meter
from tests.simulation.push.network import SimSender
from tests.simulation.scheduler import DiedError

if TYPE_CHECKING:
    from tests.simulation.push.containers import Dispatcher
    from tests.simulation.push.world import PushWorld

SHARDS: Final = 2
BATCHES: Final = (3, 10, 100)
RETRIES: Final = 3
POLL_MS: Final = 250.0
SENT_AGAIN: Final = 0.02
"""How often a batch is delivered again though it succeeded: Lambda promises at least once."""


class FailedError(Exception):
    """An invocation failed, or reported its first record."""


@dataclass(frozen=True, slots=True)
class Record:
    """News in a shard, by its sequence number."""

    number: str
    news: News


class Stream:
    """News in order for each item, in shards; each shard's batches are dispatched one after the other.

    Args:
        world: it flows in.
        is_reliable: whether a batch is tried until it succeeds.
    """

    def __init__(self, world: PushWorld, *, is_reliable: bool) -> None:
        self._world = world
        self._news: dict[str, News] = {}
        self._dispatchers: dict[int, Dispatcher] = {}
        self._read: set[int] = set()
        source = EventSource(
            function="dispatch_changes",
            batch_size=world.rng.choice(BATCHES),
            bisect=True,
            reports_failures=True,
            max_retries=None if is_reliable else RETRIES,
        )
        self._shards = [
            Batches(
                source,
                str(at),
                call=partial(self._call, at),
                discard=self._discard,
                pause=lambda seconds: world.loop.wait(seconds * 1000),
                clock=self._seconds,
            )
            for at in range(SHARDS)
        ]

    def take(self, news: News) -> None:
        """Something was written."""
        at = zlib.crc32(_partition(news).encode()) % SHARDS
        number = str(len(self._news) + 1)
        self._news[number] = news
        told = {"SequenceNumber": number, "ApproximateCreationDateTime": self._seconds()}
        self._shards[at].add([{"dynamodb": told}])
        if at not in self._read:
            self._read.add(at)
            self._world.loop.spawn(lambda: self._deliver(at))

    def _seconds(self) -> float:
        return self._world.loop.now / 1000

    def _deliver(self, at: int) -> None:
        try:
            self._shards[at].deliver()
        finally:
            self._read.discard(at)

    def _discard(self, _: Discarded) -> None:
        self._world.count("records given up")

    def _call(self, at: int, event: dict[str, Any]) -> dict[str, Any]:
        """Invokes the dispatcher with the records that have come until it is polled, as its handler does."""
        world = self._world
        world.loop.wait(world.rng.uniform(0, POLL_MS))
        batch = [Record(number, self._news[number]) for number in map(sequence_number, event["Records"])]
        failed = self._invoke(at, batch)
        if failed is None and world.chance(SENT_AGAIN):
            world.count("batch dispatched again")
            failed = self._invoke(at, batch)
        if failed is None:
            return {}
        if failed == batch[0].number:
            world.count("batch failed")
            raise FailedError
        world.count("batch failed in part")
        return {"batchItemFailures": [{"itemIdentifier": failed}]}

    def _invoke(self, at: int, batch: list[Record]) -> str | None:
        """Dispatches a batch; the sequence number of its first failure, None if there was none."""
        world = self._world
        dispatcher = self._dispatchers.get(at)
        if dispatcher is None or dispatcher.dead:
            dispatcher = self._dispatchers[at] = world.dispatcher()
        results: list[str | None] = []

        def run() -> None:
            start_meter()
            dispatcher.begin()
            try:
                results.append(world.push.dispatch(dispatcher.services, SimSender(world, dispatcher), batch))
            except DiedError:
                raise
            except Exception as error:  # noqa: BLE001 - a dispatcher that raises is a finding
                world.violate(f"dispatch: {error!r}")
            finally:
                dispatcher.serving -= 1

        dispatcher.serving += 1
        dispatcher.thaw()
        dispatcher.start(run, freezes=False).join()
        return results[0] if results else batch[0].number


def _partition(news: News) -> str:
    """What decides the shard: the item's partition."""
    match news:
        case MembershipChanged() | ReadMoved() | Mentioned():
            return news.user_id
    return keys.channel_pk(getattr(news, "log_id", "") or getattr(news, "channel_id", ""))
