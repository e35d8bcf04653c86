"""The threads that the caller follows, the one with the latest reply first."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

from shared.bootstrap import Services
from shared.domain import keys
from shared.domain.channels import preview_json
from shared.domain.errors import InvalidCursorError, UnavailableError
from shared.domain.model import Follow, Head, Membership
from shared.use_cases.confirm_channels import Channel, confirm
from shared.use_cases.find_thread import head_of_log
from shared.use_cases.list_channels import MAX_TIME, Listing, read_in_parts
from shared.use_cases.read_budget import ReadBudget, list_units

MAX_FOLLOWED: Final = 500
"""Threads that one user follows: reading a longer list ends the ones with the oldest replies."""
MAX_ENDED: Final = 25
"""Of these, how many one reading ends: a write unit each."""


def list_threads(services: Services, user_id: str, listing: Listing) -> dict[str, Any]:
    """Followed threads with a reply, of channels that the caller is in.

    As for channels, a thread that becomes active between two pages is on the first page again; no other is left out.
    Costs a read unit for each 30 followed threads, 1 for each of their channels, 1 for each thread in those that the
    caller is in, and 1 for each channel on the page; previews and counts of a page are confirmed as those of channels.

    Raises:
        InvalidCursorError: the cursor was not made by this listing.
        ReadBudgetError: the list is long, and the caller has read too many long lists in this minute.
    """
    after = _position(listing.cursor)
    follows = services.store.follows(user_id)
    threads = _threads(services, user_id, follows)
    _end_oldest(services, follows, threads)
    shown = sorted((each for each in threads if _is_shown(*each, listing)), key=_order)
    if after is not None:
        shown = [each for each in shown if _order(each) > after]
    confirmed = confirm(services, _with_settings(services, shown[: listing.limit]))
    page = [each for each in confirmed if _is_shown(*each, listing)]
    cursor = None
    if len(shown) > listing.limit:
        last = shown[listing.limit - 1][0]
        cursor = keys.encode_cursor(last.active_at, last.channel_id)
    listed = [_thread_json(head, membership) for head, membership in page]
    return {"threads": listed, "has_more": cursor is not None, "next_cursor": cursor}


def _threads(services: Services, user_id: str, follows: Sequence[Follow]) -> list[Channel]:
    """The followed threads of channels that the caller is in, as they count for them."""
    budget = ReadBudget(services, user_id)
    channel_ids = list(dict.fromkeys(keys.channel_of_log(each.log_id) for each in follows))
    budget.spend(list_units(len(follows)) + len(channel_ids))
    members = read_in_parts(services, partial(services.store.roles, user_id), channel_ids)
    mine = [each for each in follows if keys.channel_of_log(each.log_id) in members]
    budget.spend(len(mine))
    heads = read_in_parts(services, services.store.heads, [each.log_id for each in mine])
    return [
        (heads[each.log_id], members[keys.channel_of_log(each.log_id)].in_thread(each))
        for each in mine
        if each.log_id in heads
    ]


def _with_settings(services: Services, threads: Sequence[Channel]) -> list[Channel]:
    """The threads with their channels' settings, which say what has expired."""
    if not threads:
        return []
    heads = services.store.heads({keys.channel_of_log(head.channel_id) for head, _ in threads})
    heads |= {head.channel_id: head for head, _ in threads}
    found = ((head_of_log(heads, head.channel_id), each) for head, each in threads)
    return [(head, each) for head, each in found if head]


def _end_oldest(services: Services, follows: Sequence[Follow], threads: Sequence[Channel]) -> None:
    surplus = len(follows) - MAX_FOLLOWED
    if surplus <= 0:
        return
    active = {head.channel_id: head.active_at for head, _ in threads}
    oldest = sorted(follows, key=lambda each: (active.get(each.log_id, 0), each.log_id))
    with suppress(UnavailableError):
        for each in oldest[: min(surplus, MAX_ENDED)]:
            services.store.unfollow(each.log_id, each.user_id)


def _is_shown(head: Head, membership: Membership, listing: Listing) -> bool:
    if head.shown is None and (head.seq <= head.voids or head.seq <= head.boundary.seq):
        return False
    return not listing.unread_only or membership.unread(head) > 0


def _order(thread: Channel) -> tuple[int, str]:
    return -thread[0].active_at, thread[0].channel_id


def _position(cursor: str | None) -> tuple[int, str] | None:
    if cursor is None:
        return None
    parts = keys.decode_cursor(cursor, int, str)
    if parts is None or not 0 <= int(parts[0]) <= MAX_TIME or not keys.is_log_id(str(parts[1])):
        raise InvalidCursorError.of_query()
    return -int(parts[0]), str(parts[1])


def _thread_json(head: Head, membership: Membership) -> dict[str, Any]:
    return {
        "channel_id": keys.channel_of_log(head.channel_id),
        "thread_id": head.channel_id,
        "last_seq": head.seq,
        "last_rev": head.rev,
        "last_message": head.shown and preview_json(head.channel_id, head.shown),
        "last_read_seq": min(membership.read_seq, head.seq),
        "unread_count": membership.unread(head),
        "mention_count": membership.mention_count(head),
    }
