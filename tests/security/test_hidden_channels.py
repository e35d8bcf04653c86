"""A channel that is not the caller's to see is as one that does not exist, by everything that can be observed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from shared.domain import keys
from shared.domain.errors import StoreUnavailableError
from tests.cases import case
from tests.functions.chat import Chat, messages
from tests.security.containers import Container, Deployment
from tests.security.people import (
    IN_A_CHANNEL,
    KEY,
    MEMBER,
    OUTSIDER,
    OWNER,
    PAST_MEMBERSHIP,
    TEXT,
    Attempt,
    channel_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api import Response
    from tests.conftest import FakeClock

READS: Final[tuple[list[str], ...]] = (
    [],
    ["read_channel_state"],
    ["read_message_state"],
    ["read_channel_state", "past_membership"],
)
"""What a request about a hidden channel may read."""
MISSING: Final = "0" * 16
MISSING_PAIR: Final = "0" * 26
DURATION: Final = re.compile(r"total;dur=\d+\.\d")


@dataclass(frozen=True)
class Hidden:
    """An existing channel, a missing one of the same form, and a user who may see neither."""

    channel: str
    missing: str
    user: str


Changes = dict[str, Any]
"""What of a request is another: its body, query or headers."""
ODD_BODIES: Final[list[Any]] = [
    None, "", "{", "[]", "null", "[" * 5_000, '{"text": "x", "text": "y"}', {"x": 1}, {"text": ""}, {"text": TEXT},
    {"text": "x" * 4_001}, {"messages": []}, {"messages": [{"text": "a"}, {"text": "b"}]}, {"topic": 7}, {"name": "n"},
    {"slow_mode": -1}, {"role": "king"}, {"role": None}, {"last_read_seq": 10**9}, {"last_read_seq": -1},
    {"last_read_seq": 0, "force": True},
]  # fmt: skip
ODD_QUERIES: Final[list[dict[str, Any]]] = [
    {"limit": 0}, {"limit": 1}, {"after": 0}, {"after": 10**9}, {"before": 1}, {"around": 10**11}, {"anchor": "oldest"},
    {"anchor": "first_unread"}, {"before": 1, "after": 1}, {"cursor": "x"}, {"cursor": keys.encode_cursor("ada")},
    {"unknown": 1},
]  # fmt: skip
ODD_HEADERS: Final[list[dict[str, str]]] = [
    {"if-match": '"1"'}, {"if-match": '"999"'}, {"if-match": "*"}, {"if-match": "x"}, {"if-none-match": "*"},
    {"if-none-match": 'W/"1.1"'}, {"idempotency-key": KEY}, {"idempotency-key": "new"}, {"idempotency-key": ""},
    {"idempotency-key": "x" * 256}, {"content-type": "text/plain"}, {"x-request-id": "mine"},
]  # fmt: skip


def variants(method: str) -> Iterator[Changes]:
    """The request as it is, then with each oddity that its method may inspect."""
    yield {}
    if method in {"POST", "PUT", "PATCH"}:
        yield from ({"body": body} for body in ODD_BODIES)
    if method == "GET":
        yield from ({"query": query} for query in ODD_QUERIES)
    yield from ({"headers": headers} for headers in ODD_HEADERS)


def run_both(
    attempt: Attempt, container: Container, deployment: Deployment, hidden: Hidden, change: Changes
) -> list[Any]:
    """All that can be seen of a request, and what it set off: where there is a channel, and where there is none."""
    found = []
    for where in (hidden.channel, hidden.missing):
        deployment.store.calls.clear()
        container.upstash.commands.clear()
        response = attempt.by(container.chat, hidden.user, where, **change)
        calls = [named(call, where) for call in deployment.store.calls]
        found.append((seen(response), calls, list(container.upstash.commands)))
    return found


def seen(response: Response) -> tuple[int, dict[str, str], str]:
    """Status, headers and body, but for how long it took."""
    headers = dict(response.headers)
    headers["server-timing"] = DURATION.sub("", headers["server-timing"])
    return response.status, headers, response.body


def named(call: tuple[Any, ...], channel: str) -> tuple[Any, ...]:
    """A call without the channel's name."""
    return tuple(each.replace(channel, "the channel") if isinstance(each, str) else each for each in call)


def hidden_ones(chat: Chat) -> dict[str, Hidden]:
    """Each kind of hidden channel, for each kind of user who may not see it."""
    private, archived = channel_of(chat, "private"), channel_of(chat, "private", archived=True)
    return {
        "private, outsider": Hidden(private, MISSING, OUTSIDER),
        "private, former member": Hidden(private, MISSING, PAST_MEMBERSHIP),
        "archived, outsider": Hidden(archived, MISSING, OUTSIDER),
        "direct, outsider": Hidden(channel_of(chat, "direct"), MISSING_PAIR, OUTSIDER),
    }


