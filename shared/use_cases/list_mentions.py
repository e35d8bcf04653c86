"""The caller's mentions: messages that name them, newest first."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from shared.bootstrap import Services
from shared.domain import keys
from shared.domain.errors import InvalidCursorError
from shared.domain.model import MARK, Follow, Membership
from shared.use_cases.messages_at import messages_at
from shared.use_cases.read_budget import ReadBudget, list_units

MAX_MARK: Final = 10**26


def list_mentions(services: Services, user_id: str, limit: int, cursor: str | None) -> dict[str, Any]:
    """Messages that name the caller, in channels that they are in, newest first; each with its channel's id.

    Replies have their thread's id too. Of each channel and thread the latest 50 or so are kept. Who names everybody is
    not listed, nor are messages that have expired. Costs a read unit for each 25 channels and each 30 threads of the
    caller (fewer where many mentions are kept), 1 for each message, and 1 for each of their channels and threads.

    Raises:
        InvalidCursorError: the cursor is not of this listing.
        ReadBudgetError: the caller is in many channels, and too many such lists were read in this minute.
    """
    before = _place(cursor)
    memberships = services.store.memberships(user_id)
    channels = {each.channel_id: each for each in memberships}
    follows = {
        each.log_id: each
        for each in services.store.follows(user_id)
        if keys.channel_of_log(each.log_id) in channels
    }
    logs: dict[str, Membership | Follow] = {**channels, **follows}
    marks = sorted(_marks(logs, before), reverse=True)
    page = marks[:limit]
    log_ids = {log_id for _, log_id in page}
    wanted = log_ids | {keys.channel_of_log(log_id) for log_id in log_ids}
    ReadBudget(services, user_id).spend(
        list_units(len(memberships)) + list_units(len(follows)) + len(page) + len(wanted)
    )
    heads = services.store.heads(wanted)
    bodies = messages_at(services, heads, [(log_id, mark % MARK) for mark, log_id in page])
    shown = []
    for mark, log_id in page:
        seq = mark % MARK
        message = json.loads(bodies.get((log_id, seq)) or b"{}")
        if user_id in message.get(
            "mentions", ()
        ):  # A deletion or an edit may have come since the marks were read.
            log = {"channel_id": keys.channel_of_log(log_id)}
            log |= {"thread_id": log_id} if keys.is_thread(log_id) else {}
            shown.append({**log, "is_read": seq <= logs[log_id].read_seq, "message": message})
    following = keys.encode_cursor(*page[-1]) if len(marks) > limit else None
    return {"mentions": shown, "has_more": following is not None, "next_cursor": following}


def _marks(logs: Mapping[str, Membership | Follow], before: tuple[int, str] | None) -> list[tuple[int, str]]:
    found = [(mark, log_id) for log_id, each in logs.items() for mark in each.mentions]
    return [each for each in found if before is None or each < before]


def _place(cursor: str | None) -> tuple[int, str] | None:
    if cursor is None:
        return None
    parts = keys.decode_cursor(cursor, int, str)
    if parts is None or not 0 <= int(parts[0]) < MAX_MARK or not keys.is_log_id(str(parts[1])):
        raise InvalidCursorError.of_query()
    return int(parts[0]), str(parts[1])
