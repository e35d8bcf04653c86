"""What tests of the shared modules may use."""

from __future__ import annotations

import pytest

from shared.bootstrap import Services
from shared.domain.model import Kind
from tests.conftest import FakeClock
from tests.contract.samples import open_channel
from tests.shared.storage.holes import World
from tests.shared.use_cases.posting import Chat
from tests.shared.use_cases.scripted_store import ScriptedStore


@pytest.fixture
def store() -> ScriptedStore:
    """An empty storage in memory, whose log a test may step into."""
    return ScriptedStore()


@pytest.fixture
def chat(store: ScriptedStore, clock: FakeClock, services: Services) -> Chat:
    """A public channel of Ada, Eve and Joe."""
    return Chat(store, clock, services, open_channel(store, "ada", "eve", "joe", kind=Kind.PUBLIC))


@pytest.fixture
def world(store: ScriptedStore, clock: FakeClock) -> World:
    """A fresh channel."""
    return World(store, clock, open_channel(store, "ada", "eve"))
