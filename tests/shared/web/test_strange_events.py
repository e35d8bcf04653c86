"""A function responds to any event: with missing, doubled or hostile fields, or of another service."""

from __future__ import annotations

import base64
import io
import json
import logging
import tracemalloc
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shared.observability.telemetry import logger
from shared.settings import SERVICE
from shared.web.middleware import MAX_BODY
from shared.web.problems import MAX_FIELD
from tests.api import APPS, Response, app_of, event
from tests.cases import case
from tests.functions.chat import messages
from tests.functions.refusals import (
    BODIES,
    ROUTES,
    WITH_CHANNEL,
    Route,
    assert_problem,
    assert_refused,
    named,
)

if TYPE_CHECKING:
    from fastapi import FastAPI

    from tests.api import Api
    from tests.functions.chat import Chat

SHARED: Final = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
CANARY: Final = "canary-7f3a"
CHANNEL: Final = "0" * 16


def answered(api: Api, app: FastAPI, made: Any) -> tuple[Response, dict[str, Any]]:
    """A function's response, checked for API Gateway and for leaks of the body, and its one log line."""
    stream = io.StringIO()
    handler, budgie = logging.StreamHandler(stream), logging.getLogger(SERVICE)
    handler.setFormatter(logger().handlers[0].formatter)
    budgie.addHandler(handler)
    try:
        result = api.result(app, made)
    finally:
        budgie.removeHandler(handler)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert type(result["statusCode"]) is int
    assert type(result["body"]) is str
    assert all(type(each) is str for header in result["headers"].items() for each in header)
    assert CANARY not in str(result) + stream.getvalue()
    [line] = stream.getvalue().encode().splitlines()
    response = Response(result["statusCode"], result["headers"], result["body"])
    if response.status >= 400:
        assert_problem(response)
    return response, json.loads(line)


# --- no event of ours ---

STRANGERS: dict[str, Any] = {
    "nothing": None,
    "an empty object": {},
    "an array": [],
    "a text": "warm-up",
    "a number": 7,
    "a ping": {"source": "serverless-plugin-warmup"},
    "a schedule": {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}, "version": "0"},
    "a queue": {"Records": [{"eventSource": "aws:sqs", "body": CANARY}]},
    "a REST API": {
        "resource": "/v1/channels",
        "path": "/v1/channels",
        "httpMethod": "GET",
        "headers": None,
        "requestContext": {"requestId": "r", "identity": {"sourceIp": "192.0.2.1"}},
        "body": CANARY,
    },
    "payload format 1.0": {"version": "1.0", "httpMethod": "GET", "path": "/", "requestContext": {}},
    "a load balancer": {
        "requestContext": {"elb": {"targetGroupArn": "x"}},
        "httpMethod": "GET",
        "path": "/",
        "headers": {},
    },
    "a CDN": {"Records": [{"cf": {"request": {"method": "GET", "uri": "/", "headers": {}}}}]},
    "a websocket": {"requestContext": {"routeKey": "$connect", "eventType": "CONNECT"}, "version": "2.0"},
    "a nested bomb": {"version": "2.0", "requestContext": {"http": {"http": {"http": []}}}},
}


def test_what_is_no_event_of_ours_is_a_400_and_one_line(api: Api) -> None:
    """A ping, another service's event, another payload format: a problem document, one log line, no exception."""
    for app in APPS:
        with case(app):
            for stranger in STRANGERS.values():
                with case(stranger):
                    response, line = answered(api, app, stranger)
                    problem = assert_refused(response, 400, "malformed_request")
                    assert ("HTTP API" in problem["detail"], problem["request_id"]) == (True, "none")
                    assert (line["message"], line["status"], line["code"]) == (
                        "request",
                        400,
                        "malformed_request",
                    )


# --- fields that are not what they should be ---

