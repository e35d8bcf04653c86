"""The storage's time: each response of an engine has it, and a container uses it."""

from __future__ import annotations

from typing import Any

import pytest

from local.dynamodb.engine import DYNAMODB_LOCAL, MINISTACK
from shared.domain.clock import CLOCKS_APART_MS, SharedClock, now_ms
from shared.storage.dynamodb import DynamoDBStore
from tests.contract.fake_client import FakeClient
from tests.engines import TABLE, Engines

ENGINES = [
    pytest.param(MINISTACK, marks=pytest.mark.stack),
    pytest.param(DYNAMODB_LOCAL, marks=[pytest.mark.stack, pytest.mark.dynamodb_local]),
]


@pytest.mark.parametrize("kind", ENGINES)
def test_an_answer_puts_a_wrong_clock_right(engines: Engines, kind: str) -> None:
    """A container that is five minutes ahead of the engine has the right time after its first call."""
    clock = SharedClock(lambda: now_ms() + 300_000)
    DynamoDBStore(engines.ours(kind), TABLE, on_server_date=clock.on_server_date).ping()
    assert abs(clock.now() - now_ms()) < CLOCKS_APART_MS


@pytest.mark.parametrize(
    ("response", "said"),
    [({}, None), ({"ResponseMetadata": {"HTTPHeaders": {"date": "then"}}}, "then")],
)
def test_what_an_answer_says_is_handed_on(response: dict[str, Any], said: str | None) -> None:
    """With the seconds that the call took; None where the response has no time."""
    on_server_date: list[tuple[str | None, float]] = []
    DynamoDBStore(
        FakeClient(response), TABLE, on_server_date=lambda *each: on_server_date.append(each)
    ).ping()
    [(told, seconds)] = on_server_date
    assert told == said
    assert 0 <= seconds < 60
