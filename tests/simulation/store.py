"""The simulated DynamoDB: the storage in memory is the truth; each call to it is a step that may go wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from email.utils import formatdate
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, Final, TypeVar

from shared.domain import keys
from shared.domain.changes import Change
from shared.domain.errors import StoreThrottledError, StoreUnavailableError
from shared.domain.model import ChannelState, Entry, Follow, Head, Membership, PastMembership, Preview
from shared.domain.moderation import Ban, Block
from shared.storage.protocol import (
    ChangeCommit,
    ChangeOutcome,
    Commit,
    Committed,
    Contended,
    Outcome,
    Reservation,
)
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
        "move_boundary",
        "move_read_position",
        "redact",
        "count_erasure",
        "forget_past_membership",
        "list_gaps",
        "forget_mentions",
        "follow",
        "unfollow",
        "move_thread_position",
    }
)
"""Writes that the SDK may send twice; a transaction's token protects the others, and the commit too as a rule."""
ARCHIVING: Final = frozenset({"archive_channel", "unarchive_channel"})
WRITES: Final = (
    REPEATABLE
    | ARCHIVING
    | {
        *("add_member", "remove_member", "commit_change", "commit_summary"),
        *("ban", "unban", "block", "unblock"),
    }
)
HEAD_WRITES: Final = ARCHIVING | {
    *("reserve", "void", "trim_gaps", "correct_preview", "move_boundary", "count_erasure"),
    *("add_member", "remove_member", "ban"),
}
"""Writes of a channel's head; they wait for a transaction that still holds it."""


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
        return self._read_state_and(channel_id, user_id, key, lambda: None, follows=True)

    def _read_state_and(
        self, log_id: str, user_id: str, key: str | None, more: Callable[[], None], *, follows: bool
    ) -> ChannelState:
        """The channel state, and with it what ``more`` reads, in any order."""
        at = self._world.loop.now
        channel_id, root = keys.channel_of_log(log_id), keys.root_of(log_id)
        of_thread: dict[str, Any] = {}

        def read_more(old: ChannelState) -> ChannelState:
            more()
            return old

        parts: list[Callable[[ChannelState], ChannelState]] = [
            lambda old: ChannelState(self._head(channel_id), old.membership, old.idempotency_record),
            lambda old: ChannelState(
                old.head, self._truth.membership(channel_id, user_id), old.idempotency_record
            ),
            lambda old: ChannelState(
                old.head,
                old.membership,
                self._truth.read_channel_state(log_id, user_id, key).idempotency_record,
            ),
            read_more,
        ]

        def read_thread(name: str, read: Callable[[], Any]) -> Callable[[ChannelState], ChannelState]:
            def part(old: ChannelState) -> ChannelState:
                of_thread[name] = read()
                return old

            return part

        if root is not None:
            parts.append(read_thread("head", lambda: self._head(log_id)))
            parts.append(read_thread("root", lambda: self._seen(root[0], root[1], root[1])))
            parts.append(read_thread("follow", lambda: self._truth._follows.get((user_id, log_id))))
        torn = self._is_torn()
        if torn:
            self._world.rng.shuffle(parts)
        state = ChannelState(None, None)
        for part in parts:
            state = part(state)
            if torn:
                self._world.loop.wait(self._world.rng.uniform(0, 8))
        self._world.ledger.channel_state_read(self._container, channel_id, user_id, state, at)
        if root is None:
            return state
        entry = of_thread["root"][0] if of_thread["root"] else None
        follow = of_thread["follow"] if follows else None
        return state.in_thread(of_thread["head"] or Head.of_thread(log_id), entry, follow)

    def read_message_state(
        self, channel_id: str, user_id: str, seq: int, key: str | None = None
    ) -> tuple[ChannelState, Entry | None]:
        """See ``Changes``."""
        return self._call("read_message_state", self._read_message_state, channel_id, user_id, seq, key)

    def _read_message_state(
        self, channel_id: str, user_id: str, seq: int, key: str | None
    ) -> tuple[ChannelState, Entry | None]:
        found: list[Entry] = []
        state = self._read_state_and(
            channel_id,
            user_id,
            key,
            lambda: found.extend(self._seen(channel_id, seq, seq)),
            follows=False,
        )
        return state, found[0] if found else None

    def head(self, channel_id: str) -> Head | None:
        """See ``Log``."""
        return self._call("head", self._head, channel_id)

    def _head(self, channel_id: str) -> Head | None:
        return self._world.unseen.head(channel_id, self._truth.head(channel_id))

    def changes(self, channel_id: str, first: int, last: int, limit: int | None = None) -> list[Change]:
        """See ``Log``."""
        return self._call("changes", self._changes, channel_id, range(first, last + 1))[:limit]

    def changes_at(self, channel_id: str, revs: Sequence[int]) -> list[Change]:
        """See ``Changes``."""
        return self._call("changes_at", self._changes, channel_id, revs)

    def _changes(self, channel_id: str, revs: Sequence[int]) -> list[Change]:
        return self._world.unseen.changes(channel_id, self._truth.changes_at(channel_id, revs))

    def entries_at(self, channel_id: str, seqs: Sequence[int]) -> list[Entry]:
        """See ``Changes``."""
        return self._call("entries_at", self._entries_at, channel_id, seqs)

    def _entries_at(self, channel_id: str, seqs: Sequence[int]) -> list[Entry]:
        return self._world.unseen.seen(channel_id, self._truth.entries_at(channel_id, seqs))

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
            return self._heads_seen(channel_ids)
        found = self._heads_seen(channel_ids[::2])
        self._world.loop.wait(self._world.rng.uniform(0, 8))
        return found | self._heads_seen(channel_ids[1::2])

    def _heads_seen(self, channel_ids: list[str]) -> dict[str, Head]:
        found = {channel_id: self._head(channel_id) for channel_id in channel_ids}
        return {channel_id: head for channel_id, head in found.items() if head is not None}

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
        if isinstance(outcome, Committed):
            ledger = self._world.ledger
            ledger.committed(commit.channel_id, commit.entries, commit.user_id)
            if commit.copy is not None:
                ledger.committed(keys.channel_of_log(commit.channel_id), [commit.copy.entry])
            ledger.followed()
            if self._is_torn():
                self._apply_in_parts(commit)
        return outcome

    def _apply_in_parts(self, commit: Commit) -> None:
        """DynamoDB responds once all is visible, unless its response is lost."""
        self._world.count("transaction seen in part")
        copies = [commit.copy.entry] if commit.copy else []
        self._world.unseen.hide(commit.channel_id, commit.entries)
        self._world.unseen.hide(keys.channel_of_log(commit.channel_id), copies)
        if self._world.chance(LOST_MEANWHILE):
            raise self._failure("after", "commit")
        for entry in commit.entries:
            self._world.unseen.wait_for(commit.channel_id, entry.seq)
        for entry in copies:
            self._world.unseen.wait_for(keys.channel_of_log(commit.channel_id), entry.seq)

    def commit_summary(self, commit: ChangeCommit) -> ChangeOutcome:
        """See ``Changes``."""
        return self.commit_change(commit)

    def commit_change(self, commit: ChangeCommit) -> ChangeOutcome:
        """See ``Changes``."""
        if self._world.chance(self._world.phase.store.contended):
            self._world.count("transaction met another")
            return Contended()
        return self._call("commit_change", self._commit_change, commit)

    def _commit_change(self, commit: ChangeCommit) -> ChangeOutcome:
        parts = [commit, *([commit.summary] if commit.summary else [])]
        for each in parts:
            self._world.unseen.wait_for_change(each.head.channel_id, each.change.seq)
        seen = [self._before(each) for each in parts]
        outcome = self._make_change(commit)
        if isinstance(outcome, Committed):
            for each in parts[::-1]:
                self._world.ledger.changed(each)
            self._world.ledger.followed()
            if self._is_torn():
                self._world.count("change seen in part")
                for each, (head, before) in zip(parts, seen, strict=True):
                    self._world.unseen.hide_change(each, head, before)
                if self._world.chance(LOST_MEANWHILE):
                    raise self._failure("after", "commit_change")
                for each in parts:
                    self._world.unseen.wait_for_all(each.head.channel_id)
        return outcome

    def _before(self, commit: ChangeCommit) -> tuple[Head, list[Entry]]:
        channel_id, seq = commit.head.channel_id, commit.change.seq
        return self._truth.head(channel_id) or commit.head, self._truth.entries(channel_id, seq, seq)

    def _make_change(self, commit: ChangeCommit) -> ChangeOutcome:
        return self._truth.commit_change(commit)

    def follow(self, follow: Follow) -> Follow:
        """See ``Threads``."""
        return self._call("follow", self._and_followed(self._truth.follow), follow)

    def unfollow(self, log_id: str, user_id: str) -> None:
        """See ``Threads``."""
        self._call("unfollow", self._and_followed(self._truth.unfollow), log_id, user_id)

    def _and_followed(self, effect: Callable[..., T]) -> Callable[..., T]:
        def both(*arguments: Any) -> T:
            result = effect(*arguments)
            self._world.ledger.followed()
            return result

        return both

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

    def ban(self, ban: Ban, target: Membership | None, by: Membership) -> bool:
        """See ``Moderation``."""
        return self._call("ban", self._ban, ban, target, by)

    def _ban(self, ban: Ban, target: Membership | None, by: Membership) -> bool:
        was_banned = self._truth.ban_of(ban.channel_id, ban.user_id)
        done = self._truth.ban(ban, target, by)
        if done and not was_banned:
            if target is not None:
                self._world.ledger.left(ban.channel_id, ban.user_id)
            self._world.ledger.banned(ban.channel_id, ban.user_id, is_banned=True)
        return done

    def unban(self, channel_id: str, user_id: str, by: Membership | None = None) -> bool:
        """See ``Moderation``."""
        return self._call("unban", self._unban, channel_id, user_id, by)

    def _unban(self, channel_id: str, user_id: str, by: Membership | None) -> bool:
        done = self._truth.unban(channel_id, user_id, by)
        if done:
            self._world.ledger.banned(channel_id, user_id, is_banned=False)
        return done

    def block(self, block: Block) -> bool:
        """See ``Moderation``."""
        return self._call("block", self._block, block)

    def _block(self, block: Block) -> bool:
        self._world.ledger.blocked(block.user_id, block.other_id, is_blocked=True)
        return self._truth.block(block)

    def unblock(self, user_id: str, other_id: str) -> None:
        """See ``Moderation``."""
        self._call("unblock", self._unblock, user_id, other_id)

    def _unblock(self, user_id: str, other_id: str) -> None:
        self._world.ledger.blocked(user_id, other_id, is_blocked=False)
        self._truth.unblock(user_id, other_id)

    def archive_channel(
        self, channel_id: str, now: int, by: Membership | None = None, *, if_version: int | None = None
    ) -> bool:
        """See ``Channels``."""
        return self._call(
            "archive_channel", partial(self._archive, if_version=if_version), channel_id, now, by
        )

    def _archive(self, channel_id: str, now: int, by: Membership | None, *, if_version: int | None) -> bool:
        before = self._truth.head(channel_id)
        done = self._truth.archive_channel(channel_id, now, by, if_version=if_version)
        self._world.ledger.archived(before, self._truth.head(channel_id))
        return done

    def unarchive_channel(self, head: Head, by: Membership | None = None) -> Head | None:
        """See ``Channels``."""
        return self._call("unarchive_channel", self._unarchive, head, by)

    def _unarchive(self, head: Head, by: Membership | None) -> Head | None:
        before = self._truth.head(head.channel_id)
        current = self._end_archiving(head, by)
        self._world.ledger.archived(before, self._truth.head(head.channel_id), seen=head)
        return current

    def _end_archiving(self, head: Head, by: Membership | None) -> Head | None:
        return self._truth.unarchive_channel(head, by)

    def redact(self, channel_id: str, seq: int, body: bytes) -> None:
        """See ``Erasures``."""
        self._call("redact", self._redact, channel_id, seq, body)

    def rewrite_message(self, channel_id: str, seen: Entry, body: bytes) -> bool:
        """See ``Erasures``."""
        return self._call("rewrite_message", self._rewrite_message, channel_id, seen, body)

    def _rewrite_message(self, channel_id: str, seen: Entry, body: bytes) -> bool:
        made = self._truth.rewrite_message(channel_id, seen, body)
        if made:
            self._world.ledger.rewritten(channel_id, seen.seq, seen.rev, body, is_current=True)
        return made

    def rewrite_change(self, channel_id: str, seen: Change, change: Change) -> bool:
        """See ``Erasures``."""
        return self._call("rewrite_change", self._rewrite_change, channel_id, seen, change)

    def _rewrite_change(self, channel_id: str, seen: Change, change: Change) -> bool:
        made = self._truth.rewrite_change(channel_id, seen, change)
        if made:
            self._world.ledger.rewritten(channel_id, seen.seq, seen.rev, change.body, is_current=False)
        return made

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
        self._world.unseen.wait_for(channel_id, seq)
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
        if name in HEAD_WRITES:
            world.unseen.wait_for_head(_channel_of(arguments[0]))
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


