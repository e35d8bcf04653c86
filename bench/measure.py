"""The capacity planner's figures, measured on the day of ``bench.cache``: ``python -m bench.measure``.

Plays the day of each number of users with Budgie's cache and, for the smallest number, without a cache. Averages for
each kind of request: DynamoDB units, billed milliseconds, bytes of responses and of log lines. What does not grow with
requests (Redis commands, bytes moved to and from Redis, cold starts) is kept for each number of users. Polls without
news are measured apart, as the day has none; so are the operations of realtime, over ministack. Writes
``operators/measured.json``.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from itertools import islice
from pathlib import Path
from typing import Any, Final

from bench.cache import BUDGIE, DAY_MS, NONE, SETTINGS, Day, Trace
from bench.lib import realtime
from bench.lib.command import parser, progress
from bench.lib.dynamodb import running
from bench.lib.functions import ROOT, Ask
from local.dynamodb.engine import MINISTACK
from operators.capacity_plan import BURST_SECONDS, MEASURED, Workload, measured

ROUNDS: Final = 30
"""Of realtime's operations."""
POLLS: Final = 200
"""Most users that poll."""
COLD_START: Final = """
import time
started = time.process_time()
import functions.fetch_messages.handler
from shared.bootstrap import services
services()
print((time.process_time() - started) * 1000)
"""
LAMBDA: Final = {
    "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1",
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
}
"""The environment of a container, without the developer's AWS settings, which would load other clients."""


def poll(day: Day, count: int) -> None:
    """Polls for messages after the last one when there are none: 304."""
    at = day.clock.ms
    for user in islice(day.trace.users, count):
        channel = day.channels[day.trace.channels_of[user][0]]
        ask = Ask("GET", f"/v1/channels/{channel}/messages?after={day.store.heads_now()[channel].seq}", user)
        etag = day.served("page", ask, at)[0].headers["etag"]
        reply, _, took = day.served("page", replace(ask, headers={"if-none-match": etag}), at)
        assert reply.status == HTTPStatus.NOT_MODIFIED
        day.tally.add("poll", at, reply, took)


def busiest(units: Mapping[int, int]) -> int:
    """Of units by second, those of the busiest 300 s, which a provisioned table must be able to burst."""
    return max(sum(units.get(last - i, 0) for i in range(BURST_SECONDS)) for last in units)


def measure(users: int, strategy: str) -> dict[str, Any]:
    """The second of two days, when the caches hold what a day leaves in them, by kinds of requests."""
    day = Day(Trace(Workload(users)), strategy)
    _, result = day.run()
    most = {kind: busiest(units) for kind, units in day.tally.seconds.items()}
    poll(day, min(POLLS, users))
    kept = ("requests", "cold_starts", "redis_commands", "redis_by_reason", "hit_rate", "stored_bytes")
    entries = day.store.entries(day.channels[0], 1, day.store.heads_now()[day.channels[0]].seq)
    return {
        "users": users,
        **{name: result[name] for name in (*kept, "redis_bytes_moved")},
        "busiest_300_s": most,
        "kinds": {kind: cost.each() for kind, cost in day.tally.kinds.items()},
        "message_bytes": round(statistics.mean(len(each.body) for each in entries if each.body), 1),
    }


def realtime_operations() -> dict[str, Any]:
    """What realtime's operations take."""
    with running(MINISTACK) as dynamodb:
        return realtime.measure(dynamodb, ROUNDS)


def cold_start_ms(rounds: int) -> float:
    """CPU milliseconds until a new container can serve its first request; the least of some rounds."""
    command, env = [sys.executable, "-c", COLD_START], {"PATH": os.environ["PATH"], **LAMBDA}
    runs = [
        subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)  # noqa: S603 - our own text
        for _ in range(rounds)
    ]
    return round(min(float(run.stdout.splitlines()[-1]) for run in runs), 1)


def main() -> int:
    """Measures each number of users, and writes the figures for the planner."""
    arguments = parser(main.__doc__ or "")
    arguments.add_argument("--users", type=int, nargs="+", default=[100, 1000, 4000])
    arguments.add_argument("--out", type=Path, default=MEASURED)
    options = arguments.parse_args()
    numbers = [20] if options.tiny else sorted(options.users)
    scales = [measure(users, BUDGIE) for users in progress(numbers, "numbers of users")]
    uncached = measure(numbers[0], NONE)
    # Without an engine in the tiny form; `bench.cost --tiny` has one and measures them.
    pushed = measured().found["realtime"] if options.tiny else realtime_operations()
    found = {
        "by": "python -m bench.measure",
        "day_ms": DAY_MS,
        "memory_bytes": SETTINGS.cache_memory_bytes,
        "cold_start_ms": cold_start_ms(1 if options.tiny else 5),
        "uncached": uncached,
        "realtime": pushed,
        "scales": scales,
    }
    options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found) if options.json else f"wrote {options.out.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
