"""Routes: which one a request is for, what it names, and its parameters and body, read straight from the request.

FastAPI looks at each field of each parameter anew for each request, which takes several times as long as serving a page
from memory (``python -m bench.hot_path``). Here a route's parameters are looked at once. They are declared as always,
the OpenAPI document and the errors are the same.

The route is the one that API Gateway chose: ``routeKey`` and ``pathParameters`` are what was authorized, throttled and
logged. The path beside them is decoded once more or once less than they are, cut at an encoded ``?``, and begins with
the stage or whatever a domain is mapped by.
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
UNJUDGED: Final = "This route has no precondition of that name"
PRECONDITIONS: Final = ("if-match", "if-none-match")
"""Which a change that does not look at them must not pass over: it would be made all the same."""
ABSENT: Final = object()
"""Stands for a body that was not sent; ``null`` was."""
JSON: Final = "application/json"
UTF_8: Final = frozenset({"utf-8", "utf8"})
IDENTITY: Final = "identity"
_KIND: Final = re.compile(r"application/(?:[\w!#$&^.+-]+\+)?json", re.ASCII)
MISSING: Final = {"type": "missing", "loc": ("body",), "msg": "Field required"}
_BASE: Final = re.compile(r"(?:/[A-Za-z0-9$_.+!*'()~-]+)*")
"""What API Gateway lets a stage or an API mapping be called."""
Endpoint = Callable[..., Awaitable[Response]]
Answering = Callable[[Request], Awaitable[Response]]
Needed = tuple[str, Callable[..., Any], bool]
"""A dependency: the parameter's name, what to call, and whether it takes the request."""
Source = Callable[[Request], Any]
"""Where a parameter's value comes from; None where the request does not have it."""


# --- which route ---


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
    """What links to other routes begin with; ``RequestMiddleware`` has found it."""
    return str(request.scope["state"]["base_path"])


BasePath = Annotated[str, Depends(base_path)]


# --- its parameters ---


@dataclass(frozen=True, slots=True)
class Given:
    """A parameter that the request gives, to be validated."""

    name: str
    source: Source
    validate: Callable[[Any], Any]
    location: tuple[str, ...]
    default: Any


class FastRoute(APIRoute):
    """A route for ``async`` endpoints that return a ``Response``.

    A parameter is a dependency of at most the request, a model of the query, a header, the body's one model, or else
    part of the path.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - FastAPI's
        super().__init__(*arguments, **options)
        self._taken = frozenset(self.methods or ())
        self.app = _app(self._answering())
        if not self.dependant.query_params:
            self.app = _without_query(self.app)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether API Gateway chose this route; its parameters are those that it read from the path."""
        event = scope["aws.event"]
        if route_path(event) != self.path:
            return Match.NONE, {}
        found = {"endpoint": self.endpoint, "path_params": parameters_of(event), "route": self}
        return (Match.FULL if scope["method"] in self._taken else Match.PARTIAL), found

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request whose path is this route's.

        Raises:
            MethodNotAllowedError: its method is none of this path's in this function.
        """
        if scope["method"] not in self._taken:
            here = [route for route in scope["app"].routes if route.path == self.path]
            allowed = sorted(method for route in here for method in route.methods)
            raise MethodNotAllowedError(allowed=allowed)
        await self.app(scope, receive, send)

    def _answering(self) -> Answering:
        hints = get_type_hints(self.endpoint, include_extras=True)
        parameters = [(each, hints[each.name]) for each in signature(self.endpoint).parameters.values()]
        needed = [(each.name, *_dependency(hint)) for each, hint in parameters if _mark(hint, Depends)]
        body = self.body_field.name if self.body_field else None
        given = [
            _given(each, hint) for each, hint in parameters if not _mark(hint, Depends) and each.name != body
        ]
        is_reading = self._taken <= {"GET", "HEAD"}
        refused = [each for each in PRECONDITIONS if not is_reading and each not in _names(given)]
        return _answering(self.endpoint, needed, given, self.body_field, refused)


def _app(answering: Answering) -> ASGIApp:
    """Without FastAPI's exit stacks, as no dependency has anything to close; errors go to ``RequestMiddleware``."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        response = await answering(Request(scope, receive))
        await response(scope, receive, send)

    return app


