"""A chat of any size, written as ready items: channels by length, by members, and users by channels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Final

from bench.conversations import turns
from bench.ready_items import NOW, Item, channel_items
from shared import keys
from shared.messages import Draft, encode

USER: Final = "00000000-0000-4000-8000-000000000000"
"""Who reads and posts; a UUID, as issuers give."""
PAGE: Final = 50
TEXT: Final = 180
"""Characters of each message: 50 of them are 5 read units, however many digits their positions have."""


def user(number: int) -> str:
    """Somebody else."""
    return f"00000000-0000-4000-8000-{number + 1:012d}"


def lister(channels: int) -> str:
    """Who is in so many channels, and in no other."""
    return user(10**9 + channels)


def channel(kind: str, size: int, number: int = 0) -> str:
    """The id of the channel of this size, or of one of those of a user who has so many."""
    return keys.derived_channel_id("growth", kind, str(size), str(number))


def texts(count: int) -> list[str]:
    """So many pieces of what people wrote, all of one length."""
    said = chain.from_iterable(f"{turn.text} " for turn in turns())
    return ["".join(islice(said, TEXT)).encode("ascii", "replace").decode() for _ in range(count)]


class Chat:
    """The items of what is to grow.

    Args:
        messages: lengths of channels, each with the caller as its one member.
        members: numbers of members of channels, of one page of messages each, the caller among them.
        channels: numbers of channels of a user, of a message each.
    """

    def __init__(self, messages: Sequence[int], members: Sequence[int], channels: Sequence[int]) -> None:
        self._messages, self._members, self._channels = messages, members, channels
        self._texts = texts(PAGE)

    def items(self) -> Iterator[Item]:
        """All of it."""
        for length in self._messages:
            yield from self._channel(channel("messages", length), length, [USER])
        for count in self._members:
            everybody = [USER, *(user(number) for number in range(count - 1))]
            yield from self._channel(channel("members", count), PAGE, everybody)
        for count in self._channels:
            for number in range(count):
                length = PAGE if number == 0 else 1
                yield from self._channel(channel("channels", count, number), length, [lister(count)])

    def _channel(self, channel_id: str, length: int, members: Sequence[str]) -> Iterator[Item]:
        bodies = (
            encode(channel_id, seq, USER, NOW, Draft(self._text(length, seq))) for seq in range(1, length + 1)
        )
        return channel_items(channel_id, members, bodies)

    def _text(self, length: int, seq: int) -> str:
        """The same at the same distance from the end, so that the last pages of all channels are alike."""
        return self._texts[(length - seq) % PAGE]
