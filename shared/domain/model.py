"""The values of the chat, such as head, membership and entry. Times are milliseconds since 1970, UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

MAX_TEXT: Final = 4_000
"""Characters of a message's text."""
MAX_METADATA_BYTES: Final = 1_024
MAX_BATCH: Final = 25
MAX_NAME: Final = 80
MAX_NAME_BYTES: Final = 160
MAX_TOPIC: Final = 250
MAX_TOPIC_BYTES: Final = 252
MAX_PREVIEW: Final = 100
MAX_PREVIEW_BYTES: Final = 140
"""Name, topic and preview also have limits in bytes, so that a head stays below the 1 KB of one write unit
(for user ids of up to 60 bytes; a UUID has 36)."""
MAX_EVERYBODY: Final = 3
"""Positions of messages that name everybody, of which a head keeps the latest; three of 12 digits are 27 bytes."""
MAX_KEPT_MENTIONS: Final = 50
"""Messages that name a user, of which a membership keeps the latest: 750 bytes."""
MARK: Final = 10**12
MAX_GAPS: Final = 8
"""How many of the latest gaps' positions a head keeps; eight of 12 digits are 58 bytes. It has more only for a moment:
the reader that adds gaps removes the smallest ones."""
MIN_GROUP: Final = 3
MAX_GROUP: Final = 10
"""Members of a group channel, with the caller who creates it."""
MAX_READS: Final = 100
"""Members of a channel whose read positions are shown; reading each costs a read unit."""
IDEMPOTENCY_SECONDS: Final = 24 * 3600
"""How long an ``Idempotency-Key`` of a post is stored."""
ERASED: Final = "#erased"
"""Replaces the sender of a redacted message and the creator of an erased user's channels; not a valid user id."""


class Kind(StrEnum):
    """Who may find and join a channel."""

    PUBLIC = "public"
    PRIVATE = "private"
    DIRECT = "direct"
    GROUP = "group"


FIXED_MEMBERS: Final = frozenset({Kind.DIRECT, Kind.GROUP})
"""Kinds whose members are given once: a channel's id is derived from them, and all have the same rights."""


class Role(StrEnum):
    """What a member may do in a channel."""

    OWNER = "owner"
    MODERATOR = "moderator"
    MEMBER = "member"


@dataclass(frozen=True, slots=True)
class Preview:
    """The start of the latest message, as the list of channels shows it."""

    seq: int
    sender: str
    text: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Boundary:
    """How far a log has expired: all of its positions up to ``seq`` have. It never moves back.

    Up to ``seq``, ``messages`` positions were given to messages, and ``gaps`` of these are gaps. Changes up to number
    ``rev`` were complete when the boundary was found: one that is not there any more has expired with its message.
    """

    seq: int = 0
    messages: int = 0
    gaps: int = 0
    rev: int = 0
    cutoff: int = 0
    """The time before which messages had expired when the boundary was found: a whole minute."""


NOTHING_EXPIRED: Final = Boundary()


