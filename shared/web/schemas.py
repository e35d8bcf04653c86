"""What paths, headers and bodies must look like. Strict: no unknown field, nothing converted, nothing truncated."""

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
from shared.domain.errors import ChannelNotFoundError
from shared.domain.messages import Draft, dumps
from shared.domain.model import MAX_BATCH, MAX_METADATA_BYTES, MAX_TEXT
from shared.domain.text import is_visible

MAX_FIELDS: Final = 100
"""Of one object; no form has more than 5."""
MAX_DEPTH: Final = 32
"""Levels of metadata: some readers of JSON stop at 64."""
MAX_NUMBER: Final = 2**1023
"""Of metadata: larger whole numbers are none to readers that know doubles alone."""
UNFIT_FOR_TEXTS: Final = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f"
"""Tabs and line ends (U+0085 is one) may stand in a text, other control characters may not."""


def _metadata(value: dict[str, Any]) -> dict[str, Any]:
    try:
        size = len(dumps(value))
    except (ValueError, RecursionError):
        msg = "not valid JSON: NaN, infinity, a lone surrogate, or too deep"
        raise ValueError(msg) from None
    if size > MAX_METADATA_BYTES:
        msg = f"{size} bytes of JSON, at most {MAX_METADATA_BYTES} are allowed"
        raise ValueError(msg)
    if not _is_readable(value):
        msg = f"deeper than {MAX_DEPTH} levels, or a whole number that is no double"
        raise ValueError(msg)
    return value


def _is_readable(value: Any, depth: int = 1) -> bool:  # noqa: ANN401 - any JSON
    """Whether every reader of JSON takes it."""
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
        msg = f"a user id has {keys.USER_ID_RULE}, and is more than a dot or two"
        raise ValueError(msg)
    return text


def without(unfit: str) -> tuple[AfterValidator, Any]:
    """Refuses a text with characters of such a class by name; the schema has the class as a pattern."""
    found = re.compile(f"[{unfit}]")

    def check(text: str) -> str:
        if match := found.search(text):
            msg = f"U+{ord(match[0]):04X} may not stand in it"
            raise ValueError(msg)
        return text

    return AfterValidator(check), Field(json_schema_extra={"pattern": f"^[^{unfit}]*$"})


def _visible(text: str) -> str:
    if text and not is_visible(text):
        msg = "nothing in it is visible"
        raise ValueError(msg)
    return text


VISIBLE: Final = AfterValidator(_visible)
"""Refuses blanks, format characters and marks alone; whether a text may be empty is for its length to say."""


def without_fraction(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """JSON has one kind of number: to JSON Schema, and so to the document, 3.0 is an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Text = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_TEXT),
    *without(UNFIT_FOR_TEXTS),
    VISIBLE,
    Field(description="With something visible in it; tabs, line ends, joiners and isolates may stand in it."),
]
Metadata = Annotated[
    dict[str, Any],
    AfterValidator(_metadata),
    WithJsonSchema(
        {
            "type": "object",
            "description": "At most 1,024 bytes of JSON, 32 levels, numbers that a double holds.",
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
    UserId, Path(description="The member's user id, percent-encoded once; `me` is the caller.")
]


def _sent_once(value: Any) -> Any:  # noqa: ANN401 - a header
    if "," in str(value):
        msg = "sent more than once, or with a comma, by which API Gateway joins a header that was"
        raise ValueError(msg)
    return value


IdempotencyKey = Annotated[
    str, StringConstraints(pattern=r"^[\x21-\x2b\x2d-\x7e]{1,255}$"), BeforeValidator(_sent_once)
]


class Request(BaseModel):
    """A request's body."""

    model_config = ConfigDict(extra="forbid", strict=True, defer_build=False)

    @model_validator(mode="before")
    @classmethod
    def _not_flooded(cls, value: Any) -> Any:  # noqa: ANN401 - any JSON
        """Before each unknown field becomes an error of half a kilobyte."""
        if isinstance(value, dict) and len(value) > MAX_FIELDS:
            msg = f"{len(value)} fields, at most {MAX_FIELDS} are looked at"
            raise ValueError(msg)
        return value


class MessageIn(Request):
    """A message to post."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"text": "Hello, Ada!", "client_message_id": "01J9ZK3"}]}
    )
    text: Text
    client_message_id: ClientPostId | None = Field(
        default=None, description="Comes back in the message, for the client to know its own by."
    )
    metadata: Metadata | None = None

    def draft(self) -> Draft:
        """The message as the use case takes it."""
        return Draft(self.text, self.client_message_id, self.metadata)

    def drafts(self) -> list[Draft]:
        """The messages to post: this one."""
        return [self.draft()]


class BatchIn(Request):
    """Messages to post at adjacent positions, all or none."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"messages": [{"text": "Hello, Ada!"}, {"text": "How are you?"}]}]}
    )
    messages: list[MessageIn] = Field(min_length=1, max_length=MAX_BATCH)

    def drafts(self) -> list[Draft]:
        """The messages to post, in order."""
        return [message.draft() for message in self.messages]


def _form(value: Any) -> str:  # noqa: ANN401 - whatever JSON came
    return "batch" if isinstance(value, dict) and "messages" in value else "message"


PostIn = Annotated[
    Annotated[MessageIn, Tag("message")] | Annotated[BatchIn, Tag("batch")], Discriminator(_form)
]


class ReadIn(Request):
    """How far the caller has read."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"last_read_seq": 1}]})
    last_read_seq: Annotated[int, Field(ge=0, le=keys.MAX_SEQ), BeforeValidator(without_fraction)]
    force: bool = Field(default=False, description="Moves the position back too, to mark messages as unread.")
