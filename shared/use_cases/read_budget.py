"""What expensive reads of one user may cost: long lists of channels, and counting the lists of others.

Ordinary requests write nothing for it. More than ``FREE_UNITS`` are taken from the user's budget of the minute,
which is stored, so that it holds for all containers together (``docs/adr/0016``).
"""

from __future__ import annotations

from math import ceil
from typing import Final

from shared.bootstrap import Services
from shared.domain.errors import ReadBudgetError

FREE_UNITS: Final = 250
"""Read units that a request may leave unpaid: a list of some 240 channels, or a page of 100 public ones."""
CHANNELS_PER_UNIT: Final = 25
"""Memberships that one read unit (4 KB) holds, about."""
MINUTE_MS: Final = 60_000


def list_units(channels: int) -> int:
    """Read units of the Query of so many memberships, about."""
    return max(1, ceil(channels / CHANNELS_PER_UNIT))


class ReadBudget:
    """What one request's expensive reads have cost so far.

    Args:
        services: the storage that keeps the budget, the setting, and the time.
        user_id: who pays: the caller.
    """

    def __init__(self, services: Services, user_id: str) -> None:
        self._services = services
        self._user_id = user_id
        self._open = 0

    def spend(self, units: int) -> None:
        """Pays for reads before them, or right after them where only then it is known what they cost.

        Costs 1 write unit each time that more than ``FREE_UNITS`` are open, else nothing.

        Raises:
            ReadBudgetError: the minute's budget is used up.
        """
        self._open += units
        if self._open <= FREE_UNITS:
            return
        now, limit = self._services.now(), self._services.settings.read_units_per_minute
        if not self._services.store.spend(self._user_id, now // MINUTE_MS, self._open, limit):
            raise ReadBudgetError(retry_after=ceil((MINUTE_MS - now % MINUTE_MS) / 1000))
        self._open = 0
