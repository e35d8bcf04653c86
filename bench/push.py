"""Push on the local stack: ``python -m bench.push [--json] [--check] [--tiny]``.

The stack of `make run` in a process of its own, and real WebSocket clients in this one. For 1, 10, 100 and 1,000
watchers of one channel, and for 100 channels with 10 watchers each: the lag from the acknowledged post to each frame,
frames and bytes for each post, and the CPU time of the stack's process for each delivery, in which everything that AWS
would do is included. Then a burst of posts, whose frames must hold many of them.

The stack computes in one thread at a time, so the lag grows with the watchers: as fast as ``MS_A_WATCHER`` says.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from bench.lib.command import finish, parser, progress
from bench.lib.sockets import Socket, Sockets
from bench.lib.timing import percentile
from local.demo.client import Client
from local.dynamodb.engine import MINISTACK, default_engine
from local.running import RunningStack, running_stack
from shared.domain.realtime import MAX_CONNECTIONS

OWNER: Final = "owner"
LAG_MS: Final = 300.0
"""The p99 of the lag that 100 watchers may see."""
FRAMES_A_POST: Final = 0.2
"""Frames that a connection gets for each post of a burst, at most."""
BURST: Final = 200
BURST_WRITERS: Final = 4
MS_A_WATCHER: Final = 2.0
"""By which the median lag may grow for each watcher of a channel: what the stack computes for a delivery."""
WAIT_SECONDS: Final = 60.0
"""Longer than any frame takes."""
CLOCK_TICKS: Final = os.sysconf("SC_CLK_TCK")
FOR_ALL: Final = {
    "RATE_LIMIT_PER_SECOND": "1000",
    "RATE_LIMIT_BURST": "100000",
    "THROTTLE_RATE": "100000",
    "POWERTOOLS_TRACE_DISABLED": "true",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything."""

    watchers: Sequence[int]
    channels: int
    watchers_a_channel: int
    posts: int
    burst: int


FULL: Final = Plan((1, 10, 100, 1_000), channels=100, watchers_a_channel=10, posts=50, burst=BURST)
TINY: Final = Plan((1, 4), channels=2, watchers_a_channel=2, posts=3, burst=20)


@dataclass
class Arrivals:
    """When each message came to each connection: nanoseconds by message id, and frames and bytes of news."""

    times: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    frames: int = 0
    frame_bytes: int = 0
    watching: int = 0
    refused: list[Socket] = field(default_factory=list)
    """Whose frame got an error; it may be repeated."""
    changed: threading.Condition = field(default_factory=threading.Condition)

    def take(self, socket: Socket, frame: bytes, came: int) -> None:
        """Takes a frame."""
        told = json.loads(frame)
        kind = told.get("type", "error")  # what API Gateway itself says has no type
        with self.changed:
            if kind == "watching":
                self.watching += len(told["channels"])
            elif kind == "error":
                self.refused.append(socket)
            elif kind == "news":
                self.frames += 1
                self.frame_bytes += len(frame)
                for channel in told["channels"]:
                    for run in channel.get("messages", ()):
                        for message in run["messages"]:
                            self.times[message["id"]].append(came)
            self.changed.notify_all()

    def has_come(self, message_id: str, connections: int) -> bool:
        """Whether a message has come to so many connections."""
        return len(self.times[message_id]) >= connections

    def wait_for(self, condition: Callable[[], bool]) -> bool:
        """Waits until it holds; False if it does not within ``WAIT_SECONDS``."""
        with self.changed:
            return self.changed.wait_for(condition, WAIT_SECONDS)


