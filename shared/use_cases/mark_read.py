"""Marking as read: the caller's read position in a channel, which only goes forward unless forced."""

from __future__ import annotations

from typing import Any

from shared import access
from shared.errors import ChannelNotFoundError, NotAMemberError, PositionOutOfRangeError
from shared.model import Kind
from shared.services import Services


def mark_read(
    services: Services, user_id: str, channel_id: str, last_read_seq: int, *, force: bool
) -> dict[str, Any]:
    """Moves the read position; where it is further already and not forced, it stays.

    Raises:
        ChannelNotFoundError, NotAMemberError: the caller is not in the channel.
        PositionOutOfRangeError: the position lies beyond the channel's end.
    """
    head, _ = access.member(services.store.look(channel_id, user_id))
    if last_read_seq > head.seq:
        detail = f"The channel's last position is {head.seq}."
        raise PositionOutOfRangeError(detail, errors=[{"field": "body.last_read_seq", "detail": detail}])
    seq, messages = _settled(services, channel_id, last_read_seq)
    moved = services.store.move_read_position(channel_id, user_id, seq, messages, force=force)
    if moved is None:  # Removed meanwhile: answered as if they asked only now.
        raise NotAMemberError if head.kind is Kind.PUBLIC else ChannelNotFoundError
    return {
        "channel_id": channel_id,
        "last_read_seq": moved.read_seq,
        "unread_count": moved.unread(head),
    }


def _settled(services: Services, channel_id: str, seq: int) -> tuple[int, int]:
    """The last entry up to a position, and how many messages there are up to it.

    A hole there is no entry yet: if it becomes a message, that message is unread.
    """
    latest = services.store.latest_entries(channel_id, seq, 1) if seq else []
    return (latest[0].seq, latest[0].messages) if latest else (0, 0)
