"""Planted bugs around bundles: each would leave erased text in Redis for as long as containers come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.cache.bundle import Bundle
from shared.cache.redis import RedisTier
from shared.cache.values import Kept

if TYPE_CHECKING:
    from collections.abc import Mapping


class _ForgetsNothing(Bundle):
    def _is_in_use(self, kept: Kept) -> bool:  # noqa: ARG002 - the bug
        return True


class _TakesCarryingForUse(Bundle):
    def take_over(self, stored: Mapping[str, Kept]) -> None:
        super().take_over({key: Kept(each.value, self._seconds()) for key, each in stored.items()})


class _BelievesTimes(Bundle):
    def take_over(self, stored: Mapping[str, Kept]) -> None:
        super().take_over(stored)
        for key in self._values.keys() & stored.keys():
            self._values[key] = Kept(self._values[key].value, stored[key].used)


class _Planted(RedisTier):
    bundle = Bundle

    def __init__(self, *arguments: Any) -> None:  # noqa: ANN401 - the tier's
        super().__init__(*arguments)
        policy = self._policy
        self._bundle = self.bundle(policy.max_bytes, policy.unused_seconds, self._now)


class CarriesForEver(_Planted):
    """Writes whatever it has ever learned or found."""

    bundle = _ForgetsNothing


class TakesCarryingForUse(_Planted):
    """Lets what each container only carries count as used."""

    bundle = _TakesCarryingForUse


class BelievesTimes(_Planted):
    """Believes in uses that are yet to come."""

    bundle = _BelievesTimes
