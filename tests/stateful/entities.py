"""The model's entities: messages, members, channels, and how the API shows each."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.stateful.rules import beginning, may


def written(ms: int) -> str:
    """A time as the API writes it."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Message:
    """A message."""

    id: str
    seq: int
    sender: str
    at: int
    said: dict[str, Any]
    mentions: list[str] = field(default_factory=list)
    everybody: bool = False
    rev: int = 0
    """The last change in it."""
    edits: list[int] = field(default_factory=list)
    """When it was edited."""
    before: list[dict[str, Any]] = field(default_factory=list)
    """Its earlier versions."""
    deleted: tuple[int, str] | None = None
    reactions: dict[str, list[str]] = field(default_factory=dict)
    thread: dict[str, Any] | None = None
    """What it says of its thread."""

    def json(self) -> dict[str, Any]:
        """As the API shows it to readers."""
        shown: dict[str, Any] = {
            "id": self.id,
            "seq": self.seq,
            "sender": self.sender,
            "created_at": written(self.at),
        }
        if self.rev:
            shown["rev"] = self.rev
        if self.thread:
            shown["thread"] = self.thread
        if self.deleted:
            at, by = self.deleted
            return shown | {"text": "", "deleted": True, "deleted_at": written(at), "deleted_by": by}
        shown |= {name: value for name, value in self.said.items() if value is not None}
        shown |= {"mentions": self.mentions} if self.mentions else {}
        shown |= {"mentions_everybody": True} if self.everybody else {}
        if self.edits:
            shown |= {"edited_at": written(self.edits[-1]), "edited_by": self.sender}
            shown["version"] = len(self.edits) + 1
        reactions = [
            {"emoji": emoji, "count": len(users), "users": list(users)}
            for emoji, users in self.reactions.items()
            if users
        ]
        return shown | ({"reactions": reactions} if reactions else {})

    def version(self) -> dict[str, Any]:
        """Its present version, as the API lists it."""
        metadata = self.said.get("metadata")
        shown = {
            "version": len(self.edits) + 1,
            "text": self.said["text"],
            "written_at": written(self.edits[-1] if self.edits else self.at),
        }
        return shown | ({"metadata": metadata} if metadata is not None else {})

    def names(self, user: str) -> bool:
        """Whether it is one of a user's mentions."""
        return not self.deleted and user in self.mentions and user != self.sender


@dataclass
class Member:
    """A member of a channel."""

    user: str
    role: str
    joined: int
    read: int = 0
    paid_until: int = 0
    changes_paid_until: int = 0
    marks: set[int] = field(default_factory=set)
    """Positions of the messages that name the member, since the member joined."""
    muted: bool = False

    def json(self) -> dict[str, Any]:
        """As the API lists it."""
        return {"user_id": self.user, "role": self.role, "joined_at": written(self.joined)}


@dataclass
class IdempotencyRecord:
    """The request that used a key, and the messages that it posted."""

    wanted: str
    until: int
    messages: list[Message]
    edited: dict[str, Any] | None = None
    """The message after the edit that the key was used for."""


@dataclass
class Follow:
    """What a user who follows a thread has of it."""

    read: int = 0
    marks: set[int] = field(default_factory=set)


@dataclass
class Thread:
    """A thread; ``log`` and ``changes`` as of ``Channel``."""

    channel: str
    root: Message
    log: list[Message | None] = field(default_factory=list)
    changes: list[tuple[dict[str, Any], Message]] = field(default_factory=list)
    follows: dict[str, Follow] = field(default_factory=dict)
    idempotency_records: dict[tuple[str, str], IdempotencyRecord] = field(default_factory=dict)

    @property
    def replies(self) -> list[Message]:
        """Those that are not deleted."""
        return [each for each in self.log if each and not each.deleted]

    def json(self, user: str) -> dict[str, Any]:
        """As the API lists it to a user who follows it."""
        follow, latest = self.follows[user], next(each for each in reversed(self.log) if each)
        unread = [each.seq for each in self.replies if each.seq > follow.read]
        return {
            "channel_id": self.channel,
            "thread_id": self.root.id,
            "last_seq": len(self.log),
            "last_rev": len(self.changes),
            "last_message": _preview(latest),
            "last_read_seq": follow.read,
            "unread_count": len(unread),
            "mention_count": len(follow.marks & set(unread)),
        }


