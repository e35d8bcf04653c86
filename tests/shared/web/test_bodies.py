"""Bodies that direct routes read themselves, held against FastAPI's own."""

from __future__ import annotations

import json
from base64 import b64encode

from shared.bootstrap import Services
from shared.web.routing import FastRoute
from tests.api import event
from tests.cases import case
from tests.shared.web.beside_fastapi import CHANNEL, handler_of, responses

BODIES = [
    "",
    "null",
    "1",
    "[]",
    '"x"',
    "NaN",
    "{}",
    '{"last_read_seq":3}',
    '{"last_read_seq":"3","force":1,"x":[]}',
    '{"last_read_seq":3.0,"force":true}',
    '{"text":"Hello"}',
    '{"text":"","client_message_id":"a b","metadata":[],"sender":"eve"}',
    '{"text":"\\ud800"}',
    '{"text":"a","text":"b"}',
    '{"messages":[{"text":"a"},{"text":1},{"metadata":{}}],"text":"c"}',
    '{"messages":[{"text":"a","metadata":{"b":[1.5,null]}}]}',
    '{"role":"owner"}',
    '{"role":"Owner"}',
    '{"role":null}',
]
KINDS = [
    "",
    "application/json",
    "Application/JSON; charset=utf-8",
    "application/problem+json",
    "application/x-json",
    "application",
    "text/json",
    "json",
    "application/json, text/plain",
    ' application/json;x="y"',
    "\x7f",
    "é",
]
WITH_BODY = [("PUT", "read"), ("POST", "messages"), ("PUT", "members/grace")]


def test_a_body_is_read_as_fastapi_reads_it(services: Services) -> None:
    """The same values or the same problem document for any JSON and for no body."""
    for method, path in WITH_BODY:
        with case(method, path):
            for body in BODIES:
                with case(body):
                    ours, theirs = responses(
                        services, event(method, f"/v1/channels/{CHANNEL}/{path}", body=body)
                    )
                    assert ours == theirs
                    assert ours[0] in {200, 422}


def test_a_body_is_json_where_fastapi_takes_it_for_json(services: Services) -> None:
    """The type that announces the body decides, in any case and with any parameter; what is not JSON's is 415."""
    for method, path in WITH_BODY:
        with case(method, path):
            for kind in KINDS:
                with case(kind):
                    made = event(
                        method,
                        f"/v1/channels/{CHANNEL}/{path}",
                        body='{"x":1}',
                        headers={"content-type": kind},
                    )
                    ours, theirs = responses(services, made)
                    is_json = theirs[1]["errors"][-1]["detail"] == "Extra inputs are not permitted"
                    assert (ours == theirs) is is_json
                    assert ours[0] == (422 if is_json else 415)
                    del made["headers"]["content-type"]
                    assert responses(services, made)[0][0] == 415


def test_a_body_in_base64_is_read_as_fastapi_reads_it(services: Services) -> None:
    """Also behind a byte order mark."""
    for method, path in WITH_BODY:
        for body in [b"{}", '{"text":"é"}'.encode(), b"\xef\xbb\xbf{}"]:
            with case(method, path, body):
                made = event(method, f"/v1/channels/{CHANNEL}/{path}", body=b64encode(body).decode())
                ours, theirs = responses(services, made | {"isBase64Encoded": True})
                assert ours == theirs


def test_a_path_a_header_and_a_body_are_refused_together(services: Services) -> None:
    """Errors come in FastAPI's order, the body's last; an unknown channel comes before them."""
    for channel in [CHANNEL, "no-id"]:
        for key in ["", "a b", "x" * 256, "key"]:
            with case(channel, key):
                made = event(
                    "POST",
                    f"/v1/channels/{channel}/messages",
                    body={"text": 1},
                    headers={"idempotency-key": key},
                )
                ours, theirs = responses(services, made)
                assert ours == theirs
                assert ours[0] == (422 if channel == CHANNEL else 404)


def test_what_is_no_json_is_refused_first(services: Services) -> None:
    """Malformed JSON is reported before anything else; any JSON without claims is a 401."""
    for user, channel in [(None, "no-id"), ("ada", "no-id"), ("ada", CHANNEL)]:
        with case(user, channel):
            path = f"/v1/channels/{channel}/read"
            handler = handler_of(FastRoute, services)
            broken, whole = event("PUT", path, user=user, body="{"), event("PUT", path, user=user, body="[]")
            given = [handler(made, None) for made in (broken, whole)]  # type: ignore[arg-type]  # as above
            assert json.loads(given[0]["body"])["code"] == "malformed_request"
            assert [each["statusCode"] for each in given] == [
                400,
                401 if user is None else 404 if channel == "no-id" else 422,
            ]
