"""The words of the field as values: head, membership, entry, receipt. Times are milliseconds since 1970, UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
"""Name, topic and preview have limits in bytes too, so that a head stays below the 1 KB of one write unit
(for user ids of up to 60 bytes; a UUID has 36)."""
MAX_EVERYBODY: Final = 3
"""Positions of messages that name everybody, of which a head keeps the latest; three of 12 digits are 27 bytes."""
MAX_KEPT_MENTIONS: Final = 50
"""Messages that name a user, of which a membership keeps the latest: 750 bytes."""
MARK: Final = 10**12
MAX_GAPS: Final = 8
"""Positions of the latest gaps that a head keeps; eight of 12 digits are 58 bytes. More stand there for a moment only,
until whoever added them removes the smallest."""
IDEMPOTENCY_SECONDS: Final = 24 * 3600
"""How long an ``Idempotency-Key`` is remembered."""
ERASED: Final = "#erased"
"""Who sent a redacted message, and made the channels of an erased user: no user's id can be this."""


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
    """What the list of channels shows of the latest message."""

    seq: int
    sender: str
    text: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Head:
    """A channel: what it is, and how far its log goes.

    ``seq`` is the last position given out, ``messages`` how many of them were given to messages.
    ``version`` counts the changes to name, topic, settings and archival.

    A gap is a position that is counted in ``messages`` and holds none: a void. ``voids`` counts each gap once,
    ``gaps`` has the positions of the latest ones, all that are above ``gaps_from``. Voids that were written before gaps
    were counted are in neither: they count as messages until they are read past.
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
    """Seconds a member waits between two messages; 0 for the default rate."""
    seq: int = 0
    messages: int = 0
    last: Preview | None = None
    erasures: int = 0
    """How often messages were redacted here. What was read under another number may show what is erased."""
    voids: int = 0
    gaps: frozenset[int] = frozenset()
    gaps_from: int = 0
    request_hash: bytes = b""
    """Of the request that created it, where that carried an ``Idempotency-Key``."""
    rev: int = 0
    """The number of the last change to a message here; see ``changes``."""
    edit_window: int | None = None
    """Seconds after posting in which an author may edit a message; None for ever, 0 never."""
    members_pin: bool = False
    """Whether plain members may pin."""
    mentions: tuple[int, ...] = ()
    """Positions of the latest messages, at most ``MAX_EVERYBODY``, that name everybody in the channel."""

    @property
    def active_at(self) -> int:
        """When something last happened here."""
        return self.last.created_at if self.last else self.created_at

    def gaps_after(self, seq: int) -> int | None:
        """How many gaps there are after a position; None where the head does not keep all of them."""
        return sum(gap > seq for gap in self.gaps) if seq >= self.gaps_from else None

    def is_made_of(self, changes: Mapping[str, str | int | None], version: int | None) -> bool:
        """Whether these very changes of that version led here, and nothing came after; not if archived since."""
        if version is None or self.archived_at is not None or self.version != version + 1:
            return False
        return all(getattr(self, name) == value for name, value in changes.items())


@dataclass(frozen=True, slots=True)
class Membership:
    """A user in a channel, how far they have read, and their rate state (``tat``, see ``rate_limit``).

    ``read_messages`` and ``read_voids`` are how many positions up to ``read_seq`` were given to messages, and how many
    gaps were known among them when the read position moved there.
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

    def mention_count(self, head: Head) -> int:
        """Messages after the read position that name the user, or everybody: at most as many as are kept of each."""
        seqs = {mark % MARK for mark in self.mentions}.union(head.mentions)
        return sum(seq > self.read_seq and seq not in head.gaps for seq in seqs)

    def unread(self, head: Head) -> int:
        """Messages after the read position, and positions there whose writers have not ended.

        Exact once they have, but for one case: a position that was still in flight when the read position moved past it
        became a void later, and more than ``MAX_GAPS`` gaps came since, none of them read past. Then each such position
        makes the count one too small.
        """
        gaps = head.gaps_after(self.read_seq)
        if gaps is None:
            gaps = max(0, head.voids - self.read_voids)
        return max(0, head.messages - self.read_messages - gaps)


@dataclass(frozen=True, slots=True)
class Member:
    """A membership as the index of a channel's members has it."""

    user_id: str
    role: Role
    joined_at: int


@dataclass(frozen=True, slots=True)
class PastMembership:
    """A membership that ended: where messages of a user stand though they are not there any more."""

    channel_id: str
    joined_at: int
    """When the membership that ended last had begun."""
    tat: int = 0
    """The rate state that it ended with."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One position of a log, settled for ever: a message's JSON as clients get it, or a void (``body`` None).

    Only a redaction changes it, which leaves a message without sender and text.

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


@dataclass(frozen=True, slots=True)
class IdempotencyRecord:
    """What an ``Idempotency-Key`` was used for: the last of ``count`` adjacent positions."""

    key: str
    request_hash: bytes
    seq: int
    count: int
    expires: int
    """Seconds since 1970, as DynamoDB's TTL wants it."""


def mention_mark(at: int, seq: int) -> int:
    """A message that names somebody, as one number that sorts by time and tells the position: at * 10^12 + seq."""
    return at * MARK + seq


@dataclass(frozen=True, slots=True)
class ChannelState:
    """What one vouching read says: each None where there is no such item."""

    head: Head | None
    membership: Membership | None
    idempotency_record: IdempotencyRecord | None = None