PLACES: Final = [
    ("version",),
    ("routeKey",),
    ("rawPath",),
    ("rawQueryString",),
    ("cookies",),
    ("headers",),
    ("headers", "content-type"),
    ("headers", "host"),
    ("headers", "Content-Type"),
    ("headers", "x-forwarded-port"),
    ("headers", "x-request-id"),
    ("headers", "x-amzn-trace-id"),
    ("headers", "idempotency-key"),
    ("headers", "Idempotency-KEY"),
    ("headers", "if-none-match"),
    ("queryStringParameters",),
    ("pathParameters",),
    ("requestContext",),
    ("requestContext", "requestId"),
    ("requestContext", "http"),
    ("requestContext", "http", "method"),
    ("requestContext", "http", "path"),
    ("requestContext", "http", "sourceIp"),
    ("requestContext", "authorizer"),
    ("requestContext", "authorizer", "jwt"),
    ("requestContext", "authorizer", "jwt", "claims"),
    ("requestContext", "authorizer", "jwt", "claims", "sub"),
    ("body",),
    ("isBase64Encoded",),
]
TEXT = st.text(st.characters(exclude_categories=()), max_size=12)
ADDRESSES: Final = (
    *(
        "%00",
        "%2f",
        "%2F..%2f",
        "%",
        "%zz",
        "%ff",
        "%ed%a0%80",
        "/v1/channels\n",
        "/v1/channels/%00/messages",
    ),
    *("a=1&a=2", "&&=;", "a:b:c", "[::1]:8"),
)
HOSTILE = st.sampled_from(["", "\x00", "\ud800", "YQ", "2.0", "1.0", "GET", "get", "x" * 9_000, *ADDRESSES])
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
    | HOSTILE,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT | HOSTILE, inner, max_size=3),
    max_leaves=6,
)
ABSENT: Final = "absent"
CHANGES = st.lists(st.tuples(st.sampled_from(PLACES), ANYTHING | st.just(ABSENT)), min_size=1, max_size=3)


def changed(made: dict[str, Any], place: tuple[str, ...], value: Any) -> None:
    """Puts a value somewhere into an event, or takes away what is there."""
    *parents, name = place
    found: Any = made
    for each in parents:
        found = found.get(each) if isinstance(found, dict) else None
    if isinstance(found, dict):
        if value == ABSENT:
            found.pop(name, None)
        else:
            found[name] = deepcopy(value)


@settings(max_examples=600, deadline=None, suppress_health_check=SHARED)
@given(route=st.sampled_from(ROUTES), changes=CHANGES)
@example(route=named("post_message"), changes=[(("headers",), ABSENT)])
@example(route=named("post_message"), changes=[(("headers",), None)])
@example(route=named("post_message"), changes=[(("headers", "host"), "a:b:c")])
@example(route=named("post_message"), changes=[(("headers", "x-forwarded-port"), "x")])
@example(route=named("post_message"), changes=[(("body",), 0)])
@example(route=named("post_message"), changes=[(("body",), ["a"])])
@example(route=named("post_message"), changes=[(("isBase64Encoded",), "yes")])
@example(route=named("list_channels"), changes=[(("requestContext", "requestId"), "a\r\nset-cookie: x")])
@example(route=named("list_channels"), changes=[(("requestContext", "requestId"), ["\ud800"])])
@example(
    route=named("list_channels"), changes=[(("requestContext", "authorizer", "jwt", "claims"), ["a"] * 9)]
)
@example(route=named("list_channels"), changes=[(("requestContext", "authorizer"), 7)])
@example(route=named("list_channels"), changes=[(("routeKey",), "\ud800")])
@example(
    route=named("get_channel"), changes=[(("requestContext", "http", "path"), "/v1/channels/%00%2f%ff%")]
)
@example(route=named("get_channel"), changes=[(("requestContext", "http", "path"), "/v1/channels/\ud800")])
@example(route=named("get_channel"), changes=[(("requestContext", "http", "method"), ["GET"])])
@example(route=named("fetch_messages"), changes=[(("rawQueryString",), "limit=1&limit=2&limit=%ff")])
@example(route=named("fetch_messages"), changes=[(("cookies",), {"a": 1})])
def test_no_field_of_an_event_is_a_crash(
    chat: Chat, route: Route, changes: list[tuple[tuple[str, ...], Any]]
) -> None:
    """Missing, mistyped and hostile fields get a well-formed response and one log line."""
    made = event(route.method, route.path(CHANNEL), body=json.dumps({"secret": CANARY}))
    for place, value in changes:
        changed(made, place, value)
    response, line = answered(chat.api, app_of(route.method, route.path(CHANNEL)), made)
    assert line["status"] == response.status


def test_a_path_that_names_no_channel_is_not_logged(chat: Chat) -> None:
    """What a client writes in an id's place stays out of the log; an id that could be one is in it."""
    for route in WITH_CHANNEL:
        with case(route):
            made = event(route.method, route.path(CHANNEL), body=route.body)
            app = app_of(route.method, route.path(CHANNEL))
            assert answered(chat.api, app, made)[1]["channel"] == CHANNEL
            made["requestContext"]["http"]["path"] = route.path(CANARY)
            response, line = answered(chat.api, app, made)
            assert (response.status, "channel" in line) == (404, False)


