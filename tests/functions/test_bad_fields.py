"""Bad values of single fields, parameters and headers: the response names the place, and nothing is written."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain import keys
from shared.web.problems import MAX_FIELD
from tests.api import event
from tests.cases import case
from tests.functions.refusals import ROUTES, assert_refused, named, state

if TYPE_CHECKING:
    from shared.storage.memory import MemoryStore
    from tests.functions.chat import Chat

NO_TEXT: list[Any] = [None, 1, True, [], {"x": 1}]
CONTROL = ["\x00", "a\x7f", "\x1b[31m"]
SURROGATE = "a\ud800"
INVISIBLE = ["\xa0", "\u3164", " \u200b ", "\u0301"]
"""A blank, a blank letter, a format character, a mark alone. All others: `tests/shared/domain/test_text.py`."""
UNFIT = ["a\x85b", "a\u2028b", "\u202eada", "a\ufffd"]
"""One of each class that names and ids refuse: C1 controls, line separators, direction overrides, undecodable bytes."""
BAD_TEXT: list[Any] = [*CONTROL, SURROGATE, *INVISIBLE]
BAD_NAME: list[Any] = [*BAD_TEXT, *UNFIT, "a\nb"]
NO_NUMBER: list[Any] = [None, "1", 1.5, True, [], math.nan, math.inf, 1e300, 10**400]
LONG_JSON = {"a": "x" * 1_017}
NO_METADATA: list[Any] = [
    *(1, [], True),
    {"a": math.nan},
    {"a": [{"b": math.inf}]},
    {"\ud800": 1},
    {"a": ["\udfff"]},
    LONG_JSON,
    {"a": "é" * 509},
    {"": "x" * 2_000},
]
NO_CLIENT_ID = [*NO_TEXT[1:], "", " ", "a b", "é", "x" * 65, "a\n", "\x00", SURROGATE]

FIELDS: dict[tuple[str, str], list[Any]] = {
    ("post_message", "text"): [*NO_TEXT, *BAD_TEXT, "", "\n\t ", "a\x9b31m", "x" * 4_001, "😀" * 4_001],
    ("post_message", "client_message_id"): NO_CLIENT_ID,
    ("post_message", "metadata"): NO_METADATA,
    ("post_message", "messages"): [None, 1, {}, [], [None], [[]], [{}], [{"text": "a"}] * 26]
    + [[{"text": "a"}, {"text": text}] for text in (" ", "\x00", "\ud800", 1)]
    + [[{"text": "a", "metadata": LONG_JSON}]]
    + [[{"messages": [{"text": "a"}]}], [{"text": "a", "x": 1}]],
    ("create_channel", "kind"): [*NO_TEXT, "", "Public", "secret", "public ", SURROGATE],
    ("create_channel", "name"): [*NO_TEXT[1:], *BAD_NAME, "", " ", "x" * 81, "😀" * 41],
    ("create_channel", "topic"): [*NO_TEXT, *BAD_NAME, "x" * 251, "😀" * 76],
    ("create_channel", "slow_mode"): [*NO_NUMBER, -1, 21_601],
    ("create_channel", "members"): [
        *(None, 1, {"x": 1}, "grace", [None], [["grace"]], [""], ["x" * 129], ["é" * 65]),
        *(["a/b"], ["a?b"], ["a#b"], ["a%2Fb"], ["a\\b"]),
        *([each] for each in BAD_NAME),
        [f"user-{number}" for number in range(51)],
    ],
    ("update_channel", "name"): [*NO_TEXT, *BAD_NAME, "", " ", "x" * 81, "😀" * 41],
    ("update_channel", "topic"): [*NO_TEXT, *BAD_NAME, "x" * 251, "é" * 151],
    ("update_channel", "slow_mode"): [*NO_NUMBER, -1, 21_601],
    ("update_channel", "kind"): ["private", None],
    ("update_channel", "archived"): [True, False],
    ("mark_read", "last_read_seq"): [*NO_NUMBER, -1, 2, keys.MAX_SEQ, keys.MAX_SEQ + 1, 2**63],
    ("mark_read", "force"): [None, 1, 0, "true", []],
    ("put_member", "role"): [*NO_TEXT[1:], "", "admin", "Owner", SURROGATE],
}


@pytest.mark.parametrize(("name", "field"), FIELDS)
def test_a_bad_field_is_422_and_named(chat: Chat, store: MemoryStore, name: str, field: str) -> None:
    """A field of the wrong type or form, or beyond its limits, is refused with its path; nothing is written."""
    route, channel = named(name), chat.channel("grace")
    chat.post(channel)
    before = state(store)
    for value in FIELDS[name, field]:
        body = {field: value} if field == "messages" else (route.body or {}) | {field: value}
        with case(value):
            problem = assert_refused(chat.api(route.method, route.path(channel), body=body), 422)
            assert any(error["field"].startswith(f"body.{field}") for error in problem["errors"]), problem
            assert state(store) == before


BODIES: list[tuple[str, dict[str, Any]]] = [
    ("post_message", {}),
    ("post_message", {"metadata": {"a": 1}}),
    ("post_message", {"text": "a", "messages": [{"text": "b"}]}),
    ("create_channel", {}),
    ("create_channel", {"kind": "public"}),
    ("create_channel", {"kind": "public", "name": None}),
    ("create_channel", {"kind": "private", "members": ["grace"]}),
    ("create_channel", {"name": "lobby"}),
    ("create_channel", {"kind": "direct", "members": ["grace", "linus"]}),
    ("create_channel", {"kind": "group"}),
    ("create_channel", {"kind": "group", "members": ["ada", "grace"]}),
    ("create_channel", {"kind": "group", "members": [f"user{i}" for i in range(10)]}),
    ("create_channel", {"kind": "group", "members": ["grace", "linus"], "name": "us"}),
    ("create_channel", {"kind": "direct", "members": ["grace"], "name": "us"}),
    ("create_channel", {"kind": "direct", "members": ["grace"], "topic": "us"}),
    ("create_channel", {"kind": "direct", "members": ["grace"], "slow_mode": 1}),
    ("mark_read", {}),
    ("mark_read", {"force": True}),
]


def test_fields_that_do_not_go_together_are_422(chat: Chat, store: MemoryStore) -> None:
    """A required field that is missing, and fields that contradict each other, are refused; nothing is written."""
    channel = chat.channel()
    before = state(store)
    for name, body in BODIES:
        route = named(name)
        with case(name, body):
            assert_refused(chat.api(route.method, route.path(channel), body=body), 422, "validation_failed")
            assert state(store) == before


@pytest.mark.parametrize(
    ("name", "field"),
    [("mark_read", "last_read_seq"), ("create_channel", "slow_mode"), ("update_channel", "slow_mode")],
)
def test_a_whole_number_may_be_written_with_a_point(chat: Chat, name: str, field: str) -> None:
    """1.0 is taken as 1: JSON, and `integer` in the OpenAPI document, do not tell the two apart."""
    route, channel = named(name), chat.channel("grace")
    chat.post(channel)
    response = chat.api(route.method, route.path(channel), body=(route.body or {}) | {field: 1.0})
    assert response.status in {200, 201}, response.body
    assert (response.json[field], type(response.json[field])) == (1, int)


# --- query parameters ---

NO_LIMIT = [
    "0",
    "-1",
    "101",
    "x",
    "1.5",
    "1e1",
    "",
    "٣",
    "9" * 400,
    "NaN",
    "1\x00",
    "5.0",
    " 5",
    "+5",
    "1_0",
    "5\n",
]
NO_FLAG = ["", "x", "2", "yes", "True", "FALSE", " true", "1.0"]
NO_POSITION = [
    "0",
    "-1",
    "1.5",
    "x",
    "",
    str(keys.MAX_SEQ),
    str(keys.MAX_SEQ + 1),
    "9" * 400,
    "-" + "9" * 400,
]
MADE_UP_CURSORS = [
    keys.encode_cursor(*parts)
    for parts in [
        (),
        (1,),
        (1, 2),
        ("x", "y"),
        (1, "0" * 16, 3),
        (-1, "0" * 16),
        (10**15, "0" * 16),
        (10**400, "0" * 16),
        (1, "C#HEAD"),
        ("lobby#" + "0" * 16, "1" * 16),
        ("x" * 300 + "#" + "0" * 16, "0" * 16),
        ("\x00", "0" * 16),
    ]
]
NO_CURSOR = ["", "====", "null", "é", "\x00", "AAAA", "%", "Wy", "eyJhIjoxfQ", "W251bGxd", "x" * 513, "W1si"]
NO_CURSOR += ["W" * 500, "WyJcdWQ4MDAiLDFd", *MADE_UP_CURSORS]

QUERIES: dict[tuple[str, str], list[str]] = {
    ("list_channels", "limit"): NO_LIMIT,
    ("list_channels", "cursor"): NO_CURSOR,
    ("list_channels", "unread_only"): NO_FLAG,
    ("list_channels", "kind"): ["", "x", "Public", "public,private"],
    ("list_channels", "scope"): ["", "x", "all", "PUBLIC"],
    ("fetch_messages", "limit"): NO_LIMIT,
    ("fetch_messages", "before"): NO_POSITION,
    ("fetch_messages", "after"): NO_POSITION[1:],
    ("fetch_messages", "around"): NO_POSITION,
    ("fetch_messages", "anchor"): ["", "x", "Latest", "5"],
    ("list_members", "limit"): NO_LIMIT,
    ("list_members", "cursor"): [*NO_CURSOR, keys.encode_cursor("a/b"), keys.encode_cursor("x" * 129)],
    ("check_health", "deep"): NO_FLAG,
}
LISTINGS = ["list_channels", "fetch_messages", "list_members", "check_health"]


@pytest.mark.parametrize(("name", "parameter"), QUERIES)
def test_a_bad_parameter_is_422_and_named(chat: Chat, store: MemoryStore, name: str, parameter: str) -> None:
    """A query parameter of the wrong form, or beyond its limits, is refused with its name."""
    route, channel = named(name), chat.channel("grace")
    chat.post(channel)
    before = state(store)
    for value in QUERIES[name, parameter]:
        with case(value):
            problem = assert_refused(chat.api("GET", route.path(channel), query={parameter: value}), 422)
            assert [error["field"] for error in problem["errors"]] == [f"query.{parameter}"]
            assert state(store) == before


@pytest.mark.parametrize("scope", ["mine", "public"])
def test_a_made_up_cursor_is_refused_in_both_lists(chat: Chat, scope: str) -> None:
    """A cursor that no list could have given never reaches the storage."""
    for cursor in MADE_UP_CURSORS:
        with case(cursor):
            response = chat.api("GET", "/v1/channels", query={"scope": scope, "cursor": cursor})
            assert_refused(response, 422)


@pytest.mark.parametrize(
    ("name", "cursor"),
    [
        ("list_channels", keys.encode_cursor("grace")),
        ("list_members", keys.encode_cursor(1_795_459_464_000, "0" * 16)),
    ],
)
def test_a_cursor_of_another_route_is_refused(chat: Chat, name: str, cursor: str) -> None:
    """A cursor is good only for the route that gave it."""
    response = chat.api("GET", named(name).path(chat.channel()), query={"cursor": cursor})
    assert_refused(response, 422, "invalid_cursor")


def test_an_unknown_parameter_is_422(chat: Chat, store: MemoryStore) -> None:
    """A misspelt parameter is refused with its name, also by routes that take no parameter."""
    for route in ROUTES:
        with case(route):
            channel = chat.channel("grace")
            before = state(store)
            for parameter in ["limits", "user", "sub", "Limit", "limit[]", "", "é", "x" * 2_000]:
                with case(parameter):
                    response = chat.api(
                        route.method, route.path(channel), body=route.body, query={parameter: "1"}
                    )
                    problem = assert_refused(response, 422, "validation_failed")
                    assert [error["field"] for error in problem["errors"]] == [
                        f"query.{parameter}"[:MAX_FIELD]
                    ]
                    assert state(store) == before


def test_two_places_are_422(chat: Chat) -> None:
    """A page takes at most one of `before`, `after`, `around` and `anchor`."""
    path = named("fetch_messages").path(chat.channel())
    for query in (
        {"before": 1, "after": 0},
        {"before": 1, "around": 1},
        {"after": 0, "anchor": "latest"},
        {"around": 1, "anchor": "oldest"},
        {"before": 1, "after": 0, "around": 1, "anchor": "latest"},
    ):
        with case(query):
            assert_refused(chat.api("GET", path, query=query), 422, "validation_failed")


def test_filters_of_ones_own_channels_are_422_on_the_public_list(chat: Chat) -> None:
    """`scope=public` takes neither `kind` nor `unread_only`, whatever their values: each is refused by its name."""
    for filters in [
        {"kind": "private"},
        {"kind": "public"},
        {"unread_only": "true"},
        {"unread_only": "false"},
    ]:
        with case(filters):
            response = chat.api("GET", "/v1/channels", query={"scope": "public", **filters})
            problem = assert_refused(response, 422, "validation_failed")
            assert [error["field"] for error in problem["errors"]] == [f"query.{name}" for name in filters]
            assert chat.api("GET", "/v1/channels", query={"scope": "mine", **filters}).status == 200


RAW = [
    "limit=%ff",
    "limit=%",
    "limit=%ed%a0%80",
    "cursor=%00",
    "limit=%00",
    "%ff=1",
    "limit",
    "limit=1;x=2",
    "?limit=1",
]


def test_a_query_with_broken_escapes_is_422(chat: Chat) -> None:
    """Escapes that decode to no text, and parameters in no known form, are the caller's error, not a crash."""
    for route in [named(name) for name in LISTINGS]:
        with case(route):
            made = event("GET", route.path(chat.channel()))
            for raw in RAW:
                with case(raw):
                    assert_refused(chat.api.invoke(made | {"rawQueryString": raw}), 422)


