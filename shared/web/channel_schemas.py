"""Schemas of the bodies about channels and members; only the function that manages them loads this module."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from shared.domain import keys
from shared.domain.errors import ValidationFailedError
from shared.domain.model import (
    FIXED_MEMBERS,
    MAX_GROUP,
    MAX_NAME,
    MAX_NAME_BYTES,
    MAX_TOPIC,
    MAX_TOPIC_BYTES,
    MIN_GROUP,
    Kind,
    Role,
)
from shared.domain.moderation import MAX_REASON
from shared.domain.retention import MAX_DAYS
from shared.domain.text import UNFIT_FOR_NAMES
from shared.use_cases.manage_channels import Plan
from shared.web.schemas import UNFIT_FOR_TEXTS, VISIBLE, Request, UserId, without, without_fraction

MAX_MEMBERS_AT_CREATION: Final = 50
MAX_EDIT_WINDOW: Final = 365 * 24 * 3600
MAX_SLOW_MODE: Final = 6 * 3600


def _at_most(limit: int) -> AfterValidator:
    def check(text: str) -> str:
        if len(text.encode()) > limit:
            msg = f"longer than {limit} bytes in UTF-8"
            raise ValueError(msg)
        return text

    return AfterValidator(check)


Name = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_NAME),
    _at_most(MAX_NAME_BYTES),
    *without(UNFIT_FOR_NAMES),
    VISIBLE,
]
Topic = Annotated[
    str,
    StringConstraints(max_length=MAX_TOPIC),
    _at_most(MAX_TOPIC_BYTES),
    *without(UNFIT_FOR_NAMES),
    VISIBLE,
]
SlowMode = Annotated[int, Field(ge=0, le=MAX_SLOW_MODE), BeforeValidator(without_fraction)]


EditWindow = Annotated[int, Field(ge=0, le=MAX_EDIT_WINDOW), BeforeValidator(without_fraction)]


RetentionDays = Annotated[int, Field(ge=1, le=MAX_DAYS), BeforeValidator(without_fraction)]


class ChannelIn(Request):
    """A channel to create."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"kind": "public", "name": "lobby", "topic": "Say hello"},
                {"kind": "private", "name": "crew", "members": ["grace"]},
                {"kind": "direct", "members": ["grace"]},
                {"kind": "direct", "members": []},
                {"kind": "group", "members": ["grace", "linus"]},
            ]
        }
    )
    kind: Literal["public", "private", "direct", "group"] = Field(
        description="A direct channel is one of two users, or of the caller alone; a group channel is one of "
        f"{MIN_GROUP} to {MAX_GROUP}. Both are found again by their members, who never change."
    )
    name: Name | None = Field(
        default=None,
        description="Required for public and private channels; direct and group channels have no name.",
    )
    topic: Topic = ""
    slow_mode: SlowMode = Field(
        default=0,
        description="Minimum seconds between two messages of a member; 0 for the default rate.",
    )
    members: list[UserId] = Field(
        default=[],
        max_length=MAX_MEMBERS_AT_CREATION,
        description="User ids of the members besides the caller; for a direct channel none or one, for a group "
        f"channel {MIN_GROUP - 1} to {MAX_GROUP - 1}.",
    )

    @model_validator(mode="after")
    def _of_its_kind(self) -> ChannelIn:
        is_fixed = self.kind in FIXED_MEMBERS
        if not is_fixed and self.name is None:
            msg = "name: required for this kind of channel"
            raise ValueError(msg)
        if is_fixed and (self.name is not None or self.topic or self.slow_mode):
            msg = "a direct or group channel has no name, topic or slow_mode"
            raise ValueError(msg)
        if keys.ME in self.members:
            msg = "members: must not contain `me`, as the caller is always a member"
            raise ValueError(msg)
        return self

    def plan(self, caller: str) -> Plan:
        """The use case's argument; the caller is removed from the members.

        Raises:
            ValidationFailedError: too few or too many members for a direct or group channel.
        """
        others = sorted(set(self.members) - {caller})
        detail = ""
        if self.kind == "direct" and len(others) > 1:
            detail = "A direct channel has at most one member other than the caller."
        if self.kind == "group" and not MIN_GROUP <= len(others) + 1 <= MAX_GROUP:
            detail = f"A group channel has {MIN_GROUP} to {MAX_GROUP} members, the caller included."
        if detail:
            raise ValidationFailedError(detail, errors=[{"field": "body.members", "detail": detail}])
        return Plan(Kind(self.kind), self.name or "", self.topic, self.slow_mode, others)


class ChannelChange(Request):
    """The changes to a channel; absent fields stay as they are."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"topic": "Release on Friday"}]})
    # Factories instead of defaults, because OpenAPI would show a default, and none is ever used.
    name: Name = Field(default_factory=str)
    topic: Topic = Field(default_factory=str)
    slow_mode: SlowMode = Field(default_factory=int)
    edit_window: EditWindow | None = Field(
        default_factory=lambda: None,
        description="Seconds after posting in which authors may edit a message; 0 for never, `null` without limit.",
    )
    members_pin: bool = Field(default_factory=bool, description="Whether plain members may pin messages.")
    show_reads: bool = Field(
        default_factory=bool, description="Whether members may see each other's read positions."
    )
    retention_days: RetentionDays | None = Field(
        default_factory=lambda: None,
        description="Days after which messages are deleted, by owners only; `null` for never. A shorter retention "
        "applies to all messages, a longer one to messages posted from ten minutes later on.",
    )

    def changes(self) -> dict[str, str | int | None]:
        """The fields that were sent."""
        return self.model_dump(exclude_unset=True)


class ArchivedIn(Request):
    """Whether the channel is archived."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"archived": False}]})
    archived: bool


class MemberIn(Request):
    """A member's role."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"role": "moderator"}]})
    role: Literal["owner", "moderator", "member"] | None = None

    def wanted(self) -> Role | None:
        """The use case's argument; None if no role was sent."""
        return Role(self.role) if self.role else None


Reason = Annotated[str, StringConstraints(max_length=MAX_REASON), *without(UNFIT_FOR_TEXTS), VISIBLE]


class BanIn(Request):
    """Why a user is banned."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "Posts advertisements"}]})
    reason: Reason = Field(default="", description="Shown to moderators and owners only.")


class ReportIn(Request):
    """Why a message is reported."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "abuse", "text": "Insults Grace"}]})
    reason: Literal["spam", "abuse", "other"]
    text: Reason = Field(default="", description="In the reporter's words; for moderators and owners only.")


class ReportChange(Request):
    """How a report is closed."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"status": "closed", "resolution": "Deleted the message"}]}
    )
    status: Literal["closed"]
    resolution: Annotated[Reason, Field(min_length=1)]
