"""Every kind of request of the API, over any store, with the preparation that each needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from itertools import count, islice
from typing import Final
from urllib.parse import quote

from bench.lib.client import MeasuredClient, Tally
from bench.lib.conversations import STARTED_AT, bodies, head_and_members, turns
from bench.lib.functions import Ask, Event, Handlers, Reply, routed
from bench.lib.timing import Prepared
from shared.bootstrap import compose
from shared.domain import keys
from shared.domain.messages import Draft, preview_of
from shared.domain.model import MAX_BATCH, Entry
from shared.settings import Settings
from shared.storage.protocol import Commit, Store
from shared.use_cases.post_message import post_message

SETTINGS: Final = Settings(
    rate_per_second=1e6, rate_burst=10**6, max_channels_per_user=10**6, read_units_per_minute=10**9
)
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


WRITTEN, CAUGHT_UP, POSTED, LARGE, CHANGED, ROOTS = map(
    channel, ("as written", "caught up", "posted", "large", "changed", "roots")
)
CHANGES: Final = 20
"""Messages of a page that change after the container cached it."""
_CHANNEL: Final = f"/v1/channels/{POSTED}"
_MESSAGES: Final = f"{_CHANNEL}/messages"
THREADS: Final = 10
"""Messages of a page that have a reply."""
_LOG: Final = keys.message_id(POSTED, 1)
"""A thread of 50 replies."""
_REPLIES: Final = f"{_MESSAGES}/{_LOG}/replies"


def fill(store: Store, channel_id: str, members: Sequence[str], messages: Iterable[bytes]) -> None:
    """Creates and fills a public channel through the store's interface; the first member is owner and sender."""
    head, joined = head_and_members(channel_id, members)
    store.create_channel(head, joined[:MAX_BATCH])
    for each in joined[MAX_BATCH:]:
        store.add_member(each)
    entries = (Entry(seq, seq, STARTED_AT, body) for seq, body in enumerate(messages, 1))
    while part := list(islice(entries, MAX_BATCH)):
        store.reserve(channel_id, len(part), preview_of(part[-1]))
        store.commit(Commit(channel_id, members[0], part, 0, 0, True, None, STARTED_AT))  # noqa: FBT003 - moves the read position


def fill_chat(store: Store, members: int = 2, length: int = LENGTH, listed: int = MANY) -> None:
    """Creates channels of real messages, one of large messages, threads, and ``listed`` channels for the lists."""
    services = compose(SETTINGS, store)
    people = [USER, FRIEND, *(f"member-{number:029d}" for number in range(members - 2))]
    for channel_id in (WRITTEN, CAUGHT_UP, POSTED, CHANGED, ROOTS):
        fill(store, channel_id, people, bodies(length, channel_id=channel_id))
    fill(store, LARGE, people, bodies(length, (KILOBYTE,), channel_id=LARGE))
    for number in range(listed):
        each = channel(f"listed {number}")
        fill(store, each, [BUSY, USER] if number < FEW - 6 else [BUSY], bodies(1, channel_id=each))
        if number < FEW:
            post_message(services, BUSY, keys.message_id(each, 1), [Draft("Yes")], None)
    for seq in range(length, length - 2 * THREADS, -2):
        post_message(services, FRIEND, keys.message_id(ROOTS, seq), [Draft("Yes")], None)
    for _ in range(2):
        post_message(services, USER, _LOG, [Draft(next(_TEXTS).text) for _ in range(MAX_BATCH)], None)


class Scene:
    """The functions' containers over one store."""

    def __init__(self, store: Store, handlers: Handlers | None = None) -> None:
        self.store, self.handlers = store, handlers or Handlers(compose(SETTINGS, store))
        self.new_container()

    def new_container(self) -> None:
        """Serves the next request from a container that has nothing in memory."""
        self.handlers.services = compose(SETTINGS, self.store)

    def tally(self, client: MeasuredClient, each: Operation) -> tuple[Tally, Reply]:
        """What a request costs in a new container, by the ``client`` of this scene's store."""
        self.new_container()
        asked = each.ready(self)
        client.take()
        reply = self.handlers(asked)
        return client.take(), reply

    def timed(self, each: Operation, *, anew: bool = False) -> Prepared:
        """A request of which only the invocation is timed; ``anew``: in a new container each time."""

        def ready() -> tuple[str, Event]:
            if anew:
                self.new_container()
            return routed(each.ready(self))

        def call(made: tuple[str, Event]) -> None:
            result = self.handlers.invoke(*made)
            assert result["statusCode"] < HTTPStatus.BAD_REQUEST, result

        return Prepared(ready, call)


