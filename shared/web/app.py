"""A function's app: FastAPI with our errors, under Mangum."""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import cached_property
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Header, Response
from fastapi.exceptions import RequestValidationError
from mangum import Mangum
from mangum.handlers import HTTPGateway
from mangum.types import LambdaConfig, LambdaContext, LambdaEvent, Scope
from starlette.exceptions import HTTPException

from shared import startup, telemetry
from shared.errors import BudgieError
from shared.messages import dumps
from shared.services import Services, services
from shared.settings import SettingsError
from shared.web import schemas
from shared.web.direct import DirectRoute
from shared.web.encoding import Compressible
from shared.web.events import NO_EVENT, as_event
from shared.web.observe import Observed
from shared.web.problems import MEDIA_TYPE, on_budgie_error, on_http_exception, on_invalid


async def current_services() -> Services:
    """The services of this container; tests override this."""
    return services()


Use = Annotated[Services, Depends(current_services)]
IdempotencyKey = Annotated[
    schemas.IdempotencyKey | None,
    Header(
        description="Repeating a request with its key is answered as the first time: "
        "a post for 24 hours, making a channel for ever."
    ),
]
NO_JSON: Final = b"\xff"


def create_app(function: str) -> FastAPI:
    """An app without routes; ``function`` is its folder's name."""
    app = FastAPI(
        title="Budgie",
        openapi_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # ours are in shared.telemetry
        exception_handlers={
            BudgieError: on_budgie_error,
            RequestValidationError: on_invalid,
            HTTPException: on_http_exception,
        },
    )
    app.router.route_class = DirectRoute
    app.add_middleware(Observed, function=function)
    return app


class Gateway(HTTPGateway):
    """An API Gateway event, or whatever else came: neither it nor its body need be what they should."""

    def __init__(self, event: Any, context: LambdaContext, config: LambdaConfig) -> None:  # noqa: ANN401 - as it says
        super().__init__(as_event(event), context, config)

    @classmethod
    def infer(cls, event: LambdaEvent, context: LambdaContext, config: LambdaConfig) -> bool:  # noqa: ARG003 - Mangum's
        """Everything is answered here."""
        return True

    @cached_property
    def scope(self) -> Scope:
        """The ASGI scope, made once: Mangum asks for it again when it hands over the answer."""
        try:
            return super().scope
        except ValueError:  # A lone surrogate, or a Host whose port is none.
            self.event = NO_EVENT
            return super().scope

    @property
    def body(self) -> bytes:
        """The body's bytes; some that are no JSON where they cannot be decoded, so that it is refused as such."""
        try:
            body = super().body
        except ValueError:
            return NO_JSON
        # No JSON in UTF-8 has a NUL, any in UTF-16 or UTF-32 does, which json.loads would read too.
        return NO_JSON if b"\0" in body else body


def create_handler(app: FastAPI) -> Mangum:
    """The entry that Lambda calls; there, all that a request needs is made before the first one comes."""
    if startup.on_lambda():
        warm_up(app)
    startup.end()
    # At INFO, which Lambda's JSON log format shows, it writes each request's path, and those name members.
    logging.getLogger("mangum").setLevel(logging.WARNING)
    mime_types = ["application/json", MEDIA_TYPE]
    return Mangum(app, lifespan="off", custom_handlers=[Gateway], text_mime_types=mime_types)


def warm_up(app: FastAPI) -> None:
    """Builds what is built once. Settings that cannot be used are told by each request instead."""
    app.middleware_stack = app.build_middleware_stack()
    telemetry.warm_up()
    with suppress(SettingsError):
        services()


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:  # noqa: ANN401 - any JSON
    """JSON, compressed as the client accepts it; bytes are JSON already.

    Not under a strong ``ETag``, which would have to differ from coding to coding.
    """
    body = value if isinstance(value, bytes) else dumps(value)
    if headers and headers.get("ETag", "W/").startswith('"'):
        return Response(body, status, headers, "application/json")
    return Compressible(body, status, headers)
