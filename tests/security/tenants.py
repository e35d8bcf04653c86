"""Tenants: groups of users who share no channel, and whose every text carries their marker."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Final

from shared.web.middleware import MAX_BODY
from tests.functions.chat import messages

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.api import Response
    from tests.functions.chat import Chat

Request = dict[str, Any]


@dataclass
class Tenant:
    """Users, their channels, and the marker in everything that they send.

    Args:
        marker: must appear in no answer to anybody else, and in no log line, metric or key.
        public: their channels are public; then channels, names, topics and user ids go without the marker.
    """

    marker: str
    public: bool = False
    channels: list[str] = field(default_factory=list)
    counted: int = 0

    @property
    def users(self) -> tuple[str, str]:
        """Two of them."""
        prefix = "open" if self.public else self.marker
        return f"{prefix}-ada", f"{prefix}-grace"

    def canary(self, what: str) -> str:
        """A text that was never sent before."""
        self.counted += 1
        return f"{what}-{self.marker}-{self.counted}"

    def shown(self, what: str) -> str:
        """A text that all users may see, as it names a public channel."""
        return what if self.public else self.canary(what)

    def settle_in(self, chat: Chat) -> None:
        """Makes their channels: one by its name, and a pair's where that is not public."""
        kind = "public" if self.public else "private"
        ada, grace = self.users
        body = {"kind": kind, "name": self.shown("name"), "topic": self.shown("topic"), "members": [grace]}
        headers = {"idempotency-key": self.canary("key")}
        made = chat.api("POST", "/v1/channels", user=ada, body=body, headers=headers)
        assert made.status == 201
        self.channels.append(made.json["id"])
        if not self.public:
            self.channels.append(chat.direct(ada, grace))


@dataclass(frozen=True)
class Sent:
    """A request, and what came of it."""

    tenant: Tenant
    request: Request
    response: Response

    @property
    def text(self) -> str:
        """All that the caller got."""
        return f"{self.response.headers} {self.response.body}"


def good(tenant: Tenant, channel: str, draw: Random) -> Request:
    """Something that a member may do."""
    message = {
        "text": tenant.canary("text"),
        "client_message_id": tenant.canary("client"),
        "metadata": {tenant.canary("field"): tenant.canary("value")},
    }
    key = {"idempotency-key": tenant.canary("key") if draw.random() < 0.7 else f"key-{tenant.marker}"}
    topic = {"topic": tenant.shown("topic"), "name": tenant.shown("name")}
    return draw.choice(
        [
            {"method": "POST", "path": messages(channel), "body": message, "headers": key},
            {"method": "POST", "path": messages(channel), "body": {"messages": [message, message]}},
            {"method": "GET", "path": messages(channel)},
            {"method": "GET", "path": messages(channel), "query": {"after": 0, "limit": 3}},
            {"method": "GET", "path": messages(channel), "headers": {"if-none-match": '"x"'}},
            {"method": "GET", "path": f"{messages(channel)}/{channel}-00000001"},
            {"method": "PATCH", "path": f"/v1/channels/{channel}", "body": topic},
            {"method": "PUT", "path": f"/v1/channels/{channel}/read", "body": {"last_read_seq": 0}},
        ]
    )


def anywhere(channel: str, draw: Random) -> Request:
    """Something that anybody may try."""
    return draw.choice(
        [
            {"method": "GET", "path": "/v1/channels"},
            {"method": "GET", "path": "/v1/channels", "query": {"scope": "public"}},
            {"method": "GET", "path": f"/v1/channels/{channel}"},
            {"method": "GET", "path": f"/v1/channels/{channel}/members"},
            {"method": "GET", "path": messages(channel)},
            {"method": "GET", "path": "/v1/healthz", "query": {"deep": 1}},
        ]
    )


def bad(tenant: Tenant, channel: str, draw: Random) -> Request:
    """Something that is refused, and full of what must not be repeated."""
    canary, path = tenant.canary("bad"), messages(channel)
    return draw.choice(
        [
            {"method": "POST", "path": path, "body": f'{{"text": "{canary}'},
            {"method": "POST", "path": path, "body": canary},
            {"method": "POST", "path": path, "body": {"text": canary, canary: canary}},
            {"method": "POST", "path": path, "body": {"text": canary * 400}},
            {"method": "POST", "path": path, "body": json.dumps({"text": canary + "x" * MAX_BODY})},
            {"method": "GET", "path": path, "query": {"limit": canary, canary: canary}},
            {"method": "GET", "path": "/v1/channels", "query": {"cursor": canary}},
            {"method": "GET", "path": f"{path}/{canary}"},
            {"method": "GET", "path": f"/v1/channels/{canary}"},
            {"method": "GET", "path": f"/v1/{canary}"},
            {"method": canary.upper(), "path": path},
            {"method": "PATCH", "path": f"/v1/channels/{channel}", "body": {"topic": canary * 99}},
            {"method": "PATCH", "path": path[:-9], "body": {"topic": "x"}, "headers": {"if-match": canary}},
            {"method": "GET", "path": path, "headers": {"x-request-id": f"{canary} {canary}", "cookie": canary}},
            {"method": "GET", "path": path, "headers": {"authorization": f"Bearer {canary}"}},
        ]
    )  # fmt: skip


def seeded(seed: int) -> Random:
    """The same course of things in every run."""
    return Random(seed)  # noqa: S311 - draws requests, keeps no secret


TENANTS: Final[tuple[Callable[[], Tenant], ...]] = (
    lambda: Tenant("QACMEQ"),
    lambda: Tenant("QZENQ"),
    lambda: Tenant("QOPENQ", public=True),
)


def traffic(tenants: list[Tenant], draw: Random) -> tuple[Tenant, Request]:
    """The next request: mostly of members, some bad, some to a stranger's channel."""
    tenant = draw.choice(tenants)
    own, any_of_all = draw.choice(tenant.channels), draw.choice(draw.choice(tenants).channels)
    kind = draw.random()
    if kind < 0.6:
        request = good(tenant, own, draw)
    elif kind < 0.8:
        request = anywhere(any_of_all, draw)
    else:
        request = bad(tenant, any_of_all if draw.random() < 0.3 else own, draw)
    return tenant, {"user": draw.choice(tenant.users)} | request
