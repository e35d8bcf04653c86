"""What the table's stream says that concerns watchers, one kind of news a class. ``shared.storage.stream`` reads it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ChannelEvent(StrEnum):
    """What happened to a channel, or to a user's membership in it."""

    CHANGED = "changed"
    ARCHIVED = "archived"
    UNARCHIVED = "unarchived"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Posted:
    """A position of a log has an entry: a message, or a void."""

    log_id: str
    seq: int
    at: int


@dataclass(frozen=True, slots=True)
class Changed:
    """A message of a log was changed."""

    log_id: str
    rev: int
    at: int


@dataclass(frozen=True, slots=True)
class ChannelChanged:
    """A channel's settings, or whether it is archived, changed."""

    channel_id: str
    event: ChannelEvent
    version: int


@dataclass(frozen=True, slots=True)
class MembershipChanged:
    """A user has become a member (``ADDED``), or is no member any more (``REMOVED``)."""

    channel_id: str
    user_id: str
    event: ChannelEvent


@dataclass(frozen=True, slots=True)
class ReadMoved:
    """A member has marked messages of a channel as read; not told of posts, which move the position too."""

    channel_id: str
    user_id: str
    seq: int


@dataclass(frozen=True, slots=True)
class Mentioned:
    """A message of a log names a user."""

    log_id: str
    user_id: str
    seq: int


@dataclass(frozen=True, slots=True)
class WatchChanged:
    """A connection has begun to watch a log, or its watch has ended: by itself, by the right's end, or by TTL."""

    log_id: str
    user_id: str
    connection_id: str
    is_begun: bool


News = Posted | Changed | ChannelChanged | MembershipChanged | ReadMoved | Mentioned | WatchChanged