@dataclass(frozen=True, slots=True)
class Head:
    """A channel: its settings, and how far its log extends.

    ``seq`` is the last position given out; ``messages`` is how many positions were given to messages.
    ``version`` counts the changes to name, topic, settings and archival.

    A gap is a position that is counted in ``messages`` but holds a void. ``voids`` counts all gaps; ``gaps`` has the
    positions of the latest ones, complete above ``gaps_from``. Voids written before gaps were counted are in neither:
    they count as unread messages until the read position passes them.
    """

    channel_id: str
    kind: Kind
    name: str
    topic: str
    creator: str
    created_at: int
    archived_at: int | None = None
    version: int = 1
    members: int = 1
    owners: int = 1
    slow_mode: int = 0
    """Seconds that a member must wait between two messages; 0 for the default rate."""
    seq: int = 0
    messages: int = 0
    last: Preview | None = None
    erasures: int = 0
    """How often messages were redacted here. Data read under another number may contain redacted text."""
    voids: int = 0
    gaps: frozenset[int] = frozenset()
    gaps_from: int = 0
    request_hash: bytes = b""
    """The hash of the request that created it, if that had an ``Idempotency-Key``."""
    rev: int = 0
    """The number of the last change to a message here; see ``changes``."""
    edit_window: int | None = None
    """Seconds after posting in which an author may edit a message; None for ever, 0 never."""
    members_pin: bool = False
    """Whether plain members may pin."""
    show_reads: bool = True
    """Whether members may see each other's read positions."""
    mentions: tuple[int, ...] = ()
    """Positions of the latest messages, at most ``MAX_EVERYBODY``, that name everybody in the channel."""
    retention_days: int | None = None
    """Days after which messages expire; None for never."""
    retention_steps: int | None = None
    """Shorter retentions of earlier messages, see ``retention.steps_of``; None if there are none."""
    boundary: Boundary = NOTHING_EXPIRED
    """What has expired, as found last; ``retention.advance`` brings it up to date."""
    channel_cutoff: int = 0
    """Of a thread, not stored: the cutoff of its channel's boundary, whose retention the channel may have forgotten."""

    @classmethod
    def of_thread(cls, log_id: str) -> Head:
        """The head of a thread without replies. Settings and members are its channel's, see ``over``."""
        return cls(log_id, Kind.PRIVATE, "", "", "", 0)

    def over(self, thread: Head, created_at: int) -> Head:
        """This channel's head, with the log of one of its threads in the place of its own."""
        return replace(
            self,
            channel_id=thread.channel_id,
            created_at=created_at,
            seq=thread.seq,
            messages=thread.messages,
            last=thread.last,
            erasures=thread.erasures,
            voids=thread.voids,
            gaps=thread.gaps,
            gaps_from=thread.gaps_from,
            rev=thread.rev,
            boundary=thread.boundary,
            channel_cutoff=self.boundary.cutoff,
            mentions=(),
        )

    @property
    def active_at(self) -> int:
        """The time of the latest message, or of the creation."""
        return self.last.created_at if self.last else self.created_at

    @property
    def retains(self) -> bool:
        """Whether messages here may expire: by the retention, or by a shorter one that earlier messages have."""
        return bool(self.retention_days or self.retention_steps or self.channel_cutoff)

    @property
    def shown(self) -> Preview | None:
        """The preview, unless its message has expired."""
        return self.last if self.last and self.last.seq > self.boundary.seq else None

    def gaps_after(self, seq: int) -> int | None:
        """How many gaps there are after a position; None if the head does not keep all of them."""
        return sum(gap > seq for gap in self.gaps) if seq >= self.gaps_from else None

    def is_made_of(self, changes: Mapping[str, str | int | None], version: int | None) -> bool:
        """Whether exactly these changes made this head from that version, with no change since; False if archived."""
        if version is None or self.archived_at is not None or self.version != version + 1:
            return False
        return all(getattr(self, name) == value for name, value in changes.items())


@dataclass(frozen=True, slots=True)
class Membership:
    """A user's membership in a channel, with read position and rate states (``tat`` of posts, see ``rate_limit``).

    ``read_messages`` is how many positions up to ``read_seq`` were given to messages, ``read_voids`` how many of those
    were known gaps when the read position moved there.
    """

    user_id: str
    channel_id: str
    role: Role
    joined_at: int
    read_seq: int = 0
    read_messages: int = 0
    tat: int = 0
    read_voids: int = 0
    changes_tat: int = 0
    """As ``tat``, for the user's changes of messages: they are limited by themselves."""
    mentions: frozenset[int] = frozenset()
    """Messages that name the user, the latest ``MAX_KEPT_MENTIONS`` or so: see ``mention_mark``."""
    blocks: bool = False
    """Of a direct channel: whether the user has blocked the other one."""
    is_blocked: bool = False
    """Of a direct channel: whether the other one has blocked the user."""
    muted: bool = False
    """Whether the user has muted the channel: it is not unread for them unless it mentions them."""

    def in_thread(self, follow: Follow) -> Membership:
        """With the read position and the mentions in a thread in the place of the channel's."""
        return replace(
            self,
            read_seq=follow.read_seq,
            read_messages=follow.read_messages,
            read_voids=follow.read_voids,
            mentions=follow.mentions,
        )

    def mention_count(self, head: Head) -> int:
        """Messages after the read position that name the user, or everybody: at most as many as are kept of each."""
        seqs = {mark % MARK for mark in self.mentions}.union(head.mentions)
        after = self.read_up_to(head)
        return sum(seq > after and seq not in head.gaps for seq in seqs)

    def read_up_to(self, head: Head) -> int:
        """The position after which messages are unread: what has expired counts as read."""
        return max(self.read_seq, head.boundary.seq)

    def is_due(self, head: Head) -> bool:
        """Whether a list of unread channels has this one: a muted channel only if unread messages mention the user."""
        return self.unread(head) > 0 and (not self.muted or self.mention_count(head) > 0)

    def unread(self, head: Head) -> int:
        """How many messages there are after the read position, including positions that are not settled yet.

        Exact once they are settled, with one exception: if the read position moved past a position in flight, that
        position became a void later, and more than ``MAX_GAPS`` gaps were added since with none of them read past, then
        each such position makes the count one too small.
        """
        expired = head.boundary
        read, voids = self.read_messages, self.read_voids
        if self.read_seq < expired.seq:
            read, voids = expired.messages, expired.gaps
        gaps = head.gaps_after(self.read_up_to(head))
        if gaps is None:
            gaps = max(0, head.voids - voids)
        return max(0, head.messages - read - gaps)


