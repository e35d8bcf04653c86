"""Listing channels: the caller's own by latest activity, or the public ones that one may join, by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from shared import keys
from shared.channels import channel_json
from shared.errors import InvalidCursorError
from shared.model import MAX_NAME, Head, Kind, Membership
from shared.services import Services

MAX_TIME: Final = 10**14
"""Milliseconds; some time after the year 5000."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What is asked for."""

    limit: int
    cursor: str | None = None
    unread_only: bool = False
    kind: Kind | None = None


def list_channels(services: Services, user_id: str, listing: Listing) -> dict[str, Any]:
    """The caller's channels, the one with the latest activity first.

    A channel that becomes active while the caller turns pages moves to the front: it is on the first page again, and
    no other is left out.

    Raises:
        InvalidCursorError: the cursor is not of this listing.
    """
    after = _position(listing.cursor, int, str)
    memberships = {each.channel_id: each for each in services.store.memberships(user_id)}
    heads = services.store.heads(memberships)
    shown = [head for head in heads.values() if _is_shown(head, memberships[head.channel_id], listing)]
    shown.sort(key=_order)
    if after:
        shown = [head for head in shown if _order(head) > (-int(after[0]), after[1])]
    page = shown[: listing.limit]
    cursor = None
    if len(shown) > listing.limit:
        cursor = keys.encode_cursor(page[-1].active_at, page[-1].channel_id)
    return _page([channel_json(head, memberships[head.channel_id]) for head in page], cursor)


def list_public_channels(services: Services, user_id: str, listing: Listing) -> dict[str, Any]:
    """Public channels that the caller is not in, by name. A page may be short: ``next_cursor`` alone says the end.

    Raises:
        InvalidCursorError: the cursor is not of this listing.
    """
    after = _position(listing.cursor, str, str)
    found = services.store.public_channels(listing.limit, (str(after[0]), str(after[1])) if after else None)
    ids = [channel_id for _, channel_id in found]
    heads = services.store.heads(ids)
    joined = services.store.roles(user_id, ids)
    open_ones = [
        heads[each]
        for each in ids
        if each in heads and each not in joined and heads[each].archived_at is None
    ]
    cursor = keys.encode_cursor(*found[-1]) if len(found) == listing.limit else None
    return _page([channel_json(head, None) for head in open_ones], cursor)


def _page(channels: list[dict[str, Any]], cursor: str | None) -> dict[str, Any]:
    return {"channels": channels, "has_more": cursor is not None, "next_cursor": cursor}


def _is_shown(head: Head, membership: Membership, listing: Listing) -> bool:
    if listing.unread_only and membership.unread(head) == 0:
        return False
    return listing.kind in {None, head.kind}


def _order(head: Head) -> tuple[int, str]:
    return -head.active_at, head.channel_id


def _position(cursor: str | None, *kinds: type) -> tuple[Any, ...] | None:
    if cursor is None:
        return None
    parts = keys.decode_cursor(cursor, *kinds)
    if parts is None or not keys.is_channel_id(str(parts[-1])) or not _is_plausible(parts[0], str(parts[1])):
        raise InvalidCursorError(
            errors=[{"field": "query.cursor", "detail": "Not a cursor of this listing."}]
        )
    return parts


def _is_plausible(order: str | int, channel_id: str) -> bool:
    """Whether the storage would take this for the place where a listing goes on."""
    if isinstance(order, int):
        return 0 <= order <= MAX_TIME
    return order.endswith(f"#{channel_id}") and len(order) < MAX_NAME + len(channel_id)
