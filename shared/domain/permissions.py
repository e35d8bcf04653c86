"""Who may do what: all permission checks, based on the channel state read in the request."""

from __future__ import annotations

from typing import Final

from shared.domain import keys
from shared.domain.errors import (
    BudgieError,
    CannotSendError,
    ChannelArchivedError,
    ChannelNotFoundError,
    ForbiddenError,
    MessageNotFoundError,
    NotAMemberError,
    UserBlockedError,
)
from shared.domain.model import FIXED_MEMBERS, ChannelState, Head, Kind, Membership, Role, ThreadState

CAPABILITIES: Final[dict[Role, tuple[str, ...]]] = {
    Role.MEMBER: ("read", "post", "react", "leave"),
    Role.MODERATOR: ("read", "post", "react", "leave", "pin", "delete", "edit", "invite", "remove"),
    Role.OWNER: (
        *("read", "post", "react", "leave", "pin", "delete"),
        *("edit", "invite", "remove", "change_roles", "archive"),
    ),
}
"""``delete`` is for messages of others; authors may edit and delete their own."""
FIXED: Final = ("read", "post", "react", "pin")
"""In a direct or group channel all members have the same rights, and cannot leave."""
BLOCKED: Final = ("read",)
"""In a direct channel while one member blocks the other, for both of them."""
ARCHIVED: Final = ("read", "leave", "archive")
"""What an archived channel still allows; ``archive`` also gives the right to unarchive."""


def capabilities(head: Head, membership: Membership | None) -> list[str]:
    """What the caller may do in a channel, as shown to clients."""
    if membership is None:
        return ["join"] if head.kind is Kind.PUBLIC and head.archived_at is None else []
    if membership.blocks or membership.is_blocked:
        return list(BLOCKED)
    may = of_role(head, membership)
    if head.members_pin and "pin" not in may:
        may = (*may, "pin")
    return [each for each in may if head.archived_at is None or each in ARCHIVED]


def of_role(head: Head, membership: Membership) -> tuple[str, ...]:
    """What a role gives in a channel, archived or not, whatever the channel's settings."""
    return FIXED if head.kind in FIXED_MEMBERS else CAPABILITIES[membership.role]


def require_visible(state: ChannelState) -> Head:
    """The head, if the caller may see the channel.

    Raises:
        ChannelNotFoundError: there is no channel, or it is not public and the caller is not a member.
    """
    head = state.head
    if head is None or (state.membership is None and head.kind is not Kind.PUBLIC):
        raise ChannelNotFoundError
    return head


def membership_lost(head: Head) -> BudgieError:
    """What a caller gets whose membership ended after the channel state was read: the same as for a new request."""
    return NotAMemberError() if head.kind is Kind.PUBLIC else ChannelNotFoundError()


def require_member(state: ChannelState) -> tuple[Head, Membership]:
    """Head and membership, if the caller is a member.

    A thread is there if its root is. Once it has had a reply, it outlives its root, which expires before the replies.

    Raises:
        ChannelNotFoundError: as ``require_visible``.
        NotAMemberError: the channel is public, and the caller is not a member.
        MessageNotFoundError: the state is a thread's that never had a reply, and its root does not exist (any more).
    """
    head = require_visible(state)
    if state.membership is None:
        raise NotAMemberError
    if state.thread is not None and not (head.seq or state.thread.has_root):
        raise _no_root(state.thread, head.channel_id)
    return head, state.membership


def _no_root(thread: ThreadState, log_id: str) -> MessageNotFoundError:
    root, expired = keys.root_of(log_id), thread.channel.boundary.seq
    return MessageNotFoundError.expired(expired) if root and root[1] <= expired else MessageNotFoundError()


def entitled(state: ChannelState, capability: str) -> tuple[Head, Membership]:
    """Like ``require_capability``, but also in an archived channel: for requests that may already be fulfilled.

    Raises:
        ChannelNotFoundError, NotAMemberError, ForbiddenError: as ``require_capability``.
        ChannelArchivedError: the channel is archived, and the role lacks the capability.
    """
    head, membership = require_member(state)
    if head.archived_at is not None and capability in of_role(head, membership):
        return head, membership
    return require_capability(state, capability)


def require_capability(state: ChannelState, capability: str) -> tuple[Head, Membership]:
    """Head and membership, if the caller has the capability.

    Raises:
        ChannelNotFoundError: as ``require_visible``.
        NotAMemberError: as ``require_member``.
        ForbiddenError: the caller's role lacks it.
        ChannelArchivedError: the channel is archived and does not allow it.
        UserBlockedError, CannotSendError: one member of the direct channel has blocked the other.
    """
    head, membership = require_member(state)
    if capability in capabilities(head, membership):
        return head, membership
    if head.archived_at is not None:
        raise ChannelArchivedError
    if membership.blocks:
        raise UserBlockedError
    if membership.is_blocked:
        raise CannotSendError
    raise ForbiddenError
