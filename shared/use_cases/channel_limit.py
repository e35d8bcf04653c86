"""The limit of channels for each user, so that nobody can make another user's list too long to read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.bootstrap import Services
from shared.domain.errors import TooManyChannelsError
from shared.runtime.parallel import map_concurrently
from shared.use_cases.read_budget import ReadBudget, list_units

AT_ONCE: Final = 4
"""Users whose channels are counted concurrently."""


def full_lists(services: Services, budget: ReadBudget, user_ids: Sequence[str]) -> list[str]:
    """Users that have reached the limit; empty if none has.

    Counting stops after the first group that contains such a user. Nothing is reserved: concurrent joins may all find
    the last place free and exceed the limit by a few. Costs one Query for each user, four concurrently: about one read
    unit for each 25 channels.

    Raises:
        ReadBudgetError: the counts cost more than the rest of the caller's budget for this minute.
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


def refusal(caller: str, full: Sequence[str], field: str, limit: int) -> TooManyChannelsError:
    """The error for these users; ``field`` is the request's field that names the ones other than the caller."""
    others = [user for user in full if user != caller]
    errors = [
        {"field": field, "detail": f"{user} has reached the limit of {limit:,} channels."} for user in others
    ]
    if caller in full:
        return TooManyChannelsError(
            f"You have reached the limit of {limit:,} channels. Leave one first.", errors=errors
        )
    return TooManyChannelsError(errors=errors)
