"""Bad input at every route: a problem document with the right status and code, and nothing written.

The values for single fields, parameters and headers are in `test_bad_fields.py`, random ones in
`test_random_input.py`.
"""

from __future__ import annotations

import base64
import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from tests.api import event
from tests.functions.chat import messages
from tests.functions.refusals import BODIES, READING, ROUTES, WITH_CHANNEL, Route, assert_refused, state

if TYPE_CHECKING:
    from shared.storage.memory import MemoryStore
    from tests.api import Api, Response
    from tests.functions.chat import Chat


def send(api: Api, route: Route, channel: str, body: str, **changes: Any) -> Response:
    """The answer to a body that is sent as it is."""
    made = event(route.method, route.path(channel), body=body)
    return api.invoke(made | changes)


# --- bodies ---

OTHER_TYPES = [
    None,
    *(
        "",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "x/y; z",
        "\x7f",
    ),
    *(
        "application/json; charset=utf-16",
        "application/json; charset=iso-8859-1",
        'application/json; charset=""',
    ),
    *("application/json, application/json", "application/json; charset=utf-8; charset=utf-16", "application"),
]
MALFORMED = {
    "cut off": '{"text":',
    "a comma too many": '{"text":"a",}',
    "single quotes": "{'text':'a'}",
    "no JSON": "Hello",
    "two values": '{"text":"a"} {"text":"b"}',
    "a control character": '{"text":"\x00"}',
    "a line end in a string": '{"text":"a\nb"}',
    "half an escape": '{"text":"\\u12"}',
    "deep arrays": "[" * 100_000,
    "deep objects": '{"a":' * 100_000,
    "deep and closed": "[" * 100_000 + "]" * 100_000,
    "a number of 5,000 digits": '{"text":' + "1" * 5_000 + "}",
    "a byte order mark inside": '{"text":\ufeff"a"}',
}


@pytest.mark.parametrize("route", BODIES, ids=str)
@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_malformed_json_is_400(chat: Chat, store: MemoryStore, route: Route, body: str) -> None:
    """What is no JSON is told apart from JSON that is not wanted."""
    channel = chat.channel("grace")
    before = state(store)
    assert_refused(send(chat.api, route, channel, body), 400, "malformed_request")
    assert state(store) == before


@pytest.mark.parametrize("route", BODIES, ids=str)
@pytest.mark.parametrize("raw", [b"\xff", b'{"text":"\xff"}', b'{"text":"\xc3"}', b"\x80{}"])
def test_a_body_that_is_not_utf8_is_400(chat: Chat, store: MemoryStore, route: Route, raw: bytes) -> None:
    """Bytes that are no text are no JSON."""
    channel = chat.channel("grace")
    before = state(store)
    body = base64.b64encode(raw).decode()
    assert_refused(send(chat.api, route, channel, body, isBase64Encoded=True), 400, "malformed_request")
    assert state(store) == before


@pytest.mark.parametrize("route", BODIES, ids=str)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-16-le", "utf-32", "utf-32-be"])
def test_json_in_another_encoding_is_400(chat: Chat, store: MemoryStore, route: Route, encoding: str) -> None:
    """JSON on the wire is UTF-8 (RFC 8259, 8.1): what inspects a request on its way reads it as the function does."""
    channel = chat.channel("grace")
    before = state(store)
    body = base64.b64encode(json.dumps(route.body).encode(encoding)).decode()
    assert_refused(send(chat.api, route, channel, body, isBase64Encoded=True), 400, "malformed_request")
    assert state(store) == before


@pytest.mark.parametrize("route", BODIES, ids=str)
@pytest.mark.parametrize("body", ["YQ", "A", "é", "\ud800"])
def test_a_body_that_is_not_what_its_flag_says_is_400(
    chat: Chat, store: MemoryStore, route: Route, body: str
) -> None:
    """A body that is announced as base64 and is none is the caller's fault, no crash."""
    channel = chat.channel("grace")
    before = state(store)
    assert_refused(send(chat.api, route, channel, body, isBase64Encoded=True), 400, "malformed_request")
    assert state(store) == before


