"""How far the members of a channel have read."""

from __future__ import annotations

from typing import Any

from shared.bootstrap import Services
from shared.domain import permissions
from shared.domain.errors import ReadsHiddenError, TooManyMembersError
from shared.domain.model import MAX_READS


def fetch_reads(services: Services, user_id: str, channel_id: str) -> dict[str, Any]:
    """The read position of each member, by user id.

    The index of members says whose memberships are read; these reads are strongly consistent. So positions are current
    and a past member is not shown, but somebody who joined within the last second may be missing.

    Costs 2 read units for the channel state, 1 for each other member, and half a unit for each 4 KB of the index (about
    30 members): 103 for 100 members.

    Raises:
        ChannelNotFoundError, NotAMemberError: the caller is not in the channel.
        ReadsHiddenError: the channel's setting ``show_reads`` is off.
        TooManyMembersError: the channel has more than ``MAX_READS`` members.
    """
    head, membership = permissions.require_member(services.store.read_channel_state(channel_id, user_id))
    if not head.show_reads:
        raise ReadsHiddenError
    if head.members > MAX_READS:
        raise TooManyMembersError
    # The index may still list past members: twice as many, so that they leave no member out.
    listed = services.store.members(channel_id, 2 * MAX_READS, None)
    others = [each.user_id for each in listed if each.user_id != user_id]
    found = services.store.members_of(channel_id, others) | {user_id: membership}
    # As the head may have been read before a membership, its end is the furthest position.
    reads = [
        {"user_id": each, "last_read_seq": min(found[each].read_seq, head.seq)} for each in sorted(found)
    ]
    return {"channel_id": channel_id, "reads": reads}
