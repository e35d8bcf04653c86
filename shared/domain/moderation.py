"""What keeps order: blocks between users, bans from channels, and reports of messages. Times as in ``model``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from shared.domain.clock import rfc3339

MAX_BLOCKS: Final = 500
"""Users whom one user may block."""
MAX_OPEN_REPORTS: Final = 1_000
"""Open reports in one channel."""
MAX_REASON: Final = 500
"""Characters of a ban's reason, of a report's text and of its resolution."""


@dataclass(frozen=True, slots=True)
class Block:
    """``user_id`` has blocked ``other_id``: neither may write in their direct channel."""

    user_id: str
    other_id: str
    at: int


@dataclass(frozen=True, slots=True)
class Ban:
    """A user who may not be in a channel, and was put out of it if they were."""

    channel_id: str
    user_id: str
    by: str
    at: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A message that a member has reported to the channel's moderators; it has no copy of the message's text."""

    channel_id: str
    report_id: str
    """Sorts by time."""
    message_id: str
    reporter: str
    reason: str
    text: str
    at: int
    closed_at: int | None = None
    closed_by: str = ""
    resolution: str = ""

    @property
    def is_open(self) -> bool:
        """Whether no moderator has closed it."""
        return self.closed_at is None


def block_json(block: Block) -> dict[str, Any]:
    """A block, as the user who made it gets it."""
    return {"user_id": block.other_id, "blocked_at": rfc3339(block.at)}


def ban_json(ban: Ban) -> dict[str, Any]:
    """A ban, as moderators and owners get it."""
    return {
        "user_id": ban.user_id,
        "reason": ban.reason or None,
        "banned_by": ban.by,
        "banned_at": rfc3339(ban.at),
    }


def own_report_json(report: Report) -> dict[str, Any]:
    """A report, as its reporter gets it: nothing of what moderators made of it."""
    shown = report_json(report)
    return {name: shown[name] for name in ("id", "message_id", "reason", "text", "reported_at")}


def report_json(report: Report) -> dict[str, Any]:
    """A report without its message."""
    return {
        "id": report.report_id,
        "status": "open" if report.is_open else "closed",
        "message_id": report.message_id,
        "reporter": report.reporter,
        "reason": report.reason,
        "text": report.text or None,
        "reported_at": rfc3339(report.at),
        "closed_by": report.closed_by or None,
        "closed_at": None if report.closed_at is None else rfc3339(report.closed_at),
        "resolution": report.resolution or None,
    }
