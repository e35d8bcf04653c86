"""The interface of the storage. Its two implementations, ``dynamodb`` and ``memory``, pass the same contract suite.

All reads are strongly consistent, except ``standing`` and those of the two indexes (``members``, ``public_channels``).
Every method may raise ``StoreUnavailableError`` or ``StoreThrottledError``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from shared.domain.changes import Change
from shared.domain.model import (
    Boundary,
    ChannelState,
    Entry,
    Follow,
    Head,
    IdempotencyRecord,
    Member,
    Membership,
    PastMembership,
    Preview,
    Role,
)
from shared.domain.moderation import Ban, Block, Report
from shared.domain.realtime import Connection, Watch


@dataclass(frozen=True, slots=True)
class Reacted:
    """A user's reaction that the message does not show, with the number of the change that made it."""

    user_id: str
    rev: int


@dataclass(frozen=True, slots=True)
class Reservation:
    """``count`` adjacent reserved positions that end at ``seq``; ``messages`` and ``voids`` count up to and with it."""

    seq: int
    messages: int
    count: int
    voids: int = 0


@dataclass(frozen=True, slots=True)
class Copy:
    """A reply's copy in its channel, at a reserved position there."""

    entry: Entry
    move_read: bool
    """Whether the sender's read position in the channel moves to it."""
    voids: int
    """As of ``Commit``, in the channel."""


@dataclass(frozen=True, slots=True)
class Commit:
    """Entries at reserved positions, and what must be written together with them."""

    channel_id: str
    """The log."""
    user_id: str
    entries: Sequence[Entry]
    tat_seen: int
    """The rate state that the rate limit was decided on; if it differs now, the same user has posted since."""
    tat: int
    move_read: bool
    """Whether the sender's read position in the channel moves to the last entry; False if it is already further, and in
    a thread."""
    idempotency_record: IdempotencyRecord | None
    now: int
    voids: int = 0
    """Gaps known up to the last entry, stored with the read position that moves there."""
    mentions: Mapping[str, frozenset[int]] = field(default_factory=dict)
    """The marks (``mention_mark``) that members who are named get, by user id; at most 50 users.

    In a thread they follow it from then on."""
    follow: bool = False
    """Whether the sender begins to follow the thread, with the read position at the last entry."""
    follower: str | None = None
    """Who else begins to follow the thread, where they do not yet."""
    copy: Copy | None = None


@dataclass(frozen=True, slots=True)
class Committed:
    """Everything was written."""


@dataclass(frozen=True, slots=True)
class PositionTaken:
    """One of the positions already has an entry: a void, or this commit's own, if an earlier response was lost."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class MembershipChanged:
    """The membership is gone (None), may not write any more, or its rate state or read position has changed."""

    membership: Membership | None


@dataclass(frozen=True, slots=True)
class AlreadyFollowing:
    """The sender's read position in the thread is at a later reply already; nothing was written."""


@dataclass(frozen=True, slots=True)
class KeyUsed:
    """The idempotency key has been used since."""

    idempotency_record: IdempotencyRecord


@dataclass(frozen=True, slots=True)
class Contended:
    """Another transaction held one of the items; nothing was written, and the same commit may be tried again."""


@dataclass(frozen=True, slots=True)
class MentionedLeft:
    """Some of those who are named are no members any more; nothing was written."""

    users: frozenset[str]


Outcome = (
    Committed | PositionTaken | MembershipChanged | AlreadyFollowing | KeyUsed | MentionedLeft | Contended
)


