"""Threads as a user has them: which they follow, and how far they have read them."""

from __future__ import annotations

from typing import Any

from shared.bootstrap import Services
from shared.domain import permissions
from shared.domain.errors import PositionOutOfRangeError
from shared.domain.model import Follow, Head, Membership
from shared.use_cases.confirm_channels import confirm_one, read_position
from shared.use_cases.expiry import with_boundary
from shared.use_cases.find_thread import find_thread


def follow_thread(services: Services, user_id: str, channel_id: str, message_id: str) -> None:
    """Follows the thread of a message, which may have no reply yet. Again it changes nothing.

    What is there already counts as read. Costs 5 read units, a Query and 1 write unit.

    Raises:
        ChannelNotFoundError, NotAMemberError, MessageNotFoundError, NestedThreadError: see ``find_thread``.
    """
    head, _ = _thread(services, user_id, channel_id, message_id)
    head = with_boundary(services, head)
    read = read_position(services.store, head, head.seq)
    services.store.follow(Follow(user_id, head.channel_id, *read))


def unfollow_thread(services: Services, user_id: str, channel_id: str, message_id: str) -> None:
    """Ends it, until the caller replies or is named in a reply again. Again it changes nothing.

    Costs 5 read units and 1 write unit. Raises as ``follow_thread``.
    """
    head, _ = _thread(services, user_id, channel_id, message_id)
    services.store.unfollow(head.channel_id, user_id)


def mark_thread_read(
    services: Services, user_id: str, channel_id: str, message_id: str, last_read_seq: int, *, force: bool
) -> dict[str, Any]:
    """Moves the read position in a thread that the caller follows; without ``force`` it never moves back.

    Who does not follow the thread has no read position in it: nothing is written.

    Raises:
        ChannelNotFoundError, NotAMemberError, MessageNotFoundError, NestedThreadError: see ``find_thread``.
        PositionOutOfRangeError: the position is beyond the thread's end.
    """
    head, member = _thread(services, user_id, channel_id, message_id)
    head, log_id = with_boundary(services, head), head.channel_id
    if last_read_seq > head.seq:
        raise PositionOutOfRangeError.beyond(head.seq, "body.last_read_seq")
    seq, messages, voids = read_position(services.store, head, last_read_seq)
    follow = services.store.move_thread_position(log_id, user_id, seq, messages, force=force, voids=voids)
    shown: dict[str, Any] = {"channel_id": channel_id, "thread_id": log_id, "following": follow is not None}
    if follow is None:
        return shown | {"last_read_seq": None, "unread_count": None, "mention_count": None}
    member = member.in_thread(follow)
    head = confirm_one(services, head, member)
    return shown | {
        "last_read_seq": member.read_seq,
        "unread_count": member.unread(head),
        "mention_count": member.mention_count(head),
    }


def _thread(services: Services, user_id: str, channel_id: str, message_id: str) -> tuple[Head, Membership]:
    log_id = find_thread(services, user_id, channel_id, message_id)
    return permissions.require_member(services.store.read_channel_state(log_id, user_id))