def _without_query(app: ASGIApp) -> ASGIApp:
    """Refuses every query parameter, as a route that has some refuses those that it does not know."""

    async def without_query(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["query_string"] and (names := _query(Request(scope))):
            raise RequestValidationError([_wrong(name, "extra_forbidden", UNKNOWN) for name in names])
        await app(scope, receive, send)

    return without_query


def _answering(
    endpoint: Endpoint,
    needed: list[Needed],
    given: list[Given],
    body: ModelField | None,
    refused: list[str],
) -> Answering:
    async def handle(request: Request) -> Response:
        # What is no JSON is refused before anything else is looked at.
        sent = await read(request) if body else None
        values = await _resolved(needed, request)
        errors = _reserve(given, request, values)
        errors += [_unjudged(name) for name in refused if name in request.headers]
        if body:
            values[body.name], found = validated(sent, body)
            errors += found
        if errors:
            raise RequestValidationError(errors)
        return await endpoint(**values)

    return handle


async def _resolved(needed: list[Needed], request: Request) -> dict[str, Any]:
    """What the dependencies give, or what stands in for them."""
    values: dict[str, Any] = {}
    overrides = request.app.dependency_overrides
    for name, call, of_request in needed:
        call = overrides.get(call, call) if overrides else call  # noqa: PLW2901 - the one that stands in for it
        values[name] = await (call(request) if of_request else call())
    return values


def _reserve(given: list[Given], request: Request, values: dict[str, Any]) -> list[Any]:
    """Adds the parameters to the values; what is wrong with them."""
    errors: list[Any] = []
    for each in given:
        value = each.source(request)
        try:
            values[each.name] = each.default if value is None else each.validate(value)
        except ValidationError as error:
            found = error.errors(include_url=False)
            errors += [one | {"loc": (*each.location, *one["loc"])} for one in found]
    return errors


def _mark(hint: Any, kind: type) -> Any:  # noqa: ANN401 - what stands in an ``Annotated``
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


def _unjudged(header: str) -> dict[str, Any]:
    return {"type": "unjudged", "loc": ("header", header), "msg": UNJUDGED}


def _query(request: Request) -> dict[str, str]:
    """The parameters of the query.

    Raises:
        RequestValidationError: one of them is named twice, so that nobody could tell which counts.
    """
    pairs = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    found = dict(pairs)
    if len(found) < len(pairs):
        times = Counter(name for name, _ in pairs)
        twice = [name for name in found if times[name] > 1]
        raise RequestValidationError([_wrong(name, "repeated", REPEATED) for name in twice])
    return found


def _wrong(name: str, kind: str, message: str) -> dict[str, Any]:
    """A parameter of the query that is refused, as pydantic would say it."""
    return {"type": kind, "loc": ("query", name), "msg": message}


# --- its body ---


async def read(request: Request) -> Any:  # noqa: ANN401 - any JSON
    """The body's JSON; ``ABSENT`` if it is empty, whatever the headers say of it.

    Raises:
        UnsupportedMediaTypeError: the headers announce anything but JSON in UTF-8 as it is.
        MalformedRequestError: it is no JSON, or too deep or its numbers too long for Python.
    """
    raw = await request.body()
    if not raw:
        return ABSENT
    if (request.headers.get("content-encoding") or IDENTITY).strip().lower() != IDENTITY:
        detail = "A body is sent uncompressed."
        raise UnsupportedMediaTypeError(
            detail, errors=_of_header("content-encoding", detail), coding=IDENTITY
        )
    if not _is_json(request.headers.get("content-type", "")):
        detail = f"A body is sent as {JSON}, in UTF-8."
        raise UnsupportedMediaTypeError(detail, errors=_of_header("content-type", detail), media_type=JSON)
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise MalformedRequestError from None


def _of_header(name: str, detail: str) -> list[dict[str, str]]:
    return [{"field": f"header.{name}", "detail": detail}]


@lru_cache(maxsize=16)  # Nearly all clients send the same; bounded, as any may send what it likes.
def _is_json(content_type: str) -> bool:
    """Whether it is JSON's or one that is built on it (``+json``), and of no charset but UTF-8."""
    kind, *parameters = (part.strip().lower() for part in content_type.split(";"))
    named = [parameter.partition("=") for parameter in parameters]
    charsets = {value.strip('"') for name, _, value in named if name == "charset"}
    # API Gateway joins a doubled header by a comma.
    return _KIND.fullmatch(kind) is not None and charsets <= UTF_8 and "," not in content_type


def validated(given: Any, field: ModelField) -> tuple[Any, list[Any]]:  # noqa: ANN401 - any JSON
    """What the endpoint takes, and what is wrong with it, as pydantic says it."""
    if given is not ABSENT:
        return field.validate(given, loc=("body",))
    return (None, [MISSING]) if field.field_info.is_required() else (field.default, [])
