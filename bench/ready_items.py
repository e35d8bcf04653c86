"""A channel as the items that it is stored in, to be put into an engine as they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from shared.messages import preview_of
from shared.model import Entry, Head, Kind, Membership, Role
from shared.store import items

Item = dict[str, Any]
NOW: Final = 1_795_459_464_000


def channel_items(channel_id: str, members: Sequence[str], bodies: Iterable[bytes]) -> Iterator[Item]:
    """Entries, memberships, head and listing of a public channel; the first member owns it."""
    seq, body = 0, b""
    for seq, body in enumerate(bodies, start=1):
        yield items.entry_item(channel_id, Entry(seq, seq, NOW, body))
    for number, member in enumerate(members):
        yield items.membership_item(
            Membership(member, channel_id, Role.MEMBER if number else Role.OWNER, NOW)
        )
    shown = preview_of(Entry(seq, seq, NOW, body))
    head = Head(channel_id, Kind.PUBLIC, "lobby", "Say hello", members[0], NOW, members=len(members))
    yield items.listing_item(head)
    yield items.head_item(head) | {
        "seq": items.n(seq),
        "messages": items.n(seq),
        "lq": items.n(shown.seq),
        "lu": items.s(shown.sender),
        "lt": items.s(shown.text),
        "lc": items.n(shown.created_at),
    }
