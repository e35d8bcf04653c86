"""Bad input at every route: a problem document with the right status and code, and nothing written.

The values for single fields, parameters and headers are in `test_bad_fields.py`, random ones in
`test_random_input.py`.
"""

from __future__ import annotations

import base64
import json
import tracemalloc
from typing import TYPE_CHECKING, Any

from tests.api import event
from tests.cases import case
from tests.functions.chat import messages
from tests.functions.refusals import BODIES, READING, ROUTES, WITH_CHANNEL, assert_refused, state

if TYPE_CHECKING:
    from shared.storage.memory import MemoryStore
    from tests.functions.chat import Chat


def as_base64(raw: bytes) -> dict[str, Any]:
    """The members of an event whose body is these bytes."""
    return {"body": base64.b64encode(raw).decode(), "isBase64Encoded": True}


# --- bodies ---

OTHER_TYPES = [
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


NO_BASE64 = ["YQ", "A", "é", "\ud800"]
NO_JSON: dict[str, dict[str, Any]] = (
    {name: {"body": body} for name, body in MALFORMED.items()}
    | {ascii(raw): as_base64(raw) for raw in (b"\xff", b'{"text":"\xff"}', b'{"text":"\xc3"}', b"\x80{}")}
    | {f"no base64: {body!a}": {"body": body, "isBase64Encoded": True} for body in NO_BASE64}
)
"""Changes to an event whose body is then no JSON: malformed, not UTF-8, or not the base64 that its flag announces."""


def test_malformed_json_is_400(chat: Chat, store: MemoryStore) -> None:
    """A body that is no JSON gets another status than JSON that breaks the route's rules."""
    for route in BODIES:
        with case(route):
            channel = chat.channel("grace")
            before = state(store)
            made = event(route.method, route.path(channel), body="{}")
            for name, changes in NO_JSON.items():
                with case(name):
                    assert_refused(chat.api.invoke(made | changes), 400, "malformed_request")
                    assert state(store) == before


def test_json_in_another_encoding_is_400(chat: Chat, store: MemoryStore) -> None:
    """JSON on the wire is UTF-8 (RFC 8259, 8.1), so that what inspects a request reads it as the function does."""
    for route in BODIES:
        with case(route):
            channel = chat.channel("grace")
            before = state(store)
            made = event(route.method, route.path(channel), body="{}")
            for encoding in ["utf-16", "utf-16-be", "utf-16-le", "utf-32", "utf-32-be"]:
                body = as_base64(json.dumps(route.body).encode(encoding))
                with case(encoding):
                    assert_refused(chat.api.invoke(made | body), 400, "malformed_request")
                    assert state(store) == before


def test_json_that_is_no_object_is_422(chat: Chat, store: MemoryStore) -> None:
    """A body is an object."""
    for route in BODIES:
        with case(route):
            channel = chat.channel("grace")
            before = state(store)
            for body in ["1", '"text"', "[]", "true", '[{"text":"a"}]', "NaN", "-Infinity", "1e999"]:
                with case(body):
                    response = chat.api(route.method, route.path(channel), body=body)
                    assert_refused(response, 422, "validation_failed")
                    assert state(store) == before


def test_a_missing_body_is_refused(chat: Chat, store: MemoryStore) -> None:
    """A route that needs a body refuses a request without one."""
    for route in [route for route in BODIES if route.needs_body]:
        with case(route):
            channel = chat.channel("grace")
            before = state(store)
            for body in [None, "null", "", " "]:
                with case(body):
                    response = chat.api(route.method, route.path(channel), body=body)
                    assert_refused(response, 400 if body == " " else 422)
                    assert state(store) == before


def test_another_content_type_is_415(chat: Chat, store: MemoryStore) -> None:
    """Only JSON in UTF-8 is taken, so that no foreign web page can post without a preflight."""
    for route in BODIES:
        with case(route):
            channel = chat.channel("grace")
            before = state(store)
            made = event(route.method, route.path(channel), body=route.body)
            del made["headers"]["content-type"]
            for headers in [{}, *({"content-type": kind} for kind in OTHER_TYPES)]:
                with case(headers):
                    response = chat.api.invoke(made | {"headers": made["headers"] | headers})
                    problem = assert_refused(response, 415, "unsupported_media_type")
                    assert [error["field"] for error in problem["errors"]] == ["header.content-type"]
                    assert response.headers["accept"] == "application/json"
                    assert state(store) == before


def test_a_compressed_body_is_415(chat: Chat, store: MemoryStore) -> None:
    """A body that is called compressed is refused, so that what inspects a request sees what the function sees."""
    for route in BODIES:
        with case(route):
            channel = chat.channel("grace")
            before = state(store)
            for coding in ["gzip", "br", "deflate", "zstd", "GZIP", "identity, gzip", "gzip,gzip", "x"]:
                headers = {"content-encoding": coding}
                with case(coding):
                    response = chat.api(route.method, route.path(channel), body=route.body, headers=headers)
                    problem = assert_refused(response, 415, "unsupported_media_type")
                    assert [error["field"] for error in problem["errors"]] == ["header.content-encoding"]
                    assert response.headers["accept-encoding"] == "identity"
                    assert state(store) == before


def test_json_under_any_of_its_names_is_taken(chat: Chat) -> None:
    """Any parameter but another charset may follow the type, and types that are built on JSON are JSON."""
    for route in BODIES:
        with case(route):
            for headers in [
                {"content-type": "application/json; charset=utf-8"},
                {"content-type": 'Application/JSON;Charset="UTF-8"'},
                {"content-type": "application/json; charset=utf8; x=y;"},
                {"content-type": "application/merge-patch+json"},
                {"content-encoding": "identity"},
            ]:
                with case(headers):
                    channel = chat.channel()
                    chat.post(channel)
                    path = route.path(channel)
                    response = chat.api(route.method, path, body=route.body, headers=headers)
                    assert response.status in {200, 201}, response.body


def test_a_body_that_no_route_asks_for_is_ignored(chat: Chat) -> None:
    """A route without a body takes any body, whatever its type and coding, and acts as without it."""
    for route in [route for route in ROUTES if route.body is None]:
        with case(route):
            headers = {"content-type": "text/plain", "content-encoding": "gzip"}
            for body in ["{}", "Hello", "\x00"]:
                channel = chat.channel("grace")
                chat.post(channel)
                with case(body):
                    response = chat.api(route.method, route.path(channel), body=body, headers=headers)
                    assert response.status in {200, 204}, response.body


def test_an_unknown_field_is_422(chat: Chat, store: MemoryStore) -> None:
    """A misspelt field is refused, not ignored."""
    for route in BODIES:
        with case(route):
            channel = chat.channel("grace")
            before = state(store)
            for name in ["sender", "user_id", "id", "__proto__", "", "é", "\ud800", "x" * 5_000]:
                with case(name):
                    response = chat.api(
                        route.method, route.path(channel), body={**(route.body or {}), name: "x"}
                    )
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


def test_an_unknown_channel_is_404(chat: Chat, store: MemoryStore) -> None:
    """An id that no channel has, and a text that is no id, get the same response."""
    for route in WITH_CHANNEL:
        with case(route):
            chat.channel("grace")
            before = state(store)
            for channel in UNKNOWN + MALFORMED_IDS:
                with case(channel):
                    response = chat.api(route.method, route.path(channel), body=route.body)
                    assert_refused(response, 404, None if "/" in channel else "channel_not_found")
                    assert state(store) == before


def test_a_foreign_channel_is_as_unknown(chat: Chat, store: MemoryStore) -> None:
    """A user cannot find out whether a channel of others exists: both responses are the same bytes."""
    for route in WITH_CHANNEL:
        for kind in ["private", "direct"]:
            with case(route, kind):
                channel = (
                    chat.direct("ada", "grace") if kind == "direct" else chat.channel("grace", kind="private")
                )
                chat.post(channel)
                before = state(store)
                foreign = chat.api(route.method, route.path(channel), user="eve", body=route.body)
                unknown = chat.api(route.method, route.path("0" * len(channel)), user="eve", body=route.body)
                assert_refused(foreign, 404, "channel_not_found")
                assert (foreign.status, foreign.body) == (unknown.status, unknown.body)
                assert state(store) == before


# --- the caller ---

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


def test_claims_without_a_user_are_401(chat: Chat, store: MemoryStore) -> None:
    """A `sub` that is missing, no text, or no valid user id identifies no caller."""
    for route in AUTHORIZED:
        with case(route):
            channel = chat.channel("grace")
            before = state(store)
            for claims in NO_USER:
                with case(claims):
                    response = chat.api(route.method, route.path(channel), body=route.body, claims=claims)
                    assert_refused(response, 401, "unauthenticated")
                    assert response.headers["www-authenticate"] == "Bearer"
            assert state(store) == before


def test_no_authorizer_is_401(chat: Chat, store: MemoryStore) -> None:
    """Without the JWT authorizer's claims a request is refused, whatever its headers and query claim."""
    for route in AUTHORIZED:
        with case(route):
            channel = chat.channel("grace")
            before = state(store)
            headers = {"authorization": "Bearer ada", "x-user-id": "ada", "x-amzn-oidc-identity": "ada"}
            made = event(route.method, route.path(channel), user=None, body=route.body, headers=headers)
            assert_refused(chat.api.invoke(made), 401, "unauthenticated")
            for authorizer in NO_CLAIMS:
                made["requestContext"]["authorizer"] = authorizer
                with case(authorizer):
                    assert_refused(chat.api.invoke(made), 401, "unauthenticated")
            assert state(store) == before


# --- addresses ---


def test_an_unknown_address_is_404(chat: Chat) -> None:
    """An address without a route is refused by a problem document too."""
    for method, path in [
        ("GET", "/v1/nothing"),
        ("GET", "/v2/channels/{c}"),
        ("GET", "/v1/channels/{c}/messages/x/y"),
        ("GET", "/v1/channels/{c}/members/"),
        ("POST", "/v1/channels/{c}/messages/"),
        ("GET", "/v1//channels/{c}"),
        ("GET", "/v1/channels/{c}/openapi.json"),
    ]:
        with case(method, path):
            response = chat.api(method, path.format(c=chat.channel()), body={"text": "x"})
            assert_refused(response, 404, "route_not_found")


def test_another_method_is_405(chat: Chat, store: MemoryStore) -> None:
    """A method that an existing address does not take is refused."""
    for method, path in [
        ("PUT", "/v1/channels/{c}"),
        ("DELETE", "/v1/channels/{c}/messages"),
        ("POST", "/v1/channels/{c}/read"),
    ]:
        with case(method, path):
            channel = chat.channel()
            before = state(store)
            response = chat.api(method, path.format(c=channel), body={"text": "x"})
            assert_refused(response, 405, "method_not_allowed")
            assert state(store) == before


def test_reading_writes_nothing(chat: Chat, store: MemoryStore) -> None:
    """A valid GET leaves the storage as it was."""
    for route in READING:
        with case(route):
            channel = chat.channel("grace")
            chat.post(channel)
            before = state(store)
            assert chat.api(route.method, route.path(channel)).status == 200
            assert state(store) == before


def test_a_body_of_unknown_fields_takes_little_memory(chat: Chat) -> None:
    """20,000 unknown fields take less than 7 MB: an error for each would take 20, and 200,000 fit into a body."""
    for route in BODIES:
        with case(route):
            fields = ",".join(f'"{number:x}":0' for number in range(20_000))
            made = event(route.method, route.path(chat.channel()), body=f"{{{fields}}}")
            tracemalloc.start()
            response = chat.api.invoke(made)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert_refused(response, 422, "validation_failed")
            assert peak < 7_000_000, peak


def test_metadata_that_clients_cannot_read_is_refused(chat: Chat) -> None:
    """Many JSON parsers stop at 64 levels or 1.8e308: one member must not make a page unreadable for others."""
    for value in ["[" * 65 + "]" * 65, '{"a":' * 65 + "1" + "}" * 65, "1" + "0" * 309]:
        with case(value):
            body = f'{{"text":"x","metadata":{{"a":{value}}}}}'
            assert_refused(chat.api("POST", messages(chat.channel()), body=body), 422, "validation_failed")
