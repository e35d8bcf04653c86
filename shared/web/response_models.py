"""Schemas of the responses, for the OpenAPI document only: the functions write responses as bytes."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.domain.model import ERASED

Role = Literal["owner", "moderator", "member"]
SENDER: Final = f"A user id; `{ERASED}`, which is not a user id, if the message was redacted."
REDACTED: Final = (
    "True if the sender was erased: the message keeps its position, but its text and sender are removed. "
    "Absent otherwise. Replace your copy of the message."
)


MESSAGE: Final = {
    "id": "4nc0f2k9q1d7h3sa-00000017",
    "seq": 39,
    "sender": "ada",
    "text": "Hello, Grace!",
    "created_at": "2026-11-23T18:44:24.123Z",
}
CHANNEL: Final = {
    "id": "4nc0f2k9q1d7h3sa",
    "name": "lobby",
    "topic": "Say hello",
    "kind": "public",
    "creator": "ada",
    "created_at": "2026-11-23T18:00:00.000Z",
    "archived": False,
    "slow_mode": 0,
    "edit_window": 3600,
    "members_pin": False,
    "show_reads": True,
    "retention_days": 90,
    "expired_before": 12,
    "version": 1,
    "member_count": 2,
    "last_seq": 39,
    "last_rev": 7,
    "last_message": MESSAGE,
    "last_read_seq": 37,
    "unread_count": 2,
    "mention_count": 1,
    "muted": False,
    "role": "member",
    "blocked": False,
    "capabilities": ["read", "post", "react", "leave"],
}
THREAD_IDS: Final = {"channel_id": "4nc0f2k9q1d7h3sa", "thread_id": "4nc0f2k9q1d7h3sa-00000017"}
THREAD_READ: Final = {"last_read_seq": 3, "unread_count": 0, "mention_count": 0}
REPLY: Final = MESSAGE | {"id": "4nc0f2k9q1d7h3sa-00000017-00000003", "seq": 3, "text": "Good idea!"}
THREAD: Final = THREAD_IDS | {"last_seq": 3, "last_rev": 0, "last_message": REPLY} | THREAD_READ
MEMBER: Final = {"user_id": "grace", "role": "member", "joined_at": "2026-11-23T18:01:00.000Z"}
BAN: Final = {
    "user_id": "eve",
    "reason": "Posts advertisements",
    "banned_by": "ada",
    "banned_at": "2026-11-23T18:50:00.000Z",
}
REPORT: Final = {
    "id": "1k7tl4o0r2f9ab3c",
    "status": "closed",
    "message_id": MESSAGE["id"],
    "reporter": "grace",
    "reason": "abuse",
    "text": "Insults me",
    "reported_at": "2026-11-23T18:49:00.000Z",
    "closed_by": "ada",
    "closed_at": "2026-11-23T18:55:00.000Z",
    "resolution": "Deleted the message",
    "message": MESSAGE,
}
MORE: Final = {"has_more": True, "next_cursor": "WzE3OTU0NTk0NjQxMjMsIjRuYzBmMms5cTFkN2gzc2EiXQ"}


def _with_example(example: dict[str, Any]) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [example]})


class ResponseModel(BaseModel):
    """Forbids additional fields, so that tests find undocumented ones."""

    model_config = ConfigDict(extra="forbid")


DELETED: Final = "`true` if the message was deleted: it keeps its position, without text. Absent otherwise."


class Reactions(ResponseModel):
    """The reactions to a message with one emoji."""

    emoji: str
    count: int
    users: list[str] = Field(description="The first 20 users, in the order in which they reacted.")


class ThreadSummary(ResponseModel):
    """The thread of a message. It may lag behind the thread by a few replies; the count is never too high."""

    reply_count: int = Field(description="Replies that were not deleted.")
    last_reply_at: str | None = Field(
        description="When the last reply was posted; null if all are deleted.",
        json_schema_extra={"format": "date-time"},
    )
    last_reply_seq: int = Field(description="The position in the thread up to which replies are counted.")
    repliers: list[str] = Field(description="The first 5 users who replied, in order.")


class Message(ResponseModel):
    """A message; every reader gets the same bytes, until its sender is erased."""

    id: str = Field(description="Opaque; ids sort by position within a channel.")
    seq: int = Field(description="The message's position in the channel.")
    sender: str = Field(description=SENDER)
    text: str
    created_at: str = Field(json_schema_extra={"format": "date-time"})
    client_message_id: str | None = None
    metadata: dict[str, Any] | None = None
    mentions: list[str] | None = Field(
        default=None, description="Members whom the text names by `<@user>`. Absent if there is none."
    )
    mentions_everybody: bool | None = Field(
        default=None, description="`true` if the text has `<!channel>` or `<!here>`. Absent otherwise."
    )
    edited_at: str | None = Field(default=None, json_schema_extra={"format": "date-time"})
    edited_by: str | None = None
    version: int | None = Field(
        default=None, description="Counts the edits, from 1; absent for 1. For `If-Match`, in double quotes."
    )
    deleted: bool | None = Field(default=None, description=DELETED)
    deleted_at: str | None = Field(default=None, json_schema_extra={"format": "date-time"})
    deleted_by: str | None = None
    reactions: list[Reactions] | None = Field(
        default=None, description="In the order in which the emoji came, at most 20; absent if there is none."
    )
    thread: ThreadSummary | None = Field(
        default=None,
        description="The replies to the message. Absent if there never was one, and if redacted.",
    )
    channel_message_id: str | None = Field(
        default=None, description="Of a reply that is also in the channel: the message there."
    )
    thread_id: str | None = Field(
        default=None,
        description="Of a message in the channel that is also a reply: the thread, by its root's id.",
    )
    reply_id: str | None = Field(default=None, description="Of such a message: the reply.")
    redacted: bool | None = Field(default=None, description=REDACTED)
    rev: int | None = Field(
        default=None,
        description="The number of the last change of the message; absent if there was none. Apply a change only if "
        "its number is larger.",
    )

    model_config = _with_example(MESSAGE)


class Batch(ResponseModel):
    """Messages posted together."""

    messages: list[Message]

    model_config = _with_example({"messages": [MESSAGE]})


class Page(ResponseModel):
    """The messages of a range of positions; positions without a message (voids) are left out.

    A range without messages is extended until it has one: forward for `after` and `oldest`; otherwise backward and, for
    `around`, then forward.
    """

    channel_id: str
    thread_id: str | None = Field(
        default=None, description="The thread, by its root's id; absent for a channel."
    )
    messages: list[Message] = Field(
        description="In ascending order. Their number does not tell whether there are more."
    )
    first_seq: int = Field(description="The first position that the page covers.")
    last_seq: int = Field(description="The last position that the page covers. To poll, send it as `after`.")
    channel_last_seq: int = Field(description="The last position in the channel or thread.")
    channel_last_rev: int = Field(
        description="The number of the last change in the channel or thread; the messages have all changes up to it."
    )
    has_more_before: bool
    has_more_after: bool
    expired_before: int | None = Field(
        default=None,
        description="The first position that has not expired, if the page begins there: all messages before it are "
        "gone. Absent if none is gone that was asked for.",
    )

    model_config = _with_example(
        {
            "channel_id": "4nc0f2k9q1d7h3sa",
            "messages": [MESSAGE],
            "first_seq": 39,
            "last_seq": 39,
            "channel_last_seq": 39,
            "channel_last_rev": 7,
            "has_more_before": True,
            "has_more_after": False,
        }
    )


class Change(ResponseModel):
    """One change of a message."""

    rev: int = Field(description="Its number: dense within the channel, from 1.")
    kind: Literal["edited", "deleted", "reaction_added", "reaction_removed", "pinned", "unpinned", "thread"]
    message_id: str
    seq: int = Field(description="The message's position.")
    by: str = Field(description=f"A user's id; `{ERASED}` if that user was erased.")
    at: str = Field(json_schema_extra={"format": "date-time"})
    emoji: str | None = Field(default=None, description="For reactions only.")
    message: Message | None = Field(
        default=None,
        description="The message after the change; absent for pins, which do not change it, and if a later change of "
        "the message follows, which has it.",
    )


class ChangePage(ResponseModel):
    """The changes of a range of numbers, without a gap."""

    channel_id: str
    thread_id: str | None = Field(
        default=None, description="The thread, by its root's id; absent for a channel."
    )
    changes: list[Change]
    first_rev: int = Field(description="The first number that the page covers.")
    last_rev: int = Field(description="The last number that the page covers; continue with `after` this.")
    channel_last_rev: int = Field(description="The number of the last change in the channel or thread.")
    has_more_after: bool
    expired_before: int | None = Field(
        default=None,
        description="If changes of the range are left out, because their messages have expired: the first position "
        "that has not.",
    )

    model_config = _with_example(
        {
            "channel_id": "4nc0f2k9q1d7h3sa",
            "changes": [
                {
                    "rev": 7,
                    "kind": "reaction_added",
                    "message_id": "4nc0f2k9q1d7h3sa-00000017",
                    "seq": 39,
                    "by": "grace",
                    "at": "2026-11-23T18:45:02.007Z",
                    "emoji": "👍",
                    "message": MESSAGE
                    | {"reactions": [{"emoji": "👍", "count": 1, "users": ["grace"]}], "rev": 7},
                }
            ],
            "first_rev": 7,
            "last_rev": 7,
            "channel_last_rev": 7,
            "has_more_after": False,
        }
    )


class Version(ResponseModel):
    """One version of a message."""

    version: int
    text: str
    metadata: dict[str, Any] | None = None
    written_at: str = Field(json_schema_extra={"format": "date-time"})


class Versions(ResponseModel):
    """The versions of a message, oldest first: at most 20 earlier ones and the current one."""

    message_id: str
    versions: list[Version]

    model_config = _with_example(
        {
            "message_id": MESSAGE["id"],
            "versions": [
                {"version": 1, "text": "Helo", "written_at": "2026-11-23T18:44:24.123Z"},
                {"version": 2, "text": "Hello", "written_at": "2026-11-23T18:44:31.870Z"},
            ],
        }
    )


class ReactionPage(ResponseModel):
    """The users who reacted to a message with an emoji: first those that the message shows, then the others by id."""

    emoji: str
    count: int = Field(description="Of all pages.")
    users: list[str]
    has_more: bool
    next_cursor: str | None

    model_config = _with_example({"emoji": "👍", "count": 3, "users": ["grace", "eve"], **MORE})


class Pin(ResponseModel):
    """A pinned message."""

    rev: int = Field(
        description="The number of the change that pinned it; that change says who pinned it and when."
    )
    message: Message


class Pins(ResponseModel):
    """The pinned messages of a channel, at most 50, latest pin first."""

    channel_id: str
    pins: list[Pin]

    model_config = _with_example({"channel_id": "4nc0f2k9q1d7h3sa", "pins": [{"rev": 7, "message": MESSAGE}]})


class Mention(ResponseModel):
    """A message that names the caller."""

    channel_id: str
    thread_id: str | None = Field(default=None, description="Of a reply: its thread.")
    is_read: bool = Field(description="Whether the caller's read position is at or after the message.")
    message: Message


class MentionPage(ResponseModel):
    """A page of the caller's mentions, newest first. It may be short; only `next_cursor` null marks the end."""

    mentions: list[Mention]
    has_more: bool
    next_cursor: str | None

    model_config = _with_example(
        {
            "mentions": [{"channel_id": "4nc0f2k9q1d7h3sa", "is_read": False, "message": MESSAGE}],
            **MORE,
        }
    )