@dataclass(frozen=True, slots=True)
class ChangeCommit:
    """A change of a message, with all that must change together with it."""

    head: Head
    """As it was read: the change's number is one more than its ``rev``."""
    by: Membership | None
    """The acting member, as read: the write fails if they left, or their role or (with ``tat``) rate state changed.
    None for a thread's summary in its root, which follows from the thread, whoever writes it."""
    seen: Entry
    """The message as it was read: the write fails if it changed since."""
    change: Change
    entry: Entry | None
    """The message after the change; None where it stays as it is, as for pins."""
    preview: str | None = None
    """What the head shows of the message from now on; None where it does not show this one."""
    is_gap: bool = False
    """Whether the position holds no message from now on that counts as unread."""
    pin: bool | None = None
    """Whether the message is to be pinned, or not to be; None where its pin stays."""
    reacted: str | None = None
    """Who reacts with ``change.emoji`` and is not shown in the message itself, as it shows the first ones only."""
    unreacted: str | None = None
    """Who is to be removed from those."""
    mentions: Mapping[str, frozenset[int]] = field(default_factory=dict)
    """As of ``Commit``; of those who are newly named."""
    unmentions: Mapping[str, frozenset[int]] = field(default_factory=dict)
    """Marks that are to go; of who is not named any more."""
    tat: int | None = None
    """The new ``changes_tat`` of the acting member; None where the rate limit does not count the change."""
    idempotency_record: IdempotencyRecord | None = None
    summary: ChangeCommit | None = None
    """A change of the thread's root that is made together with this one."""


@dataclass(frozen=True, slots=True)
class PairBlocked:
    """A direct channel was not created, because one of its members has blocked the other."""

    by: str
    """The first of the members who has."""


@dataclass(frozen=True, slots=True)
class StateChanged:
    """Channel, membership or message are not as they were read; nothing was written, read them again."""


@dataclass(frozen=True, slots=True)
class PinUnchanged:
    """The message was pinned already, or was not pinned; nothing was written."""


@dataclass(frozen=True, slots=True)
class PinsFull:
    """The channel has as many pins as it may; nothing was written."""


ChangeOutcome = Committed | StateChanged | PinUnchanged | PinsFull | KeyUsed | MentionedLeft | Contended


class Expiring(StrEnum):
    """The kinds of items of a log that expire with its messages."""

    ENTRIES = "entries"
    CHANGES = "changes"
    GAPS = "gaps"
    REACTIONS = "reactions"
    """Those that messages do not show."""


class Log(Protocol):
    """A channel's or thread's log, the source of truth. ``channel_id`` is the log's id, see ``keys``."""

    def read_channel_state(self, channel_id: str, user_id: str, key: str | None = None) -> ChannelState:
        """Head, membership and the idempotency record of ``key``, in one round trip; in a thread also ``thread``."""

    def head(self, channel_id: str) -> Head | None:
        """The head alone; of a thread without its channel's settings."""

    def reserve(
        self, channel_id: str, count: int, preview: Preview, *, everybody: bool = False
    ) -> Reservation | Head | None:
        """Reserves ``count`` adjacent positions and sets the preview for the last of them (``preview.seq`` is ignored).

        With ``everybody`` the last position counts as a message that names everybody in the channel. Reserves nothing
        and returns the head if the channel is archived, None if there is no such channel. A thread begins with this.
        """

    def commit(self, commit: Commit) -> Outcome:
        """Writes entries, membership and idempotency record, all or nothing."""

    def void(self, channel_id: str, voids: Sequence[Entry]) -> list[Entry]:
        """Settles holes and returns the entries now there: the given voids, or what a position held already.

        The same step counts each void that it writes in the head, once, and adds it to the head's ``gaps``.
        """

    def list_gaps(self, channel_id: str, gaps: Iterable[int]) -> None:
        """Lists gaps of deleted messages by themselves, as those of voids are; to be called before they are trimmed."""

    def trim_gaps(self, channel_id: str, gaps: Sequence[int], gaps_from: int) -> None:
        """Removes ``gaps``, all up to ``gaps_from``, from the head's ``gaps``, which is complete above it from then on.

        Does nothing if the head's own ``gaps_from`` is already later. May be repeated.
        """

    def gaps(self, channel_id: str, after: int) -> frozenset[int]:
        """The positions of gaps after a position: all that the head does not keep, and some of those that it keeps."""

    def standing(self, positions: Sequence[tuple[str, int]]) -> dict[tuple[str, int], bool]:
        """For each position (channel id, seq): True for a message, False for a void; left out if nothing is seen.

        Eventually consistent: what is seen is final, and a position that is left out may hold an entry all the same.
        """

    def correct_preview(
        self, channel_id: str, seq: int, preview: Preview | None, erasures: int, rev: int = 0
    ) -> bool:
        """Replaces the preview if it is still the one of position ``seq`` (0 for none); returns whether it did.

        Also fails if the head's ``erasures`` or ``rev`` has changed from the numbers that ``preview`` was made under:
        the preview may show a message that was redacted or changed since.
        """

    def move_boundary(self, channel_id: str, seen: Boundary, boundary: Boundary) -> Boundary:
        """Replaces the boundary if it is still ``seen``; returns the one that is there afterwards."""

    def entries(self, channel_id: str, first: int, last: int) -> list[Entry]:
        """The entries from ``first`` to ``last``, both included, in order; holes are left out."""

    def changes(self, channel_id: str, first: int, last: int, limit: int | None = None) -> list[Change]:
        """The changes of these numbers, both included, in order; at most the first ``limit`` that there are."""

    def latest_entries(self, channel_id: str, up_to: int, limit: int) -> list[Entry]:
        """The last ``limit`` entries up to position ``up_to``, the latest first."""

    def entry_after(self, channel_id: str, seq: int) -> Entry | None:
        """The first entry after a position."""


