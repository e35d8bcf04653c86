"""Managing channels and members while something else happens: lost answers, views in part, rights taken away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from shared.model import ERASED
from shared.store.memory import MemoryStore

if TYPE_CHECKING:
    from shared.model import Head, Look
    from tests.api import Answer
    from tests.functions.chat import Chat


def over(chat: Chat, store: type[MemoryStore]) -> MemoryStore:
    """The same channels in another storage, which the API uses from now on."""
    other = store(**vars(chat.api.services.store))
    chat.api.services = replace(chat.api.services, store=other)
    return other


# --- lost answers ---


@dataclass
class SentTwice(MemoryStore):
    """Its client repeats each change, as when the first answer was lost."""

    def update_channel(
        self, channel_id: str, changes: Mapping[str, str | int], if_version: int | None
    ) -> Head | None:
        """Twice."""
        super().update_channel(channel_id, changes, if_version)
        return super().update_channel(channel_id, changes, if_version)


def test_a_change_whose_first_answer_was_lost_is_done(chat: Chat) -> None:
    """200 with the version that it made, not 412 for meeting itself."""
    channel = chat.channel()
    over(chat, SentTwice)
    answer = chat.api("PATCH", f"/v1/channels/{channel}", body={"name": "new"}, headers={"if-match": '"1"'})
    assert (answer.status, answer.headers["etag"]) == (200, '"2"')
    assert answer.json == chat.seen(channel)


# --- views in part ---

DIRECT = {"kind": "direct", "members": ["grace"]}
KINDS: list[dict[str, Any]] = [
    {"kind": "public", "name": "lobby"},
    {"kind": "private", "name": "lobby"},
    DIRECT,
]


@dataclass
class SeenInPart(MemoryStore):
    """Each look sees a head before its membership."""

    def look(self, channel_id: str, user_id: str, key: str | None = None) -> Look:
        """Without the membership."""
        return replace(super().look(channel_id, user_id, key), membership=None)


@dataclass
class SeenNotAtAll(MemoryStore):
    """Each look comes too early for the head as well."""

    def look(self, channel_id: str, user_id: str, key: str | None = None) -> Look:
        """Without anything."""
        return replace(super().look(channel_id, user_id, key), head=None, membership=None)


def create(chat: Chat, body: dict[str, Any], user: str = "ada") -> Answer:
    """The answer to making a channel under a key."""
    return chat.api("POST", "/v1/channels", user=user, body=body, headers={"idempotency-key": "k"})


@pytest.mark.parametrize("body", KINDS, ids=lambda body: body["kind"])
@pytest.mark.parametrize("seen", [SeenInPart, SeenNotAtAll])
def test_a_channel_that_is_seen_in_part_is_asked_for_again(
    chat: Chat, body: dict[str, Any], seen: type[MemoryStore]
) -> None:
    """503 with a time to come back, and then it is there: 404 would say that the creation failed."""
    whole = chat.api.services
    first = create(chat, body).json
    over(chat, seen)
    answer = create(chat, body)
    assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "contention", "1")
    assert answer.json["retryable"]
    chat.api.services = whole
    assert create(chat, body).json["id"] == first["id"]


def test_who_left_their_channel_does_not_find_it_by_its_key(chat: Chat) -> None:
    """A private one is 404 for them, a public one what strangers see: neither becomes visible by waiting."""
    private, public = (create(chat, {"kind": kind, "name": "x"}, kind) for kind in ("private", "public"))
    for made, user in ((private, "private"), (public, "public")):
        chat.put_member(made.json["id"], "grace", user, role="owner")
        assert chat.remove(made.json["id"], "me", user).status == 204
    hidden = create(chat, {"kind": "private", "name": "x"}, "private")
    assert (hidden.status, hidden.code) == (404, "channel_not_found")
    seen = create(chat, {"kind": "public", "name": "x"}, "public")
    assert (seen.status, seen.json["role"]) == (201, None)


def test_an_erased_creator_is_not_asked_to_wait(chat: Chat) -> None:
    """Their former membership is forgotten too, and 503 would never end."""
    channel = create(chat, {"kind": "private", "name": "x"}).json["id"]
    chat.put_member(channel, "grace", role="owner")
    chat.remove(channel, "me")
    store = chat.api.services.store
    [former] = store.former_memberships("ada")
    head = store.count_erasure(channel, "ada")
    assert head is not None
    assert head.creator == ERASED
    store.forget_former("ada", former)
    assert create(chat, {"kind": "private", "name": "x"}).code == "channel_not_found"
