"""Who may do what: all permission checks, based on the channel state read in the request."""

from __future__ import annotations

from typing import Final

from shared.domain.errors import (
    ChannelArchivedError,
    ChannelNotFoundError,
    ForbiddenError,
    MessageNotFoundError,
    NotAMemberError,
)
from shared.domain.model import ChannelState, Head, Kind, Membership, Role

CAPABILITIES: Final[dict[Role, tuple[str, ...]]] = {
    Role.MEMBER: ("read", "post", "react", "leave"),
    Role.MODERATOR: ("read", "post", "react", "leave", "pin", "delete", "edit", "invite", "remove"),
    Role.OWNER: (
        *("read", "post", "react", "leave", "pin", "delete"),
        *("edit", "invite", "remove", "change_roles", "archive"),
    ),
}
"""``delete`` is for messages of others; authors may edit and delete their own."""
DIRECT: Final = ("read", "post", "react", "pin")
"""In a direct channel both members have the same rights, and cannot leave."""
ARCHIVED: Final = ("read", "leave")


def capabilities(head: Head, membership: Membership | None) -> list[str]:
    """What the caller may do in a channel, as shown to clients."""
    if membership is None:
        return ["join"] if head.kind is Kind.PUBLIC and head.archived_at is None else []
    may = DIRECT if head.kind is Kind.DIRECT else CAPABILITIES[membership.role]
    if head.members_pin and "pin" not in may:
        may = (*may, "pin")
    return [each for each in may if head.archived_at is None or each in ARCHIVED]


def require_visible(state: ChannelState) -> Head:
    """The head, if the caller may see the channel.

    Raises:
        ChannelNotFoundError: there is no channel, or it is not public and the caller is not a member.
    """
    head = state.head
    if head is None or (state.membership is None and head.kind is not Kind.PUBLIC):
        raise ChannelNotFoundError
    return head


def require_member(state: ChannelState) -> tuple[Head, Membership]:
    """Head and membership, if the caller is a member.

    Raises:
        ChannelNotFoundError: as ``require_visible``.
        NotAMemberError: the channel is public, and the caller is not a member.
        MessageNotFoundError: the state is a thread's, and its root does not exist.
    """
    head = require_visible(state)
    if state.membership is None:
        raise NotAMemberError
    if state.thread is not None and not state.thread.exists:
        raise MessageNotFoundError
    return head, state.membership


def entitled(state: ChannelState, capability: str) -> tuple[Head, Membership]:
    """Like ``require_capability``, but also in an archived channel: for requests that may already be fulfilled.

    Raises:
        ChannelNotFoundError, NotAMemberError, ForbiddenError: as ``require_capability``.
        ChannelArchivedError: the channel is archived, and the role lacks the capability.
    """
    head, membership = require_member(state)
    if head.archived_at is not None and capability in CAPABILITIES[membership.role]:
        return head, membership
    return require_capability(state, capability)


def require_capability(state: ChannelState, capability: str) -> tuple[Head, Membership]:
    """Head and membership, if the caller has the capability.

    Raises:
        ChannelNotFoundError: as ``require_visible``.
        NotAMemberError: as ``require_member``.
        ForbiddenError: the caller's role lacks it.
        ChannelArchivedError: the channel is archived and does not allow it.
    """
    head, membership = require_member(state)
    if capability in capabilities(head, membership):
        return head, membership
    if head.archived_at is not None:
        raise ChannelArchivedError
    raise ForbiddenError
