"""How many channels one user may be in: nobody can make another's list of channels slow, or too long to be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.bootstrap import Services
from shared.domain.errors import TooManyChannelsError
from shared.runtime.parallel import map_concurrently
from shared.use_cases.read_budget import ReadBudget, list_units

AT_ONCE: Final = 4
"""Users whose channels are counted side by side."""


def full_lists(services: Services, budget: ReadBudget, user_ids: Sequence[str]) -> list[str]:
    """Some who are in as many channels as one may be; none if nobody is.

    The first that are found end it. Nothing is reserved: joins at the same moment may all find the last place free, and
    pass the limit by a few. Costs a Query for each user, four side by side: about a read unit for each 25 channels.

    Raises:
        ReadBudgetError: it has cost more than the caller's budget of the minute has left.
    """
    limit = services.settings.max_channels_per_user
    for at in range(0, len(user_ids), AT_ONCE):
        some = user_ids[at : at + AT_ONCE]
        counts = map_concurrently(
            lambda user: services.store.count_memberships(user, limit), some, services.background
        )
        budget.spend(sum(map(list_units, counts)))
        full = [user for user, count in zip(some, counts, strict=True) if count >= limit]
        if full:
            return full
    return []


def refusal(caller: str, full: Sequence[str], field: str) -> TooManyChannelsError:
    """Why these cannot be in another channel; ``field`` is where the request named those who are not the caller."""
    others = [user for user in full if user != caller]
    errors = [{"field": field, "detail": f"{user} is in as many channels as one may be."} for user in others]
    if caller in full:
        return TooManyChannelsError(
            "You are in as many channels as one may be: leave one first.", errors=errors
        )
    return TooManyChannelsError(errors=errors)
