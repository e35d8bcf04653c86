"""What is asked of a chat at each of its sizes, by ``bench.growth``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count

from bench.growth_chat import PAGE, USER, channel, lister, texts, user
from bench.handlers import Ask
from shared import keys


@dataclass(frozen=True)
class Operation:
    """One kind of request. ``cached``: the container has just served the same; else nothing is remembered."""

    name: str
    ask: Callable[[], Ask]
    cached: bool = False


def reads(channel_id: str, caller: str, length: int) -> Iterator[Operation]:
    """Pages of a channel, and one message."""
    messages = f"/v1/channels/{channel_id}/messages"
    latest = Ask("GET", messages, caller)
    middle = Ask("GET", f"{messages}?before={(length + PAGE) // 2 + 1}", caller)
    one = Ask("GET", f"{messages}/{keys.message_id(channel_id, length // 2)}", caller)
    yield Operation("page, none", lambda: latest)
    yield Operation("page from the middle, none", lambda: middle)
    yield Operation("page, memory", lambda: latest, cached=True)
    yield Operation("one message, none", lambda: one)


def writes(channel_id: str, caller: str) -> Iterator[Operation]:
    """Posts, and marking as read."""
    path, numbers, (said,) = f"/v1/channels/{channel_id}", count(), texts(1)
    plain = Ask("POST", f"{path}/messages", caller, {"text": said})
    mark = Ask("PUT", f"{path}/read", caller, {"last_read_seq": 1, "force": True})
    yield Operation("post", lambda: plain)
    yield Operation(
        "post with key", lambda: replace(plain, headers={"idempotency-key": f"growth-{next(numbers)}"})
    )
    yield Operation("mark read", lambda: mark)


def operations(axis: str, size: int) -> list[Operation]:
    """What is asked at a size."""
    channel_id, caller = channel(axis, size), lister(size) if axis == "channels" else USER
    length = size if axis == "messages" else PAGE
    found = [*reads(channel_id, caller, length), *writes(channel_id, caller)]
    if axis == "channels":
        everything = Ask("GET", "/v1/channels?limit=100", caller)
        found.append(Operation("list of channels, none", lambda: everything))
        found.append(Operation("list of channels, memory", lambda: everything, cached=True))
    if axis == "members":
        members = Ask("GET", f"/v1/channels/{channel_id}/members?limit=50", caller)
        found.append(Operation("list of 50 members", lambda: members))
        newcomers = count(1_000_000)
        join = f"/v1/channels/{channel_id}/members/me"
        found.append(Operation("join", lambda: Ask("PUT", join, user(next(newcomers)))))
    return found
