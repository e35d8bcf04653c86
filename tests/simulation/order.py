"""The simulated clients keep order: they ban, join, block and unblock while everything else goes on."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from shared.bootstrap import Services
from shared.domain.model import Kind
from shared.use_cases.block_users import block_user, unblock_user
from shared.use_cases.manage_members import put_member
from shared.use_cases.moderate_channels import ban_user, unban_user
from tests.simulation.requests import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.clients import Clients
    from tests.simulation.world import World

OFTEN: Final = 0.1
"""How many of a world's requests keep order, where some do."""
RACES: Final = 0.7
"""How often a block meets a message in the same channel."""
JOINS: Final = 2
"""Joins that each ban meets."""
SOON_MS: Final = 25.0


class Order:
    """Bans and blocks.

    Args:
        world: they happen in.
        clients: who send the requests.
        owner: who bans.
    """

    def __init__(self, world: World, clients: Clients, owner: str) -> None:
        self._world = world
        self._rng = world.rng
        self._clients = clients
        self._owner = owner

    def keep(self) -> None:
        """One request of any kind."""
        self._rng.choice((self.ban, self.block))()

    def ban(self) -> None:
        """The owner bans a user or lifts a ban, and the user joins or is added."""
        channel_id = self._rng.choice([each for each in self._world.channels if each != self._world.direct])
        user_id = self._rng.choice([user for user in self._world.users if user != self._owner])
        is_banned = (channel_id, user_id) in self._world.ledger.bans
        act = partial(unban_user if is_banned else _ban, channel_id=channel_id, target_id=user_id)
        kind = "unban" if is_banned else "ban"
        self._send(kind, self._owner, channel_id, act)
        head = self._world.truth.head(channel_id)
        actor = user_id if head and head.kind is Kind.PUBLIC else self._owner
        join = partial(put_member, channel_id=channel_id, target_id=user_id, role=None)
        for _ in range(JOINS):
            self._soon(partial(self._send, "join", actor, channel_id, join))

    def block(self) -> None:
        """One of the pair blocks the other or lifts that, and one of them writes."""
        user_id, other_id = self._rng.sample(self._world.pair, 2)
        channel_id = self._world.direct
        is_blocked = (user_id, other_id) in self._world.ledger.blocks
        act = unblock_user if is_blocked else block_user
        kind = "unblock" if is_blocked else "block"
        self._send(kind, user_id, channel_id, partial(act, other_id=other_id))
        for way in (self._clients.post, self._clients.post, self._clients.changing.change):
            if self._world.chance(RACES):
                self._soon(partial(way, self._rng.choice(self._world.pair), channel_id))

    def _soon(self, work: Callable[[], None]) -> None:
        self._world.loop.spawn(work, self._rng.uniform(0, SOON_MS))

    def _send(self, kind: str, user_id: str, channel_id: str, act: Callable[[Services, str], object]) -> None:
        def call(services: Services) -> object:
            return act(services, user_id)

        self._clients.send(Request(kind, user_id, channel_id, call, lambda *_: "done"))


def _ban(services: Services, user_id: str, channel_id: str, target_id: str) -> object:
    return ban_user(services, user_id, channel_id, target_id, "")
