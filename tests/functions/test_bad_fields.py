"""Bad values of single fields, parameters and headers: the answer names the place, and nothing is written."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from shared.domain import keys
from shared.web.problems import MAX_FIELD
from tests.api import event
from tests.functions.refusals import ROUTES, Route, assert_refused, named, state

if TYPE_CHECKING:
    from shared.storage.memory import MemoryStore
    from tests.functions.chat import Chat

NO_TEXT: list[Any] = [None, 1, 1.5, True, [], ["x"], {}, {"x": 1}, math.nan]
CONTROL = ["\x00", "a\x00b", "\x1f", "a\x7f", "\x1b[31m"]
SURROGATES = ["\ud800", "a\udfff", "\udc00\ud800"]
INVISIBLE = [
    "\xa0",
    "\u2003",
    "\u200b",
    "\u2800",
    "\u3000",
    "\u3164",
    "\ufeff",
    "\xad",
    "\u200d\ufe0f",
    "\u0301",
]
INVISIBLE += [" \u200b ", "\U000e0041", "\u2067\u2069"]
"""Blanks, format characters, and marks alone."""
UNFIT = ["a\x85b", "a\u2028b", "a\u2029", "\x9b31ma", "\u202eada", "a\u2067b\u2069", "a\ufffd"]
"""In names and ids: C1 controls, separators of lines, what turns text around, what stands for undecodable bytes."""
NO_NUMBER: list[Any] = [None, "1", "", 1.5, True, [], {}, math.nan, math.inf, -math.inf, 1e300, 10**400]
LONG_JSON = {"a": "x" * 1_017}
NO_METADATA: list[Any] = [
    *(1, "x", [], True, math.nan),
    {"a": math.nan},
    {"a": [{"b": math.inf}]},
    {"a": -math.inf},
    {"\ud800": 1},
    {"a": ["\udfff"]},
    LONG_JSON,
    {"a": "é" * 509},
    {"a": [0] * 600},
    {"": "x" * 2_000},
]
NO_CLIENT_ID = [*NO_TEXT[1:], *CONTROL, *SURROGATES, *INVISIBLE, *UNFIT, "", " ", "a b", "é", "x" * 65, "a\n"]

FIELDS: dict[tuple[str, str], list[Any]] = {
    ("post_message", "text"): [
        *(
            *NO_TEXT,
            *CONTROL,
            *SURROGATES,
            *INVISIBLE,
            "",
            " ",
            "\n\t ",
            "a\x9b31m",
            "\x80a",
            "x" * 4_001,
            "😀" * 4_001,
        )
    ],
    ("post_message", "client_message_id"): NO_CLIENT_ID,
    ("post_message", "metadata"): NO_METADATA,
    ("post_message", "messages"): [None, 1, "x", {}, [], [None], ["x"], [[]], [{}], [{"text": "a"}] * 26]
    + [[{"text": "a"}, {"text": text}] for text in (" ", "\x00", "\ud800", 1)]
    + [[{"text": "a", "metadata": metadata}] for metadata in NO_METADATA]
    + [[{"messages": [{"text": "a"}]}], [{"text": "a", "x": 1}]],
    ("create_channel", "kind"): [*NO_TEXT, "", "Public", "secret", "public ", "\ud800"],
    ("create_channel", "name"): [
        *(*NO_TEXT[1:], *CONTROL, *SURROGATES, *INVISIBLE, *UNFIT, "", " ", "a\nb", "x" * 81, "😀" * 41)
    ],
    ("create_channel", "topic"): [
        *NO_TEXT,
        *CONTROL,
        *SURROGATES,
        *INVISIBLE,
        *UNFIT,
        "a\nb",
        "x" * 251,
        "😀" * 76,
    ],
    ("create_channel", "slow_mode"): [*NO_NUMBER, -1, 21_601],
    ("create_channel", "members"): [
        *(None, 1, 1.5, True, {"x": 1}, "grace", [None], [1], [["grace"]], [""], ["x" * 129], ["é" * 65]),
        *(["a/b"], ["a?b"], ["a#b"], ["a%2Fb"], ["a\\b"], ["a\nb"], ["\ud800"]),
        *([each] for each in INVISIBLE + UNFIT),
        [f"user-{number}" for number in range(51)],
    ],
    ("update_channel", "name"): [
        *NO_TEXT,
        *CONTROL,
        *SURROGATES,
        *INVISIBLE,
        *UNFIT,
        "",
        " ",
        "x" * 81,
        "😀" * 41,
    ],
    ("update_channel", "topic"): [*NO_TEXT, *CONTROL, *SURROGATES, *INVISIBLE, *UNFIT, "x" * 251, "é" * 151],
    ("update_channel", "slow_mode"): [*NO_NUMBER, -1, 21_601],
    ("update_channel", "kind"): ["private", None],
    ("update_channel", "archived"): [True, False],
    ("mark_read", "last_read_seq"): [*NO_NUMBER, -1, 2, keys.MAX_SEQ, keys.MAX_SEQ + 1, 2**63, 10**30],
    ("mark_read", "force"): [None, 1, 0, "true", [], {}],
    ("put_member", "role"): [*NO_TEXT[1:], "", "admin", "Owner", "\ud800"],
}
CASES = [(name, field, value) for (name, field), values in FIELDS.items() for value in values]


def case_id(value: Any) -> str:
    """A name that is short and has no surrogates."""
    return ascii(value)[:40]


@pytest.mark.parametrize(("name", "field", "value"), CASES, ids=case_id)
def test_a_bad_field_is_422_and_named(
    chat: Chat, store: MemoryStore, name: str, field: str, value: Any
) -> None:
    """A field that is missing its type, form or limits is told of by its path."""
    route, channel = named(name), chat.channel("grace")
    chat.post(channel)
    before = state(store)
    body = {field: value} if field == "messages" else (route.body or {}) | {field: value}
    response = chat.api(route.method, route.path(channel), body=body)
    problem = assert_refused(response, 422)
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
    ("create_channel", {"kind": "direct"}),
    ("create_channel", {"kind": "direct", "members": []}),
    ("create_channel", {"kind": "direct", "members": ["ada"]}),
    ("create_channel", {"kind": "direct", "members": ["grace", "linus"]}),
    ("create_channel", {"kind": "direct", "members": ["ada", "grace"]}),
    ("create_channel", {"kind": "direct", "members": ["grace"], "name": "us"}),
    ("create_channel", {"kind": "direct", "members": ["grace"], "topic": "us"}),
    ("create_channel", {"kind": "direct", "members": ["grace"], "slow_mode": 1}),
    ("mark_read", {}),
    ("mark_read", {"force": True}),
]


@pytest.mark.parametrize(("name", "body"), BODIES, ids=case_id)
def test_fields_that_do_not_go_together_are_422(
    chat: Chat, store: MemoryStore, name: str, body: dict[str, Any]
) -> None:
    """What is required is missed, and what contradicts is refused."""
    route, channel = named(name), chat.channel()
    before = state(store)
    assert_refused(chat.api(route.method, route.path(channel), body=body), 422, "validation_failed")
    assert state(store) == before


@pytest.mark.parametrize(
    ("name", "field"),
    [("mark_read", "last_read_seq"), ("create_channel", "slow_mode"), ("update_channel", "slow_mode")],
)
def test_a_whole_number_may_be_written_with_a_point(chat: Chat, name: str, field: str) -> None:
    """JSON does not tell 1.0 from 1, nor does the document's `integer`."""
    route, channel = named(name), chat.channel("grace")
    chat.post(channel)
    response = chat.api(route.method, route.path(channel), body=(route.body or {}) | {field: 1.0})
    assert response.status in {200, 201}, response.body
    assert (response.json[field], type(response.json[field])) == (1, int)


