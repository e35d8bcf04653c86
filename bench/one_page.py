"""One page of real text that is in memory, and the event that asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from bench.conversations import CHANNEL, STARTED_AT, bodies
from shared.messages import preview_of
from shared.model import Entry, Head, Kind, Membership, Role
from shared.services import Services, compose
from shared.settings import Settings
from shared.store.interface import Commit
from shared.store.memory import MemoryStore
from shared.use_cases.fetch_messages import Window, fetch_messages

PAGE: Final = 50
SIZES: Final = range(200, 1_001, 50)
"""Bytes that a message's JSON has at least, in turn."""
USER: Final = "ada"


@dataclass(frozen=True, slots=True)
class Scene:
    """A channel of one page, and the services that have it in memory."""

    store: MemoryStore
    services: Services
    body: bytes


def scene(sizes: Sequence[int] = SIZES) -> Scene:
    """A page of real text, posted and read once; ``sizes`` are its messages' bytes at least, in turn."""
    store = MemoryStore()
    store.create_channel(
        Head(CHANNEL, Kind.PUBLIC, "lobby", "", USER, STARTED_AT),
        [Membership(USER, CHANNEL, Role.OWNER, STARTED_AT)],
    )
    entries = [Entry(i, i, STARTED_AT, body) for i, body in enumerate(bodies(PAGE, sizes), 1)]
    store.take(CHANNEL, PAGE, preview_of(entries[-1]))
    store.commit(
        Commit(CHANNEL, USER, entries, tat_seen=0, tat=0, move_read=True, receipt=None, now=STARTED_AT)
    )
    services = compose(Settings(), store)
    page = fetch_messages(services, USER, CHANNEL, Window(PAGE), frozenset())
    return Scene(store, services, page.body or b"")


def event() -> dict[str, Any]:
    """What API Gateway hands over for a page: HTTP API, payload format 2.0."""
    path = f"/v1/channels/{CHANNEL}/messages"
    return {
        "version": "2.0",
        "routeKey": "GET /v1/channels/{channel_id}/messages",
        "rawPath": path,
        "pathParameters": {"channel_id": CHANNEL},
        "rawQueryString": f"limit={PAGE}",
        "headers": {
            "accept": "application/json",
            "authorization": "Bearer token",
            "host": "api.example.com",
            "user-agent": "bench",
            "x-forwarded-for": "192.0.2.1",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
        },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api",
            "authorizer": {
                "jwt": {"claims": {"sub": USER, "iss": "https://issuer.example.com"}, "scopes": None}
            },
            "domainName": "api.example.com",
            "http": {
                "method": "GET",
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "bench",
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "stage": "$default",
            "timeEpoch": STARTED_AT,
        },
        "isBase64Encoded": False,
    }
