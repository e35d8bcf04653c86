"""Every function's handler over the same services, called with the events that API Gateway would make."""

from __future__ import annotations

import base64
import io
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from local import events, template, wire
from local.routing import Routes
from local.tokens import AUDIENCE, ISSUER
from shared.services import Services
from shared.telemetry import logger
from shared.web.app import current_services

TEMPLATE: Final = Path(__file__).resolve().parents[1] / "template.yaml"
TRACE: Final = "Root=1-6b04a7a8-000000000000000000000000"
REQUEST_ID: Final = "JKJaXmPLvHcESHA="


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
    """An answer as it goes out, its body decoded from base64; and the log lines that it left."""

    status: int
    headers: dict[str, str]
    body: bytes
    log: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON
        """The body of an answer that is not compressed."""
        return json.loads(self.body)

    @property
    def head_bytes(self) -> int:
        """Bytes of the headers, each with colon, blank and line end."""
        return sum(len(name) + len(value) + 4 for name, value in self.headers.items())


class Handlers:
    """All routes of the template. ``services`` may be exchanged between two calls: another container.

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
        routes = template.load(TEMPLATE).routes
        self._routes = Routes(routes)
        self._handlers: dict[str, Any] = {}
        for route in routes:
            module_name, _, name = route.handler.rpartition(".")
            module = import_module(module_name)
            module.app.dependency_overrides[current_services] = self._current
            self._handlers[route.function] = getattr(module, name)

    async def _current(self) -> Services:
        return self.services

    def event(self, ask: Ask) -> tuple[str, dict[str, Any]]:
        """The function that a request goes to, and its event."""
        body = b"" if ask.body is None else json.dumps(ask.body).encode()
        headers = {"host": "api.example.com", "user-agent": "bench", "x-amzn-trace-id": TRACE, **ask.headers}
        if body:
            headers["content-type"] = "application/json"
        request = wire.Request(ask.method, ask.target, headers=tuple(headers.items()), body=body)
        found = self._routes.match(ask.method, request.path)
        assert found, ask
        claims = {"sub": ask.user, "iss": ISSUER, "aud": AUDIENCE}
        return found[0].function, events.build(
            request, *found, request_id=REQUEST_ID, claims=claims, port=443
        )

    def invoke(self, function: str, event: dict[str, Any]) -> dict[str, Any]:
        """What Lambda would do; for timing."""
        answer: dict[str, Any] = self._handlers[function](event, None)
        return answer

    def __call__(self, ask: Ask) -> Reply:
        """A request and its whole answer.

        Raises:
            AssertionError: it was refused, which no benchmark expects.
        """
        self._lines.seek(0)
        self._lines.truncate()
        answer = self.invoke(*self.event(ask))
        reply = reply_of(answer, self._lines.getvalue())
        assert reply.status < 400, (ask, reply.status, reply.body[:300])  # noqa: PLR2004 - HTTP's first error
        return reply


def reply_of(answer: Mapping[str, Any], log: str = "") -> Reply:
    """A function's answer, decoded."""
    body = answer.get("body") or ""
    raw = base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode()
    return Reply(answer["statusCode"], dict(answer.get("headers") or {}), raw, log)
