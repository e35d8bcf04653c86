"""Calls the functions as Lambda does: with API Gateway's events, one at a time."""

from __future__ import annotations

import base64
import io
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Final

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
    """A request; ``target`` is path and query."""

    method: str
    target: str
    user: str
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """A function's response, its body decoded from base64, the log lines that it wrote, and how long it took."""

    status: int
    headers: dict[str, str]
    body: bytes
    log: str = ""
    ms: float = 0.0

    @classmethod
    def of(cls, result: Mapping[str, Any], log: str = "", ms: float = 0.0) -> Reply:
        """Parses a handler's result."""
        body = result.get("body") or ""
        raw = base64.b64decode(body) if result.get("isBase64Encoded") else body.encode()
        return cls(result["statusCode"], dict(result.get("headers") or {}), raw, log, ms)

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON
        """The body of an uncompressed response."""
        return json.loads(self.body)

    @property
    def head_bytes(self) -> int:
        """Bytes of the headers, including colons, spaces and line ends."""
        return sum(len(name) + len(value) + 4 for name, value in self.headers.items())

    @property
    def units(self) -> dict[str, float]:
        """Costs from ``Server-Timing``: ``read`` and ``write`` units, Redis ``commands``."""
        parts = self.headers["server-timing"].replace('"', " ").split()
        return {
            name: float(value) for name, _, value in (part.partition("=") for part in parts) if name in _UNITS
        }


_UNITS: Final = frozenset({"read", "write", "commands"})


@cache
def _routes() -> tuple[Routes, tuple[template.Route, ...]]:
    found = template.load(ROOT / "template.yaml", template.WHOLE).routes
    return Routes(found), found


def routed(ask: Ask) -> tuple[str, Event]:
    """The function that serves a request, and the event for it."""
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
    """The event of a request."""
    return routed(ask)[1]


class Handlers:
    """All functions of the template over the same ``services``, which may be replaced between calls."""

    def __init__(self, services: Services) -> None:
        self.services = services
        # The logger is created once per process, and writes to what was standard output then.
        self._lines = io.StringIO()
        log = logger().registered_handler
        assert isinstance(log, logging.StreamHandler)
        log.setStream(self._lines)
        self.handlers: dict[str, Handler] = {}
        """As they are deployed, by function."""
        for function, path in {route.function: route.handler for route in _routes()[1]}.items():
            app = import_module(path.rpartition(".")[0]).app
            app.dependency_overrides[current_services] = self._current
            self.handlers[function] = create_handler(app)

    async def _current(self) -> Services:
        return self.services

    def invoke(self, function: str, called: Event) -> dict[str, Any]:
        """Invokes a function as Lambda does; for timing."""
        return self.handlers[function](called, None)

    def reply(self, ask: Ask) -> Reply:
        """Sends a request; returns its response, whatever the status."""
        self._lines.seek(0)
        self._lines.truncate()
        function, called = routed(ask)
        started = time.perf_counter()
        result = self.invoke(function, called)
        return Reply.of(result, self._lines.getvalue(), (time.perf_counter() - started) * 1000)

    def __call__(self, ask: Ask) -> Reply:
        """Sends a request; returns its response.

        Raises:
            AssertionError: the status is 400 or above, which no benchmark expects.
        """
        reply = self.reply(ask)
        assert reply.status < 400, (ask, reply.status, reply.body[:300])  # noqa: PLR2004 - HTTP's first error
        return reply
