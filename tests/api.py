"""The functions as API Gateway calls them: an event in, a response out, in process."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI

from functions.change_messages.handler import app as change_messages
from functions.check_health.handler import app as check_health
from functions.fetch_messages.handler import app as fetch_messages
from functions.issue_ticket.handler import app as issue_ticket
from functions.list_channels.handler import app as list_channels
from functions.manage_channels.handler import app as manage_channels
from functions.mark_read.handler import app as mark_read
from functions.post_message.handler import app as post_message
from local.gateway.routing import Routes
from local.template.load import WHOLE, load
from shared.bootstrap import Services
from shared.settings import Settings
from shared.web.app import create_handler, current_services
from shared.web.middleware import RequestMiddleware
from tests.decoding import decoded

ROUTES = Routes(
    replace(route, method="ANY")
    for route in load(Path(__file__).resolve().parents[1] / "template.yaml", WHOLE).routes
)
SETTINGS = Settings(realtime_url="wss://realtime.example.com/v1")
"""The defaults, with realtime on."""
APPS = (
    change_messages,
    check_health,
    fetch_messages,
    issue_ticket,
    list_channels,
    manage_channels,
    mark_read,
    post_message,
)


@dataclass(frozen=True)
class Response:
    """What the client gets."""

    status: int
    headers: dict[str, str]
    body: str

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """A problem's code."""
        return str(self.json["code"])


def chosen(path: str) -> tuple[str, dict[str, str]]:
    """The route's path for a path with any method, and its parameters; the path itself where there is no route."""
    matched = ROUTES.match("ANY", path)
    return (matched[0].path, matched[1]) if matched else (path, {})


def event(
    method: str,
    path: str,
    *,
    user: str | None = "ada",
    body: Any = None,
    query: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
    claims: dict[str, Any] | None = None,
    stage: str = "$default",
) -> dict[str, Any]:
    """An HTTP API event, payload format 2.0; a body that is no string is sent as JSON.

    The path is percent-encoded: a slash or a question mark stands in a parameter only so. A stage stands before it.
    """
    template, parameters = chosen(path)
    sent = path if stage == "$default" else f"/{stage}{path}"
    raw_query = urlencode(query or {}, doseq=True)
    text = body if isinstance(body, str) or body is None else json.dumps(body)
    made: dict[str, Any] = {
        "version": "2.0",
        "routeKey": f"{method} {template}",
        "rawPath": sent,
        "pathParameters": parameters,
        "rawQueryString": raw_query,
        "headers": {"host": "api.example.com", "content-type": "application/json"} | (headers or {}),
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api",
            "domainName": "api.example.com",
            "http": {
                "method": method,
                "path": sent,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "test",
            },
            "requestId": "request-1",
            "stage": stage,
            "time": "23/Nov/2026:18:44:24 +0000",
            "timeEpoch": 1795459464000,
        },
        "isBase64Encoded": False,
    }
    if not parameters:
        del made["pathParameters"]  # As API Gateway does.
    if text is not None:
        made["body"] = text
    if user is not None or claims is not None:
        claims = (
            {"sub": user, "iss": "https://issuer.example.com", "aud": "budgie"} if claims is None else claims
        )
        made["requestContext"]["authorizer"] = {"jwt": {"claims": claims, "scopes": None}}
    return made


class Api:
    """All functions over the same services. A padded 404 is returned at once; ``levelled`` records its padding."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.levelled: list[float] = []
        """Seconds that such answers should have waited."""
        self._handlers = {app: create_handler(app) for app in APPS}

    def __call__(self, method: str, path: str, **rest: Any) -> Response:
        """A call as ``event`` describes it."""
        return self.invoke(event(method, path, **rest))

    def invoke(self, made: dict[str, Any]) -> Response:
        """The response of the function that serves the event's route."""
        return response_of(self.raw(made))

    def raw(self, made: dict[str, Any]) -> dict[str, Any]:
        """What that function gives to Lambda."""
        context = made["requestContext"]
        path = context["http"]["path"].removeprefix(f"/{context['stage']}")
        return self.result(app_of(context["http"]["method"], path), made)

    def result(self, app: FastAPI, made: Any) -> dict[str, Any]:
        """What a function returns for any event."""
        app.dependency_overrides[current_services] = self._current
        assert isinstance(app.middleware_stack, RequestMiddleware)
        app.middleware_stack.sleep = self.levelled.append
        return self._handlers[app](made, None)  # type: ignore[arg-type]  # no function of ours looks at the context

    async def _current(self) -> Services:
        return self.services


def response_of(result: dict[str, Any]) -> Response:
    """What the client makes of a function's result."""
    body = result.get("body") or ""
    if result.get("isBase64Encoded"):
        raw = base64.b64decode(body, validate=True)
        body = decoded(raw, result["headers"].get("content-encoding")).decode()
    return Response(result["statusCode"], result["headers"], body)


def app_of(method: str, path: str) -> FastAPI:
    """The function that serves a route, as the template says it."""
    parts = path.strip("/").split("/")[1:]
    if parts in (["healthz"], ["realtime", "tickets"]):
        return check_health if parts == ["healthz"] else issue_ticket
    if parts in (["mentions"], ["threads"]) or (parts == ["channels"] and method == "GET"):
        return list_channels
    if parts[2:] in (["read"], ["muted"]) or parts[4:5] == ["thread"]:
        return mark_read
    if len(parts) >= 3 and parts[2] in {"messages", "changes", "pins"} and parts[-1] != "reports":
        if method in {"PUT", "PATCH", "DELETE"} and len(parts) > 3:
            return change_messages
        return post_message if method == "POST" else fetch_messages
    return manage_channels
