"""Requests that change messages, and that read what happened to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.stateful.comparison import KEYS, WHERE, WHO, ApiAndModel
from tests.stateful.messages import SOMETIMES, TEXTS, WHICH
from tests.stateful.rules import Expected, RefusedError, names_everybody

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.api import Response

FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "text": TEXTS.filter(lambda text: not names_everybody(text)),
        "metadata": st.sampled_from([None, {}, {"a": 1}]),
    },
).filter(bool)
MATCHES = st.sampled_from([None, None, None, "*", '"1"', '"2"', '"1", "3"'])
EMOJI = st.sampled_from(["👍", "❤️", ":ok:"])


class Changes(ApiAndModel):
    """Edits, deletions, reactions, pins and mentions."""

    @rule(who=WHO, where=WHERE, at=WHICH, fields=FIELDS, match=MATCHES, key=KEYS, fate=SOMETIMES)
    def edit(
        self,
        who: int,
        where: int,
        at: int,
        fields: dict[str, Any],
        match: str | None,
        key: str | None,
        fate: str,
    ) -> None:
        """A message is edited, as a rule by its author."""
        channel, message, sender = self._which(where, at)
        user = sender if who >= 2 and sender else self.user(who, channel)
        headers = ({"if-match": match} if match else {}) | ({"idempotency-key": key} if key else {})
        self._change(
            fate,
            user,
            lambda: self.call(user, "PATCH", _path(channel, message), body=fields, headers=headers),
            lambda: self.chat.edit(user, channel, message, fields, match, key, self.now),
        )

    @rule(who=WHO, where=WHERE, at=WHICH, fate=SOMETIMES)
    def delete(self, who: int, where: int, at: int, fate: str) -> None:
        """A message is deleted."""
        channel, message, sender = self._which(where, at)
        user = sender if who >= 8 and sender else self.user(who, channel)
        self._change(
            fate,
            user,
            lambda: self.call(user, "DELETE", _path(channel, message)),
            lambda: self.chat.delete(user, channel, message, self.now),
        )

    @rule(who=WHO, where=WHERE, at=WHICH, emoji=EMOJI, fate=SOMETIMES)
    def react(self, who: int, where: int, at: int, emoji: str, fate: str) -> None:
        """Somebody reacts."""
        channel, message, _ = self._which(where, at)
        user, path = self.user(who, channel), f"{_path(channel, message)}/reactions/{quote(emoji)}/me"
        self._change(
            fate,
            user,
            lambda: self.call(user, "PUT", path),
            lambda: self.chat.react(user, channel, message, emoji, self.now),
        )

    @rule(who=WHO, where=WHERE, at=WHICH, emoji=EMOJI, fate=SOMETIMES)
    def unreact(self, who: int, where: int, at: int, emoji: str, fate: str) -> None:
        """Somebody takes a reaction back."""
        channel, message, _ = self._which(where, at)
        user, path = self.user(who, channel), f"{_path(channel, message)}/reactions/{quote(emoji)}/me"
        self._change(
            fate,
            user,
            lambda: self.call(user, "DELETE", path),
            lambda: self.chat.unreact(user, channel, message, emoji, self.now),
        )

    @rule(who=WHO, where=WHERE, at=WHICH, pinned=st.booleans(), fate=SOMETIMES)
    def pin(self, who: int, where: int, at: int, pinned: bool, fate: str) -> None:  # noqa: FBT001 - Hypothesis names it
        """A message is pinned, or not any more."""
        channel, message, _ = self._which(where, at)
        user = self.user(who, channel)
        self._change(
            fate,
            user,
            lambda: self.call(user, "PUT" if pinned else "DELETE", f"{_path(channel, message)}/pin"),
            lambda: self.chat.pin(user, channel, message, self.now, pinned=pinned),
        )

    # --- reads ---

    @rule(who=WHO, where=WHERE, at=WHICH, limit=st.sampled_from([1, 3, 100]))
    def fetch_changes(self, who: int, where: int, at: int, limit: int) -> None:
        """A page of changes."""
        channel = self.channel(where)
        end = len(self.chat.channels[channel].changes) if channel in self.chat.channels else 0
        user, after = self.user(who, channel), at % (end + 2)
        query = {"after": after, "limit": limit}
        response = self.call(user, "GET", f"/v1/channels/{channel}/changes", query=query)
        self.agree(response, user, lambda: self.chat.changes(user, channel, after, limit))

    @rule(who=WHO, where=WHERE)
    def fetch_pins(self, who: int, where: int) -> None:
        """The pinned messages."""
        channel = self.channel(where)
        user = self.user(who, channel)
        response = self.call(user, "GET", f"/v1/channels/{channel}/pins")
        self.agree(response, user, lambda: self.chat.pins(user, channel))

    @rule(who=WHO, where=WHERE, at=WHICH)
    def fetch_versions(self, who: int, where: int, at: int) -> None:
        """The versions of a message."""
        channel, message, _ = self._which(where, at)
        user = self.user(who, channel)
        response = self.call(user, "GET", f"{_path(channel, message)}/versions")
        self.agree(response, user, lambda: self.chat.versions(user, channel, message))

    @rule(who=WHO)
    def list_mentions(self, who: int) -> None:
        """Somebody's mentions."""
        user = self.user(who)
        response = self.call(user, "GET", "/v1/mentions", query={"limit": 100})
        self.agree(response, user, lambda: self.chat.mentions(user))

    # --- details ---

    def _which(self, where: int, at: int) -> tuple[str, str, str]:
        """A channel, one of its messages, the latest for 0, and the message's sender."""
        channel = self.channel(where)
        found = self.chat.channels[channel].log if channel in self.chat.channels else []
        messages = [each for each in found if each]
        if not messages:
            return channel, f"{channel}-00000001", ""
        message = messages[-1 - at % min(len(messages), 8)]
        return channel, message.id, message.sender

    def _change(
        self, fate: str, user: str, send: Callable[[], Response], expect: Callable[[], Expected]
    ) -> None:
        self.fleet.store.fate = fate
        response = send()
        was_tried, self.fleet.store.fate = self.fleet.store.fate != fate, ""
        if was_tried and fate == "fails":
            self.agree(response, user, _unknown)
        else:
            self.agree(response, user, expect)


def _unknown() -> Expected:
    raise RefusedError("commit_unknown", {"retry-after": "1"})


def _path(channel: str, message: str) -> str:
    return f"/v1/channels/{channel}/messages/{message}"
