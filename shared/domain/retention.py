"""When messages expire: a message lives as long as the shortest retention that its channel has had since it was posted.

Expiry moves in steps of an hour, so pages and their ETags stay the same within a step. A message is shown for at least
its retention, and for at most ``LATEST_MS`` more. Pure: no I/O, no clock.
"""

from __future__ import annotations

from typing import Final

from shared.domain.clock import MAX_SKEW_MS
from shared.domain.errors import RetentionRaisedError
from shared.domain.model import Entry, Head

MAX_DAYS: Final = 3_650
MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
LATEST_MS: Final = 2 * HOUR_MS
"""Above the sum of a step, ``MAX_SKEW_MS`` twice (times of neighbours, clock of the reader), and a stale fallback."""
DELETED_MS: Final = 3 * HOUR_MS
"""How long after its retention DynamoDB may delete a message: when no reader shows it any more."""
MAX_STEPS: Final = 3
"""Shorter retentions that a head keeps; a DynamoDB number has room for three."""
_STEP: Final = 10**12
_DAYS: Final = 10**4


def cutoff(head: Head, now: int) -> int:
    """Messages from before this time (milliseconds since 1970) have expired; 0 if none can have. Never decreases."""
    hour = (now - MAX_SKEW_MS) // HOUR_MS * HOUR_MS
    found = head.channel_cutoff
    if head.retention_days is not None:
        found = max(found, hour - head.retention_days * DAY_MS)
    for until, days in steps_of(head.retention_steps):
        found = max(found, min(until, hour - days * DAY_MS))
    return found


def expires(head: Head, at: int) -> int:
    """When DynamoDB may delete a message that was posted ``at`` this time, in seconds since 1970; 0 for never."""
    days = [each for until, each in steps_of(head.retention_steps) if at < until]
    if head.retention_days is not None:
        days.append(head.retention_days)
    return (at + min(days) * DAY_MS + DELETED_MS) // 1000 if days else 0


def change_expires(head: Head, entry: Entry) -> int:
    """When DynamoDB may delete a change of a message, as of ``expires``; never if it does not delete the message."""
    return expires(head, entry.at) if entry.expires else 0


def changed(head: Head, days: int | None, now: int) -> dict[str, int | None]:
    """The fields of a head with another retention.

    A shorter retention applies to all messages. After a longer one, messages that were posted up to now keep the
    shorter one: DynamoDB may be about to delete them. That is remembered until they have expired.

    Raises:
        RetentionRaisedError: more than ``MAX_STEPS`` shorter retentions would have to be kept.
    """
    steps = [
        (until, shorter)
        for until, shorter in steps_of(head.retention_steps)
        if until > head.boundary.cutoff and (days is None or shorter < days)
    ]
    before = head.retention_days
    if before is not None and (days is None or before < days):
        steps.append(((now + MAX_SKEW_MS) // MINUTE_MS * MINUTE_MS + MINUTE_MS, before))
    if len(steps) > MAX_STEPS:
        raise RetentionRaisedError
    packed = sum(
        ((until // MINUTE_MS) * _DAYS + shorter) * _STEP**place
        for place, (until, shorter) in enumerate(steps)
    )
    return {"retention_days": days, "retention_steps": packed or None}


def steps_of(packed: int | None) -> list[tuple[int, int]]:
    """Shorter retentions, from short to long: the time before which messages were posted that keep it, and its days."""
    steps = []
    while packed:
        packed, step = divmod(packed, _STEP)
        until, days = divmod(step, _DAYS)
        steps.append((until * MINUTE_MS, days))
    return steps
