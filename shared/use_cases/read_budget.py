"""A limit for the cost of one user's expensive reads: long lists of channels, and counting other users' channels.

Ordinary requests write nothing for it. A request that costs more than ``FREE_UNITS`` is charged to the user's budget
for this minute, which is stored, so that it applies to all containers together (``docs/adr/0016``).
"""

from __future__ import annotations

from math import ceil
from typing import Final

from shared.bootstrap import Services
from shared.domain.errors import ReadBudgetError

FREE_UNITS: Final = 250
"""Read units that each request has free: a list of about 240 channels, or a page of 100 public ones."""
CHANNELS_PER_UNIT: Final = 25
"""Memberships in one read unit (4 KB), approximately."""
MINUTE_MS: Final = 60_000


def list_units(channels: int) -> int:
    """Approximate read units of a Query of so many memberships."""
    return max(1, ceil(channels / CHANNELS_PER_UNIT))


class ReadBudget:
    """The cost of one request's expensive reads so far.

    Args:
        services: the store keeps the budget; the limit is a setting.
        user_id: the caller, who is charged.
    """

    def __init__(self, services: Services, user_id: str) -> None:
        self._services = services
        self._user_id = user_id
        self._uncharged = 0

    def spend(self, units: int) -> None:
        """Charges reads, before they are made or, if their cost is known only then, directly after.

        Costs 1 write unit each time that more than ``FREE_UNITS`` are uncharged, otherwise nothing.

        Raises:
            ReadBudgetError: the budget for this minute is used up.
        """
        self._uncharged += units
        if self._uncharged <= FREE_UNITS:
            return
        now, limit = self._services.now(), self._services.settings.read_units_per_minute
        if not self._services.store.spend(self._user_id, now // MINUTE_MS, self._uncharged, limit):
            raise ReadBudgetError(retry_after=ceil((MINUTE_MS - now % MINUTE_MS) / 1000))
        self._uncharged = 0