class Changes(Protocol):
    """The change log of a channel or thread, and what changes with it. ``channel_id`` as of ``Log``."""

    def read_message_state(
        self, channel_id: str, user_id: str, seq: int, key: str | None = None
    ) -> tuple[ChannelState, Entry | None]:
        """As ``read_channel_state``, with the entry at a position, in one round trip; without a thread's ``follow``."""

    def commit_change(self, commit: ChangeCommit) -> ChangeOutcome:
        """Gives out the change's number and makes the change, all or nothing."""

    def commit_summary(self, commit: ChangeCommit) -> ChangeOutcome:
        """As ``commit_change``, for a thread's summary alone: writes nothing but the channel's log."""

    def changes_at(self, channel_id: str, revs: Sequence[int]) -> list[Change]:
        """The changes of these numbers, in no order."""

    def entries_at(self, channel_id: str, seqs: Sequence[int]) -> list[Entry]:
        """The entries at these positions, in no order."""

    def members_of(self, channel_id: str, user_ids: Iterable[str]) -> dict[str, Membership]:
        """The memberships of these users in a channel, of a thread with the read positions in it.

        Of who is no member there is none.
        """

    def pins(self, channel_id: str) -> dict[int, int]:
        """The positions of pinned messages, each with the number of the change that pinned it."""

    def has_reacted(self, channel_id: str, seq: int, emoji: str, user_id: str) -> bool:
        """Whether a user is among those who reacted and are not shown in the message."""

    def reacted(self, channel_id: str, seq: int, emoji: str, limit: int, after: str | None) -> list[Reacted]:
        """Who reacted and is not shown in the message, by user id, after a user id."""

    def forget_mentions(self, channel_id: str, user_id: str, marks: Iterable[int]) -> None:
        """Removes marks of mentions from a membership, in a thread from what is followed of it, if there is one.

        May be repeated.
        """


class Threads(Protocol):
    """The threads that users follow. No method looks whether they are members of the channel."""

    def follow(self, follow: Follow) -> Follow:
        """Follows a thread; returns what is followed afterwards: a read position from before stays."""

    def unfollow(self, log_id: str, user_id: str) -> None:
        """Ends it; may be repeated."""

    def follows(self, user_id: str) -> list[Follow]:
        """All threads that a user follows."""

    def move_thread_position(
        self, log_id: str, user_id: str, seq: int, messages: int, *, force: bool, voids: int = 0
    ) -> Follow | None:
        """As ``move_read_position``, in a thread; None if the user does not follow it."""


