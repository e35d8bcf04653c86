"""Which log has the replies to a message."""

from __future__ import annotations

from shared.bootstrap import Services
from shared.domain import keys, permissions
from shared.domain.errors import MessageNotFoundError, NestedThreadError


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
