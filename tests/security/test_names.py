"""Names that could be taken for another user's, and channels that the caller may no longer see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.functions.refusals import assert_refused

if TYPE_CHECKING:
    from tests.functions.chat import Chat


def test_me_is_no_user_id(chat: Chat) -> None:
    """`me` names the caller in paths, so no user can have that id: a token for it is refused."""
    channel = chat.channel()
    assert_refused(chat.put_member(channel, "me", user="me"), 401, "unauthenticated")
    body = {"kind": "private", "name": "den", "members": ["me"]}
    assert_refused(chat.api("POST", "/v1/channels", body=body), 422, "validation_failed")


@pytest.mark.parametrize("name", [".", ".."])
def test_a_user_id_is_no_step_of_a_path(chat: Chat, name: str) -> None:
    """Clients resolve dots in a path before they send it, so a member with such an id could not be removed."""
    channel = chat.channel()
    assert_refused(chat.put_member(channel, "me", user=name), 401, "unauthenticated")
    body = {"kind": "private", "name": "den", "members": [name]}
    assert_refused(chat.api("POST", "/v1/channels", body=body), 422, "validation_failed")
    assert chat.put_member(channel, f"{name}x").status == 201


def test_a_creator_who_left_does_not_find_the_channel_again(chat: Chat) -> None:
    """Repeating a creation with its key shows a private channel only while the caller is still a member."""
    request = {
        "body": {"kind": "private", "name": "den", "members": ["grace"]},
        "headers": {"idempotency-key": "1"},
    }
    channel = chat.api("POST", "/v1/channels", **request).json["id"]
    assert chat.put_member(channel, "grace", role="owner").status == 200
    assert chat.remove(channel, "me").status == 204
    assert_refused(chat.api("POST", "/v1/channels", **request), 404, "channel_not_found")
