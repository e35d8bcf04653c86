"""Users of the API: shorthand for requests that tests of the functions make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from tests.api import Api, Response


class Clock(Protocol):
    """Time that tests move."""

    ms: int


@dataclass
class Chat:
    """The API, and the time in which it is used. Each method fails unless the API grants it."""

    api: Api
    clock: Clock

    def create(self, user: str = "ada", **body: Any) -> dict[str, Any]:
        """A new channel: public and called `lobby` unless said otherwise."""
        response = self.api(
            "POST", "/v1/channels", user=user, body={"kind": "public", "name": "lobby"} | body
        )
        assert response.status == 201, response.body
        return dict(response.json)

    def direct(self, user: str, other: str) -> str:
        """The id of a pair's direct channel."""
        body = {"kind": "direct", "members": [other]}
        return str(self.api("POST", "/v1/channels", user=user, body=body).json["id"])

    def group(self, user: str, *others: str) -> str:
        """The id of a group channel."""
        body = {"kind": "group", "members": list(others)}
        return str(self.api("POST", "/v1/channels", user=user, body=body).json["id"])

    def channel(self, *members: str, kind: str = "public") -> str:
        """The id of a new channel of ada's with these members."""
        return str(self.create(kind=kind, members=list(members))["id"])

    def post(self, channel: str, text: str = "Hello", user: str = "ada") -> dict[str, Any]:
        """A new message, a second after the last request."""
        self.clock.ms += 1_000
        response = self.api("POST", messages(channel), user=user, body={"text": text})
        assert response.status == 201, response.body
        return dict(response.json)

    def fill(self, channel: str, count: int) -> None:
        """Messages `1`, `2`, `3`, … of ada's, as many as asked for."""
        for first in range(1, count + 1, 20):
            texts = range(first, min(first + 20, count + 1))
            self.clock.ms += 10_000
            body = {"messages": [{"text": str(text)} for text in texts]}
            response = self.api("POST", messages(channel), body=body)
            assert response.status == 201, response.body

    def page(self, channel: str, user: str = "ada", **query: Any) -> dict[str, Any]:
        """A page of messages."""
        response = self.api("GET", messages(channel), user=user, query=query)
        assert response.status == 200, response.body
        return dict(response.json)

    def seen(self, channel: str, user: str = "ada") -> dict[str, Any]:
        """The channel as a user sees it."""
        response = self.api("GET", f"/v1/channels/{channel}", user=user)
        assert response.status == 200, response.body
        return dict(response.json)

    def listing(self, user: str = "ada", **query: Any) -> dict[str, Any]:
        """A page of channels."""
        response = self.api("GET", "/v1/channels", user=user, query=query)
        assert response.status == 200, response.body
        return dict(response.json)

    def put_member(self, channel: str, member: str, user: str = "ada", role: str | None = None) -> Response:
        """The response to adding a member, or to changing a role."""
        body = None if role is None else {"role": role}
        return self.api("PUT", f"/v1/channels/{channel}/members/{member}", user=user, body=body)

    def remove(self, channel: str, member: str, user: str = "ada") -> Response:
        """The response to removing a member."""
        return self.api("DELETE", f"/v1/channels/{channel}/members/{member}", user=user)

    def archive(self, channel: str, user: str = "ada") -> Response:
        """The response to archiving a channel."""
        return self.api("DELETE", f"/v1/channels/{channel}", user=user)

    def follow(self, place: str, user: str = "ada") -> Response:
        """The response at the address of a `Location`."""
        parts = urlsplit(place)
        return self.api("GET", parts.path, user=user, query=dict(parse_qsl(parts.query)))


def messages(channel: str) -> str:
    """The path of a channel's messages."""
    return f"/v1/channels/{channel}/messages"


def texts(page: dict[str, Any]) -> list[str]:
    """The texts on a page."""
    return [message["text"] for message in page["messages"]]
