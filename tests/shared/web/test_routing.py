"""What is acted on is what API Gateway chose: the route's key, and the parameters that it read from the path."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from local.gateway import events
from local.gateway.routing import Routes
from local.gateway.wire import Request
from local.template import load as template
from tests.api import event
from tests.cases import case
from tests.functions.chat import messages
from tests.functions.refusals import ROUTES, WITH_CHANNEL, Route, assert_problem, assert_refused, named, state

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.storage.memory import MemoryStore
    from tests.functions.chat import Chat

GATEWAY: Final = Routes(template.load(Path(__file__).resolve().parents[3] / "template.yaml").routes)
CLAIMS: Final = {"sub": "ada"}
RAW_PATHS: Final[dict[str, Callable[[str], str]]] = {
    "decoded and cut": events.raw_path,
    "decoded": unquote,
    "as sent": lambda path: path,
}
"""What `rawPath` may hold: AWS documents none of it."""
BEHIND: Final = (
    "%3Fx=1",
    "%3F",
    "%23x",
    "%23",
    "%2Fx",
    "%2F",
    "%253Fx",
    "%2523",
    "%252F",
    "%25",
    "%5C",
    "%00",
)
INSTEAD: Final = ("%2E%2E", "%2E", "..", "%252E%252E", "%3F", "%2F", "%25")


def sent(route: Route, target: str, raw_path: str = "decoded and cut") -> dict[str, Any]:
    """The event of a percent-encoded target, whose `rawPath` may be read in different ways."""
    body = b"" if route.body is None else json.dumps(route.body).encode()
    headers = (("host", "api.example.com"), ("content-type", "application/json"))
    request = Request(route.method, target, headers=headers, body=body, source_ip="192.0.2.1")
    matched = GATEWAY.match(route.method, request.path)
    assert matched is not None, target
    made = events.build(request, *matched, request_id="request-1", claims=CLAIMS)
    made["rawPath"] = made["requestContext"]["http"]["path"] = RAW_PATHS[raw_path](request.path)
    return made


def parameters(route: Route) -> list[int]:
    """Which segments of a route's path are parameters."""
    wanted = GATEWAY.match(route.method, route.path("0" * 16))
    assert wanted is not None
    return [at for at, part in enumerate(wanted[0].path.split("/")) if part.startswith("{")]


def test_what_names_something_else_is_404_or_422(chat: Chat, store: MemoryStore) -> None:
    """An encoded `?`, `#`, `/`, `%` or dot in any parameter is part of a name that there is not: nothing is done."""
    for route in WITH_CHANNEL:
        with case(route):
            for raw_path in RAW_PATHS:
                with case(raw_path):
                    channel = chat.channel("grace", "linus")
                    chat.post(channel)
                    before = state(store)
                    parts = route.path(channel).split("/")
                    for at in parameters(route):
                        for other in [
                            *(parts[at] + each for each in BEHIND),
                            *INSTEAD,
                            f"%25{ord(parts[at][0]):02X}{parts[at][1:]}",
                        ]:
                            made = sent(route, "/".join([*parts[:at], other, *parts[at + 1 :]]), raw_path)
                            response = chat.api.invoke(made)
                            assert response.status in {404, 422}, (other, response.body)
                            assert_problem(response)
                    assert state(store) == before


def test_a_needless_escape_names_the_same(chat: Chat) -> None:
    """`%67race` is `grace`: escapes are decoded once, whatever `rawPath` holds."""
    for route in WITH_CHANNEL:
        for raw_path in RAW_PATHS:
            with case(route, raw_path):
                channel = chat.channel("grace")
                chat.post(channel)
                parts = route.path(channel).split("/")
                for at in parameters(route):
                    parts[at] = f"%{ord(parts[at][0]):02X}{parts[at][1:]}"
                response = chat.api.invoke(sent(route, "/".join(parts), raw_path))
                assert 200 <= response.status < 300, response.body


def test_a_name_beyond_ascii_is_found(chat: Chat) -> None:
    """Its escapes are undone once."""
    for raw_path in RAW_PATHS:
        with case(raw_path):
            channel = chat.channel()
            response = chat.api.invoke(
                sent(named("put_member"), f"/v1/channels/{channel}/members/zo%C3%AB%20b", raw_path)
            )
            assert (response.status, response.json["user_id"]) == (201, "zoë b")


def test_a_path_that_says_otherwise_than_the_parameters_is_404(chat: Chat, store: MemoryStore) -> None:
    """No event of API Gateway's is such: the path that its log has is the one that is acted on."""
    for route in WITH_CHANNEL:
        with case(route):
            mine, other = chat.channel("grace"), chat.channel("grace")
            for channel in (mine, other):
                chat.post(channel)
            before = state(store)
            made = event(route.method, route.path(mine), body=route.body)
            made["pathParameters"]["channel_id"] = other
            assert_refused(chat.api.invoke(made), 404, "route_not_found")
            del made["pathParameters"]
            assert_refused(chat.api.invoke(made), 404, "route_not_found")
            assert state(store) == before


def test_a_stage_or_a_mapping_is_no_part_of_the_route(chat: Chat) -> None:
    """A prefix of the path before the route changes only the links of the response."""
    for route in ROUTES:
        with case(route):
            for stage in ["prod", "v1", "chat/api", "a-b_c.d"]:
                with case(stage):
                    channel = chat.channel("grace")
                    chat.post(channel)
                    response = chat.api(route.method, route.path(channel), body=route.body, stage=stage)
                    assert 200 <= response.status < 300, response.body
                    if place := response.headers.get("location"):
                        assert place.startswith(f"/{stage}/v1/channels/")


def test_a_location_leads_back_through_the_stage(chat: Chat) -> None:
    """`Location` is what the client has to ask for."""
    for name in ["create_channel", "post_message"]:
        for stage in ["$default", "prod"]:
            with case(name, stage):
                route, channel = named(name), chat.channel()
                response = chat.api(route.method, route.path(channel), body=route.body, stage=stage)
                prefix = "" if stage == "$default" else f"/{stage}"
                assert response.headers["location"].startswith(f"{prefix}/v1/channels/")
                assert chat.follow(response.headers["location"].removeprefix(prefix)).status == 200


def test_what_no_stage_is_called_is_404(chat: Chat) -> None:
    """Nothing gets into a link that API Gateway does not let anything be called."""
    for before in ["/", "//evil.example", "/prod/", "prod", "/a b", "/prod?x", "/é"]:
        with case(before):
            made = event("POST", messages(chat.channel()), body={"text": "Hello"})
            made["rawPath"] = made["requestContext"]["http"]["path"] = before + made["rawPath"]
            assert_refused(chat.api.invoke(made), 404, "route_not_found")


def test_an_event_without_a_route_of_ours_is_404(chat: Chat) -> None:
    """Each route of the API is one of the template's: nothing is guessed from the path."""
    for key in ["$default", "", "GET", "POST /v1/channels/{channel_id}", "ANY /{proxy+}"]:
        with case(key):
            made = event("GET", messages(chat.channel())) | {"routeKey": key}
            assert_refused(chat.api.invoke(made), 404, "route_not_found")
