"""What the use cases ask of a storage. Two implementations pass the same contract suite: ``dynamodb`` and ``memory``.

All reads are strongly consistent but ``standing`` and those of the two indexes (``members``, ``public_channels``).
Every method may raise ``StoreUnavailableError`` or ``StoreThrottledError``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from shared.domain.changes import Change
from shared.domain.model import (
    ChannelState,
    Entry,
    Head,
    IdempotencyRecord,
    Member,
    Membership,
    PastMembership,
    Preview,
    Role,
)


@dataclass(frozen=True, slots=True)
class Reacted:
    """A user's reaction that the message does not show, with the number of the change that made it."""

    user_id: str
    rev: int


@dataclass(frozen=True, slots=True)
class Reservation:
    """Positions given out: the last of ``count`` adjacent ones, and the numbers of messages and gaps up to it."""

    seq: int
    messages: int
    count: int
    voids: int = 0


@dataclass(frozen=True, slots=True)
class Commit:
    """Entries at positions taken before, with what must change together with them."""

    channel_id: str
    user_id: str
    entries: Sequence[Entry]
    tat_seen: int
    """The rate state the decision was made on; another one now means that the same user posted meanwhile."""
    tat: int
    move_read: bool
    """Whether the sender's read position moves to the last entry; False where it is already further."""
    idempotency_record: IdempotencyRecord | None
    now: int
    voids: int = 0
    """Gaps known up to the last entry, for the read position that moves there."""
    mentions: Mapping[str, frozenset[int]] = field(default_factory=dict)
    """The marks (``mention_mark``) that members who are named get, by user id; at most 50 users."""


@dataclass(frozen=True, slots=True)
class Committed:
    """All of it stands."""


@dataclass(frozen=True, slots=True)
class PositionTaken:
    """Something stands at one of the positions: a void, or this very commit, whose answer was lost."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class MembershipChanged:
    """The membership is gone (None), or its rate state or read position moved meanwhile."""

    membership: Membership | None


@dataclass(frozen=True, slots=True)
class KeyUsed:
    """The idempotency key was used meanwhile."""

    idempotency_record: IdempotencyRecord


@dataclass(frozen=True, slots=True)
class Contended:
    """It met another transaction on the same items; nothing was written, it may be tried as it is."""


@dataclass(frozen=True, slots=True)
class MentionedLeft:
    """Some of those who are named are no members any more; nothing was written."""

    users: frozenset[str]


Outcome = Committed | PositionTaken | MembershipChanged | KeyUsed | MentionedLeft | Contended


@dataclass(frozen=True, slots=True)
class ChangeCommit:
    """A change of a message, with all that must change together with it."""

    head: Head
    """As it was read: the change's number is one more than its ``rev``."""
    by: Membership
    """The acting member, as read: the write fails if they left or their role changed since."""
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
    idempotency_record: IdempotencyRecord | None = None


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


