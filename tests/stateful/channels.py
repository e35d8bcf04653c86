"""Requests that make, change and list channels and members."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from tests.stateful.comparison import KEYS, USERS, WHERE, WHO, ApiAndModel
from tests.stateful.rules import FIXED, Expected

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.stateful.model import Query

NAMES = st.sampled_from(["lobby", "Alpha", "été", "zoo"])
KIND = st.sampled_from(["public", "private", "direct", "group"])
LIMITS = st.sampled_from([1, 2, 50])
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "topic": st.sampled_from(["", "t"]),
        "name": st.just("other"),
        "slow_mode": st.sampled_from([0, 5]),
        "edit_window": st.sampled_from([None, 0, 60]),
        "members_pin": st.booleans(),
        "show_reads": st.booleans(),
        "retention_days": st.sampled_from([None, 3_650]),
    },
)
MATCHES = st.sampled_from([None, "*", '"1"', '"2"', '"3"', '"1", "2"', 'W/"1"', "x"])
ROLES = st.sampled_from([None, None, "member", "moderator", "owner"])
ENOUGH: Final = 5
"""Channels in one history; those found again by their members, or made under a key, aside."""
TARGETS = st.sampled_from(["me", *USERS])


class Channels(ApiAndModel):
    """Rules about channels and their members."""

    def __init__(self) -> None:
        super().__init__()
        self.cursors: list[tuple[str, Query, str, tuple[int, str]]] = []
        """Where somebody's list of channels goes on, and what its last channel was."""

    @initialize(kinds=st.lists(KIND, min_size=1, max_size=3))
    def begin(self, kinds: list[str]) -> None:
        """Something to talk in."""
        for kind in kinds:
            self._create("ada", kind, ["grace", "linus"], "lobby", 0, None)

    @rule(
        who=WHO,
        kind=KIND,
        members=st.lists(st.sampled_from(USERS), max_size=2),
        name=NAMES,
        slow=st.sampled_from([0, 0, 2, 3600]),
        key=KEYS,
    )
    def create(self, who: int, kind: str, members: list[str], name: str, slow: int, key: str | None) -> None:
        """A channel is made, or found again; a few are enough."""
        if key or kind in FIXED or len(self.chat.channels) < ENOUGH:
            self._create(self.user(who), kind, members, name, slow, key)

    @rule(who=WHO, where=WHERE)
    def get(self, who: int, where: int) -> None:
        """Gets a channel."""
        channel = self.channel(where)
        user = self.user(who, channel)
        response = self.call(user, "GET", f"/v1/channels/{channel}")
        self.agree(response, user, lambda: self.chat.get(user, channel))

    @rule(who=WHO, where=WHERE, changes=CHANGES, match=MATCHES)
    def update(self, who: int, where: int, changes: dict[str, Any], match: str | None) -> None:
        """A channel gets other settings."""
        channel = self.channel(where)
        user, headers = self.user(who, channel), {"if-match": match} if match else {}
        response = self.call(user, "PATCH", f"/v1/channels/{channel}", body=changes, headers=headers)
        self.agree(response, user, lambda: self.chat.update(user, channel, changes, match))

    @rule(who=WHO, where=WHERE, sure=st.integers(0, 3), match=MATCHES)
    def archive(self, who: int, where: int, sure: int, match: str | None) -> None:
        """A channel is archived, now and then."""
        channel = self.channel(where)
        user, headers = self.user(who, channel), {"if-match": match} if match else {}
        if sure == 3:
            response = self.call(user, "DELETE", f"/v1/channels/{channel}", headers=headers)
            self.agree(response, user, lambda: self.chat.archive(user, channel, match))

    @rule(who=WHO, where=WHERE, archived=st.sampled_from([True, False, False]), match=MATCHES)
    def set_archived(self, who: int, where: int, archived: bool, match: str | None) -> None:  # noqa: FBT001 - Hypothesis names it
        """A channel is archived or unarchived."""
        channel = self.channel(where)
        user, headers = self.user(who, channel), {"if-match": match} if match else {}
        path, body = f"/v1/channels/{channel}/archived", {"archived": archived}
        response = self.call(user, "PUT", path, body=body, headers=headers)
        self.agree(response, user, lambda: self.chat.set_archived(user, channel, match, archived=archived))

    # --- members ---

    @rule(who=WHO, where=WHERE, whom=TARGETS, role=ROLES, is_empty=st.booleans())
    def put_member(self, who: int, where: int, whom: str, role: str | None, is_empty: bool) -> None:  # noqa: FBT001 - Hypothesis names it
        """A user joins, is added, or gets another role."""
        channel = self.channel(where)
        user = self.user(who, channel)
        named, body = user if whom == "me" else whom, {"role": role} if role else ({} if is_empty else None)
        response = self.call(user, "PUT", f"/v1/channels/{channel}/members/{whom}", body=body)
        self.agree(response, user, lambda: self.chat.put_member(user, channel, named, role, self.now))

    @rule(who=WHO, where=WHERE, whom=TARGETS)
    def remove(self, who: int, where: int, whom: str) -> None:
        """A user leaves or is removed."""
        channel = self.channel(where)
        user = self.user(who, channel)
        named = user if whom == "me" else whom
        response = self.call(user, "DELETE", f"/v1/channels/{channel}/members/{whom}")
        self.agree(response, user, lambda: self.chat.remove(user, channel, named))

    def _create(
        self, user: str, kind: str, members: list[str], name: str, slow: int, key: str | None
    ) -> None:
        body: dict[str, Any] = {"kind": kind, "members": members, "name": name, "slow_mode": slow}
        if kind == "direct":  # With oneself if nobody else is first.
            body = {"kind": kind, "members": members[:1]}
        if kind == "group":
            body = {"kind": kind, "members": [each for each in USERS if each != user][len(members) // 2 :]}
        headers = {"idempotency-key": key} if key else {}
        response = self.call(user, "POST", "/v1/channels", body=body, headers=headers)
        new_id = response.json["id"] if response.status < 300 else ""
        self.agree(response, user, lambda: self.chat.create(user, body, key, self.now, new_id))

    @rule(who=WHO, where=WHERE, muted=st.booleans())
    def set_muted(self, who: int, where: int, muted: bool) -> None:  # noqa: FBT001 - Hypothesis names it
        """Somebody mutes a channel."""
        channel = self.channel(where)
        user = self.user(who, channel)
        response = self.call(user, "PUT", f"/v1/channels/{channel}/muted", body={"muted": muted})
        self.agree(response, user, lambda: self.chat.set_muted(user, channel, muted=muted))

    @rule(who=WHO, where=WHERE)
    def fetch_reads(self, who: int, where: int) -> None:
        """What the members of a channel have read."""
        channel = self.channel(where)
        user = self.user(who, channel)
        response = self.call(user, "GET", f"/v1/channels/{channel}/reads")
        self.agree(response, user, lambda: self.chat.reads(user, channel))

    # --- lists ---

    @rule(who=WHO, limit=LIMITS, unread=st.booleans(), kind=st.sampled_from([None, None, "public", "group"]))
    def list_mine(self, who: int, limit: int, unread: bool, kind: str | None) -> None:  # noqa: FBT001 - Hypothesis names it
        """The first page of a user's channels."""
        query: Query = {"limit": limit} | ({"kind": kind} if kind else {})
        query |= {"unread_only": "true"} if unread else {}
        self._page_of_mine(self.user(who), query, None)

    @rule(at=st.integers(0, 20))
    def list_on(self, at: int) -> None:
        """The next page of a user's channels, perhaps long after the one before."""
        if self.cursors:
            user, query, cursor, after = self.cursors[-1 - at % len(self.cursors)]
            self._page_of_mine(user, query | {"cursor": cursor}, after)

    @rule(who=WHO, limit=LIMITS)
    def list_public(self, who: int, limit: int) -> None:
        """Public channels are listed, page after page."""
        user = self.user(who)
        found = self._turn(user, "/v1/channels", {"limit": limit, "scope": "public"}, "channels", list)
        if found is not None:
            order = [(each["name"].casefold(), each["id"]) for each in found]
            assert order == sorted(order)
            assert {each["id"] for each in found} == {each.id for each in self.chat.open_to(user)}
            assert all(each == self.chat.channels[each["id"]].json(user) for each in found)

    @rule(who=WHO, where=WHERE, limit=LIMITS)
    def list_members(self, who: int, where: int, limit: int) -> None:
        """Members are listed, page after page."""
        channel = self.channel(where)
        user = self.user(who, channel)
        path = f"/v1/channels/{channel}/members"
        found = self._turn(user, path, {"limit": limit}, "members", lambda: self.chat.members(user, channel))
        assert found is None or found == self.chat.members(user, channel)

    def _page_of_mine(self, user: str, query: Query, after: tuple[int, str] | None) -> None:
        response = self.call(user, "GET", "/v1/channels", query=query)
        mine = self.chat.mine(user, query)
        rest = [each for each in mine if after is None or (-each.active, each.id) > after]
        page, has_more = rest[: query["limit"]], len(rest) > query["limit"]
        cursor = response.json.get("next_cursor")
        assert bool(cursor) == has_more or response.status != 200
        shown = {
            "channels": [each.json(user) for each in page],
            "has_more": has_more,
            "next_cursor": cursor,
        }
        if self.agree(response, user, lambda: Expected(200, shown)) and cursor:
            last = page[-1]
            self.cursors.append((user, query, cursor, (-last.active, last.id)))

    def _turn(
        self, user: str, path: str, query: Query, name: str, allowed: Callable[[], object]
    ) -> list[Any] | None:
        """All of a list, by its cursors; None where both sides refuse it. `allowed` raises what the model refuses."""

        def expected() -> Expected:
            allowed()
            return Expected(200)

        found: list[Any] = []
        cursor: dict[str, str] = {}
        while True:
            response = self.call(user, "GET", path, query=query | cursor)
            if self.agree(response, user, expected) is None:
                return None
            body = response.json
            assert len(body[name]) <= query["limit"]
            assert body["has_more"] == (body["next_cursor"] is not None)
            found += body[name]
            if not body["has_more"]:
                return found
            cursor = {"cursor": body["next_cursor"]}
