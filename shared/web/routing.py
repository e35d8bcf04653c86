"""Routing: finds a request's route and reads its parameters and body directly from the request.

FastAPI inspects each field of each parameter again for each request, which takes several times as long as serving a
page from memory (``python -m bench.hot_path``). Here a route's parameters are inspected once. They are declared as
usual, and the OpenAPI document and the errors are the same as FastAPI's.

The route is the one that API Gateway chose, because ``routeKey`` and ``pathParameters`` were authorized, throttled and
logged. The event's path is not reliable: it is decoded once more or once less, cut at an encoded ``?``, and begins with
the stage or the mapping of a custom domain.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Annotated, Any, Final, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.params import Depends, Header, Query
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.domain.errors import (
    MalformedRequestError,
    MethodNotAllowedError,
    RouteNotFoundError,
    UnsupportedMediaTypeError,
)

if TYPE_CHECKING:
    from fastapi._compat import ModelField

UNKNOWN: Final = "Extra inputs are not permitted"
REPEATED: Final = "Given more than once"
UNSUPPORTED_PRECONDITION: Final = "This route does not support this precondition"
PRECONDITIONS: Final = ("if-match", "if-none-match")
"""Refused by writes that do not support them: ignoring one would make a change that the client did not want."""
ABSENT: Final = object()
"""No body was sent, not even ``null``."""
JSON: Final = "application/json"
UTF_8: Final = frozenset({"utf-8", "utf8"})
IDENTITY: Final = "identity"
_KIND: Final = re.compile(r"application/(?:[\w!#$&^.+-]+\+)?json", re.ASCII)
MISSING: Final = {"type": "missing", "loc": ("body",), "msg": "Field required"}
_BASE: Final = re.compile(r"(?:/[A-Za-z0-9$_.+!*'()~-]+)*")
"""The names that API Gateway allows for stages and API mappings."""
Endpoint = Callable[..., Awaitable[Response]]
EndpointCaller = Callable[[Request], Awaitable[Response]]
Needed = tuple[str, Callable[..., Any], bool]
"""A dependency: the parameter's name, the function to call, and whether it takes the request."""
Source = Callable[[Request], Any]
"""Reads a parameter's value; None if the request does not have it."""


# --- which route ---


def route_path(event: dict[str, Any]) -> str:
    """The path of the event's route, such as ``/v1/channels/{channel_id}``; empty if it has none."""
    return str(event.get("routeKey", "")).partition(" ")[2]


def parameters_of(event: dict[str, Any]) -> dict[str, str]:
    """The decoded values of the route's path parameters."""
    return event.get("pathParameters") or {}


def find_base(event: dict[str, Any], path: str) -> str:
    """The part of the path before the route: ``/prod`` for a stage ``prod``, empty for ``$default``.

    Args:
        event: has the route and its parameters.
        path: the decoded path of the request.

    Raises:
        RouteNotFoundError: the path does not end with the route and its parameters.
    """
    given, wanted = parameters_of(event), route_path(event).split("/")
    named = "/".join(given.get(part[1:-1], "") if part[:1] == "{" else part for part in wanted)
    base = path.removesuffix(named)
    # A parameter with a slash would look like another route, which was not authorized.
    is_route = named and path.endswith(named) and named.count("/") == len(wanted) - 1
    if not is_route or not _BASE.fullmatch(base):
        raise RouteNotFoundError
    return base


async def base_path(request: Request) -> str:
    """The prefix of links to other routes; set by ``FastRoute``."""
    return str(request.scope["base_path"])


BasePath = Annotated[str, Depends(base_path)]


# --- its parameters ---


@dataclass(frozen=True, slots=True)
class Given:
    """A parameter that is read from the request and validated."""

    name: str
    source: Source
    validate: Callable[[Any], Any]
    location: tuple[str, ...]
    default: Any


