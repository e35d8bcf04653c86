"""People who change messages: what tests of changes say in one word."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from shared.domain import keys
from tests.functions.chat import Chat, messages

if TYPE_CHECKING:
    from tests.api import Response

THUMB = "👍"


@dataclass
class Room:
    """A channel of ada's, and requests about its messages, named by position."""

    chat: Chat
    id: str

    def post(self, text: str = "Hello", user: str = "ada", **fields: Any) -> int:
        """The position of a new message."""
        self.chat.clock.ms += 1_000
        response = self.chat.api("POST", messages(self.id), user=user, body={"text": text} | fields)
        assert response.status == 201, response.body
        return int(response.json["seq"])

    def path(self, seq: int, rest: str = "") -> str:
        """The path of a message, or of what belongs to it."""
        return f"{messages(self.id)}/{keys.message_id(self.id, seq)}{rest}"

    def message(self, seq: int, user: str = "ada") -> dict[str, Any]:
        """The message as a user reads it."""
        response = self.chat.api("GET", self.path(seq), user=user)
        assert response.status == 200, response.body
        return dict(response.json)

    def edit(
        self, seq: int, text: str | None = None, user: str = "ada", *, key: str | None = None, **rest: Any
    ) -> Response:
        """The response to an edit; ``fields`` has what is not the text, ``version`` what must be its version."""
        body = ({} if text is None else {"text": text}) | rest.pop("fields", {})
        headers = {"idempotency-key": key} if key else {}
        if "version" in rest:
            headers["if-match"] = f'"{rest.pop("version")}"'
        return self.chat.api("PATCH", self.path(seq), user=user, body=body, headers=headers | rest)

    def delete(self, seq: int, user: str = "ada") -> Response:
        """The response to a deletion."""
        return self.chat.api("DELETE", self.path(seq), user=user)

    def react(self, seq: int, emoji: str = THUMB, user: str = "ada") -> Response:
        """The response to a reaction."""
        return self.chat.api("PUT", self.path(seq, f"/reactions/{quote(emoji)}/me"), user=user)

    def unreact(self, seq: int, emoji: str = THUMB, user: str = "ada") -> Response:
        """The response to taking a reaction back."""
        return self.chat.api("DELETE", self.path(seq, f"/reactions/{quote(emoji)}/me"), user=user)

    def pin(self, seq: int, user: str = "ada") -> Response:
        """The response to pinning a message."""
        return self.chat.api("PUT", self.path(seq, "/pin"), user=user)

    def unpin(self, seq: int, user: str = "ada") -> Response:
        """The response to unpinning a message."""
        return self.chat.api("DELETE", self.path(seq, "/pin"), user=user)

    def get(self, rest: str, user: str = "ada", **query: Any) -> dict[str, Any]:
        """What a path below the channel returns."""
        response = self.chat.api("GET", f"/v1/channels/{self.id}{rest}", user=user, query=query)
        assert response.status == 200, response.body
        return dict(response.json)

    def versions(self, seq: int, user: str = "ada") -> list[dict[str, Any]]:
        """A message's versions."""
        response = self.chat.api("GET", self.path(seq, "/versions"), user=user)
        assert response.status == 200, response.body
        return list(response.json["versions"])

    def reactions(self, seq: int, emoji: str = THUMB, **query: Any) -> dict[str, Any]:
        """A page of the users who reacted."""
        query = {"emoji": emoji} | query
        response = self.chat.api("GET", self.path(seq, "/reactions"), query=query)
        assert response.status == 200, response.body
        return dict(response.json)

    def changes(self, user: str = "ada", **query: Any) -> list[dict[str, Any]]:
        """A page of changes."""
        return list(self.get("/changes", user, **query)["changes"])

    def pins(self, user: str = "ada") -> list[int]:
        """The positions of the pinned messages, in the order in which they are shown."""
        return [each["message"]["seq"] for each in self.get("/pins", user)["pins"]]

    def set(self, **settings: Any) -> None:
        """Changes the channel's settings."""
        response = self.chat.api("PATCH", f"/v1/channels/{self.id}", body=settings)
        assert response.status == 200, response.body

    def counts(self, user: str) -> tuple[int, int]:
        """A user's unread messages and mentions, as the channel and the list of channels show them alike."""
        found = self.chat.seen(self.id, user)
        listed = next(each for each in self.chat.listing(user)["channels"] if each["id"] == self.id)
        for name in ("unread_count", "mention_count", "last_message", "last_rev"):
            assert listed[name] == found[name], name
        return found["unread_count"], found["mention_count"]


def code(response: Response) -> tuple[int, str]:
    """Status and code of a refusal."""
    return response.status, response.code


def open_room(chat: Chat, *members: str, moderators: tuple[str, ...] = (), kind: str = "public") -> Room:
    """A channel of ada's with these members and moderators."""
    room = Room(chat, chat.channel(*members, kind=kind))
    for each in moderators:
        assert chat.put_member(room.id, each, role="moderator").status == 201
    return room
