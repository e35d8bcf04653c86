"""What happened, as only an onlooker of the whole world knows it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared.domain.model import ChannelState, Head
from shared.storage.protocol import Reservation
from tests.simulation.pages import WrongError

if TYPE_CHECKING:
    from tests.simulation.containers import Container
    from tests.simulation.world import World


@dataclass
class Log:
    """What the judge knows of a channel."""

    given_at: dict[int, float] = field(default_factory=dict)
    """When each position was given out."""
    acknowledged: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    """Position: the how-manieth acknowledgement, and the message."""
    last_acknowledged: int = 0
    seen: dict[int, bytes | None] = field(default_factory=dict)
    """What any reader was shown at a position; None for a void."""
    redacted: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)
    """Position: the message as it was posted, and as it is since its redaction."""
    erased: dict[int, int] = field(default_factory=dict)
    """Position: the how-manieth erasure that was done with it."""

    def original(self, seq: int, body: bytes) -> bytes:
        """A message as it was posted."""
        before, after = self.redacted.get(seq, (body, body))
        return before if body == after else body

    def is_erased(self, seq: int, asked: Asked) -> bool:
        """Whether the message's erasure had been acknowledged when a request began."""
        return self.erased.get(seq, asked.erasures + 1) <= asked.erasures


@dataclass
class Writing:
    """One message or batch that a client posts, in any number of attempts."""

    channel_id: str
    texts: list[str]
    key: str | None
    may_stand: bool = False
    """Whether an attempt was acknowledged, or ended without saying what came of it."""
    response: list[bytes] | None = None


@dataclass(frozen=True)
class Asked:
    """The state when a request began."""

    container: Container
    user_id: str
    channel_id: str
    at: float
    acknowledgements: int
    erasures: int
    last_acknowledged: int
    head_seq: int
    is_member: bool
    changes: int
    failures: int


class Ledger:
    """Hears of every effect at its moment.

    Args:
        world: in which they happen.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.truth = world.truth
        self.logs: defaultdict[str, Log] = defaultdict(Log)
        self.acknowledgements = 0
        self.erasures = 0
        self.members: defaultdict[str, set[str]] = defaultdict(set)
        """The channels of each user."""
        self.changed_at: dict[tuple[str, str], float] = {}
        """When a membership, named by channel and user, began or ended last."""
        self.stale_fallback: dict[tuple[str, str, str], float] = {}
        """When a container, a channel and a user were last brought together by a look."""
        self.writings: list[Writing] = []
        self.joins: Counter[tuple[str, str]] = Counter()
        """How often a user, named after a channel, became a member of it."""
        self.counted: dict[tuple[str, int], float] = {}
        """When a channel's redactions were so many for the first time."""
        self.forged_until = 0.0
        """When what somebody put into Redis expires there, unless it was read before."""
        self._changes: Counter[tuple[str, str]] = Counter()

    def reservation(self, channel_id: str, reservation: Reservation) -> None:
        """Positions were given out."""
        given = self.logs[channel_id].given_at
        for seq in range(reservation.seq - reservation.count + 1, reservation.seq + 1):
            given[seq] = self.world.loop.now

    def joined(self, channel_id: str, user_id: str) -> None:
        """A membership began."""
        self.members[user_id].add(channel_id)
        self.joins[channel_id, user_id] += 1
        self._changed(channel_id, user_id)

    def left(self, channel_id: str, user_id: str) -> None:
        """A membership ended."""
        self.members[user_id].discard(channel_id)
        self._changed(channel_id, user_id)

    def redacted(self, channel_id: str, seq: int, before: bytes, after: bytes) -> None:
        """A message was redacted; readers may see either text until the erasure is acknowledged."""
        log = self.logs[channel_id]
        log.redacted[seq] = (before, after)
        if seq in log.seen:
            log.seen[seq] = after
        if seq in log.acknowledged:
            log.acknowledged[seq] = (log.acknowledged[seq][0], after)

    def redactions(self, head: Head) -> None:
        """A channel's number of redactions was raised."""
        self.counted.setdefault((head.channel_id, head.erasures), self.world.loop.now)

    def forged(self, until: float) -> None:
        """Notes a value in Redis and when it expires."""
        self.forged_until = max(self.forged_until, until)

    def erased(self, messages: Sequence[tuple[str, int]]) -> None:
        """An erasure was acknowledged that had to redact at least these.

        Raises:
            WrongError: it did not.
        """
        self.erasures += 1
        for channel_id, seq in messages:
            log = self.logs[channel_id]
            if seq not in log.redacted:
                raise WrongError(f"erased, and message {seq} of {channel_id} still stands")
            log.erased.setdefault(seq, self.erasures)

    def _changed(self, channel_id: str, user_id: str) -> None:
        self._changes[channel_id, user_id] += 1
        self.changed_at[channel_id, user_id] = self.world.loop.now

    def channel_state_read(
        self, container: Container, channel_id: str, user_id: str, state: ChannelState, at: float
    ) -> None:
        """Notes that a container read the channel state."""
        if state.head and state.membership:
            self.stale_fallback[container.name, channel_id, user_id] = at

    def asked(self, container: Container, user_id: str, channel_id: str) -> Asked:
        """A request begins."""
        head = self.truth.head(channel_id)
        log = self.logs[channel_id]
        return Asked(
            container=container,
            user_id=user_id,
            channel_id=channel_id,
            at=self.world.loop.now,
            acknowledgements=self.acknowledgements,
            erasures=self.erasures,
            last_acknowledged=log.last_acknowledged,
            head_seq=head.seq if head else 0,
            is_member=channel_id in self.members[user_id],
            changes=self._changes[channel_id, user_id],
            failures=container.failures,
        )

    def unchanged(self, asked: Asked) -> bool:
        """Whether the caller's membership is what it was when the request began, and was all the time."""
        return self._changes[asked.channel_id, asked.user_id] == asked.changes
