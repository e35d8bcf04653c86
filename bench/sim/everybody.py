"""The simulated clients all together: where something is erased, and when all is quiet."""

from __future__ import annotations

from functools import partial
from typing import Final

from bench.sim.clients import Clients, last_seq, tier
from bench.sim.ledger import Asked
from bench.sim.requests import Request
from shared.services import Services
from shared.use_cases.fetch_messages import Page, Window

AGAIN: Final = 40
"""Pages that are asked for again."""
READERS: Final = 3
POSTS: Final = 0.3
"""Who comes together where something is erased, and how often one of them posts."""


class Everybody(Clients):
    """See ``Clients``."""

    def gather(self, channel_id: str) -> None:
        """Several people read a channel, and somebody posts, just when something of it is erased."""
        for request in [self.fetch] * READERS + [self.post] * self._world.chance(POSTS):
            user_id = self.somebody(channel_id)
            work = partial(request, user_id, channel_id)
            self._world.loop.spawn(work, self._rng.uniform(0, 30))

    def last_words(self, user_id: str) -> None:
        """Somebody posts to every channel, so that the lists show what they wrote."""
        for channel_id in self._world.channels:
            self.post(user_id, channel_id)

    def read_again(self) -> None:
        """Some of the pages that people have are asked for again, and everybody's channels."""
        for user_id in self._world.users:
            self.list(user_id, self._world.channels[0])
        kept = list(self._kept)
        for key in self._rng.sample(kept, min(AGAIN, len(kept))):
            self.ask(*key)

    def read_everything(self) -> None:
        """Everybody lists their channels and reads every log from its begin."""
        for user_id in self._world.users:
            self.list(user_id, self._world.channels[0])
            for channel_id in self._world.channels:
                self._read_on(user_id, channel_id, 0)

    def _read_on(self, user_id: str, channel_id: str, after: int) -> None:
        window = Window(100, after=after)

        def check(asked: Asked, page: Page) -> str:
            self._world.judge.page(asked, window, page, None)
            last = last_seq(page.body or b"")
            if last > after:
                self._read_on(user_id, channel_id, last)
            return tier()

        def call(services: Services) -> object:
            return self._world.code.fetch(services, user_id, channel_id, window, frozenset())

        self.send(Request("page", user_id, channel_id, call, check, position=after))
