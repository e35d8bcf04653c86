"""Schemas of paths, headers and bodies. Strict: no unknown fields, no conversion, no truncation."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from fastapi import Path
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

from shared.domain import keys
from shared.domain.emoji import canonical_emoji
from shared.domain.errors import ChannelNotFoundError
from shared.domain.messages import Draft, dumps
from shared.domain.model import MAX_BATCH, MAX_METADATA_BYTES, MAX_TEXT
from shared.domain.text import is_visible

MAX_FIELDS: Final = 100
"""Fields in one object; no schema has more than 5."""
MAX_DEPTH: Final = 32
"""Levels of metadata; some JSON parsers stop at 64."""
MAX_NUMBER: Final = 2**1023
"""The largest integer in metadata; parsers that only know doubles cannot read larger ones."""
UNFIT_FOR_TEXTS: Final = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f"
"""Control characters other than tabs and line ends (U+0085 is one), which a text may contain."""


def _metadata(value: dict[str, Any]) -> dict[str, Any]:
    try:
        size = len(dumps(value))
    except (ValueError, RecursionError):
        msg = "not valid JSON: contains NaN, infinity or a lone surrogate, or is nested too deeply"
        raise ValueError(msg) from None
    if size > MAX_METADATA_BYTES:
        msg = f"{size} bytes of JSON; at most {MAX_METADATA_BYTES} are allowed"
        raise ValueError(msg)
    if not _is_readable(value):
        msg = f"nested more than {MAX_DEPTH} levels deep, or contains an integer too large for a double"
        raise ValueError(msg)
    return value


def _is_readable(value: Any, depth: int = 1) -> bool:  # noqa: ANN401 - any JSON
    """Whether every JSON parser can read it."""
    if isinstance(value, int):
        return abs(value) <= MAX_NUMBER
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth <= MAX_DEPTH and all(_is_readable(each, depth + 1) for each in inner)


def _channel_id(text: str) -> str:
    if not keys.is_channel_id(text):
        raise ChannelNotFoundError
    return text


def _user_id(text: str) -> str:
    if not keys.is_user_id(text):
        msg = f"a user id has {keys.USER_ID_RULE}, and is neither `.` nor `..`"
        raise ValueError(msg)
    return text


def without(unfit: str) -> tuple[AfterValidator, Any]:
    """Refuses texts that contain a character of the class ``unfit``; the JSON schema gets it as a pattern."""
    found = re.compile(f"[{unfit}]")

    def check(text: str) -> str:
        if match := found.search(text):
            msg = f"contains U+{ord(match[0]):04X}, which is not allowed"
            raise ValueError(msg)
        return text

    return AfterValidator(check), Field(json_schema_extra={"pattern": f"^[^{unfit}]*$"})


def _visible(text: str) -> str:
    if text and not is_visible(text):
        msg = "contains no visible character"
        raise ValueError(msg)
    return text


VISIBLE: Final = AfterValidator(_visible)
"""Refuses texts of blanks, format characters and marks only. The empty text is left to the length limits."""


def without_fraction(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Converts 3.0 to 3, because JSON Schema, and so OpenAPI, counts 3.0 as an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Text = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_TEXT),
    *without(UNFIT_FOR_TEXTS),
    VISIBLE,
    Field(description="Contains a visible character. Tabs, line ends, joiners and isolates are allowed."),
]
Metadata = Annotated[
    dict[str, Any],
    AfterValidator(_metadata),
    WithJsonSchema(
        {
            "type": "object",
            "description": "At most 1,024 bytes of JSON and 32 levels; numbers must fit into a double.",
        }
    ),
]
ClientPostId = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,64}$")]
ChannelId = Annotated[str, AfterValidator(_channel_id), Path(description="The channel's `id`.")]
PostId = Annotated[str, Path(description="The message's `id`.")]
UserId = Annotated[
    str, StringConstraints(min_length=1, max_length=keys.MAX_USER_ID_BYTES), AfterValidator(_user_id)
]
MemberId = Annotated[
    UserId, Path(description="The member's user id, percent-encoded once; `me` means the caller.")
]


ReportId = Annotated[str, Path(description="The report's `id`.")]


def _emoji(text: str) -> str:
    found = canonical_emoji(text)
    if found is None:
        msg = "neither one emoji nor a shortcode such as :ship_it:"
        raise ValueError(msg)
    return found


Emoji = Annotated[
    str,
    AfterValidator(_emoji),
    Field(
        description="One emoji that Unicode recommends for general interchange (RGI), with or without its variation "
        "selectors, or a shortcode `:[a-z0-9_+-]{1,32}:`. Percent-encoded in paths."
    ),
]
EmojiInPath = Annotated[Emoji, Path()]


def _sent_once(value: Any) -> Any:  # noqa: ANN401 - a header
    if "," in str(value):
        msg = "sent more than once, or contains a comma, with which API Gateway joins repeated headers"
        raise ValueError(msg)
    return value


IdempotencyKey = Annotated[
    str, StringConstraints(pattern=r"^[\x21-\x2b\x2d-\x7e]{1,255}$"), BeforeValidator(_sent_once)
]


class Request(BaseModel):
    """The body of a request."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=False)

    @model_validator(mode="before")
    @classmethod
    def _not_flooded(cls, value: Any) -> Any:  # noqa: ANN401 - any JSON
        """Runs first, because each unknown field would become an error of half a kilobyte."""
        if isinstance(value, dict) and len(value) > MAX_FIELDS:
            msg = f"{len(value)} fields; at most {MAX_FIELDS} are allowed"
            raise ValueError(msg)
        return value


