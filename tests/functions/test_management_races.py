"""Managing channels and members while something else happens: lost answers, views in part, rights taken away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shared.store.memory import MemoryStore

if TYPE_CHECKING:
    from shared.model import Head
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
