"""Fixtures for tests of the operators' tools."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.functions.chat import Chat
from tests.operators.erasing import SECRET
from tests.shared.use_cases.scripted_store import ScriptedStore

if TYPE_CHECKING:
    from tests.api import Api
    from tests.conftest import FakeClock


@pytest.fixture
def chat(api: Api, clock: FakeClock) -> Chat:
    """Users of the API."""
    return Chat(api, clock)


@pytest.fixture
def store() -> ScriptedStore:
    """A store in memory that a test can intercept."""
    return ScriptedStore()


@pytest.fixture
def channel(chat: Chat) -> str:
    """A private channel of ada's with eve and joe, in which eve posted first and last."""
    channel = chat.channel("eve", "joe", kind="private")
    chat.post(channel, f"{SECRET} 1", "eve")
    chat.post(channel, "hello", "ada")
    chat.post(channel, f"{SECRET} 2", "eve")
    return channel
