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
    "version": 1,
    "member_count": 2,
    "last_seq": 39,
    "last_message": MESSAGE,
    "last_read_seq": 37,
    "unread_count": 2,
    "role": "member",
    "capabilities": ["read", "post", "leave"],
}
MEMBER: Final = {"user_id": "grace", "role": "member", "joined_at": "2026-11-23T18:01:00.000Z"}
MORE: Final = {"has_more": True, "next_cursor": "WzE3OTU0NTk0NjQxMjMsIjRuYzBmMms5cTFkN2gzc2EiXQ"}


def _with_example(example: dict[str, Any]) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [example]})


class ResponseModel(BaseModel):
    """Forbids additional fields, so that tests find undocumented ones."""

    model_config = ConfigDict(extra="forbid")


class Message(ResponseModel):
    """A message; every reader gets the same bytes, until its sender is erased."""

    id: str = Field(description="Opaque; ids sort by position within a channel.")
    seq: int = Field(description="The message's position in the channel.")
    sender: str = Field(description=SENDER)
    text: str
    created_at: str = Field(json_schema_extra={"format": "date-time"})
    client_message_id: str | None = None
    metadata: dict[str, Any] | None = None
    redacted: bool | None = Field(default=None, description=REDACTED)

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
    messages: list[Message] = Field(
        description="In ascending order. Their number does not tell whether there are more."
    )
    first_seq: int = Field(description="The first position that the page covers.")
    last_seq: int = Field(description="The last position that the page covers. To poll, send it as `after`.")
    channel_last_seq: int = Field(description="The last position in the channel.")
    has_more_before: bool
    has_more_after: bool

    model_config = _with_example(
        {
            "channel_id": "4nc0f2k9q1d7h3sa",
            "messages": [MESSAGE],
            "first_seq": 39,
            "last_seq": 39,
            "channel_last_seq": 39,
            "has_more_before": True,
            "has_more_after": False,
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


class Channel(ResponseModel):
    """A channel as the caller sees it; fields for members only are null for others."""

    id: str
    name: str
    topic: str
    kind: Literal["public", "private", "direct"]
    creator: str = Field(description=f"A user id; `{ERASED}` if that user was erased.")
    created_at: str = Field(json_schema_extra={"format": "date-time"})
    archived: bool
    slow_mode: int = Field(
        description="Minimum seconds between two messages of a member; 0 for the default rate."
    )
    version: int = Field(
        description="Counts changes of name, topic and slow mode, and archiving. For `If-Match`, in double quotes."
    )
    member_count: int
    last_seq: int
    last_message: Preview | None
    last_read_seq: int | None = Field(description="At most `last_seq`.")
    unread_count: int | None = Field(
        description="Messages after `last_read_seq`, including messages that are being posted at this moment."
    )
    role: Role | None
    capabilities: list[str] = Field(
        description="Any of read, post, join, leave, edit, invite, remove, change_roles, archive."
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


class ReadPosition(ResponseModel):
    """The caller's read position."""

    channel_id: str
    last_read_seq: int
    unread_count: int

    model_config = _with_example({"channel_id": "4nc0f2k9q1d7h3sa", "last_read_seq": 39, "unread_count": 0})


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
