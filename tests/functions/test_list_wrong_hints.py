"""Listing channels where an index or the cache is wrong about them: both are only hints."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared.bootstrap import compose
from shared.cache.blocks import ChannelList, channels_key
from shared.settings import Settings
from shared.storage.memory import MemoryStore
from shared.use_cases.list_channels import MAX_HINTED
from tests.api import Api
from tests.functions.chat import Chat

if TYPE_CHECKING:
    from collections.abc import Iterable

    from shared.domain.model import Head
    from tests.conftest import FakeClock


@dataclass
class Renaming(MemoryStore):
    """The index still has each channel under its old name, and already under the new one."""

    def public_channels(self, limit: int, after: tuple[str, str] | None) -> list[tuple[str, str]]:
        """Each twice."""
        return [each for each in super().public_channels(limit, after) for _ in range(2)]


def test_a_public_channel_is_listed_once_while_it_is_renamed(clock: FakeClock) -> None:
    """Whatever the lagging index says."""
    chat = Chat(Api(compose(Settings(), Renaming(), clock.now, clock.sleep)), clock)
    channel = chat.channel()
    assert [each["id"] for each in chat.listing("grace", scope="public")["channels"]] == [channel]


@dataclass
class Counting(MemoryStore):
    """How many heads each call asks for."""

    asked: list[int] = field(default_factory=list)

    def heads(self, channel_ids: Iterable[str]) -> dict[str, Head]:
        """Noted."""
        wanted = list(channel_ids)
        self.asked.append(len(wanted))
        return super().heads(wanted)


def test_a_wrong_hint_costs_little(clock: FakeClock) -> None:
    """A list reads no more than two hundred channels because the shared cache names them."""
    store = Counting()
    services = compose(Settings(), store, clock.now, clock.sleep)
    chat = Chat(Api(services), clock)
    channel = chat.channel()
    for hinted, first in ((MAX_HINTED, MAX_HINTED + 1), (MAX_HINTED + 1, 1), (100_000, 1)):
        hint = ChannelList(tuple(f"{n:016}" for n in range(hinted)))
        services.memory.put({channels_key("ada"): hint})
        for asked in (first, 1):
            store.asked.clear()
            assert [each["id"] for each in chat.listing()["channels"]] == [channel]
            assert sum(store.asked) == asked
