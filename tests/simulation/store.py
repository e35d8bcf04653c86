"""The simulated DynamoDB: the storage in memory is the truth; each call to it is a step that may go wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from email.utils import formatdate
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, Final, TypeVar

from shared.domain import keys
from shared.domain.errors import StoreThrottledError, StoreUnavailableError
from shared.domain.model import ChannelState, Entry, Head, Membership, PastMembership, Preview
from shared.storage.protocol import Commit, Committed, Contended, Outcome, Reservation
from tests.simulation.scheduler import Loop

if TYPE_CHECKING:
    from tests.simulation.containers import Container

T = TypeVar("T")
GATHER: Final = 0.1
"""How often people come together where something is erased."""
LOST_MEANWHILE: Final = 0.5
"""How often the writer of a transaction that is seen in part hears no answer."""
REPEATABLE: Final = frozenset(
    {
        "reserve",
        "commit",
        "void",
        "trim_gaps",
        "correct_preview",
        "move_read_position",
        "redact",
        "count_erasure",
        "forget_past_membership",
    }
)
"""Writes that the SDK may send twice; a transaction's token protects the others, and the commit too as a rule."""
WRITES: Final = REPEATABLE | {"add_member", "remove_member"}


class SimStore:
    """A container's ``shared.storage.protocol.Store``.

    Args:
        container: where it is called from, and which ends with it.
    """

    def __init__(self, container: Container) -> None:
        self._container = container
        self._world = container.world
        self._truth = container.world.truth

    def __getattr__(self, name: str) -> Any:
        return partial(self._call, name, getattr(self._truth, name))

    # --- reads that see several items, not all at the same moment ---

    def read_channel_state(self, channel_id: str, user_id: str, key: str | None = None) -> ChannelState:
        """See ``Log``."""
        return self._call("read_channel_state", self._read_state, channel_id, user_id, key)

    def _read_state(self, channel_id: str, user_id: str, key: str | None) -> ChannelState:
        at = self._world.loop.now
        parts: list[Callable[[ChannelState], ChannelState]] = [
            lambda old: ChannelState(self._truth.head(channel_id), old.membership, old.idempotency_record),
            lambda old: ChannelState(
                old.head, self._truth.membership(channel_id, user_id), old.idempotency_record
            ),
            lambda old: ChannelState(
                old.head,
                old.membership,
                self._truth.read_channel_state(channel_id, user_id, key).idempotency_record,
            ),
        ]
        torn = self._is_torn()
        if torn:
            self._world.rng.shuffle(parts)
        state = ChannelState(None, None)
        for part in parts:
            state = part(state)
            if torn:
                self._world.loop.wait(self._world.rng.uniform(0, 8))
        self._world.ledger.channel_state_read(self._container, channel_id, user_id, state, at)
        return state

    def entries(self, channel_id: str, first: int, last: int) -> list[Entry]:
        """See ``Log``."""
        return self._call("entries", self._entries, channel_id, first, last)

    def _entries(self, channel_id: str, first: int, last: int) -> list[Entry]:
        if last <= first or not self._is_torn():
            return self._seen(channel_id, first, last)
        middle = self._world.rng.randint(first, last - 1)
        begin = self._seen(channel_id, first, middle)
        self._world.loop.wait(self._world.rng.uniform(0, 30))
        return begin + self._seen(channel_id, middle + 1, last)

    def latest_entries(self, channel_id: str, up_to: int, limit: int) -> list[Entry]:
        """See ``Log``."""
        return self._call("latest_entries", self._seen, channel_id, 0, up_to)[::-1][:limit]

    def entry_after(self, channel_id: str, seq: int) -> Entry | None:
        """See ``Log``."""
        later = self._call("entry_after", self._seen, channel_id, seq + 1, keys.MAX_SEQ)
        return later[0] if later else None

    def _seen(self, channel_id: str, first: int, last: int) -> list[Entry]:
        return self._world.unseen.seen(channel_id, self._truth.entries(channel_id, first, last))

    def heads(self, channel_ids: Iterable[str]) -> dict[str, Head]:
        """See ``Channels``."""
        return self._call("heads", self._heads, list(channel_ids))

    def _heads(self, channel_ids: list[str]) -> dict[str, Head]:
        if not self._is_torn():
            return self._truth.heads(channel_ids)
        found = self._truth.heads(channel_ids[::2])
        self._world.loop.wait(self._world.rng.uniform(0, 8))
        return found | self._truth.heads(channel_ids[1::2])

    def standing(self, positions: Sequence[tuple[str, int]]) -> dict[tuple[str, int], bool]:
        """See ``Log``."""
        return self._call("standing", self._standing, positions)

    def _standing(self, positions: Sequence[tuple[str, int]]) -> dict[tuple[str, int], bool]:
        """Eventually consistent: the last moments may be missing."""
        found = self._truth.standing([each for each in positions if not self._is_torn()])
        return {
            (channel_id, seq): stands
            for (channel_id, seq), stands in found.items()
            if self._world.unseen.seen(channel_id, self._truth.entries(channel_id, seq, seq))
        }

    # --- writes that the judge hears of at the moment of their effect ---

    def reserve(
        self, channel_id: str, count: int, preview: Preview, *, everybody: bool = False
    ) -> Reservation | Head | None:
        """See ``Log``."""
        return self._call("reserve", partial(self._reserve, everybody=everybody), channel_id, count, preview)

    def _reserve(
        self, channel_id: str, count: int, preview: Preview, *, everybody: bool
    ) -> Reservation | Head | None:
        reservation = self._truth.reserve(channel_id, count, preview, everybody=everybody)
        if isinstance(reservation, Reservation):
            self._world.ledger.reservation(channel_id, reservation)
        return reservation

    def commit(self, commit: Commit) -> Outcome:
        """See ``Log``."""
        if self._world.chance(self._world.phase.store.contended):
            self._world.count("transaction met another")
            return Contended()
        return self._call("commit", self._commit, commit)

    def _commit(self, commit: Commit) -> Outcome:
        outcome = self._truth.commit(commit)
        if isinstance(outcome, Committed) and self._is_torn():
            self._apply_in_parts(commit)
        return outcome

    def _apply_in_parts(self, commit: Commit) -> None:
        """DynamoDB responds once all is visible, unless its response is lost."""
        self._world.count("transaction seen in part")
        self._world.unseen.hide(commit.channel_id, commit.entries)
        if self._world.chance(LOST_MEANWHILE):
            raise self._failure("after", "commit")
        for entry in commit.entries:
            self._world.unseen.wait_for(commit.channel_id, entry.seq)

    def void(self, channel_id: str, voids: Sequence[Entry]) -> list[Entry]:
        """See ``Log``."""
        return self._call("void", self._void, channel_id, voids)

    def _void(self, channel_id: str, voids: Sequence[Entry]) -> list[Entry]:
        for each in voids:
            self._world.unseen.wait_for(channel_id, each.seq)
        standing = self._truth.void(channel_id, voids)
        self._world.voids += sum(one is other for one, other in zip(standing, voids, strict=True))
        return standing

    def add_member(
        self, membership: Membership, by: Membership | None = None
    ) -> Membership | PastMembership | None:
        """See ``Members``."""
        return self._call("add_member", self._add_member, membership, by)

    def _add_member(
        self, membership: Membership, by: Membership | None
    ) -> Membership | PastMembership | None:
        standing = self._truth.add_member(membership, by)
        if standing is membership:
            self._world.ledger.joined(membership.channel_id, membership.user_id)
        return standing

    def remove_member(
        self, membership: Membership, by: Membership | None = None, *, even_last_owner: bool = False
    ) -> bool:
        """See ``Members``."""
        return self._call("remove_member", self._remove_member, membership, by, even_last_owner)

    def _remove_member(
        self,
        membership: Membership,
        by: Membership | None,
        even_last_owner: bool,  # noqa: FBT001 - passed on
    ) -> bool:
        removed = self._truth.remove_member(membership, by, even_last_owner=even_last_owner)
        if removed:
            self._world.ledger.left(membership.channel_id, membership.user_id)
        return removed

    def redact(self, channel_id: str, seq: int, body: bytes) -> None:
        """See ``Erasures``."""
        self._call("redact", self._redact, channel_id, seq, body)

    def count_erasure(self, channel_id: str, user_id: str) -> Head | None:
        """See ``Erasures``."""
        self._gather(channel_id)
        return self._call("count_erasure", self._count_erasure, channel_id, user_id)

    def _count_erasure(self, channel_id: str, user_id: str) -> Head | None:
        head = self._truth.count_erasure(channel_id, user_id)
        if head is not None:
            self._world.ledger.redactions(head)
        return head

    def _gather(self, channel_id: str) -> None:
        if self._world.chance(GATHER):
            self._world.clients.gather(channel_id)

    def _redact(self, channel_id: str, seq: int, body: bytes) -> None:
        self._gather(channel_id)
        [before] = self._truth.entries(channel_id, seq, seq)
        self._truth.redact(channel_id, seq, body)
        if before.body is not None and before.body != body:
            self._world.ledger.redacted(channel_id, seq, before.body, body)

    # --- what a call goes through ---

    def _is_torn(self) -> bool:
        return self._world.chance(self._world.phase.store.torn)

    def _call(self, name: str, effect: Callable[..., T], *arguments: Any, **named: Any) -> T:
        world, rates = self._world, self._world.phase.store
        begun = world.loop.now
        self._container.step(name)
        if world.trace is not None:
            world.note(f"{name} {_shown(arguments)}")
        if world.chance(rates.before):
            raise self._failure("before", name)
        result = effect(*arguments, **named)
        if name not in WRITES:
            self._heard(begun)
            return result
        if name in REPEATABLE and world.chance(rates.again):
            world.count("write sent twice")
            second = effect(*arguments, **named)
            result = second if name == "reserve" or world.chance(0.5) else result
        if world.chance(rates.after):
            raise self._failure("after", name)
        if world.chance(0.3):
            self._container.step(f"answer to {name}")
        self._heard(begun)
        return result

    def _heard(self, begun: float) -> None:
        now = self._world.loop.now
        self._container.clock.on_server_date(formatdate(int(now / 1000), usegmt=True), (now - begun) / 1000)

    def _failure(self, when: str, name: str) -> StoreThrottledError | StoreUnavailableError:
        self._container.failures += 1
        self._world.count(f"storage failed {when} the effect")
        self._world.note(f"{name} FAILS {when} its effect")
        if when == "before" and self._world.chance(0.5):
            return StoreThrottledError(retry_after=1)
        return StoreUnavailableError(retry_after=1)


