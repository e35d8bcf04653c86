"""The API and the model of chat side by side: both get the same requests and must give the same responses."""

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
"""How long a token is valid."""
NOBODY: Final = "0" * 16
WHO = st.integers(0, 11)
"""The caller: a number below 4 names a user, any other a member of the channel (modulo their count)."""
WHERE = st.integers(0, 9)
"""The channel (modulo their count); 9 is a channel that does not exist."""
KEYS = st.sampled_from([None, None, None, "k1", "k2"])
MINUTE: Final = 60_000
PAUSES = st.sampled_from([1, 999, 1_000, 3_000, 10_000, MINUTE, 10 * MINUTE, 60 * MINUTE])
LONG_PAUSES = st.sampled_from([12 * 60 * MINUTE, TOKEN_MS - 1_000, TOKEN_MS, TOKEN_MS + 1_000])


class ApiAndModel(RuleBasedStateMachine):
    """Sends requests one after another to the API and to the model.

    Attributes:
        code: the parts of the API under test.
        make_api: makes the API.
        steps: how many requests were sent, over all instances.
    """

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

    # --- the API and the model ---

    def call(self, user: str, method: str, path: str, **rest: Any) -> Response:
        """The API's response; the event has no claims once the token has expired, as the authorizer would refuse it."""
        ApiAndModel.steps += 1
        expired = self.now - self.signed_in[user] >= TOKEN_MS
        made = event(method, path, user=None if expired else user, **rest)
        return self.fleet.call(self.container, made)

    def agree(self, response: Response, user: str, expect: Callable[[], Expected]) -> Expected | None:
        """Checks that the API responded as the model does, and returns the model's response; None where both refuse."""
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
        """The id of a channel, the newest for 0, or of one that does not exist for 9."""
        known = list(self.chat.channels)
        return NOBODY if where == 9 else known[-1 - where % len(known)]

    def user(self, who: int, channel: str = NOBODY) -> str:
        """A user, mostly a member of the channel."""
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
        """About a day passes; all users get new tokens except perhaps one, whose token may expire."""
        self.fleet.clock.ms += ms
        self.signed_in |= {user: self.now for user in USERS if user != late}

    @rule()
    def sign_in(self) -> None:
        """All users get a new token."""
        self.signed_in = dict.fromkeys(USERS, self.now)

    @rule(number=st.integers(0, 2), cold=st.booleans())
    def go_to(self, number: int, cold: bool) -> None:  # noqa: FBT001 - Hypothesis names it
        """Another container serves the next requests, perhaps one that has just started."""
        self.container = number
        if cold:
            self.fleet.replace(number)

    @rule(kind=st.sampled_from([None, None, "timeout"]))
    def trouble_redis(self, kind: str | None) -> None:
        """Redis begins or ceases to fail."""
        self.fleet.fail_redis(kind)


def _part(headers: dict[str, str], names: dict[str, str]) -> dict[str, str]:
    return {name: headers.get(name, "") for name in names}
