"""The token rows of ``docs/authorization.yaml`` through the local gateway, and hidden channels on the real engine."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.cases import case
from tests.e2e.running import ROOT
from tests.e2e.test_tokens_at_the_gateway import BODIES, ROUTES, TOKENS, Place, path_of, place_of
from tools import authorization

if TYPE_CHECKING:
    from local.demo.client import Response
    from local.template.load import Route
    from tests.e2e.running import RunningStack

pytestmark = pytest.mark.stack

MATRIX: Final = authorization.load()
DOCUMENT: Final[dict[str, Any]] = json.loads((ROOT / "openapi.json").read_text(encoding="utf-8"))
KINDS: Final = {
    "other issuer": "another issuer",
    "expired": "expired",
    "tampered": "tampered subject",
    "alg=none": "alg none",
    "other audience": "another audience",
}
"""The table's tokens, by their names in `test_tokens_at_the_gateway`."""
TOTAL: Final = re.compile(r"total;dur=[\d.]+")
PER_REQUEST: Final = ("date", "apigw-requestid", "x-request-id", "content-length")


@pytest.fixture(scope="module")
def room(stack: RunningStack) -> Place:
    """A private channel of ada's with a message."""
    return place_of(stack, "private")


def operation(route: Route) -> str:
    """The operation of a route."""
    return str(DOCUMENT["paths"][route.path][route.method.lower()]["operationId"])


@pytest.mark.parametrize("token", MATRIX.tokens)
def test_a_token_gets_what_the_table_says(room: Place, token: str) -> None:
    """Real tokens on each route: 401 before any function is called, except on open routes."""
    headers = {}
    if token in KINDS:
        headers = {"Authorization": f"Bearer {TOKENS[KINDS[token]](room.stack.keys)}"}
    for route in ROUTES:
        with case(route.key):
            response = room.call(route, **headers)
            refused = MATRIX.refuses(operation(route))
            assert response.status == (401 if refused else 200)
            assert (response.body == b'{"message":"Unauthorized"}') is refused


def test_every_token_of_the_table_is_made() -> None:
    """No row of the table is left untested."""
    assert {"no token", *KINDS} == set(MATRIX.tokens)


def seen(response: Response) -> tuple[int, dict[str, str], dict[str, Any]]:
    """A response without what differs from one request to the next."""
    headers = {name: value for name, value in response.headers.items() if name not in PER_REQUEST}
    headers["server-timing"] = TOTAL.sub("", headers["server-timing"])
    return response.status, headers, response.json | {"request_id": ""}


def test_a_hidden_channel_is_as_a_missing_one(room: Place) -> None:
    """Over a real engine, on every route: same status, headers and body."""
    missing = room.channel_id[::-1]
    with room.stack.client() as client:
        for route in [each for each in ROUTES if "{channel_id}" in each.path]:
            responses = []
            for channel in (room.channel_id, missing):
                path = path_of(route, channel, f"{channel}-00000001", "me")
                responses.append(client.call(route.method, path, "eve", body=BODIES.get(route.key)))
            with case(route.key):
                assert seen(responses[0]) == seen(responses[1])
                assert responses[0].status == 404