class Log(Protocol):
    """A channel's log: the truth."""

    def read_channel_state(self, channel_id: str, user_id: str, key: str | None = None) -> ChannelState:
        """Head, membership, and the receipt of ``key``, in one round trip."""

    def head(self, channel_id: str) -> Head | None:
        """The head alone."""

    def reserve(
        self, channel_id: str, count: int, preview: Preview, *, everybody: bool = False
    ) -> Reservation | Head | None:
        """Gives out ``count`` adjacent positions and shows ``preview`` for the last (its ``seq`` is ignored).

        With ``everybody`` the last one is noted as a message that names everybody in the channel.

        The head where the channel is archived, None where there is no such channel; then nothing was given out.
        """

    def commit(self, commit: Commit) -> Outcome:
        """Writes entries, membership and receipt, all or nothing."""

    def void(self, channel_id: str, voids: Sequence[Entry]) -> list[Entry]:
        """Settles holes: the entries that stand there now, each the void given or what was there before it.

        Each void that comes to stand is counted in the head in the same step, once, and is one of its ``gaps``.
        """

    def list_gaps(self, channel_id: str, gaps: Iterable[int]) -> None:
        """Lists gaps of deleted messages by themselves, as those of voids are; to be called before they are trimmed."""

    def trim_gaps(self, channel_id: str, gaps: Sequence[int], gaps_from: int) -> None:
        """Removes positions up to ``gaps_from`` from the head's ``gaps``, which is complete above it from then on.

        Nothing where it is complete only above a later position by then. May be repeated.
        """

    def gaps(self, channel_id: str, after: int) -> frozenset[int]:
        """Positions of gaps after a position: all that the head does not keep any more, and some of those it keeps."""

    def standing(self, positions: Sequence[tuple[str, int]]) -> dict[tuple[str, int], bool]:
        """Of positions (channel id, seq): True for a message, False for a void; what is not seen is left out.

        Eventually consistent: what is seen stands for ever, what is not seen may stand all the same.
        """

    def correct_preview(
        self, channel_id: str, seq: int, preview: Preview | None, erasures: int, rev: int = 0
    ) -> bool:
        """Replaces the preview, if it is still that of position ``seq`` (0 where there was none); whether it was.

        Not if messages were redacted since ``erasures``, or changed since ``rev``, under which the preview was made: it
        may show one of them.
        """

    def entries(self, channel_id: str, first: int, last: int) -> list[Entry]:
        """The entries from ``first`` to ``last``, both included, in order; holes are left out."""

    def changes(self, channel_id: str, first: int, last: int) -> list[Change]:
        """The changes of these numbers, both included, in order."""

    def latest_entries(self, channel_id: str, up_to: int, limit: int) -> list[Entry]:
        """The last ``limit`` entries up to position ``up_to``, the latest first."""

    def entry_after(self, channel_id: str, seq: int) -> Entry | None:
        """The first entry after a position."""


class Changes(Protocol):
    """A channel's change log, and what changes with it."""

    def read_message_state(
        self, channel_id: str, user_id: str, seq: int, key: str | None = None
    ) -> tuple[ChannelState, Entry | None]:
        """As ``read_channel_state``, with the entry at a position, in one round trip."""

    def commit_change(self, commit: ChangeCommit) -> ChangeOutcome:
        """Gives out the change's number and makes the change, all or nothing."""

    def changes_at(self, channel_id: str, revs: Sequence[int]) -> list[Change]:
        """The changes of these numbers, in no order."""

    def entries_at(self, channel_id: str, seqs: Sequence[int]) -> list[Entry]:
        """The entries at these positions, in no order."""

    def members_of(self, channel_id: str, user_ids: Iterable[str]) -> dict[str, Membership]:
        """The memberships of these users in a channel; of who is no member there is none."""

    def pins(self, channel_id: str) -> dict[int, int]:
        """The positions of pinned messages, each with the number of the change that pinned it."""

    def has_reacted(self, channel_id: str, seq: int, emoji: str, user_id: str) -> bool:
        """Whether a user is among those who reacted and are not shown in the message."""

    def reacted(self, channel_id: str, seq: int, emoji: str, limit: int, after: str | None) -> list[Reacted]:
        """Who reacted and is not shown in the message, by user id, after a user id."""

    def forget_mentions(self, channel_id: str, user_id: str, marks: Iterable[int]) -> None:
        """Removes marks of mentions from a membership, if there is one; may be repeated."""


