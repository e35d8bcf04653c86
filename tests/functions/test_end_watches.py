"""What ends a right to a channel ends the watches of it, before that is acknowledged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from shared.bootstrap import compose
from shared.domain.errors import StoreUnavailableError
from shared.domain.realtime import Connection, Watch
from shared.settings import Settings
from shared.storage.memory import MemoryStore
from shared.storage.protocol import Committed
from tests.api import Api
from tests.functions.chat import Chat

if TYPE_CHECKING:
    from tests.conftest import FakeClock

CHANNEL: Final = "/v1/channels/{}"
REQUESTS: Final = [
    ("DELETE", f"{CHANNEL}/members/me", "eve", None, {"ada"}),
    ("DELETE", f"{CHANNEL}/members/eve", "ada", None, {"ada"}),
    ("PUT", f"{CHANNEL}/bans/eve", "ada", None, {"ada"}),
    ("DELETE", CHANNEL, "ada", None, set()),
    ("PUT", f"{CHANNEL}/archived", "ada", {"archived": True}, set()),
]
"""Method, path, caller, body, and whose watches are left."""


@dataclass
class Dying(MemoryStore):
    """A store under which a request dies as it is about to end watches."""

    dies: bool = False

    def end_watches(self, channel_id: str, user_id: str | None = None) -> None:
        """Fails the first time."""
        if self.dies:
            self.dies = False
            raise StoreUnavailableError(retry_after=1)
        super().end_watches(channel_id, user_id)


def watching(store: MemoryStore, channel: str, *users: str) -> None:
    """Each user watches the channel by a connection of their own."""
    for each in users:
        connection = Connection(f"{channel}-{each}", each, 0, 2**40)
        store.open_connection(connection)
        watch = Watch(channel, each, connection.connection_id, connection.expires)
        assert store.watch(connection, [watch], 1) == Committed()


@pytest.mark.parametrize(("method", "path", "user", "body", "left"), REQUESTS)
def test_watches_end_with_the_right(
    clock: FakeClock, method: str, path: str, user: str, body: object, left: set[str]
) -> None:
    """Also if a request died in between, and is repeated; without realtime nobody looks for watches."""
    for url, dies in (("wss://example.com/v1", False), ("wss://example.com/v1", True), ("", True)):
        store = Dying()
        services = compose(Settings(realtime_url=url), store, clock.now, clock.sleep)
        chat = Chat(Api(services), clock)
        channel = chat.channel("eve")
        watching(store, channel, "ada", "eve")
        store.dies = dies
        first = chat.api(method, path.format(channel), user=user, body=body)
        assert (first.status == 503) is (dies and url != "")
        if dies and url:
            assert {each.user_id for each in store.watches(channel, 0)} == {"ada", "eve"}
            again = chat.api(method, path.format(channel), user=user, body=body)
            assert again.status in {200, 204}
        assert {each.user_id for each in store.watches(channel, 0)} == (left if url else {"ada", "eve"})
