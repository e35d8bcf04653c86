"""How many channels one user may be in: nobody can make another's list of channels slow, or too long to be read."""

from __future__ import annotations

from collections.abc import Sequence

from shared.errors import TooManyChannelsError
from shared.parallel import every
from shared.services import Services


def full_lists(services: Services, user_ids: Sequence[str]) -> list[str]:
    """Those who are in as many channels as one may be.

    Nothing is reserved: joins at the same moment may all find the last place free, and pass the limit by a few. Costs a
    Query for each user, up to four side by side: about a read unit for each 25 channels.
    """
    limit = services.settings.max_channels_per_user
    counts = every(lambda user: services.store.count_memberships(user, limit), user_ids, services.background)
    return [user for user, count in zip(user_ids, counts, strict=True) if count >= limit]


def refusal(caller: str, full: Sequence[str], field: str) -> TooManyChannelsError:
    """Why these cannot be in another channel; ``field`` is where the request named those who are not the caller."""
    others = [user for user in full if user != caller]
    errors = [{"field": field, "detail": f"{user} is in as many channels as one may be."} for user in others]
    if caller in full:
        return TooManyChannelsError(
            "You are in as many channels as one may be: leave one first.", errors=errors
        )
    return TooManyChannelsError(errors=errors)