class Channels(Protocol):
    """Heads and the lists of them."""

    def memberships(self, user_id: str) -> list[Membership]:
        """All memberships of a user."""

    def count_memberships(self, user_id: str, limit: int) -> int:
        """How many channels a user is in; ``limit`` where it is as many or more."""

    def spend(self, user_id: str, minute: int, units: int, limit: int) -> bool:
        """Adds read units to what a user's expensive reads have cost in a minute, counted since 1970.

        False, and nothing is added, where that is ``limit`` or more already. So the last request that passes may
        exceed it, and no request is too expensive to pass ever. A write that is sent again may count twice.
        """

    def heads(self, channel_ids: Iterable[str]) -> dict[str, Head]:
        """The heads of these channels; unknown ones are left out."""

    def roles(self, user_id: str, channel_ids: Iterable[str]) -> dict[str, Membership]:
        """The user's memberships in these channels."""

    def public_channels(self, limit: int, after: tuple[str, str] | None) -> list[tuple[str, str]]:
        """``(name key, channel id)`` of public, unarchived channels, by name, after such a pair; may lag."""

    def reserve_key(self, key_id: str, request_hash: bytes) -> bytes:
        """Reserves an idempotency key for the creation of a channel, for ever: the hash of the first request under it.

        Args:
            key_id: a hash of user and key, so that neither stays where the user is erased.
            request_hash: of the request that is being made.
        """

    def create_channel(self, head: Head, memberships: Sequence[Membership]) -> Head | None:
        """Makes the channel and its memberships; the head that stands there already, if one does, else None."""

    def update_channel(
        self,
        channel_id: str,
        changes: Mapping[str, str | int | None],
        if_version: int | None,
        by: Membership | None = None,
    ) -> Head | None:
        """Sets name, topic and settings (fields of ``Head``; None removes one): the head with this change in it, and any that came since.

        None where the channel is archived or missing, its version is not ``if_version``, or ``by`` does not stand any
        more (see ``Members``). But the head as it is where ``by`` stands and this very change was just made of that
        version: a write whose answer was lost is sent again.
        """

    def archive_channel(
        self, channel_id: str, now: int, by: Membership | None = None, *, if_version: int | None = None
    ) -> bool:
        """Makes the channel read-only, once; whether it is archived then.

        Not where there is none, ``by`` does not stand any more (see ``Members``), or it is neither archived nor of
        version ``if_version``.
        """


class Members(Protocol):
    """Memberships.

    Who changes those of others gives theirs as ``by``: nothing is written unless it still stands with the role that was
    seen. None for who acts for themselves, and for an operator.
    """

    def members(self, channel_id: str, limit: int, after: str | None) -> list[Member]:
        """Members by user id, after a user id; may lag."""

    def membership(self, channel_id: str, user_id: str) -> Membership | None:
        """One membership."""

    def past_membership(self, channel_id: str, user_id: str) -> PastMembership | None:
        """The last membership that ended there, also of who is a member again; None once it is forgotten."""

    def add_member(
        self, membership: Membership, by: Membership | None = None
    ) -> Membership | PastMembership | None:
        """Adds a member and counts it: the given membership itself (``is``).

        None where the channel is archived or missing, or ``by`` does not stand any more.

        The one that stands there already, another object though it may be equal, where the user is a member. The
        former one, and nothing was written, where it ended with a later rate state than the given one has: leaving
        must not forgive a debt.
        """

    def change_role(self, membership: Membership, role: Role, by: Membership | None = None) -> bool:
        """Gives a member another role.

        False where the role, or ``by``, changed meanwhile or the last owner would be lost.
        """

    def remove_member(
        self, membership: Membership, by: Membership | None = None, *, even_last_owner: bool = False
    ) -> bool:
        """Removes a member and remembers that they were there.

        False where the role, or ``by``, changed meanwhile or, unless ``even_last_owner``, the last owner would be
        lost. The rate state that is remembered is the last one, also of a post that came meanwhile.

        Raises:
            ContentionError: the member posted meanwhile, again and again.
        """

    def move_read_position(
        self, channel_id: str, user_id: str, seq: int, messages: int, *, force: bool, voids: int = 0
    ) -> Membership | None:
        """Moves the read position forward (also back, with ``force``): the membership as it is then, or None.

        ``messages`` and ``voids`` are how many positions up to there were given to messages, and are gaps.
        """

    def ping(self) -> None:
        """Reaches the storage with its cheapest read."""


class Erasures(Protocol):
    """What an operator's tool needs to erase a user; no function calls it."""

    def past_memberships(self, user_id: str) -> list[PastMembership]:
        """Where a user was a member, and may be again."""

    def forget_past_membership(self, user_id: str, past_membership: PastMembership) -> None:
        """Forgets that a user was there; not if another membership ended there meanwhile."""

    def redact(self, channel_id: str, seq: int, body: bytes) -> None:
        """Writes a message anew; nothing where no message stands."""

    def count_erasure(self, channel_id: str, user_id: str) -> Head | None:
        """Raises ``erasures`` and takes the user's name from the channel: the head then.

        To be called when the messages are redacted, never before: what is read under the new number is kept.
        """


class Store(Log, Changes, Channels, Members, Erasures, Protocol):
    """All of it."""