@dataclass(frozen=True, slots=True)
class Follow:
    """A thread that a user follows, with their read position there, as that of a ``Membership``."""

    user_id: str
    log_id: str
    read_seq: int = 0
    read_messages: int = 0
    read_voids: int = 0
    mentions: frozenset[int] = frozenset()
    """Replies that name the user, as of ``Membership``."""


@dataclass(frozen=True, slots=True)
class Member:
    """A membership as listed by the index of a channel's members."""

    user_id: str
    role: Role
    joined_at: int


@dataclass(frozen=True, slots=True)
class PastMembership:
    """A membership that has ended; tells in which channels a user who left has posted."""

    channel_id: str
    joined_at: int
    """When the latest ended membership began; 0 for a user who was banned without ever being a member."""
    tat: int = 0
    """The later one of the two rate states at its end."""
    is_banned: bool = False
    """Whether the user may not join again."""

    @property
    def was_member(self) -> bool:
        """Whether there was a membership at all."""
        return self.joined_at > 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One settled position of a log: a message's JSON as clients get it, or a void (``body`` None).

    It never changes, except by a redaction, which removes a message's sender and text.

    ``messages`` is how many positions up to this one were given to messages.
    """

    seq: int
    messages: int
    at: int
    body: bytes | None
    rev: int = 0
    """The number of the last change in the message."""
    versions: tuple[int, ...] = ()
    """The numbers of the last changes of its text."""
    rewrites: int = 0
    """How often an erasure removed a user from the message. A change prepared from an earlier read fails."""
    expires: int = 0
    """Seconds since 1970 after which DynamoDB deletes it; 0 for never. Readers go by the head's boundary alone."""


@dataclass(frozen=True, slots=True)
class IdempotencyRecord:
    """The post that an ``Idempotency-Key`` was used for: ``count`` adjacent positions that end at ``seq``."""

    key: str
    request_hash: bytes
    seq: int
    count: int
    expires: int
    """Seconds since 1970, as DynamoDB's TTL requires."""


def mention_mark(at: int, seq: int) -> int:
    """A message that names somebody, as one number that sorts by time and tells the position: at * 10^12 + seq."""
    return at * MARK + seq


@dataclass(frozen=True, slots=True)
class ThreadState:
    """What the state of a thread has besides that of a channel."""

    channel: Head
    """The channel's own head, as it was read."""
    member: Membership | None
    """The membership with the channel's own read position."""
    root: Entry | None
    """The root's entry; None if it is not there, or is known to have expired."""
    follow: Follow | None = None
    """None if the user does not follow the thread, or it was not read."""

    @property
    def has_root(self) -> bool:
        """Whether there is a message to reply to, or once was."""
        return self.root is not None and self.root.body is not None


@dataclass(frozen=True, slots=True)
class ChannelState:
    """A channel's state for one user, as one strongly consistent read returns it; None for missing items.

    Of a thread, ``head`` is the channel's with the thread's log (see ``Head.over``), and ``membership`` has the read
    position in the thread.
    """

    head: Head | None
    membership: Membership | None
    idempotency_record: IdempotencyRecord | None = None
    thread: ThreadState | None = None
    """None for a channel."""

    def in_thread(self, thread: Head, root: Entry | None, follow: Follow | None) -> ChannelState:
        """The state of a thread, from that of its channel and the items of the thread that are there."""
        head, member = self.head, self.membership
        if head is None:
            return self
        if root is not None and root.seq <= head.boundary.seq:
            root = None
        return replace(
            self,
            head=head.over(thread, root.at if root else head.created_at),
            membership=member and member.in_thread(follow or Follow(member.user_id, thread.channel_id)),
            thread=ThreadState(head, member, root, follow),
        )
