"""A function's app: FastAPI with our errors, under Mangum."""

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
    """The services of this container; tests override this."""
    return services()


ServicesDep = Annotated[Services, Depends(current_services)]
IdempotencyKey = Annotated[
    schemas.IdempotencyKey | None,
    Header(
        description="1 to 255 visible ASCII characters, no comma. A post that is repeated with its key is answered as "
        "the first time, for 24 hours; making a channel finds that channel, as it is by then, for ever. Another "
        "request with the key is refused."
    ),
]


def create_app(function: str) -> FastAPI:
    """An app without routes; ``function`` is its folder's name."""
    app = FastAPI(
        title="Budgie",
        openapi_url=None,
        redirect_slashes=False,
        telemetry={
            "tracing": False,
            "metrics": False,
            "logs": False,
        },  # ours are in shared.observability.telemetry
    )
    app.router.route_class = FastRoute
    # All that stands around the routes: it answers errors, and they leave nothing open that would have to be closed.
    app.middleware_stack = RequestMiddleware(app.router, function)
    return app


def create_handler(app: FastAPI, *, uses_redis: bool = False) -> Handler:
    """The entry that Lambda calls; there, all that a request needs is made before the first one comes.

    Args:
        app: the function's.
        uses_redis: whether its requests may send commands to Redis: then the SDK is part of what they need.
    """
    if startup.on_lambda():
        warm_up(uses_redis=uses_redis)
    startup.end()
    # At INFO, which Lambda's JSON log format shows, it writes each request's path, and those name members.
    logging.getLogger("mangum").setLevel(logging.WARNING)
    return Handler(app, lifespan="off", text_mime_types=["application/json", MEDIA_TYPE])


def warm_up(*, uses_redis: bool) -> None:
    """Builds what is built once. Settings that cannot be used are told by each request instead."""
    telemetry.warm_up()
    with suppress(SettingsError):
        upstash = services().upstash
        if upstash and uses_redis:
            upstash.warm_up()
