"""Push for a long time, with faults: `python -m tests.chaos.push_soak --minutes 30`.

The stack of `make run` is a process of its own, with connections that live for some minutes. Many clients follow the
rule of ``docs/realtime.md`` while writers post, edit, delete, react, and add and remove members. Frames are dropped,
doubled, delayed and reordered; connections break, with and without a call of ``$disconnect``, and are said to be gone
or busy; the dispatcher is killed before, amid and after its sending; the DynamoDB engine is killed once, and started
again.

At the end there are no faults any more. Every client pings, fetches what it lacks, and must show byte for byte what
REST gives. Then all connections are closed. No watch may be left but those of connections of whose end no function was
told, or whose function failed: DynamoDB deletes these by their ``expires``, which the code heeds too.

ministack, as DynamoDB Local loses what it acknowledged when it is killed.
"""

from __future__ import annotations

import random
import re
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from bench.lib import command
from local.demo.client import Client, Response
from local.dynamodb import engine as dynamodb
from local.running import RunningStack, running_stack
from operators.capacity import table
from shared.aws.botocore_client import BotocoreClient
from shared.domain import keys
from shared.domain.clock import now_ms
from shared.domain.messages import dumps
from shared.domain.realtime import CONNECTION_SECONDS
from shared.storage.dynamodb import DynamoDBStore
from tests.chaos.push_clients import LIMIT, Crowd, Outsiders, PushClient, path_of
from tests.chaos.soak import flat, trends
from tests.chaos.watching import Watch

