"""What happened in a world, complete and in order."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from shared.domain import keys
from shared.domain.changes import ChangeKind, reactions_of, summary_of
from shared.domain.model import ChannelState, Entry, Head
from shared.storage.protocol import ChangeCommit, Reservation
from tests.simulation.pages import WrongError

if TYPE_CHECKING:
    from tests.simulation.containers import Container
    from tests.simulation.world import World

LONGEST_REQUEST_MS: Final = 60_000
"""Longer than any request runs, even in a container that pauses."""


@dataclass
class Log:
    """What the judge knows of a channel's or thread's log."""

    given_at: dict[int, float] = field(default_factory=dict)
    """When each position was given out."""
    acknowledged: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    """Position: the number of the acknowledgement, and the message as it was posted."""
    last_acknowledged: int = 0
    seen: dict[int, bool] = field(default_factory=dict)
    """Whether any reader was shown a message at a position, or a void."""
    history: dict[int, list[tuple[int, bytes]]] = field(default_factory=dict)
    """Position: the message as it was posted, and after each of its changes, with the change's number."""
    redacted: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)
    """Position: the message before its redaction, and since."""
    rewritten: set[int] = field(default_factory=set)
    """Positions of messages from which an erased user's id was taken."""
    erased: dict[int, int] = field(default_factory=dict)
    """Position: the number of the erasure that redacted it."""
    deleted: dict[int, int] = field(default_factory=dict)
    """Position of a deleted message: the change that deleted it."""
    edits: Counter[str] = field(default_factory=Counter)
    """How often a text came to be by an edit."""
    texts: dict[int, str] = field(default_factory=dict)
    """Position: the text that the last edit gave the message."""
    reactions: dict[tuple[int, str], list[str]] = field(default_factory=dict)
    """Position and emoji: who reacts."""
    pins: dict[int, int] = field(default_factory=dict)
    """Position of a pinned message: the change that pinned it."""
    rev_of: dict[tuple[ChangeKind, int, str, str], int] = field(default_factory=dict)
    """The last change of a kind, of a position, by a user, with an emoji."""
    changes_acknowledged: list[tuple[float, int]] = field(default_factory=list)
    """When each change was acknowledged, and its number."""
    last_rev_acknowledged: int = 0

    def original(self, seq: int, body: bytes) -> bytes:
        """A message as it was posted."""
        before, after = self.redacted.get(seq, (b"", b""))
        body = before if body == after else body
        versions = self.history.get(seq, [])
        return versions[0][1] if any(body == each for _, each in versions) else body

    def is_erased(self, seq: int, asked: Asked) -> bool:
        """Whether the message's erasure had been acknowledged when a request began."""
        return self.erased.get(seq, asked.erasures + 1) <= asked.erasures

    def due(self, seq: int, rev: int) -> int:
        """The last change of a message up to a number; 0 if there is none."""
        return max((each for each, _ in self.history.get(seq, ()) if each <= rev), default=0)

    def rev_acknowledged_before(self, at: float) -> int:
        """The number of the last change that was acknowledged before a time."""
        return max((rev for when, rev in self.changes_acknowledged if when < at), default=0)


@dataclass
class Editing:
    """One edit that a client wants made, whatever number of attempts it takes."""

    channel_id: str
    seq: int
    text: str
    key: str | None
    may_stand: bool = False
    acknowledged: bool = False


@dataclass
class Writing:
    """One message or batch that a client posts, in any number of attempts."""

    channel_id: str
    texts: list[str]
    key: str | None
    may_stand: bool = False
    """Whether an attempt was acknowledged, or ended without saying what came of it."""
    response: list[bytes] | None = None
    also_in_channel: bool = False


@dataclass(frozen=True)
class Asked:
    """The state when a request began; ``channel_id`` is the log's id."""

    container: Container
    user_id: str
    channel_id: str
    at: float
    acknowledgements: int
    erasures: int
    last_acknowledged: int
    head_seq: int
    last_rev_acknowledged: int
    is_member: bool
    is_archived: bool
    changes: int
    failures: int
    is_kept_out: bool
    order: int


