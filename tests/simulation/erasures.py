"""Operators that erase users while everything else goes on; a tool that fails is run again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shared.domain import keys
from shared.domain.changes import summary_of
from shared.domain.errors import UnavailableError
from shared.domain.messages import sender_of
from tests.simulation.pages import WrongError
from tests.simulation.scheduler import DiedError

if TYPE_CHECKING:
    from tests.simulation.containers import Container
    from tests.simulation.world import World

MAX_ATTEMPTS: Final = 8


@dataclass(frozen=True)
class Wanted:
    """An erasure: the user, their messages when it begins, and how often they had joined each channel."""

    user_id: str
    messages: list[tuple[str, int]]
    joins: dict[str, int]


class Erasures:
    """All of them: one of a user's at a time.

    Args:
        world: in which they happen.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._under_way: set[str] = set()

    def begin(self, user_id: str) -> None:
        """A user is to be erased."""
        if user_id not in self._under_way:
            self._under_way.add(user_id)
            joins = {each: self._world.ledger.joins[each, user_id] for each in self._world.channels}
            self._attempt(Wanted(user_id, self._standing(user_id), joins), 1)

    def _attempt(self, wanted: Wanted, attempt: int) -> None:
        tool = self._world.tool()
        tool.start(lambda: self._run(tool, wanted, attempt), freezes=False)

    def _run(self, tool: Container, wanted: Wanted, attempt: int) -> None:
        world = self._world
        world.note(f"erasing {wanted.user_id} BEGINS")
        try:
            self._erase(tool, wanted)
        except DiedError:
            self._later(wanted, attempt, "tool died")
            raise
        except UnavailableError as error:
            self._later(wanted, attempt, error.code)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            what = error if isinstance(error, WrongError) else repr(error)
            world.violate(f"erasing {wanted.user_id}: {what}")

    def _erase(self, tool: Container, wanted: Wanted) -> None:
        services, world = tool.services, self._world
        stand_in = max(services.settings.cache_ttl_messages, services.settings.cache_ttl_channels)
        world.code.eraser(services.store, services.sleep, services.now, stand_in).erase(wanted.user_id)
        self._under_way.discard(wanted.user_id)
        for log_id, seq in self._standing(wanted.user_id):
            channel_id = keys.channel_of_log(log_id)
            if world.ledger.joins[channel_id, wanted.user_id] == wanted.joins[channel_id]:
                raise WrongError(f"erased, and message {seq} of {log_id} stands")
        self._require_forgotten(wanted)
        world.ledger.erased(wanted.messages)
        world.outcomes["erase: erased"] += 1
        world.note(f"erasing {wanted.user_id} ENDS")

    def _later(self, wanted: Wanted, attempt: int, outcome: str) -> None:
        self._world.outcomes[f"erase: {outcome}"] += 1
        self._world.note(f"erasing {wanted.user_id} FAILS: {outcome}")
        if attempt == MAX_ATTEMPTS:
            self._under_way.discard(wanted.user_id)
            return
        delay = self._world.rng.choice((100.0, 5_000.0, 60_000.0))
        self._world.loop.spawn(lambda: self._attempt(wanted, attempt + 1), delay)

    def _require_forgotten(self, wanted: Wanted) -> None:
        """No root says that the user replied, and the user follows no thread, of channels not joined again."""
        truth, joins = self._world.truth, self._world.ledger.joins
        for log_id in self._world.clients.threads.all:
            channel_id, seq = keys.root_of(log_id) or (log_id, 0)
            root = truth.log(channel_id).get(seq)
            summary = summary_of(root.body) if root and root.body else None
            if joins[channel_id, wanted.user_id] != wanted.joins[channel_id]:
                continue
            if summary and wanted.user_id in summary.repliers:
                raise WrongError(f"erased, and {log_id} says that {wanted.user_id} replied")
            if (wanted.user_id, log_id) in truth._follows:
                raise WrongError(f"erased, and {wanted.user_id} follows {log_id}")

    def _standing(self, user_id: str) -> list[tuple[str, int]]:
        """Messages of theirs that are not redacted, in all channels and threads."""
        return [
            (channel_id, entry.seq)
            for channel_id in (*self._world.channels, *self._world.clients.threads.all)
            for entry in self._world.truth.entries(channel_id, 1, keys.MAX_SEQ)
            if entry.body is not None and sender_of(entry.body) == user_id
        ]
