"""What operations cost, measured on the day of ``bench.day``: writes ``bench/measured.json`` for ``bench.capacity``.

``python -m bench.measure --users 100 1000 4000`` plays the day with our cache and, at the smallest number of users,
without one, and divides by requests of each kind: DynamoDB's units, billed milliseconds, bytes of answers and of log
lines. What does not grow with requests (Redis commands, bytes moved to and from Redis, containers started) is kept for
each number of users. A poll that finds nothing new is measured apart, as the day has none.
"""

from __future__ import annotations

import io
import json
import os
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from http import HTTPStatus
from itertools import islice
from pathlib import Path
from typing import Any, Final

from bench.capacity_plan import BURST_SECONDS
from bench.costs import MEASURED
from bench.day import SETTINGS, Day
from bench.fleet import Answer, event
from bench.report import parser
from bench.sim_redis import Database
from bench.trace import DAY_MS, START_MS, Request, Trace, Workload
from bench.ttl_del import PeerServices

POLLS: Final = 200
COLD_START: Final = """
import time
started = time.process_time()
import functions.fetch_messages.handler
from shared.services import services
services()
print((time.process_time() - started) * 1000)
"""


LAMBDA: Final = {
    "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1",
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
}
"""What a container finds set, and nothing of the developer's, with which other clients would be loaded."""


class Lines(io.TextIOBase):
    """Where log lines go: counts their bytes."""

    def __init__(self) -> None:
        self.bytes = 0

    def write(self, text: str) -> int:
        """Counts."""
        self.bytes += len(text.encode())
        return len(text)


class CountingDatabase(Database):
    """Counts the bytes that values take on the wire, either way."""

    moved = 0

    def run(self, now: int, command: str, arguments: tuple[Any, ...]) -> object:
        """See ``Database``."""
        answer = super().run(now, command, arguments)
        value = arguments[1] if command == "SET" else answer
        self.moved += len(value) if isinstance(value, str) else 0
        return answer


@dataclass
class Cost:
    """Of one kind of request: sums of a day."""

    requests: int = 0
    read_units: float = 0.0
    write_units: float = 0.0
    ms: float = 0.0
    bytes_out: int = 0
    log_bytes: int = 0

    def each(self) -> dict[str, float]:
        """Of one request on average."""
        count = max(self.requests, 1)
        return {
            name: round(total / count, 3) for name, total in asdict(self).items() if name != "requests"
        } | {"requests": self.requests}


class MeasuredDay(Day):
    """A day that is accounted for by kinds of requests."""

    def __init__(self, trace: Trace, strategy: str, lines: Lines) -> None:
        super().__init__(trace, strategy, outage=False)
        self.database = self.counting = CountingDatabase()
        self._lines = lines
        self._bytes_out = 0
        self._begin()

    def _begin(self) -> None:
        self.kinds = {kind: Cost() for kind in self._functions}
        self.seconds: dict[str, Counter[int]] = {"read": Counter(), "write": Counter()}
        self.counting.moved = 0

    def _day(self, requests: Sequence[Request]) -> dict[str, Any]:
        self._begin()
        return super()._day(requests)

    def _step(self, request: Request, posters: PeerServices) -> None:
        before = self._sums()
        super()._step(request, posters)
        self._account(request.kind, request.at, before)

    def _account(self, kind: str, at: int, before: tuple[float, ...]) -> None:
        read, write, took, out, logged = (now - then for now, then in zip(self._sums(), before, strict=True))
        cost = self.kinds.setdefault(kind, Cost())
        cost.requests += 1
        cost.read_units += read
        cost.write_units += write
        cost.ms += took
        cost.bytes_out += round(out)
        cost.log_bytes += round(logged)
        second = (at - START_MS) // 1000
        self.seconds["read"][second] += round(read)
        self.seconds["write"][second] += round(write)

    def _sums(self) -> tuple[float, ...]:
        tally = self.tally
        return tally.read_units, tally.write_units, tally.billed_ms, self._bytes_out, self._lines.bytes

    def _count(self, answer: Answer) -> None:
        super()._count(answer)
        if answer.body is not None:
            text = json.dumps(answer.body, ensure_ascii=False, separators=(",", ":"))
            self._bytes_out += len(text.encode())

    def poll(self, count: int = POLLS) -> None:
        """Asks for what came after the last message when nothing did: 304."""
        function = self._functions["page"]
        at = self.clock.ms
        for user in islice(self.trace.users, count):
            channel = self.channels[self.trace.channels_of[user][0]]
            last = self.store.heads_now()[channel].seq
            made = event("GET", f"/v1/channels/{channel}/messages", user, f"after={last}")
            first = function.invoke(function.container(at), made)
            made["headers"]["if-none-match"] = first.headers["etag"]
            self.stopwatch.lap()
            before = self._sums()
            answer = function.invoke(function.container(at), made)
            assert answer.status == HTTPStatus.NOT_MODIFIED
            self._count(answer)
            self.tally.billed_ms += self.stopwatch.lap() + answer.cpu_ms
            self._account("poll", at, before)

    def busiest(self, kind: str) -> int:
        """Units of the busiest 300 s of the day, which is what a provisioned table must have in hand."""
        found, window, total = 0, Counter[int](), 0
        counts = self.seconds[kind]
        for second in sorted(counts):
            window[second] = counts[second]
            total += counts[second]
            for old in [each for each in window if each <= second - BURST_SECONDS]:
                total -= window.pop(old)
            found = max(found, total)
        return found


