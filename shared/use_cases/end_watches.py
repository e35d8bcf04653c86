"""Ends watches together with the right to them."""

from __future__ import annotations

from shared.bootstrap import Services


def end_watches(services: Services, channel_id: str, user_id: str | None = None) -> None:
    """Ends the watches of a channel, or one user's there; nothing where realtime is off.

    Call it when the right has ended and before that is acknowledged, also where an earlier request ended the right: it
    may have died before this. Costs 1 read unit, and 2 write units for each watch.

    Raises:
        ContentionError: other requests kept changing the watches.
    """
    if services.settings.realtime_url:
        services.store.end_watches(channel_id, user_id)
