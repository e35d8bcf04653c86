"""Routes that read their parameters themselves, held against FastAPI's own."""

from __future__ import annotations

import json

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from shared.bootstrap import Services
from shared.web.app import create_app
from shared.web.routing import FastRoute
from tests.api import APPS, event
from tests.cases import case
from tests.shared.web.beside_fastapi import CHANNEL, handler_of, responses

QUERIES = [
    "",
    "limit=7",
    "limit=0",
    "limit=x",
    "limit=",
    "limit=1e2",
    "limit=%32",
    "before=3&after=4",
    "anchor=oldest",
    "anchor=Oldest",
    "unknown=1",
    "unknown=1&limit=101&before=0",
    "after=-1&around=x",
    "&&=&",
    "a+b=c%20d",
    "limit=%ff",
]
HEADERS: list[dict[str, str]] = [
    {},
    {"if-none-match": 'W/"1.2"'},
    {"If-None-Match": ""},
    {"if_none_match": "x"},
]


def test_a_query_is_read_as_fastapi_reads_it(services: Services) -> None:
    """The same values or the same problem document for any query."""
    for path in [f"/v1/channels/{CHANNEL}/messages", "/v1/channels"]:
        with case(path):
            for query in QUERIES:
                with case(query):
                    ours, theirs = responses(services, event("GET", path) | {"rawQueryString": query})
                    assert ours == theirs
                    assert ours[0] in {200, 422}


def test_a_parameter_that_is_named_twice_is_refused(services: Services) -> None:
    """A doubled parameter is refused, though FastAPI would take the last value."""
    for query in ["limit=7&limit=8", "limit=7&limit=7", "limit=0&limit=7&before=1", "x&x"]:
        for path in [f"/v1/channels/{CHANNEL}/messages", "/v1/channels"]:
            with case(query, path):
                made = event("GET", path) | {"rawQueryString": query}
                given = handler_of(FastRoute, services)(made, None)  # type: ignore[arg-type]  # as above
                error = {
                    "field": f"query.{query[:5] if 'limit' in query else 'x'}",
                    "detail": "Given more than once",
                }
                assert (given["statusCode"], json.loads(given["body"])["errors"]) == (422, [error])


def test_headers_are_read_as_fastapi_reads_them(services: Services) -> None:
    """A header is found by its name in any case, with hyphens only; an absent one has its default."""
    for headers in HEADERS:
        with case(headers):
            ours, theirs = responses(
                services, event("GET", f"/v1/channels/{CHANNEL}/messages", headers=headers)
            )
            assert ours == theirs
            assert ours[0] == 200


@pytest.mark.parametrize(("user", "channel", "status"), [(None, "no-id", 401), ("ada", "no-id", 404)])
def test_dependencies_come_before_parameters(
    services: Services, user: str | None, channel: str, status: int
) -> None:
    """Without claims the path is not validated; an unknown channel is a 404 with any query."""
    made = event("GET", f"/v1/channels/{channel}/messages", user=user, query={"limit": 0})
    ours, theirs = responses(services, made)
    assert ours == theirs
    assert ours[0] == status


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_another_method_is_not_allowed(services: Services, method: str) -> None:
    """The route's methods are FastAPI's to check."""
    ours, theirs = responses(services, event(method, "/v1/channels"))
    assert ours == theirs
    assert ours[0] == 405


def test_every_app_has_direct_routes() -> None:
    """Functions need not ask for them."""
    app: FastAPI = create_app("test")
    assert app.router.route_class is FastRoute


def test_every_route_of_every_function_is_direct() -> None:
    """Also routes in a router of their own, which does not inherit the app's class of routes."""
    for app in APPS:
        with case(app):
            routes = [context.original_route for context in iter_route_contexts(app.routes)]
            assert routes
            assert all(isinstance(route, FastRoute) for route in routes)
