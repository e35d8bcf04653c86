"""Blocking users: the routes, and what becomes of the pair's direct channel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import pytest

from shared.domain import keys
from shared.domain.moderation import MAX_BLOCKS, Block
from shared.storage.memory import MemoryStore
from tests.cases import case
from tests.functions.chat import Chat, messages

if TYPE_CHECKING:
    from shared.domain.model import Preview
    from shared.storage.protocol import Commit, Outcome
    from tests.api import Api, Response
    from tests.functions.chat import Clock

EMOJI: Final = "%F0%9F%91%8D"


@pytest.fixture
def chat(api: Api, clock: Clock) -> Chat:
    """Users of the API."""
    return Chat(api, clock)


def block(chat: Chat, user: str, other: str, method: str = "PUT") -> Response:
    """The response to a block, or to lifting it."""
    return chat.api(method, f"/v1/blocks/{other}", user=user)


def writes(chat: Chat, channel: str, user: str) -> list[Response]:
    """The responses to everything that changes a direct channel with one message of each user."""
    first = f"{messages(channel)}/{channel}-0000000{1 if user == 'ada' else 2}"
    requests: list[tuple[str, str, Any]] = [
        ("POST", messages(channel), {"text": "Hello"}),
        ("PATCH", first, {"text": "edited"}),
        ("PUT", f"{first}/reactions/{EMOJI}/me", None),
        ("DELETE", f"{first}/reactions/{EMOJI}/me", None),
        ("PUT", f"{first}/pin", None),
        ("DELETE", first, None),
    ]
    return [chat.api(method, path, user=user, body=body) for method, path, body in requests]


def test_nobody_writes_in_a_blocked_direct_channel(chat: Chat) -> None:
    """403 for the blocked one, which does not say why; 409 for the other; all is readable, and works once unblocked."""
    channel = chat.direct("ada", "eve")
    for user in ("ada", "eve"):
        chat.post(channel, "Hello", user)
    for _ in range(2):
        assert block(chat, "ada", "eve").status == 204
    for user, expected in (("eve", (403, "cannot_send")), ("ada", (409, "user_blocked"))):
        with case(user):
            assert {(each.status, each.code) for each in writes(chat, channel, user)} == {expected}
            assert [each["text"] for each in chat.page(channel, user)["messages"]] == ["Hello", "Hello"]
    refused = writes(chat, channel, "eve")[0]
    assert "block" not in refused.body
    for _ in range(2):
        assert block(chat, "ada", "eve", "DELETE").status == 204
    assert [each.status for each in writes(chat, channel, "eve")] == [201, 200, 200, 204, 204, 204]


def test_a_channel_says_whether_its_reader_blocks_the_other(chat: Chat) -> None:
    """`blocked` is true for who blocks, and for nobody else; both may only read."""
    channel = chat.direct("ada", "eve")
    block(chat, "ada", "eve")
    mine, other = chat.seen(channel), chat.seen(channel, "eve")
    assert (mine["blocked"], other["blocked"]) == (True, False)
    assert mine["capabilities"] == other["capabilities"] == ["read"]
    assert chat.listing()["channels"] == [mine]
    public = chat.channel()
    assert chat.seen(public, "eve")["blocked"] is False


def test_each_lifts_only_their_own_block(chat: Chat) -> None:
    """When both block each other, both must unblock."""
    channel = chat.direct("ada", "eve")
    block(chat, "ada", "eve")
    block(chat, "eve", "ada")
    block(chat, "ada", "eve", "DELETE")
    assert [
        chat.api("POST", messages(channel), user=user, body={"text": "Hi"}).code for user in ("ada", "eve")
    ] == [
        "cannot_send",
        "user_blocked",
    ]
    block(chat, "eve", "ada", "DELETE")
    chat.post(channel, "Hi", "ada")


def test_a_direct_channel_is_not_created_while_one_blocks_the_other(chat: Chat) -> None:
    """An existing one is found as always."""
    block(chat, "ada", "eve")
    for user, other, expected in (
        ("eve", "ada", (403, "cannot_send")),
        ("ada", "eve", (409, "user_blocked")),
    ):
        body = {"kind": "direct", "members": [other]}
        response = chat.api("POST", "/v1/channels", user=user, body=body)
        assert (response.status, response.code) == expected
    assert chat.listing("ada")["channels"] == []
    block(chat, "ada", "eve", "DELETE")
    channel = chat.direct("eve", "ada")
    block(chat, "ada", "eve")
    assert chat.direct("eve", "ada") == channel


def test_other_channels_are_as_before(chat: Chat) -> None:
    """Who is blocked still writes where both are members."""
    channel = chat.channel("eve")
    chat.direct("ada", "eve")
    block(chat, "ada", "eve")
    chat.post(channel, "Hello", "eve")
    chat.post(channel, "Hello", "ada")


def test_blocks_are_listed_with_an_etag(chat: Chat) -> None:
    """By user id; 304 while nothing has changed; only one's own."""
    assert chat.api("GET", "/v1/blocks").json == {"blocks": []}
    for other in ("grace", "eve"):
        block(chat, "ada", other)
    listed = chat.api("GET", "/v1/blocks")
    assert [each["user_id"] for each in listed.json["blocks"]] == ["eve", "grace"]
    again = chat.api("GET", "/v1/blocks", headers={"if-none-match": listed.headers["etag"]})
    assert (again.status, again.body) == (304, "")
    block(chat, "ada", "eve", "DELETE")
    assert chat.api("GET", "/v1/blocks", headers={"if-none-match": listed.headers["etag"]}).status == 200
    assert chat.api("GET", "/v1/blocks", user="eve").json == {"blocks": []}