# --- query parameters ---

NO_LIMIT = ["0", "-1", "101", "x", "1.5", "1e1", "", "٣", "9" * 400, "NaN", "true", "0x10", "1\x00"]
NO_LIMIT += ["5.0", " 5", "5 ", "+5", "1_0", "5\n"]
NO_FLAG = ["", "x", "2", "maybe", "yes", "on", "t", "True", "FALSE", " true", "1.0"]
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
NO_CURSOR = [
    "",
    "x",
    "====",
    "null",
    "é",
    "\x00",
    "AAAA",
    "%",
    "Wy",
    "eyJhIjoxfQ",
    "W251bGxd",
    "x" * 513,
    "W1si",
]
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


@pytest.mark.parametrize(
    ("name", "parameter", "value"),
    [(*key, value) for key, values in QUERIES.items() for value in values],
    ids=case_id,
)
def test_a_bad_parameter_is_422_and_named(
    chat: Chat, store: MemoryStore, name: str, parameter: str, value: str
) -> None:
    """A query parameter outside of its limits is told of by its name."""
    route, channel = named(name), chat.channel("grace")
    chat.post(channel)
    before = state(store)
    problem = assert_refused(chat.api("GET", route.path(channel), query={parameter: value}), 422)
    assert [error["field"] for error in problem["errors"]] == [f"query.{parameter}"]
    assert state(store) == before


@pytest.mark.parametrize("scope", ["mine", "public"])
@pytest.mark.parametrize("cursor", MADE_UP_CURSORS)
def test_a_made_up_cursor_is_refused_in_both_lists(chat: Chat, scope: str, cursor: str) -> None:
    """A cursor that could not have come from the list is not passed to the storage."""
    response = chat.api("GET", "/v1/channels", query={"scope": scope, "cursor": cursor})
    assert_refused(response, 422)


@pytest.mark.parametrize("name", LISTINGS)
def test_a_cursor_of_another_route_is_no_cursor(chat: Chat, name: str) -> None:
    """A cursor goes on where it came from, and nowhere else."""
    foreign = {
        "list_channels": keys.encode_cursor("grace"),
        "list_members": keys.encode_cursor(1_795_459_464_000, "0" * 16),
    }
    if cursor := foreign.get(name):
        response = chat.api("GET", named(name).path(chat.channel()), query={"cursor": cursor})
        assert_refused(response, 422, "invalid_cursor")


