"""Every kind of request of the API, over any store, with the preparation that each needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice
from typing import Final
from urllib.parse import quote

from bench.lib.conversations import STARTED_AT, bodies, turns
from bench.lib.functions import Ask, Handlers
from shared.bootstrap import compose
from shared.domain import keys
from shared.domain.messages import preview_of
from shared.domain.model import MAX_BATCH, Entry, Head, Kind, Membership, Role
from shared.settings import Settings
from shared.storage.protocol import Commit, Store

SETTINGS: Final = Settings(rate_per_second=1e6, rate_burst=10**6, max_channels_per_user=10**6)
"""Limits that no benchmark reaches."""
USER, FRIEND, GUEST, BUSY = (
    f"00000000-0000-4000-8000-0000000000{number}" for number in ("00", "01", "02", "50")
)
"""``BUSY`` is in 50 channels; ``USER`` is in 8, like a user of ``bench.cache``."""
FEW, MANY = 8, 50
LENGTH: Final = 200
KILOBYTE: Final = 930
"""Least bytes of a large message's JSON; a page of 50 is then as large as the one by which the codec was chosen."""
_NUMBERS: Final = count()
_TEXTS: Final = turns()


def channel(name: str) -> str:
    """The id of the channel with this name."""
    return keys.derived_channel_id("bench", name)


WRITTEN, CAUGHT_UP, POSTED, LARGE, CHANGED = map(
    channel, ("as written", "caught up", "posted", "large", "changed")
)
CHANGES: Final = 20
"""Messages of a page that change in ``change_of_page``."""
_CHANNEL: Final = f"/v1/channels/{POSTED}"


def fill(store: Store, channel_id: str, members: Sequence[str], messages: Iterable[bytes]) -> None:
    """Creates and fills a public channel through the store's interface; the first member is owner and sender."""
    head = Head(channel_id, Kind.PUBLIC, "lobby", "Say hello", members[0], STARTED_AT, members=len(members))
    roles = [Role.OWNER, *[Role.MEMBER] * (len(members) - 1)]
    joined = [
        Membership(each, channel_id, role, STARTED_AT) for each, role in zip(members, roles, strict=True)
    ]
    store.create_channel(head, joined[:MAX_BATCH])
    for each in joined[MAX_BATCH:]:
        store.add_member(each)
    entries = (Entry(seq, seq, STARTED_AT, body) for seq, body in enumerate(messages, 1))
    while part := list(islice(entries, MAX_BATCH)):
        store.reserve(channel_id, len(part), preview_of(part[-1]))
        commit = Commit(
            channel_id,
            members[0],
            part,
            tat_seen=0,
            tat=0,
            move_read=True,
            idempotency_record=None,
            now=STARTED_AT,
        )
        store.commit(commit)


def fill_chat(store: Store, members: int = 2, length: int = LENGTH, listed: int = MANY) -> None:
    """Creates channels of real messages, one of large messages, and ``listed`` channels for the lists."""
    people = [USER, FRIEND, *(f"member-{number:029d}" for number in range(members - 2))]
    for channel_id in (WRITTEN, CAUGHT_UP, POSTED, CHANGED):
        fill(store, channel_id, people, bodies(length, channel_id=channel_id))
    fill(store, LARGE, people, bodies(length, (KILOBYTE,), channel_id=LARGE))
    for number in range(listed):
        each = channel(f"listed {number}")
        fill(store, each, [BUSY, USER] if number < FEW - 5 else [BUSY], bodies(1, channel_id=each))


class Scene:
    """The functions' containers over one store."""

    def __init__(self, handlers: Handlers, store: Store) -> None:
        self.handlers, self.store = handlers, store
        self.new_container()

    def new_container(self) -> None:
        """Serves the next request from a container that has nothing in memory."""
        self.handlers.services = compose(SETTINGS, self.store)


@dataclass(frozen=True)
class Operation:
    """A kind of request; ``ready`` prepares the scene and returns the request."""

    name: str
    ready: Callable[[Scene], Ask]
    goal: str = ""
    """``read``, ``poll`` or ``post``; a ``list`` has no goal and is reported if it costs more than a read may."""
    is_missed: bool = False
    """Whether the container must not have it in memory."""


