"""Threads: what tests of replies say in one word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.domain import keys
from tests.api import Response
from tests.functions.changing import Room


@dataclass
class Thread:
    """The thread of a message in a room; replies are named by their position in it."""

    room: Room
    root: int = 1

    @property
    def id(self) -> str:
        """The root's id."""
        return keys.message_id(self.room.id, self.root)

    def api(self, method: str, rest: str, user: str = "ada", **more: Any) -> Response:
        """The response to a request below the root."""
        return self.room.chat.api(method, self.room.path(self.root, rest), user=user, **more)

    def reply(self, text: str = "Yes", user: str = "ada", **fields: Any) -> dict[str, Any]:
        """A new reply, a second after the last request."""
        self.room.chat.clock.ms += 1_000
        response = self.api("POST", "/replies", user, body={"text": text} | fields)
        assert response.status == 201, response.body
        return dict(response.json)

    def page(self, user: str = "ada", **query: Any) -> dict[str, Any]:
        """A page of replies."""
        response = self.api("GET", "/replies", user, query=query)
        assert response.status == 200, response.body
        return dict(response.json)

    def texts(self, user: str = "ada", **query: Any) -> list[str]:
        """The texts of a page of replies."""
        return [each["text"] for each in self.page(user, **query)["messages"]]

    def change(self, method: str, seq: int, rest: str = "", user: str = "ada", **more: Any) -> Response:
        """The response to a change of a reply, or to reading one, by the routes of messages."""
        path = f"/v1/channels/{self.room.id}/messages/{keys.message_id(self.id, seq)}{rest}"
        return self.room.chat.api(method, path, user=user, **more)

    def delete(self, seq: int, user: str = "ada") -> None:
        """Deletes a reply."""
        response = self.change("DELETE", seq, user=user)
        assert response.status == 204, response.body

    def summary(self) -> dict[str, Any] | None:
        """What the root says of the thread."""
        return self.room.message(self.root).get("thread")

    def count(self) -> int | None:
        """The replies that the root counts."""
        summary = self.summary()
        return None if summary is None else int(summary["reply_count"])

    def read(self, seq: int, user: str = "ada", **more: Any) -> dict[str, Any]:
        """Marks the replies up to a position as read."""
        response = self.api("PUT", "/thread/read", user, body={"last_read_seq": seq} | more)
        assert response.status == 200, response.body
        return dict(response.json)

    def follow(self, user: str) -> None:
        """Follows the thread."""
        assert self.api("PUT", "/thread/follow", user).status == 204

    def unfollow(self, user: str) -> None:
        """Ends it."""
        assert self.api("DELETE", "/thread/follow", user).status == 204

    def listed(self, user: str, **query: Any) -> list[dict[str, Any]]:
        """The threads that a user follows."""
        response = self.room.chat.api("GET", "/v1/threads", user=user, query=query)
        assert response.status == 200, response.body
        return list(response.json["threads"])

    def counts(self, user: str) -> tuple[int, int] | None:
        """A user's unread replies and mentions; None if they do not follow the thread."""
        found = [each for each in self.listed(user) if each["thread_id"] == self.id]
        return (found[0]["unread_count"], found[0]["mention_count"]) if found else None