class Channels(Protocol):
    """Heads and the lists of them."""

    def memberships(self, user_id: str) -> list[Membership]:
        """All memberships of a user."""

    def count_memberships(self, user_id: str, limit: int) -> int:
        """How many channels a user is in, at most ``limit``."""

    def spend(self, user_id: str, minute: int, units: int, limit: int) -> bool:
        """Adds read units to those that a user's expensive reads have cost in ``minute`` (minutes since 1970).

        Returns False and adds nothing if they are ``limit`` or more already. So the last request that passes may exceed
        the limit, and no single request is too expensive to pass. A write that the client sends again may count twice.
        """

    def heads(self, channel_ids: Iterable[str]) -> dict[str, Head]:
        """The heads of these channels; unknown ones are left out."""

    def roles(self, user_id: str, channel_ids: Iterable[str]) -> dict[str, Membership]:
        """The user's memberships in these channels."""

    def public_channels(self, limit: int, after: tuple[str, str] | None) -> list[tuple[str, str]]:
        """``(name key, channel id)`` of public, unarchived channels in order of name, after the given pair; may lag."""

    def reserve_key(self, key_id: str, request_hash: bytes) -> bytes:
        """Reserves an idempotency key for a channel's creation, for ever; returns the first request's hash.

        Args:
            key_id: a hash of user and key, so that neither remains after the user is erased.
            request_hash: the hash of the current request.
        """

    def create_channel(self, head: Head, memberships: Sequence[Membership]) -> Head | PairBlocked | None:
        """Creates the channel and its memberships; returns None, or the existing head if the channel already exists.

        A direct channel of two users is not created while one of them blocks the other.
        """

    def update_channel(
        self,
        channel_id: str,
        changes: Mapping[str, str | int | None],
        if_version: int | None,
        by: Membership | None = None,
    ) -> Head | None:
        """Sets fields of the head, None removes one; returns the head with this change and any made since.

        None if the channel is archived or missing, its version is not ``if_version``, or ``by`` has changed (see
        ``Members``). A repeated write whose first response was lost still returns the head: the one that exactly these
        changes made from ``if_version``.
        """

    def archive_channel(
        self, channel_id: str, now: int, by: Membership | None = None, *, if_version: int | None = None
    ) -> bool:
        """Makes the channel read-only, once; returns whether it is archived afterwards.

        False if there is no such channel, ``by`` has changed (see ``Members``), or the channel is not archived and its
        version is not ``if_version``.
        """

    def unarchive_channel(self, head: Head, by: Membership | None = None) -> Head | None:
        """Ends the archiving that ``head`` shows, and lists a public channel again in the same step; returns the head.

        Writes nothing if the channel is not archived any more, and returns its head. None if there is no such channel,
        ``by`` has changed (see ``Members``), or the channel was unarchived and archived again since ``head`` was read.
        """


class Members(Protocol):
    """Memberships.

    ``by`` is the acting member's own membership; the write fails if it has ended or its role has changed since. It is
    None where users act on their own membership, and for operators.
    """

    def members(self, channel_id: str, limit: int, after: str | None) -> list[Member]:
        """Members in order of user id, after the given user id; may lag."""

    def membership(self, channel_id: str, user_id: str) -> Membership | None:
        """One membership."""

    def past_membership(self, channel_id: str, user_id: str) -> PastMembership | None:
        """The user's latest past membership, even if they are a member again; None once it is forgotten."""

    def add_member(
        self, membership: Membership, by: Membership | None = None
    ) -> Membership | PastMembership | None:
        """Adds a member and counts it in the head.

        Returns:
            The given object itself (``is``) if the member was added. Otherwise nothing was written:
            the existing membership, always another object, if the user is a member already;
            the past membership, if it ended with a later rate state than ``membership`` has, so that leaving and
            joining again does not reset the rate limit, or if the user is banned;
            None if the channel is archived or missing, or ``by`` has changed.
        """

    def change_role(self, membership: Membership, role: Role, by: Membership | None = None) -> bool:
        """Gives a member another role; False if their role or ``by`` has changed, or the last owner would be lost."""

    def remove_member(
        self, membership: Membership, by: Membership | None = None, *, even_last_owner: bool = False
    ) -> bool:
        """Removes a member and stores a past membership, with the rate state of the member's very last post.

        False if the member's role or ``by`` has changed, or the last owner would be lost. With ``even_last_owner`` the
        last owner of an archived channel is removed too.

        Raises:
            ContentionError: the member kept posting during every try.
        """

    def move_read_position(
        self, channel_id: str, user_id: str, seq: int, messages: int, *, force: bool, voids: int = 0
    ) -> Membership | None:
        """Moves the read position forward (with ``force`` also back); returns the membership afterwards, or None.

        ``messages`` is how many positions up to ``seq`` were given to messages, ``voids`` how many of them are gaps.
        """

    def mute(self, channel_id: str, user_id: str, *, muted: bool) -> Membership | None:
        """Mutes a channel for a member, or ends that; returns the membership afterwards, None if there is none."""

    def ping(self) -> None:
        """Makes the storage's cheapest read."""


