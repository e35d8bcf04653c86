"""Schemas of the query parameters: one notation for each value, no unknown parameters, hard limits."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from fastapi import Query
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from shared.domain import keys
from shared.domain.model import Kind
from shared.use_cases.fetch_messages import Window
from shared.use_cases.list_channels import Listing
from shared.web.schemas import Emoji


def _written(pattern: str, form: str) -> BeforeValidator:
    """Accepts one notation only: pydantic would accept `1_0`, ` 5 ` and `on` too, which OpenAPI does not document."""
    check = re.compile(pattern)

    def validate(value: Any) -> Any:  # noqa: ANN401 - text from a query, or a default
        if isinstance(value, str) and not check.fullmatch(value):
            msg = f"must be {form}"
            raise ValueError(msg)
        return value

    return BeforeValidator(validate)


WHOLE: Final = _written(r"-?[0-9]{1,20}", "a whole number in decimal digits")
Flag = Annotated[
    bool,
    _written("true|false|1|0", "true, false, 1 or 0"),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"enum": [0, 1]}]}),
]
Limit = Annotated[int, Field(ge=1, le=100, description="The maximum number of results."), WHOLE]
Position = Annotated[int, Field(ge=1, le=keys.MAX_SEQ), WHOLE]
Reached = Annotated[int, Field(ge=0, le=keys.MAX_SEQ), WHOLE]
MAX_CURSOR: Final = 1_024
"""Characters. The longest cursor that we make has 727: a name and an id with escaped quotation marks."""
MINE_ONLY: Final = "Not allowed with `scope=public`."
Cursor = Annotated[str, StringConstraints(min_length=1, max_length=MAX_CURSOR)]
FOLLOWING: Final = "The `next_cursor` of the previous page; absent for the first page."


class Parameters(BaseModel):
    """A request's query parameters."""

    model_config = ConfigDict(extra="forbid", defer_build=False)


class ListChannelsQuery(Parameters):
    """Query parameters of the list of channels."""

    # First, so that the validators of the fields below can read it.
    scope: Literal["mine", "public"] = Field(
        default="mine",
        description="`mine`: the caller's channels; `public`: channels that the caller may join, by name.",
    )
    limit: Limit = 50
    cursor: Cursor | None = Field(default=None, description=FOLLOWING)
    unread_only: Flag = Field(
        default=False,
        description="Only channels with unread messages; muted ones only if an "
        f"unread message mentions the caller. {MINE_ONLY}",
    )
    kind: Kind | None = Field(default=None, description=f"Only channels of this kind. {MINE_ONLY}")

    @field_validator("unread_only", "kind")
    @classmethod
    def _of_mine(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - of either field
        """Runs only for parameters that were sent, not for defaults."""
        if info.data.get("scope") == "public":
            msg = "not allowed with scope=public, which lists public channels that the caller is not in"
            raise ValueError(msg)
        return value

    def listing(self) -> Listing:
        """The use case's argument."""
        return Listing(self.limit, self.cursor, self.unread_only, self.kind)


class ListMembersQuery(Parameters):
    """Query parameters of the list of members."""

    limit: Limit = 50
    cursor: Cursor | None = Field(default=None, description=FOLLOWING)


class FetchMessagesQuery(Parameters):
    """Query parameters of a page of messages: at most one of ``before``, ``after``, ``around`` and ``anchor``."""

    limit: Limit = 50
    before: Position | None = Field(
        default=None, description="The page that ends just before this position, to go back."
    )
    after: Reached | None = Field(
        default=None,
        description="The page that begins just after this position. To poll, use the previous page's `last_seq`.",
    )
    around: Position | None = Field(default=None, description="The page centred on this position.")
    anchor: Literal["first_unread", "latest", "oldest"] | None = Field(
        default=None,
        description="The page at the first unread message, at the end or at the beginning. "
        "At most one of `before`, `after`, `around` and `anchor` is allowed; without any, the page is `latest`.",
    )

    @model_validator(mode="after")
    def _one_place(self) -> FetchMessagesQuery:
        given = [each for each in (self.before, self.after, self.around, self.anchor) if each is not None]
        if len(given) > 1:
            msg = "at most one of before, after, around and anchor"
            raise ValueError(msg)
        return self

    def window(self) -> Window:
        """The use case's argument."""
        return Window(self.limit, self.before, self.after, self.around, self.anchor or "latest")


PageQuery = Annotated[FetchMessagesQuery, Query()]


class FetchChangesQuery(Parameters):
    """Query parameters of a page of changes."""

    limit: Limit = 50
    after: Reached = Field(
        default=0,
        description="The page that begins just after this number. To catch up, use the previous page's `last_rev`.",
    )


class FetchReactionsQuery(Parameters):
    """Query parameters of the users who reacted with an emoji."""

    emoji: Emoji
    limit: Limit = 50
    cursor: Cursor | None = Field(default=None, description=FOLLOWING)


class ListMentionsQuery(Parameters):
    """Query parameters of the caller's mentions."""

    limit: Limit = 50
    cursor: Cursor | None = Field(default=None, description=FOLLOWING)


class ListBansQuery(Parameters):
    """Query parameters of the bans from a channel."""

    limit: Limit = 50
    cursor: Cursor | None = Field(default=None, description=FOLLOWING)


class ListReportsQuery(Parameters):
    """Query parameters of the reports of messages."""

    status: Literal["open", "closed"] = Field(default="open", description="Which reports to list.")
    limit: Limit = 50
    cursor: Cursor | None = Field(default=None, description=FOLLOWING)


class HealthQuery(Parameters):
    """Query parameters of the health check."""

    deep: Flag = Field(default=False, description="Also checks DynamoDB and Redis.")