def measure(users: int, strategy: str, lines: Lines, workload: Workload | None = None) -> dict[str, Any]:
    """The second of two days, when the caches have what a day leaves in them."""
    workload = workload or Workload(users)
    day = MeasuredDay(Trace(workload), strategy, lines)
    _, result = day.run()
    moved = day.counting.moved
    busiest = {kind: day.busiest(kind) for kind in day.seconds}
    day.poll(min(POLLS, users))
    kept = ("requests", "cold_starts", "redis_commands", "redis_by_reason", "hit_rate", "stored_bytes")
    return {
        "users": users,
        **{name: result[name] for name in kept},
        "redis_bytes_moved": moved,
        "busiest_300_s": busiest,
        "kinds": {kind: cost.each() for kind, cost in day.kinds.items()},
        "message_bytes": round(statistics.mean(_message_sizes(day)), 1),
    }


def _message_sizes(day: MeasuredDay) -> list[int]:
    channel = day.channels[0]
    entries = day.store.entries(channel, 1, day.store.heads_now()[channel].seq)
    return [len(each.body) for each in entries if each.body]


def cold_start_ms(rounds: int = 5) -> float:
    """The processor's milliseconds until a new container could take its first request; the least of some rounds."""
    runs = [
        subprocess.run(  # noqa: S603 - our own text
            [sys.executable, "-c", COLD_START],
            cwd=MEASURED.parents[1],
            env={"PATH": os.environ["PATH"], **LAMBDA},
            capture_output=True,
            text=True,
            check=True,
        )
        for _ in range(rounds)
    ]
    return round(min(float(run.stdout.splitlines()[-1]) for run in runs), 1)


def main() -> int:
    """Measures, and writes the figures where ``bench.capacity`` reads them."""
    arguments = parser(main.__doc__ or "")
    arguments.add_argument("--users", type=int, nargs="+", default=[100, 1000, 4000])
    arguments.add_argument("--out", type=Path, default=MEASURED)
    options = arguments.parse_args()
    lines, scales = Lines(), []
    wanted = [20] if options.tiny else sorted(options.users)
    with redirect_stdout(lines):
        for users in wanted:
            print(f"{users} users", file=sys.stderr, flush=True)
            scales.append(measure(users, "vouched", lines))
        uncached = measure(wanted[0], "none", lines)
    found = {
        "by": "python -m bench.measure",
        "day_ms": DAY_MS,
        "memory_bytes": SETTINGS.cache_memory_bytes,
        "cold_start_ms": cold_start_ms(1 if options.tiny else 5),
        "uncached": uncached,
        "scales": scales,
    }
    options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found) if options.json else f"wrote {options.out.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