class Preview(ResponseModel):
    """The start of a channel's latest message. Reading the channel returns that message."""

    id: str
    seq: int
    text: str = Field(description="At most 100 characters and 140 bytes, cut between graphemes.")
    sender: str = Field(description=SENDER)
    created_at: str = Field(json_schema_extra={"format": "date-time"})
    redacted: bool | None = Field(default=None, description=REDACTED)
    deleted: bool | None = Field(default=None, description=DELETED)


class Channel(ResponseModel):
    """A channel as the caller sees it; fields for members only are null for others."""

    id: str
    name: str
    topic: str
    kind: Literal["public", "private", "direct", "group"]
    creator: str = Field(description=f"A user id; `{ERASED}` if that user was erased.")
    created_at: str = Field(json_schema_extra={"format": "date-time"})
    archived: bool
    slow_mode: int = Field(
        description="Minimum seconds between two messages of a member; 0 for the default rate."
    )
    edit_window: int | None = Field(
        description="Seconds after posting in which authors may edit a message; 0 for never, null without limit."
    )
    members_pin: bool = Field(description="Whether plain members may pin messages.")
    show_reads: bool = Field(description="Whether members may see each other's read positions.")
    retention_days: int | None = Field(
        description="Days after which messages are deleted; null for never. Each is shown for at most two hours more."
    )
    expired_before: int | None = Field(
        description="The first position that has not expired; null if none has. As found when messages were read last."
    )
    version: int = Field(
        description="Counts changes of name, topic and settings, and archiving. For `If-Match`, in double quotes."
    )
    member_count: int
    last_seq: int
    last_rev: int = Field(description="The number of the last change of a message in the channel.")
    last_message: Preview | None
    last_read_seq: int | None = Field(description="At most `last_seq`.")
    unread_count: int | None = Field(
        description="Messages after `last_read_seq`, including messages that are being posted at this moment."
    )
    mention_count: int | None = Field(
        description="Messages after `last_read_seq` that name the caller (at most 50) or everybody (at most 3)."
    )
    muted: bool | None = Field(
        description="Whether the caller has muted the channel: do not notify, unless `mention_count` is above 0."
    )
    role: Role | None
    blocked: bool = Field(
        description="Whether the caller has blocked the other member of the direct channel."
    )
    capabilities: list[str] = Field(
        description="Any of read, post, react, join, leave, pin, delete, edit, invite, remove, change_roles, archive. "
        "`remove` is also the right to ban, `delete` the right to handle reports, `archive` the right to unarchive. "
        "Authors may edit and delete their own messages if they may post."
    )

    model_config = _with_example(CHANNEL)


