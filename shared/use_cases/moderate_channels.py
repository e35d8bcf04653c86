"""Bans from channels, and reports of messages to a channel's moderators."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from shared.bootstrap import Services
from shared.domain import keys, permissions
from shared.domain.errors import (
    BannedError,
    ConflictError,
    ContentionError,
    DirectChannelError,
    ForbiddenError,
    InvalidCursorError,
    ReportClosedError,
    ReportNotFoundError,
    TooManyReportsError,
)
from shared.domain.model import FIXED_MEMBERS, ChannelState, Head, Kind, Membership, Role
from shared.domain.moderation import MAX_OPEN_REPORTS, Ban, Report, ban_json, own_report_json, report_json
from shared.use_cases.end_watches import end_watches
from shared.use_cases.expiry import require_message, with_boundary
from shared.use_cases.lost_rights import refuse_if_lost
from shared.use_cases.messages_at import messages_at

NO_MODERATORS: Final = "A direct or group channel has no moderators. You can block a user's direct messages."
TRIES: Final = 4
"""Tries of a ban or of closing a report, each after the first because the target changed meanwhile."""


@dataclass(frozen=True, slots=True)
class Made:
    """A ban or a report as clients get it, and whether this request made it."""

    shown: dict[str, Any]
    new: bool


# --- bans ---


def require_not_banned(services: Services, state: ChannelState, user_id: str) -> None:
    """Refuses what a public channel shows to users who are no members. Costs them 1 read unit, members nothing.

    Raises:
        BannedError: the user is banned from the channel.
    """
    if state.head is None or state.head.kind is not Kind.PUBLIC or state.membership is not None:
        return
    past_membership = services.store.past_membership(state.head.channel_id, user_id)
    if past_membership is not None and past_membership.is_banned:
        raise BannedError


def ban_user(services: Services, user_id: str, channel_id: str, target_id: str, reason: str) -> Made:
    """Bans a user from a channel and ends their membership, if there is one. Again it changes nothing.

    Costs 5 read units, and 10 write units for a member or 8 for a user who is no member.

    Raises:
        ChannelNotFoundError, NotAMemberError, ForbiddenError, ChannelArchivedError: the caller may not do this.
        DirectChannelError: nobody can be banned from a direct or group channel.
        ConflictError: users cannot ban themselves.
        ContentionError: the target's membership kept changing, or the caller's own role has just changed.
    """
    made = _ban(services, user_id, channel_id, target_id, reason)
    end_watches(services, channel_id, target_id)
    return made


def _ban(services: Services, user_id: str, channel_id: str, target_id: str, reason: str) -> Made:
    for _ in range(TRIES):
        _, by = _moderator(services, user_id, channel_id, "remove")
        if target_id == user_id:
            raise ConflictError("You cannot ban yourself. Leave the channel instead.")
        existing = services.store.ban_of(channel_id, target_id)
        if existing is not None:
            return Made(ban_json(existing), new=False)
        target = services.store.membership(channel_id, target_id)
        if target is not None and by.role is Role.MODERATOR and target.role is not Role.MEMBER:
            raise ForbiddenError("Moderators can ban plain members only.")
        ban = Ban(channel_id, target_id, user_id, services.now(), reason)
        if services.store.ban(ban, target, by):
            stored = services.store.ban_of(channel_id, target_id) or ban
            return Made(ban_json(stored), new=stored == ban)
        refuse_if_lost(services.store, by, "remove")
    raise ContentionError(retry_after=1)


def unban_user(services: Services, user_id: str, channel_id: str, target_id: str) -> None:
    """Lifts a ban. Again it changes nothing. Costs 3 read and 6 write units.

    Raises:
        ChannelNotFoundError, NotAMemberError, ForbiddenError, ChannelArchivedError: the caller may not do this.
        DirectChannelError: as ``ban_user``.
        ContentionError: the caller's own role has just changed.
    """
    _, by = _moderator(services, user_id, channel_id, "remove")
    if not services.store.unban(channel_id, target_id, by):
        refuse_if_lost(services.store, by, "remove")
        raise ContentionError(retry_after=1)


def list_bans(
    services: Services, user_id: str, channel_id: str, limit: int, cursor: str | None
) -> dict[str, Any]:
    """Bans by user id, for moderators and owners, also of an archived channel.

    Raises:
        ChannelNotFoundError, NotAMemberError, ForbiddenError, DirectChannelError: as ``ban_user``.
        InvalidCursorError: the cursor was not made by this listing.
    """
    _moderator(services, user_id, channel_id, "remove", also_archived=True)
    found = services.store.bans(channel_id, limit, id_of_cursor(cursor, keys.is_stored_user_id))
    return _page("bans", [ban_json(each) for each in found], limit, found and found[-1].user_id)


# --- reports ---


def report_message(
    services: Services, user_id: str, channel_id: str, message_id: str, reason: str, text: str
) -> Made:
    """Reports a message to the channel's moderators, once for each user and message. Again it changes nothing.

    Only moderators and owners are told. Costs 3 read and 6 write units; 2 read units more if it is repeated.

    Raises:
        ChannelNotFoundError, NotAMemberError: the caller is not in the channel.
        DirectChannelError: a direct or group channel has no moderators.
        MessageNotFoundError: there is no such message.
        TooManyReportsError: the channel has ``MAX_OPEN_REPORTS`` open reports.
    """
    log_id, seq = keys.place_of_message(channel_id, message_id)
    state, entry = services.store.read_message_state(log_id, user_id, seq)
    head, _ = permissions.require_member(state)
    if head.kind in FIXED_MEMBERS:
        raise DirectChannelError(NO_MODERATORS)
    require_message(with_boundary(services, head), seq, entry)
    now = services.now()
    report = Report(channel_id, keys.new_report_id(now), message_id, user_id, reason, text, now)
    report_id = services.store.add_report(report, MAX_OPEN_REPORTS)
    if report_id is None:
        raise TooManyReportsError
    if report_id == report.report_id:
        return Made(own_report_json(report), new=True)
    return Made(own_report_json(services.store.report(channel_id, report_id) or report), new=False)


def list_reports(
    services: Services, user_id: str, channel_id: str, status: str, limit: int, cursor: str | None
) -> dict[str, Any]:
    """Open or closed reports, oldest first, with each message as it is now. For moderators and owners.

    Costs 2 read units, one for each 4 KB of reports, and one for each message and each thread of a reply.

    Raises:
        ChannelNotFoundError, NotAMemberError, ForbiddenError, DirectChannelError: the caller may not do this.
        InvalidCursorError: the cursor was not made by this listing.
    """
    head, _ = _moderator(services, user_id, channel_id, "delete", also_archived=True)
    after = id_of_cursor(cursor, keys.is_report_id)
    found = services.store.reports(channel_id, limit, after, is_open=status == "open")
    shown = _with_messages(services, head, found)
    return _page("reports", shown, limit, found and found[-1].report_id)


def close_report(
    services: Services, user_id: str, channel_id: str, report_id: str, resolution: str
) -> dict[str, Any]:
    """Closes a report: the report with its message. Again, with the same resolution, it changes nothing.

    Costs 5 read and 8 write units.

    Raises:
        ChannelNotFoundError, NotAMemberError, ForbiddenError, DirectChannelError: as ``list_reports``.
        ReportNotFoundError: there is no such report.
        ReportClosedError: it was closed with another resolution.
        ContentionError: the report kept changing, or the caller's own role has just changed.
    """
    for _ in range(TRIES):
        head, by = _moderator(services, user_id, channel_id, "delete", also_archived=True)
        report = services.store.report(channel_id, report_id) if keys.is_report_id(report_id) else None
        if report is None:
            raise ReportNotFoundError
        if not report.is_open and report.resolution != resolution:
            raise ReportClosedError
        closed = replace(report, closed_at=services.now(), closed_by=user_id, resolution=resolution)
        if not report.is_open or services.store.close_report(closed, by):
            [shown] = _with_messages(services, head, [closed if report.is_open else report])
            return shown
    raise ContentionError(retry_after=1)


def _with_messages(services: Services, head: Head, reports: Sequence[Report]) -> list[dict[str, Any]]:
    """Reports, each with its message as it is now; without the message if it has expired."""
    places = {each.message_id: keys.place_of_message(head.channel_id, each.message_id) for each in reports}
    threads = {log_id for log_id, _ in places.values() if keys.is_thread(log_id)}
    heads = {head.channel_id: head} | (services.store.heads(threads) if threads else {})
    bodies = messages_at(services, heads, places.values())
    found = {place: json.loads(body) for place, body in bodies.items() if body is not None}
    return [report_json(each) | {"message": found.get(places[each.message_id])} for each in reports]


# --- both ---


def id_of_cursor(cursor: str | None, is_id: Callable[[str], bool]) -> str | None:
    """The id after which a listing by id continues.

    Raises:
        InvalidCursorError: the cursor was not made by such a listing.
    """
    if cursor is None:
        return None
    parts = keys.decode_cursor(cursor, str)
    if parts is None or not is_id(str(parts[0])):
        raise InvalidCursorError.of_query()
    return str(parts[0])


def _page(name: str, shown: list[dict[str, Any]], limit: int, last: Any) -> dict[str, Any]:  # noqa: ANN401 - an id, or an empty list
    following = keys.encode_cursor(last) if len(shown) == limit else None
    return {name: shown, "has_more": following is not None, "next_cursor": following}


def _moderator(
    services: Services, user_id: str, channel_id: str, capability: str, *, also_archived: bool = False
) -> tuple[Head, Membership]:
    """Head and membership, if the caller has the capability; with ``also_archived`` in an archived channel too."""
    state = services.store.read_channel_state(channel_id, user_id)
    head, _ = permissions.require_member(state)
    if head.kind in FIXED_MEMBERS:
        raise DirectChannelError(NO_MODERATORS)
    require = permissions.entitled if also_archived else permissions.require_capability
    return require(state, capability)
