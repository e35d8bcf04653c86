"""Moving the caller's read position in a channel: forward, or also back if forced."""

from __future__ import annotations

from typing import Any

from shared.bootstrap import Services
from shared.domain import permissions
from shared.domain.errors import PositionOutOfRangeError
from shared.use_cases.confirm_channels import confirm_one, read_position
from shared.use_cases.expiry import with_boundary


def mark_read(
    services: Services, user_id: str, channel_id: str, last_read_seq: int, *, force: bool
) -> dict[str, Any]:
    """Moves the read position; without ``force`` it never moves back.

    Raises:
        ChannelNotFoundError, NotAMemberError: the caller is not in the channel.
        PositionOutOfRangeError: the position is beyond the channel's end.
    """
    head, _ = permissions.require_member(services.store.read_channel_state(channel_id, user_id))
    head = with_boundary(services, head)
    if last_read_seq > head.seq:
        raise PositionOutOfRangeError.beyond(head.seq, "body.last_read_seq")
    seq, messages, voids = read_position(services.store, head, last_read_seq)
    moved = services.store.move_read_position(channel_id, user_id, seq, messages, force=force, voids=voids)
    if moved is None:
        raise permissions.membership_lost(head)
    head = confirm_one(services, head, moved)
    return {
        "channel_id": channel_id,
        "last_read_seq": moved.read_seq,
        "unread_count": moved.unread(head),
    }