class FastRoute(APIRoute):
    """A route for ``async`` endpoints that return a ``Response``.

    Each parameter is a dependency that takes the request or nothing, the model of the query, a header, the model of the
    body, or a path parameter.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - FastAPI's
        super().__init__(*arguments, **options)
        self._taken = frozenset(self.methods or ())
        self.app = _app(self._endpoint_caller())
        if not self.dependant.query_params:
            self.app = _without_query(self.app)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether API Gateway chose this route; the path parameters are API Gateway's too.

        Raises:
            RouteNotFoundError: it chose this route, and the path is another one's.
        """
        event = scope["aws.event"]
        if route_path(event) != self.path:
            return Match.NONE, {}
        found = {
            "endpoint": self.endpoint,
            "path_params": parameters_of(event),
            "base_path": find_base(event, scope["path"]),
            "route": self,
        }
        return (Match.FULL if scope["method"] in self._taken else Match.PARTIAL), found

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Runs the route.

        Raises:
            MethodNotAllowedError: the route does not accept the request's method.
        """
        if scope["method"] not in self._taken:
            here = [route for route in scope["app"].routes if route.path == self.path]
            allowed = sorted(method for route in here for method in route.methods)
            raise MethodNotAllowedError(allowed=allowed)
        await self.app(scope, receive, send)

    def _endpoint_caller(self) -> EndpointCaller:
        hints = get_type_hints(self.endpoint, include_extras=True)
        parameters = [(each, hints[each.name]) for each in signature(self.endpoint).parameters.values()]
        needed = [(each.name, *_dependency(hint)) for each, hint in parameters if _mark(hint, Depends)]
        body = self.body_field.name if self.body_field else None
        given = [
            _given(each, hint) for each, hint in parameters if not _mark(hint, Depends) and each.name != body
        ]
        is_reading = self._taken <= {"GET", "HEAD"}
        refused = [each for each in PRECONDITIONS if not is_reading and each not in _names(given)]
        return _endpoint_caller(self.endpoint, needed, given, self.body_field, refused)


def _app(call_endpoint: EndpointCaller) -> ASGIApp:
    """An ASGI app without FastAPI's exit stacks: no dependency needs closing. ``RequestMiddleware`` handles errors."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        response = await call_endpoint(Request(scope, receive))
        await response(scope, receive, send)

    return app


