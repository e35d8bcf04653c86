"""Requests about threads: replies, reading them, following."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from shared.domain import keys
from tests.stateful.changes import Changes
from tests.stateful.comparison import KEYS, WHERE, WHO
from tests.stateful.messages import SAID, SOMETIMES, WHICH
from tests.stateful.rules import Expected, RefusedError

BATCH = st.lists(SAID, min_size=1, max_size=3)
PAGES = st.sampled_from(
    [
        {},
        {"anchor": "first_unread", "limit": 20},
        {"anchor": "oldest"},
        {"after": 0},
        {"after": 2},
        {"after": 9},
    ]
)


class Threads(Changes):
    """Rules about threads."""

    @rule(who=WHO, where=WHERE, at=WHICH, said=BATCH, key=KEYS, fate=SOMETIMES)
    def reply(
        self, who: int, where: int, at: int, said: list[dict[str, Any]], key: str | None, fate: str
    ) -> None:
        """One reply, or some at once."""
        channel, root = self._root(where, at)
        user, path = self.user(who, channel), f"/v1/channels/{channel}/messages/{root}/replies"
        body = {"messages": said} if len(said) > 1 else said[0]
        self.fleet.store.fate = fate
        headers = {"idempotency-key": key} if key else {}
        response = self.call(user, "POST", path, body=body, headers=headers)
        was_tried, self.fleet.store.fate = self.fleet.store.fate != fate, ""
        shown = response.json if response.status == 201 else {}
        ids = [each["id"] for each in (shown.get("messages", []) if len(said) > 1 else [shown]) if each]

        def failed() -> Expected:
            thread = self.chat.thread(user, channel, root)
            self.chat.may_reply(user, thread, len(said), self.now)
            thread.log += [None] * len(said)
            raise RefusedError("store_unavailable", {"retry-after": "1"})

        def expected() -> Expected:
            made, headers = self.chat.reply(user, channel, root, body, key, self.now, ids)
            found = [each.json() for each in made]
            headers["location"] = f"{path}?after={made[0].seq - 1}&limit={len(made)}"
            return Expected(201, {"messages": found} if len(said) > 1 else found[0], headers)

        if self.agree(response, user, failed if was_tried and fate == "fails" else expected):
            self._look_at(root, user, exact=False)

    @rule(who=WHO, where=WHERE, at=WHICH, query=PAGES)
    def fetch_replies(self, who: int, where: int, at: int, query: dict[str, Any]) -> None:
        """A page of replies; the root says the truth from then on."""
        channel, root = self._root(where, at)
        user, path = self.user(who, channel), f"/v1/channels/{channel}/messages/{root}/replies"
        response = self.call(user, "GET", path, query=query)
        if self.agree(response, user, lambda: self.chat.replies(user, channel, root, query)):
            self._look_at(root, user, exact=True)

    @rule(who=WHO, where=WHERE, at=WHICH, seq=st.integers(1, 9), fate=SOMETIMES)
    def delete_reply(self, who: int, where: int, at: int, seq: int, fate: str) -> None:
        """A reply is deleted, as a rule by its author; the root counts it no more."""
        channel, root = self._root(where, at)
        thread = self.chat.threads.get(root)
        seq = 1 + seq % max(1, len(thread.log) if thread else 1)
        reply = thread.log[seq - 1] if thread and thread.log else None
        user = reply.sender if reply and who >= 6 else self.user(who, channel)
        was_there = reply is not None and not reply.deleted
        path = f"/v1/channels/{channel}/messages/{keys.message_id(root, seq)}"
        self._change(
            fate,
            user,
            lambda: self.call(user, "DELETE", path),
            lambda: self.chat.delete_reply(user, channel, root, seq, self.now),
        )
        if was_there and reply is not None and reply.deleted:
            self._look_at(root, user, exact=True)

    @rule(who=WHO, where=WHERE, at=WHICH, position=st.integers(0, 12), force=st.booleans())
    def mark_thread_read(self, who: int, where: int, at: int, position: int, force: bool) -> None:  # noqa: FBT001 - Hypothesis names it
        """A user marks a thread as read or as unread."""
        channel, root = self._root(where, at)
        user, path = self.user(who, channel), f"/v1/channels/{channel}/messages/{root}/thread/read"
        body = {"last_read_seq": position, "force": force}
        response = self.call(user, "PUT", path, body=body)
        self.agree(
            response, user, lambda: self.chat.mark_thread_read(user, channel, root, position, force=force)
        )

    @rule(who=WHO, where=WHERE, at=WHICH, begins=st.booleans())
    def follow(self, who: int, where: int, at: int, begins: bool) -> None:  # noqa: FBT001 - as above
        """A user follows a thread, or no more."""
        channel, root = self._root(where, at)
        user, path = self.user(who, channel), f"/v1/channels/{channel}/messages/{root}/thread/follow"
        response = self.call(user, "PUT" if begins else "DELETE", path)
        self.agree(response, user, lambda: self.chat.follow(user, channel, root, begins=begins))

    @rule(who=WHO, unread=st.booleans())
    def list_threads(self, who: int, unread: bool) -> None:  # noqa: FBT001 - as above
        """The threads that a user follows."""
        user = self.user(who)
        response = self.call(user, "GET", "/v1/threads", query={"unread": "true"} if unread else {})
        self.agree(response, user, lambda: self.chat.my_threads(user, unread=unread))

    # --- details ---

    def _root(self, where: int, at: int) -> tuple[str, str]:
        """A channel and the root of a thread there, mostly one that has replies."""
        channel, message, _ = self._which(where, at)
        known = [root for root, each in self.chat.threads.items() if each.channel == channel]
        return channel, known[-1 - at % len(known)] if known and at % 5 else message

    def _look_at(self, root: str, user: str, *, exact: bool) -> None:
        """Reads the root."""
        channel = self.chat.threads[root].channel
        response = self.call(user, "GET", f"/v1/channels/{channel}/messages/{root}")
        assert response.status == 200, response.body
        self.chat.summarized(root, response.json, user, self.now, exact=exact)