class ChannelPage(ResponseModel):
    """A page of channels. Any page may be short: only `next_cursor` tells whether there are more."""

    channels: list[Channel]
    has_more: bool
    next_cursor: str | None

    model_config = _with_example({"channels": [CHANNEL], **MORE})


class Member(ResponseModel):
    """A member of a channel."""

    user_id: str
    role: Role
    joined_at: str = Field(json_schema_extra={"format": "date-time"})

    model_config = _with_example(MEMBER)


class MemberPage(ResponseModel):
    """A page of members."""

    members: list[Member]
    has_more: bool
    next_cursor: str | None

    model_config = _with_example({"members": [MEMBER], **MORE})


class Block(ResponseModel):
    """A user whom the caller blocks."""

    user_id: str
    blocked_at: str = Field(json_schema_extra={"format": "date-time"})


class Blocks(ResponseModel):
    """All users whom the caller blocks, by user id; at most 500 or so."""

    blocks: list[Block]

    model_config = _with_example({"blocks": [{"user_id": "eve", "blocked_at": "2026-11-23T18:50:00.000Z"}]})


class Ban(ResponseModel):
    """A user who is banned from a channel."""

    user_id: str
    reason: str | None
    banned_by: str = Field(description=f"A user id; `{ERASED}` if that user was erased.")
    banned_at: str = Field(json_schema_extra={"format": "date-time"})

    model_config = _with_example(BAN)


