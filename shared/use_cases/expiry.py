"""What has expired in a channel, as of now: every use case that shows or changes messages begins with it."""

from __future__ import annotations

from dataclasses import replace

from shared.bootstrap import Services
from shared.domain.errors import MessageNotFoundError
from shared.domain.model import Entry, Head
from shared.domain.retention import cutoff
from shared.storage.retention import advance


def with_boundary(services: Services, head: Head) -> Head:
    """The head with its boundary as of now; see ``advance`` for the cost. Without a retention it is unchanged."""
    if not (head.retains and head.seq):
        return head
    return advance(services.store, head, services.now(), services.sleep)


def require_message(head: Head, seq: int, entry: Entry | None) -> Entry:
    """The entry that was read at a position, if it is a message; ``head`` has its boundary as of now.

    Raises:
        MessageNotFoundError: the position has expired, or has no message.
    """
    if seq and seq <= head.boundary.seq:
        raise MessageNotFoundError.expired(head.boundary.seq)
    if entry is None or entry.body is None:
        raise MessageNotFoundError
    return entry


def without_expired_preview(services: Services, head: Head) -> Head:
    """The head without a preview that has expired by its own time, for when the boundary cannot be found."""
    if head.last and head.last.created_at < cutoff(head, services.now()):
        return replace(head, last=None)
    return head
