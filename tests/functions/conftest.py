"""What tests of the functions may use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.functions.chat import Chat
from tests.realtime.connections import Connections

if TYPE_CHECKING:
    from tests.api import Api
    from tests.functions.chat import Clock


@pytest.fixture
def chat(api: Api, clock: Clock) -> Chat:
    """Users of the API."""
    return Chat(api, clock)


@pytest.fixture
def connections(api: Api) -> Connections:
    """Connections of users of the API."""
    return Connections(api)