@pytest.mark.parametrize("route", BODIES, ids=str)
@pytest.mark.parametrize("body", ["1", '"text"', "[]", "true", '[{"text":"a"}]', "NaN", "-Infinity", "1e999"])
def test_json_that_is_no_object_is_422(chat: Chat, store: MemoryStore, route: Route, body: str) -> None:
    """A body is an object."""
    channel = chat.channel("grace")
    before = state(store)
    assert_refused(send(chat.api, route, channel, body), 422, "validation_failed")
    assert state(store) == before


@pytest.mark.parametrize("route", [route for route in BODIES if route.needs_body], ids=str)
@pytest.mark.parametrize("body", [None, "null", "", " "])
def test_a_missing_body_is_refused(chat: Chat, store: MemoryStore, route: Route, body: str | None) -> None:
    """A route that needs a body says so."""
    channel = chat.channel("grace")
    before = state(store)
    response = chat.api(route.method, route.path(channel), body=body)
    assert_refused(response, 400 if body == " " else 422)
    assert state(store) == before


@pytest.mark.parametrize("route", BODIES, ids=str)
@pytest.mark.parametrize("kind", OTHER_TYPES)
def test_another_content_type_is_415(chat: Chat, store: MemoryStore, route: Route, kind: str | None) -> None:
    """JSON is announced as JSON in UTF-8, so that no foreign web page can post without a preflight."""
    channel = chat.channel("grace")
    before = state(store)
    made = event(route.method, route.path(channel), body=route.body, headers={"content-type": kind or ""})
    if kind is None:
        del made["headers"]["content-type"]
    response = chat.api.invoke(made)
    problem = assert_refused(response, 415, "unsupported_media_type")
    assert [error["field"] for error in problem["errors"]] == ["header.content-type"]
    assert response.headers["accept"] == "application/json"
    assert state(store) == before


@pytest.mark.parametrize("route", BODIES, ids=str)
@pytest.mark.parametrize(
    "coding", ["gzip", "br", "deflate", "zstd", "GZIP", "identity, gzip", "gzip,gzip", "x"]
)
def test_a_compressed_body_is_415(chat: Chat, store: MemoryStore, route: Route, coding: str) -> None:
    """Also one that only says so: whoever reads a request on its way must see what the function sees."""
    channel = chat.channel("grace")
    before = state(store)
    response = chat.api(
        route.method, route.path(channel), body=route.body, headers={"content-encoding": coding}
    )
    problem = assert_refused(response, 415, "unsupported_media_type")
    assert [error["field"] for error in problem["errors"]] == ["header.content-encoding"]
    assert response.headers["accept-encoding"] == "identity"
    assert state(store) == before


@pytest.mark.parametrize("route", BODIES, ids=str)
@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "application/json; charset=utf-8"},
        {"content-type": 'Application/JSON;Charset="UTF-8"'},
        {"content-type": "application/json; charset=utf8; x=y;"},
        {"content-type": "application/merge-patch+json"},
        {"content-encoding": "identity"},
    ],
    ids=str,
)
def test_json_under_any_of_its_names_is_taken(chat: Chat, route: Route, headers: dict[str, str]) -> None:
    """Parameters are free but the charset, and so is what is built on JSON."""
    response = chat.api(route.method, route.path(chat.channel()), body=route.body, headers=headers)
    assert response.status in {200, 201}, response.body


@pytest.mark.parametrize("route", [route for route in ROUTES if route.body is None], ids=str)
@pytest.mark.parametrize("body", ["{}", "Hello", "\x00"])
def test_a_body_that_no_route_asks_for_is_ignored(chat: Chat, route: Route, body: str) -> None:
    """Whatever it is and is called: nothing could be done by it."""
    channel = chat.channel("grace")
    chat.post(channel)
    headers = {"content-type": "text/plain", "content-encoding": "gzip"}
    response = chat.api(route.method, route.path(channel), body=body, headers=headers)
    assert response.status in {200, 204}, response.body


