"""The simulated connections: what is sent may be lost, doubled, late and out of order; every frame is judged."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from shared.aws.sender import Sent
from shared.domain.changes import rev_of
from shared.domain.messages import dumps

if TYPE_CHECKING:
    from tests.simulation.push.containers import Dispatcher
    from tests.simulation.push.world import PushWorld


@dataclass(frozen=True, slots=True)
class FrameFaultRates:
    """Probabilities for each frame."""

    lost: float = 0.0
    doubled: float = 0.05
    late_ms: float = 500.0
    """Frames take up to this long, so that they overtake each other."""
    busy: float = 0.05
    unanswered: float = 0.02
    """Delivered, and answered as busy."""


RELIABLE: Final = FrameFaultRates()
LOSSY: Final = FrameFaultRates(lost=0.2, doubled=0.1, late_ms=20_000.0, busy=0.1, unanswered=0.05)
QUIET: Final = FrameFaultRates(0, 0, 0, 0, 0)


class Network:
    """The open connections, by id, each with what takes its frames."""

    def __init__(self) -> None:
        self.open: dict[str, Callable[[bytes], None]] = {}
        self.users: dict[str, str] = {}
        """Who opened each connection, also of those that have ended."""


class SimSender:
    """``shared.aws.sender.Sender`` of a container.

    Args:
        world: the frames travel in.
        dispatcher: who sends; None for other functions.
    """

    def __init__(self, world: PushWorld, dispatcher: Dispatcher | None = None) -> None:
        self._world = world
        self._dispatcher = dispatcher

    def send(self, connection_id: str, frame: bytes) -> Sent:
        """See ``Sender``."""
        world, rates = self._world, self._world.frame_rates
        world.loop.wait(world.rng.uniform(1, 8))
        if self._dispatcher is not None:
            self._judge(connection_id, frame)
        world.frames += 1
        if connection_id not in world.network.open:
            return Sent.GONE
        if world.chance(rates.busy):
            return Sent.BUSY
        if world.chance(rates.lost):
            world.count("frame lost")
            return Sent.SENT
        times = 1
        if world.chance(rates.doubled):
            world.count("frame doubled")
            times = 2
        for _ in range(times):
            world.loop.spawn(lambda: self._deliver(connection_id, frame), world.rng.uniform(0, rates.late_ms))
        return Sent.BUSY if world.chance(rates.unanswered) else Sent.SENT

    def disconnect(self, connection_id: str) -> None:
        """See ``Sender``."""
        self._world.hang_up(connection_id)

    def _deliver(self, connection_id: str, frame: bytes) -> None:
        take = self._world.network.open.get(connection_id)
        if take is not None:
            take(frame)

    def _judge(self, connection_id: str, frame: bytes) -> None:
        """Nobody hears what they may not read, and no text that a change removed before the dispatch began."""
        world, dispatcher = self._world, self._dispatcher
        assert dispatcher is not None
        told = json.loads(frame)
        if told["type"] != "news":
            return
        user_id = world.network.users[connection_id]
        for each in told["channels"]:
            channel_id = each["channel_id"]
            if user_id not in dispatcher.may_hear.get(channel_id, ()):
                world.violate(f"news of {channel_id} to {user_id}, who is no member")
            log_id = each.get("thread_id", channel_id)
            log, acknowledged = world.ledger.logs[log_id], dispatcher.acknowledged.get(log_id, frozenset())
            for body in _bodies(each):
                seq = json.loads(body)["seq"]
                due = max((rev for rev, _ in log.history.get(seq, ()) if rev in acknowledged), default=0)
                if rev_of(body) < due:
                    world.violate(f"message {seq} of {log_id} was sent as before its change {due}")


def _bodies(told: Mapping[str, Any]) -> Iterator[bytes]:
    """All messages in the news of a log."""
    for run in told.get("messages", ()):
        yield from map(dumps, run["messages"])
    for run in told.get("changes", ()):
        yield from (dumps(each["message"]) for each in run["changes"] if "message" in each)