def page(channel_id: str, coding: str = "") -> Ask:
    """The latest 50 messages."""
    headers = {"accept-encoding": coding} if coding else {}
    return Ask("GET", f"/v1/channels/{channel_id}/messages", USER, headers=headers)


def post(channel_id: str, key: str = "") -> Ask:
    """A post of a real message, another one each time."""
    headers = {"idempotency-key": key} if key else {}
    return Ask("POST", f"/v1/channels/{channel_id}/messages", USER, {"text": next(_TEXTS).text}, headers)


def again(asked: Ask) -> Callable[[Scene], Ask]:
    """A request that the container has just served."""

    def ready(scene: Scene) -> Ask:
        scene.handlers(asked)
        return asked

    return ready


def always(asked: Ask) -> Callable[[Scene], Ask]:
    """A request that needs no preparation."""
    return lambda _: asked


def _caught_up(scene: Scene) -> Ask:
    asked = again(page(CAUGHT_UP))(scene)
    scene.handlers(post(CAUGHT_UP))
    return asked


def _unchanged(scene: Scene) -> Ask:
    asked = again(page(WRITTEN))(scene)
    return replace(asked, headers={"if-none-match": scene.handlers(asked).headers["etag"]})


def _post_with_key(_: Scene) -> Ask:
    return post(POSTED, f"key-{next(_NUMBERS)}")


def _batch(_: Scene) -> Ask:
    texts = [{"text": next(_TEXTS).text} for _ in range(MAX_BATCH)]
    return Ask("POST", f"{_CHANNEL}/messages", USER, {"messages": texts})


def _create(user: str) -> Ask:
    return Ask("POST", "/v1/channels", user, {"kind": "private", "name": "lobby", "topic": "Say hello"})


def _created(scene: Scene) -> str:
    return f"/v1/channels/{scene.handlers(_create(FRIEND)).json['id']}"


def _with_guest(scene: Scene) -> str:
    path = _created(scene)
    scene.handlers(Ask("PUT", f"{path}/members/{GUEST}", FRIEND, {"role": "member"}))
    return path


def _message(scene: Scene, channel_id: str = POSTED) -> str:
    """The path of a message that was just posted."""
    return f"/v1/channels/{channel_id}/messages/{scene.handlers(post(channel_id)).json['id']}"


def _thumb(path: str, method: str = "PUT") -> Ask:
    return Ask(method, f"{path}/reactions/{quote('👍')}/me", USER)


def _reacted(scene: Scene) -> str:
    path = _message(scene)
    scene.handlers(_thumb(path))
    return path


def _pinned(scene: Scene) -> str:
    path = _message(scene)
    scene.handlers(Ask("PUT", f"{path}/pin", USER))
    return path


def _unpinned(scene: Scene) -> str:
    """The path of a message in a channel that has room for its pin."""
    path = _pinned(scene)
    scene.handlers(Ask("DELETE", f"{path}/pin", USER))
    return path


def change_of_page(scene: Scene) -> Ask:
    """A page of 50 messages of which 20 have changed since the container cached it."""
    asked = again(page(CHANGED))(scene)
    latest = scene.handlers(asked).json["messages"]
    for each in latest[: 2 * CHANGES : 2]:
        path = f"/v1/channels/{CHANGED}/messages/{each['id']}"
        scene.handlers(_thumb(path, "DELETE" if each.get("reactions") else "PUT"))
    return asked


def _mark(_: Scene) -> Ask:
    position = 1 + next(_NUMBERS) % 50
    return Ask("PUT", f"/v1/channels/{WRITTEN}/read", FRIEND, {"last_read_seq": position, "force": True})


