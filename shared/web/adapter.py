"""From what invokes a function to the app and back: by Mangum, but for its event loop.

A loop is for those who wait, and no route does: it is ``async`` as FastAPI has it, calls a use case and returns. A loop
and a queue for each request took a quarter of a page from memory (docs/adr/0006).
"""

from __future__ import annotations

from collections.abc import Coroutine
from contextvars import copy_context
from functools import cached_property
from typing import Any, Final

from mangum import Mangum
from mangum.handlers import HTTPGateway
from mangum.types import LambdaConfig, LambdaContext, LambdaEvent, Message, Response, Scope

from shared.web.events import NO_EVENT, as_event
from shared.web.middleware import log_crash

NO_JSON: Final = b"\xff"


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
            body = super().body
        except ValueError:
            return NO_JSON
        # No JSON in UTF-8 has a NUL, any in UTF-16 or UTF-32 does, which json.loads would read too.
        return NO_JSON if b"\0" in body else body


class Exchange:
    """A request's body, and what the app answers: all at once, as both of Lambda's ends have it."""

    def __init__(self, body: bytes, *, head_only: bool) -> None:
        self._body = body
        self._head_only = head_only
        self.answer: Response = {"status": 500, "headers": [], "body": b""}  # Until another one is sent.

    async def receive(self) -> Message:
        """The whole body."""
        return {"type": "http.request", "body": self._body, "more_body": False}

    async def send(self, message: Message) -> None:
        """A part of the answer."""
        if message["type"] == "http.response.start":
            headers = message["headers"]
            if self._head_only:
                headers = [each for each in headers if each[0] != b"content-length"]
            self.answer = {"status": message["status"], "headers": headers, "body": b""}
        elif not self._head_only:
            self.answer["body"] += message["body"]


class Handler(Mangum):
    """What Lambda calls. Whatever invoked it is answered."""

    def __call__(self, event: LambdaEvent, context: LambdaContext) -> dict[str, Any]:
        """The answer as API Gateway takes it."""
        gateway = Gateway(event, context, self.config)
        exchange = Exchange(gateway.body, head_only=gateway.scope["method"] == "HEAD")
        call = self.app(gateway.scope, exchange.receive, exchange.send)
        try:
            copy_context().run(_run, call)  # A context of its own, as a task of an event loop has.
        except Exception as error:  # noqa: BLE001 - ``RequestMiddleware`` failed: what was answered by then still is
            log_crash(error, gateway.scope["state"]["request_id"])
        return gateway(exchange.answer)


def _run(call: Coroutine[Any, Any, None]) -> None:
    """Runs to its end what never waits; one that does gets an error, of which ``RequestMiddleware`` makes a 500."""
    try:
        call.send(None)
        call.throw(RuntimeError("there is no event loop here that a route could wait for"))
    except StopIteration:
        pass
