"""Reading what happened to messages: the change log, earlier versions, reactions and pins."""

from __future__ import annotations

import json
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.bootstrap import Services
from shared.domain import changes, keys, permissions
from shared.domain.changes import Change, change_json, unpacked
from shared.domain.errors import (
    ForbiddenError,
    InvalidCursorError,
    PositionOutOfRangeError,
)
from shared.domain.model import Entry, Head, Membership
from shared.storage.log_reader import HOLE_WAITS_SECONDS
from shared.use_cases.expiry import require_message, with_boundary

FORMAT: Final = 1
"""Part of the version of a page of changes: raised when the format of a page changes."""
_BOOLEANS: Final = (b"false", b"true")


@dataclass(frozen=True, slots=True)
class ChangePage:
    """A page of changes as it is sent; ``body`` None if the caller already has this version."""

    version: str
    body: bytes | None


def fetch_changes(
    services: Services, user_id: str, channel_id: str, after: int, limit: int, known: Container[str]
) -> ChangePage:
    """The changes after a number, in order and without a gap; without a body if its version is one of ``known``.

    Only the latest change of a message has the message: a text that was edited or deleted since is not shown.

    Changes of expired messages are left out. Where DynamoDB has deleted changes, a page covers as many more numbers.

    ``channel_id`` is the log's id: a channel's, or a thread's. Costs 2 read units, of a thread 5, and 1 for each 4 KB
    of changes that are not in memory; if more changes follow the page, 1 more for each changed message.

    Raises:
        ChannelNotFoundError, NotAMemberError: the caller may not read this channel.
        PositionOutOfRangeError: no change has had this number yet.
    """
    head, _ = permissions.require_member(services.store.read_channel_state(channel_id, user_id))
    if after > head.rev:
        raise PositionOutOfRangeError.beyond(head.rev, "query.after")
    head = with_boundary(services, head)
    expired = head.boundary
    last = min(head.rev, after + limit)
    version = f"c{FORMAT}.{head.erasures}.{after}.{last}.{head.rev}"
    if expired.seq:
        version += f".x{expired.seq}.{expired.rev}"
    if version in known:
        return ChangePage(version, None)
    if after < expired.rev:
        found = services.store.changes(channel_id, after + 1, expired.rev, limit)
        last = found[-1].rev if len(found) == limit else expired.rev
    else:
        found = list(services.reader.changes(head, after + 1, last))
    kept = [each for each in found if each.seq > expired.seq]
    current = _current(services, channel_id, kept, is_end=last == head.rev)
    listed = b",".join(
        change_json(channel_id, each, with_message=each.rev >= current.get(each.seq, 0)) for each in kept
    )
    body = b'{%b,"changes":[%b],"first_rev":%d,"last_rev":%d,"channel_last_rev":%d,"has_more_after":%b%b}' % (
        keys.log_json(channel_id),
        listed,
        after + 1,
        last,
        head.rev,
        _BOOLEANS[last < head.rev],
        b',"expired_before":%d' % (expired.seq + 1) if len(kept) < last - after else b"",
    )
    return ChangePage(version, body)


def _current(services: Services, channel_id: str, found: Sequence[Change], *, is_end: bool) -> dict[int, int]:
    """The number of the latest change of each message that these changes are about."""
    latest = {each.seq: each.rev for each in found if each.body is not None}
    if not is_end and latest:
        entries = services.store.entries_at(channel_id, list(latest))
        latest |= {entry.seq: entry.rev for entry in entries}
    return latest


def fetch_versions(services: Services, user_id: str, channel_id: str, message_id: str) -> dict[str, Any]:
    """The versions of a message, the oldest first: at most the last 20 before the present one.

    Costs 3 read units, and 1 for each change of its text.

    Raises:
        ChannelNotFoundError, NotAMemberError: the caller may not read this channel.
        MessageNotFoundError: the message does not exist.
        ForbiddenError: the caller is not its author, and not a moderator or owner.
    """
    head, member, entry = _message(services, user_id, channel_id, message_id)
    message = json.loads(entry.body or b"{}")
    is_own = message["sender"] == user_id
    if not is_own and "delete" not in permissions.of_role(head, member):
        raise ForbiddenError("Only its author, moderators and owners may see earlier versions of a message.")
    made = sorted(_changes_at(services, head, entry.versions), key=lambda each: each.rev)
    earlier = [json.loads(unpacked(each.before, each.body or b"")) for each in made]
    return {
        "message_id": message_id,
        "versions": [_version_json(each) for each in [*earlier, message] if "deleted" not in each],
    }


