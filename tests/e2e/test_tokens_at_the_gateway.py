"""No route of the template accepts a token that does not prove its user's identity."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest
from cryptography.hazmat.primitives import serialization

from local.dynamodb import engine as dynamodb
from local.template.load import WHOLE, load
from local.tokens import KeyPair
from tests.cases import case
from tests.e2e.running import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.demo.client import Response
    from local.template.load import Route
    from tests.e2e.running import RunningStack

pytestmark = pytest.mark.stack

ROUTES: Final = load(ROOT / "template.yaml", {"JwtIssuer": "https://budgie.local"} | WHOLE).routes
PROTECTED: Final = [route for route in ROUTES if route.authorized]
BODIES: Final[dict[str, Any]] = {
    "POST /v1/channels": {"kind": "public", "name": "mine"},
    "POST /v1/channels/{channel_id}/messages": {"text": "hello"},
    "PUT /v1/channels/{channel_id}/read": {"last_read_seq": 1},
    "PUT /v1/channels/{channel_id}/muted": {"muted": True},
    "POST /v1/channels/{channel_id}/messages/{message_id}/replies": {"text": "hello"},
    "PUT /v1/channels/{channel_id}/messages/{message_id}/thread/read": {"last_read_seq": 0},
    "PATCH /v1/channels/{channel_id}": {"topic": "mine"},
    "PUT /v1/channels/{channel_id}/archived": {"archived": False},
    "PATCH /v1/channels/{channel_id}/messages/{message_id}": {"text": "mine"},
    "POST /v1/channels/{channel_id}/messages/{message_id}/reports": {"reason": "spam"},
    "PUT /v1/channels/{channel_id}/reports/{report_id}": {"status": "closed", "resolution": "Done"},
}
PATH: Final = "/v1/channels/{channel_id}"
REACTIONS: Final = "/v1/channels/{channel_id}/messages/{message_id}/reactions"


def path_of(route: Route, channel_id: str, message_id: str, user_id: str, report_id: str = "0") -> str:
    """A route's path with these parts, and with the query that it needs."""
    path = route.path.format(
        channel_id=channel_id, message_id=message_id, user_id=user_id, report_id=report_id, emoji=":ship:"
    )
    return f"{path}?emoji=:ship:" if route.key == "GET " + REACTIONS else path


@dataclass(frozen=True)
class Place:
    """A channel of ada's with a message that is reported, and the whole contents of the table."""

    stack: RunningStack
    channel_id: str
    message_id: str
    report_id: str

    def call(self, route: Route, **headers: str) -> Response:
        """Call a route as it would do something, if it let the caller in."""
        # `me` joins, which any user may; grace is a member to remove.
        user = "grace" if route.method == "DELETE" else "me"
        if "/bans/" in route.path or "/blocks/" in route.path:
            user = "mallory"  # Nobody bans or blocks themselves.
        path = path_of(route, self.channel_id, self.message_id, user, self.report_id)
        with self.stack.client() as client:
            return client.call(route.method, path, body=BODIES.get(route.key), headers=headers)

    def everything(self) -> list[dict[str, Any]]:
        """All items of the table."""
        with closing(dynamodb.client(self.stack.dynamodb_url)) as client:
            pages = client.get_paginator("scan").paginate(TableName="budgie")
            items = [dict(item) for page in pages for item in page["Items"]]
        return sorted(items, key=lambda item: (item["pk"]["S"], item["sk"]["S"]))


@pytest.fixture(scope="module")
def place(stack: RunningStack) -> Place:
    """A channel that there is something to do in."""
    return place_of(stack, "public")


def place_of(stack: RunningStack, kind: str) -> Place:
    """A new channel of ada's and grace's, with a message that grace has reported."""
    body = {"kind": kind, "name": "square", "members": ["grace"]}
    with stack.client() as client:
        channel = client.call("POST", "/v1/channels", "ada", body=body).json["id"]
        messages = f"/v1/channels/{channel}/messages"
        said = client.call("POST", messages, "ada", body={"text": "mine"}).json["id"]
        report = client.call("POST", f"{messages}/{said}/reports", "grace", body={"reason": "spam"})
    return Place(stack, channel, said, report.json["id"])


