"""What happens to a message after it was posted: edits, deletions, reactions, pins, replies.

A change has a number, ``rev``, dense within its channel: it is given out in the transaction that makes the change. A
message's JSON ends with the ``rev`` of the last change in it; one that never changed has none.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from shared.domain import keys
from shared.domain.clock import rfc3339
from shared.domain.mentions import Mentions
from shared.domain.messages import dumps, mentions_json

MAX_EMOJI: Final = 20
"""Different emoji on one message."""
SHOWN_USERS: Final = 20
"""Users that a message shows for each emoji: the first, in the order in which they reacted."""
MAX_PINS: Final = 50
"""Of a channel: the item that names them stays within the 1 KB of one write unit."""
SHOWN_REPLIERS: Final = 5
"""Users who replied that a thread's root shows: the first, in the order in which they replied."""
MAX_VERSIONS: Final = 20
"""Changes of a message's text that it knows the numbers of; older ones stay in the change log alone."""
_MADE_ANEW: Final = frozenset({"mentions", "mentions_everybody", "edited_at", "edited_by", "version", "rev"})
"""What an edit says anew of a message."""
_REV: Final = re.compile(rb',"rev":(\d{1,12})\}\Z')
_KEPT: Final = ("thread", "thread_id", "reply_id", "channel_message_id")
"""What a deleted message still says: of its thread, and of the same message in thread or channel."""
_REDACTED: Final = b',"redacted":true}'
"""The end of a redacted message's JSON."""
_REV_BYTES: Final = 22
"""More than the end that ``_REV`` looks for can be long."""


class ChangeKind(StrEnum):
    """What a change did."""

    EDITED = "edited"
    DELETED = "deleted"
    REACTION_ADDED = "reaction_added"
    REACTION_REMOVED = "reaction_removed"
    PINNED = "pinned"
    UNPINNED = "unpinned"
    THREAD = "thread"


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of a channel's change log; never changes, but by a redaction."""

    rev: int
    kind: ChangeKind
    seq: int
    by: str
    at: int
    body: bytes | None = None
    """The message's JSON after it; None for pins, which leave the message as it is."""
    emoji: str = ""
    before: bytes = b""
    """Of an edit or a deletion: the message's JSON before it, compressed, see ``packed``."""
    expires: int = 0
    """As of the message's ``Entry``."""

    @classmethod
    def gone(cls, rev: int) -> Change:
        """In the place of a change that has expired together with its message: it changes no position."""
        return cls(rev, ChangeKind.DELETED, 0, "", 0)


def change_json(channel_id: str, change: Change, *, with_message: bool = True) -> bytes:
    """The change as clients get it, with or without the message after it."""
    shown: dict[str, Any] = {
        "rev": change.rev,
        "kind": change.kind,
        "message_id": keys.message_id(channel_id, change.seq),
        "seq": change.seq,
        "by": change.by,
        "at": rfc3339(change.at),
    }
    if change.emoji:
        shown["emoji"] = change.emoji
    head = dumps(shown)
    return (
        head if change.body is None or not with_message else head[:-1] + b',"message":' + change.body + b"}"
    )


def rev_of(body: bytes) -> int:
    """The number of the last change in a message's JSON; 0 where it never changed."""
    found = _REV.search(body[-_REV_BYTES:])
    return int(found[1]) if found else 0


def lay_over(first: int, bodies: Sequence[bytes | None], changes: Iterable[Change]) -> list[bytes | None]:
    """A run of messages from position ``first``, with these changes made in it, in their order.

    A message that has a change already is left as it is, so the same changes may be laid over again. A redacted message
    does not say its ``rev``; nothing changes it any more.
    """
    made = list(bodies)
    for change in changes:
        at = change.seq - first
        if change.body is None or not 0 <= at < len(made):
            continue
        body = made[at]
        if body is not None and rev_of(body) < change.rev and not is_redacted(body):
            made[at] = change.body
    return made


def is_gone(body: bytes) -> bool:
    """Whether a message was deleted or redacted."""
    message = json.loads(body)
    return "deleted" in message or "redacted" in message


# --- a message's JSON after a change ---


