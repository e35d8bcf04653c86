"""Joining, adding members, changing roles, leaving and removing members."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from shared.bootstrap import Services
from shared.domain import keys, permissions
from shared.domain.channels import member_json
from shared.domain.errors import (
    BannedError,
    ChannelArchivedError,
    ConflictError,
    ContentionError,
    DirectChannelError,
    ForbiddenError,
    LastOwnerError,
    MemberNotFoundError,
    UserBannedError,
)
from shared.domain.model import FIXED_MEMBERS, ChannelState, Head, Membership, PastMembership, Role
from shared.use_cases.channel_limit import full_lists, refusal
from shared.use_cases.confirm_channels import read_position
from shared.use_cases.end_watches import end_watches
from shared.use_cases.lost_rights import refuse_if_lost
from shared.use_cases.moderate_channels import id_of_cursor, require_not_banned
from shared.use_cases.read_budget import ReadBudget

JOIN_TRIES: Final = 4
"""Tries of one join: the second takes over the rate state of a past membership, more if that changes meanwhile."""


@dataclass(frozen=True, slots=True)
class Joined:
    """The membership, and whether it is new."""

    member: dict[str, Any]
    new: bool


def list_members(
    services: Services, user_id: str, channel_id: str, limit: int, cursor: str | None
) -> dict[str, Any]:
    """Members by user id. The index may lag by a second: a new member may be missing, a past member still listed.

    Raises:
        ChannelNotFoundError: the channel does not exist, or the caller may not see it.
        BannedError: the caller is banned from the public channel.
        InvalidCursorError: the cursor was not made by this listing.
    """
    state = services.store.read_channel_state(channel_id, user_id)
    permissions.require_visible(state)
    require_not_banned(services, state, user_id)
    found = services.store.members(channel_id, limit, id_of_cursor(cursor, keys.is_stored_user_id))
    following = keys.encode_cursor(found[-1].user_id) if len(found) == limit else None
    return {
        "members": [member_json(each) for each in found],
        "has_more": following is not None,
        "next_cursor": following,
    }


def put_member(
    services: Services, user_id: str, channel_id: str, target_id: str, role: Role | None
) -> Joined:
    """Makes the target a member, or changes a member's role. None keeps a member's role; a new one is a plain member.

    A repeated request finds the requested membership and writes nothing, even if the channel was archived since.

    Raises:
        ChannelNotFoundError, NotAMemberError, ForbiddenError, ChannelArchivedError: the caller may not do this.
        DirectChannelError: the members of a direct or group channel cannot be changed.
        LastOwnerError: the channel would have no owner.
        BannedError, UserBannedError: the caller, or the user to be added, is banned from the channel.
        TooManyChannelsError: the target has reached the limit of channels.
        ReadBudgetError: counting the target's channels has used up the caller's budget.
        ContentionError: the target kept posting and leaving meanwhile, or the caller's own role has just changed.
    """
    state = services.store.read_channel_state(channel_id, user_id)
    head = permissions.require_visible(state)
    if head.kind in FIXED_MEMBERS:
        raise DirectChannelError
    if target_id == user_id:
        current = state.membership
    else:
        permissions.entitled(state, "invite")
        current = services.store.membership(channel_id, target_id)
    if current is not None and role in {None, current.role}:
        return Joined(member_json(current), new=False)
    if head.archived_at is not None:
        raise ChannelArchivedError
    if current is not None and role is not None:
        return _change_role(services, state, current, role)
    wanted = _new_membership(services, state, head, target_id, role or Role.MEMBER)
    full = full_lists(services, ReadBudget(services, user_id), [target_id])
    if full:
        raise refusal(user_id, full, "path.user_id", services.settings.max_channels_per_user)
    return _join(services, user_id, wanted, _by(state, target_id))


def _by(state: ChannelState, target_id: str) -> Membership | None:
    """The membership whose role is a condition of the write: the caller's, unless the target is the caller."""
    acting = state.membership
    return acting if acting and acting.user_id != target_id else None


def _new_membership(
    services: Services, state: ChannelState, head: Head, target_id: str, role: Role
) -> Membership:
    if role is not Role.MEMBER:
        if state.membership is None:
            raise ForbiddenError
        permissions.require_capability(state, "change_roles")
    # Earlier messages count as read; messages that are being posted may count as unread.
    seq, messages, voids = read_position(services.store, head, head.seq)
    return Membership(
        user_id=target_id,
        channel_id=head.channel_id,
        role=role,
        joined_at=services.now(),
        read_seq=seq,
        read_messages=messages,
        read_voids=voids,
    )