def _part(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


def _with_payload(token: str, **claims: object) -> str:
    head, payload, signature = token.split(".")
    held = json.loads(base64.urlsafe_b64decode(payload + "=="))
    return f"{head}.{_part(held | claims)}.{signature}"


def _unsigned(keys: KeyPair, algorithm: str, signature: str = "") -> str:
    payload = keys.issue("ada").split(".")[1]
    return f"{_part({'alg': algorithm, 'typ': 'JWT', 'kid': keys.key_id})}.{payload}.{signature}"


def _signed_with_the_public_key(keys: KeyPair, encoding: serialization.Encoding) -> str:
    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    secret = keys.public_key.public_bytes(encoding, kind)
    content = _unsigned(keys, "HS256").rstrip(".")
    signature = hmac.new(secret, content.encode(), hashlib.sha256).digest()
    return f"{content}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _by_another_key(keys: KeyPair) -> str:
    """Signed by a key of the attacker's, which the header says is the issuer's."""
    head = keys.issue("ada").split(".")[0]
    return ".".join([head, *KeyPair.create().issue("ada").split(".")[1:]])


TOKENS: Final[dict[str, Callable[[KeyPair], str]]] = {
    "expired": lambda keys: keys.issue("ada", expires_in=-1),
    "never expires": lambda keys: keys.issue("ada", exp=None),
    "not valid yet": lambda keys: keys.issue("ada", nbf=4_102_444_800),
    "tampered subject": lambda keys: _with_payload(keys.issue("grace"), sub="ada"),
    "tampered signature": lambda keys: keys.issue("ada")[:-4] + "AAAA",
    "without its signature": lambda keys: keys.issue("ada").rpartition(".")[0] + ".",
    "alg none": lambda keys: _unsigned(keys, "none"),
    "alg None": lambda keys: _unsigned(keys, "None"),
    "alg none, but signed": lambda keys: _unsigned(keys, "none", keys.issue("ada").split(".")[2]),
    "HS256 with the public key as PEM": lambda keys: _signed_with_the_public_key(
        keys, serialization.Encoding.PEM
    ),
    "HS256 with the public key as DER": lambda keys: _signed_with_the_public_key(
        keys, serialization.Encoding.DER
    ),
    "another key under the same name": _by_another_key,
    "another key": lambda _: KeyPair.create().issue("ada"),
    "another issuer": lambda keys: keys.issue("ada", issuer="https://issuer.example.com"),
    "another audience": lambda keys: keys.issue("ada", audience="somebody-else"),
    "no audience": lambda keys: keys.issue("ada", aud=None),
    "two segments": lambda keys: keys.issue("ada").rpartition(".")[0],
    "no token": lambda _: "ada",
    "nothing": lambda _: "",
    "not even JSON": lambda _: "e30.e30.e30",
    "deep JSON": lambda _: f"{_part({'alg': 'RS256'})}.{'W1tb' * 500}.AAAA",
}


def test_a_token_that_proves_nothing_opens_no_route(place: Place) -> None:
    """401 on every route that the template protects, and nothing is written."""
    for kind in TOKENS:
        with case(kind):
            token = TOKENS[kind](place.stack.keys)
            before = place.everything()
            responses = {route.key: place.call(route, Authorization=f"Bearer {token}") for route in PROTECTED}
            assert {key: response.status for key, response in responses.items()} == dict.fromkeys(
                responses, 401
            )
            assert {response.body for response in responses.values()} == {b'{"message":"Unauthorized"}'}
            assert place.everything() == before


def test_without_a_token_no_route_opens(place: Place) -> None:
    """No header, another scheme, or the token at another place: 401, and nothing is written."""
    token = place.stack.token_for("ada")
    before = place.everything()
    for headers in (
        {},
        {"Authorization": "Basic YWRhOmFkYQ=="},
        {"X-User": "ada", "Cookie": f"token={token}"},
    ):
        assert {place.call(route, **headers).status for route in PROTECTED} == {401}
    assert place.everything() == before


def test_a_token_of_nobody_opens_no_route(place: Place) -> None:
    """A valid signature under no subject passes the gateway; the functions refuse it, and write nothing."""
    before = place.everything()
    for token in (place.stack.keys.issue("x", sub=None), place.stack.keys.issue("x", sub="a/b")):
        responses = [place.call(route, Authorization=f"Bearer {token}") for route in PROTECTED]
        assert {(response.status, response.json["code"]) for response in responses} == {
            (401, "unauthenticated")
        }
    assert place.everything() == before


def test_a_good_token_opens_every_route(place: Place) -> None:
    """The same requests under a token of ada's all succeed: the 401 of the others is the token's alone."""
    token = place.stack.token_for("ada")
    # Nothing can be done with the message once it is deleted, nor in the channel once it is archived.
    last = [f"DELETE {PATH}/messages/{{message_id}}", f"DELETE {PATH}"]
    ordered = sorted(PROTECTED, key=lambda route: last.index(route.key) if route.key in last else -1)
    statuses = {route.key: place.call(route, Authorization=f"Bearer {token}").status for route in ordered}
    assert {key: status for key, status in statuses.items() if not 200 <= status < 300} == {}


def test_health_needs_no_token(place: Place) -> None:
    """The one open address responds to any token."""
    routes = [route for route in ROUTES if not route.authorized]
    assert [route.key for route in routes] == ["GET /v1/healthz", "HEAD /v1/healthz"]
    for route in routes:
        assert place.call(route).status == place.call(route, Authorization="Bearer nothing").status == 200
