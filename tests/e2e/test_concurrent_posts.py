"""Many writers, retries and readers in one channel, over HTTP: nothing is lost, doubled, or slipped in later."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from local.demo.client import MAX_TRIES, Response
from local.dynamodb import engine as dynamodb
from tests.e2e.running import FAST, RunningStack, running_stack
from tests.engines import skip_unless_runnable
from tests.lengths import LONG

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.stack

WRITERS: Final = 16
POSTS: Final = {dynamodb.MINISTACK: 640 if LONG else 160, dynamodb.DYNAMODB_LOCAL: 2_000 if LONG else 800}
"""Half of them are sent twice at the same time. ministack reads the whole partition for each Query, so that each post
takes the longer the more there are."""
READERS: Final = 4
PAGE: Final = 100
PAUSE: Final = 2.0
"""Seconds between two polls: ministack reads the whole partition for each page, and writers need it too."""
READER: Final = "reader"


@dataclass(frozen=True, slots=True)
class Page:
    """A page as a reader got it."""

    after: int
    raw: bytes
    said: dict[str, Any]


@pytest.fixture(
    params=[
        dynamodb.MINISTACK,
        pytest.param(dynamodb.DYNAMODB_LOCAL, marks=pytest.mark.dynamodb_local),
    ]
)
def stack(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningStack]:
    """A stack of its own on each engine, without rate limits."""
    if request.param == dynamodb.DYNAMODB_LOCAL:
        skip_unless_runnable()
    with running_stack(tmp_path, DYNAMODB_ENGINE=request.param, **FAST) as started:
        yield started


@pytest.fixture
def posts(request: pytest.FixtureRequest) -> int:
    """How many messages each engine is given."""
    return POSTS[request.node.callspec.params["stack"]]


class Channel:
    """One channel, as its writers and readers use it."""

    def __init__(self, stack: RunningStack, posts: int) -> None:
        self._stack = stack
        self._posts = posts
        members = [f"writer-{number}" for number in range(WRITERS)]
        body = {"kind": "private", "name": "crowded", "members": members}
        with stack.client() as client:
            made = client.call("POST", "/v1/channels", READER, body=body)
        assert made.status == 201
        self._path = f"/v1/channels/{made.json['id']}/messages"
        self.written = threading.Event()

    def write(self, writer: int) -> list[list[Response]]:
        """Posts the writer's share and returns the responses to each message, two where it was sent twice."""
        user = f"writer-{writer}"
        mine = range(writer, self._posts, WRITERS)
        # The twin posts the same on a connection of its own, let go at the same moment.
        start = threading.Barrier(2)
        with ThreadPoolExecutor(1) as twin:
            first = twin.submit(self._post_all, user, mine, start)
            second = iter(self._post_all(user, [each for each in mine if _is_sent_twice(each)], start))
            responses = zip(mine, first.result(), strict=True)
        return [
            [response, next(second)] if _is_sent_twice(each) else [response] for each, response in responses
        ]

    def _post_all(self, user: str, numbers: Iterable[int], start: threading.Barrier) -> list[Response]:
        with self._stack.client(MAX_TRIES) as client:
            return [self._post(client, user, number, start) for number in numbers]

    def _post(self, client: Any, user: str, number: int, start: threading.Barrier) -> Response:
        if _is_sent_twice(number):
            start.wait(60)
        response: Response = client.call(
            "POST",
            self._path,
            user,
            body={"text": f"message {number} 🐦"},
            headers={"Idempotency-Key": f"key-{number}"},
        )
        return response

    def follow(self, pause: float = PAUSE) -> list[Page]:
        """Read from the beginning, poll for what is new, and end with the end of the log."""
        pages = [Page(0, b"", {"last_seq": 0})]
        with self._stack.client(MAX_TRIES) as client:
            while True:
                is_last_round = self.written.is_set()
                after = pages[-1].said["last_seq"]
                response = client.call("GET", f"{self._path}?after={after}&limit={PAGE}", READER)
                assert response.status == 200
                pages.append(Page(after, response.body, response.json))
                said = pages[-1].said
                if is_last_round and said["last_seq"] == said["channel_last_seq"]:
                    return pages[1:]
                if not said["has_more_after"]:
                    time.sleep(pause)


def _is_sent_twice(number: int) -> bool:
    """Every other message of each writer, and of all messages the half."""
    return (number % WRITERS + number // WRITERS) % 2 == 1


def test_concurrent_posts_retries_and_readers(stack: RunningStack, posts: int) -> None:
    """Each reader's pages make up the one settled log: every acknowledged message once, in order of position."""
    channel = Channel(stack, posts)
    with ThreadPoolExecutor(WRITERS + READERS) as pool:
        readers = [pool.submit(channel.follow) for _ in range(READERS)]
        try:
            responses = [each for share in pool.map(channel.write, range(WRITERS)) for each in share]
        finally:
            channel.written.set()
        followed = [reader.result() for reader in readers]
    followed.append(channel.follow())

    assert len(responses) == posts
    acknowledged = _acknowledged(responses, posts)
    for pages in followed:
        _is_the_log(pages, acknowledged)


def _acknowledged(responses: list[list[Response]], posts: int) -> dict[int, bytes]:
    """The messages by position; every response to a repeated message is the first one, byte for byte."""
    assert {response.status for both in responses for response in both} == {201}
    assert sum(len(both) == 2 for both in responses) == posts // 2
    for first, *others in responses:
        assert all(other.body == first.body for other in others)
        assert all(other.headers["location"] == first.headers["location"] for other in others)
    for both in responses:
        originals = [each for each in both if "idempotency-replayed" not in each.headers]
        # Nobody stored it twice. If the original's own answer was lost, its retry is a replay as well.
        assert len(originals) == 1 or (not originals and any(each.retries for each in both))
    acknowledged = {both[0].json["seq"]: both[0].body for both in responses}
    assert len(acknowledged) == posts
    return acknowledged


def _is_the_log(pages: list[Page], acknowledged: dict[int, bytes]) -> None:
    """The pages meet, from the first position to the last, and hold what was acknowledged, byte for byte."""
    assert [page.said["first_seq"] for page in pages] == [page.after + 1 for page in pages]
    assert pages[-1].said["last_seq"] == pages[-1].said["channel_last_seq"] >= max(acknowledged)
    for page in pages:
        covered = range(page.said["first_seq"], page.said["last_seq"] + 1)
        bodies = b",".join(acknowledged[seq] for seq in covered if seq in acknowledged)
        assert b'"messages":[' + bodies + b"]," in page.raw
