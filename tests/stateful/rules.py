"""The promises of the API in short: rights, rates, and the positions of a page.

Nothing here is taken from `shared/`: where the two disagree, one of them is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import regex

STATUS: Final = {
    "unauthenticated": 401,
    "forbidden": 403,
    "edit_window_over": 403,
    "not_a_member": 403,
    "cannot_send": 403,
    "banned": 403,
    "report_not_found": 404,
    "conflict": 409,
    "user_blocked": 409,
    "user_banned": 409,
    "report_closed": 409,
    "reads_hidden": 403,
    "channel_not_found": 404,
    "message_not_found": 404,
    "member_not_found": 404,
    "channel_archived": 409,
    "direct_channel": 409,
    "last_owner": 409,
    "message_deleted": 409,
    "nested_thread": 409,
    "version_mismatch": 412,
    "validation_failed": 422,
    "idempotency_key_reused": 422,
    "batch_too_large": 422,
    "position_out_of_range": 422,
    "rate_limited": 429,
    "store_unavailable": 503,
    "commit_unknown": 503,
}
MAY: Final = {
    "member": ["read", "post", "react", "leave"],
    "moderator": ["read", "post", "react", "leave", "pin", "delete", "edit", "invite", "remove"],
    "owner": [
        *("read", "post", "react", "leave", "pin", "delete"),
        *("edit", "invite", "remove", "change_roles", "archive"),
    ],
}
FIXED: Final = {"direct", "group"}
"""Kinds of channels that are found again by their members, who never change and are equals."""
CLOCKS_APART: Final = 5_000
"""Milliseconds that may be owed beyond a used burst, as another container's clock may be ahead by as much."""


class RefusedError(Exception):
    """The model refuses a request with a code."""

    def __init__(self, code: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.headers = headers or {}


@dataclass(frozen=True)
class Expected:
    """The response that the API must give; a body of None is not compared."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


def may(kind: str, role: str | None, *, archived: bool, members_pin: bool = False) -> list[str]:
    """What somebody may do in a channel; a role of None is nobody's."""
    if role is None:
        return ["join"] if kind == "public" and not archived else []
    given = ["read", "post", "react", "pin"] if kind in FIXED else MAY[role]
    if members_pin and "pin" not in given:
        given = [*given, "pin"]
    return [each for each in given if each in {"read", "leave", "archive"}] if archived else given


@dataclass(frozen=True)
class Pace:
    """A rate limit: one message every so many milliseconds, and so many at once."""

    every_ms: int
    burst: int

    def paid(self, owed_ms: int, count: int) -> tuple[int, dict[str, str]]:
        """What is owed after so many messages more, and the headers that say so.

        Raises:
            RefusedError: too much would be owed, now or ever.
        """
        if count > self.burst:
            raise RefusedError("batch_too_large", {"ratelimit-limit": str(self.burst)})
        full = self.burst * self.every_ms
        due = count * self.every_ms
        if owed_ms > full + CLOCKS_APART:
            owed_ms = full - due  # Owed at a slower pace, which is forgiven.
        missing = owed_ms + due - full
        if missing > 0:
            raise RefusedError(
                "rate_limited", self._told(owed_ms) | {"retry-after": str(max(1, _up(missing, 1000)))}
            )
        owed_ms += due
        return owed_ms, self._told(owed_ms)

    def _told(self, owed_ms: int) -> dict[str, str]:
        left = max(0, self.burst - _up(owed_ms, self.every_ms))
        return {
            "ratelimit-limit": str(self.burst),
            "ratelimit-remaining": str(left),
            "ratelimit-reset": str(_up(owed_ms, 1000)),
        }


def _up(number: int, unit: int) -> int:
    return -(-number // unit)


def window(query: dict[str, Any], end: int, read: int) -> range:
    """The positions that a page has, for a channel whose last one is `end`.

    Raises:
        RefusedError: the place lies beyond the end.
    """
    limit = query.get("limit", 50)
    furthest = {"before": end + 1, "after": end, "around": max(1, end)}
    if any(query.get(name, 0) > position for name, position in furthest.items()):
        raise RefusedError("position_out_of_range")
    if "before" in query:
        return range(max(1, query["before"] - limit), query["before"])
    if "after" in query:
        return range(query["after"] + 1, min(end, query["after"] + limit) + 1)
    middle = query.get("around") or (read + 1 if query.get("anchor") == "first_unread" else None)
    if middle is None:
        first = 1 if query.get("anchor") == "oldest" else max(1, end - limit + 1)
    else:
        first = max(1, min(middle - limit // 2, end - limit + 1))
    return range(first, min(end, first + limit - 1) + 1)


def named_in(text: str) -> list[str]:
    """The users whom a text names, each once."""
    return list(dict.fromkeys(regex.findall(r"<@([a-z]+)>", text)))


def names_everybody(text: str) -> bool:
    """Whether a text names everybody in the channel."""
    return "<!channel>" in text or "<!here>" in text


def beginning(text: str) -> str:
    """The graphemes at the start of a text that fit a preview: 100 characters, 140 bytes."""
    kept = ""
    for grapheme in regex.findall(r"\X", text):
        if len(kept + grapheme) > 100 or len((kept + grapheme).encode()) > 140:
            break
        kept += grapheme
    return kept
