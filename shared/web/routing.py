"""Which route a request is for, and what it names: as API Gateway chose it, not as a path reads a second time.

``routeKey`` and ``pathParameters`` are what was authorized, throttled and logged. The path beside them is decoded once
more or once less than they are, cut at an encoded ``?``, and begins with the stage or whatever a domain is mapped by.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from fastapi import Depends, Request

from shared.errors import RouteNotFoundError

_BASE: Final = re.compile(r"(?:/[A-Za-z0-9$_.+!*'()~-]+)*")
"""What API Gateway lets a stage or an API mapping be called."""


def route_path(event: dict[str, Any]) -> str:
    """The chosen route's path, such as ``/v1/channels/{channel_id}``; empty where none was chosen."""
    return str(event.get("routeKey", "")).partition(" ")[2]


def parameters_of(event: dict[str, Any]) -> dict[str, str]:
    """What stands in the place of the route's parameters, decoded."""
    return event.get("pathParameters") or {}


def find_base(event: dict[str, Any], path: str) -> str:
    """What the path begins with before the route: ``/prod`` of a stage ``prod``, nothing of ``$default``.

    Args:
        event: names the route and its parameters.
        path: the same, decoded.

    Raises:
        RouteNotFoundError: the path names something else than the route with its parameters does.
    """
    given, wanted = parameters_of(event), route_path(event).split("/")
    named = "/".join(given.get(part[1:-1], "") if part[:1] == "{" else part for part in wanted)
    base = path.removesuffix(named)
    # A parameter with a slash reads like another route, one that nobody authorized.
    is_route = named and path.endswith(named) and named.count("/") == len(wanted) - 1
    if not is_route or not _BASE.fullmatch(base):
        raise RouteNotFoundError
    return base


async def base_path(request: Request) -> str:
    """What links to other routes begin with; ``Observed`` has found it."""
    return str(request.scope["state"]["base_path"])


BasePath = Annotated[str, Depends(base_path)]