@pytest.mark.parametrize("route", ROUTES, ids=str)
@pytest.mark.parametrize("parameter", ["limits", "user", "sub", "Limit", "limit[]", "", "é", "x" * 2_000])
def test_an_unknown_parameter_is_422(chat: Chat, store: MemoryStore, route: Route, parameter: str) -> None:
    """A misspelt parameter is told of, not passed over, by routes that know of none too."""
    channel = chat.channel("grace")
    before = state(store)
    response = chat.api(route.method, route.path(channel), body=route.body, query={parameter: "1"})
    problem = assert_refused(response, 422, "validation_failed")
    assert [error["field"] for error in problem["errors"]] == [f"query.{parameter}"[:MAX_FIELD]]
    assert state(store) == before


@pytest.mark.parametrize(
    "query",
    [
        {"before": 1, "after": 0},
        {"before": 1, "around": 1},
        {"after": 0, "anchor": "latest"},
        {"around": 1, "anchor": "oldest"},
        {"before": 1, "after": 0, "around": 1, "anchor": "latest"},
    ],
)
def test_two_places_are_422(chat: Chat, query: dict[str, Any]) -> None:
    """A page is at one place at most."""
    response = chat.api("GET", named("fetch_messages").path(chat.channel()), query=query)
    assert_refused(response, 422, "validation_failed")


@pytest.mark.parametrize(
    "filters", [{"kind": "private"}, {"kind": "public"}, {"unread_only": "true"}, {"unread_only": "false"}]
)
def test_a_filter_of_ones_own_channels_is_422_on_the_public_list(chat: Chat, filters: dict[str, str]) -> None:
    """`scope=public` takes neither `kind` nor `unread_only`, whatever they say: each is refused by its name."""
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


@pytest.mark.parametrize("route", [named(name) for name in LISTINGS], ids=str)
@pytest.mark.parametrize("raw", RAW)
def test_a_query_that_is_no_text_is_422(chat: Chat, route: Route, raw: str) -> None:
    """Broken escapes in a query are the caller's fault, no crash."""
    made = event("GET", route.path(chat.channel())) | {"rawQueryString": raw}
    assert_refused(chat.api.invoke(made), 422)


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
    *INVISIBLE,
    *UNFIT,
]


@pytest.mark.parametrize("name", ["post_message", "create_channel"])
@pytest.mark.parametrize("key", BAD_KEYS, ids=case_id)
def test_a_bad_idempotency_key_is_422(chat: Chat, store: MemoryStore, name: str, key: str) -> None:
    """A key is 1 to 255 visible ASCII characters; one that is not is not dropped silently."""
    route, channel = named(name), chat.channel()
    before = state(store)
    response = chat.api(route.method, route.path(channel), body=route.body, headers={"idempotency-key": key})
    problem = assert_refused(response, 422, "validation_failed")
    assert problem["errors"][0]["field"] == "header.idempotency-key"
    assert state(store) == before


@pytest.mark.parametrize("name", ["post_message", "create_channel"])
def test_an_idempotency_key_that_was_sent_twice_is_called_so(chat: Chat, name: str) -> None:
    """Whoever doubled the header could not tell that from a pattern; API Gateway joins the two by a comma."""
    route, channel = named(name), chat.channel()
    headers = {"idempotency-key": "key,key"}
    problem = assert_refused(
        chat.api(route.method, route.path(channel), body=route.body, headers=headers),
        422,
        "validation_failed",
    )
    assert "sent more than once" in problem["errors"][0]["detail"]


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize(
    "user",
    ["a#b", "a?b", "a%b", "a\\b", "a\x00", "a\n", "x" * 129, "é" * 65, "\x7f", *INVISIBLE, *UNFIT],
    ids=case_id,
)
def test_what_cannot_be_a_user_id_is_422(chat: Chat, store: MemoryStore, method: str, user: str) -> None:
    """Nobody can be added, or looked for, under an id that no token could carry."""
    channel = chat.channel("grace")
    before = state(store)
    problem = assert_refused(
        chat.api(method, f"/v1/channels/{channel}/members/{user}"), 422, "validation_failed"
    )
    assert problem["errors"][0]["field"] == "path.user_id"
    assert state(store) == before


@pytest.mark.parametrize("route", ROUTES, ids=str)
@pytest.mark.parametrize("header", ["if-match", "if-none-match", "x-request-id", "cookie", "origin", "range"])
def test_strange_headers_harm_nobody(chat: Chat, route: Route, header: str) -> None:
    """A header that is nonsense is never a crash."""
    channel = chat.channel("grace", "linus")
    chat.post(channel)
    for value in ["", "é😀", "\x00", "x" * 10_000, '"' * 99, "W/" * 99]:
        response = chat.api(route.method, route.path(channel), body=route.body, headers={header: value})
        assert response.status < 500, response.body