class Ledger:
    """Records every effect when it happens.

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
        """When a container last read a channel's state for a user and found a membership."""
        self.writings: list[Writing] = []
        self.editings: list[Editing] = []
        self.marks: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
        """The messages of a channel that name a user, since the user joined."""
        self.unsure: set[tuple[str, str, int]] = set()
        """Messages that name a user who came or left at about that time, so that either is right."""
        self.joins: Counter[tuple[str, str]] = Counter()
        """How often a user, named after a channel, became a member of it."""
        self.counted: dict[tuple[str, int], float] = {}
        """When a channel's redactions were so many for the first time."""
        self.archivings: defaultdict[str, list[tuple[float, bool]]] = defaultdict(list)
        """When each channel was archived (True) or unarchived."""
        self.forged_until = 0.0
        """When what somebody put into Redis expires there, unless it was read before."""
        self._changes: Counter[tuple[str, str]] = Counter()
        self.bans: set[tuple[str, str]] = set()
        """Channels and the users who are banned from them."""
        self.blocks: set[tuple[str, str]] = set()
        """Users and whom they block; all of the pair."""
        self.order = 0
        """Counts bans and blocks that came or went."""
        self.follows: set[tuple[str, str]] = set()
        """By user and thread, as ``MemoryStore`` has them."""
        self.followed_at: dict[tuple[str, str], float] = {}
        """When a user began or ceased to follow a thread last."""
        self.unfollowed: set[tuple[str, str]] = set()
        """Who ever ceased to."""

    def reservation(self, channel_id: str, reservation: Reservation) -> None:
        """Positions were given out."""
        given = self.logs[channel_id].given_at
        for seq in range(reservation.seq - reservation.count + 1, reservation.seq + 1):
            given[seq] = self.world.loop.now

    def committed(self, channel_id: str, entries: Iterable[Entry], sender: str | None = None) -> None:
        """Messages came to stand; a sender must be a member at this moment."""
        self._not_blocked(channel_id)
        if sender is not None and keys.channel_of_log(channel_id) not in self.members[sender]:
            self.world.violate(f"{sender} posted to {channel_id} without being in the channel")
        log = self.logs[channel_id]
        for entry in entries:
            if entry.body is not None:
                log.history[entry.seq] = [(0, entry.body)]
                self._mark(channel_id, entry.seq, *_named(entry.body))

    def changed(self, commit: ChangeCommit) -> None:
        """A change was made."""
        channel_id, change = commit.head.channel_id, commit.change
        self._not_blocked(channel_id, change.kind)
        log, seq = self.logs[channel_id], change.seq
        log.rev_of[change.kind, seq, change.by, change.emoji] = change.rev
        if change.body is not None:
            versions = log.history.setdefault(seq, [(commit.seen.rev, commit.seen.body or b"")])
            before = versions[-1][1]
            versions.append((change.rev, change.body))
        reacting = log.reactions.setdefault((seq, change.emoji), [])
        match change.kind:
            case ChangeKind.EDITED:
                log.texts[seq] = json.loads(change.body or b"")["text"]
                log.edits[log.texts[seq]] += 1
                users, sender = _named(change.body or b"")
                self._unmark(channel_id, seq, set(_named(before)[0]) - set(users))
                self._mark(channel_id, seq, [each for each in users if each not in _named(before)[0]], sender)
            case ChangeKind.DELETED:
                log.deleted[seq] = change.rev
                self._unmark(channel_id, seq, set(self.world.users))
                if keys.is_thread(channel_id):
                    self._summarized(channel_id)
            case ChangeKind.REACTION_ADDED if change.by not in reacting:
                reacting.append(change.by)
            case ChangeKind.REACTION_REMOVED if change.by in reacting:
                reacting.remove(change.by)
            case ChangeKind.PINNED:
                log.pins[seq] = change.rev
            case ChangeKind.UNPINNED:
                log.pins.pop(seq, None)
            case ChangeKind.THREAD:
                self._summarized(keys.message_id(channel_id, seq))
            case _:
                self.world.violate(f"{change.kind} of {seq} by {change.by} was made twice")

    def followed(self) -> None:
        """Whoever may have begun or ceased to follow a thread: the storage shows who did."""
        now = set(self.truth._follows)
        for user_id, log_id in now ^ self.follows:
            self.followed_at[user_id, log_id] = self.world.loop.now
        for user_id, log_id in self.follows - now:
            self.unfollowed.add((user_id, log_id))
            self.marks.pop((log_id, user_id), None)
        self.follows = now

    def replies(self, log_id: str) -> list[dict[str, Any]]:
        """The replies of a thread that stand and are not deleted, in order: they may be committed in another one."""
        deleted, log = self.logs[log_id].deleted, sorted(self.truth.log(log_id).items())
        return [json.loads(each.body) for seq, each in log if each.body and seq not in deleted]

    def _summarized(self, log_id: str) -> None:
        """A root's summary, or what it counts, has changed: it may lag behind the truth, but never passes it."""
        root = keys.root_of(log_id)
        body = self.truth.log(root[0])[root[1]].body if root else None
        summary, replies = summary_of(body) if body else None, self.replies(log_id)
        if summary is None:
            return
        if summary.count > len(replies):
            self.world.violate(f"{log_id} is said to have {summary.count} replies, {len(replies)} stand")
        # An erasure that is under way has redacted some of its replies already.
        redacted = [json.loads(before) for before, _ in self.logs[log_id].redacted.values()]
        strangers = set(summary.repliers) - {each["sender"] for each in [*replies, *redacted]}
        if strangers:
            self.world.violate(f"{strangers} are said to have replied in {log_id}")

    def change_acknowledged(self, channel_id: str, rev: int) -> None:
        """A client was told that a change is made: from now on every reader must see it."""
        log = self.logs[channel_id]
        log.changes_acknowledged.append((self.world.loop.now, rev))
        log.last_rev_acknowledged = max(log.last_rev_acknowledged, rev)

    def _mark(self, channel_id: str, seq: int, users: Sequence[str], sender: str) -> None:
        for user_id in users:
            is_told = keys.is_thread(channel_id) or channel_id in self.members[user_id]
            if user_id != sender and is_told:
                self.marks[channel_id, user_id].add(seq)
            changed_at = self.changed_at.get((channel_id, user_id), 0.0)
            if self.world.loop.now - changed_at < LONGEST_REQUEST_MS:
                self.unsure.add((channel_id, user_id, seq))

    def _unmark(self, channel_id: str, seq: int, users: Iterable[str]) -> None:
        for user_id in users:
            self.marks[channel_id, user_id].discard(seq)

    def _not_blocked(self, channel_id: str, kind: ChangeKind | None = None) -> None:
        # A summary is written by nobody's right, as it only says what is there.
        is_summary = kind is ChangeKind.THREAD
        if self.blocks and not is_summary and keys.channel_of_log(channel_id) == self.world.direct:
            self.world.violate(f"written in the direct channel while {sorted(self.blocks)} block")

    def banned(self, channel_id: str, user_id: str, *, is_banned: bool) -> None:
        """A ban began or ended."""
        (self.bans.add if is_banned else self.bans.discard)((channel_id, user_id))
        self.order += 1

    def blocked(self, user_id: str, other_id: str, *, is_blocked: bool) -> None:
        """A block began or ended."""
        (self.blocks.add if is_blocked else self.blocks.discard)((user_id, other_id))
        self.order += 1

    def joined(self, channel_id: str, user_id: str) -> None:
        """A membership began."""
        if (channel_id, user_id) in self.bans:
            self.world.violate(f"{user_id} joined {channel_id}, from which they are banned")
        self.members[user_id].add(channel_id)
        self.joins[channel_id, user_id] += 1
        self._changed(channel_id, user_id)

    def left(self, channel_id: str, user_id: str) -> None:
        """A membership ended."""
        self.members[user_id].discard(channel_id)
        self.marks.pop((channel_id, user_id), None)
        self._changed(channel_id, user_id)

    def redacted(self, channel_id: str, seq: int, before: bytes, after: bytes) -> None:
        """A message was written anew; whoever reads it again may see either, until the erasure is acknowledged."""
        self.logs[channel_id].redacted.setdefault(seq, (before, after))

    def rewritten(
        self, channel_id: str, seq: int, rev: int, after: bytes | None, *, is_current: bool
    ) -> None:
        """An erased user's id was taken from a message as it is, or as it was after a change."""
        log = self.logs[channel_id]
        log.rewritten.add(seq)
        if after is None:
            return
        log.history.setdefault(seq, []).append((rev, after))
        for each in reactions_of(after) if is_current else ():
            log.reactions[seq, each.emoji] = list(each.users)

    def archived(self, before: Head | None, after: Head | None, *, seen: Head | None = None) -> None:
        """A channel was archived, or unarchived as one that was read as ``seen``; or nothing was written."""
        if before is None or after is None or before == after:
            return
        was, is_ = before.archived_at is not None, after.archived_at is not None
        if was is is_ or after.version != before.version + 1:
            self.world.violate(f"{before.channel_id} was {'archived' if is_ else 'unarchived'} twice")
        if seen is not None and seen.version != before.version:
            self.world.violate(f"an archiving of {before.channel_id} was ended that was not read")
        self.archivings[before.channel_id].append((self.world.loop.now, is_))

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
            self.stale_fallback[container.name, keys.channel_of_log(channel_id), user_id] = at

    def asked(self, container: Container, user_id: str, channel_id: str) -> Asked:
        """A request begins."""
        head, channel = self.truth.head(channel_id), self.truth.head(keys.channel_of_log(channel_id))
        log = self.logs[channel_id]
        return Asked(
            container=container,
            user_id=user_id,
            channel_id=channel_id,
            at=self.world.loop.now,
            acknowledgements=self.acknowledgements,
            erasures=self.erasures,
            last_acknowledged=log.last_acknowledged,
            last_rev_acknowledged=log.last_rev_acknowledged,
            head_seq=head.seq if head else 0,
            is_member=keys.channel_of_log(channel_id) in self.members[user_id],
            is_archived=channel is not None and channel.archived_at is not None,
            changes=self._changes[keys.channel_of_log(channel_id), user_id],
            failures=container.failures,
            is_kept_out=self.is_kept_out(channel_id, user_id),
            order=self.order,
        )

    def some_member(self, log_id: str) -> str | None:
        """The first of the users who is in a log's channel."""
        channel_id = keys.channel_of_log(log_id)
        return next((user for user in self.world.users if channel_id in self.members[user]), None)

    def is_kept_out(self, channel_id: str, user_id: str) -> bool:
        """Whether a user may not join a channel, or not write in it."""
        is_blocked = bool(self.blocks) and keys.channel_of_log(channel_id) == self.world.direct
        return is_blocked or (channel_id, user_id) in self.bans

    def was_archived(self, asked: Asked, *, archived: bool) -> bool:
        """Whether the channel was archived, or was not, at any time since a request began."""
        since = [
            state for at, state in self.archivings[keys.channel_of_log(asked.channel_id)] if at >= asked.at
        ]
        return archived in {asked.is_archived, *since}

    def unchanged(self, asked: Asked) -> bool:
        """Whether the caller's membership is what it was when the request began, and was all the time."""
        return self._changes[keys.channel_of_log(asked.channel_id), asked.user_id] == asked.changes


def _named(body: bytes) -> tuple[list[str], str]:
    """The users who are told that a message names them, and its sender; a reply's copy tells nobody."""
    message = json.loads(body)
    return [] if "reply_id" in message else message.get("mentions", []), message["sender"]
