"""Exports as JSON lines: records about the subject, then messages, byte for byte as clients receive them.

A message's line begins with its id, any other with its type: ``{"channel": …}``. Lines are in the order of channels
and positions, so that an interrupted export continues after the last message's id. Nothing is written to the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from operators.reading import all_members, channels_of, settled
from shared.domain import keys
from shared.domain.channels import channel_json, member_json
from shared.domain.clock import rfc3339
from shared.domain.messages import dumps, sender_of
from shared.domain.model import Head
from shared.storage.protocol import Store

OF_A_CALLER: Final = frozenset({"last_message", "last_read_seq", "unread_count", "role", "capabilities"})
"""Fields of a channel's JSON that depend on the caller, and so are not exported."""


class UnknownError(ValueError):
    """There is nothing with this id; the text says what."""


@dataclass(frozen=True)
class Exporter:
    """Reads what is stored when it begins.

    Args:
        store: the storage.
        sleep: waits for a number of seconds.
        now: milliseconds since 1970.
    """

    store: Store
    sleep: Callable[[float], None]
    now: Callable[[], int]

    def channel(self, channel_id: str, after: str | None = None) -> Iterator[bytes]:
        """The channel, its members, its messages; with a message's id as ``after`` only the messages behind it.

        Costs a read unit for each 4 KB.

        Raises:
            UnknownError: there is no such channel, or ``after`` is not a message of it.
        """
        head = self.store.head(channel_id)
        if head is None:
            raise UnknownError(f"there is no channel {channel_id}")
        position = 0 if after is None else _position(channel_id, after)
        if after is None:
            yield _record("channel", _channel(head))
            for member in all_members(self.store, channel_id):
                yield _record("member", member_json(member))
        yield from self._messages(head, position)

    def user(self, user_id: str, after: str | None = None) -> Iterator[bytes]:
        """Memberships and read positions, channels that the user created, and their messages; ``after`` as above.

        Costs a read unit for each 4 KB of the logs that they ever wrote in.

        Raises:
            UnknownError: the table has nothing of this user, or ``after`` is not a message's id.
        """
        channels = channels_of(self.store, user_id)
        if not channels:
            raise UnknownError(f"the table has nothing of {user_id}")
        begin = "" if after is None else after.rpartition("-")[0]
        if after is not None and begin not in channels:
            raise UnknownError(f"{after} is not a message of {user_id}")
        heads = self.store.heads(channels)
        if after is None:
            yield from self._about(user_id, list(heads.values()))
        for channel_id in (each for each in channels if each >= begin and each in heads):
            position = 0 if after is None or channel_id != begin else _position(channel_id, after)
            yield from self._messages(heads[channel_id], position, user_id)

    def _about(self, user_id: str, heads: list[Head]) -> Iterator[bytes]:
        for membership in self.store.memberships(user_id):
            known = {"channel_id": membership.channel_id, "last_read_seq": membership.read_seq}
            yield _record("membership", known | member_json(membership))
        for past_membership in self.store.past_memberships(user_id):
            known = {
                "channel_id": past_membership.channel_id,
                "joined_at": rfc3339(past_membership.joined_at),
            }
            yield _record("former_membership", known)
        for head in heads:
            if head.creator == user_id:
                yield _record("channel", _channel(head))

    def _messages(self, head: Head, after: int, sender: str | None = None) -> Iterator[bytes]:
        for entry in settled(self.store, head, after, self.sleep, self.now):
            if entry.body is not None and (sender is None or sender_of(entry.body) == sender):
                yield entry.body


def _channel(head: Head) -> dict[str, Any]:
    return {name: value for name, value in channel_json(head, None).items() if name not in OF_A_CALLER}


def _record(kind: str, value: dict[str, Any]) -> bytes:
    return dumps({kind: value})


def _position(channel_id: str, message_id: str) -> int:
    seq = keys.seq_of_message(channel_id, message_id)
    if seq is None:
        raise UnknownError(f"{message_id} is not a message of {channel_id}")
    return seq
