"""What surrounds every request: its id, its cost, its log line."""

from __future__ import annotations

import json
import logging
import re
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import Response

from shared.domain.errors import ChannelNotFoundError
from shared.web.app import create_app, create_handler
from shared.web.middleware import MAX_BODY, RequestMiddleware
from tests.api import event, response_of
from tests.cases import case
from tests.functions.chat import messages
from tests.functions.refusals import BODIES, ROUTES, Route, assert_refused, state

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.storage.memory import MemoryStore
    from tests.functions.chat import Chat

SERVER_TIMING = re.compile(
    r'total;dur=\d+\.\d, tier;desc="[a-z-]+", dynamodb;desc="read=\d+(\.\d+)? write=\d+(\.\d+)? calls=\d+", '
    r'redis;desc="commands=\d+"'
)
CANARY = "canary-7f3a"


# --- headers ---


def test_every_answer_has_the_common_headers(chat: Chat) -> None:
    """Every response, granted or refused, has an id, its cost, and the security headers."""
    for route in ROUTES:
        with case(route):
            for user in ["ada", None, "eve"]:
                with case(user):
                    channel = chat.channel("grace")
                    chat.post(channel)
                    response = chat.api(route.method, route.path(channel), user=user, body=route.body)
                    assert response.headers["x-request-id"] == "request-1"
                    assert SERVER_TIMING.fullmatch(response.headers["server-timing"])
                    assert response.headers["x-content-type-options"] == "nosniff"
                    assert (
                        response.headers["content-security-policy"]
                        == "default-src 'none'; frame-ancestors 'none'"
                    )
                    assert response.headers["strict-transport-security"] == "max-age=31536000"
                    kept = route.name in {"fetch_messages", "fetch_changes"} and response.status == 200
                    assert response.headers["cache-control"] == ("private, no-cache" if kept else "no-store")


def test_what_does_not_exist_has_no_cost(chat: Chat) -> None:
    """Units could tell a channel that is hidden from one that is not there, so neither has any."""
    response = chat.api("GET", "/v1/channels/0000000000000000")
    assert re.fullmatch(r"total;dur=\d+\.\d", response.headers["server-timing"])


def test_a_404_for_a_channel_is_padded(chat: Chat) -> None:
    """A 404 for a hidden or missing channel is padded on every route; other responses are not."""
    hidden = chat.channel("grace", kind="private")

    def padded(route: Route, channel: str) -> tuple[int, bool]:
        chat.api.levelled.clear()
        response = chat.api(route.method, route.path(channel), user="eve", body=route.body)
        return response.status, bool(chat.api.levelled)

    for route in ROUTES:
        chat.api(
            route.method, route.path(hidden), user="eve", body=route.body
        )  # The first call takes longer.
        for channel in (hidden, "0000000000000000"):
            # On a busy machine a request may take longer than the padding: then another one shows it.
            seen = {padded(route, channel) for _ in range(5)}
            with case(route, channel):
                assert (404, True) in seen or {status for status, _ in seen}.isdisjoint({404})
                assert all(status == 404 for status, is_padded in seen if is_padded)
    chat.api.levelled.clear()
    assert chat.api("GET", f"/v1/channels/{hidden}").status == 200
    assert chat.api.levelled == []


@pytest.mark.parametrize(("took", "waits"), [(0.0, 0.03), (0.02, 0.01), (0.04, None)])
def test_what_such_an_answer_waits_for_is_a_moment_after_the_request(
    took: float, waits: float | None
) -> None:
    """However long the storage took until then: all of them say the same time, unless it took longer."""
    now, slept = [100.0], list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    app = create_app("test")

    @app.get("/v1/healthz")
    async def check_health() -> None:
        now[0] += took
        raise ChannelNotFoundError

    app.middleware_stack = RequestMiddleware(app.router, "test", lambda: now[0], sleep)
    response = response_of(create_handler(app)(event("GET", "/v1/healthz"), None))  # type: ignore[arg-type]  # nothing looks at it
    assert slept == ([] if waits is None else [pytest.approx(waits)])
    assert response.headers["server-timing"] == f"total;dur={max(took, 0.03) * 1000:.1f}"


def test_a_304_has_the_common_headers_too(chat: Chat) -> None:
    """A response without a body has an id and a cost too."""
    response = chat.api("GET", messages(chat.channel()), headers={"if-none-match": "*"})
    assert response.status == 304
    assert response.headers["x-request-id"] == "request-1"
    assert SERVER_TIMING.fullmatch(response.headers["server-timing"])


def test_the_clients_request_id_is_taken_over(chat: Chat) -> None:
    """A client can follow its request by an id of its own, also in a problem."""
    for given in ["a", "01J9ZK3-x_y.z=", "x" * 64]:
        with case(given):
            response = chat.api("GET", "/v1/channels/x", headers={"X-Request-Id": given})
            assert response.headers["x-request-id"] == response.json["request_id"] == given


def test_another_request_id_is_api_gateways(chat: Chat) -> None:
    """A malformed id of the client is replaced by API Gateway's."""
    for given in ["", " ", "x" * 65, "a b", "é", "a\r\nset-cookie: x", '{"a":1}', "a\n", "<b>"]:
        with case(given):
            response = chat.api("GET", "/v1/healthz", user=None, headers={"x-request-id": given})
            assert response.headers["x-request-id"] == "request-1"


# --- size ---