# --- headers and paths ---

BAD_KEYS = [
    "",
    " ",
    "key,key",
    "key, key",
    ",",
    "a b",
    "é",
    "x" * 256,
    "a\x00",
    "a\x7f",
    "\t",
    "\u200b",
    "a\ufffd",
]


@pytest.mark.parametrize("name", ["post_message", "create_channel"])
def test_a_bad_idempotency_key_is_422(chat: Chat, store: MemoryStore, name: str) -> None:
    """A key is 1 to 255 visible ASCII characters; any other key is refused, not ignored."""
    route, channel = named(name), chat.channel()
    before = state(store)
    for key in BAD_KEYS:
        headers = {"idempotency-key": key}
        with case(key):
            response = chat.api(route.method, route.path(channel), body=route.body, headers=headers)
            problem = assert_refused(response, 422, "validation_failed")
            assert problem["errors"][0]["field"] == "header.idempotency-key"
            assert state(store) == before


@pytest.mark.parametrize("name", ["post_message", "create_channel"])
def test_a_doubled_idempotency_key_is_reported_as_doubled(chat: Chat, name: str) -> None:
    """API Gateway joins two headers by a comma; the error says that the header was sent more than once."""
    route, channel = named(name), chat.channel()
    headers = {"idempotency-key": "key,key"}
    response = chat.api(route.method, route.path(channel), body=route.body, headers=headers)
    problem = assert_refused(response, 422, "validation_failed")
    assert "sent more than once" in problem["errors"][0]["detail"]


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_an_impossible_user_id_is_422(chat: Chat, store: MemoryStore, method: str) -> None:
    """Members are neither added nor looked up under an id that no token could have."""
    channel = chat.channel("grace")
    before = state(store)
    for user in [
        "a#b",
        "a?b",
        "a%b",
        "a\\b",
        "a\x00",
        "a\n",
        "x" * 129,
        "é" * 65,
        "\x7f",
        *INVISIBLE,
        *UNFIT,
    ]:
        with case(user):
            response = chat.api(method, f"/v1/channels/{channel}/members/{user}")
            problem = assert_refused(response, 422, "validation_failed")
            assert problem["errors"][0]["field"] == "path.user_id"
            assert state(store) == before


def test_strange_headers_are_never_a_5xx(chat: Chat) -> None:
    """No value of a header crashes a function."""
    for route in ROUTES:
        with case(route):
            channel = chat.channel("grace", "linus")
            chat.post(channel)
            for header in ["if-match", "if-none-match", "x-request-id", "cookie", "origin", "range"]:
                for value in ["", "é😀", "\x00", "x" * 10_000, '"' * 99, "W/" * 99]:
                    with case(header, value):
                        response = chat.api(
                            route.method, route.path(channel), body=route.body, headers={header: value}
                        )
                        assert response.status < 500, response.body
