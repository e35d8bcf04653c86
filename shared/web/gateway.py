"""From what invokes a function to the app and back: Mangum, without an event loop.

An event loop is for those who wait, and nothing here does: a route is ``async`` as FastAPI has it, but it calls a use
case and returns. Starting one for each request took a fifth of a page from memory (``python -m bench.hot_path``).
"""

from __future__ import annotations

from collections.abc import Coroutine
from contextvars import copy_context
from functools import cached_property
from typing import Any

from mangum import Mangum
from mangum.handlers import HTTPGateway
from mangum.protocols import HTTPCycle
from mangum.types import ASGI, LambdaConfig, LambdaContext, LambdaEvent, Response, Scope

from shared.web.events import NO_EVENT, as_event


class Gateway(HTTPGateway):
    """An API Gateway event, or whatever else came: neither it nor its body need be what they should."""

    def __init__(self, event: Any, context: LambdaContext, config: LambdaConfig) -> None:  # noqa: ANN401 - as it says
        super().__init__(as_event(event), context, config)

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


class Cycle(HTTPCycle):
    """A request and its answer."""

    def __call__(self, app: ASGI) -> Response:
        """The app's answer; in a context of its own, as a task of an event loop has one."""
        copy_context().run(_run, self.run(app))
        return {"status": self.status, "headers": self.headers, "body": self.body}


class Handler(Mangum):
    """What Lambda calls. Whatever invoked it is answered."""

    def __call__(self, event: LambdaEvent, context: LambdaContext) -> dict[str, Any]:
        """The answer as API Gateway takes it."""
        gateway = Gateway(event, context, self.config)
        return gateway(Cycle(gateway.scope, gateway.body)(self.app))


def _run(call: Coroutine[Any, Any, None]) -> None:
    """Runs to the end what never waits; where it does, an error is raised that ``Observed`` makes a 500 of."""
    try:
        call.send(None)
        call.throw(RuntimeError("there is no event loop here that a route could wait for"))
    except StopIteration:
        pass
