"""A function's app: FastAPI with our errors, under Mangum."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Response
from fastapi.exceptions import RequestValidationError
from mangum import Mangum
from mangum.handlers import HTTPGateway
from mangum.types import LambdaConfig, LambdaContext, LambdaEvent, Scope
from starlette.exceptions import HTTPException

from shared.errors import BudgieError
from shared.messages import dumps
from shared.services import Services, services
from shared.web import schemas
from shared.web.direct import DirectRoute
from shared.web.events import NO_EVENT, as_event
from shared.web.observe import Observed
from shared.web.problems import MEDIA_TYPE, on_budgie_error, on_http_exception, on_invalid


async def current_services() -> Services:
    """The services of this container; tests override this."""
    return services()


Use = Annotated[Services, Depends(current_services)]
IdempotencyKey = Annotated[
    schemas.IdempotencyKey | None,
    Header(description="Repeating a request with its key within 24 hours is answered as the first time."),
]


def create_app(function: str) -> FastAPI:
    """An app without routes; ``function`` is its folder's name."""
    app = FastAPI(
        title="Budgie",
        openapi_url=None,
        redirect_slashes=False,
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
            return super().body
        except ValueError:
            return b"\xff"


def create_handler(app: FastAPI) -> Mangum:
    """The entry that Lambda calls."""
    mime_types = ["application/json", MEDIA_TYPE]
    return Mangum(app, lifespan="off", custom_handlers=[Gateway], text_mime_types=mime_types)


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:  # noqa: ANN401 - any JSON
    """JSON; bytes are JSON already."""
    body = value if isinstance(value, bytes) else dumps(value)
    return Response(body, status, headers, "application/json")