@dataclass(frozen=True)
class Operation:
    """A kind of request; ``ready`` prepares the scene and returns the request."""

    name: str
    ready: Callable[[Scene], Ask]
    goal: str = ""
    """``read``, ``poll`` or ``post``: whose goal in ``bench.cost`` it has."""
    is_missed: bool = False
    """Whether the container must not have it in memory."""


def again(asked: Ask) -> Callable[[Scene], Ask]:
    """A request that the container has just served."""

    def ready(scene: Scene) -> Ask:
        scene.handlers(asked)
        return asked

    return ready


def always(asked: Ask) -> Callable[[Scene], Ask]:
    """A request that needs no preparation."""
    return lambda _: asked


def page(channel_id: str) -> Ask:
    """The latest 50 messages."""
    return Ask("GET", f"/v1/channels/{channel_id}/messages", USER)


def keyed(asked: Ask) -> Ask:
    """The request with an idempotency key of its own."""
    return replace(asked, headers={"idempotency-key": f"key-{next(_NUMBERS)}"})


def thumb(path: str, method: str = "PUT", user: str = USER) -> Ask:
    """Adds a reaction to the message at a path, or with DELETE removes it."""
    return Ask(method, f"{path}/reactions/{quote('👍')}/me", user)


def _text() -> dict[str, str]:
    """A real message, another one each time."""
    return {"text": next(_TEXTS).text}


def _post(channel_id: str = POSTED) -> Ask:
    return Ask("POST", f"/v1/channels/{channel_id}/messages", USER, _text())


def _repeated(scene: Scene) -> Ask:
    return again(keyed(_post()))(scene)


def _edit(scene: Scene) -> Ask:
    return Ask("PATCH", _message(scene), USER, _text())


def _create(user: str) -> Ask:
    return Ask("POST", "/v1/channels", user, {"kind": "private", "name": "lobby", "topic": "Say hello"})


def _caught_up(scene: Scene) -> Ask:
    asked = again(page(CAUGHT_UP))(scene)
    scene.handlers(_post(CAUGHT_UP))
    return asked


def _reply(path: str, user: str = USER) -> Ask:
    return Ask("POST", f"{path}/replies", user, _text())


def _replied(scene: Scene) -> str:
    """The path of a message with a reply."""
    path = _message(scene)
    scene.handlers(_reply(path))
    return path


def _read_replies(_: Scene) -> Ask:
    position = 1 + next(_NUMBERS) % 50
    return Ask("PUT", f"{_MESSAGES}/{_LOG}/thread/read", USER, {"last_read_seq": position, "force": True})


def _unchanged(scene: Scene) -> Ask:
    asked = again(page(WRITTEN))(scene)
    return replace(asked, headers={"if-none-match": scene.handlers(asked).headers["etag"]})


def _created(scene: Scene) -> str:
    """The path of a new channel."""
    return f"/v1/channels/{scene.handlers(_create(FRIEND)).json['id']}"


def _with_guest(scene: Scene) -> str:
    """The path of a new channel with another member."""
    path = _created(scene)
    scene.handlers(Ask("PUT", f"{path}/members/{GUEST}", FRIEND, {"role": "member"}))
    return path


def _message(scene: Scene) -> str:
    """The path of a message that was just posted."""
    return f"{_MESSAGES}/{scene.handlers(_post()).json['id']}"


def _reacted(scene: Scene) -> str:
    """The path of a message with a reaction."""
    path = _message(scene)
    scene.handlers(thumb(path))
    return path


