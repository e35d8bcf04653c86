"""Requests that one process serves at the same time share nothing that belongs to one request."""

from __future__ import annotations

import json
import logging
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final

from local.gateway.invoke import Workers
from shared.observability.telemetry import user_hash
from tests.api import event
from tests.functions.chat import messages
from tests.security.containers import Deployment
from tests.security.leaks import captured, in_answers
from tests.security.tenants import TENANTS, Request, Sent, Tenant, seeded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from tests.conftest import FakeClock

REQUESTS: Final = 600
THREADS: Final = 8


@contextmanager
def hasty_threads() -> Iterator[None]:
    """Threads give way to each other as often as can be."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


def read_by(tenants: list[Tenant], number: int, draw: Random) -> tuple[Tenant, str, Request]:
    """A user who reads in one of their channels, with a request id of their own."""
    tenant = draw.choice(tenants)
    channel, headers = draw.choice(tenant.channels), {"x-request-id": f"request-{number}"}
    request = {
        "method": "GET",
        "path": messages(channel),
        "user": draw.choice(tenant.users),
        "headers": headers,
    }
    return tenant, channel, request


def test_requests_at_the_same_time_share_nothing(clock: FakeClock) -> None:
    """In threads of one process each response, log line and meter belongs to its own request."""
    container, draw = Deployment(clock).start(), seeded(3)
    tenants = [make() for make in TENANTS]
    for tenant in tenants:
        tenant.settle_in(container.chat)
        for channel in tenant.channels:
            container.chat.post(channel, tenant.canary("text"), tenant.users[0])
    requests, api = [read_by(tenants, number, draw) for number in range(REQUESTS)], container.chat.api
    with (
        captured(logging.INFO) as log,
        hasty_threads(),
        closing(Workers()) as workers,
        ThreadPoolExecutor(THREADS) as pool,
    ):
        responses = list(
            pool.map(lambda each: workers.run(lambda: api.invoke(event(**each[2])), 30), requests)
        )
    written = [json.loads(line) for line in log.getvalue().splitlines() if line.startswith('{"level"')]
    lines = {line["request_id"]: line for line in written}
    assert len(lines) == len(written) == REQUESTS
    for (tenant, channel, request), response in zip(requests, responses, strict=True):
        name = request["headers"]["x-request-id"]
        assert (response.status, response.headers["x-request-id"]) == (200, name)
        assert response.json["channel_id"] == lines[name]["channel"] == channel
        assert tenant.marker in response.body
        assert lines[name]["user"] == user_hash(request["user"])
        assert lines[name]["read_units"] == 2
        assert re.search(r"read=2 write=0 ", response.headers["server-timing"])
    sent = [
        Sent(tenant, request, response)
        for (tenant, _, request), response in zip(requests, responses, strict=True)
    ]
    assert in_answers(sent, tenants) == []