def edited(body: bytes, rev: int, by: str, at: int, changes: dict[str, Any], mentions: Mentions) -> bytes:
    """With another ``text`` or ``metadata`` (None removes it), and who is named now."""
    message = json.loads(body)
    reactions = message.pop("reactions", None)
    kept = {name: value for name, value in message.items() if name not in _MADE_ANEW}
    kept |= changes
    if kept.get("metadata", ...) is None:
        del kept["metadata"]
    kept |= mentions_json(mentions)
    kept |= {"edited_at": rfc3339(at), "edited_by": by, "version": message.get("version", 1) + 1}
    return _with_rev(kept | ({"reactions": reactions} if reactions else {}), rev)


def deleted(body: bytes, rev: int, by: str, at: int) -> bytes:
    """What is left of a deleted message: that one was there, whose, and who deleted it."""
    message = json.loads(body)
    kept = {name: message[name] for name in ("id", "seq", "sender")}
    kept |= {"text": "", "created_at": message["created_at"]}
    kept |= {"deleted": True, "deleted_at": rfc3339(at), "deleted_by": by}
    return _with_rev(kept | {name: message[name] for name in _KEPT if name in message}, rev)


@dataclass(frozen=True, slots=True)
class Reactions:
    """A message's reactions with one emoji: how many, and the first users in order."""

    emoji: str
    count: int
    users: tuple[str, ...]

    @property
    def shows_all(self) -> bool:
        """Whether every user who reacted is among ``users``."""
        return self.count == len(self.users)


def reactions_of(body: bytes) -> list[Reactions]:
    """A message's reactions, in the order in which the emoji came."""
    found = json.loads(body).get("reactions", [])
    return [Reactions(each["emoji"], each["count"], tuple(each["users"])) for each in found]


def with_reactions(body: bytes, rev: int, reactions: Sequence[Reactions]) -> bytes:
    """The message with these reactions; emoji that nobody uses any more are left out."""
    message = json.loads(body)
    message.pop("reactions", None)
    kept = [
        {"emoji": each.emoji, "count": each.count, "users": each.users} for each in reactions if each.count
    ]
    return _with_rev(message | ({"reactions": kept} if kept else {}), rev)


# --- a thread's summary, in its root ---


@dataclass(frozen=True, slots=True)
class Summary:
    """What a message says of its thread.

    Attributes:
        count: the replies up to ``seq`` that were not deleted.
        seq: the position in the thread that it is complete to.
        at: when the last reply was posted, as clients get it; None if there is none.
        repliers: the first users who replied, in order, at most ``SHOWN_REPLIERS``.
    """

    count: int = 0
    seq: int = 0
    at: str | None = None
    repliers: tuple[str, ...] = ()


NO_SUMMARY: Final = Summary()


def summary_of(body: bytes) -> Summary | None:
    """What a message says of its thread; None if it says nothing."""
    shown = json.loads(body).get("thread")
    if shown is None:
        return None
    return Summary(
        shown["reply_count"], shown["last_reply_seq"], shown["last_reply_at"], tuple(shown["repliers"])
    )


def is_redacted(body: bytes) -> bool:
    """Whether a message was redacted; nothing changes it any more."""
    return body.endswith(_REDACTED)


def with_summary(body: bytes, rev: int, summary: Summary) -> bytes:
    """The message with what it says of its thread."""
    message = json.loads(body)
    message["thread"] = {
        "reply_count": summary.count,
        "last_reply_at": summary.at,
        "last_reply_seq": summary.seq,
        "repliers": list(summary.repliers),
    }
    return _with_rev(message, rev)


def _with_rev(message: dict[str, Any], rev: int) -> bytes:
    message.pop("rev", None)
    return dumps(message | {"rev": rev})


# --- earlier versions ---


def packed(before: bytes, after: bytes) -> bytes:
    """A message before an edit, as what differs from it afterwards: an edit's item stays within a write unit longer."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=after)
    return packer.compress(before) + packer.flush()


def unpacked(before: bytes, after: bytes) -> bytes:
    """The inverse of ``packed``."""
    return zlib.decompressobj(-zlib.MAX_WBITS, zdict=after).decompress(before)
