"""What ``bench.cost`` prices: every route, and the ways in which a page can be served."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from bench.conversations import turns
from bench.cost_scene import (
    BUSY,
    CAUGHT_UP,
    FEW,
    FRIEND,
    GUEST,
    LARGE,
    LENGTH,
    MANY,
    POSTED,
    USER,
    WRITTEN,
    Scene,
)
from bench.handlers import Ask
from shared import keys
from shared.model import MAX_BATCH

TEXTS: Final = turns()


@dataclass(frozen=True)
class Operation:
    """``ready`` does what must have happened before, and gives the request."""

    name: str
    ready: Callable[[Scene], Ask]
    goal: str = ""
    """``read``, ``poll`` or ``post``; a ``list`` has none, and is named where it costs more than a read may."""
    redis: int = 0
    """Redis commands that it must have sent."""
    is_first: bool = False
    """Whether it is its container's first request, which the start of the container belongs to."""


def page(channel_id: str, coding: str = "") -> Ask:
    """The latest 50 messages."""
    return Ask(
        "GET",
        f"/v1/channels/{channel_id}/messages",
        USER,
        headers={"accept-encoding": coding} if coding else {},
    )


def remembered(asked: Ask) -> Callable[[Scene], Ask]:
    """The container has just served the same."""

    def ready(scene: Scene) -> Ask:
        scene.handlers(asked)
        return asked

    return ready


def always(asked: Ask) -> Callable[[Scene], Ask]:
    """Nothing to make ready: nothing is cached."""
    return lambda _: asked


def _by_redis(scene: Scene) -> Ask:
    scene.new_container_by_redis(page(WRITTEN))
    return page(WRITTEN)


def _caught_up(scene: Scene) -> Ask:
    asked = remembered(page(CAUGHT_UP))(scene)
    scene.handlers(post(CAUGHT_UP))
    return asked


def _unchanged(scene: Scene) -> Ask:
    asked = remembered(page(WRITTEN))(scene)
    return replace(asked, headers={"if-none-match": scene.handlers(asked).headers["etag"]})


def post(channel_id: str, key: str = "") -> Ask:
    """A message as somebody wrote it, the next each time."""
    headers = {"idempotency-key": key} if key else {}
    return Ask("POST", f"/v1/channels/{channel_id}/messages", USER, {"text": next(TEXTS).text}, headers)


def _post_with_key(scene: Scene) -> Ask:
    return post(POSTED, f"cost-{scene.number()}")


def _replay(scene: Scene) -> Ask:
    asked = _post_with_key(scene)
    scene.handlers(asked)
    return asked


def _batch(_: Scene) -> Ask:
    texts = [{"text": next(TEXTS).text} for _ in range(MAX_BATCH)]
    return Ask("POST", f"/v1/channels/{POSTED}/messages", USER, {"messages": texts})


def _create(_: Scene) -> Ask:
    return Ask("POST", "/v1/channels", FRIEND, {"kind": "private", "name": "lobby", "topic": "Say hello"})


def _created(scene: Scene) -> str:
    return f"/v1/channels/{scene.handlers(_create(scene)).json['id']}"


def _role(scene: Scene) -> Ask:
    path = f"{_created(scene)}/members/{GUEST}"
    scene.handlers(Ask("PUT", path, FRIEND, {"role": "member"}))
    return Ask("PUT", path, FRIEND, {"role": "moderator"})


def _leave(scene: Scene) -> Ask:
    path = _created(scene)
    scene.handlers(Ask("PUT", f"{path}/members/{GUEST}", FRIEND, {"role": "member"}))
    return Ask("DELETE", f"{path}/members/me", GUEST)


def _join(scene: Scene) -> Ask:
    return Ask("PUT", f"/v1/channels/{POSTED}/members/me", f"newcomer-{scene.number():027d}")


def _mark(scene: Scene) -> Ask:
    position = 1 + scene.number() % LENGTH
    body = {"last_read_seq": position, "force": True}
    return Ask("PUT", f"/v1/channels/{WRITTEN}/read", FRIEND, body)


ONE: Final = Ask("GET", f"/v1/channels/{WRITTEN}/messages/{keys.message_id(WRITTEN, LENGTH)}", USER)
FEW_CHANNELS: Final = Ask("GET", "/v1/channels", USER)
MANY_CHANNELS: Final = Ask("GET", "/v1/channels", BUSY)
PAGES: Final = (
    Operation("page, memory", remembered(page(WRITTEN)), "read"),
    Operation("page, caught up by one message", _caught_up, "read"),
    Operation("page, after a miss", always(page(WRITTEN)), "read"),
    Operation("page, Redis, container's first request", _by_redis, redis=1, is_first=True),
    Operation("page of 1 KB messages, memory", remembered(page(LARGE)), "read"),
    Operation("page of 1 KB messages, after a miss", always(page(LARGE)), "read"),
    Operation("poll, 304", _unchanged, "poll"),
    Operation("one message, after a miss", always(ONE), "read"),
    Operation(f"list of {FEW} channels, remembered", remembered(FEW_CHANNELS), "list"),
    Operation(f"list of {FEW} channels, after a miss", always(FEW_CHANNELS), "list"),
    Operation(f"list of {MANY} channels, remembered", remembered(MANY_CHANNELS), "list"),
    Operation("list of 50 public channels", always(Ask("GET", "/v1/channels?scope=public", USER)), "list"),
)
WRITES: Final = (
    Operation("post", lambda _: post(POSTED), "post"),
    Operation("post with key", _post_with_key, "post"),
    Operation("post with key, repeated", _replay),
    Operation(f"batch of {MAX_BATCH} posts", _batch),
    Operation("mark read", _mark),
)
MANAGING: Final = (
    # By somebody new each time: what is counted before does not grow with the rounds.
    Operation("create channel", lambda scene: replace(_create(scene), user=f"maker-{scene.number():030d}")),
    Operation("get channel", always(Ask("GET", f"/v1/channels/{POSTED}", USER))),
    Operation(
        "update channel",
        lambda scene: Ask("PATCH", f"/v1/channels/{POSTED}", USER, {"topic": f"{scene.number()}"}),
    ),
    Operation("archive channel", lambda scene: Ask("DELETE", _created(scene), FRIEND)),
    Operation("list of members", always(Ask("GET", f"/v1/channels/{WRITTEN}/members", USER))),
    Operation("join", _join),
    Operation("change role", _role),
    Operation("leave", _leave),
    Operation("health", always(Ask("GET", "/v1/healthz", USER))),
)
OPERATIONS: Final = (*PAGES, *WRITES, *MANAGING)
CODINGS: Final = ("identity", "gzip", "zstd")
"""What a client may say that it accepts; whether an answer is compressed is the handlers' to decide."""
