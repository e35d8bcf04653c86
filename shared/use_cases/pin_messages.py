"""Pinning messages."""

from __future__ import annotations

from shared.bootstrap import Services
from shared.domain import changes, keys, permissions
from shared.domain.changes import ChangeKind
from shared.domain.errors import MessageDeletedError, NestedThreadError, TooManyPinsError
from shared.storage.protocol import ChangeCommit
from shared.use_cases.change_messages import Changed, Target, change_message


def pin_message(services: Services, user_id: str, channel_id: str, message_id: str) -> Changed:
    """Pins a message. Again it changes nothing. Costs 3 read and 8 write units.

    Raises:
        ChannelNotFoundError, NotAMemberError, MessageNotFoundError: see ``change_message``.
        ChannelArchivedError: nothing changes in an archived channel.
        ForbiddenError: the caller may not pin here.
        MessageDeletedError: the message was deleted or redacted.
        NestedThreadError: the message is a reply.
        TooManyPinsError: the channel has as many pins as it may.
        RateLimitedError, ContentionError, CommitUnknownError: see ``change_message``.
    """
    try:
        return change_message(services, user_id, channel_id, message_id, _pin)
    except TooManyPinsError:
        if not _unpin_deleted(services, user_id, channel_id):
            raise
        return change_message(services, user_id, channel_id, message_id, _pin)


def unpin_message(services: Services, user_id: str, channel_id: str, message_id: str) -> Changed:
    """Takes a pin away. Again it changes nothing. Costs and raises as ``pin_message``."""
    return change_message(services, user_id, channel_id, message_id, _unpin)


def _require_pinnable(target: Target) -> None:
    permissions.require_capability(target.state, "pin")
    if target.state.thread is not None:
        raise NestedThreadError


def _pin(target: Target) -> ChangeCommit:
    _require_pinnable(target)
    if target.is_gone:
        raise MessageDeletedError
    return target.commit(target.change(ChangeKind.PINNED, None), pin=True)


def _unpin(target: Target) -> ChangeCommit:
    _require_pinnable(target)
    return target.commit(target.change(ChangeKind.UNPINNED, None), pin=False)


def _unpin_deleted(services: Services, user_id: str, channel_id: str) -> bool:
    """Removes the pins of deleted and expired messages, which nobody is shown any more; whether there were any.

    The rate limit does not count these changes: the caller asked for one only.
    """
    head, _ = permissions.require_member(services.store.read_channel_state(channel_id, user_id))
    pins = services.store.pins(channel_id)
    standing = services.store.entries_at(channel_id, [seq for seq in pins if seq > head.boundary.seq])
    kept = {entry.seq for entry in standing if not changes.is_gone(entry.body or b"{}")}
    for seq in pins.keys() - kept:
        message_id = keys.message_id(channel_id, seq)
        change_message(services, user_id, channel_id, message_id, _unpin, is_follow_up=True)
    return len(kept) < len(pins)
