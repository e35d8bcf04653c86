"""Which log has the replies to a message."""

from __future__ import annotations

from collections.abc import Mapping

from shared.bootstrap import Services
from shared.domain import keys, permissions
from shared.domain.errors import MessageNotFoundError, NestedThreadError
from shared.domain.model import Head


def find_thread(services: Services, user_id: str, channel_id: str, message_id: str) -> str:
    """The log id of the thread of a message; whether the message exists is seen by reading the thread.

    Costs nothing, except for ids that have no thread: 2 read units.

    Raises:
        ChannelNotFoundError, NotAMemberError: the caller is not in the channel.
        MessageNotFoundError: no message of the channel can have the id.
        NestedThreadError: the message is a reply.
    """
    if keys.is_thread_of(channel_id, message_id):
        return message_id
    permissions.require_member(services.store.read_channel_state(channel_id, user_id))
    raise NestedThreadError if keys.place_of_message(channel_id, message_id)[1] else MessageNotFoundError


def head_of_log(heads: Mapping[str, Head], log_id: str) -> Head | None:
    """The head of a log with the settings of its channel, from the heads of both; None if one of them is missing."""
    channel, log = heads.get(keys.channel_of_log(log_id)), heads.get(log_id)
    if channel is None or log is None or channel is log:
        return channel and log
    return channel.over(log, channel.created_at)
