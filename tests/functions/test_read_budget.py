"""What one user's expensive reads may cost in a minute: long lists of channels, and counting the lists of others."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import pytest

from shared.bootstrap import compose
from shared.domain.model import Head, Kind, Membership, Role
from shared.settings import Settings
from shared.storage.memory import MemoryStore
from shared.use_cases.read_budget import CHANNELS_PER_UNIT, FREE_UNITS, list_units
from tests.api import Api
from tests.functions.chat import Chat

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.api import Response
    from tests.conftest import FakeClock

LONG: Final = 300
"""Channels of a list that costs more than is free."""
FULL: Final = 1_000
MINUTE_MS: Final = 60_000
BUDGET: Final = 1_900
"""Less than it costs to count 49 lists that are nearly full."""


@dataclass
class Costed(MemoryStore):
    """A storage that notes what reading channels costs, about, and what is paid for it."""

    counted: list[str] = field(default_factory=list)
    units: int = 0
    paid: list[int] = field(default_factory=list)

    def memberships(self, user_id: str) -> list[Membership]:
        """Noted."""
        found = super().memberships(user_id)
        self.units += list_units(len(found))
        return found

    def count_memberships(self, user_id: str, limit: int) -> int:
        """Noted."""
        self.counted.append(user_id)
        found = super().count_memberships(user_id, limit)
        self.units += list_units(found)
        return found

    def heads(self, channel_ids: Iterable[str]) -> dict[str, Head]:
        """Noted."""
        wanted = list(channel_ids)
        self.units += len(wanted)
        return super().heads(wanted)

    def spend(self, user_id: str, minute: int, units: int, limit: int) -> bool:
        """Noted, whether it is granted or not."""
        self.paid.append(units)
        return super().spend(user_id, minute, units, limit)

    def fill(self, user: str, count: int) -> None:
        """Makes the user a member of so many channels of others."""
        for number in range(count):
            channel = f"{number:016}"
            if channel not in self._heads:
                self._heads[channel] = Head(channel, Kind.PRIVATE, "x", "", "somebody", number)
            self._memberships[channel, user] = Membership(user, channel, Role.MEMBER, 0)
            self._channels_of[user].add(channel)

    def take_note(self) -> tuple[int, list[int]]:
        """What was read and paid since the last call."""
        found = self.units, self.paid
        self.units, self.paid = 0, []
        return found


@pytest.fixture
def store() -> Costed:
    """Whose costs are noted."""
    return Costed()


@pytest.fixture
def chat(store: Costed, clock: FakeClock) -> Chat:
    """At the beginning of a minute."""
    clock.ms -= clock.ms % MINUTE_MS
    services = compose(Settings(read_units_per_minute=BUDGET), store, clock.now, clock.sleep)
    return Chat(Api(services), clock)


def listing(chat: Chat, user: str = "ada") -> Response:
    """The response to listing one's channels."""
    return chat.api("GET", "/v1/channels", user=user)


def create(chat: Chat, user: str = "ada", key: str = "", **body: Any) -> Response:
    """The response to creating a channel."""
    headers = {"idempotency-key": key} if key else None
    return chat.api(
        "POST", "/v1/channels", user=user, body={"kind": "private", "name": "x"} | body, headers=headers
    )


def said(response: Response) -> tuple[int, str]:
    """Status and code of a refusal."""
    return response.status, response.code


USED: Final = (429, "read_budget_used")


# --- ordinary requests ---


@pytest.mark.parametrize("channels", [0, 1, 25, 200, 240])
def test_an_ordinary_list_pays_nothing(chat: Chat, store: Costed, channels: int) -> None:
    """However often it is read, and whether the cache knows it or not."""
    store.fill("ada", channels)
    for _ in range(50):
        assert listing(chat).status == 200
        units, paid = store.take_note()
        assert paid == []
        assert units <= FREE_UNITS


def test_an_ordinary_creation_pays_nothing(chat: Chat, store: Costed) -> None:
    """Creating a channel with fifty members who are each in a hundred channels costs no budget."""
    others = [f"user{number}" for number in range(49)]
    for user in others:
        store.fill(user, 100)
    assert create(chat, members=others).status == 201
    assert store.paid == []


def test_joining_and_adding_pay_nothing(chat: Chat, store: Costed) -> None:
    """Joining or adding a member counts one list, which costs no budget however long it is."""
    store.fill("grace", FULL - 1)
    channel = str(chat.create()["id"])
    assert chat.put_member(channel, "grace").status == 201
    assert chat.put_member(str(chat.create()["id"]), "grace").status == 409
    assert store.paid == []


# --- expensive ones ---