def test_a_body_above_the_limit_is_413(chat: Chat, store: MemoryStore) -> None:
    """A body larger than any valid one is refused before it is read."""
    for route in BODIES:
        with case(route):
            channel = chat.channel("grace")
            before = state(store)
            body = json.dumps((route.body or {}) | {"x": "x" * MAX_BODY})
            response = chat.api(route.method, route.path(channel), body=body)
            assert_refused(response, 413, "payload_too_large")
            assert state(store) == before


def test_the_largest_valid_batch_is_below_the_limit(chat: Chat) -> None:
    """25 messages of 4,000 characters pass, each character escaped and each metadata full."""
    message = {"text": "😀" * 4_000, "metadata": {"a": "é" * 500}, "client_message_id": "x" * 64}
    body = json.dumps({"messages": [message] * 25})
    assert len(body) < MAX_BODY
    assert chat.api("POST", messages(chat.channel()), body=body).status == 201


# --- the log line ---


def test_a_request_is_one_line(chat: Chat, log: Callable[[], list[dict[str, Any]]]) -> None:
    """The line has the function, the route, the caller, the status, the time and the cost."""
    channel = chat.channel()
    before = len(log())
    made = event("GET", messages(channel), headers={"x-request-id": "mine"})
    made["routeKey"] = "GET /v1/channels/{channel_id}/messages"
    chat.api.invoke(made)
    (line,) = log()[before:]
    wanted = {
        "message": "request",
        "level": "INFO",
        "service": "budgie",
        "function": "fetch_messages",
        "route": "GET /v1/channels/{channel_id}/messages",
        "channel": channel,
        "status": 200,
        "request_id": "mine",
    }
    assert line | wanted == line
    numbers = {"ms", "read_units", "write_units", "calls", "conflicts", "voids", "redis_commands"}
    assert all(line[name] >= 0 for name in numbers)


def test_a_client_cannot_cut_its_line_off_from_the_access_log(
    chat: Chat, log: Callable[[], list[dict[str, Any]]]
) -> None:
    """Where the client gives an id of its own, the line has API Gateway's too, which the access log knows."""
    before = len(log())
    for headers in ({"x-request-id": "mine"}, {}):
        chat.api("GET", "/v1/channels", headers=headers)
    ids = [(line["request_id"], line.get("api_request_id")) for line in log()[before:]]
    assert ids == [("mine", "request-1"), ("request-1", None)]


def test_a_refusal_is_logged_with_its_code(chat: Chat, log: Callable[[], list[dict[str, Any]]]) -> None:
    """A refused request is one line too, which says why."""
    before = len(log())
    chat.api("GET", "/v1/channels/0000000000000000")
    (line,) = log()[before:]
    assert (line["status"], line["code"]) == (404, "channel_not_found")


def test_only_the_first_request_of_a_container_is_cold(log: Callable[[], list[dict[str, Any]]]) -> None:
    """A cold start is seen in the log."""
    app = create_app("tested")

    @app.get("/v1/healthz")
    async def healthy() -> Response:
        return Response()

    handler, before = create_handler(app), len(log())
    for _ in range(3):
        handler(event("GET", "/v1/healthz"), None)  # type: ignore[arg-type]  # nothing looks at the context
    assert [line["cold"] for line in log()[before:]] == [True, False, False]


def requests_with_canaries(channel: str) -> list[dict[str, Any]]:
    """Valid and invalid requests with the canary everywhere a client can put a value."""
    headers = {"authorization": f"Bearer {CANARY}", "cookie": CANARY, "x-request-id": f"{CANARY} {CANARY}"}
    headers |= {"idempotency-key": CANARY, "user-agent": CANARY}
    conditions: list[dict[str, str]] = [{}, {"if-match": CANARY, "if-none-match": f'"{CANARY}"'}]
    bodies: list[Any] = [
        {"text": CANARY, "client_message_id": CANARY, "metadata": {CANARY: CANARY}},
        {"messages": [{"text": CANARY}]},
        {"kind": "public", "name": CANARY, "topic": CANARY, "members": [CANARY]},
        {"topic": CANARY},
        {"last_read_seq": CANARY, CANARY: CANARY},
        {"role": CANARY},
        f'{{"text": "{CANARY}',
        CANARY,
        None,
    ]
    queries: list[dict[str, str]] = [{}, {"cursor": CANARY}, {CANARY: CANARY}, {"limit": CANARY}]
    made = []
    for route in ROUTES:
        for body in bodies if route.body else [None]:
            for query, condition in product(queries, conditions):
                given: dict[str, Any] = {
                    "user": CANARY,
                    "body": body,
                    "query": query,
                    "headers": headers | condition,
                }
                made.append(event(route.method, route.path(channel), **given))
    return made


def test_no_log_has_what_people_say_or_who_they_are(
    chat: Chat, log: Callable[[], list[dict[str, Any]]], caplog: pytest.LogCaptureFixture
) -> None:
    """No text, name, token, key or user id is in any line, whether the request was granted or not."""
    caplog.set_level(logging.DEBUG)
    channel = chat.channel(CANARY)
    chat.put_member(channel, CANARY, role="moderator")
    caplog.clear()
    before = len(log())
    statuses = {chat.api.invoke(made).status for made in requests_with_canaries(channel)}
    assert {200, 201, 400, 422} <= statuses
    assert max(statuses) < 500
    assert CANARY not in json.dumps(log()[before:])
    assert CANARY not in caplog.text
    assert not [record for record in caplog.records if CANARY in str(record.__dict__)]