class Moderation(Protocol):
    """Blocks, bans and reports. ``by`` as of ``Members``."""

    def block(self, block: Block) -> bool:
        """Blocks a user and marks both memberships of the pair's direct channel; False if they are blocked already.

        What is committed in that channel is committed before this or fails.

        Raises:
            ContentionError: the channel was created or erased during every try.
        """

    def unblock(self, user_id: str, other_id: str) -> None:
        """Removes a user's block of another one, and its marks; does nothing if there is none.

        Raises:
            ContentionError: as ``block``.
        """

    def blocks(self, user_id: str) -> list[Block]:
        """Whom a user blocks, by user id."""

    def ban(self, ban: Ban, target: Membership | None, by: Membership) -> bool:
        """Bans a user, and ends the membership ``target``, which is None for a user who is no member.

        The user cannot join from then on. Changes nothing if the user is banned already. False if the target's role or
        ``by`` has changed, the user has joined or left since, or the last owner would be lost.

        Raises:
            ContentionError: the member kept posting during every try.
        """

    def unban(self, channel_id: str, user_id: str, by: Membership | None = None) -> bool:
        """Lifts a ban, if there is one; False if ``by`` has changed."""

    def ban_of(self, channel_id: str, user_id: str) -> Ban | None:
        """One ban."""

    def bans(self, channel_id: str, limit: int, after: str | None) -> list[Ban]:
        """Bans by user id, after a user id."""

    def add_report(self, report: Report, limit: int) -> str | None:
        """Stores an open report: its id, or that of the reporter's earlier report of the same message.

        None if the channel has ``limit`` open ones.
        """

    def report(self, channel_id: str, report_id: str) -> Report | None:
        """One report."""

    def reports(self, channel_id: str, limit: int, after: str | None, *, is_open: bool) -> list[Report]:
        """Open or closed reports by time, after the report with this id."""

    def close_report(self, closed: Report, by: Membership) -> bool:
        """Stores an open report as closed; False if it is not open, its reporter was erased, or ``by`` has changed."""


class Erasures(Protocol):
    """The operations that erase users and expired messages; only operators' tools call them, no function does."""

    def past_memberships(self, user_id: str) -> list[PastMembership]:
        """A user's past memberships, also of channels that they have joined again."""

    def forget_past_membership(self, user_id: str, past_membership: PastMembership) -> None:
        """Deletes a past membership, unless a later membership in the same channel has ended since."""

    def redact(self, channel_id: str, seq: int, body: bytes) -> None:
        """Replaces a message's body; does nothing if there is no message at the position.

        Changes of the message fail from then on, and its earlier versions are no longer found.
        """

    def rewrite_message(self, channel_id: str, seen: Entry, body: bytes) -> bool:
        """Replaces a message's body without a change of it, and increments ``Entry.rewrites``.

        Returns False, and writes nothing, if the message was changed, rewritten or redacted since it was read.
        """

    def rewrite_change(self, channel_id: str, seen: Change, change: Change) -> bool:
        """Replaces ``by``, ``body`` and ``before`` of a change; False if they are not as they were read."""

    def blockers(self, user_id: str) -> list[str]:
        """Who blocks a user, by user id."""

    def reports_made(self, user_id: str) -> list[tuple[str, str]]:
        """The messages that a user has reported, each with the report's id."""

    def forget_report_made(self, user_id: str, message_id: str) -> None:
        """Deletes the record that a user has reported a message."""

    def forget_moderator(self, channel_id: str, user_id: str) -> None:
        """Replaces a user in a channel's bans and reports, and removes what the user wrote there.

        Bans of the user stay: see ``Moderation.unban``.
        """

    def forget_reactions(self, channel_id: str, user_id: str) -> None:
        """Deletes a user's reactions that messages do not show; the counts in the messages stay."""

    def count_erasure(self, channel_id: str, user_id: str) -> Head | None:
        """Increments ``erasures``, and replaces the channel's creator if it is the user; returns the head afterwards.

        Call it after the messages are redacted, never before: what is read under the new number is cached.
        """

    def sweep(
        self, kind: Expiring, head: Head, first: int, last: int, now: int, *, dry_run: bool = False
    ) -> int:
        """Deletes items of a log that have expired and that DynamoDB does not delete by now; returns how many.

        May be repeated. Never deletes what is after the head's boundary, whatever the range.

        Args:
            kind: which items.
            head: with the boundary that the storage has.
            first: their first position; of changes their first number.
            last: the last one, included.
            now: milliseconds since 1970. An item that may be deleted by then is left to DynamoDB.
            dry_run: whether they are only counted.
        """


