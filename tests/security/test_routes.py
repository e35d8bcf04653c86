"""What API Gateway chose is what is carried out: its route is what is throttled, logged, and asked for a token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.api import event
from tests.functions.refusals import assert_refused, state

if TYPE_CHECKING:
    from shared.storage.memory import MemoryStore
    from tests.functions.chat import Chat


@pytest.mark.parametrize(
    ("route", "path"),
    [
        ("GET /v1/channels/{channel_id}", "/v1/channels/{c}/members"),
        ("GET /v1/channels/{channel_id}", "/v1/channels/{c}%2Fmembers"),
        ("DELETE /v1/channels/{channel_id}", "/v1/channels/{c}/members/grace"),
        ("DELETE /v1/channels/{channel_id}/members/{user_id}", "/v1/channels/{c}"),
        ("GET /v1/channels/{channel_id}/messages/{message_id}", "/v1/channels/{c}/messages"),
    ],
)
def test_another_route_than_the_one_chosen_is_404(
    chat: Chat, store: MemoryStore, route: str, path: str
) -> None:
    """A slash or a question mark that was percent-encoded in a parameter makes the path another route's."""
    channel = chat.channel("grace")
    chat.post(channel)
    before = state(store)
    made = event(route.partition(" ")[0], path.format(c=channel))
    response = chat.api.invoke(made | {"routeKey": route})
    assert_refused(response, 404, "route_not_found")
    assert state(store) == before