def _pinned(scene: Scene) -> str:
    """The path of a pinned message."""
    path = _message(scene)
    scene.handlers(Ask("PUT", f"{path}/pin", USER))
    return path


def _unpinned(scene: Scene) -> str:
    """The path of a message in a channel without a pin, as pins have a limit."""
    path = _pinned(scene)
    for each in scene.handlers(Ask("GET", f"{_CHANNEL}/pins", USER)).json["pins"]:
        scene.handlers(Ask("DELETE", f"{_MESSAGES}/{each['message']['id']}/pin", USER))
    return path


def _changed(scene: Scene) -> Ask:
    asked = again(page(CHANGED))(scene)
    latest = scene.handlers(asked).json["messages"]
    for each in latest[: 2 * CHANGES : 2]:
        path = f"/v1/channels/{CHANGED}/messages/{each['id']}"
        scene.handlers(thumb(path, "DELETE" if each.get("reactions") else "PUT"))
    return asked


def _block() -> Ask:
    """By a new user each time, as blocks have a limit."""
    return Ask("PUT", f"/v1/blocks/{USER}", f"blocker-{next(_NUMBERS):028d}")


def _blocked(scene: Scene) -> Ask:
    asked = _block()
    scene.handlers(asked)
    return replace(asked, method="DELETE")


def _ban() -> Ask:
    return Ask("PUT", f"{_CHANNEL}/bans/stranger-{next(_NUMBERS):027d}", USER)


def _banned(scene: Scene) -> Ask:
    asked = _ban()
    scene.handlers(asked)
    return replace(asked, method="DELETE")


def _report(scene: Scene) -> Ask:
    return Ask("POST", f"{_message(scene)}/reports", FRIEND, {"reason": "spam"})


def _reported(scene: Scene) -> Ask:
    report_id = scene.handlers(_report(scene)).json["id"]
    return Ask("PUT", f"{_CHANNEL}/reports/{report_id}", USER, {"status": "closed", "resolution": "Deleted"})


def _archived(scene: Scene) -> Ask:
    channel = _created(scene)
    scene.handlers(Ask("DELETE", channel, FRIEND))
    return Ask("PUT", f"{channel}/archived", FRIEND, {"archived": False})


def _mute(_: Scene) -> Ask:
    return Ask("PUT", f"{_CHANNEL}/muted", USER, {"muted": next(_NUMBERS) % 2 == 0})


def _mark(_: Scene) -> Ask:
    position = 1 + next(_NUMBERS) % 50
    return Ask("PUT", f"/v1/channels/{WRITTEN}/read", FRIEND, {"last_read_seq": position, "force": True})


