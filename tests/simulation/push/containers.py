"""The containers of the simulated functions, with what the judge of frames has to know of their reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared.bootstrap import Services
from shared.domain.realtime import Watch
from tests.realtime.follower import Follower
from tests.simulation.containers import Code, Container, Sizes
from tests.simulation.store import SimStore

if TYPE_CHECKING:
    from shared.aws.sender import Sender
    from tests.simulation.push.stream import Record
    from tests.simulation.push.world import PushWorld

Dispatch = Callable[[Services, "Sender", Sequence["Record"]], str | None]
"""Dispatches a batch; the sequence number of its first failure."""


class Dispatcher(Container):
    """The dispatcher's container: remembers who might hear of a channel when it read the channel's watchers."""

    def __init__(self, world: PushWorld, name: str, skew_ms: int, sizes: Sizes) -> None:
        super().__init__(world, name, skew_ms, sizes)
        self.push_world = world

    def begin(self) -> None:
        """An invocation begins."""
        self.may_hear: dict[str, set[str]] = {}
        """By channel: who was a member when the watchers were read, or whose removal was not acknowledged."""
        world = self.world
        self.acknowledged = {
            log_id: frozenset(rev for _, rev in log.changes_acknowledged)
            for log_id, log in world.ledger.logs.items()
        }
        """By log: the changes that were acknowledged before."""


class PushStore(SimStore):
    """A storage whose reads of watchers the judge knows of."""

    def watches(self, channel_id: str, now: int, user_id: str | None = None) -> list[Watch]:
        """See ``Realtime``."""
        return self._call("watches", self._watches, channel_id, now, user_id)

    def _watches(self, channel_id: str, now: int, user_id: str | None) -> list[Watch]:
        found = self._truth.watches(channel_id, now, user_id)
        if isinstance(self._container, Dispatcher):
            self._container.may_hear[channel_id] = self._container.push_world.may_hear(channel_id)
        return found


@dataclass(frozen=True, slots=True)
class PushCode:
    """The code under test: the project's own, or with one part replaced by a mutant."""

    dispatch: Dispatch
    code: Code = field(default_factory=lambda: Code(store=PushStore))
    follower: type[Follower] = Follower
    ends_watches: bool = True
    """Whether removals end watches before they are acknowledged."""
