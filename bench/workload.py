"""What a chat's users do, for ``bench.capacity``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

TRACE_MEMBERSHIPS: Final = 7.5
"""Channels of a user in ``bench.trace``: 5 to 10."""
TRACE_SESSIONS: Final = 0.7 * 3
"""Sessions of a user a day in ``bench.trace``."""
BILLINGS: Final = ("on-demand", "always-free")
"""What ``TableBilling`` of the template may be, its default first."""


@dataclass(frozen=True, slots=True)
class Workload:
    """How many, and how often. The defaults are the day of ``bench.day``.

    Attributes:
        active: Share of the users who come on a day.
        sessions: Of each of them, a day.
        lists: Requests for the list of channels, a session.
        pages: Requests for a page of messages, a session.
        posts: Messages, a session.
        memberships: Channels that a user is in.
        message_bytes: Of a message's JSON; None for what was measured on real text.
        poll_seconds: Between two questions for news in an open session; None where news is pushed, or not awaited.
        session_minutes: How long a session that polls is open.
        months_kept: For how many months messages are stored.
        table_billing: As the template's parameter ``TableBilling``, which is on demand unless somebody changes it.
    """

    users: int = 100
    active: float = 0.7
    sessions: float = 3
    lists: float = 2
    pages: float = 4
    posts: float = 1_000 / 210
    memberships: float = TRACE_MEMBERSHIPS
    message_bytes: float | None = None
    poll_seconds: float | None = None
    session_minutes: float = 10
    months_kept: int = 12
    table_billing: str = BILLINGS[0]

    @property
    def sessions_a_day(self) -> float:
        """Of all users."""
        return self.users * self.active * self.sessions

    def requests_a_day(self) -> dict[str, float]:
        """By kind."""
        polls = self.session_minutes * 60 / self.poll_seconds if self.poll_seconds else 0.0
        each = {"list": self.lists, "page": self.pages, "post": self.posts, "poll": polls}
        return {kind: count * self.sessions_a_day for kind, count in each.items()}
