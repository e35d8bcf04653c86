"""Joining, inviting, changing roles, leaving and removing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from shared.bootstrap import Services
from shared.domain import keys, permissions
from shared.domain.channels import member_json
from shared.domain.errors import (
    ChannelArchivedError,
    ConflictError,
    ContentionError,
    DirectChannelError,
    ForbiddenError,
    InvalidCursorError,
    LastOwnerError,
    MemberNotFoundError,
)
from shared.domain.model import ChannelState, Head, Kind, Membership, PastMembership, Role
from shared.use_cases.channel_limit import full_lists, refusal
from shared.use_cases.confirm_channels import read_position
from shared.use_cases.lost_rights import refuse_if_lost
from shared.use_cases.read_budget import ReadBudget

JOIN_TRIES: Final = 4
"""Times that one joins: the second because of what was posted before, others because they posted and left meanwhile."""


@dataclass(frozen=True, slots=True)
class Joined:
    """The membership, and whether it is new."""

    member: dict[str, Any]
    new: bool


def list_members(
    services: Services, user_id: str, channel_id: str, limit: int, cursor: str | None
) -> dict[str, Any]:
    """Members by user id. Who joined or left within the last second may still be missing or shown.

    Raises:
        ChannelNotFoundError: there is none, or it is not the caller's to see.
        InvalidCursorError: the cursor is not of this listing.
    """
    permissions.require_visible(services.store.read_channel_state(channel_id, user_id))
    after = None
    if cursor is not None:
        parts = keys.decode_cursor(cursor, str)
        if parts is None or not keys.is_stored_user_id(str(parts[0])):
            raise InvalidCursorError.of_query()
        after = str(parts[0])
    found = services.store.members(channel_id, limit, after)
    following = keys.encode_cursor(found[-1].user_id) if len(found) == limit else None
    return {
        "members": [member_json(each) for each in found],
        "has_more": following is not None,
        "next_cursor": following,
    }


def put_member(
    services: Services, user_id: str, channel_id: str, target_id: str, role: Role | None
) -> Joined:
    """Makes the target a member, or gives a member another role; None leaves the role, or is a plain member's.

    A repeated request finds what it asks for and writes nothing, also where the channel was archived in between.

    Raises:
        ChannelNotFoundError, NotAMemberError, ForbiddenError, ChannelArchivedError: the caller may not.
        DirectChannelError: a direct channel has the members that it has.
        LastOwnerError: it would be left without an owner.
        TooManyChannelsError: the target is in as many channels as one may be.
        ReadBudgetError: the caller has had too many long lists counted.
        ContentionError: the target posted and left meanwhile, again and again, or the caller's own role changed.
    """
    state = services.store.read_channel_state(channel_id, user_id)
    head = permissions.require_visible(state)
    if head.kind is Kind.DIRECT:
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
    wanted = _newcomer(services, state, head, target_id, role or Role.MEMBER)
    full = full_lists(services, ReadBudget(services, user_id), [target_id])
    if full:
        raise refusal(user_id, full, "path.user_id")
    return _join(services, wanted, _by(state, target_id))


def _by(state: ChannelState, target_id: str) -> Membership | None:
    """Whose right is a condition of the write: theirs who act for another, not for themselves."""
    acting = state.membership
    return acting if acting and acting.user_id != target_id else None


def _newcomer(services: Services, state: ChannelState, head: Head, target_id: str, role: Role) -> Membership:
    if role is not Role.MEMBER:
        if state.membership is None:
            raise ForbiddenError
        permissions.require_capability(state, "change_roles")
    # What was said before is not unread; what is still being written may be.
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


def _join(services: Services, wanted: Membership, by: Membership | None) -> Joined:
    for _ in range(JOIN_TRIES):
        standing = services.store.add_member(wanted, by)
        match standing:
            case None:
                refuse_if_lost(services.store, by, "invite" if wanted.role is Role.MEMBER else "change_roles")
                raise ChannelArchivedError
            case Membership():
                # Equal ones may be made at once, in the same millisecond: only one of them is the given one itself.
                return Joined(member_json(standing), new=standing is wanted)
            case PastMembership():
                wanted = replace(wanted, tat=standing.tat)
    raise ContentionError(retry_after=1)


def _change_role(services: Services, state: ChannelState, current: Membership, role: Role) -> Joined:
    permissions.require_capability(state, "change_roles")
    by = _by(state, current.user_id)
    if not services.store.change_role(current, role, by):
        refuse_if_lost(services.store, by, "change_roles")
        standing = services.store.membership(current.channel_id, current.user_id)
        # Another request for the same role was first, or this one was sent again after its answer was lost.
        if standing is None or standing.role is not role:
            raise _refusal(current, standing)
    changed = Membership(current.user_id, current.channel_id, role, current.joined_at)
    return Joined(member_json(changed), new=False)


def remove_member(services: Services, user_id: str, channel_id: str, target_id: str) -> None:
    """The caller leaves, or removes somebody. From the next request on the target sees nothing more.

    A repeated request is answered as the first: the past membership tells that there is nothing left to do. It tells
    so of hidden channels too, to whoever left them or was removed, and to nobody else.

    Raises:
        ChannelNotFoundError, NotAMemberError, ForbiddenError, ChannelArchivedError: the caller may not.
        MemberNotFoundError: the target never was in the channel.
        DirectChannelError: a direct channel keeps its members.
        LastOwnerError: it would be left without an owner.
        ContentionError: the target posts all the time, or the caller's own role changed.
    """
    state = services.store.read_channel_state(channel_id, user_id)
    # Read whether there is such a channel or not, so that the calls tell nothing.
    if (
        target_id == user_id
        and state.membership is None
        and services.store.past_membership(channel_id, user_id)
    ):
        return
    head, membership = permissions.require_member(state)
    if head.kind is Kind.DIRECT:
        raise DirectChannelError
    target = membership if target_id == user_id else _removable(services, state, target_id)
    if target is None:
        return
    by = _by(state, target_id)
    if not services.store.remove_member(target, by):
        refuse_if_lost(services.store, by, "remove")
        standing = services.store.membership(channel_id, target_id)
        # Gone: another request was first, or this one was sent again after its answer was lost.
        if standing is not None:
            raise _refusal(target, standing)


def _removable(services: Services, state: ChannelState, target_id: str) -> Membership | None:
    """The membership that somebody else may end; None where it has ended."""
    head, membership = permissions.entitled(state, "remove")
    target = services.store.membership(head.channel_id, target_id)
    if target is None and services.store.past_membership(head.channel_id, target_id):
        return None
    permissions.require_capability(state, "remove")
    if target is None:
        raise MemberNotFoundError
    if membership.role is Role.MODERATOR and target.role is not Role.MEMBER:
        raise ForbiddenError("A moderator removes plain members only.")
    return target


def _refusal(seen: Membership, standing: Membership | None) -> ConflictError:
    """Why a role could not be changed: the role was another by then, or it was the last owner's."""
    if standing and standing.role is seen.role is Role.OWNER:
        return LastOwnerError()
    return ConflictError("The member's role changed meanwhile; look again.")