@pytest.mark.parametrize("route", BODIES, ids=str)
@pytest.mark.parametrize("name", ["sender", "user_id", "id", "__proto__", "", "é", "\ud800", "x" * 5_000])
def test_an_unknown_field_is_422(chat: Chat, store: MemoryStore, route: Route, name: str) -> None:
    """A misspelt field is told of, not passed over."""
    channel = chat.channel("grace")
    before = state(store)
    response = chat.api(route.method, route.path(channel), body={**(route.body or {}), name: "x"})
    assert_refused(response, 422, "validation_failed")
    assert state(store) == before


# --- channels ---

UNKNOWN = ["0" * 16, "0" * 26, "v" * 20]
MALFORMED_IDS = [
    "x",
    "0" * 15,
    "0" * 27,
    "W" * 16,
    "0" * 15 + "\n",
    "é" * 16,
    "../" * 3,
    "%00",
    "x" * 2_000,
    "C#0",
    "null",
    "-1",
]


@pytest.mark.parametrize("route", WITH_CHANNEL, ids=str)
@pytest.mark.parametrize("channel", UNKNOWN + MALFORMED_IDS)
def test_an_unknown_channel_is_404(chat: Chat, store: MemoryStore, route: Route, channel: str) -> None:
    """Ids of nothing, and texts that are no id, are channels that there are not."""
    chat.channel("grace")
    before = state(store)
    response = chat.api(route.method, route.path(channel), body=route.body)
    assert_refused(response, 404, None if "/" in channel else "channel_not_found")
    assert state(store) == before


@pytest.mark.parametrize("kind", ["private", "direct"])
@pytest.mark.parametrize("route", WITH_CHANNEL, ids=str)
def test_a_foreign_channel_is_as_unknown(chat: Chat, store: MemoryStore, route: Route, kind: str) -> None:
    """Nobody can find out whether a channel exists that is not theirs: both answers are the same bytes."""
    channel = chat.direct("ada", "grace") if kind == "direct" else chat.channel("grace", kind="private")
    chat.post(channel)
    before = state(store)
    foreign = chat.api(route.method, route.path(channel), user="eve", body=route.body)
    unknown = chat.api(route.method, route.path("0" * len(channel)), user="eve", body=route.body)
    assert_refused(foreign, 404, "channel_not_found")
    assert (foreign.status, foreign.body) == (unknown.status, unknown.body)
    assert state(store) == before


# --- who calls ---

NO_USER: list[dict[str, Any]] = [
    {},
    {"sub": ""},
    {"sub": None},
    {"sub": 7},
    {"sub": ["ada"]},
    {"sub": {"id": "ada"}},
    {"sub": "ada/grace"},
    {"sub": "ada#"},
    {"sub": "ada\\"},
    {"sub": "ada\x00"},
    {"sub": "ada\n"},
    {"sub": "ada\x7f"},
    {"sub": "\ud800"},
    {"sub": "x" * 129},
    {"sub": "\u200b"},
    {"sub": "ada\x9b"},
    {"sub": "ada\u202e"},
    {"sub": "ada\ufffd"},
    {"sub": "é" * 65},
    {"Sub": "ada"},
    {"username": "ada", "email": "ada@example.com"},
]
NO_CLAIMS: list[Any] = [
    None,
    [],
    "ada",
    {},
    {"jwt": None},
    {"jwt": {"claims": "ada"}},
    {"jwt": {"claims": ["ada"]}},
    {"lambda": {"sub": "ada"}},
    {"claims": {"sub": "ada"}},
    {"principalId": "ada"},
]
AUTHORIZED = [route for route in ROUTES if route.name != "check_health"]


