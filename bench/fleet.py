"""Lambda as a bench sees it: containers that live for a while after their last request, one request at a time each."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from mangum import Mangum

from local import template
from local.routing import Routes
from shared.web.app import create_handler

ROUTES: Final = Routes(template.load(Path(__file__).resolve().parents[1] / "template.yaml").routes)
LIFE_MS: Final = 10 * 60 * 1000
"""After its last request a container is gone."""


@dataclass
class Container:
    """One execution environment of one function."""

    services: Any
    busy_until: float = 0.0


@dataclass(frozen=True)
class Answer:
    """What came back, and the processor's milliseconds that it took."""

    status: int
    headers: dict[str, str]
    body: Any
    cpu_ms: float


class Function:
    """A function's containers.

    Args:
        app: the function's real app.
        needs: the dependency through which it gets its services.
        build: the services of a new container.
    """

    def __init__(self, app: FastAPI, needs: Callable[..., Any], build: Callable[[], Any]) -> None:
        self._handler: Mangum = create_handler(app)
        self._build = build
        self._containers: list[Container] = []
        self._current: Container | None = None
        self._random = random.Random(1)
        self.cold_starts = 0
        app.dependency_overrides[needs] = self._services

    def container(self, at: float) -> Container:
        """One that is free at this time (ms), drawn at random, as AWS does not say which; else a new one."""
        self._containers = [each for each in self._containers if at - each.busy_until < LIFE_MS]
        free = [each for each in self._containers if each.busy_until <= at]
        if free:
            return self._random.choice(free)
        self.cold_starts += 1
        self._containers.append(Container(self._build()))
        return self._containers[-1]

    def end_containers(self) -> None:
        """A deployment, or a quiet night."""
        self._containers, self.cold_starts = [], 0

    def invoke(self, container: Container, made: dict[str, Any]) -> Answer:
        """Runs the handler on an event."""
        self._current = container
        started = time.perf_counter()
        answer = self._handler(made, None)  # type: ignore[arg-type]  # no function of ours looks at the context
        cpu_ms = (time.perf_counter() - started) * 1000
        body = json.loads(answer["body"]) if answer.get("body") else None
        return Answer(answer["statusCode"], answer["headers"], body, cpu_ms)

    async def _services(self) -> object:
        assert self._current is not None
        return self._current.services


def event(method: str, path: str, user: str, query: str = "", body: object = None) -> dict[str, Any]:
    """An HTTP API event, payload format 2.0, as the authorizer lets it through."""
    matched = ROUTES.match(method, path)
    assert matched is not None, path
    route, parameters = matched[0].path, matched[1]
    made: dict[str, Any] = {
        "version": "2.0",
        "routeKey": f"{method} {route}",
        "rawPath": path,
        "pathParameters": parameters,
        "rawQueryString": query,
        "headers": {"content-type": "application/json", "host": "api.example.com"},
        "requestContext": {
            "authorizer": {"jwt": {"claims": {"sub": user}, "scopes": None}},
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1"},
            "requestId": "bench",
        },
        "isBase64Encoded": False,
    }
    if body is not None:
        made["body"] = json.dumps(body)
    return made
