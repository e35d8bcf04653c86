"""What requests' query parameters must look like: each in one form only, no unknown one, hard limits."""

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


def _written(pattern: str, form: str) -> BeforeValidator:
    """In a query, a value in one form only: pydantic would take `1_0`, ` 5 ` and `on` too, as the document does not."""
    check = re.compile(pattern)

    def validate(value: Any) -> Any:  # noqa: ANN401 - text from a query, or a default
        if isinstance(value, str) and not check.fullmatch(value):
            msg = f"not {form}"
            raise ValueError(msg)
        return value

    return BeforeValidator(validate)


WHOLE: Final = _written(r"-?[0-9]{1,20}", "a whole number in decimal digits")
Flag = Annotated[
    bool,
    _written("true|false|1|0", "true, false, 1 or 0"),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"enum": [0, 1]}]}),
]
Limit = Annotated[int, Field(ge=1, le=100, description="How many at most."), WHOLE]
Position = Annotated[int, Field(ge=1, le=keys.MAX_SEQ), WHOLE]
Reached = Annotated[int, Field(ge=0, le=keys.MAX_SEQ), WHOLE]
MAX_CURSOR: Final = 1_024
"""Characters. The longest that is given out has 727: a name and an id, whose quotation marks are escaped."""
MINE_ONLY: Final = "Not with `scope=public`."
Cursor = Annotated[str, StringConstraints(min_length=1, max_length=MAX_CURSOR)]
FOLLOWING: Final = "The `next_cursor` of the page before, for the one after it; absent for the first."


class Parameters(BaseModel):
    """A request's query parameters."""

    model_config = ConfigDict(extra="forbid", defer_build=False)


class ListChannelsQuery(Parameters):
    """Of the list of channels."""

    # First, so that what does not go with it is refused by its own name.
    scope: Literal["mine", "public"] = Field(
        default="mine", description="`public` lists channels that the caller may join, by name."
    )
    limit: Limit = 50
    cursor: Cursor | None = Field(default=None, description=FOLLOWING)
    unread_only: Flag = Field(default=False, description=f"Only channels with unread messages. {MINE_ONLY}")
    kind: Kind | None = Field(default=None, description=f"Only channels of this kind. {MINE_ONLY}")

    @field_validator("unread_only", "kind")
    @classmethod
    def _of_mine(cls, value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - of either field
        """Runs for what was sent only, not for defaults."""
        if info.data.get("scope") == "public":
            msg = "not with scope=public, which lists public channels that the caller is not in"
            raise ValueError(msg)
        return value

    def listing(self) -> Listing:
        """What the use case takes."""
        return Listing(self.limit, self.cursor, self.unread_only, self.kind)


class ListMembersQuery(Parameters):
    """Of the list of members."""

    limit: Limit = 50
    cursor: Cursor | None = Field(default=None, description=FOLLOWING)


class FetchMessagesQuery(Parameters):
    """Of a page of messages: at most one of ``before``, ``after``, ``around`` and ``anchor``."""

    limit: Limit = 50
    before: Position | None = Field(
        default=None, description="The page that ends just before this position: going back."
    )
    after: Reached | None = Field(
        default=None,
        description="The page that begins just after this position, such as a page's `last_seq`: polling.",
    )
    around: Position | None = Field(default=None, description="The page with this position in its middle.")
    anchor: Literal["first_unread", "latest", "oldest"] | None = Field(
        default=None,
        description="A place by name: what the caller has not read, the end, or the beginning. "
        "At most one of `before`, `after`, `around` and `anchor`; without any, `latest`.",
    )

    @model_validator(mode="after")
    def _one_place(self) -> FetchMessagesQuery:
        given = [each for each in (self.before, self.after, self.around, self.anchor) if each is not None]
        if len(given) > 1:
            msg = "at most one of before, after, around and anchor"
            raise ValueError(msg)
        return self

    def window(self) -> Window:
        """What the use case takes."""
        return Window(self.limit, self.before, self.after, self.around, self.anchor or "latest")


PageQuery = Annotated[FetchMessagesQuery, Query()]


class HealthQuery(Parameters):
    """Of the health check."""

    deep: Flag = Field(default=False, description="Also reaches DynamoDB and Redis.")
