"""A removed member has no access from the next request on, whatever containers and Redis still hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

from shared.domain.errors import StoreUnavailableError
from tests.functions.chat import messages
from tests.security.containers import Container, Deployment
from tests.security.people import IN_A_CHANNEL, MEMBER, OWNER, channel_of

if TYPE_CHECKING:
    from tests.conftest import FakeClock

CONTAINERS: Final = 3
PAGES_SECONDS: Final = 120
LISTS_SECONDS: Final = 300
"""How long something may stand in while DynamoDB does not answer: the settings' defaults."""
CONDITIONAL: Final = {"if-none-match": "*"}


@pytest.fixture
def deployment(clock: FakeClock) -> Deployment:
    """What all containers share."""
    return Deployment(clock)


def warm_containers(deployment: Deployment, channel: str) -> list[Container]:
    """Containers in each of which the member has read, listed and posted, and whose pages are in Redis as well."""
    containers = [deployment.start() for _ in range(CONTAINERS)]
    for container in containers:
        chat = container.chat
        chat.post(channel, "mine", MEMBER)
        assert chat.page(channel, MEMBER)["messages"]
        assert channel in {each["id"] for each in chat.listing(MEMBER)["channels"]}
        container.settle()
    heir = deployment.start()
    heir.chat.page(channel, MEMBER)
    assert {each.split(":")[1] for each in deployment.redis} == {"p1", "u1"}
    return [*containers, heir]


def of(container: Container, name: str, channel: str, **rest: Any) -> tuple[int, str]:
    """Status and body of the member's attempt."""
    response = IN_A_CHANNEL[name].by(container.chat, MEMBER, channel, **rest)
    return response.status, response.body


@pytest.mark.parametrize("kind", ["public", "private"])
def test_the_next_request_is_refused_everywhere(deployment: Deployment, kind: str) -> None:
    """Each container refuses each attempt at once, also a conditional one, and lists the channel no more."""
    channel = channel_of(deployment.start().chat, kind)
    containers = warm_containers(deployment, channel)
    assert containers[0].chat.remove(channel, MEMBER, OWNER).status == 204
    refused = 404 if kind == "private" else 403
    reading = ("read a page", "read a message", "read changes", "list pins", "react", "post", "mark as read")
    for container in containers:
        for name in reading:
            assert of(container, name, channel)[0] == refused, name
        assert of(container, "read a page", channel, headers=CONDITIONAL)[0] == refused
        assert container.chat.listing(MEMBER)["channels"] == []
        fetched = container.chat.api("GET", messages(channel), user=MEMBER)
        assert "mine" not in fetched.body


@pytest.mark.parametrize("refused_by", ["read a page", "read a message"])
def test_a_refused_reader_gets_no_stale_page(deployment: Deployment, refused_by: str) -> None:
    """A container that has refused them once does not let an outage of DynamoDB let them in again."""
    channel = channel_of(deployment.start().chat, "private")
    containers = warm_containers(deployment, channel)
    containers[0].chat.remove(channel, MEMBER, OWNER)
    for container in containers:
        assert of(container, refused_by, channel)[0] == 404
    deployment.store.fail(StoreUnavailableError(retry_after=1))
    for container in containers:
        assert of(container, "read a page", channel)[0] == 503


def test_a_stand_in_ends_with_the_freshness_time(deployment: Deployment, clock: FakeClock) -> None:
    """Only while DynamoDB is down, and only data whose access was confirmed a moment ago, is served once more."""
    channel = channel_of(deployment.start().chat, "private")
    containers = warm_containers(deployment, channel)
    stale_fallback = clock.ms
    containers[0].chat.remove(channel, MEMBER, OWNER)
    deployment.store.fail(StoreUnavailableError(retry_after=1))
    for name in ("read a message", "post", "mark as read", "look at it", "list members"):
        assert {of(container, name, channel)[0] for container in containers} == {503}
    last = containers[-1].chat.api
    clock.ms = stale_fallback + PAGES_SECONDS * 1_000
    assert last("GET", messages(channel), user=MEMBER).headers["x-cache"] == "stale"
    clock.ms += 1
    assert last("GET", messages(channel), user=MEMBER).status == 503
    clock.ms = stale_fallback + LISTS_SECONDS * 1_000 + 1
    assert {each.chat.api("GET", "/v1/channels", user=MEMBER).status for each in containers} == {503}