class MessageIn(Request):
    """A message to post."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"text": "Hello, Ada!", "client_message_id": "01J9ZK3"}]}
    )
    text: Text
    client_message_id: ClientPostId | None = Field(
        default=None, description="Returned in the message, so that the client recognizes its own message."
    )
    metadata: Metadata | None = None

    def draft(self) -> Draft:
        """The use case's argument."""
        return Draft(self.text, self.client_message_id, self.metadata)

    def drafts(self) -> list[Draft]:
        """The messages to post: only this one."""
        return [self.draft()]


class ReplyIn(MessageIn):
    """A reply to post."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"text": "Good idea!"}, {"text": "Done.", "also_in_channel": True}]}
    )
    also_in_channel: bool = Field(
        default=False, description="Also posts it to the channel, as a message of its own; both or neither."
    )


class BatchIn(Request):
    """Messages to post at adjacent positions, all or none of them."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"messages": [{"text": "Hello, Ada!"}, {"text": "How are you?"}]}]}
    )
    messages: list[MessageIn] = Field(min_length=1, max_length=MAX_BATCH)

    def drafts(self) -> list[Draft]:
        """The messages to post, in order."""
        return [message.draft() for message in self.messages]


def _form(value: Any) -> str:  # noqa: ANN401 - any JSON
    return "batch" if isinstance(value, dict) and "messages" in value else "message"


PostIn = Annotated[
    Annotated[MessageIn, Tag("message")] | Annotated[BatchIn, Tag("batch")], Discriminator(_form)
]


ReplyPostIn = Annotated[
    Annotated[ReplyIn, Tag("message")] | Annotated[BatchIn, Tag("batch")], Discriminator(_form)
]


class MessageChange(Request):
    """What to change of a message; what is absent stays."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"text": "Hello, Grace!"}, {"metadata": {"kind": "greeting"}}]}
    )
    # Made, not given: the document names no default, as none is ever used.
    text: Text = Field(default_factory=str)
    metadata: Metadata | None = Field(
        default_factory=lambda: None, description="`null` removes what the message has."
    )

    @model_validator(mode="after")
    def _something(self) -> MessageChange:
        if not self.model_fields_set:
            msg = "text or metadata is required"
            raise ValueError(msg)
        return self

    def changes(self) -> dict[str, Any]:
        """The fields that were sent."""
        return self.model_dump(exclude_unset=True)


class ReadIn(Request):
    """The caller's new read position."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"last_read_seq": 1}]})
    last_read_seq: Annotated[int, Field(ge=0, le=keys.MAX_SEQ), BeforeValidator(without_fraction)]
    force: bool = Field(
        default=False, description="Also moves the position back, to mark messages as unread."
    )


class MutedIn(Request):
    """Whether the caller has muted the channel."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"muted": True}]})
    muted: bool