_ONE: Final = Ask("GET", f"/v1/channels/{WRITTEN}/messages/{keys.message_id(WRITTEN, 50)}", USER)
_FEW, _MANY = (Ask("GET", "/v1/channels", user) for user in (USER, BUSY))
PAGE_CHANGED: Final = f"page, {CHANGES} of 50 changed"
PAGE_IN_MEMORY, POST, POST_WITH_KEY = "page, memory", "post", "post with key"
LIST: Final = f"list of {MANY} channels, memory"
OPERATIONS: Final = (
    Operation(PAGE_IN_MEMORY, again(page(WRITTEN)), "read"),
    Operation("page, caught up by one message", _caught_up, "read"),
    Operation(PAGE_CHANGED, change_of_page),
    Operation("page, after a miss", always(page(WRITTEN)), "read", is_missed=True),
    Operation("page of 1 KB messages, memory", again(page(LARGE)), "read"),
    Operation("page of 1 KB messages, after a miss", always(page(LARGE)), "read", is_missed=True),
    Operation("poll, 304", _unchanged, "poll"),
    Operation("one message, after a miss", always(_ONE), "read", is_missed=True),
    Operation(f"list of {FEW} channels, memory", again(_FEW), "list"),
    Operation(f"list of {FEW} channels, after a miss", always(_FEW), "list", is_missed=True),
    Operation(LIST, again(_MANY), "list"),
    Operation("list of 50 public channels", always(Ask("GET", "/v1/channels?scope=public", USER)), "list"),
    Operation(POST, lambda _: post(POSTED), "post"),
    Operation(POST_WITH_KEY, _post_with_key, "post"),
    Operation("post with key, repeated", lambda scene: again(_post_with_key(scene))(scene)),
    Operation(f"batch of {MAX_BATCH} posts", _batch),
    Operation("edit", lambda scene: Ask("PATCH", _message(scene), USER, {"text": next(_TEXTS).text})),
    Operation(
        "edit with key",
        lambda scene: Ask(
            "PATCH",
            _message(scene),
            USER,
            {"text": next(_TEXTS).text},
            {"idempotency-key": f"edit-{next(_NUMBERS)}"},
        ),
    ),
    Operation("delete", lambda scene: Ask("DELETE", _message(scene), USER)),
    Operation("react", lambda scene: _thumb(_message(scene))),
    Operation("take a reaction back", lambda scene: _thumb(_reacted(scene), "DELETE")),
    Operation("pin", lambda scene: Ask("PUT", f"{_unpinned(scene)}/pin", USER)),
    Operation("unpin", lambda scene: Ask("DELETE", f"{_pinned(scene)}/pin", USER)),
    Operation("20 changes", always(Ask("GET", f"/v1/channels/{CHANGED}/changes?after=0&limit=20", USER))),
    Operation("pins", always(Ask("GET", f"/v1/channels/{WRITTEN}/pins", USER))),
    Operation("versions", always(Ask("GET", f"{_ONE.target}/versions", USER))),
    Operation("users of a reaction", always(Ask("GET", f"{_ONE.target}/reactions?emoji=:ship:", USER))),
    Operation("mentions", always(Ask("GET", "/v1/mentions", USER))),
    Operation("mark read", _mark),
    # By a new user each time, so that the count of the user's channels does not grow with the rounds.
    Operation("create channel", lambda _: _create(f"maker-{next(_NUMBERS):030d}")),
    Operation("get channel", always(Ask("GET", _CHANNEL, USER))),
    Operation("update channel", lambda _: Ask("PATCH", _CHANNEL, USER, {"topic": f"{next(_NUMBERS)}"})),
    Operation("archive channel", lambda scene: Ask("DELETE", _created(scene), FRIEND)),
    Operation("list of members", always(Ask("GET", f"/v1/channels/{WRITTEN}/members", USER))),
    Operation("join", lambda _: Ask("PUT", f"{_CHANNEL}/members/me", f"newcomer-{next(_NUMBERS):027d}")),
    Operation(
        "change role",
        lambda scene: Ask("PUT", f"{_with_guest(scene)}/members/{GUEST}", FRIEND, {"role": "moderator"}),
    ),
    Operation("leave", lambda scene: Ask("DELETE", f"{_with_guest(scene)}/members/me", GUEST)),
    Operation("health", always(Ask("GET", "/v1/healthz", USER))),
    Operation("health probe", always(Ask("HEAD", "/v1/healthz", USER))),
)
