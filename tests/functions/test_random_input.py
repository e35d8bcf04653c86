"""Random input at every route: never a 5xx, and every refusal is a problem document."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from unicodedata import category

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shared.domain import keys
from shared.domain.text import is_visible
from tests.api import event
from tests.functions.refusals import ROUTES, Route, assert_problem, named, state
from tests.lengths import examples

if TYPE_CHECKING:
    from shared.storage.memory import MemoryStore
    from tests.functions.chat import Chat

# Each example has a channel of its own, so that they may share a storage.
SHARED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
CHARACTERS = st.characters(exclude_categories=())
TEXT = st.text(CHARACTERS, max_size=20)
NUMBERS = st.integers() | st.integers(-2, 5) | st.floats()
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
GOOD = st.sampled_from(
    ["public", "private", "direct", "group", "member", "owner", "ada", "grace", "me", "Hello"]
)
NAMES = ["text", "client_message_id", "metadata", "messages", "kind", "name", "topic", "slow_mode", "members"]
NAMES += ["role", "last_read_seq", "force"]
VALUES = (
    JSON | GOOD | st.lists(GOOD, max_size=2) | st.lists(st.fixed_dictionaries({"text": TEXT}), max_size=3)
)
BODIES = (
    st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4).map(json.dumps)
    | JSON.map(json.dumps)
    | st.binary(max_size=40).map(lambda raw: raw.decode("latin-1"))
    | st.none()
)
PARAMETERS = [
    "limit",
    "cursor",
    "unread_only",
    "kind",
    "scope",
    "before",
    "after",
    "around",
    "anchor",
    "deep",
]
PLAIN = st.text(st.characters(codec="utf-8"), max_size=20)
ANSWERS = st.sampled_from(["1", "2", "true", "public", "latest", "first_unread", "WzFd", 'W/"1.2"', '"1"'])
QUERIES = st.dictionaries(st.sampled_from(PARAMETERS) | PLAIN, PLAIN | ANSWERS | NUMBERS.map(str), max_size=3)
HEADERS = st.dictionaries(
    st.sampled_from(["idempotency-key", "if-match", "if-none-match", "x-request-id", "content-type"]),
    PLAIN | ANSWERS,
    max_size=2,
)


@settings(max_examples=examples(150), suppress_health_check=SHARED)
@given(
    route=st.sampled_from(ROUTES),
    user=st.sampled_from(["ada", "grace", "eve"]),
    body=BODIES,
    query=QUERIES,
    headers=HEADERS,
)
@example(
    route=named("post_message"),
    user="ada",
    body='{"text":"a","metadata":{"a":' + "[" * 500 + "]" * 500 + "}}",
    query={},
    headers={},
)
def test_no_request_is_a_crash(
    chat: Chat,
    store: MemoryStore,
    route: Route,
    user: str,
    body: str | None,
    query: dict[str, str],
    headers: dict[str, str],
) -> None:
    """Any request gets a response that the route promises, and a refusal writes nothing."""
    channel = chat.channel("grace")
    chat.post(channel)
    before = state(store)
    response = chat.api(route.method, route.path(channel), user=user, body=body, query=query, headers=headers)
    assert response.status < 500, response.body
    if response.status >= 400:
        assert_problem(response)
        assert state(store) == before


@settings(max_examples=examples(60), suppress_health_check=SHARED)
@given(place=st.text(CHARACTERS.filter(lambda each: each.isprintable() or ord(each) < 32), max_size=30))
def test_no_path_is_a_crash(chat: Chat, place: str) -> None:
    """Any path gets a response that a route promises or a problem document."""
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
        for path in (f"/v1/channels/{place}", f"/v1/channels/{place}/messages/{place}", f"/v1/{place}"):
            response = chat.api.invoke(event(method, path, body={"text": "x"}))
            assert response.status < 500, response.body
            if response.status >= 400:
                assert_problem(response)


@settings(max_examples=examples(60), suppress_health_check=SHARED)
@given(claims=st.dictionaries(st.sampled_from(["sub", "iss", "aud", "scope"]) | TEXT, JSON, max_size=3))
def test_no_claims_are_a_crash(chat: Chat, claims: dict[str, Any]) -> None:
    """Any claims identify a user or are a 401."""
    response = chat.api("GET", "/v1/channels", claims=claims)
    assert response.status in {200, 401}


VISIBLE = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@settings(max_examples=examples(60), suppress_health_check=SHARED)
@given(text=VISIBLE)
@example(text="שלום \u2067Ada\u2069\r\n👨\u200d👩\u200d👧 \u2028 \x85 \ufffd")
@example(text="\u3164")
@example(text="a\x9b")
def test_a_message_is_taken_exactly_if_it_shows_something(chat: Chat, text: str) -> None:
    """And has no control character but tabs and line ends; what is taken comes back as it was."""
    channel = chat.channel()
    response = chat.api("POST", f"/v1/channels/{channel}/messages", body={"text": text})
    control = any(category(each) == "Cc" and each not in "\t\n\r\x85" for each in text)
    assert response.status == (201 if is_visible(text) and not control else 422), response.body
    assert response.status == 422 or response.json["text"] == text


@settings(max_examples=examples(60), suppress_health_check=SHARED)
@given(name=VISIBLE)
@example(name="\u200b")
@example(name="a\u2028")
@example(name="ada\u202e")
@example(name="a\ufffd")
def test_one_rule_for_user_ids_wherever_they_come_in(chat: Chat, name: str) -> None:
    """A token's `sub`, a path and a body's `members` take the same ids, and refuse the same."""
    channel = chat.channel()
    taken = keys.is_user_id(name) and name != "me"
    body = {"kind": "private", "name": "den", "members": [name]}
    assert (chat.api("POST", "/v1/channels", body=body).status == 201) == taken
    assert (chat.api("GET", "/v1/channels", user=name).status == 200) == taken
    if "/" not in name and name not in {".", "..", "me"}:
        assert (chat.put_member(channel, name).status < 300) == taken