_ONE: Final = Ask("GET", f"/v1/channels/{WRITTEN}/messages/{keys.message_id(WRITTEN, 50)}", USER)
_FEW, _MANY = (Ask("GET", "/v1/channels", user) for user in (USER, BUSY))
PAGE_CHANGED: Final = f"page, {CHANGES} of 50 changed"
PAGE_IN_MEMORY: Final = "page, memory"
MISSED: Final = ", after a miss"
PAGE_THREADS: Final = f"page, {THREADS} of 50 with threads"
_PAGE_OF_REPLIES: Final = Ask("GET", _REPLIES, USER)
OPERATIONS: Final = (
    Operation(PAGE_IN_MEMORY, again(page(WRITTEN)), "read"),
    Operation("page, caught up by one message", _caught_up, "read"),
    Operation(PAGE_CHANGED, _changed),
    Operation(f"page{MISSED}", always(page(WRITTEN)), "read", is_missed=True),
    Operation(PAGE_CHANGED + MISSED, always(page(CHANGED)), is_missed=True),
    Operation(PAGE_THREADS, again(page(ROOTS)), "read"),
    Operation(PAGE_THREADS + MISSED, always(page(ROOTS)), is_missed=True),
    Operation("page of 1 KB messages, memory", again(page(LARGE)), "read"),
    Operation("page of 1 KB messages, after a miss", always(page(LARGE)), "read", is_missed=True),
    Operation("poll, 304", _unchanged, "poll"),
    Operation("one message, after a miss", always(_ONE), "read", is_missed=True),
    Operation(f"list of {FEW} channels, memory", again(_FEW)),
    Operation(f"list of {FEW} channels, after a miss", always(_FEW), is_missed=True),
    Operation(f"list of {MANY} channels, memory", again(_MANY)),
    Operation("list of 50 public channels", always(Ask("GET", "/v1/channels?scope=public", USER))),
    Operation("post", lambda _: _post(), "post"),
    Operation("post with key", lambda _: keyed(_post()), "post"),
    Operation("post with key, repeated", _repeated),
    Operation(
        f"batch of {MAX_BATCH} posts",
        lambda _: Ask("POST", _MESSAGES, USER, {"messages": [_text() for _ in range(MAX_BATCH)]}),
    ),
    Operation("page of replies, memory", again(_PAGE_OF_REPLIES)),
    Operation("page of replies, after a miss", always(_PAGE_OF_REPLIES), is_missed=True),
    Operation("20 changes of replies", always(Ask("GET", f"{_REPLIES}/changes?after=0&limit=20", USER))),
    Operation(f"list of {FEW} threads", always(Ask("GET", "/v1/threads", BUSY))),
    Operation("first reply", lambda scene: _reply(_message(scene), FRIEND)),
    Operation("reply", lambda scene: _reply(_replied(scene))),
    Operation("reply with key", lambda scene: keyed(_reply(_replied(scene)))),
    Operation("mark replies read", _read_replies),
    Operation("follow", lambda scene: Ask("PUT", f"{_message(scene)}/thread/follow", USER)),
    Operation("unfollow", lambda scene: Ask("DELETE", f"{_replied(scene)}/thread/follow", USER)),
    Operation("edit", _edit),
    Operation("edit with key", lambda scene: keyed(_edit(scene))),
    Operation("delete", lambda scene: Ask("DELETE", _message(scene), USER)),
    Operation("react", lambda scene: thumb(_message(scene))),
    Operation("take a reaction back", lambda scene: thumb(_reacted(scene), "DELETE")),
    Operation("pin", lambda scene: Ask("PUT", f"{_unpinned(scene)}/pin", USER)),
    Operation("unpin", lambda scene: Ask("DELETE", f"{_pinned(scene)}/pin", USER)),
    Operation("20 changes", always(Ask("GET", f"/v1/channels/{CHANGED}/changes?after=0&limit=20", USER))),
    Operation("pins", always(Ask("GET", f"/v1/channels/{WRITTEN}/pins", USER))),
    Operation("versions", always(Ask("GET", f"{_ONE.target}/versions", USER))),
    Operation("users of a reaction", always(Ask("GET", f"{_ONE.target}/reactions?emoji=:ship:", USER))),
    Operation("mentions", always(Ask("GET", "/v1/mentions", USER))),
    Operation("mark read", _mark),
    Operation("mute", _mute),
    Operation("read positions", always(Ask("GET", f"/v1/channels/{WRITTEN}/reads", USER))),
    Operation("block", lambda _: _block()),
    Operation("unblock", _blocked),
    Operation("list of blocks", always(Ask("GET", "/v1/blocks", USER))),
    Operation("ban", lambda _: _ban()),
    Operation("lift a ban", _banned),
    Operation("list of bans", always(Ask("GET", f"{_CHANNEL}/bans", USER))),
    Operation("report", _report),
    Operation("close a report", _reported),
    Operation("list of reports", always(Ask("GET", f"{_CHANNEL}/reports?limit=20", USER))),
    # By a new user each time, so that the count of the user's channels does not grow with the rounds.
    Operation("create channel", lambda _: _create(f"maker-{next(_NUMBERS):030d}")),
    Operation("get channel", always(Ask("GET", _CHANNEL, USER))),
    Operation("update channel", lambda _: Ask("PATCH", _CHANNEL, USER, {"topic": f"{next(_NUMBERS)}"})),
    Operation("archive channel", lambda scene: Ask("DELETE", _created(scene), FRIEND)),
    Operation("unarchive channel", _archived),
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