def _shown(arguments: tuple[Any, ...]) -> str:
    """Arguments short enough for a line of a trace."""
    shown = []
    for each in arguments:
        if isinstance(each, Commit):
            shown.append(f"{each.channel_id} {[entry.seq for entry in each.entries]} by {each.user_id}")
        elif isinstance(each, Entry):
            shown.append(f"{each.seq}")
        elif not isinstance(each, Preview):
            shown.append(str(each))
    return " ".join(shown)


LONGEST_MS: Final = 60.0
"""A reader's patience with a hole is 75 ms."""


class Unseen:
    """What transactions wrote and no read sees yet: DynamoDB applies one item after the other.

    A write that meets such an item waits for the transaction; that is what settles holes and replays rely on.
    """

    def __init__(self, loop: Loop, rng: Random) -> None:
        self._loop = loop
        self._rng = rng
        self._until: dict[tuple[str, int], float] = {}

    def hide(self, channel_id: str, entries: Iterable[Entry]) -> None:
        """They come to be seen in any order."""
        for entry in entries:
            self._until[channel_id, entry.seq] = self._loop.now + self._rng.uniform(0, LONGEST_MS)

    def wait_for(self, channel_id: str, seq: int) -> None:
        """Until the entry there, if there is one, is seen."""
        left = self._until.get((channel_id, seq), 0.0) - self._loop.now
        if left > 0:
            self._loop.wait(left)

    def seen(self, channel_id: str, entries: Iterable[Entry]) -> list[Entry]:
        """Those of these entries that are."""
        now = self._loop.now
        return [each for each in entries if self._until.get((channel_id, each.seq), 0.0) <= now]
