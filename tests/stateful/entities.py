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

    def json(self) -> dict[str, Any]:
        """As the API shows it to readers."""
        given = {name: value for name, value in self.said.items() if value is not None}
        return {
            "id": self.id,
            "seq": self.seq,
            "sender": self.sender,
            "created_at": written(self.at),
            **given,
        }


@dataclass
class Member:
    """A member of a channel."""

    user: str
    role: str
    joined: int
    read: int = 0
    paid_until: int = 0

    def json(self) -> dict[str, Any]:
        """As the API lists it."""
        return {"user_id": self.user, "role": self.role, "joined_at": written(self.joined)}


@dataclass
class IdempotencyRecord:
    """The request that used a key, and the messages that it posted."""

    wanted: str
    until: int
    messages: list[Message]


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

    @property
    def kind(self) -> str:
        """Public, private or direct."""
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
        return sum(each is not None for each in self.log[self.members[user].read :])

    def may(self, user: str) -> list[str]:
        """A user's capabilities in this channel."""
        role = self.members[user].role if user in self.members else None
        return may(self.kind, role, archived=self.archived)

    def json(self, user: str) -> dict[str, Any]:
        """As the API shows it to a user."""
        me, last = self.members.get(user), self.latest if user in self.members else None
        return {
            **self.settings,
            "id": self.id,
            "creator": self.creator,
            "created_at": written(self.created),
            "archived": self.archived,
            "version": self.version,
            "member_count": len(self.members),
            "last_seq": len(self.log),
            "last_message": last
            and {
                "id": last.id,
                "seq": last.seq,
                "text": beginning(last.said["text"]),
                "sender": last.sender,
                "created_at": written(last.at),
            },
            "last_read_seq": me.read if me else None,
            "unread_count": self.unread(user) if me else None,
            "role": me.role if me else None,
            "capabilities": self.may(user),
        }