class Room:
    """Channels and those who watch them, on a running stack."""

    def __init__(self, stack: RunningStack) -> None:
        self._stack = stack
        self._client = stack.client(tries=30)

    def channel(self, members: Sequence[str]) -> str:
        """A new channel with an owner and these members."""
        body = {"kind": "private", "name": "watched"}
        made = self._client.call("POST", "/v1/channels", OWNER, body=body)
        channel_id: str = made.json["id"]
        for user in dict.fromkeys(members):
            put = self._client.call("PUT", f"/v1/channels/{channel_id}/members/{user}", OWNER, body={})
            if put.status not in {200, 201}:
                raise RuntimeError(f"no member: {put.status} {put.body!r}")
        return channel_id

    @contextmanager
    def watched(self, users: Sequence[str], channels: Sequence[str]) -> Iterator[Arrivals]:
        """Connections of these users, each of which watches all of the channels."""
        arrivals, due = Arrivals(), len(users) * len(channels)
        with Sockets(self._client, arrivals.take) as sockets:
            for socket in sockets.connect(users):
                sockets.watch(socket, channels)
            while arrivals.watching < due:
                if not arrivals.wait_for(lambda: arrivals.watching >= due or bool(arrivals.refused)):
                    raise RuntimeError(f"{arrivals.watching} of {due} watches began")
                refused, arrivals.refused = arrivals.refused, []
                for socket in refused:
                    sockets.watch(socket, channels)
            yield arrivals

    def post(self, client: Client, channel_id: str, number: int) -> tuple[str, int]:
        """Posts a message; its id, and when it was acknowledged."""
        body = {"text": f"message {number}"}
        response = client.call("POST", f"/v1/channels/{channel_id}/messages", OWNER, body=body)
        acknowledged = time.monotonic_ns()
        if response.status != 201:  # noqa: PLR2004 - Created
            raise RuntimeError(f"not posted: {response.status} {response.body!r}")
        return response.json["id"], acknowledged

    def cpu_ms(self) -> float:
        """CPU time of the stack's process so far."""
        fields = Path(f"/proc/{self._stack.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * 1000 / CLOCK_TICKS

    def one_by_one(
        self, channels: Sequence[str], each_has: int, posts: int, arrivals: Arrivals
    ) -> dict[str, Any]:
        """Posts that each wait until the one before has come to everybody."""
        lags, slowest, began = [], [], self.cpu_ms()
        with self._stack.client() as client:
            for i in progress(range(posts), f"posts to {each_has}"):
                posted, acknowledged = self.post(client, channels[i % len(channels)], i)
                if not arrivals.wait_for(partial(arrivals.has_come, posted, each_has)):
                    raise RuntimeError(f"came to {len(arrivals.times[posted])} of {each_has}")
                # A frame may be faster than the response to the post.
                found = [max(0, came - acknowledged) / 1e6 for came in arrivals.times[posted]]
                lags += found
                slowest.append(max(found))
        deliveries = posts * each_has
        return {
            "watchers": each_has,
            "posts": posts,
            "lag_p50_ms": round(statistics.median(lags), 1),
            "lag_p99_ms": round(percentile(lags, 99), 1),
            "slowest_p50_ms": round(statistics.median(slowest), 1),
            "frames_a_post": round(arrivals.frames / posts, 2),
            "bytes_a_frame": round(arrivals.frame_bytes / max(1, arrivals.frames)),
            "cpu_ms_a_delivery": round((self.cpu_ms() - began) / deliveries, 2),
        }

    def at_once(self, channel_id: str, watchers: int, posts: int, arrivals: Arrivals) -> dict[str, Any]:
        """A burst of posts."""

        def some(writer: int) -> list[tuple[str, int]]:
            with self._stack.client() as client:
                return [self.post(client, channel_id, i) for i in range(writer, posts, BURST_WRITERS)]

        began = time.monotonic()
        with ThreadPoolExecutor(BURST_WRITERS) as writers:
            posted = [each for part in writers.map(some, range(BURST_WRITERS)) for each in part]
        seconds = time.monotonic() - began
        came = arrivals.wait_for(lambda: all(len(arrivals.times[each]) >= watchers for each, _ in posted))
        lags = [
            max(0, at - acknowledged) / 1e6 for each, acknowledged in posted for at in arrivals.times[each]
        ]
        return {
            "watchers": watchers,
            "posts": posts,
            "posts_a_second": round(posts / seconds, 1),
            "all_came": came,
            "frames_a_post_and_connection": round(arrivals.frames / posts / watchers, 3),
            "lag_p50_ms": round(statistics.median(lags), 1),
            "lag_p99_ms": round(percentile(lags, 99), 1),
        }


def users(connections: int) -> list[str]:
    """The user of each connection: as many as may share one share it."""
    return [f"watcher-{i // MAX_CONNECTIONS}" for i in range(connections)]


def measured(plan: Plan, engine: str) -> dict[str, Any]:
    """All of it."""
    with (
        tempfile.TemporaryDirectory() as state,
        running_stack(Path(state), DYNAMODB_ENGINE=engine, **FOR_ALL) as stack,
    ):
        room = Room(stack)
        one = []
        for count in plan.watchers:
            channel_id = room.channel(users(count))
            with room.watched(users(count), [channel_id]) as arrivals:
                one.append(room.one_by_one([channel_id], count, plan.posts, arrivals))
        burst_watchers = plan.watchers[min(1, len(plan.watchers) - 1)]
        channel_id = room.channel(users(burst_watchers))
        with room.watched(users(burst_watchers), [channel_id]) as arrivals:
            burst = room.at_once(channel_id, burst_watchers, plan.burst, arrivals)
        people = users(plan.watchers_a_channel)
        channels = [room.channel(people) for _ in progress(range(plan.channels), "channels")]
        with room.watched(people, channels) as arrivals:
            many = room.one_by_one(channels, plan.watchers_a_channel, plan.posts, arrivals)
    return {
        "engine": engine,
        "one_channel": one,
        "burst": burst,
        "many_channels": {"channels": plan.channels, **many},
        "ms_a_watcher": round(slope(one), 3),
    }


def slope(runs: Sequence[Mapping[str, Any]]) -> float:
    """By how much the median of the slowest delivery grows for each watcher, from the smallest to the largest run."""
    first, last = runs[0], runs[-1]
    return float((last["slowest_p50_ms"] - first["slowest_p50_ms"]) / (last["watchers"] - first["watchers"]))


def targets(results: Mapping[str, Any]) -> dict[str, bool]:
    """Of the lag, of frames in a burst, and of growth."""
    burst = results["burst"]
    found = {
        f"p99 of the lag to {each['watchers']} watchers at most {LAG_MS:g} ms": each["lag_p99_ms"] <= LAG_MS
        for each in results["one_channel"]
        if each["watchers"] in {1, 10, 100}
    }
    found[f"every post of a burst of {burst['posts']} came"] = burst["all_came"]
    if burst["posts"] >= BURST:
        # Few posts come in as many batches as there are of them.
        per_post = burst["frames_a_post_and_connection"]
        found[f"at most {FRAMES_A_POST} frames a post and connection in a burst"] = per_post <= FRAMES_A_POST
    if len(results["one_channel"]) == len(FULL.watchers):
        found[f"the lag grows by at most {MS_A_WATCHER:g} ms a watcher"] = (
            results["ms_a_watcher"] <= MS_A_WATCHER
        )
    return found


def main() -> int:
    """Measures push; with ``--check`` exits with 1 if a target is missed."""
    options = parser(main.__doc__ or "").parse_args()
    plan, engine = (TINY, MINISTACK) if options.tiny else (FULL, default_engine())
    results = measured(plan, engine)
    return finish(options, results, targets(results))


if __name__ == "__main__":
    sys.exit(main())
