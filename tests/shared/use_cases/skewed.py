"""Containers whose clocks are wrong, over one storage whose clock is right."""

from __future__ import annotations

from dataclasses import dataclass, field
from email.utils import formatdate
from functools import partial
from typing import Any, cast

from shared.bootstrap import Services, compose
from shared.domain.clock import SharedClock
from shared.domain.messages import Draft
from shared.settings import Settings
from shared.storage.protocol import Store
from shared.use_cases.post_message import Posted, post_message
from tests.conftest import FakeClock
from tests.contract.samples import open_channel
from tests.shared.use_cases.scripted_store import ScriptedStore

USERS = ("ada", "eve")


class DatedStore:
    """A storage whose every response has the time in whole seconds, as DynamoDB's do."""

    def __init__(self, store: Store, right: FakeClock, clock: SharedClock) -> None:
        self._store = store
        self._right = right
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        return partial(self._call, name)

    def _call(self, name: str, *arguments: Any, **named: Any) -> Any:
        begun = self._right.ms
        result = getattr(self._store, name)(*arguments, **named)
        self._clock.on_server_date(
            formatdate(self._right.ms // 1000, usegmt=True), (self._right.ms - begun) / 1000
        )
        return result


@dataclass
class Skewed:
    """One container for each skew (ms), a channel of Ada's and Eve's; ``right`` is the true time."""

    skews: list[int]
    settings: Settings = field(default_factory=Settings)
    right: FakeClock = field(default_factory=FakeClock)
    store: ScriptedStore = field(default_factory=ScriptedStore)

    def __post_init__(self) -> None:
        self.channel = open_channel(self.store, *USERS)
        self.containers = [self._container(skew) for skew in self.skews]

    def post(self, container: int, text: str = "hello", key: str | None = None, user: str = "eve") -> Posted:
        """A post that one of the containers serves."""
        return post_message(self.containers[container], user, self.channel, [Draft(text)], key)

    def _container(self, skew: int) -> Services:
        def own() -> int:
            return self.right.ms + skew

        clock = SharedClock(own)
        store = cast("Store", DatedStore(self.store, self.right, clock))
        return compose(self.settings, store, clock.now, self.right.sleep, own)
