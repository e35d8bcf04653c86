"""A tour of every route of the API: the same assertions for every way of running it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from uuid import uuid4

from tests.api import Response

PAGE: Final = {
    "channel_id",
    "messages",
    "first_seq",
    "last_seq",
    "channel_last_seq",
    "channel_last_rev",
    "has_more_before",
    "has_more_after",
}
PROBLEM: Final = {"type", "title", "status", "code", "detail", "request_id", "retryable"}
SECRET: Final = "a text that no log may have"


class Caller(Protocol):
    """The API: in process, behind the local gateway, or as built artifacts."""

    def __call__(
        self,
        method: str,
        path: str,
        *,
        user: str | None = "ada",
        body: Any = None,
        query: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Response:
        """One request's response."""


@dataclass
class Tour:
    """A tour through a channel of its own; `redis` is what the deep health check should say of Redis."""

    api: Caller
    redis: str = "off"
    called: set[tuple[str, str]] = field(default_factory=set)
    """Methods and paths."""

    def call(self, status: int, method: str, path: str, **rest: Any) -> Response:
        """A response that must have this status, and a body of the matching kind."""
        self.called.add((method, path))
        response = self.api(method, path, **rest)
        assert response.status == status, f"{method} {path}: {response.status} {response.body}"
        headers = {name.lower(): value for name, value in response.headers.items()}
        if status >= 400 and rest.get("user", "ada"):
            assert headers["content-type"] == "application/problem+json"
            assert response.json.keys() >= PROBLEM
            assert response.json["status"] == status
        elif response.body and status < 400:
            assert headers["content-type"] == "application/json"
        if rest.get("user", "ada"):
            assert headers["x-request-id"]
            assert "total;dur=" in headers["server-timing"]
        return Response(response.status, headers, response.body)

    def take(self) -> None:
        """All of it."""
        self.health()
        channel = self.make_channel()
        self.change_channel(channel)
        self.come_and_go(channel)
        self.talk(channel)
        self.read(channel)
        self.catch_up(channel)
        self.change(channel)
        self.thread(channel)
        self.keep_order(channel)
        self.get_a_ticket()
        self.compress(self.make_channel())
        self.be_refused(channel)
        self.close(channel)

    def health(self) -> None:
        """The routes that need no token."""
        assert self.call(200, "GET", "/v1/healthz", user=None).json == {"status": "ok"}
        assert self.call(200, "HEAD", "/v1/healthz", user=None).body == ""
        deep = self.call(200, "GET", "/v1/healthz", user=None, query={"deep": "1"}).json
        assert deep["status"] == "ok"
        assert deep["checks"]["dynamodb"]["status"] == "ok"
        assert deep["checks"]["redis"]["status"] == self.redis, deep

    def make_channel(self) -> str:
        """A public channel, found again under its key."""
        body = {"kind": "public", "name": "lobby", "topic": "Say hello"}
        key = {"Idempotency-Key": uuid4().hex}
        made = self.call(201, "POST", "/v1/channels", body=body, headers=key)
        assert made.json["role"] == "owner"
        assert made.headers["location"].endswith(f"/v1/channels/{made.json['id']}")
        assert self.call(201, "POST", "/v1/channels", body=body, headers=key).json == made.json
        return str(made.json["id"])

    def change_channel(self, channel: str) -> None:
        """Its topic, once for each version."""
        seen = self.call(200, "GET", f"/v1/channels/{channel}")
        assert seen.json["name"] == "lobby"
        change = {"body": {"topic": "Welcome"}, "headers": {"If-Match": f'"{seen.json["version"]}"'}}
        changed = self.call(200, "PATCH", f"/v1/channels/{channel}", **change)
        assert changed.json["topic"] == "Welcome"
        assert self.call(412, "PATCH", f"/v1/channels/{channel}", **change).code == "version_mismatch"

    def come_and_go(self, channel: str) -> None:
        """Grace is added, Linus joins, is promoted, and leaves."""
        members = f"/v1/channels/{channel}/members"
        assert self.call(201, "PUT", f"{members}/grace").json["user_id"] == "grace"
        assert self.call(200, "PUT", f"{members}/grace").json["role"] == "member"
        self.call(201, "PUT", f"{members}/me", user="linus")
        assert (
            self.call(200, "PUT", f"{members}/linus", body={"role": "moderator"}).json["role"] == "moderator"
        )
        found = self.call(200, "GET", members, query={"limit": 2}).json
        assert [each["user_id"] for each in found["members"]] == ["ada", "grace"]
        following = self.call(200, "GET", members, query={"cursor": found["next_cursor"]}).json
        assert [each["user_id"] for each in following["members"]] == ["linus"]
        self.call(204, "DELETE", f"{members}/me", user="linus")
        self.call(204, "DELETE", f"{members}/linus")
        assert self.call(404, "DELETE", f"{members}/nobody").code == "member_not_found"
        assert self.call(403, "GET", f"/v1/channels/{channel}/messages", user="linus").code == "not_a_member"

    def talk(self, channel: str) -> None:
        """Three messages, the first of them sent twice."""
        path, key = f"/v1/channels/{channel}/messages", {"Idempotency-Key": "hello"}
        first = self.call(201, "POST", path, body={"text": SECRET}, headers=key)
        again = self.call(201, "POST", path, body={"text": SECRET}, headers=key)
        assert again.json == first.json
        assert again.headers["idempotency-replayed"] == "true"
        other = self.call(422, "POST", path, body={"text": "Other"}, headers=key)
        assert other.code == "idempotency_key_reused"
        batch = {"messages": [{"text": "Two"}, {"text": "Three 🐦", "metadata": {"n": 3}}]}
        self.call(201, "POST", path, body=batch, user="grace")

    def read(self, channel: str) -> None:
        """All of them in order, those after one, one alone; and nothing when nothing is new."""
        path = f"/v1/channels/{channel}/messages"
        page = self.call(200, "GET", path)
        assert page.json.keys() == PAGE
        assert [each["text"] for each in page.json["messages"]] == [SECRET, "Two", "Three 🐦"]
        assert [each["seq"] for each in page.json["messages"]] == [1, 2, 3]
        assert self.call(304, "GET", path, headers={"If-None-Match": page.headers["etag"]}).body == ""
        newer = self.call(200, "GET", path, query={"after": 1, "limit": 1}).json
        assert (newer["messages"], newer["has_more_after"]) == ([page.json["messages"][1]], True)
        last = page.json["messages"][2]
        assert self.call(200, "GET", f"{path}/{last['id']}", user="grace").json == last
        assert self.call(404, "GET", f"{path}/nothing").code == "message_not_found"

    def catch_up(self, channel: str) -> None:
        """Ada has two unread messages, until she has read them; Linus finds the channel again."""
        assert self.listed(channel)["unread_count"] == 2
        read = f"/v1/channels/{channel}/read"
        assert self.call(200, "PUT", read, body={"last_read_seq": 3}).json["unread_count"] == 0
        assert self.listed(channel)["unread_count"] == 0
        reads = self.call(200, "GET", f"/v1/channels/{channel}/reads", user="grace").json["reads"]
        assert reads == [{"user_id": user, "last_read_seq": 3} for user in ("ada", "grace")]
        muted = f"/v1/channels/{channel}/muted"
        assert self.call(200, "PUT", muted, body={"muted": True}).json == {
            "channel_id": channel,
            "muted": True,
        }
        assert self.listed(channel)["muted"] is True
        assert self.listed(channel, user="linus", query={"scope": "public"})["role"] is None

    def listed(self, channel: str, **rest: Any) -> dict[str, Any]:
        """The channel as a list shows it."""
        channels = self.call(200, "GET", "/v1/channels", **rest).json["channels"]
        return dict(next(each for each in channels if each["id"] == channel))

    def change(self, channel: str) -> None:
        """Messages are edited, reacted to, pinned and deleted, and each change is in the change log."""
        path = f"/v1/channels/{channel}/messages"
        first, second, _ = self.call(200, "GET", path).json["messages"]
        edit = {"body": {"text": f"{SECRET}, <@grace>"}, "headers": {"Idempotency-Key": "edit"}}
        edited = self.call(200, "PATCH", f"{path}/{first['id']}", **edit)
        assert (edited.json["version"], edited.json["mentions"]) == (2, ["grace"])
        again = self.call(200, "PATCH", f"{path}/{first['id']}", **edit)
        assert (again.json, again.headers["idempotency-replayed"]) == (edited.json, "true")
        found = self.call(200, "GET", f"{path}/{first['id']}/versions").json["versions"]
        assert [each["text"] for each in found] == [SECRET, f"{SECRET}, <@grace>"]
        assert self.call(403, "PATCH", f"{path}/{second['id']}", body={"text": "Mine"}).code == "forbidden"
        mention = self.call(200, "GET", "/v1/mentions", user="grace").json["mentions"][0]  # the newest
        assert mention["message"] == edited.json
        self.react(f"{path}/{first['id']}")
        self.call(204, "PUT", f"{path}/{first['id']}/pin")
        [pin] = self.call(200, "GET", f"/v1/channels/{channel}/pins").json["pins"]
        assert pin["message"]["id"] == first["id"]
        self.call(204, "DELETE", f"{path}/{first['id']}/pin")
        for _ in range(2):
            self.call(204, "DELETE", f"{path}/{second['id']}")
        assert self.call(409, "PUT", f"{path}/{second['id']}/pin").code == "message_deleted"
        self.changes(channel)

    def react(self, message: str) -> None:
        """Two people react, and one of them takes it back."""
        emoji = f"{message}/reactions/%F0%9F%91%8D"
        for user in ("ada", "grace"):
            self.call(200, "PUT", f"{emoji}/me", user=user)
        listed = self.call(200, "GET", f"{message}/reactions", query={"emoji": "👍"}).json
        assert (listed["count"], listed["users"]) == (2, ["ada", "grace"])
        self.call(204, "DELETE", f"{emoji}/me", user="grace")

    def changes(self, channel: str) -> None:
        """All of them in order, and nothing when nothing is new."""
        path = f"/v1/channels/{channel}/changes"
        page = self.call(200, "GET", path)
        assert [each["kind"] for each in page.json["changes"]] == [
            *(
                "edited",
                "reaction_added",
                "reaction_added",
                "reaction_removed",
                "pinned",
                "unpinned",
                "deleted",
            )
        ]
        assert [each["rev"] for each in page.json["changes"]] == list(range(1, 8))
        assert self.call(304, "GET", path, headers={"If-None-Match": page.headers["etag"]}).body == ""
        messages = self.call(200, "GET", f"/v1/channels/{channel}/messages").json
        assert messages["channel_last_rev"] == page.json["channel_last_rev"] == 7
        assert messages["messages"][1] == page.json["changes"][-1]["message"]
        assert messages["messages"][1]["text"] == ""

    def thread(self, channel: str) -> None:
        """Grace replies to Ada's message; Ada finds the thread, reads it, and ceases to follow it."""
        root = f"/v1/channels/{channel}/messages/{channel}-00000001"
        key = {"Idempotency-Key": "reply"}
        reply = self.call(201, "POST", f"{root}/replies", body={"text": SECRET}, headers=key, user="grace")
        again = self.call(201, "POST", f"{root}/replies", body={"text": SECRET}, headers=key, user="grace")
        assert again.json == reply.json
        page = self.call(200, "GET", f"{root}/replies")
        assert page.json["messages"] == [reply.json]
        known = {"If-None-Match": page.headers["etag"]}
        assert self.call(304, "GET", f"{root}/replies", headers=known).body == ""
        assert self.call(200, "GET", f"{root}/replies/changes").json["changes"] == []
        assert self.call(200, "GET", root).json["thread"]["reply_count"] == 1
        assert self.call(409, "GET", f"{root}-00000001/replies").code == "nested_thread"
        found = self.call(200, "GET", "/v1/threads").json["threads"]
        [thread] = [each for each in found if each["thread_id"] == f"{channel}-00000001"]
        assert thread["unread_count"] == 1
        read = self.call(200, "PUT", f"{root}/thread/read", body={"last_read_seq": 1}).json
        assert (read["following"], read["unread_count"]) == (True, 0)
        self.call(204, "DELETE", f"{root}/thread/follow")
        self.call(204, "PUT", f"{root}/thread/follow")

    def keep_order(self, channel: str) -> None:
        """Eve is blocked, banned and forgiven; Grace reports a message, and Ada closes the report."""
        self.call(204, "PUT", "/v1/blocks/eve")
        blocks = self.call(200, "GET", "/v1/blocks")
        assert [each["user_id"] for each in blocks.json["blocks"]] == ["eve"]
        assert (
            self.call(304, "GET", "/v1/blocks", headers={"If-None-Match": blocks.headers["etag"]}).body == ""
        )
        body = {"kind": "direct", "members": ["ada"]}
        assert self.call(403, "POST", "/v1/channels", body=body, user="eve").code == "cannot_send"
        self.call(204, "DELETE", "/v1/blocks/eve")
        bans = f"/v1/channels/{channel}/bans"
        banned = self.call(201, "PUT", f"{bans}/eve", body={"reason": SECRET})
        assert self.call(403, "PUT", f"/v1/channels/{channel}/members/me", user="eve").code == "banned"
        assert self.call(200, "GET", bans).json["bans"] == [banned.json]
        self.call(204, "DELETE", f"{bans}/eve")
        reports = f"/v1/channels/{channel}/messages/{channel}-00000001/reports"
        report = self.call(201, "POST", reports, body={"reason": "spam", "text": SECRET}, user="grace")
        queue = f"/v1/channels/{channel}/reports"
        [found] = self.call(200, "GET", queue).json["reports"]
        assert (found["id"], found["message"]["id"]) == (report.json["id"], f"{channel}-00000001")
        closing = {"status": "closed", "resolution": SECRET}
        assert self.call(200, "PUT", f"{queue}/{found['id']}", body=closing).json["status"] == "closed"

    def get_a_ticket(self) -> None:
        """Ada gets a ticket for the WebSocket."""
        ticket = self.call(201, "POST", "/v1/realtime/tickets").json
        assert ticket.keys() == {"ticket", "url", "expires_at"}
        self.call(401, "POST", "/v1/realtime/tickets", user=None)

    def compress(self, channel: str) -> None:
        """Large responses are compressed as the client accepts, with the same content."""
        path, both = f"/v1/channels/{channel}/messages", {"Accept-Encoding": "gzip, zstd"}
        body = {"messages": [{"text": f"{SECRET} {number} " * 40} for number in range(3)]}
        posted = self.call(201, "POST", path, body=body, headers=both)
        assert posted.headers["content-encoding"] in {"zstd", "gzip"}, "gzip where the artifact has no zstd"
        plain = self.call(200, "GET", path)
        assert plain.json["messages"] == posted.json["messages"]
        for accepts, coding in ((both, "zstd"), ({"Accept-Encoding": "gzip"}, "gzip")):
            for _ in range(2):  # made, and remembered
                page = self.call(200, "GET", path, headers=accepts)
                assert (page.headers["content-encoding"], page.body) == (coding, plain.body)

    def be_refused(self, channel: str) -> None:
        """No user, an unknown route, malformed input."""
        path = f"/v1/channels/{channel}/messages"
        self.call(401, "GET", path, user=None)
        assert self.call(404, "GET", "/v1/channels/0000000000000000").code == "channel_not_found"
        assert self.call(422, "POST", path, body={"text": ""}).code == "validation_failed"
        assert self.call(422, "GET", path, query={"after": 9}).code == "position_out_of_range"

    def close(self, channel: str) -> None:
        """An archived channel can be read, and that is all."""
        self.call(204, "DELETE", f"/v1/channels/{channel}")
        refused = self.call(409, "POST", f"/v1/channels/{channel}/messages", body={"text": "Late"})
        assert refused.code == "channel_archived"
        assert len(self.call(200, "GET", f"/v1/channels/{channel}/messages").json["messages"]) == 3
        unarchived = self.call(200, "PUT", f"/v1/channels/{channel}/archived", body={"archived": False}).json
        assert (unarchived["archived"], unarchived["version"]) == (False, 4)
        self.call(200, "PUT", f"/v1/channels/{channel}/archived", body={"archived": True})