def test_a_long_list_is_paid_before_it_is_read(chat: Chat, store: Costed) -> None:
    """By one write, for memberships and heads; when the budget is used, 429 for the rest of the minute."""
    store.fill("ada", LONG)
    cost = LONG + LONG // CHANNELS_PER_UNIT
    # The last that passes may exceed it: else there would be lists too long to be read ever.
    for _ in range(-(-BUDGET // cost)):
        assert listing(chat).status == 200
        assert store.take_note() == (cost, [cost])
    chat.clock.ms += 10_000
    refused = listing(chat)
    assert said(refused) == USED
    assert (refused.headers["retry-after"], refused.json["retryable"]) == ("50", True)
    assert store.take_note() == (LONG // CHANNELS_PER_UNIT, [cost])
    chat.clock.ms += 1_000 * int(refused.headers["retry-after"])
    assert listing(chat).status == 200


def test_a_budget_is_its_users_own(chat: Chat, store: Costed) -> None:
    """A user with no budget left limits no other user, and can still make ordinary requests."""
    store.fill("ada", FULL)
    store.fill("grace", LONG)
    assert [listing(chat).status for _ in range(3)] == [200, 200, 429]
    assert listing(chat, "grace").status == 200
    channel = str(chat.create("grace", kind="public")["id"])
    assert chat.api("GET", "/v1/channels", query={"scope": "public"}).status == 200
    assert chat.api("GET", f"/v1/channels/{channel}").status == 200


def test_containers_share_a_budget(chat: Chat, store: Costed) -> None:
    """It is stored: another container goes on where the first one was."""
    store.fill("ada", FULL)
    services = chat.api.services
    other = Chat(Api(compose(services.settings, store, services.now, services.sleep)), chat.clock)
    assert [listing(each).status for each in (chat, other, chat, other)] == [200, 200, 429, 429]


def test_no_list_is_too_long_to_be_read(chat: Chat, store: Costed) -> None:
    """One that costs more than the whole budget passes once a minute."""
    settings = replace(chat.api.services.settings, read_units_per_minute=1)
    chat.api.services = replace(chat.api.services, settings=settings)
    store.fill("ada", FULL)
    assert [listing(chat).status for _ in range(2)] == [200, 429]
    chat.clock.ms += MINUTE_MS
    assert listing(chat).status == 200


# --- counting others' lists ---


def test_a_caller_whose_list_is_full_has_nobody_else_counted(chat: Chat, store: Costed) -> None:
    """Their own list comes first, which says already that there is no place."""
    for user in ("ada", "grace"):
        store.fill(user, FULL)
    assert said(create(chat, members=["grace"])) == (409, "too_many_channels")
    assert store.counted == ["ada"]


def test_the_first_full_list_ends_the_counting(chat: Chat, store: Costed) -> None:
    """Of 49 full lists no more than four are counted, which are counted side by side."""
    others = [f"user{number:02}" for number in range(49)]
    for user in others:
        store.fill(user, FULL)
    response = create(chat, members=others)
    assert said(response) == (409, "too_many_channels")
    assert len(response.json["errors"]) == 4
    assert sorted(store.counted) == ["ada", *others[:4]]
    assert store.units <= FREE_UNITS


def test_counting_long_lists_is_paid(chat: Chat, store: Costed) -> None:
    """Lists that are nearly full end nothing, so that all are counted, until the budget is used: no channel is made."""
    others = [f"user{number}" for number in range(49)]
    for user in others:
        store.fill(user, FULL - 5)
    assert create(chat, members=others).status == 201
    units, paid = store.take_note()
    assert units - FREE_UNITS <= sum(paid) <= units
    assert said(create(chat, members=others)) == USED
    units, paid = store.take_note()
    assert units <= FREE_UNITS + 160
    assert len(store.memberships("ada")) == 1


def test_lists_and_counting_share_a_budget(chat: Chat, store: Costed) -> None:
    """Both kinds of requests use one budget."""
    store.fill("ada", LONG)
    others = [f"user{number}" for number in range(49)]
    for user in others:
        store.fill(user, FULL - 5)
    assert create(chat, members=others).status == 201
    assert said(listing(chat)) == USED


@pytest.mark.parametrize("kind", ["private", "direct"])
def test_a_repeated_creation_is_not_charged_again(chat: Chat, store: Costed, kind: str) -> None:
    """Its channel exists, so only the caller is counted, even if other members' lists are full by now."""
    others = ["grace"] if kind == "direct" else [f"user{number}" for number in range(49)]
    for user in others:
        store.fill(user, FULL - 1)
    body = {"kind": "direct", "members": others} if kind == "direct" else {"members": others}

    def ask() -> Response:
        if kind == "direct":
            return chat.api("POST", "/v1/channels", body=body)
        return create(chat, key="key-1", **body)

    first = ask()
    assert first.status == 201
    store.take_note()
    store.counted.clear()
    for _ in range(3):
        again = ask()
        assert (again.status, again.json["id"]) == (200 if kind == "direct" else 201, first.json["id"])
    assert store.counted == ["ada"] * 3
    assert store.paid == []
