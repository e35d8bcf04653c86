"""One channel and its posts, for the tests of posting."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from shared.bootstrap import Services
from shared.domain.messages import Draft
from shared.domain.model import Entry, Head, Membership, Role
from shared.settings import Settings
from shared.use_cases.post_message import Posted, post_message
from tests.conftest import FakeClock
from tests.contract.samples import head_of, membership_of
from tests.shared.use_cases.scripted_store import ScriptedStore


@dataclass
class Chat:
    """Ada owns the channel, Eve and Joe are members."""

    store: ScriptedStore
    clock: FakeClock
    services: Services
    channel: str

    def post(self, *texts: str, key: str | None = None, user: str = "eve") -> Posted:
        """Posts as eve or as a given user."""
        return post_message(self.services, user, self.channel, [Draft(text) for text in texts], key)

    def log(self) -> list[str | None]:
        """The texts from position 1 to the last, None for a void; there is no hole."""
        head = self.head()
        entries = self.store.entries(self.channel, 1, head.seq)
        assert [each.seq for each in entries] == list(range(1, head.seq + 1))
        return [text_of(each) for each in entries]

    def head(self) -> Head:
        """As it is now."""
        return head_of(self.store, self.channel)

    def membership(self, user: str = "eve") -> Membership:
        """As it is now."""
        return membership_of(self.store, self.channel, user)

    def shown(self) -> str | None:
        """The text that the list of channels shows."""
        last = self.head().last
        return last.text if last else None

    def settle_first(self) -> None:
        """A reader voids the first position that was given out and holds nothing yet."""
        standing = {each.seq for each in self.store.entries(self.channel, 1, self.head().seq)}
        self.settle(next(seq for seq in range(1, self.head().seq + 1) if seq not in standing))

    def settle(self, seq: int) -> None:
        """A reader voids a position."""
        self.store.void(self.channel, [Entry(seq, seq, self.clock.now(), None)])

    def remove(self, user: str = "eve") -> None:
        """The user is removed."""
        assert self.store.remove_member(self.membership(user))

    def limit(self, *, per_second: float = 5, burst: int) -> None:
        """Another rate from now on."""
        self.services = replace(
            self.services, settings=Settings(rate_per_second=per_second, rate_burst=burst)
        )

    def slow_down(self, seconds: int) -> None:
        """Slow mode."""
        assert self.store.update_channel(self.channel, {"slow_mode": seconds}, None)

    def promote(self, user: str, role: Role) -> None:
        """Another role."""
        assert self.store.change_role(self.membership(user), role)


def text_of(entry: Entry) -> str | None:
    """A message's text, None for a void."""
    return None if entry.body is None else str(json.loads(entry.body)["text"])


def messages(posted: Posted) -> list[Any]:
    """What the sender is told."""
    return [json.loads(body) for body in posted.bodies]


def texts(posted: Posted) -> list[str]:
    """The texts of it."""
    return [each["text"] for each in messages(posted)]
