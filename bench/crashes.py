"""Posts whose writers, and now and then the engine, are killed in the middle: `python -m bench.crashes`.

Clients hand posts to writers, which are processes of their own with the real handler over botocore and DynamoDB Local
(`-dbPath`, so that its database outlives it). A writer is sent SIGKILL at a random moment of its post; the client
repeats the post under its key with another writer until it is acknowledged. Now and then the engine is sent SIGKILL
and started again on its database. Afterwards somebody who remembers nothing reads all of it.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bench import report
from bench.crash.audit import Audit, audit
from bench.crash.engine import MortalEngine, mortal_engine
from bench.crash.writers import Answer, Post, Writer, fork_server
from local import dynamodb_local
from shared import keys
from shared.clock import now_ms
from shared.model import Head, Kind, Membership, Role

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext

KILLS: Final = 500
ENGINE_KILLS: Final = 12
CLIENTS: Final = 4
CHANNELS: Final = 3
USERS: Final = ("ada", "eve", "joe")
READER: Final = "grace"
BATCH: Final = 3
BATCHES: Final = 0.25
ATTACKED: Final = 0.6
"""The share of requests whose writer is killed if it is not faster."""
SEED: Final = 6
NEAR_SECONDS: Final = 30.0
PATIENCE_SECONDS: Final = 0.3
"""Before a post is sent again that was answered 503: less than `Retry-After`, so that the engine's return is met."""


class Attack:
    """The clients' posts, the kills, and what was answered.

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
        self.first: dict[Post, Answer] = {}
        self.acknowledged_at: dict[Post, float] = {}
        self.counts: Counter[str] = Counter()
        self.notes: list[str] = []

    def run(self) -> None:
        """Until so many writers were killed, and every post is acknowledged."""
        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(self._client, range(CLIENTS)))

    def replay_all(self) -> None:
        """Sends each post once more: the first answer must come again."""
        writer = Writer(self._context)
        for post in self.first:
            writer.ask(post)
            answer = writer.answer()
            assert answer is not None
            self._take(post, answer)
            self.counts["posts without a replay"] += not answer.replayed
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
            answer = None
            attacked = rng.random() < ATTACKED
            if attacked and self.counts["writers killed"] < self._kills:
                answer = writer.answer(rng.uniform(0, 1.2 * statistics.median(self._latencies)))
                if answer is None:
                    writer.kill()
                    self._killed()
                    writer = Writer(self._context)
                    continue
            answer = answer or writer.answer()
            if answer is None:
                raise RuntimeError("a writer that nobody killed does not answer")
            if answer.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                if not attacked:  # Who survived was fast: no measure of the others.
                    self._latencies.append(time.monotonic() - began)
                self.counts["committed before the kill"] += answer.replayed
                self._take(post, answer)
                return writer
            self.counts[f"answers {answer.status}"] += 1
            time.sleep(rng.uniform(0, PATIENCE_SECONDS))

    def _killed(self) -> None:
        with self._lock:
            self.counts["writers killed"] += 1
            killed = self.counts["writers killed"]
        if killed % 50 == 0:
            _say(f"{killed} writers killed, {len(self.first)} posts acknowledged")
        every = max(1, self._kills // self._engine_kills)
        if killed % every == every // 2 and self._engine.kills < self._engine_kills:
            self._engine.kill()

    def _take(self, post: Post, answer: Answer) -> None:
        with self._lock:
            self.counts["replays seen"] += answer.replayed
            first = self.first.setdefault(post, answer)
            self.acknowledged_at.setdefault(post, time.monotonic())
            if answer.status != HTTPStatus.CREATED or answer.body != first.body:
                self.counts["wrong answers"] += 1
                self.notes.append(f"{post.key}: {answer.status} {answer.body[:200]}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _channels(engine: MortalEngine) -> list[str]:
    store, made = engine.store(), []
    for i in range(CHANNELS):
        head = Head(keys.new_channel_id(), Kind.PRIVATE, f"channel {i}", "", USERS[0], now_ms(), members=4)
        members = [Membership(user, head.channel_id, Role.MEMBER, now_ms()) for user in (*USERS, READER)]
        store.create_channel(head, members)
        made.append(head.channel_id)
    return made


def measure(kills: int, engine_kills: int, seed: int) -> dict[str, Any]:
    """All of it; the counts."""
    with tempfile.TemporaryDirectory() as directory, mortal_engine(Path(directory)) as engine:
        channels = _channels(engine)
        began = time.monotonic()
        attack = Attack(engine, channels, kills, engine_kills, seed)
        attack.run()
        _say("reading all of it")
        found: Audit = audit(engine.store(), channels, READER, attack.first)
        attack.replay_all()
        counts = attack.counts
        return {
            "writers_killed": counts["writers killed"],
            "committed_before_the_kill": counts["committed before the kill"],
            "engine_killed": engine.kills,
            "posts_acknowledged": len(attack.first),
            "posts_sent": counts["posts"],
            "replays": counts["replays seen"],
            "refused_503": counts["answers 503"],
            "failed_500": counts["answers 500"],
            "messages": found.messages,
            "voids": found.voids,
            "lost": max(found.lost, len(found.missing)),
            "doubled": found.doubled,
            "gaps": found.gaps,
            "wrong_pages": found.wrong_pages,
            "wrong_answers": counts["wrong answers"] + counts["posts without a replay"],
            "wrong_previews": found.wrong_previews,
            "wrong_unread": found.wrong_unread,
            "engine_down_seconds": round(engine.down_seconds, 1),
            "seconds": round(time.monotonic() - began, 1),
            "notes": [*attack.notes, *(attack.told_when(post) for post in found.missing)][:10],
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """Attacks, audits, prints, and says whether the targets were met."""
    parser = report.parser("posts whose writers and engine are killed at random moments")
    parser.add_argument("--kills", type=int, default=KILLS, help="of writers")
    parser.add_argument("--engine-kills", type=int, default=ENGINE_KILLS)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args(arguments)
    kills, engine_kills = (12, 1) if options.tiny else (options.kills, options.engine_kills)
    try:
        dynamodb_local.require_java()
    except dynamodb_local.UnavailableError as error:
        print(error, file=sys.stderr)
        return 2
    results = measure(kills, engine_kills, options.seed)
    targets = {
        f"at least {kills} writers and {engine_kills} engines were killed": (
            results["writers_killed"] >= kills and results["engine_killed"] >= engine_kills
        ),
        "0 acknowledged messages lost, 0 doubled": results["lost"] == results["doubled"] == 0,
        "every post was acknowledged in the end": results["posts_acknowledged"] == results["posts_sent"],
        "positions dense, pages equal to the log": results["gaps"] == results["wrong_pages"] == 0,
        "every answer to a post equal to its first, and no 500": (
            results["wrong_answers"] == results["failed_500"] == 0
        ),
        "preview and unread counts right": results["wrong_previews"] == results["wrong_unread"] == 0,
    }
    text = report.table(["", ""], [(name.replace("_", " "), value) for name, value in results.items()])
    return report.finish(options, {"bench": "crashes", **results}, targets, text)


if __name__ == "__main__":
    sys.exit(main())
