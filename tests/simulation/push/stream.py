"""The simulated stream of the table, and what Lambda does with it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from shared.domain import keys
from shared.domain.news import MembershipChanged, Mentioned, News, ReadMoved
from shared.observability.meter import start_meter
from tests.simulation.push.network import SimSender
from tests.simulation.scheduler import DiedError

if TYPE_CHECKING:
    from tests.simulation.push.containers import Dispatcher
    from tests.simulation.push.world import PushWorld

SHARDS: Final = 2
BATCHES: Final = (1, 3, 10, 100)
RETRIES: Final = 3
POLL_MS: Final = 250.0
SENT_AGAIN: Final = 0.02
"""How often a batch is delivered again though it succeeded: Lambda promises at least once."""


@dataclass(frozen=True, slots=True)
class Record:
    """News in a shard, by its sequence number."""

    number: str
    news: News


@dataclass
class _Shard:
    records: list[Record] = field(default_factory=list)
    is_read: bool = False
    tries: int = 0
    size: int = 100


class Stream:
    """News in order for each item, in shards; each shard's batches are dispatched one after the other.

    Args:
        world: it flows in.
        is_reliable: whether a batch is tried until it succeeds.
    """

    def __init__(self, world: PushWorld, *, is_reliable: bool) -> None:
        self._world = world
        self._is_reliable = is_reliable
        self._shards = [_Shard() for _ in range(SHARDS)]
        self._numbers = 0
        self._dispatchers: dict[int, Dispatcher] = {}
        self.dropped: list[Record] = []
        """What was given up after its last retry."""

    def take(self, news: News) -> None:
        """Something was written."""
        self._numbers += 1
        at = zlib.crc32(_partition(news).encode()) % SHARDS
        shard = self._shards[at]
        shard.records.append(Record(str(self._numbers), news))
        if not shard.is_read:
            shard.is_read = True
            self._world.loop.spawn(lambda: self._read(at), self._world.rng.uniform(0, POLL_MS))

    def _read(self, at: int) -> None:
        world, shard = self._world, self._shards[at]
        while shard.records and not world.loop.stopped:
            batch = shard.records[: min(shard.size, world.rng.choice(BATCHES))]
            failed = self._invoke(at, batch)
            if failed is None and world.chance(SENT_AGAIN):
                world.count("batch dispatched again")
                continue
            self._advance(shard, batch, failed)
            world.loop.wait(world.rng.uniform(0, POLL_MS) if failed is None else 500.0)
        shard.is_read = False

    def _advance(self, shard: _Shard, batch: list[Record], failed: str | None) -> None:
        """Moves on behind what succeeded; a failure is tried again in halves, and given up at last."""
        numbers = [each.number for each in batch]
        done = len(batch) if failed is None else numbers.index(failed)
        del shard.records[:done]
        if failed is None:
            shard.tries, shard.size = 0, max(BATCHES)
            return
        self._world.count("batch failed in part" if done else "batch failed")
        shard.size = max(1, (len(batch) - done) // 2)
        shard.tries = 1 if done else shard.tries + 1
        if shard.tries > RETRIES and not self._is_reliable:
            self._world.count("records given up")
            self.dropped += shard.records[: shard.size]
            del shard.records[: shard.size]
            shard.tries = 0

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
        world.dispatches += 1
        return results[0] if results else batch[0].number


def _partition(news: News) -> str:
    """What decides the shard: the item's partition."""
    match news:
        case MembershipChanged() | ReadMoved() | Mentioned():
            return news.user_id
    return keys.channel_pk(getattr(news, "log_id", "") or getattr(news, "channel_id", ""))
