"""The code as it is, and mutants of push: each wrong in one way, and found by the simulation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from shared.bootstrap import Services
from shared.domain import keys
from shared.domain.model import Membership, Role
from shared.domain.realtime import Connection, Watch
from shared.storage.memory import MemoryStore
from shared.storage.protocol import WatchOutcome
from shared.use_cases.dispatch_changes import channel_of, dispatch
from tests.realtime.follower import Followed, Follower
from tests.simulation.containers import Code
from tests.simulation.push.containers import PushCode, PushStore

if TYPE_CHECKING:
    from shared.aws.sender import Sender
    from tests.simulation.push.stream import Record


def dispatch_batch(services: Services, sender: Sender, batch: Sequence[Record]) -> str | None:
    """As the dispatcher's handler: the first record of a channel whose news could not be told."""
    failed = dispatch(services, sender, [each.news for each in batch]).failed
    return next((each.number for each in batch if channel_of(each.news) in failed), None)


REAL: Final = PushCode(dispatch_batch)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A deliberate bug."""

    what: str
    push: PushCode


class WatchesUnchecked(PushStore):
    """Begins watches whoever is a member: one that a removal overtakes stays."""

    def watch(self, connection: Connection, watches: Sequence[Watch], limit: int) -> WatchOutcome:
        """See ``Realtime``."""
        return self._call("watch", self._unchecked, connection, watches, limit)

    def _unchecked(self, connection: Connection, watches: Sequence[Watch], limit: int) -> WatchOutcome:
        truth: MemoryStore = self._truth
        user_id, channels = connection.user_id, {keys.channel_of_log(each.log_id) for each in watches}
        missing = [each for each in channels if truth.membership(each, user_id) is None]
        for each in missing:  # For the moment of the write only, in which nothing else happens.
            truth._memberships[each, user_id] = Membership(user_id, each, Role.MEMBER, 0)
        outcome = truth.watch(connection, watches, limit)
        for each in missing:
            del truth._memberships[each, user_id]
        return outcome


class _AnyRun(Followed):
    """Takes every run, whatever is missing before it."""

    def take_messages(self, first: int, last: int, bodies: Iterable[bytes]) -> None:
        """See ``Followed``."""
        super().take_messages(min(first, self.seq + 1), last, bodies)

    def take_changes(self, first: int, last: int, changes: Iterable[Mapping[str, Any]]) -> None:
        """See ``Followed``."""
        super().take_changes(min(first, self.rev + 1), last, changes)


class _LatestWins(Followed):
    """Lays whatever came last over what was there."""

    def _keep(self, bodies: Iterable[bytes]) -> None:
        for body in bodies:
            self.known[self._seq_of(body)] = body


class _ForgetsChanges(Followed):
    """Skips changes of messages that are not there yet."""

    def take_changes(self, first: int, last: int, changes: Iterable[Mapping[str, Any]]) -> None:
        """See ``Followed``."""
        known = [each for each in changes if each["seq"] in self.known]
        super().take_changes(first, last, known)


def _followers(log: type[Followed]) -> type[Follower]:
    return type("MutantFollower", (Follower,), {"log": log})


def _acknowledge_failures(services: Services, sender: Sender, batch: Sequence[Record]) -> None:
    dispatch_batch(services, sender, batch)


MUTANTS: Final[dict[str, Mutant]] = {
    "watch-without-membership": Mutant(
        "a watch is written without the membership as its condition",
        PushCode(dispatch_batch, Code(store=WatchesUnchecked)),
    ),
    "acknowledge-before-unwatching": Mutant(
        "a removal is acknowledged before the watches have ended",
        PushCode(dispatch_batch, ends_watches=False),
    ),
    "contiguity-unchecked": Mutant(
        "a client takes every run, whatever is missing before it",
        PushCode(dispatch_batch, follower=_followers(_AnyRun)),
    ),
    "latest-frame-wins": Mutant(
        "a client lays an older message over a newer one",
        PushCode(dispatch_batch, follower=_followers(_LatestWins)),
    ),
    "early-changes-forgotten": Mutant(
        "a client skips changes of messages that come later",
        PushCode(dispatch_batch, follower=_followers(_ForgetsChanges)),
    ),
    "acknowledge-after-failure": Mutant(
        "a batch is acknowledged though a part of it failed", PushCode(_acknowledge_failures)
    ),
}