def _changes_at(services: Services, head: Head, revs: Sequence[int]) -> list[Change]:
    """The changes of these numbers, except those that expired.

    A message may be seen a moment before its change, so one that must still be there is waited for.
    """
    expected = {rev for rev in revs if rev > head.boundary.rev}
    found = services.store.changes_at(head.channel_id, revs)
    for wait in HOLE_WAITS_SECONDS:
        if expected <= {each.rev for each in found}:
            return found
        services.sleep(wait)
        found = services.store.changes_at(head.channel_id, revs)
    return found


def _version_json(message: dict[str, Any]) -> dict[str, Any]:
    shown = {
        "version": message.get("version", 1),
        "text": message["text"],
        "written_at": message.get("edited_at", message["created_at"]),
    }
    return shown | ({"metadata": message["metadata"]} if "metadata" in message else {})


def fetch_reactions(
    services: Services,
    user_id: str,
    channel_id: str,
    message_id: str,
    emoji: str,
    limit: int,
    cursor: str | None,
) -> dict[str, Any]:
    """Who reacted to a message with an emoji: first those whom the message shows, then the others by user id.

    Costs 3 read units, and 1 for each 40 users whom the message does not show.

    Raises:
        ChannelNotFoundError, NotAMemberError: the caller may not read this channel.
        MessageNotFoundError: the message does not exist.
        InvalidCursorError: the cursor is not of this listing.
    """
    head, _, entry = _message(services, user_id, channel_id, message_id)
    found = next((each for each in changes.reactions_of(entry.body or b"") if each.emoji == emoji), None)
    if found is None:
        return {"emoji": emoji, "count": 0, "users": [], "has_more": False, "next_cursor": None}
    at, after = _place(cursor)
    users = list(found.users[at : at + limit])
    at += len(users)
    if len(users) < limit and not found.shows_all:
        more = services.store.reacted(head.channel_id, entry.seq, emoji, limit - len(users), after or None)
        users += [each.user_id for each in more]
        after = more[-1].user_id if more else after
        is_end = len(users) < limit
    else:
        is_end = found.shows_all and at >= len(found.users)
    following = None if is_end else keys.encode_cursor(at, after)
    return {
        "emoji": emoji,
        "count": found.count,
        "users": users,
        "has_more": following is not None,
        "next_cursor": following,
    }


def _place(cursor: str | None) -> tuple[int, str]:
    if cursor is None:
        return 0, ""
    parts = keys.decode_cursor(cursor, int, str)
    if parts is None or not 0 <= int(parts[0]) <= changes.SHOWN_USERS:
        raise InvalidCursorError.of_query()
    after = str(parts[1])
    if after and not keys.is_stored_user_id(after):
        raise InvalidCursorError.of_query()
    return int(parts[0]), after


def fetch_pins(services: Services, user_id: str, channel_id: str) -> dict[str, Any]:
    """The pinned messages of a channel, what was pinned last first; deleted and expired ones are left out.

    Costs 3 read units, and 1 for each pinned message.

    Raises:
        ChannelNotFoundError, NotAMemberError: the caller may not read this channel.
    """
    head, _ = permissions.require_member(services.store.read_channel_state(channel_id, user_id))
    expired = with_boundary(services, head).boundary.seq
    pins = {seq: rev for seq, rev in services.store.pins(channel_id).items() if seq > expired}
    entries = services.store.entries_at(channel_id, list(pins)) if pins else []
    entries.sort(key=lambda each: pins[each.seq], reverse=True)
    found = [(pins[each.seq], each.body) for each in entries if each.body and not changes.is_gone(each.body)]
    return {
        "channel_id": channel_id,
        "pins": [{"rev": rev, "message": json.loads(body)} for rev, body in found],
    }


def _message(
    services: Services, user_id: str, channel_id: str, message_id: str
) -> tuple[Head, Membership, Entry]:
    """The message, a channel's or a reply, with its log's head and the caller's membership."""
    log_id, seq = keys.place_of_message(channel_id, message_id)
    state, entry = services.store.read_message_state(log_id, user_id, seq)
    head, member = permissions.require_member(state)
    return head, member, require_message(with_boundary(services, head), seq, entry)