def _channel_of(argument: str | Head | Membership | Ban) -> str:
    return argument if isinstance(argument, str) else argument.channel_id


def _shown(arguments: tuple[Any, ...]) -> str:
    """Arguments short enough for a line of a trace."""
    shown = []
    for each in arguments:
        if isinstance(each, Commit):
            shown.append(f"{each.channel_id} {[entry.seq for entry in each.entries]} by {each.user_id}")
        elif isinstance(each, ChangeCommit):
            change = each.change
            shown.append(
                f"{each.head.channel_id} {change.rev} {change.kind} of {change.seq} by {change.by}"
                f" seen {each.seen.rev}"
            )
        elif isinstance(each, Entry):
            shown.append(f"{each.seq}")
        elif not isinstance(each, Preview):
            shown.append(str(each))
    return " ".join(shown)


LONGEST_MS: Final = 60.0
"""A reader's patience with a hole is 75 ms."""


class Unseen:
    """What transactions wrote and no read sees yet: DynamoDB applies one item after the other.

    A write that meets such an item waits for the transaction; that is what settles holes and replays rely on. A change
    waits for the head, and so for nearly all of the change before it.
    """

    def __init__(self, loop: Loop, rng: Random) -> None:
        self._loop = loop
        self._rng = rng
        self._entries: dict[tuple[str, int], tuple[float, Entry | None]] = {}
        """Until when an entry is not seen, and what is seen in its place."""
        self._heads: dict[str, tuple[float, Head]] = {}
        self._changes: dict[tuple[str, int], float] = {}
        self._ends: dict[str, list[float]] = {}
        """When the last two changes of a channel are seen completely."""

    def hide(self, channel_id: str, entries: Iterable[Entry]) -> None:
        """They come to be seen in any order."""
        for entry in entries:
            self._entries[channel_id, entry.seq] = (self._soon(), None)

    def hide_change(self, commit: ChangeCommit, head: Head, before: Sequence[Entry]) -> None:
        """Head, message and change come to be seen in any order."""
        channel_id, change = head.channel_id, commit.change
        times = [self._soon(), self._soon(), self._soon()]
        self._heads[channel_id] = (times[0], head)
        self._changes[channel_id, change.rev] = times[1]
        if commit.entry is not None:
            self._entries[channel_id, change.seq] = (times[2], before[0])
        self._ends[channel_id] = [*self._ends.get(channel_id, [])[-1:], max(times)]

    def _soon(self) -> float:
        return self._loop.now + self._rng.uniform(0, LONGEST_MS)

    def wait_for(self, channel_id: str, seq: int) -> None:
        """Until the entry there, if there is one, is seen."""
        self._wait(self._entries.get((channel_id, seq), (0.0, None))[0])

    def wait_for_head(self, channel_id: str) -> None:
        """Until the head is seen as it is."""
        while channel_id in self._heads and self._heads[channel_id][0] > self._loop.now:
            self._wait(self._heads[channel_id][0])

    def wait_for_change(self, channel_id: str, seq: int) -> None:
        """Until head and message are seen as they are, and the change before the last one completely."""
        while True:
            before = [end for end in self._ends.get(channel_id, [])[:-1] if end > self._loop.now]
            head, entry = (
                self._heads.get(channel_id, (0.0,))[0],
                self._entries.get((channel_id, seq), (0.0,))[0],
            )
            latest = max(head, entry, *before, 0.0)
            if latest <= self._loop.now:
                return
            self._wait(latest)

    def wait_for_all(self, channel_id: str) -> None:
        """Until the latest change is seen completely."""
        self._wait(max(self._ends[channel_id]))

    def _wait(self, until: float) -> None:
        if until > self._loop.now:
            self._loop.wait(until - self._loop.now)

    def seen(self, channel_id: str, entries: Iterable[Entry]) -> list[Entry]:
        """These entries as they are seen, without those that are not."""
        now, found = self._loop.now, []
        for each in entries:
            until, before = self._entries.get((channel_id, each.seq), (0.0, None))
            shown = before if until > now else each
            if shown is not None:
                found.append(shown)
        return found

    def head(self, channel_id: str, head: Head | None) -> Head | None:
        """A head as it is seen."""
        until, before = self._heads.get(channel_id, (0.0, None))
        return before if until > self._loop.now else head

    def changes(self, channel_id: str, changes: Iterable[Change]) -> list[Change]:
        """Those of these changes that are seen."""
        now = self._loop.now
        return [each for each in changes if self._changes.get((channel_id, each.rev), 0.0) <= now]
