"""Functions called as Lambda calls them: with the events that API Gateway would make, one at a time."""

from __future__ import annotations

import base64
import io
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI

from local.gateway import events, wire
from local.gateway.routing import Routes
from local.template import load as template
from local.tokens import AUDIENCE, ISSUER
from shared.bootstrap import Services
from shared.observability.telemetry import logger
from shared.web.app import create_handler, current_services

ROOT: Final = Path(__file__).resolve().parents[2]
TRACE: Final = "Root=1-6b04a7a8-000000000000000000000000"
REQUEST_ID: Final = "JKJaXmPLvHcESHA="
Event = dict[str, Any]
Handler = Callable[[Event, Any], dict[str, Any]]


@dataclass(frozen=True)
class Ask:
    """A request: the target is path and query."""

    method: str
    target: str
    user: str
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """A function's answer as it goes out, its body decoded from base64; and the log lines that it left."""

    status: int
    headers: dict[str, str]
    body: bytes
    log: str = ""

    @classmethod
    def of(cls, result: Mapping[str, Any], log: str = "") -> Reply:
        """Of what a handler returned."""
        body = result.get("body") or ""
        raw = base64.b64decode(body) if result.get("isBase64Encoded") else body.encode()
        return cls(result["statusCode"], dict(result.get("headers") or {}), raw, log)

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON
        """The body of an answer that is not compressed."""
        return json.loads(self.body)

    @property
    def head_bytes(self) -> int:
        """Bytes of the headers, each with colon, blank and line end."""
        return sum(len(name) + len(value) + 4 for name, value in self.headers.items())

    @property
    def units(self) -> dict[str, float]:
        """What ``Server-Timing`` says of the cost: ``read`` and ``write`` units, Redis ``commands``."""
        parts = self.headers["server-timing"].replace('"', " ").split()
        return {
            name: float(value) for name, _, value in (part.partition("=") for part in parts) if name in _UNITS
        }


_UNITS: Final = frozenset({"read", "write", "commands"})


@cache
def _routes() -> tuple[Routes, tuple[template.Route, ...]]:
    found = template.load(ROOT / "template.yaml").routes
    return Routes(found), found


def routed(ask: Ask) -> tuple[str, Event]:
    """The function that a request goes to, and its event."""
    body = b"" if ask.body is None else json.dumps(ask.body).encode()
    headers = {"host": "api.example.com", "user-agent": "bench", "x-amzn-trace-id": TRACE, **ask.headers}
    if body:
        headers["content-type"] = "application/json"
    request = wire.Request(ask.method, ask.target, headers=tuple(headers.items()), body=body)
    found = _routes()[0].match(ask.method, request.path)
    assert found, ask
    claims = {"sub": ask.user, "iss": ISSUER, "aud": AUDIENCE}
    return found[0].function, events.build(request, *found, request_id=REQUEST_ID, claims=claims, port=443)


def event(ask: Ask) -> Event:
    """A request's event."""
    return routed(ask)[1]


def handler_of(
    app: FastAPI, current: Callable[[], Any], needs: Callable[..., Any] = current_services
) -> Handler:
    """An app's handler as it is deployed, over what ``current`` gives for each request."""

    async def given() -> object:
        return current()

    app.dependency_overrides[needs] = given
    return create_handler(app)


class Handlers:
    """All functions of the template over the same services, which may be exchanged between two calls.

    Args:
        services: what the functions use.
    """

    def __init__(self, services: Services) -> None:
        self.services = services
        # The log is made once a process, with the standard output of that moment.
        self._lines = io.StringIO()
        log = logger().registered_handler
        assert isinstance(log, logging.StreamHandler)
        log.setStream(self._lines)
        self.apps = {
            route.function: import_module(route.handler.rpartition(".")[0]).app for route in _routes()[1]
        }
        self._handlers = {name: handler_of(app, lambda: self.services) for name, app in self.apps.items()}

    def event(self, ask: Ask) -> tuple[str, Event]:
        """The function that a request goes to, and its event."""
        return routed(ask)

    def invoke(self, function: str, called: Event) -> dict[str, Any]:
        """What Lambda would do; for timing."""
        return self._handlers[function](called, None)

    def reply(self, ask: Ask) -> Reply:
        """A request and its whole answer, whatever it is."""
        self._lines.seek(0)
        self._lines.truncate()
        return Reply.of(self.invoke(*routed(ask)), self._lines.getvalue())

    def __call__(self, ask: Ask) -> Reply:
        """As ``reply``.

        Raises:
            AssertionError: it was refused, which no benchmark expects.
        """
        reply = self.reply(ask)
        assert reply.status < 400, (ask, reply.status, reply.body[:300])  # noqa: PLR2004 - HTTP's first error
        return reply
