"""A channel in which everything was changed that can be, by eve and in what concerns eve."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from shared.storage.memory import MemoryStore
from tests.functions.chat import Chat, messages
from tests.shared.use_cases.scripted_store import ScriptedStore

if TYPE_CHECKING:
    from shared.domain.changes import Change
    from shared.domain.model import ChannelState, Entry
    from tests.api import Response

MORE: Final = "still the secret of eve"


class ChangingStore(ScriptedStore):
    """A store in memory that a test can also intercept where messages change."""

    def read_message_state(
        self, channel_id: str, user_id: str, seq: int, key: str | None = None
    ) -> tuple[ChannelState, Entry | None]:
        """A step."""
        return self._step(
            "read_message_state", lambda: MemoryStore.read_message_state(self, channel_id, user_id, seq, key)
        )

    def rewrite_message(self, channel_id: str, seen: Entry, body: bytes) -> bool:
        """A step."""
        return self._step(
            "rewrite_message", lambda: MemoryStore.rewrite_message(self, channel_id, seen, body)
        )

    def rewrite_change(self, channel_id: str, seen: Change, change: Change) -> bool:
        """A step."""
        return self._step(
            "rewrite_change", lambda: MemoryStore.rewrite_change(self, channel_id, seen, change)
        )

    def forget_reactions(self, channel_id: str, user_id: str) -> None:
        """A step."""
        self._step("forget_reactions", lambda: MemoryStore.forget_reactions(self, channel_id, user_id))


def change(
    chat: Chat, method: str, message: dict[str, Any], rest: str = "", user: str = "ada", **body: Any
) -> Response:
    """A change that is accepted, of a message or of something below it."""
    channel = message["id"].rpartition("-")[0]
    path = f"{messages(channel)}/{message['id']}{rest}"
    response = chat.api(method, path, user=user, **({"body": body} if body else {}))
    assert response.status < 300, response.body
    return response


def react(chat: Chat, message: dict[str, Any], user: str, emoji: str = ":ship_it:") -> None:
    """A reaction."""
    change(chat, "PUT", message, f"/reactions/{emoji}/me", user)


def crowd(count: int = 25) -> list[str]:
    """Members who make a message show only the first of them."""
    return [f"user-{number:02d}" for number in range(count)]


def lively(chat: Chat) -> str:
    """The channel's id. Eve is a moderator; her messages are 1 (edited twice) and 2 (deleted)."""
    channel = chat.channel("eve", "joe", *crowd(), kind="private")
    chat.put_member(channel, "eve", role="moderator")
    mine = chat.post(channel, f"{MORE} 1", "eve")
    gone = chat.post(channel, f"{MORE} 2", "eve")
    for text in (f"{MORE} 3, <@joe>", f"{MORE} 4"):
        change(chat, "PATCH", mine, user="eve", text=text)
    react(chat, mine, "joe")
    change(chat, "DELETE", gone, user="ada")
    named = chat.post(channel, "<@eve> and <@joe>, see <@eve>", "ada")
    react(chat, named, "joe")
    react(chat, named, "eve")
    react(chat, named, "eve", ":+1:")
    was_named = chat.post(channel, "hello <@eve>", "joe")
    change(chat, "PATCH", was_named, user="joe", text="hello")
    removed = chat.post(channel, "rude", "joe")
    change(chat, "DELETE", removed, user="eve")
    crowded = chat.post(channel, "vote", "ada")
    for user in [*crowd(20), "eve", *crowd()[20:]]:
        react(chat, crowded, user)
    change(chat, "PUT", crowded, "/pin", "eve")
    change(chat, "PUT", named, "/pin", "ada")
    chat.post(channel, "latest, for <@eve>", "joe")
    return channel