def _without_query(app: ASGIApp) -> ASGIApp:
    """Refuses all query parameters, as other routes refuse unknown ones."""

    async def without_query(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["query_string"] and (names := _query(Request(scope))):
            raise RequestValidationError([_wrong(name, "extra_forbidden", UNKNOWN) for name in names])
        await app(scope, receive, send)

    return without_query


def _endpoint_caller(
    endpoint: Endpoint,
    needed: list[Needed],
    given: list[Given],
    body: ModelField | None,
    refused: list[str],
) -> EndpointCaller:
    async def handle(request: Request) -> Response:
        # Invalid JSON is refused before anything else is read.
        sent = await read(request) if body else None
        values = await _resolved(needed, request)
        errors = _read_parameters(given, request, values)
        errors += [_unsupported(name) for name in refused if name in request.headers]
        if body:
            values[body.name], found = validated(sent, body)
            errors += found
        if errors:
            raise RequestValidationError(errors)
        return await endpoint(**values)

    return handle


async def _resolved(needed: list[Needed], request: Request) -> dict[str, Any]:
    """The values of the dependencies, or of their overrides."""
    values: dict[str, Any] = {}
    overrides = request.app.dependency_overrides
    for name, call, of_request in needed:
        call = overrides.get(call, call) if overrides else call  # noqa: PLW2901 - the override replaces it
        values[name] = await (call(request) if of_request else call())
    return values


def _read_parameters(given: list[Given], request: Request, values: dict[str, Any]) -> list[Any]:
    """Adds the parameters to ``values``; returns the errors."""
    errors: list[Any] = []
    for each in given:
        value = each.source(request)
        try:
            values[each.name] = each.default if value is None else each.validate(value)
        except ValidationError as error:
            found = error.errors(include_url=False)
            errors += [one | {"loc": (*each.location, *one["loc"])} for one in found]
    return errors


def _mark(hint: Any, kind: type) -> Any:  # noqa: ANN401 - an argument of ``Annotated``
    marks = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    return next((each for each in marks if isinstance(each, kind)), None)


def _dependency(hint: Any) -> tuple[Callable[..., Any], bool]:  # noqa: ANN401 - a type
    call = _mark(hint, Depends).dependency
    return call, bool(signature(call).parameters)


def _given(parameter: Parameter, hint: Any) -> Given:  # noqa: ANN401 - a type
    name, default = parameter.name, parameter.default
    validate = TypeAdapter(hint).validate_python
    if _mark(hint, Query):
        return Given(name, _query, validate, ("query",), default)
    if _mark(hint, Header):
        header = name.replace("_", "-")
        return Given(name, lambda request: request.headers.get(header), validate, ("header", header), default)
    return Given(name, lambda request: request.path_params[name], validate, ("path", name), default)


def _names(given: list[Given]) -> set[str]:
    return {each.location[-1] for each in given}


def _unsupported(header: str) -> dict[str, Any]:
    return {"type": "unsupported_precondition", "loc": ("header", header), "msg": UNSUPPORTED_PRECONDITION}


def _query(request: Request) -> dict[str, str]:
    """The parameters of the query.

    Raises:
        RequestValidationError: a parameter is given twice, so that it is ambiguous.
    """
    pairs = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    found = dict(pairs)
    if len(found) < len(pairs):
        times = Counter(name for name, _ in pairs)
        twice = [name for name in found if times[name] > 1]
        raise RequestValidationError([_wrong(name, "repeated", REPEATED) for name in twice])
    return found


def _wrong(name: str, kind: str, message: str) -> dict[str, Any]:
    """An error of a query parameter, in pydantic's format."""
    return {"type": kind, "loc": ("query", name), "msg": message}


# --- its body ---


async def read(request: Request) -> Any:  # noqa: ANN401 - any JSON
    """The body's JSON; ``ABSENT`` if it is empty, whatever its headers.

    Raises:
        UnsupportedMediaTypeError: the headers announce anything but uncompressed JSON in UTF-8.
        MalformedRequestError: the body is not JSON, or is nested too deeply or has too long numbers for Python.
    """
    raw = await request.body()
    if not raw:
        return ABSENT
    if (request.headers.get("content-encoding") or IDENTITY).strip().lower() != IDENTITY:
        detail = "The body must be sent uncompressed."
        raise UnsupportedMediaTypeError(
            detail, errors=_of_header("content-encoding", detail), coding=IDENTITY
        )
    if not _is_json(request.headers.get("content-type", "")):
        detail = f"The body must be sent as {JSON}, in UTF-8."
        raise UnsupportedMediaTypeError(detail, errors=_of_header("content-type", detail), media_type=JSON)
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise MalformedRequestError from None


def _of_header(name: str, detail: str) -> list[dict[str, str]]:
    return [{"field": f"header.{name}", "detail": detail}]


@lru_cache(maxsize=16)  # Most clients send the same value; bounded, as clients may send any.
def _is_json(content_type: str) -> bool:
    """Whether the media type is JSON or based on it (``+json``), and the charset UTF-8 or absent."""
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    named = [parameter.partition("=") for parameter in parameters]
    charsets = {value.strip('"') for name, _, value in named if name == "charset"}
    # API Gateway joins repeated headers with a comma.
    return _KIND.fullmatch(kind) is not None and charsets <= UTF_8 and "," not in content_type


def validated(given: Any, field: ModelField) -> tuple[Any, list[Any]]:  # noqa: ANN401 - any JSON
    """The endpoint's argument, and the errors in pydantic's format."""
    if given is not ABSENT:
        return field.validate(given, loc=("body",))
    return (None, [MISSING]) if field.field_info.is_required() else (field.default, [])
