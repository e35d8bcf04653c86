"""How many channels one user may be in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.api import Response
    from tests.functions.chat import Chat

LIMIT = 3
FULL = (409, "too_many_channels")


@pytest.fixture
def chat(chat: Chat) -> Chat:
    """Users who may each be in three channels."""
    settings = replace(chat.api.services.settings, max_channels_per_user=LIMIT)
    chat.api.services = replace(chat.api.services, settings=settings)
    return chat


def create(chat: Chat, user: str = "ada", key: str = "", **body: Any) -> Response:
    """The response to creating a channel."""
    headers = {"idempotency-key": key} if key else None
    body = {"kind": "public", "name": "lobby"} | body
    return chat.api("POST", "/v1/channels", user=user, body=body, headers=headers)


def fill(chat: Chat, user: str) -> list[str]:
    """The user's channels, as many as they may be in."""
    return [chat.channel(user) if user != "ada" else chat.channel() for _ in range(LIMIT)]


def said(response: Response) -> tuple[int, str]:
    """Status and code of a refusal."""
    return response.status, response.code


def test_a_user_joins_no_channel_beyond_the_limit(chat: Chat) -> None:
    """The last allowed channel is granted, the next refused; after leaving one a user may join another."""
    channels = [str(chat.create(user)["id"]) for user in ("ada", "ada", "ada", "linus")]
    joined = [chat.put_member(channel, "me", "grace") for channel in channels]
    assert [response.status for response in joined] == [201, 201, 201, 409]
    assert (said(joined[-1]), joined[-1].json["retryable"]) == (FULL, False)
    assert joined[-1].json["detail"] == "You have reached the limit of 3 channels. Leave one first."
    assert "errors" not in joined[-1].json
    assert chat.remove(channels[0], "me", "grace").status == 204
    assert chat.put_member(channels[-1], "me", "grace").status == 201


def test_a_member_stays_a_member_at_the_limit(chat: Chat) -> None:
    """Joining again and changing a role make no new membership, and are not refused."""
    channel, *_ = fill(chat, "grace")
    assert chat.put_member(channel, "me", "grace").status == 200
    assert chat.put_member(channel, "grace", role="moderator").status == 200


def test_nobodys_list_is_flooded_by_others(chat: Chat) -> None:
    """The response names the invited users who are in too many channels; channels and members stay as they were."""
    fill(chat, "grace")
    channel = str(chat.create("linus")["id"])
    response = chat.put_member(channel, "grace", "linus")
    assert said(response) == FULL
    wanted = {"field": "path.user_id", "detail": "grace has reached the limit of 3 channels."}
    assert response.json["errors"] == [wanted]
    assert chat.seen(channel, "linus")["member_count"] == 1
    assert len(chat.listing("grace")["channels"]) == LIMIT


@pytest.mark.parametrize("kind", ["public", "private", "direct"])
def test_a_new_channel_takes_no_member_beyond_the_limit(chat: Chat, kind: str) -> None:
    """The channel is not created, and exactly the users who are in too many channels are named."""
    fill(chat, "grace")
    others = [] if kind == "direct" else ["mary", "noor"]
    body: dict[str, Any] = {"kind": kind, "members": ["grace", *others]}
    response = create(chat, "linus", **body) if kind != "direct" else _direct(chat, "linus", "grace")
    assert said(response) == FULL
    wanted = {"field": "body.members", "detail": "grace has reached the limit of 3 channels."}
    assert response.json["errors"] == [wanted]
    assert [chat.listing(user)["channels"] for user in ("linus", *others)] == [[]] * (1 + len(others))


def test_a_user_creates_no_channel_beyond_the_limit(chat: Chat) -> None:
    """A user at the limit of channels cannot create another one."""
    fill(chat, "ada")
    response = create(chat, members=["grace"])
    assert said(response) == FULL
    assert response.json["detail"].startswith("You have reached the limit")
    assert "errors" not in response.json
    assert len(chat.listing("ada")["channels"]) == LIMIT


def test_a_retry_finds_the_channel_that_filled_the_list(chat: Chat) -> None:
    """An existing channel is returned again, for its key or pair, even if a member is in too many channels by now."""
    chat.create()
    first, pair = create(chat, key="key-1"), _direct(chat, "ada", "grace")
    assert (first.status, pair.status) == (201, 201)
    assert said(create(chat)) == FULL
    again = create(chat, key="key-1")
    assert (again.status, again.body) == (201, first.body)
    assert again.headers["idempotency-replayed"] == "true"
    found = _direct(chat, "grace", "ada")
    assert (found.status, found.json["id"]) == (200, pair.json["id"])
    assert said(create(chat, key="key-1", name="other")) == (422, "idempotency_key_reused")


def test_an_archived_channel_takes_a_place_until_it_is_left(chat: Chat) -> None:
    """An archived channel counts towards the limit until the user leaves it."""
    channels = fill(chat, "grace")
    chat.archive(channels[0])
    channel = str(chat.create("linus")["id"])
    assert said(chat.put_member(channel, "me", "grace")) == FULL
    chat.remove(channels[0], "me", "grace")
    assert chat.put_member(channel, "me", "grace").status == 201


def _direct(chat: Chat, user: str, other: str) -> Response:
    return chat.api("POST", "/v1/channels", user=user, body={"kind": "direct", "members": [other]})
