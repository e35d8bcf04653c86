"""Listing channels: the caller's own by latest activity, or by name the public ones that the caller may join."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from shared.bootstrap import Services
from shared.cache.blocks import ChannelList, channels_key
from shared.cache.tier import get_one
from shared.domain import keys
from shared.domain.channels import channel_json
from shared.domain.errors import InvalidCursorError, UnavailableError
from shared.domain.model import Head, Kind, Membership
from shared.runtime.parallel import map_concurrently, run_both
from shared.use_cases.confirm_channels import Channel, confirm
from shared.use_cases.expiry import without_expired_preview
from shared.use_cases.read_budget import ReadBudget, list_units

T = TypeVar("T")
MAX_TIME: Final = 10**14
"""Milliseconds since 1970; in the year 5138."""
MAX_HINTED: Final = 200
"""Heads that are read from a cached list, in two calls. A longer list is charged before its heads are read."""
PART: Final = 100
"""Items in one call to the storage."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The requested list."""

    limit: int
    cursor: str | None = None
    unread_only: bool = False
    kind: Kind | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of channels as it is sent; ``stale`` as for pages of messages."""

    body: dict[str, Any]
    stale: bool = False


Channels = tuple[Channel, ...]


def list_channels(services: Services, user_id: str, listing: Listing) -> Listed:
    """The caller's channels, the one with the latest activity first.

    A channel that becomes active between two pages moves to the front, so it is on the first page again; no other
    channel is left out. Previews and unread counts are confirmed for each page. A channel that seemed active only
    because of a post that was never committed keeps its place on the page, but is left out if the list has unread
    channels only.

    Raises:
        InvalidCursorError: the cursor was not made by this listing.
        ReadBudgetError: the list is long, and the caller has read too many long lists in this minute.
        UnavailableError: the storage does not respond, and the stale fallback has no list.
    """
    after = _position(listing.cursor, int, str)
    stale = False
    asked_at = services.stale_fallback.now()
    try:
        channels = _channels(services, user_id)
    except UnavailableError:
        fallback = services.stale_fallback.get_list(user_id)
        if fallback is None:
            raise
        channels, stale = fallback, True
        services.metrics.read("channels", "stale")
    shown = [each for each in channels if _is_shown(*each, listing)]
    shown.sort(key=_order)
    if after:
        shown = [each for each in shown if _order(each) > (-int(after[0]), after[1])]
    page = shown[: listing.limit]
    if not stale:
        confirmed = confirm(services, page)
        _put_stale_list(services, user_id, channels, confirmed, asked_at)
        page = [each for each in confirmed if _is_shown(*each, listing)]
    else:
        page = [(without_expired_preview(services, head), membership) for head, membership in page]
    cursor = None
    if len(shown) > listing.limit:
        last = shown[listing.limit - 1][0]
        cursor = keys.encode_cursor(last.active_at, last.channel_id)
    return Listed(_page([channel_json(head, membership) for head, membership in page], cursor), stale)


def _channels(services: Services, user_id: str) -> Channels:
    """Heads and memberships; read concurrently if the cache has the list of channels and it is short enough."""
    cached, tier = _cached_list(services, user_id)
    hinted = cached if len(cached) <= MAX_HINTED else ()
    if hinted:
        found, heads = run_both(
            lambda: _memberships(services, user_id),
            lambda: read_in_parts(services, services.store.heads, hinted),
            services.background,
        )
    else:
        found, heads = _memberships(services, user_id), {}
    memberships = {each.channel_id: each for each in found}
    lacking = [each for each in memberships if each not in heads]
    ReadBudget(services, user_id).spend(list_units(len(memberships)) + len(hinted) + len(lacking))
    if lacking:
        heads |= read_in_parts(services, services.store.heads, lacking)
    _put_cached_list(services, user_id, cached, tuple(memberships))
    services.metrics.read("channels", _outcome(tier, hinted, lacking))
    return tuple((heads[each], memberships[each]) for each in memberships if each in heads)


def _put_stale_list(
    services: Services, user_id: str, channels: Channels, confirmed: Sequence[Channel], asked_at: int
) -> None:
    """Keeps the list, with the confirmed heads of the page, for when the storage does not respond."""
    heads = {head.channel_id: head for head, _ in confirmed}
    kept = tuple((heads.get(head.channel_id, head), membership) for head, membership in channels)
    services.stale_fallback.put_list(user_id, kept, asked_at)


def _memberships(services: Services, user_id: str) -> list[Membership]:
    """Reads the memberships, and removes the channels that the caller has left from the stale list."""
    found = services.store.memberships(user_id)
    services.stale_fallback.narrow_list(user_id, {each.channel_id for each in found})
    return found


def read_in_parts(
    services: Services, read: Callable[[Sequence[str]], dict[str, T]], ids: Sequence[str]
) -> dict[str, T]:
    """What ``read`` finds for all ids, ``PART`` in a call, up to four calls concurrently."""
    parts = [ids[at : at + PART] for at in range(0, len(ids), PART)]
    return {
        key: value
        for found in map_concurrently(read, parts, services.background)
        for key, value in found.items()
    }


def _cached_list(services: Services, user_id: str) -> tuple[tuple[str, ...], str]:
    """The channels of the caller's last list, and the tier that had them. Only a hint: they may be out of date."""
    services.lists.begin()
    key = channels_key(user_id)
    for tier in (services.memory, services.lists):
        found = get_one(tier, key, ChannelList)
        if found is not None:
            return found.channel_ids, tier.origin([key])
    return (), ""


