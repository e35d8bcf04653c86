"""The local API gateway: it calls functions as an API Gateway HTTP API does.

It reads routes, authorizer and CORS from the template, converts requests to events of payload format 2.0, and
functions' results to responses. Undocumented behaviour of AWS is commented where it is imitated. In addition it
refuses web pages from elsewhere (`local.guard`), unless the template's CORS configuration lists their origin. The
template's WebSocket API is served on the same port (`local.gateway.websocket`).
"""

import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self
from urllib.parse import parse_qsl

from local.gateway import cors, events, websocket
from local.gateway.connections import Durations
from local.gateway.docs import Docs
from local.gateway.invoke import INTEGRATION_TIMEOUT, FunctionFailedError, Invoker
from local.gateway.loading import Functions
from local.gateway.routing import Routes
from local.gateway.server import HOST, Server, Takeover
from local.gateway.throttling import NO_CONTAINER, TOO_MANY, Buckets, Concurrency
from local.gateway.wire import RefusedError, Request, Response
from local.guard import refusal
from local.template.load import Function, Template
from local.tokens import TokenRefusedError

NO_ROUTE: Final = "- -"


class TokenVerifier(Protocol):
    """Validates bearer tokens; `local.tokens.Verifier` implements it."""

    def claims(self, token: str) -> dict[str, Any]:
        """The claims of a valid token; raises `TokenRefusedError` for any other."""
        ...