class BanPage(ResponseModel):
    """A page of bans by user id."""

    bans: list[Ban]
    has_more: bool
    next_cursor: str | None

    model_config = _with_example({"bans": [BAN], **MORE})


class ReportMade(ResponseModel):
    """The caller's report of a message."""

    id: str
    message_id: str
    reason: Literal["spam", "abuse", "other"]
    text: str | None
    reported_at: str = Field(json_schema_extra={"format": "date-time"})

    model_config = _with_example(
        {name: REPORT[name] for name in ("id", "message_id", "reason", "text", "reported_at")}
    )


class Report(ResponseModel):
    """A report of a message, as moderators and owners see it."""

    id: str = Field(description="Opaque; ids sort by time.")
    status: Literal["open", "closed"]
    message_id: str
    reporter: str = Field(description=f"A user id; `{ERASED}` if that user was erased.")
    reason: Literal["spam", "abuse", "other"]
    text: str | None
    reported_at: str = Field(json_schema_extra={"format": "date-time"})
    closed_by: str | None = Field(description=f"A user id; `{ERASED}` if that user was erased.")
    closed_at: str | None = Field(json_schema_extra={"format": "date-time"})
    resolution: str | None
    message: Message | None = Field(
        description="The message as it is now: edited, deleted or redacted. Null if it does not exist any more."
    )

    model_config = _with_example(REPORT)


class ReportPage(ResponseModel):
    """A page of reports, oldest first."""

    reports: list[Report]
    has_more: bool
    next_cursor: str | None

    model_config = _with_example({"reports": [REPORT], **MORE})