def test_header_names_have_no_case(chat: Chat) -> None:
    """A header is found however its name is written."""
    for name in ["Idempotency-Key", "IDEMPOTENCY-KEY", "idempotency-key"]:
        with case(name):
            channel = chat.channel()
            headers = {name: "k"}
            first, again = (
                chat.api("POST", messages(channel), body={"text": "a"}, headers=headers) for _ in range(2)
            )
            assert (first.status, first.body) == (again.status, again.body)
            assert again.headers["idempotency-replayed"] == "true"


# --- bodies ---

LARGE = {
    "text": '"' + "x" * 10_000_000 + '"',
    "an object": '{"text":"' + "x" * 10_000_000 + '"}',
    "arrays in arrays": "[" * 10_000_000,
    "base64": base64.b64encode(b'{"text":"' + b"x" * 7_000_000 + b'"}').decode(),
    "no base64": "é" * 10_000_000,
}


@pytest.mark.parametrize(
    ("route", "body"),
    [*((BODIES[0], body) for body in LARGE), *((route, "text") for route in BODIES[1:])],
    ids=str,
)
def test_ten_megabytes_are_refused_before_they_are_read(chat: Chat, route: Route, body: str) -> None:
    """A body larger than any valid one is a 413, and costs a few times its size in memory at most."""
    body = LARGE[body]
    made = event(route.method, route.path(chat.channel()), body=body)
    made["isBase64Encoded"] = not body.startswith(("{", "[", '"'))
    assert len(body) > MAX_BODY
    tracemalloc.start()
    response, _ = answered(chat.api, app_of(route.method, route.path(CHANNEL)), made)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert_refused(response, 413, "payload_too_large")
    assert peak < 4 * len(body.encode())


ODD: Final = {
    "NaN": '{"text":"canary-7f3a","metadata":{"a":NaN}}',
    "an infinite number": '{"text":"canary-7f3a","metadata":{"a":1e999}}',
    "minus infinity": '{"last_read_seq":-1e999,"secret":"canary-7f3a"}',
    "a lone surrogate": '{"text":"canary-7f3a\\ud800"}',
    "a null byte": '{"text":"canary-7f3a\\u0000"}',
    "a raw null byte": '{"text":"canary-7f3a\x00"}',
    "a deep object": '{"text":"canary-7f3a","metadata":' + '{"a":' * 900 + "1" + "}" * 901,
    "deeper than the stack": '{"text":"canary-7f3a","metadata":' + '{"a":' * 90_000 + "1" + "}" * 90_001,
    "many digits": '{"text":"canary-7f3a","metadata":{"a":' + "9" * 9_000 + "}}",
    "a wrong type": '{"text":["canary-7f3a"],"kind":["canary-7f3a"],"role":["canary-7f3a"],"last_read_seq":"x"}',
}


def test_odd_json_is_refused_unquoted(chat: Chat) -> None:
    """JSON that only Python accepts, or that is no text, is refused, and the response does not repeat it."""
    for route in BODIES:
        with case(route):
            for body in ODD.values():
                with case(body):
                    channel = chat.channel()
                    made = event(route.method, route.path(channel), body=body)
                    response, _ = answered(chat.api, app_of(route.method, route.path(channel)), made)
                    assert response.status in {400, 422}, response.body


def test_the_name_of_an_unknown_field_is_cut_in_the_error(chat: Chat) -> None:
    """The error names an unknown field, cut to a maximum length."""
    body = {"text": "a", "x" * 900_000: 1, "y" * 900_000: 1}
    problem = assert_refused(chat.api("POST", messages(chat.channel()), body=body), 422)
    assert [error["field"] for error in problem["errors"]] == [
        f"body.{letter * (MAX_FIELD - 5)}" for letter in "xy"
    ]


def test_the_last_of_doubled_keys_counts(chat: Chat) -> None:
    """A body that names a field twice is what Python makes of it, for the checks as for what is stored."""
    channel = chat.channel()
    response = chat.api("POST", messages(channel), body='{"text":"","text":"b"}')
    assert (response.status, response.json["text"]) == (201, "b")
    refused = chat.api("POST", messages(channel), body='{"text":"b","text":""}')
    assert_refused(refused, 422, "validation_failed")