@dataclass(frozen=True, slots=True)
class TooManyWatches:
    """The connection would have more watches than it may; nothing was written."""


@dataclass(frozen=True, slots=True)
class ConnectionEnded:
    """The connection is not there any more; nothing was written."""


@dataclass(frozen=True, slots=True)
class NotMembers:
    """The user is no member of these channels any more; nothing was written."""

    channel_ids: frozenset[str]


WatchOutcome = Committed | TooManyWatches | ConnectionEnded | NotMembers


class Realtime(Protocol):
    """Tickets, connections and watches. ``now`` is in milliseconds since 1970, ``expires`` in seconds.

    What has expired is not found, whether DynamoDB has deleted it or not.
    """

    def add_ticket(self, ticket_hash: str, user_id: str, expires: int) -> None:
        """Stores a ticket by its hash, for one use."""

    def take_ticket(self, ticket_hash: str, now: int) -> str | None:
        """Uses a ticket up; returns its user. None if it is unknown, expired or used."""

    def open_connection(self, connection: Connection) -> None:
        """Stores a connection without watches. May be repeated before its first watch."""

    def connection(self, connection_id: str, now: int) -> Connection | None:
        """One connection."""

    def connections_of(self, user_id: str, now: int) -> list[Connection]:
        """A user's connections, the oldest first, without their watches. One that has just ended may be among them."""

    def close_connection(self, connection: Connection) -> None:
        """Ends the watches of a connection, those that are stored and those that are given, then the connection.

        May be repeated, and only ``connection_id`` and ``user_id`` need to be right.
        """

    def watch(self, connection: Connection, watches: Sequence[Watch], limit: int) -> WatchOutcome:
        """Begins watches of a connection, all or none, on condition that the user is a member of each channel.

        A watch that is there already is replaced. With more than ``limit`` watches nothing is written: those count,
        too, that have ended without ``unwatch``.

        Raises:
            ContentionError: the memberships or the connection kept changing during every try.
        """

    def unwatch(self, connection: Connection, log_ids: Sequence[str]) -> None:
        """Ends watches of a connection. May be repeated.

        Raises:
            ContentionError: as ``watch``.
        """

    def watches(self, channel_id: str, now: int, user_id: str | None = None) -> list[Watch]:
        """The watches of a channel and of its threads, by user, connection and log; of one user if one is given."""

    def end_watches(self, channel_id: str, user_id: str | None = None) -> None:
        """Ends all watches of a channel and its threads, or one user's.

        Call it after the membership has ended: no watch begins from then on, so none is left.
        """

    def watched_numbers(self, connection: Connection, now: int) -> dict[str, tuple[int, int] | None]:
        """``seq`` and ``rev`` of each of ``connection.watches``; None where the watch has ended.

        Eventually consistent.
        """

    def may_type(self, watch: Watch, now: int, interval_ms: int) -> bool:
        """Records that a connection's user types in a log.

        False if the connection does not watch it live any more, or its user has typed there within ``interval_ms``.
        """


class Store(Log, Changes, Threads, Channels, Members, Moderation, Erasures, Realtime, Protocol):
    """The whole storage."""
