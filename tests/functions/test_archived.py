"""An archived channel is read-only: every route of the template, and what stays possible."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from local.gateway.routing import Routes
from local.template import load as template
from tests.cases import case
from tests.functions.chat import messages

if TYPE_CHECKING:
    from tests.api import Response
    from tests.functions.chat import Chat

TEMPLATE: Final = Path(__file__).resolve().parents[2] / "template.yaml"
CHANNEL: Final = "/v1/channels/{channel_id}"
MESSAGE: Final = f"{CHANNEL}/messages/{{channel_id}}-00000001"
REFUSED: Final[dict[str, tuple[str, str, str, Any]]] = {
    "a message": ("POST", f"{CHANNEL}/messages", "grace", {"text": "x"}),
    "a batch": ("POST", f"{CHANNEL}/messages", "ada", {"messages": [{"text": "x"}]}),
    "a reply": ("POST", f"{MESSAGE}/replies", "grace", {"text": "x"}),
    "a change": ("PATCH", CHANNEL, "ada", {"topic": "x"}),
    "a change of nothing": ("PATCH", CHANNEL, "ada", {}),
    "joining": ("PUT", f"{CHANNEL}/members/me", "linus", None),
    "inviting": ("PUT", f"{CHANNEL}/members/linus", "ada", None),
    "a role": ("PUT", f"{CHANNEL}/members/grace", "ada", {"role": "moderator"}),
    "removing": ("DELETE", f"{CHANNEL}/members/grace", "ada", None),
    "an edit": ("PATCH", MESSAGE, "ada", {"text": "x"}),
    "a deletion": ("DELETE", MESSAGE, "ada", None),
    "a reaction": ("PUT", f"{MESSAGE}/reactions/:x:/me", "grace", None),
    "taking a reaction back": ("DELETE", f"{MESSAGE}/reactions/:x:/me", "grace", None),
    "pinning": ("PUT", f"{MESSAGE}/pin", "ada", None),
    "unpinning": ("DELETE", f"{MESSAGE}/pin", "ada", None),
}
ALLOWED: Final[dict[str, tuple[str, str, str, Any, int]]] = {
    "the channel": ("GET", CHANNEL, "grace", None, 200),
    "its messages": ("GET", f"{CHANNEL}/messages", "grace", None, 200),
    "its changes": ("GET", f"{CHANNEL}/changes", "grace", None, 200),
    "its pins": ("GET", f"{CHANNEL}/pins", "grace", None, 200),
    "a message": ("GET", MESSAGE, "grace", None, 200),
    "its versions": ("GET", f"{MESSAGE}/versions", "ada", None, 200),
    "the replies to it": ("GET", f"{MESSAGE}/replies", "grace", None, 200),
    "changes of these": ("GET", f"{MESSAGE}/replies/changes", "grace", None, 200),
    "what the caller has read of these": (
        *("PUT", f"{MESSAGE}/thread/read", "grace"),
        {"last_read_seq": 0},
        200,
    ),
    "following them": ("PUT", f"{MESSAGE}/thread/follow", "grace", None, 204),
    "following them no more": ("DELETE", f"{MESSAGE}/thread/follow", "grace", None, 204),
    "its members": ("GET", f"{CHANNEL}/members", "grace", None, 200),
    "what the caller has read": ("PUT", f"{CHANNEL}/read", "grace", {"last_read_seq": 1}, 200),
    "archiving it again": ("DELETE", CHANNEL, "ada", None, 204),
    "leaving it": ("DELETE", f"{CHANNEL}/members/me", "grace", None, 204),
}


@pytest.fixture
def channel(chat: Chat) -> str:
    """An archived public channel of ada's and grace's with a message."""
    channel = chat.channel("grace")
    chat.post(channel, "last words")
    assert chat.archive(channel).status == 204
    return channel


def call(chat: Chat, channel: str, method: str, path: str, user: str, body: Any) -> Response:
    """The response to a request about the channel."""
    return chat.api(method, path.format(channel_id=channel), user=user, body=body)


def test_what_would_change_it_is_refused(chat: Chat, channel: str) -> None:
    """409 with one code, and nothing has changed."""
    for what in REFUSED:
        with case(what):
            before = chat.seen(channel), chat.page(channel), members(chat, channel)
            response = call(chat, channel, *REFUSED[what])
            assert (response.status, response.code) == (409, "channel_archived")
            assert (chat.seen(channel), chat.page(channel), members(chat, channel)) == before


@pytest.mark.parametrize("what", ALLOWED)
def test_what_is_the_callers_own_stays_possible(chat: Chat, channel: str, what: str) -> None:
    """Reading, marking as read, leaving; archiving again is done already."""
    *request, status = ALLOWED[what]
    assert call(chat, channel, *request).status == status
    assert chat.page(channel)["messages"][0]["text"] == "last words"
    assert chat.seen(channel)["version"] == 2


def test_it_is_listed_and_each_message_is_found(chat: Chat, channel: str) -> None:
    """In its members' lists, not among those that one may join; a message by its id too."""
    assert [each["archived"] for each in chat.listing("grace")["channels"]] == [True]
    assert chat.listing("linus", scope="public")["channels"] == []
    found = chat.page(channel)["messages"][0]
    assert chat.api("GET", f"{messages(channel)}/{found['id']}", user="grace").json == found


def test_every_route_about_a_channel_is_tried() -> None:
    """A route that is new to the template fails here until it is said what it does to an archived channel."""
    routes = template.load(TEMPLATE).routes
    reactions = f"{CHANNEL}/messages/{{message_id}}/reactions"  # Its query is tried in test_change_messages.
    requests = [each[:2] for each in REFUSED.values()] + [each[:2] for each in ALLOWED.values()]
    matched = [Routes(routes).match(method, path.format(channel_id="c")) for method, path in requests]
    tried = {(each[0].method, each[0].path) for each in matched if each}
    about = {(each.method, each.path) for each in routes if CHANNEL in each.path}
    assert about - tried == {("GET", reactions)}


def members(chat: Chat, channel: str) -> Any:
    """The channel's members and their roles."""
    return chat.api("GET", f"/v1/channels/{channel}/members").json
