"""Creates a function's FastAPI app and its Lambda handler."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Annotated

from fastapi import Depends, FastAPI, Header

from shared.bootstrap import Services, services
from shared.observability import telemetry
from shared.runtime import startup
from shared.settings import SettingsError
from shared.web import schemas
from shared.web.adapter import Handler
from shared.web.middleware import RequestMiddleware
from shared.web.problems import MEDIA_TYPE
from shared.web.routing import FastRoute


async def current_services() -> Services:
    """The services of this container; a dependency, so that tests can override it."""
    return services()


ServicesDep = Annotated[Services, Depends(current_services)]
IdempotencyKey = Annotated[
    schemas.IdempotencyKey | None,
    Header(
        description="1 to 255 visible ASCII characters, no comma. Repeating a post with its key within 24 hours "
        "returns the first response. Repeating the creation of a channel with its key returns that channel in its "
        "current state, without a time limit. A different request with the same key is refused."
    ),
]


def create_app(function: str) -> FastAPI:
    """An app without routes; ``function`` is the name of its folder."""
    app = FastAPI(
        title="Budgie",
        openapi_url=None,
        redirect_slashes=False,
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
        },  # see shared.observability.telemetry
    )
    app.router.route_class = FastRoute
    # The only middleware: it handles errors. FastAPI's exit stacks are not needed, as no route leaves anything open.
    app.middleware_stack = RequestMiddleware(app.router, function)
    return app


def create_handler(app: FastAPI, *, uses_redis: bool = False) -> Handler:
    """The handler that Lambda calls. On Lambda, everything that requests need is built now, during INIT.

    Args:
        app: the function's app.
        uses_redis: whether its requests may send commands to Redis, so that the SDK is loaded too.
    """
    if startup.on_lambda():
        warm_up(uses_redis=uses_redis)
    startup.end()
    # At INFO, Mangum logs each request's path, which may contain user ids.
    logging.getLogger("mangum").setLevel(logging.WARNING)
    return Handler(app, lifespan="off", text_mime_types=["application/json", MEDIA_TYPE])


def warm_up(*, uses_redis: bool) -> None:
    """Builds what is built once. Invalid settings are not reported here but by each request."""
    telemetry.warm_up()
    with suppress(SettingsError):
        upstash = services().upstash
        if upstash and uses_redis:
            upstash.warm_up()