def _join(services: Services, user_id: str, wanted: Membership, by: Membership | None) -> Joined:
    for _ in range(JOIN_TRIES):
        stored = services.store.add_member(wanted, by)
        match stored:
            case None:
                refuse_if_lost(services.store, by, "invite" if wanted.role is Role.MEMBER else "change_roles")
                raise ChannelArchivedError
            case Membership():
                # Two joins in the same millisecond make equal memberships: identity tells which of them was written.
                return Joined(member_json(stored), new=stored is wanted)
            case PastMembership(is_banned=True):
                raise BannedError if wanted.user_id == user_id else UserBannedError
            case PastMembership():
                wanted = replace(wanted, tat=stored.tat, changes_tat=stored.tat)
    raise ContentionError(retry_after=1)


def _change_role(services: Services, state: ChannelState, current: Membership, role: Role) -> Joined:
    permissions.require_capability(state, "change_roles")
    by = _by(state, current.user_id)
    if not services.store.change_role(current, role, by):
        refuse_if_lost(services.store, by, "change_roles")
        stored = services.store.membership(current.channel_id, current.user_id)
        # The requested role: another request set it first, or the client repeated a write whose response was lost.
        if stored is None or stored.role is not role:
            raise _refusal(current, stored)
    changed = Membership(current.user_id, current.channel_id, role, current.joined_at)
    return Joined(member_json(changed), new=False)


def remove_member(services: Services, user_id: str, channel_id: str, target_id: str) -> None:
    """Ends the caller's or another user's membership. From the next request on, that user cannot read the channel.

    A repeated request succeeds like the first, because the past membership shows that nothing is left to do. For hidden
    channels too, but only for the user whose membership ended.

    Raises:
        ChannelNotFoundError, NotAMemberError, ForbiddenError, ChannelArchivedError: the caller may not do this.
        MemberNotFoundError: the target was never a member.
        DirectChannelError: the members of a direct or group channel cannot be removed.
        LastOwnerError: the channel would have no owner.
        ContentionError: the target posts continuously, or the caller's own role has just changed.
    """
    _end_membership(services, user_id, channel_id, target_id)
    end_watches(services, channel_id, target_id)


def _end_membership(services: Services, user_id: str, channel_id: str, target_id: str) -> None:
    """Returns once there is no membership, whoever ended it."""
    state = services.store.read_channel_state(channel_id, user_id)
    # Read even if the channel does not exist, so that the calls do not reveal whether it does.
    if target_id == user_id and state.membership is None and _has_left(services, channel_id, user_id):
        return
    head, membership = permissions.require_member(state)
    if head.kind in FIXED_MEMBERS:
        raise DirectChannelError
    target = membership if target_id == user_id else _removable(services, state, target_id)
    if target is None:
        return
    by = _by(state, target_id)
    if not services.store.remove_member(target, by):
        refuse_if_lost(services.store, by, "remove")
        stored = services.store.membership(channel_id, target_id)
        # If gone: another request was first, or the storage's client repeated this write after its response was lost.
        if stored is not None:
            raise _refusal(target, stored)


def _removable(services: Services, state: ChannelState, target_id: str) -> Membership | None:
    """The target's membership, if the caller may end it; None if it has ended."""
    head, membership = permissions.entitled(state, "remove")
    target = services.store.membership(head.channel_id, target_id)
    if target is None and _has_left(services, head.channel_id, target_id):
        return None
    permissions.require_capability(state, "remove")
    if target is None:
        raise MemberNotFoundError
    if membership.role is Role.MODERATOR and target.role is not Role.MEMBER:
        raise ForbiddenError("Moderators can remove plain members only.")
    return target


def _has_left(services: Services, channel_id: str, user_id: str) -> bool:
    past_membership = services.store.past_membership(channel_id, user_id)
    return past_membership is not None and past_membership.was_member


def _refusal(seen: Membership, stored: Membership | None) -> ConflictError:
    """The reason why a write failed: the target is the last owner, or its role has changed."""
    if stored and stored.role is seen.role is Role.OWNER:
        return LastOwnerError()
    return ConflictError("The member's role has just changed. Read it again.")
