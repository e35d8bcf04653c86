"""Requests that post, read and mark messages."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.stateful.comparison import KEYS, TOKEN_MS, WHERE, WHO, ApiAndModel
from tests.stateful.model import Query
from tests.stateful.rules import Expected, RefusedError

WHICH = st.integers(0, 60)
TEXTS = st.sampled_from(["a", "b", "Hello", "é" * 90, "😀" * 60, 'x"\\\n\ty', "x" * 4_000, "日本語 " * 30])
SAID = st.fixed_dictionaries(
    {"text": TEXTS},
    optional={
        "client_message_id": st.sampled_from(["c1", "c2"]),
        "metadata": st.sampled_from([{}, {"a": [1, 2.5, None, {"é": True}]}]),
    },
)
PLACES = st.sampled_from(["before", "after", "around", "anchor", "latest"])
LIMITS = st.sampled_from([1, 2, 3, 7, 50, 100])
SOMETIMES = st.sampled_from(["", "", "", "", "fails", "lost"])


@dataclass(frozen=True)
class Post:
    """What is sent to be posted."""

    user: str
    channel: str
    said: tuple[dict[str, Any], ...]
    key: str | None
    is_batch: bool

    @property
    def path(self) -> str:
        """Where to."""
        return f"/v1/channels/{self.channel}/messages"

    @property
    def body(self) -> dict[str, Any]:
        """The body."""
        return {"messages": list(self.said)} if self.is_batch else self.said[0]

    @property
    def headers(self) -> dict[str, str]:
        """With the key."""
        return {"idempotency-key": self.key} if self.key else {}


class Messages(ApiAndModel):
    """What is said in channels."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Post] = []
        """Posts that carried a key."""
        self.copies: dict[tuple[Any, ...], tuple[str, tuple[int, int], Any]] = {}
        """Pages that somebody has read: the ETag, what the page depends on, and the page."""

    @rule(who=WHO, where=WHERE, said=SAID, key=KEYS, fate=SOMETIMES)
    def post(self, who: int, where: int, said: dict[str, Any], key: str | None, fate: str) -> None:
        """A message is posted."""
        channel = self.channel(where)
        self._post(Post(self.user(who, channel), channel, (said,), key, is_batch=False), fate)

    @rule(who=WHO, where=WHERE, said=st.lists(SAID, min_size=1, max_size=8), key=KEYS, fate=SOMETIMES)
    def post_batch(
        self, who: int, where: int, said: list[dict[str, Any]], key: str | None, fate: str
    ) -> None:
        """Some messages are posted at once."""
        channel = self.channel(where)
        self._post(Post(self.user(who, channel), channel, tuple(said), key, is_batch=True), fate)

    @rule(where=WHERE, count=st.integers(1, 4), wait=st.sampled_from([0, 1_000, 30_000]))
    def talk(self, where: int, count: int, wait: int) -> None:
        """Members say many things, so that the log fills."""
        channel = self.channel(where)
        for number in range(count):
            said = tuple({"text": f"{number}.{each}"} for each in range(25 if wait > 1_000 else 2))
            self._post(Post(self.user(9 + number, channel), channel, said, None, is_batch=True), "")
            self.fleet.clock.ms += wait

    @rule(who=WHO, where=WHERE, count=st.integers(1, 8))
    def come_back(self, who: int, where: int, count: int) -> None:
        """A user posts, leaves, comes back at once and posts again."""
        channel = self.channel(where)
        user = self.user(who, channel)
        post = Post(user, channel, ({"text": "more"},) * count, None, is_batch=True)
        self._post(post, "")
        path = f"/v1/channels/{channel}/members/me"
        self.agree(self.call(user, "DELETE", path), user, lambda: self.chat.remove(user, channel, user))
        back = self.call(user, "PUT", path)
        self.agree(back, user, lambda: self.chat.put_member(user, channel, user, None, self.now))
        self._post(post, "")

    @rule(at=WHICH, number=st.integers(0, 2), late=st.sampled_from([0, 0, TOKEN_MS, TOKEN_MS + 7_000]))
    def retry(self, at: int, number: int, late: int) -> None:
        """A client repeats a post that carried a key, perhaps a day later, and meets another container."""
        if self.sent:
            self.container = number
            self.fleet.clock.ms += late
            self.sign_in()
            self._post(self.sent[-1 - at % len(self.sent)], "")

    @rule(at=WHICH)
    def retry_otherwise(self, at: int) -> None:
        """A client repeats a message as a batch of one, or the other way round, under the same key."""
        if self.sent:
            post = self.sent[-1 - at % len(self.sent)]
            self._post(replace(post, said=post.said[:1], is_batch=not post.is_batch), "")

    @rule(who=WHO, where=WHERE, place=PLACES, at=WHICH, limit=LIMITS)
    def fetch(self, who: int, where: int, place: str, at: int, limit: int) -> None:
        """A page is read."""
        channel = self.channel(where)
        self._fetch(self.user(who, channel), channel, self._query(channel, place, at, limit))

    @rule(at=WHICH, twice=st.booleans())
    def fetch_again(self, at: int, twice: bool) -> None:  # noqa: FBT001 - Hypothesis names it
        """A page is read again with the ETag of a copy."""
        known = list(self.copies)
        for user, channel, query in [known[-1 - at % len(known)]] * (1 + twice) if known else []:
            self._fetch(user, channel, dict(query), self.copies[user, channel, query])

    @rule(who=WHO, where=WHERE, limit=LIMITS)
    def poll(self, who: int, where: int, limit: int) -> None:
        """A user reads from the start to the end, page by page."""
        channel = self.channel(where)
        log = self.chat.channels[channel].log if channel in self.chat.channels else []
        for after in range(0, len(log) + 1, max(limit, 7)):
            self._fetch(self.user(who, channel), channel, {"limit": max(limit, 7), "after": after})

    @rule(who=WHO, where=WHERE, at=WHICH, other=st.sampled_from([0, 0, 0, 1]))
    def fetch_one(self, who: int, where: int, at: int, other: int) -> None:
        """One message is read, by its id in the right channel or another."""
        channel, place = self.channel(where), self.channel(where + other)
        log = self.chat.channels[channel].log if channel in self.chat.channels else []
        ids = [each.id for each in log if each] or [f"{channel}-00000001"]
        message, user = ids[at % len(ids)], self.user(who, place)
        response = self.call(user, "GET", f"/v1/channels/{place}/messages/{message}")
        self.agree(response, user, lambda: self.chat.message(user, place, message))

    @rule(who=WHO, where=WHERE, at=WHICH, force=st.booleans())
    def mark_read(self, who: int, where: int, at: int, force: bool) -> None:  # noqa: FBT001 - as above
        """A user marks as read or as unread."""
        channel = self.channel(where)
        user, position = self.user(who, channel), self._position(channel, at)
        body = {"last_read_seq": position, "force": force}
        response = self.call(user, "PUT", f"/v1/channels/{channel}/read", body=body)
        self.agree(response, user, lambda: self.chat.mark_read(user, channel, position, force=force))

    # --- details ---

    def _post(self, post: Post, fate: str) -> None:
        self.fleet.store.fate = fate
        response = self.call(post.user, "POST", post.path, body=post.body, headers=post.headers)
        was_tried, self.fleet.store.fate = self.fleet.store.fate != fate, ""
        if was_tried and fate == "fails":
            self.agree(response, post.user, lambda: self._fail(post))
            return
        shown = response.json if response.status == 201 else {}
        ids = [each["id"] for each in (shown.get("messages", []) if post.is_batch else [shown]) if each]

        def expected() -> Expected:
            made, told = self.chat.post(post.user, post.channel, post.body, post.key, self.now, ids)
            found = [each.json() for each in made]
            told["location"] = f"{post.path}?after={made[0].seq - 1}&limit={len(made)}"
            return Expected(201, {"messages": found} if post.is_batch else found[0], told)

        if self.agree(response, post.user, expected):
            written = [each.id for each in self.chat.channels[post.channel].log if each]
            assert written == sorted(set(written))
        if post.key:
            self.sent.append(post)

    def _fail(self, post: Post) -> Expected:
        self.chat.pace(post.user, post.channel, len(post.said), self.now)
        self.chat.fail_to_post(post.channel, len(post.said))
        raise RefusedError("store_unavailable", {"retry-after": "1"})

    def _position(self, channel: str, at: int) -> int:
        """A position, mostly one that there is, at times one or two beyond."""
        end = len(self.chat.channels[channel].log) if channel in self.chat.channels else 0
        return at % (end + 3)

    def _query(self, channel: str, place: str, at: int, limit: int) -> Query:
        position = self._position(channel, at)
        if place == "anchor":
            return {"limit": limit, "anchor": ("first_unread", "latest", "oldest")[at % 3]}
        if place == "latest":
            return {"limit": limit} if at % 2 else {}
        return {"limit": limit, place: position if place == "after" else max(1, position)}

    def _fetch(self, user: str, channel: str, query: Query, copy: Any = None) -> None:
        headers = {"if-none-match": copy[0]} if copy else {}
        path = f"/v1/channels/{channel}/messages"
        response = self.call(user, "GET", path, query=query, headers=headers)

        def expected() -> Expected:
            page, version = self.chat.page(user, channel, query), self._version(user, channel)
            if copy and response.status == 304:
                assert copy[2] == page.body, "the copy is no longer right"
                return Expected(304)
            assert copy is None or copy[1] != version, "304 would have done"
            tag = response.headers.get("etag", "")
            self.copies[user, channel, tuple(query.items())] = tag, version, page.body
            return page

        self.agree(response, user, expected)

    def _version(self, user: str, channel: str) -> tuple[int, int]:
        """What a page may depend on."""
        found = self.chat.channels[channel]
        return len(found.log), found.members[user].read
