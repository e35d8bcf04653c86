"""Between Lambda's events and the app: Mangum without its event loop.

Lambda may pass any payload: an event of an HTTP API, or anything else, which gets a response too.

No route waits: it is ``async`` only because FastAPI requires it, calls a use case and returns. An event loop and a
queue for each request took a quarter of the time for a page from memory (docs/adr/0006).
"""

from __future__ import annotations

import re
from collections.abc import Coroutine
from contextvars import copy_context
from functools import cached_property
from typing import Any, Final

from mangum import Mangum
from mangum.handlers import HTTPGateway
from mangum.types import LambdaConfig, LambdaContext, LambdaEvent, Message, Response, Scope

from shared.observability.telemetry import log_crash

INVALID_JSON: Final = b"\xff"
NO_EVENT: Final[dict[str, Any]] = {
    "version": "2.0",
    "requestContext": {"http": {"method": "GET", "path": "/", "sourceIp": ""}},
}
"""Used in place of any other payload: a warm-up ping, another payload format, an event with a malformed field."""
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
"""Lone surrogates, which cannot be logged."""


class Gateway(HTTPGateway):
    """An API Gateway event or any other invocation payload; both it and its body may be malformed."""

    def __init__(self, event: Any, context: LambdaContext, config: LambdaConfig) -> None:  # noqa: ANN401 - any payload
        super().__init__(as_event(event), context, config)

    @cached_property
    def scope(self) -> Scope:
        """The ASGI scope, cached because Mangum reads it again when it returns the response."""
        try:
            return super().scope
        except ValueError:  # A lone surrogate, or a Host with an invalid port.
            self.event = NO_EVENT
            return super().scope

    @property
    def body(self) -> bytes:
        """The body's bytes; if they cannot be decoded, bytes that are refused as invalid JSON."""
        try:
            body = super().body
        except ValueError:
            return INVALID_JSON
        # json.loads also accepts UTF-16 and UTF-32, which contain NULs; JSON in UTF-8 never does.
        return INVALID_JSON if b"\0" in body else body


class Exchange:
    """A request's body and its response, each in one piece, as Lambda passes them."""

    def __init__(self, body: bytes, *, head_only: bool) -> None:
        self._body = body
        self._head_only = head_only
        self.response: Response = {"status": 500, "headers": [], "body": b""}  # Until the app sends one.

    async def receive(self) -> Message:
        """The whole body."""
        return {"type": "http.request", "body": self._body, "more_body": False}

    async def send(self, message: Message) -> None:
        """Takes a part of the response."""
        if message["type"] == "http.response.start":
            headers = message["headers"]
            if self._head_only:
                headers = [each for each in headers if each[0] != b"content-length"]
            self.response = {"status": message["status"], "headers": headers, "body": b""}
        elif not self._head_only:
            self.response["body"] += message["body"]


class Handler(Mangum):
    """The function's entry point. Every invocation gets a response."""

    def __call__(self, event: LambdaEvent, context: LambdaContext) -> dict[str, Any]:
        """The response in API Gateway's format."""
        gateway = Gateway(event, context, self.config)
        exchange = Exchange(gateway.body, head_only=gateway.scope["method"] == "HEAD")
        call = self.app(gateway.scope, exchange.receive, exchange.send)
        try:
            copy_context().run(_run, call)  # In a context of its own, as an event loop would run a task.
        except Exception as error:  # noqa: BLE001 - ``RequestMiddleware`` failed: the response so far is returned
            log_crash(error, gateway.scope["state"]["request_id"])
        return gateway(exchange.response)


def _run(call: Coroutine[Any, Any, None]) -> None:
    """Runs a coroutine that never waits. One that does gets an error, which ``RequestMiddleware`` turns into a 500."""
    try:
        call.send(None)
        call.throw(RuntimeError("routes cannot wait: there is no event loop"))
    except StopIteration:
        pass


# --- what is an event ---


def as_event(given: Any) -> dict[str, Any]:  # noqa: ANN401 - any payload
    """The event, if it has payload format 2.0 and each field that is read has the right type; else ``NO_EVENT``.

    Claims are not checked here, because ``identity`` accepts claims of any type.
    """
    return given if isinstance(given, dict) and _is_event(given) else NO_EVENT


def _is_event(event: dict[str, Any]) -> bool:
    context, headers, body = event.get("requestContext"), event.get("headers", {}), event.get("body")
    parameters = event.get("pathParameters")
    http = context.get("http") if isinstance(context, dict) else None
    return (
        event.get("version") == "2.0"
        and isinstance(http, dict)
        and _are_texts(http.get("method"), http.get("path"), http.get("sourceIp"))
        and _are_texts(
            event.get("routeKey", ""), event.get("rawQueryString", ""), "" if body is None else body
        )
        and not _SURROGATE.search(event.get("routeKey", ""))
        and (parameters is None or (isinstance(parameters, dict) and _are_texts(*parameters.values())))
        and isinstance(headers, dict)
        and _are_texts(*headers, *headers.values())
        and isinstance(event.get("cookies", []), list)
        and _are_texts(*event.get("cookies", []))
    )


def _are_texts(*values: Any) -> bool:  # noqa: ANN401 - as above
    return {str}.issuperset(map(type, values))  # On every request: half the time of checking each.