class ReadPosition(ResponseModel):
    """The caller's read position."""

    channel_id: str
    last_read_seq: int
    unread_count: int

    model_config = _with_example({"channel_id": "4nc0f2k9q1d7h3sa", "last_read_seq": 39, "unread_count": 0})


class MemberRead(ResponseModel):
    """How far a member has read."""

    user_id: str
    last_read_seq: int = Field(description="At most the channel's `last_seq`.")


class Reads(ResponseModel):
    """The read positions of a channel's members, by user id; a member of the last second may be missing."""

    channel_id: str
    reads: list[MemberRead]

    model_config = _with_example(
        {"channel_id": "4nc0f2k9q1d7h3sa", "reads": [{"user_id": "grace", "last_read_seq": 39}]}
    )


class Ticket(ResponseModel):
    """What opens a WebSocket connection."""

    ticket: str = Field(description="For one connection within 30 seconds; a WebSocket subprotocol's name.")
    url: str = Field(description="The WebSocket's address.")
    expires_at: str = Field(json_schema_extra={"format": "date-time"})

    model_config = _with_example(
        {
            "ticket": "7h2k0v9q4m1s8d3f6g5j2l0p9r4t1u8a",
            "url": "wss://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com/v1",
            "expires_at": "2026-11-23T18:44:54.000Z",
        }
    )


class Muted(ResponseModel):
    """Whether the caller has muted the channel."""

    channel_id: str
    muted: bool

    model_config = _with_example({"channel_id": "4nc0f2k9q1d7h3sa", "muted": True})


class ThreadReadPosition(ResponseModel):
    """The caller's read position in a thread; nulls if they do not follow it."""

    channel_id: str
    thread_id: str
    following: bool
    last_read_seq: int | None
    unread_count: int | None
    mention_count: int | None

    model_config = _with_example(THREAD_IDS | {"following": True} | THREAD_READ)


class Thread(ResponseModel):
    """A thread that the caller follows."""

    channel_id: str
    thread_id: str = Field(description="The id of the thread's root message.")
    last_seq: int = Field(description="The last position in the thread.")
    last_rev: int = Field(description="The number of the last change of a reply.")
    last_message: Preview | None
    last_read_seq: int
    unread_count: int = Field(description="Replies after `last_read_seq`.")
    mention_count: int = Field(description="Replies after `last_read_seq` that name the caller (at most 50).")

    model_config = _with_example(THREAD)


class ThreadPage(ResponseModel):
    """A page of followed threads, latest reply first. Any page may be short: only `next_cursor` tells the end."""

    threads: list[Thread]
    has_more: bool
    next_cursor: str | None

    model_config = _with_example({"threads": [THREAD], **MORE})


class Check(ResponseModel):
    """The state of one dependency."""

    status: Literal["ok", "down", "off"]
    ms: float | None = None
    code: str | None = None


class RedisUsage(ResponseModel):
    """Redis' usage and the limits of its plan; null if there is no limit or the value is unknown."""

    plan: str = Field(description="The plan in the setting UPSTASH_PLAN.")
    commands: int = Field(
        description="Billed commands of this container since it started. `make usage` shows those of all containers."
    )
    commands_a_day: int | None
    commands_a_month: int | None
    stored_bytes: int | None = Field(description="Stored bytes, as reported by Redis.")
    stored_bytes_limit: int | None


class Health(ResponseModel):
    """The state of the service."""

    status: Literal["ok", "degraded", "down"]
    checks: dict[str, Check] | None = None
    cache: dict[str, Any] | None = Field(
        default=None,
        description="The cache's counters in this container since it started.",
    )
    usage: RedisUsage | None = None

    model_config = _with_example(
        {"status": "ok", "checks": {"dynamodb": {"status": "ok", "ms": 3.1}, "redis": {"status": "off"}}}
    )


class FieldError(ResponseModel):
    """An invalid field."""

    field: str = Field(description="The field, for example `body.text` or `query.limit`.")
    detail: str


class Problem(ResponseModel):
    """RFC 9457 problem details. Programs should use `code`, not the texts."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    request_id: str
    retryable: bool
    errors: list[FieldError] | None = None
    expired_before: int | None = Field(
        default=None, description="Of `message_not_found`: from this position on, messages have not expired."
    )
