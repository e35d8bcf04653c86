"""One simulated world, from a seed: the same seed and code always give the same steps."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from shared.cache.redis import BundlePolicy
from shared.domain import keys
from shared.domain.messages import Draft, encode, preview
from shared.domain.model import Entry, Head, Kind, Membership, Role
from shared.settings import Settings
from shared.storage.memory import MemoryStore
from shared.storage.protocol import Reservation
from tests.simulation.clients import OWNER, Clients
from tests.simulation.containers import Code, Container, Sizes
from tests.simulation.erasures import Erasures
from tests.simulation.expiring import Expiring
from tests.simulation.fault_rates import NO_FAULTS, OUTAGE, QUIET_MS, SKEW_MS, Phase, next_phase
from tests.simulation.judge import Judge
from tests.simulation.ledger import Ledger
from tests.simulation.pages import WrongError
from tests.simulation.redis import SimRedis
from tests.simulation.scheduler import Loop
from tests.simulation.store import Unseen

REAL: Final = Code()
CROWDED: Final = 0.25
FORGED: Final = 0.5
"""The share of worlds in which somebody tampers with Redis when all is done."""
ORDERLY: Final = 7
"""One world in so many has bans and blocks. The others do not, so that they have more of everything else."""
MEMBERS: Final = 0.6
"""The share of users who are in a channel at first."""


@dataclass
class Result:
    """Counts, and what was wrong."""

    worlds: int = 0
    operations: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    voids: int = 0
    virtual_seconds: float = 0.0
    violations: list[tuple[int, str]] = field(default_factory=list)
    """Seed, and what was wrong."""

    def add(self, other: Result) -> None:
        """Adds what came of others."""
        self.worlds += other.worlds
        self.operations += other.operations
        self.outcomes.update(other.outcomes)
        self.faults.update(other.faults)
        self.voids += other.voids
        self.virtual_seconds += other.virtual_seconds
        self.violations += other.violations


class World:
    """Clients, containers, a storage and a Redis.

    Args:
        seed: decides everything.
        operations: requests that clients send.
        code: under test.
        traced: whether steps are written down, which takes time.
    """

    def __init__(self, seed: int, operations: int, code: Code = REAL, *, traced: bool = False) -> None:
        self.seed = seed
        self.operations = operations
        self.code = code
        self.rng = random.Random(seed)
        self.loop = Loop()
        self.began = self.loop.now
        self.truth = MemoryStore()
        self.unseen = Unseen(self.loop, self.rng)
        self.ledger = Ledger(self)
        self.judge = Judge(self.ledger)
        self.redis = SimRedis(self)
        self.phase = Phase(0, 0.0, *NO_FAULTS)
        self.clients = Clients(self)
        self.erasures = Erasures(self)
        self.outcomes: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.voids = 0
        self.violation: str | None = None
        self.trace: list[str] | None = [] if traced else None
        self._containers: list[Container] = []
        self._born = 0
        self._most = self.rng.randint(2, 8)
        self.crowded = self.chance(CROWDED)
        """Whether a container serves several requests at once, as the local stack's does."""
        self._sizes = _sizes(self.rng)
        self.users = [OWNER, *(f"user{i}" for i in range(self.rng.randint(2, 5)))]
        self.channels = [f"{i}channel{'0' * 8}" for i in range(self.rng.randint(1, 3))]
        for channel_id in self.channels:
            self._found(channel_id)
        self.is_orderly = seed % ORDERLY == ORDERLY - 1
        """Whether users are banned and blocked."""
        self.pair = self.users[1:3]
        self.direct = keys.direct_channel_id(*self.pair)
        if self.is_orderly:
            self._found_direct()

    def run(self) -> Result:
        """Lives it through, then reads all of it once more when all is quiet."""
        common = random.getstate()
        random.seed(self.seed)  # back-off and the jitter of expiries draw from the common source
        try:
            self._live()
        finally:
            random.setstate(common)
        violations = [(self.seed, self.violation)] if self.violation else []
        seconds = (self.loop.now - self.began) / 1000
        return Result(1, self.clients.launched, self.outcomes, self.faults, self.voids, seconds, violations)

    def _live(self) -> None:
        self.loop.spawn(self._drive)
        self.loop.run()
        if self.violation is None:
            self._finish()
        for container in self._containers:
            container.die()
        self.loop.unwind()

    # --- what its inhabitants use ---

    def chance(self, probability: float) -> bool:
        """True as often as that."""
        return probability > 0 and self.rng.random() < probability

    def count(self, fault: str) -> None:
        """Something went wrong on purpose."""
        self.faults[fault] += 1

    def note(self, text: str) -> None:
        """A line of the trace."""
        if self.trace is not None:
            fiber = self.loop.current()
            host = fiber.host.name if isinstance(fiber.host, Container) else "-"
            self.trace.append(f"{self.loop.now - self.began:12.1f} ms  {host:4}  {text}")

    def violate(self, text: str) -> None:
        """Something was wrong, and not on purpose: the world ends."""
        self.violation = self.violation or text
        self.loop.stopped = True

    def container(self) -> Container:
        """One that serves the next request: an idle one, or a new one."""
        self._containers = [each for each in self._containers if not each.dead]
        idle = [each for each in self._containers if self.crowded or not each.serving]
        if idle and self.chance(0.02):
            retired = self.rng.choice(idle)
            if not retired.serving:
                retired.die()
                idle.remove(retired)
        if idle and (len(self._containers) >= self._most or not self.chance(0.05)):
            return self.rng.choice(idle)
        self._born += 1
        container = Container(self, f"c{self._born}", self.rng.randint(-SKEW_MS, SKEW_MS), self._sizes)
        self._containers.append(container)
        return container

    def tool(self) -> Container:
        """An operator's process, which serves no requests."""
        self._born += 1
        return Container(self, f"t{self._born}", self.rng.randint(-500, 500), self._sizes)

    def packed(self, text: str) -> None:
        """A bundle is on its way to Redis."""
        try:
            self.judge.bundle(text, self._sizes.policy.keep_seconds)
        except WrongError as error:
            self.violate(f"to Redis: {error}")

    # --- its course ---

    def _drive(self) -> None:
        while self.clients.launched < self.operations:
            self.phase = next_phase(self.rng)
            for _ in range(self.phase.requests):
                if self.clients.launched >= self.operations:
                    break
                self.clients.launch()
                self.loop.wait(self.rng.expovariate(1 / self.phase.gap_ms))

    def _finish(self) -> None:
        self.loop.now += QUIET_MS
        erased = self.rng.choice(self.users[1:])
        for rates, step in (
            (NO_FAULTS, lambda: self.clients.last_words(erased)),
            (NO_FAULTS, self.clients.read_again),
            (NO_FAULTS, lambda: self.erasures.begin(erased)),
            (OUTAGE, self.clients.read_again),
            (NO_FAULTS, self.clients.read_again),
            (NO_FAULTS, self.clients.threads.read_once),
            (NO_FAULTS, self.clients.read_everything),
            (NO_FAULTS, self._compare),
            *([(NO_FAULTS, self.redis.forge)] if self.chance(FORGED) else []),
            *[(NO_FAULTS, self._half_of_keep)] * 6,
        ):
            self.phase = Phase(0, 0.0, *rates)
            self.loop.spawn(step)
            self.loop.run()
        try:
            self.judge.audit()
            self.judge.summaries()
            if self.violation is None:
                Expiring(self).run()
        except WrongError as error:
            self.violate(f"at the end: {error}")

    def _compare(self) -> None:
        try:
            self.clients.changing.compare()
        except WrongError as error:
            self.violate(f"after all was read: {error}")

    def _half_of_keep(self) -> None:
        """Half of the time that anything is kept passes; new containers load, learn, and write what they hold."""
        policy = self._sizes.policy
        self.loop.now += policy.keep_seconds * 1000 / 2
        for container in self._containers:
            container.die()
        for _ in range(3):
            self.clients.last_words(OWNER)
            for channel_id in self.channels:
                self.clients.gather(channel_id)
            self.loop.wait(policy.max_delay_ms + policy.min_interval_ms)

    def _found(self, channel_id: str) -> None:
        """A channel with members, and a log that begins anywhere in a block."""
        now = int(self.loop.now) - 100_000
        kind = self.rng.choice((Kind.PUBLIC, Kind.PRIVATE))
        members = [user for user in self.users if user == OWNER or self.chance(MEMBERS)]
        roles = [Membership(user, channel_id, _role(user), now) for user in members]
        head = Head(channel_id, kind, "A channel", "", OWNER, now, members=len(members))
        self.truth.create_channel(head, roles)
        for user in members:
            self.ledger.joined(channel_id, user)
        for i in range(self.rng.choice((0, 0, 10, 45, 95))):
            sender = self.rng.choice(members)
            reservation = self.truth.reserve(channel_id, 1, preview(0, sender, f"old {i}", now))
            assert isinstance(reservation, Reservation)
            body = encode(channel_id, reservation.seq, sender, now, Draft(f"old {i}"))
            entry = Entry(reservation.seq, reservation.messages, now, body)
            self.truth.void(channel_id, [entry])
            self.ledger.committed(channel_id, [entry])
            self.ledger.reservation(channel_id, reservation)

    def _found_direct(self) -> None:
        """The direct channel of two users, who block each other now and then."""
        now = int(self.loop.now) - 100_000
        head = Head(self.direct, Kind.DIRECT, "", "", self.pair[0], now, members=2)
        roles = dict(zip(self.pair, (Role.OWNER, Role.MEMBER), strict=True))
        memberships = [Membership(user, self.direct, role, now) for user, role in roles.items()]
        self.truth.create_channel(head, memberships)
        for user in self.pair:
            self.ledger.joined(self.direct, user)
        self.channels.append(self.direct)


def _role(user_id: str) -> Role:
    return Role.OWNER if user_id == OWNER else Role.MEMBER


def _sizes(rng: random.Random) -> Sizes:
    settings = Settings(
        rate_per_second=200.0,
        rate_burst=100,
        cache_ttl_messages=rng.choice((120, 120, 10)),
        cache_ttl_channels=rng.choice((300, 300, 20)),
        cache_keep_seconds=rng.choice((86_400, 86_400, 30)),
        cache_memory_bytes=rng.choice((32 * 1024 * 1024, 32 * 1024 * 1024, 40_000)),
    )
    hurried = BundlePolicy(
        settings.cache_keep_seconds, 60_000, min_new_entries=5, max_delay_ms=500, min_interval_ms=50
    )
    return Sizes(settings, rng.choice((BundlePolicy(settings.cache_keep_seconds), hurried, hurried)))
