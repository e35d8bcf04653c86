"""What tests of the HTTP side may use."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from tests.functions.chat import Chat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.api import Api
    from tests.functions.chat import Clock

Lines = list[dict[str, Any]]


@pytest.fixture
def chat(api: Api, clock: Clock) -> Chat:
    """Users of the API."""
    return Chat(api, clock)


@pytest.fixture
def log(api: Api) -> Iterator[Callable[[], Lines]]:
    """The log's lines since the test began, as CloudWatch would get them."""
    api("GET", "/v1/healthz")  # the log is made with its first line
    budgie, stream = logging.getLogger("budgie"), io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(budgie.handlers[0].formatter)
    level = budgie.level
    budgie.setLevel(logging.INFO)
    budgie.addHandler(handler)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    budgie.removeHandler(handler)
    budgie.setLevel(level)
