"""Clients that hand posts to writers, and kill them."""

from __future__ import annotations

import random
import statistics
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from tests.chaos.crash.engine import MortalEngine
from tests.chaos.crash.writers import Post, Response, Writer, fork_server

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext

CLIENTS: Final = 4
USERS: Final = ("ada", "eve", "joe")
BATCH: Final = 3
BATCHES: Final = 0.25
ATTACKED: Final = 0.6
"""The share of requests whose writer is killed if it is not faster."""
NEAR_SECONDS: Final = 30.0
UNSAFE_SECONDS: Final = 1.0
"""Before its death, what the engine acknowledges may be lost; `--control` has seen up to 0.1 s on a busy machine."""
HOLE_WAITS_SECONDS: Final = 0.3
"""Before a post is sent again that was answered 503: less than `Retry-After`, so that the engine's return is met."""


class Attack:
    """The clients' posts, the kills, and the responses.

    Args:
        engine: may be killed.
        channels: posted to.
        kills: of writers.
        engine_kills: of the engine, evenly spread over those.
        seed: decides what is posted, and when is killed.
    """

    def __init__(
        self, engine: MortalEngine, channels: Sequence[str], kills: int, engine_kills: int, seed: int
    ) -> None:
        self._engine = engine
        self._channels = channels
        self._kills = kills
        self._engine_kills = engine_kills
        self._seed = seed
        self._context: ForkServerContext = fork_server()
        self._latencies: deque[float] = deque([0.05], maxlen=50)
        self._lock = threading.Lock()
        self.first: dict[Post, Response] = {}
        self.acknowledged_at: dict[Post, float] = {}
        self.counts: Counter[str] = Counter()
        self.notes: list[str] = []

    def run(self) -> None:
        """Until so many writers were killed, and every post is acknowledged."""
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(self._client, range(CLIENTS)))

    def lost_by_the_engine(self, post: Post) -> bool:
        """Whether a post that is gone was acknowledged in the last moment before the engine was killed."""
        at = self.acknowledged_at[post]
        return any(abs(killed - at) < UNSAFE_SECONDS for killed in self._engine.killed_at)

    def replay_all(self, but: Collection[Post]) -> None:
        """Repeats most posts: the first response must come again."""
        writer = Writer(self._context)
        for post in [each for each in self.first if each not in but]:
            writer.ask(post)
            response = writer.response()
            assert response is not None
            self._take(post, response)
            self.counts["posts without a replay"] += not response.replayed
        writer.kill()

    def told_when(self, post: Post) -> str:
        """When a post was acknowledged: just before the engine was killed, it is the engine that may have lost it."""
        at = self.acknowledged_at[post]
        seconds = [
            f"{at - killed:+.2f}" for killed in self._engine.killed_at if abs(at - killed) < NEAR_SECONDS
        ]
        where = f"{', '.join(seconds)} s from the engine's end" if seconds else "far from the engine's end"
        return f"{post.key}, acknowledged {where}, is not where it was said to stand"

    def _client(self, number: int) -> None:
        rng = random.Random(self._seed + number)
        writer = Writer(self._context)
        try:
            while self.counts["writers killed"] < self._kills:
                writer = self._post(rng, writer, self._draft(rng, number))
        finally:
            writer.kill()

    def _draft(self, rng: random.Random, number: int) -> Post:
        with self._lock:
            self.counts["posts"] += 1
            sent = self.counts["posts"]
        name, channel = f"post-{sent}", self._channels[sent % len(self._channels)]
        count = BATCH if rng.random() < BATCHES else 1
        texts = tuple(f"{name}/{i} 🐦" for i in range(count))
        # Two clients are the same user: their transactions meet at one membership.
        return Post(channel, USERS[number % len(USERS)], name, texts)

    def _post(self, rng: random.Random, writer: Writer, post: Post) -> Writer:
        """Until it is acknowledged; the writer that still lives then."""
        while True:
            writer.ask(post)
            began = time.monotonic()
            response = None
            attacked = rng.random() < ATTACKED
            if attacked and self.counts["writers killed"] < self._kills:
                response = writer.response(rng.uniform(0, 1.2 * statistics.median(self._latencies)))
                if response is None:
                    writer.kill()
                    self._killed()
                    writer = Writer(self._context)
                    continue
            response = response or writer.response()
            if response is None:
                raise RuntimeError("a writer that nobody killed does not answer")
            if response.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                if not attacked:  # Who survived was fast: no measure of the others.
                    self._latencies.append(time.monotonic() - began)
                self.counts["committed before the kill"] += response.replayed
                self._take(post, response)
                return writer
            self.counts[f"answers {response.status}"] += 1
            time.sleep(rng.uniform(0, HOLE_WAITS_SECONDS))

    def _killed(self) -> None:
        with self._lock:
            self.counts["writers killed"] += 1
            killed = self.counts["writers killed"]
        if killed % 50 == 0:
            say(f"{killed} writers killed, {len(self.first)} posts acknowledged")
        every = max(1, self._kills // self._engine_kills)
        if killed % every == every // 2 and self._engine.kills < self._engine_kills:
            self._engine.kill()

    def _take(self, post: Post, response: Response) -> None:
        with self._lock:
            self.counts["replays seen"] += response.replayed
            first = self.first.setdefault(post, response)
            self.acknowledged_at.setdefault(post, time.monotonic())
            if response.status != HTTPStatus.CREATED or response.body != first.body:
                self.counts["wrong answers"] += 1
                self.notes.append(f"{post.key}: {response.status} {response.body[:200]}")


def say(text: str) -> None:
    """A line on stderr, at once."""
    print(text, file=sys.stderr, flush=True)