class Gateway:
    """An HTTP API on 127.0.0.1. It listens from its construction, and serves between `start` and `close`.

    Args:
        template: the routes, the authorizer and the CORS configuration.
        root: the folder that handlers are imported from, with `openapi.json`.
        verifier: validates the tokens.
        port: where to listen; 0 for a free port.
        reload: import handlers again when their sources change.
        log: takes a line per request: the route with its parameters' names, never a token, a query string, a header or
            a body.
        docs: serve `/docs` and `/openapi.json` too.
        integration_timeout: seconds that the API waits for a function.
        concurrency: concurrent invocations of all functions together; 0 for no limit.
        durations: how long WebSocket connections live.

    Raises:
        OSError: the port is in use.
    """

    def __init__(  # noqa: PLR0913  # named settings, all but three with defaults
        self,
        *,
        template: Template,
        root: Path,
        verifier: TokenVerifier,
        port: int = 0,
        reload: bool = True,
        log: Callable[[str], None] = print,
        docs: bool = True,
        integration_timeout: float = INTEGRATION_TIMEOUT,
        concurrency: int = 0,
        durations: Durations | None = None,
    ) -> None:
        self._template = template
        self._verifier = verifier
        self._log = log
        self._docs = Docs(root) if docs else None
        # A deployment, which has its own domain, may say `*`. Here it would admit every open page.
        self._named_origins = frozenset(template.cors.allow_origins if template.cors else ()) - {"*"}
        self._routes = Routes(template.routes)
        self._buckets = Buckets(template.throttle)
        self._concurrency = Concurrency(concurrency)
        self._server = Server(port, self)
        handlers = [function.handler for function in template.functions.values()]
        functions = Functions(root, handlers, reload=reload, log=log)
        self._invoker = Invoker(functions, integration_timeout=integration_timeout, log=log)
        self.websockets: Final = (
            websocket.WebSockets(
                template.websocket,
                self._invoker,
                self._concurrency,
                log=log,
                log_request=self._log_request,
                port=self.port,
                durations=durations or Durations(),
            )
            if template.websocket
            else None
        )

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._server.port

    @property
    def url(self) -> str:
        """The address for clients, without a slash at the end."""
        return f"http://{HOST}:{self.port}"

    @property
    def realtime_url(self) -> str:
        """The address of the WebSocket API; empty without one."""
        return f"ws://{HOST}:{self.port}{websocket.PATH}" if self.websockets else ""

    def start(self) -> None:
        """Serve requests in threads."""
        self._server.start()

    def close(self) -> None:
        """Stop listening, finish responses in progress, close the connections."""
        if self.websockets:
            self.websockets.close()
        self._server.stop()
        self._invoker.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def respond(self, request: Request) -> Response | Takeover:
        """Serve a request, and log it."""
        if self.websockets and not self._refusal(request) and (reply := self.websockets.respond(request)):
            return reply
        begin = time.perf_counter()
        request_id = events.new_request_id()
        try:
            response = self._answer(request, request_id)
        except Exception as error:  # noqa: BLE001  # a fault of this gateway costs one request, not the server
            self.fault(error)
            response = Response.message(HTTPStatus.INTERNAL_SERVER_ERROR)
        matched = self._routes.match(request.method, request.path)
        route = f"{request.method} {matched[0].path}" if matched else NO_ROUTE
        self._log_request(route, response.status, time.perf_counter() - begin, request_id)
        return response.with_headers(("apigw-requestid", request_id))

    def refuse(self, refused: RefusedError) -> Response:
        """Respond to an unreadable request, and log it without repeating anything of its content."""
        request_id = events.new_request_id()
        self._log_request(NO_ROUTE, refused.response.status, 0, request_id)
        return refused.response.with_headers(("apigw-requestid", request_id))

    def fault(self, error: BaseException) -> None:
        """Log an error that ended a connection, but not the server."""
        self._log(f"gateway: {type(error).__name__}")

    def call(self, function: Function, event: dict[str, Any], *, time_limit: float) -> Any:  # noqa: ANN401  # any JSON
        """Call a function as another service of AWS does, such as a stream; returns its result.

        Raises:
            FunctionFailedError: it has no result, or (429) as many functions run as may.
        """
        with self._concurrency.one() as has_room:
            if not has_room:
                raise FunctionFailedError(HTTPStatus.TOO_MANY_REQUESTS)
            return self._invoker.call(function, event, time_limit=time_limit)

    def _answer(self, request: Request, request_id: str) -> Response:
        if reason := self._refusal(request):
            return Response.message(HTTPStatus.FORBIDDEN, reason)
        if self._docs and (page := self._docs.respond(request.method, request.path)):
            return page
        configuration = self._template.cors
        if configuration is None:
            return self._route(request, request_id)
        if request.method == "OPTIONS" and self._routes.match("OPTIONS", request.path) is None:
            # The API itself responds on every path, even an unknown one; without an Origin it sends no headers.
            allowed = cors.preflight_headers(configuration, request) if cors.is_preflight(request) else ()
            return Response(HTTPStatus.NO_CONTENT, allowed)
        return self._route(request, request_id).with_headers(*cors.answer_headers(configuration, request))

    def _route(self, request: Request, request_id: str) -> Response:
        matched = self._routes.match(request.method, request.path)
        if matched is None:
            # Also for unsupported methods of a known path, such as HEAD: HTTP APIs have no 405.
            return Response.message(HTTPStatus.NOT_FOUND)
        route, parameters = matched
        if not self._buckets.admits(route.key):
            return TOO_MANY
        claims = None
        if route.authorized:
            try:
                claims = self._authorize(request)
            except TokenRefusedError as refused:
                return _unauthorized(str(refused))
        event = events.build(request, route, parameters, request_id=request_id, claims=claims, port=self.port)
        with self._concurrency.one() as has_room:
            return self._invoker.invoke(route, event) if has_room else NO_CONTAINER

    def _refusal(self, request: Request) -> str:
        return refusal(request.header("host"), request.header("origin"), self._named_origins)

    def _authorize(self, request: Request) -> dict[str, Any]:
        """The claims of the request's token, which may be preceded by `Bearer`.

        Raises:
            TokenRefusedError: there is no valid token. Its text is empty if there is none at all.
        """
        source = self._template.authorizer.identity_source if self._template.authorizer else ""
        value = _identity(source, request).strip()
        scheme, _, rest = value.partition(" ")
        token = rest.strip() if scheme.lower() == "bearer" else value
        if not token:
            raise TokenRefusedError("")
        return self._verifier.claims(token)

    def _log_request(self, route: str, status: int, seconds: float, request_id: str) -> None:
        now = time.strftime("%H:%M:%S")
        self._log(f"{now} {route} {status} {seconds * 1000:.0f} ms {request_id}")


def _identity(source: str, request: Request) -> str:
    """The value that the authorizer's identity source names: `$request.header.X` or `$request.querystring.X`."""
    kind, _, name = source.removeprefix("$request.").partition(".")
    if kind == "header":
        # As in the event, a repeated header is joined by a comma, and so is not a token.
        return ",".join(value for sent, value in request.headers if sent == name.lower())
    return dict(reversed(parse_qsl(request.query))).get(name, "") if kind == "querystring" else ""


def _unauthorized(reason: str) -> Response:
    challenge = f'Bearer scope="" error="invalid_token" error_description="{reason}"' if reason else "Bearer"
    return Response.message(HTTPStatus.UNAUTHORIZED, www_authenticate=challenge)
