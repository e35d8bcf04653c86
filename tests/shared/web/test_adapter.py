"""From an event to the app and back."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import Response

from shared.observability.meter import Meter, meter
from shared.web.app import create_app, create_handler
from shared.web.responses import json_response
from tests.api import event

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.web.adapter import Handler


def handler_of(endpoint: Callable[[], Any]) -> Handler:
    """A function with one route."""
    app = create_app("test")
    app.add_api_route("/v1/healthz", endpoint, response_model=None)
    return create_handler(app)


def answered(handler: Handler) -> tuple[int, Any]:
    """Status and JSON."""
    given = handler(event("GET", "/v1/healthz"), None)  # type: ignore[arg-type]  # no context is looked at
    return given["statusCode"], json.loads(given["body"])


@pytest.mark.parametrize("seconds", [0, 0.01])
def test_a_route_that_waits_for_an_event_loop_is_a_crash(
    seconds: float, log: Callable[[], list[dict[str, Any]]]
) -> None:
    """There is none: the response is a 500, the log says why, and the next request is served."""

    async def waiting() -> Response:
        await asyncio.sleep(seconds)
        return json_response({})

    handler = handler_of(waiting)
    for _ in range(2):
        status, problem = answered(handler)
        assert (status, problem["code"]) == (500, "internal_error")
    crash, request = log()[-2:]
    assert (crash["message"], crash["error"]) == ("crash", "RuntimeError")
    assert any("waiting" in frame for frame in crash["frames"])
    assert (request["message"], request["status"]) == ("request", 500)


def test_a_request_leaves_nothing_in_its_callers_context() -> None:
    """Its meter is the request's own: neither the caller nor the next request is charged."""
    seen: list[Meter] = []

    async def charging() -> Response:
        seen.append(meter())
        meter().charge(read=1.0)
        return json_response({})

    handler = handler_of(charging)
    outside = meter()
    charged = outside.read_units
    assert answered(handler)[0] == answered(handler)[0] == 200
    assert [each.read_units for each in seen] == [1.0, 1.0]
    assert meter().read_units == outside.read_units == charged


@pytest.mark.parametrize(("sends", "status"), [(True, 201), (False, 500)])
def test_an_answer_is_not_lost_to_what_fails_after_it(
    log: Callable[[], list[dict[str, Any]]], *, sends: bool, status: int
) -> None:
    """Such as that of a post, whose line could not be made; the failure is a line of its own, without its text."""

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        scope["state"] = {"request_id": "request-1"}
        if sends:
            await send({"type": "http.response.start", "status": 201, "headers": []})
            await send({"type": "http.response.body", "body": b"{"})
            await send({"type": "http.response.body", "body": b"}"})
        raise OSError("canary")

    handler = handler_of(lambda: None)
    handler.app = app  # type: ignore[assignment]  # any ASGI app
    given = handler(event("GET", "/v1/healthz"), None)  # type: ignore[arg-type]  # as above
    assert (given["statusCode"], given["body"]) == (status, "{}" if sends else "")
    assert (log()[-1]["error"], log()[-1]["request_id"]) == ("OSError", "request-1")
    assert "canary" not in str(log())