def test_users_cannot_block_themselves(chat: Chat) -> None:
    """By neither name."""
    for name in ("ada", "me"):
        response = block(chat, "ada", name)
        assert (response.status, response.code) == (422, "validation_failed")


def test_blocks_are_limited(chat: Chat, store: MemoryStore) -> None:
    """One more is refused, an existing one repeated."""
    for number in range(MAX_BLOCKS):
        store.block(Block("ada", f"user{number}", chat.clock.ms))
    refused = block(chat, "ada", "eve")
    assert (refused.status, refused.code) == (409, "too_many_blocks")
    assert block(chat, "ada", "user7").status == 204


def test_a_repeated_post_is_answered_after_a_block(chat: Chat) -> None:
    """The message was accepted before: the same key returns it, and posts nothing."""
    channel = chat.direct("ada", "eve")
    post = {"user": "eve", "body": {"text": "Hello"}, "headers": {"idempotency-key": "k"}}
    first = chat.api("POST", messages(channel), **post)
    block(chat, "ada", "eve")
    assert chat.api("POST", messages(channel), **post).json == first.json
    assert len(chat.page(channel)["messages"]) == 1


@dataclass
class BlockedBetween(MemoryStore):
    """A block comes between a post's reservation and its commit."""

    def reserve(self, channel_id: str, count: int, preview: Preview, *, everybody: bool = False) -> Any:
        """Reserves; then eve is blocked."""
        reserved = super().reserve(channel_id, count, preview, everybody=everybody)
        self.block(Block("ada", "eve", 1))
        return reserved

    def commit(self, commit: Commit) -> Outcome:
        """Commits."""
        return super().commit(commit)


def test_a_post_that_a_block_overtakes_is_refused(chat: Chat) -> None:
    """Its position becomes a void, and the list shows the message before it."""
    channel = chat.direct("ada", "eve")
    chat.post(channel, "First", "eve")
    store = BlockedBetween(**vars(chat.api.services.store))
    chat.api.services = replace(chat.api.services, store=store)
    chat.clock.ms += 1_000
    for user, code in (("eve", "cannot_send"), ("ada", "user_blocked")):
        assert chat.api("POST", messages(channel), user=user, body={"text": "Late"}).code == code
    page = chat.page(channel)
    assert ([each["text"] for each in page["messages"]], page["last_seq"]) == (["First"], 2)
    assert chat.seen(channel)["last_message"]["text"] == "First"
    assert store.head(keys.direct_channel_id("ada", "eve"))
