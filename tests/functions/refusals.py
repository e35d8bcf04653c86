"""Every route with a request that it accepts, and checks of the refusals that all routes share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.domain.errors import every_error

if TYPE_CHECKING:
    from shared.storage.memory import MemoryStore
    from tests.api import Response

MEMBERS = frozenset({"type", "title", "status", "code", "detail", "request_id", "retryable", "errors"})
STATUSES = {error.code: error.status for error in every_error()}


@dataclass(frozen=True)
class Route:
    """A route and a valid body for it; `{c}` in the template is the channel."""

    name: str
    method: str
    template: str
    body: dict[str, Any] | None = None
    needs_body: bool = True

    def __str__(self) -> str:
        return self.name

    def path(self, channel: str) -> str:
        """The path for a channel; where it names a message, the channel's first one."""
        return self.template.replace("{c}", channel)


FIRST = "/v1/channels/{c}/messages/{c}-00000001"
ROUTES = (
    Route("list_channels", "GET", "/v1/channels"),
    Route("create_channel", "POST", "/v1/channels", {"kind": "public", "name": "lobby"}),
    Route("get_channel", "GET", "/v1/channels/{c}"),
    Route("update_channel", "PATCH", "/v1/channels/{c}", {"topic": "new"}),
    Route("archive_channel", "DELETE", "/v1/channels/{c}"),
    Route("set_archived", "PUT", "/v1/channels/{c}/archived", {"archived": False}),
    Route("fetch_messages", "GET", "/v1/channels/{c}/messages"),
    Route("fetch_message", "GET", "/v1/channels/{c}/messages/{c}-00000001"),
    Route("post_message", "POST", "/v1/channels/{c}/messages", {"text": "Hello"}),
    Route("edit_message", "PATCH", FIRST, {"text": "Hello again"}),
    Route("delete_message", "DELETE", FIRST),
    Route("add_reaction", "PUT", f"{FIRST}/reactions/:x:/me"),
    Route("remove_reaction", "DELETE", f"{FIRST}/reactions/:x:/me"),
    Route("pin_message", "PUT", f"{FIRST}/pin"),
    Route("unpin_message", "DELETE", f"{FIRST}/pin"),
    Route("fetch_changes", "GET", "/v1/channels/{c}/changes"),
    Route("fetch_versions", "GET", f"{FIRST}/versions"),
    Route("fetch_pins", "GET", "/v1/channels/{c}/pins"),
    Route("list_mentions", "GET", "/v1/mentions"),
    Route("mark_read", "PUT", "/v1/channels/{c}/read", {"last_read_seq": 0}),
    Route("set_muted", "PUT", "/v1/channels/{c}/muted", {"muted": True}),
    Route("list_members", "GET", "/v1/channels/{c}/members"),
    Route("fetch_reads", "GET", "/v1/channels/{c}/reads"),
    Route("put_member", "PUT", "/v1/channels/{c}/members/linus", {"role": "member"}, needs_body=False),
    Route("remove_member", "DELETE", "/v1/channels/{c}/members/grace"),
    Route("check_health", "GET", "/v1/healthz"),
)
BODIES = [route for route in ROUTES if route.body is not None]
READING = [route for route in ROUTES if route.method == "GET"]
WITH_CHANNEL = [route for route in ROUTES if "{c}" in route.template]


def named(name: str) -> Route:
    """The route of a name."""
    return next(route for route in ROUTES if route.name == name)


def assert_refused(response: Response, status: int, code: str | None = None) -> dict[str, Any]:
    """Checks that the response is a complete problem document of this status and code, and returns the document."""
    assert response.status == status, response.body
    return assert_problem(response, code)


def assert_problem(response: Response, code: str | None = None) -> dict[str, Any]:
    """Checks that the response is a complete problem document of any 4xx status, and returns the document."""
    assert 400 <= response.status < 500, response.body
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json
    assert MEMBERS - {"errors"} <= set(problem) <= MEMBERS
    assert problem["status"] == response.status == STATUSES[problem["code"]]
    assert code in {None, problem["code"]}
    assert problem["type"] == f"urn:budgie:error:{problem['code']}"
    assert problem["request_id"] == response.headers["x-request-id"] != ""
    assert problem["title"]
    assert problem["detail"]
    assert all(
        set(error) == {"field", "detail"} for error in problem.get("errors", [{"field": 0, "detail": 0}])
    )
    return problem


def state(store: MemoryStore) -> Any:
    """Everything that is stored, to compare before and after a request."""
    return store.contents()
