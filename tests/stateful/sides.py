"""The API and the model of chat beside each other: the same requests to both, and the same answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.api import Api, Response, event
from tests.stateful.fleet import Code, Fleet
from tests.stateful.model import Chat
from tests.stateful.rules import STATUS, Expected, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

USERS: Final = ("ada", "grace", "linus", "eve")
TOKEN_MS: Final = 24 * 3_600_000
"""How long a token is good."""
NOBODY: Final = "0" * 16
WHO = st.integers(0, 11)
"""Whose request: one of the first numbers names a user, the others a member of the channel, counted around."""
WHERE = st.integers(0, 9)
"""Which channel, counted around; one number is for a channel that there is not."""
KEYS = st.sampled_from([None, None, None, "k1", "k2"])
MINUTE: Final = 60_000
PAUSES = st.sampled_from([1, 999, 1_000, 3_000, 10_000, MINUTE, 10 * MINUTE, 60 * MINUTE])
LONG_PAUSES = st.sampled_from([12 * 60 * MINUTE, TOKEN_MS - 1_000, TOKEN_MS, TOKEN_MS + 1_000])


class Sides(RuleBasedStateMachine):
    """Requests one after the other. The class attributes say what runs beside the model, and how often it ran."""

    code: ClassVar[Code] = Code()
    make_api: ClassVar[Callable[..., Api]] = Api
    steps: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.fleet = Fleet(self.code, type(self).make_api)
        self.chat = Chat()
        self.container = 0
        self.signed_in = dict.fromkeys(USERS, self.now)

    @property
    def now(self) -> int:
        """Milliseconds since 1970."""
        return self.fleet.clock.ms

    # --- the two sides ---

    def call(self, user: str, method: str, path: str, **rest: Any) -> Response:
        """The API's answer; without claims where the token has expired, as then the authorizer lets nobody through."""
        Sides.steps += 1
        expired = self.now - self.signed_in[user] >= TOKEN_MS
        made = event(method, path, user=None if expired else user, **rest)
        return self.fleet.call(self.container, made)

    def agree(self, response: Response, user: str, expect: Callable[[], Expected]) -> Expected | None:
        """The model's answer, which is the API's too; None where both refuse."""
        expected = self._expected(user, expect)
        if isinstance(expected, RefusedError):
            said = response.json["code"] if response.status >= 400 else response.body
            assert (response.status, said) == (STATUS[expected.code], expected.code)
            assert response.headers["content-type"] == "application/problem+json"
            assert _part(response.headers, expected.headers) == expected.headers
            return None
        assert response.status == expected.status, response.body
        if expected.body is not None:
            assert response.json == expected.body
        assert _part(response.headers, expected.headers) == expected.headers
        return expected

    def _expected(self, user: str, expect: Callable[[], Expected]) -> Expected | RefusedError:
        if self.now - self.signed_in[user] >= TOKEN_MS:
            return RefusedError("unauthenticated")
        try:
            return expect()
        except RefusedError as refused:
            return refused

    def channel(self, where: int) -> str:
        """A channel's id, the latest for 0, or that of none."""
        known = list(self.chat.channels)
        return NOBODY if where == 9 else known[-1 - where % len(known)]

    def user(self, who: int, channel: str = NOBODY) -> str:
        """Somebody, mostly a member of the channel."""
        found = self.chat.channels.get(channel)
        members = sorted(found.members) if found and who >= len(USERS) else USERS
        return members[who % len(members)]

    # --- time and containers ---

    @rule(ms=PAUSES)
    def wait(self, ms: int) -> None:
        """Time passes."""
        self.fleet.clock.ms += ms

    @rule(ms=LONG_PAUSES, late=st.sampled_from([None, None, None, *USERS]))
    def wait_long(self, ms: int, late: str | None) -> None:
        """A day or so passes; all get new tokens, but perhaps one whose token may expire."""
        self.fleet.clock.ms += ms
        self.signed_in |= {user: self.now for user in USERS if user != late}

    @rule()
    def sign_in(self) -> None:
        """Everybody gets a new token."""
        self.signed_in = dict.fromkeys(USERS, self.now)

    @rule(number=st.integers(0, 2), cold=st.booleans())
    def go_to(self, number: int, cold: bool) -> None:  # noqa: FBT001 - Hypothesis names it
        """Another container takes the next requests, perhaps one that has just started."""
        self.container = number
        if cold:
            self.fleet.replace(number)

    @rule(kind=st.sampled_from([None, None, "timeout"]))
    def trouble_redis(self, kind: str | None) -> None:
        """Redis fails, or is well again."""
        self.fleet.fail_redis(kind)


def _part(headers: dict[str, str], names: dict[str, str]) -> dict[str, str]:
    return {name: headers.get(name, "") for name in names}