@pytest.mark.parametrize("route", AUTHORIZED, ids=str)
def test_claims_without_a_user_are_401(chat: Chat, store: MemoryStore, route: Route) -> None:
    """A `sub` that is missing, no text, or no possible user id is nobody."""
    channel = chat.channel("grace")
    before = state(store)
    for claims in NO_USER:
        response = chat.api(route.method, route.path(channel), body=route.body, claims=claims)
        assert_refused(response, 401, "unauthenticated")
        assert response.headers["www-authenticate"] == "Bearer"
    assert state(store) == before


@pytest.mark.parametrize("route", AUTHORIZED, ids=str)
def test_no_authorizer_is_401(chat: Chat, store: MemoryStore, route: Route) -> None:
    """Without the JWT authorizer's claims nobody calls, whatever headers and query say."""
    channel = chat.channel("grace")
    before = state(store)
    headers = {"authorization": "Bearer ada", "x-user-id": "ada", "x-amzn-oidc-identity": "ada"}
    made = event(route.method, route.path(channel), user=None, body=route.body, headers=headers)
    assert_refused(chat.api.invoke(made), 401, "unauthenticated")
    for authorizer in NO_CLAIMS:
        made["requestContext"]["authorizer"] = authorizer
        assert_refused(chat.api.invoke(made), 401, "unauthenticated")
    assert state(store) == before


# --- addresses ---


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/nothing"),
        ("GET", "/v2/channels/{c}"),
        ("GET", "/v1/channels/{c}/messages/x/y"),
        ("GET", "/v1/channels/{c}/members/"),
        ("POST", "/v1/channels/{c}/messages/"),
        ("GET", "/v1//channels/{c}"),
        ("GET", "/v1/channels/{c}/openapi.json"),
    ],
)
def test_an_unknown_address_is_404(chat: Chat, method: str, path: str) -> None:
    """Where there is nothing, the answer is a problem too."""
    response = chat.api(method, path.format(c=chat.channel()), body={"text": "x"})
    assert_refused(response, 404, "route_not_found")


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/v1/channels/{c}"), ("DELETE", "/v1/channels/{c}/messages"), ("POST", "/v1/channels/{c}/read")],
)
def test_another_method_is_405(chat: Chat, store: MemoryStore, method: str, path: str) -> None:
    """An address that exists does not take every method."""
    channel = chat.channel()
    before = state(store)
    response = chat.api(method, path.format(c=channel), body={"text": "x"})
    assert_refused(response, 405, "method_not_allowed")
    assert state(store) == before


@pytest.mark.parametrize("route", READING, ids=str)
def test_reading_writes_nothing(chat: Chat, store: MemoryStore, route: Route) -> None:
    """A good reading request leaves the storage as it was, too."""
    channel = chat.channel("grace")
    chat.post(channel)
    before = state(store)
    assert chat.api(route.method, route.path(channel)).status == 200
    assert state(store) == before


@pytest.mark.parametrize("route", BODIES, ids=str)
def test_a_body_of_unknown_fields_takes_little_memory(chat: Chat, route: Route) -> None:
    """An error for each of 190,000 fields would take 250 MB, of the 256 that a small function has."""
    fields = ",".join(f'"{number:x}":0' for number in range(190_000))
    made = event(route.method, route.path(chat.channel()), body=f"{{{fields}}}")
    tracemalloc.start()
    response = chat.api.invoke(made)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert_refused(response, 422, "validation_failed")
    assert peak < 64_000_000


@pytest.mark.parametrize(
    "value",
    ["[" * 65 + "]" * 65, '{"a":' * 65 + "1" + "}" * 65, "1" + "0" * 309],
)
def test_metadata_that_clients_cannot_read_is_refused(chat: Chat, value: str) -> None:
    """One member must not make a page unreadable: many readers of JSON stop at 64 levels, or at 1.8e308."""
    body = f'{{"text":"x","metadata":{{"a":{value}}}}}'
    assert_refused(chat.api("POST", messages(chat.channel()), body=body), 422, "validation_failed")
