"""What has expired in a channel, as of now: every use case that shows or changes messages begins with it."""

from __future__ import annotations

from dataclasses import replace

from shared.bootstrap import Services
from shared.domain.model import Head
from shared.domain.retention import cutoff
from shared.storage.retention import advance


def with_boundary(services: Services, head: Head) -> Head:
    """The head with its boundary as of now; see ``advance`` for the cost. Without a retention it is unchanged."""
    return (
        advance(services.store, head, services.now(), services.sleep) if head.retains and head.seq else head
    )


def without_expired_preview(services: Services, head: Head) -> Head:
    """The head without a preview that has expired by its own time, for when the boundary cannot be found."""
    if head.last and head.last.created_at < cutoff(head, services.now()):
        return replace(head, last=None)
    return head
