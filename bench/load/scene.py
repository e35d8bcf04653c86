"""What is in both tables before the load, and what clients ask for: the same channels, people and words for all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from bench.conversations import STARTED_AT, Turn, bodies, turns
from bench.one_page import PAGE
from bench.usual import table as usual_table
from shared.aws.botocore_client import BotocoreClient
from shared.messages import preview_of
from shared.model import MAX_BATCH, Entry, Head, Kind, Membership, Role
from shared.store.dynamodb import DynamoDBStore
from shared.store.interface import Commit

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient, DynamoDBServiceResource

BUDGIE, USUAL, FLOOR = "budgie", "usual", "floor"
MIX: Final = {"read": 90, "post": 9, "list": 1}
"""Of a hundred requests."""
OLDER: Final = 0.05
"""Of the reads: those of the page before the latest one."""
SEED: Final = 20261124
POOL: Final = 400
"""Requests that a client has in hand; then it begins again."""
USUAL_TABLE: Final = "usual"


@dataclass(frozen=True, slots=True)
class Scene:
    """How much there is."""

    channels: int = 20
    messages: int = 125
    users: int = 64

    def channel_ids(self) -> list[str]:
        """Ids of the channels, the one that is asked for most first."""
        return [f"{number:016d}" for number in range(self.channels)]

    def user_ids(self) -> list[str]:
        """Everybody is a member of every channel."""
        return [f"user-{number}" for number in range(self.users)]


@dataclass(frozen=True, slots=True)
class Request:
    """A request's bytes, and the status that its answer must have."""

    kind: str
    status: int
    content: bytes


def fill(scene: Scene, client: DynamoDBClient, resource: DynamoDBServiceResource) -> None:
    """Store the same conversations in both tables; ours is there already, the other one is made."""
    store = DynamoDBStore(BotocoreClient(client), BUDGIE)
    table = usual_table.create(resource, USUAL_TABLE)
    users = scene.user_ids()
    for number, channel_id in enumerate(scene.channel_ids()):
        usual_table.add_channel(table, channel_id, users, _turns(scene, number))
        _add_channel(store, scene, number, channel_id)


def _turns(scene: Scene, number: int) -> list[Turn]:
    return list(islice(turns(), number * scene.messages, (number + 1) * scene.messages))


def _add_channel(store: DynamoDBStore, scene: Scene, number: int, channel_id: str) -> None:
    users = scene.user_ids()
    memberships = [Membership(user, channel_id, Role.MEMBER, STARTED_AT) for user in users]
    store.create_channel(
        Head(channel_id, Kind.PUBLIC, channel_id, "Say hello", users[0], STARTED_AT), memberships
    )
    stored = bodies(scene.messages, taken=iter(_turns(scene, number)), channel_id=channel_id)
    entries = [Entry(seq, seq, STARTED_AT + seq, body) for seq, body in enumerate(stored, 1)]
    for start in range(0, len(entries), MAX_BATCH):
        some = entries[start : start + MAX_BATCH]
        store.take(channel_id, len(some), preview_of(some[-1]))
        store.commit(
            Commit(
                channel_id, users[0], some, tat_seen=0, tat=0, move_read=True, receipt=None, now=STARTED_AT
            )
        )


def cursor(contender: str, page: Mapping[str, Any], scene: Scene, number: int) -> str:
    """What names the page before the latest one of a channel, whose words this one must have."""
    if contender == FLOOR:
        return "1"
    said = [turn.text for turn in _turns(scene, number)[-PAGE:]]
    assert [message["text"] for message in page["messages"]] == said, f"{contender}: another page"
    return str(page["first_seq" if contender == BUDGIE else "next_before"])


class Asking:
    """Makes clients' requests: seeded, so that all contenders are asked the same.

    Args:
        scene: whose channels and people.
        cursors: by channel, what names the page before the latest one.
        tokens: a user's bearer token.
        accept_encoding: what every request says that it accepts.
    """

    def __init__(
        self, scene: Scene, cursors: Mapping[str, str], tokens: Callable[[str], str], accept_encoding: str
    ) -> None:
        self._scene = scene
        self._cursors = cursors
        self._tokens = tokens
        self._accept_encoding = accept_encoding
        self._weights = [1 / rank for rank in range(1, scene.channels + 1)]

    def requests(self, form: str, client: int) -> list[Request]:
        """What a client sends: ``reads`` alone, or the ``mix``."""
        random, words = Random(f"{SEED} {client}"), islice(turns(), client * 50, None)
        user = self._scene.user_ids()[client]
        return [self._request(form, user, random, words) for _ in range(POOL)]

    def _request(self, form: str, user: str, random: Random, words: Iterator[Turn]) -> Request:
        kind = "read" if form == "reads" else random.choices(list(MIX), list(MIX.values()))[0]
        if kind == "list":
            return Request(kind, 200, self.content("GET", "/v1/channels", user))
        channel_id = random.choices(self._scene.channel_ids(), self._weights)[0]
        path = f"/v1/channels/{channel_id}/messages"
        if kind == "post":
            body = json.dumps({"text": next(words).text}).encode()
            return Request(kind, 201, self.content("POST", path, user, body))
        query = f"?limit={PAGE}"
        if random.random() < OLDER:
            query += f"&before={quote(self._cursors[channel_id])}"
        return Request(kind, 200, self.content("GET", path + query, user))

    def content(self, method: str, target: str, user: str, body: bytes = b"") -> bytes:
        """A request as it goes over the wire."""
        lines = [
            f"{method} {target} HTTP/1.1",
            "host: 127.0.0.1",
            "user-agent: bench",
            "accept: application/json",
            f"accept-encoding: {self._accept_encoding}",
            f"authorization: Bearer {self._tokens(user)}",
        ]
        if body:
            lines += ["content-type: application/json", f"content-length: {len(body)}"]
        return "\r\n".join([*lines, "", ""]).encode() + body
