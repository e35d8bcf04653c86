"""Shortcuts for tests of erasure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from operators.erase_user import Erased, Eraser
from tests.functions.chat import Chat, messages

if TYPE_CHECKING:
    from shared.storage.memory import MemoryStore
    from shared.storage.protocol import Store
    from tests.api import Response
    from tests.conftest import FakeClock

STAND_IN: Final = 300.0
SECRET: Final = "the secret of eve"


def eraser(store: object, clock: FakeClock) -> Eraser:
    """The tool over a store."""
    return Eraser(cast("Store", store), clock.sleep, clock.now, STAND_IN)


def erase(chat: Chat, user: str = "eve") -> Erased:
    """Erases a user."""
    return eraser(chat.api.services.store, cast("FakeClock", chat.clock)).erase(user)


def fetch(chat: Chat, channel: str, **headers: str) -> Response:
    """The response to ada when she fetches messages."""
    return chat.api("GET", messages(channel), headers=headers)


def everything_of(store: MemoryStore) -> str:
    """All that the storage has, as text."""
    return repr(store.contents())