@dataclass
class Channel:
    """A channel; `log[n - 1]` is the message at position n, None where a post failed."""

    id: str
    creator: str
    created: int
    settings: dict[str, Any]
    archived: bool = False
    version: int = 1
    log: list[Message | None] = field(default_factory=list)
    members: dict[str, Member] = field(default_factory=dict)
    left: dict[str, Member] = field(default_factory=dict)
    """Past members, and the rate debt that they still have."""
    idempotency_records: dict[tuple[str, str], IdempotencyRecord] = field(default_factory=dict)
    changes: list[tuple[dict[str, Any], Message]] = field(default_factory=list)
    """The changes, without the messages after them, and the messages that they changed."""
    pins: dict[int, int] = field(default_factory=dict)
    """Position of a pinned message: the change that pinned it."""
    everybody: list[int] = field(default_factory=list)
    """The last positions of posts that name everybody."""
    blocks: set[str] = field(default_factory=set)
    """Of a direct channel: who of the two blocks the other."""
    bans: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Who is banned, and the ban as the API shows it."""
    reports: dict[str, tuple[dict[str, Any], Message]] = field(default_factory=dict)
    """By id, in order of time: the report as the API shows it, and its message."""

    @property
    def kind(self) -> str:
        """Public, private, direct or group."""
        return str(self.settings["kind"])

    @property
    def latest(self) -> Message | None:
        """The last message."""
        return next((each for each in reversed(self.log) if each), None)

    @property
    def active(self) -> int:
        """When the last message was posted, or the channel was created."""
        return self.latest.at if self.latest else self.created

    def unread(self, user: str) -> int:
        """Messages after the read position, without voids."""
        return sum(each is not None and not each.deleted for each in self.log[self.members[user].read :])

    def mention_count(self, user: str) -> int:
        """Messages after the read position that name the user, or everybody."""
        member = self.members[user]
        found = [self.log[seq - 1] for seq in member.marks.union(self.everybody[-3:]) if seq > member.read]
        return sum(each is not None and not each.deleted for each in found)

    def change(self, kind: str, message: Message, by: str, at: int, emoji: str = "") -> int:
        """Counts a change that was made, and returns its number."""
        rev = len(self.changes) + 1
        shown = {"rev": rev, "kind": kind, "message_id": message.id, "seq": message.seq, "by": by}
        shown |= {"at": written(at)} | ({"emoji": emoji} if emoji else {})
        self.changes.append((shown, message))
        if kind not in {"pinned", "unpinned"}:
            message.rev = rev
        return rev

    def may(self, user: str) -> list[str]:
        """A user's capabilities in this channel."""
        if self.blocks and user in self.members:
            return ["read"]
        role = self.members[user].role if user in self.members else None
        members_pin = bool(self.settings["members_pin"])
        return may(self.kind, role, archived=self.archived, members_pin=members_pin)

    def json(self, user: str) -> dict[str, Any]:
        """As the API shows it to a user."""
        me, last = self.members.get(user), self.latest if user in self.members else None
        return {
            **self.settings,
            "expired_before": None,  # no history is that long
            "id": self.id,
            "creator": self.creator,
            "created_at": written(self.created),
            "archived": self.archived,
            "version": self.version,
            "member_count": len(self.members),
            "last_seq": len(self.log),
            "last_rev": len(self.changes),
            "last_message": last and _preview(last),
            "last_read_seq": me.read if me else None,
            "unread_count": self.unread(user) if me else None,
            "mention_count": self.mention_count(user) if me else None,
            "muted": me.muted if me else None,
            "role": me.role if me else None,
            "blocked": user in self.blocks,
            "capabilities": self.may(user),
        }


def _preview(last: Message) -> dict[str, Any]:
    shown = {
        "id": last.id,
        "seq": last.seq,
        "text": "" if last.deleted else beginning(last.said["text"]),
        "sender": last.sender,
        "created_at": written(last.at),
    }
    return shown | ({"deleted": True} if last.deleted else {})