TABLE: Final = "budgie"
OWNER: Final = "owner"
SEED: Final = 29
TRIES: Final = 60
FAULT_SECONDS: Final = 5.0
"""How long each combination of faults lasts."""
FAULTS: Final[tuple[Mapping[str, float], ...]] = (
    {},
    {"dropped": 0.1, "doubled": 0.05, "delayed": 0.1, "reordered": 0.05},
    {"disconnected": 0.01, "untold": 0.3},
    {"gone": 0.02, "busy": 0.1},
    {"killed_before": 0.2, "killed_amid": 0.2, "killed_after": 0.2},
    {"dropped": 0.05, "reordered": 0.05, "killed_amid": 0.5, "untold": 0.3},
)
ENGINE_KILLED: Final = 1 / 6
"""The part of the time after which the engine is killed. Its journal is then short: ministack repeats it all, and so
does the stream."""
ROUNDS: Final = 4
"""How often the clients ping at the end, at most."""
QUIET_SECONDS: Final = 60.0
"""Longer than the functions take for the ends of all connections."""
EMOJI: Final = ("👍", "🎉", "🐦")


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything; seconds are averages between two things that one of them does."""

    seconds: float
    connections: int
    users: int
    channels: int
    threads: int
    shown: int
    """Logs that a client shows."""
    writers: int
    write_seconds: float
    ping_seconds: float
    life: int
    """Seconds that a connection lasts."""


FULL: Final = Plan(1800.0, 200, 40, 12, 8, 4, writers=3, write_seconds=1.0, ping_seconds=30.0, life=240)
TINY: Final = Plan(4.0, 12, 4, 2, 1, 2, writers=2, write_seconds=0.05, ping_seconds=0.5, life=3)


class Room:
    """Channels with members and threads on a running stack, and everything that was acknowledged there."""

    def __init__(self, stack: RunningStack, plan: Plan) -> None:
        self.stack = stack
        self.outsiders = Outsiders()
        people = [f"user-{number}" for number in range(plan.users)]
        # Some come and go; the others write.
        self.movers, self.stayers = people[: plan.users // 4], people[plan.users // 4 :]
        self.posted: dict[str, set[str]] = {}
        """By log, the ids of all messages whose posts were acknowledged."""
        self.lock = threading.Lock()
        self.statuses: Counter[int] = Counter()
        self.unexpected: list[str] = []
        with stack.client(tries=TRIES) as client:
            self.channels = [self._channel(client, number, people) for number in range(plan.channels)]
            self.logs = [*self.channels]
            for number in range(plan.threads):
                channel_id = self.channels[number % len(self.channels)]
                root = self.post(client, channel_id, OWNER, "root", f"root-{number}")
                self.post(client, root, OWNER, "first reply", f"first-{number}")
                self.logs.append(root)

    def _channel(self, client: Client, number: int, people: list[str]) -> str:
        body = {"kind": "private", "name": f"channel {number}", "members": people}
        made = self.call(client, "POST", "/v1/channels", OWNER, body, f"channel-{number}")
        return str(made.json["id"])

    def call(
        self, client: Client, method: str, path: str, user: str, body: object = None, key: str = ""
    ) -> Response:
        """A request, repeated until it succeeds; anything but success in the end is noted."""
        headers = {"Idempotency-Key": f"{SEED}-{key}"} if key else None
        found = client.call(method, path, user, body=body, headers=headers)
        with self.lock:
            self.statuses.update([*found.retries, found.status])
            if found.status >= HTTPStatus.BAD_REQUEST:
                self.unexpected.append(f"{method} {path}: {found.status} {found.body[:100]!r}")
        return found

    def post(self, client: Client, log_id: str, user: str, text: str, key: str) -> str:
        """Posts a message; its id, or empty without success."""
        made = self.call(client, "POST", path_of(log_id), user, {"text": text}, key)
        if made.status != HTTPStatus.CREATED:
            return ""
        message_id = str(made.json["id"])
        with self.lock:
            self.posted.setdefault(log_id, set()).add(message_id)
        return message_id


@dataclass
class Writer:
    """Writes until the run is over; messages are changed by the writer who posted them, others react."""

    room: Room
    number: int
    plan: Plan
    over: threading.Event
    counts: Counter[str] = field(default_factory=Counter)
    _own: list[tuple[str, str, str]] = field(default_factory=list)
    """Channel, author, message: those that are not deleted."""
    _reacted: list[tuple[str, str]] = field(default_factory=list)
    """User and path."""

    def run(self) -> None:
        """One thing after the other."""
        rng = random.Random(SEED + self.number)
        ways = {"post": 10, "edit": 3, "delete": 1, "react": 4, "unreact": 1, "member": 2}
        with self.room.stack.client(tries=TRIES) as client:
            while not self.over.wait(rng.expovariate(1 / self.plan.write_seconds)):
                way = rng.choices(list(ways), list(ways.values()))[0]
                self.counts[way] += 1
                getattr(self, f"_{way}")(client, rng)

    def _post(self, client: Client, rng: random.Random) -> None:
        log_id, user = rng.choice(self.room.logs), rng.choice(self.room.stayers)
        key = f"{self.number}-{self.counts['post']}"
        if made := self.room.post(client, log_id, user, f"{key} {'🐦' * rng.randint(1, 200)}", key):
            self._own.append((keys.channel_of_log(log_id), user, made))

    def _edit(self, client: Client, rng: random.Random) -> None:
        if self._own:
            channel_id, user, message_id = rng.choice(self._own)
            body = {"text": f"edited {self.counts['edit']} times"}
            self.room.call(client, "PATCH", _path(channel_id, message_id), user, body)

    def _delete(self, client: Client, rng: random.Random) -> None:
        if self._own:
            channel_id, user, message_id = self._own.pop(rng.randrange(len(self._own)))
            path = _path(channel_id, message_id)
            self._reacted = [each for each in self._reacted if not each[1].startswith(path)]
            self.room.call(client, "DELETE", path, user)

    def _react(self, client: Client, rng: random.Random) -> None:
        if self._own:
            channel_id, _, message_id = rng.choice(self._own[-50:])
            user = rng.choice(self.room.stayers)
            path = f"{_path(channel_id, message_id)}/reactions/{quote(rng.choice(EMOJI))}/me"
            self.room.call(client, "PUT", path, user)
            self._reacted.append((user, path))

    def _unreact(self, client: Client, rng: random.Random) -> None:
        if self._reacted:
            user, path = self._reacted.pop(rng.randrange(len(self._reacted)))
            self.room.call(client, "DELETE", path, user)

    def _member(self, client: Client, rng: random.Random) -> None:
        """Removes a user from a channel, or adds one again; each user belongs to one writer."""
        movers = self.room.movers[self.number :: self.plan.writers]
        if not movers:
            return
        channel_id, user = rng.choice(self.room.channels), rng.choice(movers)
        path = f"/v1/channels/{channel_id}/members/{user}"
        if self.room.outsiders.knows(channel_id, user):
            self.room.outsiders.returns(channel_id, user)
            self.room.call(client, "PUT", path, OWNER, {})
        elif self.room.call(client, "DELETE", path, OWNER).status < HTTPStatus.BAD_REQUEST:
            self.room.outsiders.removed(channel_id, user, now_ms())


def _path(channel_id: str, message_id: str) -> str:
    return f"/v1/channels/{channel_id}/messages/{message_id}"


class Faults:
    """Arms one combination of faults after another, and kills the engine once."""

    def __init__(self, stack: RunningStack, seconds: float, over: threading.Event) -> None:
        self._stack = stack
        self._seconds = seconds
        self._over = over
        self.engine_killed = 0

    def run(self) -> None:
        """Until the run is over; then there are none."""
        rng, began = random.Random(SEED), time.monotonic()
        pause = min(FAULT_SECONDS, self._seconds / 2 / len(FAULTS))
        number = 0
        while not self._over.is_set():
            self.arm({**FAULTS[number % len(FAULTS)], "seed": rng.randrange(1 << 30)})
            number += 1
            self._over.wait(pause)
            if not self.engine_killed and time.monotonic() - began > self._seconds * ENGINE_KILLED:
                self.engine_killed = 1
                self._stack.kill_engine(dynamodb.MINISTACK)
        self.arm({})

    def arm(self, chances: Mapping[str, float] | None = None) -> dict[str, Any]:
        """Replaces the faults; without any tells what has come of them."""
        with self._stack.client(tries=TRIES) as client:
            method = "GET" if chances is None else "PUT"
            found = client.call(method, "/realtime/@faults", body=chances)
        if found.status != HTTPStatus.OK:
            raise RuntimeError(f"the gateway takes no faults: {found.status}")
        return dict(found.json)


# --- the end ---


@dataclass(frozen=True, slots=True)
class Log:
    """A log as REST gives it."""

    messages: dict[int, bytes]
    ids: frozenset[str]
    seq: int
    rev: int


def read(room: Room, log_id: str) -> Log:
    """All of a log."""
    messages: dict[int, bytes] = {}
    ids: set[str] = set()
    position = 0
    with room.stack.client(tries=TRIES) as client:
        while True:
            page = client.call("GET", f"{path_of(log_id)}?after={position}&limit={LIMIT}", OWNER).json
            messages |= {each["seq"]: dumps(each) for each in page["messages"]}
            ids |= {each["id"] for each in page["messages"]}
            position = page["last_seq"]
            if not page["has_more_after"]:
                return Log(messages, frozenset(ids), position, page["channel_last_rev"])


def difference(client: PushClient, log_id: str, log: Log) -> str:
    """What a client shows of a log that REST does not give, or the other way round; empty if nothing."""
    followed = client.follower.logs[log_id]
    if (followed.seq, followed.rev) != (log.seq, log.rev):
        return f"{followed.seq} and {followed.rev} instead of {log.seq} and {log.rev}"
    there = {seq: body for seq, body in log.messages.items() if seq >= followed.first}
    wrong = [seq for seq in sorted({*there, *followed.shown}) if there.get(seq) != followed.shown.get(seq)]
    return f"messages {wrong[:5]}" if wrong else ""


def compare(room: Room, crowd: Crowd) -> tuple[int, list[str]]:
    """How many logs the clients show, and what differs."""
    logs = {log_id: read(room, log_id) for log_id in room.logs}
    compared, found = 0, []
    for each in crowd.clients:
        for log_id in each.follower.logs:
            compared += 1
            if room.outsiders.knows(keys.channel_of_log(log_id), each.user_id):
                found.append(f"{each.user_id} shows {log_id}, which it may not read")
            elif text := difference(each, log_id, logs[log_id]):
                found.append(f"{each.user_id}, {log_id}: {text}")
    lost = [each for log_id, ids in room.posted.items() for each in ids - logs[log_id].ids]
    return compared, found + [f"lost: {each}" for each in lost]


def left_behind(stack: RunningStack) -> dict[str, list[dict[str, Any]]]:
    """The items of watches and connections in the table."""
    pages = (
        dynamodb.client(stack.dynamodb_url)
        .get_paginator("scan")
        .paginate(
            TableName=TABLE,
            FilterExpression="begins_with(sk, :w) or begins_with(pk, :n) or begins_with(pk, :o)",
            ExpressionAttributeValues={
                ":w": {"S": keys.WATCHES},
                ":n": {"S": keys.CONNECTIONS},
                ":o": {"S": keys.connections_pk("")},
            },
        )
    )
    found: dict[str, list[dict[str, Any]]] = {"watches": [], "connections": [], "tickets": []}
    for item in (each for page in pages for each in page["Items"]):
        is_watch = item["sk"]["S"].startswith(keys.WATCHES)
        is_ticket = item["sk"]["S"] == keys.TICKET_SK
        found["watches" if is_watch else "tickets" if is_ticket else "connections"].append(item)
    return found


def judge_ends(room: Room, faults: Faults) -> dict[str, Any]:
    """What is left of connections when all have been closed, after the functions of their ends have run."""
    deadline = time.monotonic() + QUIET_SECONDS
    while True:
        state, left = faults.arm(), left_behind(room.stack)
        untold = set(state["untold"])
        # A user's items and a connection's own outlive a `$connect` whose answer was lost; they have no watches.
        unexplained = [each for each in left["watches"] if keys.watch_of(each["sk"]["S"])[1] not in untold]
        if (not state["open"] and not unexplained) or time.monotonic() > deadline:
            break
        time.sleep(1)
    items = [each for some in left.values() for each in some]
    latest = now_ms() // 1000 + CONNECTION_SECONDS
    store = DynamoDBStore(BotocoreClient(dynamodb.client(room.stack.dynamodb_url)), TABLE)
    heeded = [watch for each in room.channels for watch in store.watches(each, latest * 1000)]
    return {
        "open_at_the_end": state["open"],
        "untold_ends": len(untold),
        "statuses_of_ends": dict(
            Counter(re.findall(r"\$disconnect \d+ (\d+)", (room.stack.directory / "stack.log").read_text()))
        ),
        "struck": state["struck"],
        "watches_left": len(left["watches"]),
        "connections_left": len(left["connections"]),
        "watches_unexplained": len(unexplained),
        "without_an_end": sum(not _ends_by(each, latest) for each in items),
        "watches_heeded_after_their_end": len(heeded),
    }


def _ends_by(item: Mapping[str, Any], latest: int) -> bool:
    return int(item.get("expires", {"N": latest + 1})["N"]) <= latest


def measure(plan: Plan) -> dict[str, Any]:
    """All of it."""
    with (
        tempfile.TemporaryDirectory() as state,
        running_stack(
            Path(state),
            DYNAMODB_ENGINE=dynamodb.MINISTACK,
            REALTIME_CONNECTION_SECONDS=str(plan.life),
            REALTIME_IDLE_SECONDS=str(plan.life),
            THROTTLE_RATE="100000",
            RATE_LIMIT_PER_SECOND="1000",
            RATE_LIMIT_BURST="1000",
            LOG_LEVEL="CRITICAL",
            POWERTOOLS_TRACE_DISABLED="true",
            CACHE_MEMORY_BYTES=str(1024 * 1024),
            # By default glibc keeps free memory for each of hundreds of threads, which takes long to become flat.
            MALLOC_ARENA_MAX="2",
        ) as stack,
    ):
        room, over = Room(stack, plan), threading.Event()
        faults = Faults(stack, plan.seconds, over)
        writers = [Writer(room, number, plan, over) for number in range(plan.writers)]
        works = [faults.run, *(each.run for each in writers)]
        with Crowd(stack.client, plan.ping_seconds, room.outsiders) as crowd:
            people = [*room.movers, *room.stayers]
            crowd.open(
                [
                    PushClient(
                        crowd,
                        people[number % len(people)],
                        room.logs,
                        plan.shown,
                        f"{SEED} {number}",
                        is_live=number % 5 == 0,
                    )
                    for number in range(plan.connections)
                ]
            )
            began, rounds = time.monotonic(), 0
            with Watch(stack.pid) as watch, ThreadPoolExecutor(len(works)) as workers:
                under_way = [workers.submit(work) for work in works]
                _wait(plan.seconds, crowd, watch)
                samples = list(watch.samples)
                over.set()
            for each in under_way:
                each.result()
            for _ in range(ROUNDS):
                rounds += 1
                unanswered = crowd.catch_up()
                compared, differences = compare(room, crowd)
                if not unanswered and not differences:
                    break
                _say(
                    f"after {rounds} pings: {unanswered} unanswered, {len(differences)} differ: {differences[:3]}"
                )
            crowd.leave()
            ends = judge_ends(room, faults)
        return {
            "seconds": round(time.monotonic() - began, 1),
            "writes": dict(sum((each.counts for each in writers), Counter())),
            "statuses": {str(status): count for status, count in sorted(room.statuses.items())},
            "clients": dict(sorted(crowd.counts.items())),
            "lag_ms": _lag(crowd),
            "engine_killed": faults.engine_killed,
            **ends,
            **trends(samples),
            "rounds": rounds,
            "unanswered": unanswered,
            "compared": compared,
            "differences": len(differences),
            "overheard": crowd.counts["overheard"],
            "crashes": sum(count for name, count in crowd.counts.items() if name.startswith("crash")),
            "failed_writes": len(room.unexpected),
            "notes": [*differences, *room.unexpected][:10],
        }


def _wait(seconds: float, crowd: Crowd, watch: Watch) -> None:
    began = time.monotonic()
    while (left := seconds - (time.monotonic() - began)) > 0:
        time.sleep(min(30.0, left))
        _say(
            f"{time.monotonic() - began:5.0f} s  lag {_lag(crowd)} ms  {watch.samples[-1]}  {dict(crowd.counts)}"
        )


def _lag(crowd: Crowd) -> float:
    """The median of the latest messages' way to the clients, in milliseconds."""
    return statistics.median(list(crowd.lags_ms) or [0])


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def targets(results: Mapping[str, Any]) -> dict[str, bool]:
    """What must be true."""
    return {
        "0 differences: clients show what REST gives, with all that was acknowledged": (
            results["differences"] == 0 < results["compared"] and results["unanswered"] == 0
        ),
        "0 messages to users whose removal had been acknowledged": results["overheard"] == 0,
        "the engine was killed, and the dispatcher before, amid and after its sending": (
            results["engine_killed"] > 0
            and all(results["struck"].get(f"killed_{when}") for when in ("before", "amid", "after"))
        ),
        "no watch is left of a connection whose end a function was told of": (
            results["watches_unexplained"] == results["open_at_the_end"] == 0
        ),
        "what is left has an end, after which nobody heeds it": (
            results["without_an_end"] == results["watches_heeded_after_their_end"] == 0
        ),
        "every write succeeded in the end; no client crashed": (
            results["failed_writes"] == results["crashes"] == 0
        ),
        **flat(results),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Soaks, prints, and says whether the targets were met."""
    parser = command.parser("push for a long time, with faults")
    parser.add_argument("--minutes", type=float, default=FULL.seconds / 60)
    options = parser.parse_args(arguments)
    plan = TINY if options.tiny else replace(FULL, seconds=60 * options.minutes)
    results = measure(plan)
    text = table(["", ""], [(name.replace("_", " "), value) for name, value in results.items()])
    return command.finish(options, {"bench": "soak of push", **results}, targets(results), text)


if __name__ == "__main__":
    sys.exit(main())
