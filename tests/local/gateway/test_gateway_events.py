"""Events, as API Gateway documents them. No sockets."""

import base64
import json
import re
from typing import Any

import pytest

from local.gateway import events
from local.gateway.wire import Request
from local.template.load import Route

HOST = ("host", "api.example.com:8080")


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


def event(
    request: Request,
    parameters: dict[str, str] | None = None,
    claims: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The event of a request."""
    taken = route("POST", "/my/{id}")
    return events.build(request, taken, parameters or {}, request_id="id=", claims=claims, port=8080)


def test_event_has_the_documented_shape() -> None:
    """Every key of AWS's example for format 2.0 is there, except those for certificates and stage variables."""
    request = Request(
        "POST",
        "/my/path?parameter1=value1&parameter1=value2&parameter2=value",
        headers=(
            HOST,
            ("header1", "value1"),
            ("header2", "value1"),
            ("header2", "value2"),
            ("cookie", "cookie1; cookie2"),
            ("user-agent", "agent"),
            ("content-type", "application/json"),
        ),
        body=b"Hello from Lambda",
        source_ip="192.0.2.1",
    )
    built = event(request, {"id": "path"}, {"claim1": "value1"})
    context, headers = built.pop("requestContext"), built.pop("headers")
    assert built == {
        "version": "2.0",
        "routeKey": "POST /my/{id}",
        "rawPath": "/my/path",
        "rawQueryString": "parameter1=value1&parameter1=value2&parameter2=value",
        "cookies": ["cookie1", "cookie2"],
        "queryStringParameters": {"parameter1": "value1,value2", "parameter2": "value"},
        "pathParameters": {"id": "path"},
        "body": "Hello from Lambda",
        "isBase64Encoded": False,
    }
    assert headers | {"x-amzn-trace-id": ""} == {
        "host": "api.example.com:8080",
        "header1": "value1",
        "header2": "value1,value2",
        "user-agent": "agent",
        "content-type": "application/json",
        "content-length": "17",
        "x-forwarded-for": "192.0.2.1",
        "x-forwarded-port": "8080",
        "x-forwarded-proto": "http",
        "x-amzn-trace-id": "",
    }
    assert re.fullmatch(r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000", context.pop("time"))
    assert isinstance(context.pop("timeEpoch"), int)
    assert context == {
        "accountId": "123456789012",
        "apiId": "local",
        "authorizer": {"jwt": {"claims": {"claim1": "value1"}, "scopes": None}},
        "domainName": "api.example.com",
        "domainPrefix": "api",
        "http": {
            "method": "POST",
            "path": "/my/path",
            "protocol": "HTTP/1.1",
            "sourceIp": "192.0.2.1",
            "userAgent": "agent",
        },
        "requestId": "id=",
        "routeKey": "POST /my/{id}",
        "stage": "$default",
    }


def test_event_leaves_out_what_is_empty() -> None:
    """Without query, cookies, parameters, body or authorizer their keys are missing, as on AWS."""
    bare = event(Request("GET", "/", headers=(HOST,)))
    assert not {"queryStringParameters", "cookies", "pathParameters", "body"} & set(bare)
    assert (bare["rawQueryString"], bare["isBase64Encoded"]) == ("", False)
    assert "authorizer" not in bare["requestContext"]
    assert bare["headers"]["content-length"] == "0"


def test_claims_are_text() -> None:
    """Numbers, booleans, lists and objects become text; null is left out, and scopes are null."""
    claims = {
        "n": 1612061676,
        "f": 1.5,
        "t": True,
        "l": ["a", "b", 3],
        "o": {"k": [1]},
        "z": None,
        "e": [],
        "s": "ü",
    }
    built = event(Request("GET", "/", headers=(HOST,)), claims=claims)["requestContext"]["authorizer"]["jwt"]
    assert built["claims"] == {
        "n": "1612061676",
        "f": "1.5",
        "t": "true",
        "l": "[a b 3]",
        "o": '{"k":[1]}',
        "e": "[]",
        "s": "ü",
    }


@pytest.mark.parametrize(
    ("query", "parameters"),
    [
        ("a=1&b=2&a=3", {"a": "1,3", "b": "2"}),
        ("a", {"a": ""}),
        ("a=&a", {"a": ","}),
        ("a=x+y%20z%2C&A=1", {"a": "x y z,", "A": "1"}),
        ("colors[]=blue&colors[]=red", {"colors[]": "blue,red"}),
        ("a=1;b=2", {"a": "1;b=2"}),
        ("a=%FF%zz", {"a": "\ufffd%zz"}),
    ],
)
def test_query_parameters(query: str, parameters: dict[str, str]) -> None:
    """Parameters are decoded, repeated ones are joined by commas; the raw string is unchanged."""
    built = event(Request("GET", f"/?{query}", headers=(HOST,)))
    assert built["queryStringParameters"] == parameters
    assert built["rawQueryString"] == query


@pytest.mark.parametrize(
    ("path", "raw_path"),
    [
        ("/a%20b/%C3%A4", "/a b/ä"),
        ("/a%2Fb", "/a/b"),
        ("/a%3Fb/c", "/a"),
        ("/a+b//", "/a+b//"),
        ("/%zz", "/%zz"),
    ],
)
def test_raw_path_is_decoded(path: str, raw_path: str) -> None:
    """`rawPath` is decoded, and cut at an encoded question mark, as AWS was seen to do."""
    built = event(Request("GET", path, headers=(HOST,)))
    assert built["rawPath"] == built["requestContext"]["http"]["path"] == raw_path


@pytest.mark.parametrize(
    ("kind", "body", "encoded"),
    [
        ("application/json", b'{"a":1}', False),
        ("Application/JSON; charset=utf-8", "ü".encode(), False),
        ("text/plain", b"x", False),
        ("application/xml", b"<a/>", False),
        ("application/octet-stream", b"x", True),
        ("application/x-www-form-urlencoded", b"a=1", True),
        ("application/problem+json", b"{}", True),
        ("text/plain", b"\xff", True),
        (None, b"x", True),
        (None, b"", False),
    ],
)
def test_bodies_are_text_or_base64(kind: str | None, body: bytes, encoded: bool) -> None:  # noqa: FBT001  # a case
    """Text types come as text, everything else in base64, and nothing is lost."""
    headers = (HOST,) if kind is None else (HOST, ("content-type", kind))
    built = event(Request("POST", "/", headers=headers, body=body))
    text = built.get("body", "")
    assert built["isBase64Encoded"] is encoded
    assert (base64.b64decode(text) if encoded else text.encode()) == body
    json.dumps(built)


def test_headers_of_the_connection_are_not_passed_on() -> None:
    """Hop-by-hop headers are dropped, the client's forwarding list is continued, and the rest is ours."""
    sent = (
        HOST,
        ("connection", "keep-alive"),
        ("transfer-encoding", "chunked"),
        ("x-forwarded-for", "203.0.113.9"),
        ("x-forwarded-proto", "gopher"),
        ("x-amzn-trace-id", "Root=1-a-b"),
    )
    headers = event(Request("POST", "/", headers=sent, body=b"abc"))["headers"]
    assert headers == {
        "host": "api.example.com:8080",
        "content-length": "3",
        "x-forwarded-for": "203.0.113.9, 127.0.0.1",
        "x-forwarded-port": "8080",
        "x-forwarded-proto": "http",
        "x-amzn-trace-id": "Root=1-a-b",
    }


def test_request_ids_look_like_those_of_aws() -> None:
    """Request ids have 16 characters, end with an equals sign, and are unique."""
    made = {events.new_request_id() for _ in range(1000)}
    assert len(made) == 1000
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{15}=", one) for one in made)
