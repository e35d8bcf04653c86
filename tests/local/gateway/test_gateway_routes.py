"""Routes, results and CORS, as API Gateway documents them. No sockets."""

import pytest

from local.gateway import cors
from local.gateway.results import MalformedResultError, to_answer
from local.gateway.routing import Routes
from local.gateway.wire import Request
from local.template.load import Cors, Route


def route(method: str, path: str) -> Route:
    """A route without a function."""
    return Route(
        method=method,
        path=path,
        function="Function",
        handler="box.handler",
        authorized=True,
        timeout=3,
        memory=128,
    )


ROUTES = Routes(
    [
        route("ANY", "$default"),
        route("GET", "/pets/{proxy+}"),
        route("GET", "/pets/{id}"),
        route("ANY", "/pets/{id}"),
        route("GET", "/pets/dog"),
        route("GET", "/pets/dog/{toy}"),
        route("GET", "/pets/{id}/toys"),
    ]
)


@pytest.mark.parametrize(
    ("method", "path", "key", "parameters"),
    [
        ("GET", "/pets/dog", "GET /pets/dog", {}),
        ("GET", "/pets/%64og", "GET /pets/dog", {}),
        ("GET", "/pets/6", "GET /pets/{id}", {"id": "6"}),
        ("GET", "/pets/a%2Fb%20%C3%A4%3F", "GET /pets/{id}", {"id": "a/b ä?"}),
        ("POST", "/pets/dog", "ANY /pets/{id}", {"id": "dog"}),
        ("GET", "/pets/dog/toys", "GET /pets/dog/{toy}", {"toy": "toys"}),
        ("GET", "/pets/cat/toys", "GET /pets/{id}/toys", {"id": "cat"}),
        ("GET", "/pets/cat/toys/1", "GET /pets/{proxy+}", {"proxy": "cat/toys/1"}),
        ("GET", "/pets", "$default", {}),
        ("DELETE", "/pets/cat/toys", "$default", {}),
    ],
)
def test_most_specific_route_is_taken(method: str, path: str, key: str, parameters: dict[str, str]) -> None:
    """Literals precede parameters, those precede greedy ones, and `$default` takes the rest."""
    matched = ROUTES.match(method, path)
    assert matched is not None
    assert (matched[0].key, matched[1]) == (key, parameters)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/a"),
        ("HEAD", "/v1/a"),
        ("GET", "/v1/a/"),
        ("GET", "/v1/"),
        ("GET", "/v1//a"),
        ("GET", "*"),
        ("get", "/v1/a"),
    ],
)
def test_other_requests_have_no_route(method: str, path: str) -> None:
    """Another method, an additional slash or an empty segment does not match the route."""
    assert Routes([route("GET", "/v1/{id}")]).match(method, path) is None


@pytest.mark.parametrize(
    ("result", "status", "body", "kind"),
    [
        ({"message": "hi"}, 200, b'{"message": "hi"}', "application/json"),
        ("hi", 200, b"hi", "application/json"),
        (None, 200, b"null", "application/json"),
        ({"statusCode": 201}, 201, b"", "text/plain; charset=utf-8"),
        ({"statusCode": "202", "body": "ü"}, 202, "ü".encode(), "text/plain; charset=utf-8"),
        ({"statusCode": 200, "headers": {"Content-Type": "a/b"}, "body": "x"}, 200, b"x", "a/b"),
        (
            {"statusCode": 200, "body": "AP8=", "isBase64Encoded": True},
            200,
            b"\x00\xff",
            "text/plain; charset=utf-8",
        ),
    ],
)
def test_results_become_answers(result: object, status: int, body: bytes, kind: str) -> None:
    """A result with a status is the response; any other JSON is the body of a 200."""
    response = to_answer(result)
    assert (response.status, response.body, dict(response.headers)["content-type"]) == (status, body, kind)


def test_answers_keep_cookies_and_drop_what_is_not_theirs() -> None:
    """Each cookie becomes a header; the function's CORS and connection headers are dropped."""
    result = {
        "statusCode": 200,
        "headers": {
            "X-N": 1,
            "X-T": True,
            "Access-Control-Allow-Origin": "*",
            "Content-Length": "9",
            "Connection": "x",
        },
        "cookies": ["a=1; Secure", "b=2"],
    }
    assert to_answer(result).headers == (
        ("x-n", "1"),
        ("x-t", "true"),
        ("content-type", "text/plain; charset=utf-8"),
        ("set-cookie", "a=1; Secure"),
        ("set-cookie", "b=2"),
    )


@pytest.mark.parametrize(
    "result",
    [
        {"statusCode": "abc"},
        {"statusCode": None},
        {"statusCode": True},
        {"statusCode": 99},
        {"statusCode": 100},
        {"statusCode": 600},
        {"statusCode": 200.5},
        {"statusCode": 200, "headers": [1]},
        {"statusCode": 200, "headers": {"a": {"b": 1}}},
        {"statusCode": 200, "headers": {"a": "b\r\nc: d"}},
        {"statusCode": 200, "headers": {"a b": "c"}},
        {"statusCode": 200, "headers": {"a": "\u2603"}},
        {"statusCode": 200, "cookies": "a=1"},
        {"statusCode": 200, "body": {"a": 1}},
        {"statusCode": 200, "body": "%", "isBase64Encoded": True},
    ],
)
def test_malformed_results_are_refused(result: object) -> None:
    """An invalid status, header, cookie or body is an error of the function."""
    with pytest.raises(MalformedResultError):
        to_answer(result)


CORS = Cors(("https://app.example", "http://*"), ("GET", "POST"), ("Authorization",), ("ETag", "Link"), 60)


def asking(origin: str, method: str = "POST") -> Request:
    """A preflight."""
    return Request("OPTIONS", "/", headers=(("origin", origin), ("access-control-request-method", method)))


def test_preflight_of_an_allowed_origin() -> None:
    """A preflight's response has the origin, methods, headers and its lifetime."""
    assert dict(cors.preflight_headers(CORS, asking("https://app.example"))) == {
        "access-control-allow-origin": "https://app.example",
        "access-control-allow-methods": "GET,POST",
        "access-control-allow-headers": "Authorization",
        "access-control-max-age": "60",
    }


def test_preflight_of_others() -> None:
    """An origin or a method that is not allowed gets no headers."""
    for request in (
        asking("https://evil.example"),
        asking("https://app.example.evil"),
        asking("https://app.example", "PUT"),
    ):
        assert cors.preflight_headers(CORS, request) == ()


def test_actual_answers_name_the_origin() -> None:
    """An allowed origin, or one of an allowed scheme, is named with the headers that scripts may read."""
    for origin in ("https://app.example", "http://anything:8000"):
        assert dict(cors.answer_headers(CORS, Request("GET", "/", headers=(("origin", origin),)))) == {
            "access-control-allow-origin": origin,
            "access-control-expose-headers": "ETag,Link",
        }
    assert cors.answer_headers(CORS, Request("GET", "/", headers=(("origin", "null"),))) == ()
    assert cors.answer_headers(CORS, Request("GET", "/")) == ()


def test_every_origin_is_a_star() -> None:
    """If all origins are allowed the header is a star, with credentials if they are configured."""
    everything = Cors(("*",), ("*",), allow_credentials=True)
    assert cors.preflight_headers(everything, asking("https://x.example", "PUT")) == (
        ("access-control-allow-origin", "*"),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "*"),
    )
