"""The simulated Upstash: replicas that lag, writes that get lost or late, values that are gone, garbled or foreign."""

from __future__ import annotations

from bisect import insort
from typing import TYPE_CHECKING, Any, Final

from shared.cache.blocks import Kept
from shared.cache.codec import pack, unpack
from shared.cache.upstash import RedisError, Upstash, UpstashOptions
from shared.observability.meter import CacheMetrics

if TYPE_CHECKING:
    from tests.simulation.containers import Container
    from tests.simulation.world import World

FAILURES: Final = (
    "unreachable",
    "unreachable",
    "garbled",
    "error",
    "wrong_type",
    "full",
    "refused_token",
    "daily_quota",
)
LATE_MS: Final = 5_000.0
FUTURE: Final = 2**32 - 1
"""Seconds: the latest time that a bundle has a number for."""


class SimRedis:
    """The database: every value that a key ever had, with its time, so that a replica can show an old one."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._versions: dict[str, list[tuple[float, int, str, float]]] = {}
        self._writers: dict[str, str] = {}
        self._writes = 0

    def get(self, key: str) -> object:
        """The value at some replica."""
        world, rates = self._world, self._world.phase.redis
        if world.chance(rates.evicted):
            world.count("Redis value evicted")
            self._versions.pop(key, None)
        value = self._seen(key, world.rng.uniform(0, rates.lag_ms))
        if value is None or not world.chance(rates.corrupt):
            return value
        world.count("Redis value garbled or foreign")
        return self._corrupted(value)

    def set(self, key: str, value: str, expiry_seconds: int, writer: str) -> str:
        """Takes effect now, later, or never; says OK."""
        world, rates = self._world, self._world.phase.redis
        if world.chance(rates.lost):
            world.count("Redis write lost")
            return "OK"
        at = world.loop.now
        if world.chance(rates.late):
            world.count("Redis write late")
            at += world.rng.uniform(0, LATE_MS)
        self._writes += 1
        if key in self._versions and self._writers.get(key) != writer:
            world.count("Redis value overwritten by another container")
        self._writers[key] = writer
        insort(self._versions.setdefault(key, []), (at, self._writes, value, at + expiry_seconds * 1000))
        if world.chance(rates.unanswered):
            world.count("Redis answer lost")
            raise RedisError("timeout")
        return "OK"

    def forge(self) -> None:
        """Rewrites the bundle with last uses that are in the future."""
        for versions in self._versions.values():
            at, write, value, until = versions[-1]
            versions[-1] = at, write, _of_the_future(value), until
            self._world.ledger.forged(until)
            self._world.count("Redis value forged")

    def _seen(self, key: str, lag_ms: float) -> str | None:
        latest = None
        versions = self._versions.get(key, ())
        for at, _, value, until in versions:
            if at <= self._world.loop.now - lag_ms:
                latest = value if until > self._world.loop.now else None
        if versions and (latest is None or latest is not versions[-1][2]):
            self._world.count("Redis replica behind")
        return latest

    def _corrupted(self, value: str) -> object:
        rng = self._world.rng
        at = rng.randrange(len(value))
        others = [versions[-1][2] for versions in self._versions.values()]
        choices: list[object] = [
            value[:at],
            value[:at] + chr(33 + (ord(value[at]) - 32) % 90) + value[at + 1 :],
            "B3" + value[2:],
            "hello",
            "",
            [value],
            42,
            {"B2z": value},
            rng.choice(others),
        ]
        return rng.choice(choices)


def _of_the_future(text: str) -> str:
    return pack({key: Kept(kept.value, FUTURE) for key, kept in unpack(text).items()})


class SimUpstash(Upstash):
    """The real wrapper, with its breaker, around a simulated connection.

    Args:
        container: that it belongs to.
        redis: the database.
        options: the wrapper's; the address is not used.
        metrics: counts commands.
    """

    def __init__(
        self, container: Container, redis: SimRedis, options: UpstashOptions, metrics: CacheMetrics
    ) -> None:
        super().__init__(options, metrics, container.now)
        self._container = container
        self._redis = redis

    def _once(  # type: ignore[override]  # it never asks again
        self, reason: str, command: str, arguments: tuple[str | int, ...]
    ) -> Any:
        world = self._container.world
        rates = world.phase.redis
        self._metrics.command(reason)
        if command == "SET":
            world.packed(str(arguments[1]))
        self._container.step(reason)
        world.note(f"Redis {reason}")
        if world.chance(rates.hang):
            world.count("Redis hung")
            world.loop.wait(self.budget_seconds * 1000)
            raise RedisError("timeout")
        if world.chance(rates.refused):
            world.count("Redis refused")
            raise RedisError(world.rng.choice(FAILURES))
        if command == "GET":
            return self._redis.get(str(arguments[0]))
        key, value, _, expiry_seconds = arguments
        return self._redis.set(str(key), str(value), int(expiry_seconds), self._container.name)