def _put_cached_list(services: Services, user_id: str, before: tuple[str, ...], now: tuple[str, ...]) -> None:
    hint = {channels_key(user_id): ChannelList(now)}
    services.memory.put(hint)
    if set(before) != set(now):
        services.lists.put(hint)


def _outcome(tier: str, hinted: tuple[str, ...], lacking: list[str]) -> str:
    if not tier:
        return "miss"
    if not lacking:
        return tier
    return "caught_up" if len(lacking) <= len(hinted) else "miss"


def list_public_channels(services: Services, user_id: str, listing: Listing) -> Listed:
    """Public channels that the caller is not in, by name. A page may be short: only ``next_cursor`` tells the end.

    Raises:
        InvalidCursorError: the cursor was not made by this listing.
    """
    after = _position(listing.cursor, str, str)
    found = services.store.public_channels(listing.limit, (str(after[0]), str(after[1])) if after else None)
    # The index may contain a channel twice while it is renamed.
    ids = list(dict.fromkeys(channel_id for _, channel_id in found))
    heads = services.store.heads(ids)
    joined = services.store.roles(user_id, ids)
    open_ones = [
        heads[each]
        for each in ids
        if each in heads and each not in joined and heads[each].archived_at is None
    ]
    cursor = keys.encode_cursor(*found[-1]) if len(found) == listing.limit else None
    return Listed(_page([channel_json(head, None) for head in open_ones], cursor))


def _page(channels: list[dict[str, Any]], cursor: str | None) -> dict[str, Any]:
    return {"channels": channels, "has_more": cursor is not None, "next_cursor": cursor}


def _is_shown(head: Head, membership: Membership, listing: Listing) -> bool:
    if listing.unread_only and not membership.is_due(head):
        return False
    return listing.kind in {None, head.kind}


def _order(channel: tuple[Head, Membership]) -> tuple[int, str]:
    return -channel[0].active_at, channel[0].channel_id


def _position(cursor: str | None, *kinds: type) -> tuple[Any, ...] | None:
    if cursor is None:
        return None
    parts = keys.decode_cursor(cursor, *kinds)
    if parts is None or not keys.is_channel_id(str(parts[-1])) or not _is_plausible(parts[0], str(parts[1])):
        raise InvalidCursorError.of_query()
    return parts


def _is_plausible(order: str | int, channel_id: str) -> bool:
    """Whether the storage accepts this as the start of the next page."""
    if isinstance(order, int):
        return 0 <= order <= MAX_TIME
    return keys.is_public_name(order, channel_id)