def test_nothing_tells_a_hidden_channel_from_none(clock: FakeClock) -> None:
    """Same status, headers and body, and the same calls of storage and Redis, for any request."""
    for name in IN_A_CHANNEL:
        with case(name):
            deployment, attempt = Deployment(clock), IN_A_CHANNEL[name]
            filled = deployment.start()
            hidden = hidden_ones(filled.chat)
            for each in hidden.values():
                filled.chat.page(each.channel, OWNER)  # every tier knows it
            filled.settle()
            container = deployment.start()
            statuses = set()
            if name == "leave":  # A past member gets 204: the test below.
                del hidden["private, former member"]
            for what, each in hidden.items():
                for change in variants(attempt.method):
                    there, missing = run_both(attempt, container, deployment, each, change)
                    assert there == missing, (what, change)
                    statuses.add(there[0][0])
                    calls = [call[0] for call in there[1]]
                    assert calls in READS, (what, change)
            assert 404 in statuses
            assert statuses <= {400, 404, 415, 422}


@pytest.mark.parametrize("archived", [False, True])
def test_leaving_a_hidden_channel_can_be_repeated(clock: FakeClock, archived: bool) -> None:  # noqa: FBT001 - a parameter
    """204 for a past member, whether they left or were removed; others get what a missing channel gives."""
    chat = Deployment(clock).start().chat
    channel = channel_of(chat, "private", archived=archived)
    assert chat.remove(channel, "me", MEMBER).status == 204
    said = [chat.remove(channel, who, user) for user in (MEMBER, PAST_MEMBERSHIP) for who in ("me", user)]
    assert [(response.status, response.body) for response in said] == [(204, "")] * 4
    for user, whom in ((OUTSIDER, "me"), (OUTSIDER, PAST_MEMBERSHIP), (PAST_MEMBERSHIP, MEMBER)):
        hidden, missing = chat.remove(channel, whom, user), chat.remove(MISSING, whom, user)
        assert seen(hidden) == seen(missing)
        assert hidden.status == 404


def test_nor_does_an_outage(clock: FakeClock) -> None:
    """While the storage fails both are 503; the stale fallback reveals no channel to a user without access."""
    for name in IN_A_CHANNEL:
        with case(name):
            deployment, attempt = Deployment(clock), IN_A_CHANNEL[name]
            container = deployment.start()
            hidden = hidden_ones(container.chat)
            for each in hidden.values():
                container.chat.page(each.channel, OWNER)
            container.settle()
            deployment.store.fail(StoreUnavailableError(retry_after=1))
            for what, each in hidden.items():
                there, missing = run_both(attempt, container, deployment, each, {})
                assert there == missing, what
                assert there[0][0] == 503


def test_the_comparison_can_fail(clock: FakeClock) -> None:
    """A member's responses differ in each part that is compared, so the tests above can fail."""
    deployment = Deployment(clock)
    container = deployment.start()
    channel = channel_of(container.chat, "private")
    member = Hidden(channel, MISSING, MEMBER)
    there, missing = run_both(IN_A_CHANNEL["read a page"], container, deployment, member, {})
    assert there[0][0] != missing[0][0]
    assert there[0][2] != missing[0][2]
    assert there[1] != missing[1]


def test_public_refusals_tell_no_more_than_that_it_is_public(clock: FakeClock) -> None:
    """Refusals do not reveal a public channel's members or messages to other users."""
    chat = Deployment(clock).start().chat
    channel = channel_of(chat, "public")
    posted = f"{messages(channel)}/{keys.message_id(channel, 1)}"
    never = f"{messages(channel)}/{keys.message_id(channel, 999)}"
    for one, other in (
        (f"/v1/channels/{channel}/members/{MEMBER}", f"/v1/channels/{channel}/members/nobody"),
        (posted, never),
    ):
        method = "GET" if "messages" in one else "DELETE"
        assert seen(chat.api(method, one, user=OUTSIDER)) == seen(chat.api(method, other, user=OUTSIDER))


def test_an_id_that_could_be_guessed_opens_nothing(clock: FakeClock) -> None:
    """A pair's direct channel, and one made under a key, have ids that anybody can work out; that is all it gives."""
    chat = Deployment(clock).start().chat
    made = chat.api(
        "POST",
        "/v1/channels",
        user=OWNER,
        body={"kind": "private", "name": "x"},
        headers={"idempotency-key": "1"},
    )
    assert made.json["id"] == keys.derived_channel_id("key", OWNER, "1")
    direct = keys.derived_channel_id("direct", OWNER, MEMBER)
    assert chat.direct(OWNER, MEMBER) == direct
    for channel in (made.json["id"], direct):
        assert chat.api("GET", f"/v1/channels/{channel}", user=OUTSIDER).code == "channel_not_found"
    again = chat.api(
        "POST",
        "/v1/channels",
        user=OUTSIDER,
        body={"kind": "private", "name": "x"},
        headers={"idempotency-key": "1"},
    )
    assert (again.status, again.json["id"] == made.json["id"]) == (201, False)
