"""What the health check says while one dependency after the other goes down, and what still works then."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import pytest

from local.demo.client import Client, Response
from local.dynamodb.engine import MINISTACK, start_engine
from local.processes import Processes
from tests.e2e.running import running_stack

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.stack

LONGEST: Final = 10.0
"""Seconds within which there is an answer, whatever is down: Lambda gives a function no more."""


class Clocked:
    """A client that checks that every response comes in time."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __call__(self, method: str, path: str, user: str | None = None, **rest: Any) -> Response:
        """The response, within the time that a function has."""
        began = time.monotonic()
        response = self._client.call(method, path, user, **rest)
        assert time.monotonic() - began < LONGEST
        return response


def _states(health: Response) -> tuple[int, str, str, str]:
    said = health.json
    return (
        health.status,
        said["status"],
        said["checks"]["dynamodb"]["status"],
        said["checks"]["redis"]["status"],
    )


def test_health_tells_which_dependency_is_down(tmp_path: Path) -> None:
    """Without Redis chat goes on; without DynamoDB every request is a 503 that says when to come back."""
    with (
        # An engine of the test's: one of the stack's own would be started again.
        Processes(tmp_path / "engine") as processes,
        running_stack(
            tmp_path, DYNAMODB_ENDPOINT_URL=start_engine(MINISTACK, tmp_path / "engine", processes)
        ) as stack,
        stack.client() as client,
    ):
        call = Clocked(client)
        assert _states(call("GET", "/v1/healthz?deep=1")) == (200, "ok", "ok", "ok")
        made = call("POST", "/v1/channels", "ada", body={"kind": "private", "name": "crew"})
        messages = f"/v1/channels/{made.json['id']}/messages"

        with Client(stack.upstash_url, lambda _: stack.upstash_token) as upstash:
            refusal = {"kind": "refuse", "seconds": 600}
            assert upstash.call("POST", "/-/faults", "control", body=refusal).status == 200
        time.sleep(0.5)  # the endpoint answers the request first
        assert _states(call("GET", "/v1/healthz?deep=1")) == (200, "degraded", "ok", "down")
        assert call("POST", messages, "ada", body={"text": "still here"}).status == 201
        page = call("GET", messages, "ada")
        assert [each["text"] for each in page.json["messages"]] == ["still here"]

        processes.close()
        assert _states(call("GET", "/v1/healthz?deep=1")) == (503, "down", "down", "down")
        for response in (
            call("POST", messages, "ada", body={"text": "anybody?"}, headers={"Idempotency-Key": "a"}),
            call("POST", "/v1/channels", "ada", body={"kind": "private", "name": "raft"}),
            call("GET", "/v1/channels", "ada"),
            call("GET", f"{messages}?after=0", "grace"),
        ):
            assert response.headers["content-type"] == "application/problem+json"
            assert int(response.headers["retry-after"]) >= 1
            problem = response.json
            assert (problem["status"], problem["code"], problem["retryable"]) == (
                503,
                "store_unavailable",
                True,
            )
            assert response.status == 503
        # The function itself works: the shallow check calls nothing.
        assert call("GET", "/v1/healthz").status == 200
