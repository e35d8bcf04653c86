"""What paths, headers and bodies must look like. Strict: no unknown field, nothing converted, nothing truncated."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    WithJsonSchema,
    model_validator,
)

from shared import keys
from shared.errors import ChannelNotFoundError, ValidationFailedError
from shared.messages import Draft, dumps
from shared.model import (
    MAX_BATCH,
    MAX_METADATA_BYTES,
    MAX_NAME,
    MAX_NAME_BYTES,
    MAX_TEXT,
    MAX_TOPIC,
    MAX_TOPIC_BYTES,
    Kind,
    Role,
)
from shared.use_cases.manage_channels import Plan

MAX_MEMBERS_AT_CREATION: Final = 50
MAX_SLOW_MODE: Final = 6 * 3600
NO_CONTROL: Final = r"^[^\x00-\x1f\x7f]*$"
SOMETHING_VISIBLE: Final = r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$"
TEXT: Final = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"
"""Tabs and line ends may stand in a text, other control characters may not, and it is not blank."""


def _at_most(limit: int) -> AfterValidator:
    def check(text: str) -> str:
        if len(text.encode()) > limit:
            msg = f"longer than {limit} bytes in UTF-8"
            raise ValueError(msg)
        return text

    return AfterValidator(check)


def _metadata(value: dict[str, Any]) -> dict[str, Any]:
    try:
        size = len(dumps(value))
    except (ValueError, RecursionError):
        msg = "not valid JSON: NaN, infinity, a lone surrogate, or too deep"
        raise ValueError(msg) from None
    if size > MAX_METADATA_BYTES:
        msg = f"{size} bytes of JSON, at most {MAX_METADATA_BYTES} are allowed"
        raise ValueError(msg)
    return value


def _channel_id(text: str) -> str:
    if not keys.is_channel_id(text):
        raise ChannelNotFoundError
    return text


def _user_id(text: str) -> str:
    if not keys.is_user_id(text):
        msg = (
            f"a user id has 1 to {keys.MAX_USER_ID_BYTES} bytes, none of / ? # % \\ and no control character"
        )
        raise ValueError(msg)
    return text


def _without_fraction(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """JSON has one kind of number: to JSON Schema, and so to the document, 3.0 is an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Text = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT, pattern=TEXT)]
Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_NAME, pattern=SOMETHING_VISIBLE),
    _at_most(MAX_NAME_BYTES),
]
Topic = Annotated[str, StringConstraints(max_length=MAX_TOPIC, pattern=NO_CONTROL), _at_most(MAX_TOPIC_BYTES)]
Metadata = Annotated[
    dict[str, Any],
    AfterValidator(_metadata),
    WithJsonSchema({"type": "object", "description": "At most 1,024 bytes of JSON."}),
]
ClientMessageId = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,64}$")]
ChannelId = Annotated[str, AfterValidator(_channel_id)]
UserId = Annotated[
    str, StringConstraints(min_length=1, max_length=keys.MAX_USER_ID_BYTES), AfterValidator(_user_id)
]
IdempotencyKey = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,255}$")]
SlowMode = Annotated[int, Field(ge=0, le=MAX_SLOW_MODE), BeforeValidator(_without_fraction)]


class Request(BaseModel):
    """A request's body."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=False)


class MessageIn(Request):
    """A message to post."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"text": "Hello, Ada!", "client_message_id": "01J9ZK3"}]}
    )
    text: Text
    client_message_id: ClientMessageId | None = Field(
        default=None, description="Comes back in the message, for the client to know its own by."
    )
    metadata: Metadata | None = None

    def draft(self) -> Draft:
        """What the use case takes."""
        return Draft(self.text, self.client_message_id, self.metadata)


class BatchIn(Request):
    """Messages to post at adjacent positions, all or none."""

    messages: list[MessageIn] = Field(min_length=1, max_length=MAX_BATCH)


def _form(value: Any) -> str:  # noqa: ANN401 - whatever JSON came
    return "batch" if isinstance(value, dict) and "messages" in value else "message"


PostIn = Annotated[
    Annotated[MessageIn, Tag("message")] | Annotated[BatchIn, Tag("batch")], Discriminator(_form)
]


class ChannelIn(Request):
    """A channel to make."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"kind": "public", "name": "lobby", "topic": "Say hello"},
                {"kind": "private", "name": "crew", "members": ["grace"]},
                {"kind": "direct", "members": ["grace"]},
            ]
        }
    )
    kind: Literal["public", "private", "direct"]
    name: Name | None = Field(default=None, description="Required, but for direct channels, which have none.")
    topic: Topic = ""
    slow_mode: SlowMode = Field(default=0, description="Seconds between a member's messages.")
    members: list[UserId] = Field(
        default=[], max_length=MAX_MEMBERS_AT_CREATION, description="Besides the caller."
    )

    @model_validator(mode="after")
    def _of_its_kind(self) -> ChannelIn:
        if self.kind != "direct" and self.name is None:
            msg = "name: a channel of this kind needs one"
            raise ValueError(msg)
        if self.kind == "direct" and (self.name is not None or self.topic or self.slow_mode):
            msg = "a direct channel has no name, topic or slow_mode"
            raise ValueError(msg)
        if keys.ME in self.members:
            msg = "members: the caller is one anyway, and nobody else is called `me`"
            raise ValueError(msg)
        if self.kind == "direct" and len(set(self.members)) != 1:
            msg = "members: a direct channel has exactly one other member"
            raise ValueError(msg)
        return self

    def plan(self, caller: str) -> Plan:
        """What the use case takes; the caller is a member anyway.

        Raises:
            ValidationFailedError: a direct channel with oneself.
        """
        others = sorted(set(self.members) - {caller})
        if self.kind == "direct" and not others:
            detail = "A direct channel is with somebody else."
            raise ValidationFailedError(detail, errors=[{"field": "body.members", "detail": detail}])
        return Plan(Kind(self.kind), self.name or "", self.topic, self.slow_mode, others)


class ChannelChange(Request):
    """What to change of a channel; what is absent stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"topic": "Release on Friday"}]})
    # Made, not given: the document names no default, as none is ever used.
    name: Name = Field(default_factory=str)
    topic: Topic = Field(default_factory=str)
    slow_mode: SlowMode = Field(default_factory=int)

    def changes(self) -> dict[str, str | int]:
        """The fields that were sent."""
        return self.model_dump(exclude_unset=True)


class MemberIn(Request):
    """How somebody is to be a member."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"role": "moderator"}]})
    role: Literal["owner", "moderator", "member"] | None = None

    def wanted(self) -> Role | None:
        """What the use case takes."""
        return Role(self.role) if self.role else None


class ReadIn(Request):
    """How far the caller has read."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"last_read_seq": 42}]})
    last_read_seq: Annotated[int, Field(ge=0, le=keys.MAX_SEQ), BeforeValidator(_without_fraction)]
    force: bool = Field(default=False, description="Moves the position back too, to mark messages as unread.")
