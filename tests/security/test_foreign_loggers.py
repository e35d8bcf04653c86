"""What libraries log of a request, under a runtime that shows their lines."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from shared.cache.upstash import Upstash, UpstashOptions
from shared.observability.meter import CacheMetrics
from tests.cases import case
from tests.endpoint import TOKEN, opened_endpoint
from tests.functions.refusals import ROUTES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.functions.chat import Chat


class Collected(logging.Handler):
    """Keeps what it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps it."""
        self.records.append(record)


@pytest.fixture
def records() -> Iterator[list[logging.LogRecord]]:
    """What reaches the root logger at INFO, as Lambda's JSON log format sets it: our own lines do not go there."""
    root, handler = logging.getLogger(), Collected()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield handler.records
    root.setLevel(level)
    root.removeHandler(handler)


@pytest.mark.stack
def test_no_library_logs_a_redis_command(tmp_path: Path, records: list[logging.LogRecord]) -> None:
    """A line for each, with the database's address, is what httpx writes by itself."""
    with opened_endpoint(tmp_path) as endpoint:
        upstash = Upstash(UpstashOptions(endpoint.url, TOKEN, 5_000, 5_000), CacheMetrics(), lambda: 0)
        assert upstash.execute("ping", "PING") == "PONG"
        upstash.close()
    assert [each.name for each in records if each.name != "budgie"] == []


def test_no_library_logs_a_request(chat: Chat, records: list[logging.LogRecord]) -> None:
    """A path names members, so a request leaves our own line and no other, granted or refused."""
    for route in ROUTES:
        with case(route):
            channel = chat.channel("grace")
            for user in ("ada", "eve"):
                chat.api(route.method, route.path(channel), user=user, body=route.body)
            assert [(each.name, each.getMessage()) for each in records if each.name != "budgie"] == []
