"""The caller's mentions: messages that name them, newest first."""

from __future__ import annotations

import json
from typing import Any, Final

from shared.bootstrap import Services
from shared.domain import keys
from shared.domain.errors import InvalidCursorError
from shared.domain.model import MARK, Head, Membership
from shared.runtime.parallel import map_concurrently
from shared.use_cases.expiry import with_boundary
from shared.use_cases.read_budget import ReadBudget, list_units

MAX_MARK: Final = 10**26


def list_mentions(services: Services, user_id: str, limit: int, cursor: str | None) -> dict[str, Any]:
    """Messages that name the caller, in channels that they are in, newest first; each with its channel's id.

    Of each channel the latest 50 or so are kept. Who names everybody is not listed. Costs a read unit for each 25
    channels of the caller (fewer where many mentions are kept), 1 for each message, and 1 for each of their channels.
    Messages that have expired are left out.

    Raises:
        InvalidCursorError: the cursor is not of this listing.
        ReadBudgetError: the caller is in many channels, and too many such lists were read in this minute.
    """
    before = _place(cursor)
    memberships = services.store.memberships(user_id)
    marks = sorted(_marks(memberships, before), reverse=True)
    page = marks[:limit]
    by_channel: dict[str, list[int]] = {}
    for mark, channel_id in page:
        by_channel.setdefault(channel_id, []).append(mark % MARK)
    ReadBudget(services, user_id).spend(list_units(len(memberships)) + len(page) + len(by_channel))
    heads = services.store.heads(by_channel)
    found = map_concurrently(
        lambda channel_id: _standing(services, heads.get(channel_id), by_channel[channel_id]),
        list(by_channel),
        services.background,
    )
    bodies = {key: body for each in found for key, body in each.items()}
    read = {each.channel_id: each.read_seq for each in memberships}
    shown = []
    for mark, channel_id in page:
        seq = mark % MARK
        message = json.loads(bodies.get((channel_id, seq)) or b"{}")
        if user_id in message.get(
            "mentions", ()
        ):  # A deletion or an edit may have come since the marks were read.
            shown.append({"channel_id": channel_id, "is_read": seq <= read[channel_id], "message": message})
    following = keys.encode_cursor(*page[-1]) if len(marks) > limit else None
    return {"mentions": shown, "has_more": following is not None, "next_cursor": following}


def _standing(services: Services, head: Head | None, seqs: list[int]) -> dict[tuple[str, int], bytes | None]:
    """The messages at these positions that have not expired."""
    if head is None:
        return {}
    expired = with_boundary(services, head).boundary.seq
    kept = [seq for seq in seqs if seq > expired]
    found = services.store.entries_at(head.channel_id, kept) if kept else []
    return {(head.channel_id, entry.seq): entry.body for entry in found}


def _marks(memberships: list[Membership], before: tuple[int, str] | None) -> list[tuple[int, str]]:
    found = [(mark, each.channel_id) for each in memberships for mark in each.mentions]
    return [each for each in found if before is None or each < before]


def _place(cursor: str | None) -> tuple[int, str] | None:
    if cursor is None:
        return None
    parts = keys.decode_cursor(cursor, int, str)
    if parts is None or not 0 <= int(parts[0]) < MAX_MARK or not keys.is_channel_id(str(parts[1])):
        raise InvalidCursorError.of_query()
    return int(parts[0]), str(parts[1])
