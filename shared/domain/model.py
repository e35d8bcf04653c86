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
IDEMPOTENCY_SECONDS: Final = 24 * 3600
"""How long an ``Idempotency-Key`` of a post is stored."""
ERASED: Final = "#erased"
"""Replaces the sender of a redacted message and the creator of an erased user's channels; not a valid user id."""


class Kind(StrEnum):
    """Who may find and join a channel."""

    PUBLIC = "public"
    PRIVATE = "private"
    DIRECT = "direct"


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
    mentions: tuple[int, ...] = ()
    """Positions of the latest messages, at most ``MAX_EVERYBODY``, that name everybody in the channel."""

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
            mentions=(),
        )

    @property
    def active_at(self) -> int:
        """The time of the latest message, or of the creation."""
        return self.last.created_at if self.last else self.created_at

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
    """A user's membership in a channel, with read position and rate state (``tat``, see ``rate_limit``).

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
    mentions: frozenset[int] = frozenset()
    """Messages that name the user, the latest ``MAX_KEPT_MENTIONS`` or so: see ``mention_mark``."""

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
        return sum(seq > self.read_seq and seq not in head.gaps for seq in seqs)

    def unread(self, head: Head) -> int:
        """How many messages there are after the read position, including positions that are not settled yet.

        Exact once they are settled, with one exception: if the read position moved past a position in flight, that
        position became a void later, and more than ``MAX_GAPS`` gaps were added since with none of them read past, then
        each such position makes the count one too small.
        """
        gaps = head.gaps_after(self.read_seq)
        if gaps is None:
            gaps = max(0, head.voids - self.read_voids)
        return max(0, head.messages - self.read_messages - gaps)


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
    """When the latest ended membership began."""
    tat: int = 0
    """The rate state at its end."""


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
    """The root's entry; the thread exists if it is a message, deleted or not."""
    follow: Follow | None = None
    """None if the user does not follow the thread, or it was not read."""

    @property
    def exists(self) -> bool:
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
        return replace(
            self,
            head=head.over(thread, root.at if root else head.created_at),
            membership=member and member.in_thread(follow or Follow(member.user_id, thread.channel_id)),
            thread=ThreadState(head, member, root, follow),
        )
