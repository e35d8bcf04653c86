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

from shared.domain.changes import MAX_EMOJI, MAX_PINS, ChangeKind
from tests.chaos.crash.engine import MortalEngine
from tests.chaos.crash.writers import Change, Post, Response, Writer, fork_server, thread_of

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext

CLIENTS: Final = 4
USERS: Final = ("ada", "eve", "joe")
BATCH: Final = 3
BATCHES: Final = 0.25
REPLIES: Final = 0.4
COPIES: Final = 0.5
"""The share of posts that are replies, and of single replies that are posted to the channel too."""
CHANGES: Final = 0.5
"""The share of requests that change messages."""
KINDS: Final = (ChangeKind.EDITED, ChangeKind.DELETED, ChangeKind.REACTION_ADDED, ChangeKind.PINNED, None)
"""None for the deletion of a reply."""
TARGETS: Final = 150
"""Messages at the beginning of each channel and thread, which are changed; the n-th is by the n-th user (modulo)."""
EDITABLE: Final = 6
"""The first of them are edited and get reactions, the others are deleted; some of those before are pinned."""
MAX_REFUSALS: Final = 100
"""503s to one change, after which it is given up: the engine may have kept half of a transaction when it was killed."""
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
        self._made: Counter[ChangeKind | None] = Counter()
        self.changed: dict[Change, float] = {}
        """When each change was acknowledged."""
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
        return self.is_unsafe(self.acknowledged_at[post])

    def is_unsafe(self, at: float) -> bool:
        """Whether the engine was killed at about that time."""
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
                is_change = rng.random() < CHANGES
                change = self._draft_change(rng) if is_change else None
                writer = self._post(rng, writer, change or self._draft(rng, number))
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
        is_reply = rng.random() < REPLIES
        is_copied = is_reply and count == 1 and rng.random() < COPIES
        return Post(channel, USERS[number % len(USERS)], name, texts, is_reply, is_copied)

    def _draft_change(self, rng: random.Random) -> Change | None:
        """A change that nobody else makes; None if no message is left for its kind."""
        kind = rng.choice(KINDS)
        with self._lock:
            number, self._made[kind] = self._made[kind], self._made[kind] + 1
        channel, at = self._channels[number % len(self._channels)], number // len(self._channels)
        name = f"{kind}-{number}"
        match kind:
            case None:
                author, seq = USERS[at % len(USERS)], 1 + at
                deletion = Change(thread_of(channel), author, name, ChangeKind.DELETED, seq)
                return deletion if seq <= TARGETS else None
            case ChangeKind.EDITED:
                seq = 1 + at % EDITABLE
            case ChangeKind.DELETED:
                seq = EDITABLE + 1 + at
            case ChangeKind.PINNED:
                seq = 1 + at
            case _:
                user, emoji = USERS[at % len(USERS)], f":e{at // len(USERS) % MAX_EMOJI}:"
                seq = 1 + at // len(USERS) // MAX_EMOJI
                return Change(channel, user, name, kind, seq, emoji) if seq <= EDITABLE else None
        author = USERS[(seq - 1) % len(USERS)]
        most = MAX_PINS if kind is ChangeKind.PINNED else TARGETS
        return Change(channel, author, name, kind, seq) if seq <= most else None

    def _post(self, rng: random.Random, writer: Writer, post: Post | Change) -> Writer:
        """Until it is acknowledged; the writer that still lives then."""
        refusals = 0
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
            refusals += 1
            if isinstance(post, Change) and refusals > MAX_REFUSALS:
                self.counts["changes given up"] += 1
                return writer
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

    def _take(self, post: Post | Change, response: Response) -> None:
        if isinstance(post, Change):
            self._take_change(post, response)
            return
        with self._lock:
            self.counts["replays seen"] += response.replayed
            first = self.first.setdefault(post, response)
            self.acknowledged_at.setdefault(post, time.monotonic())
            if response.status != HTTPStatus.CREATED or response.body != first.body:
                self.counts["wrong answers"] += 1
                self.notes.append(f"{post.key}: {response.status} {response.body[:200]}")

    def _take_change(self, change: Change, response: Response) -> None:
        is_gone = response.status == HTTPStatus.CONFLICT and change.kind is ChangeKind.PINNED
        with self._lock:
            if response.status in {HTTPStatus.OK, HTTPStatus.NO_CONTENT}:
                self.changed.setdefault(change, time.monotonic())
            elif not is_gone:  # deleted before it was pinned
                self.counts["wrong answers"] += 1
                self.notes.append(f"{change.key}: {response.status} {response.body[:200]}")


def say(text: str) -> None:
    """A line on stderr, at once."""
    print(text, file=sys.stderr, flush=True)
