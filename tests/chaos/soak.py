"""A long mixed load with faults: `python -m tests.chaos.soak --minutes 30`.

The stack is a process of its own; its DynamoDB is an engine behind a proxy that throttles, fails and loses answers, and
its Upstash endpoint plays one fault after the other. Clients repeat what was refused, posts under their keys. Nothing
may grow but the log, and every page is checked against all that was acknowledged.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from bench.lib import command
from local.dynamodb import engine as dynamodb
from local.dynamodb.faults import Chances, FaultyDynamoDB
from local.processes import Processes
from local.running import RunningStack, running_stack
from operators.capacity import table
from tests.chaos.mixed import Mixed
from tests.chaos.open_loop import Call, Caller
from tests.chaos.watching import MEGABYTE, Sample, Watch, trend

MINUTES: Final = 30.0
CLIENTS: Final = 4
PAUSE_SECONDS: Final = 0.1
"""Of a client between two requests, on average."""
TRIES: Final = 40
REFUSED_PAUSE_SECONDS: Final = 0.25
FAULT_SECONDS: Final = 5.0
"""How long each combination of faults lasts."""
SEED: Final = 17
BAD_DAY: Final = Chances(throttled=0.05, failed=0.02, lost=0.02)
WORSE_DAY: Final = Chances(throttled=0.3, failed=0.1, lost=0.05)
DYNAMODB: Final = (Chances(), BAD_DAY, BAD_DAY, WORSE_DAY)
REDIS: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"kind": "latency", "ms": 20, "max_ms": 400},
    {"kind": "hang", "probability": 0.3},
    {"kind": "status", "status": 502, "probability": 0.5, "executed": True},
    {"kind": "garbage", "probability": 0.5},
    {"kind": "garbage", "form": "short", "probability": 0.5},
    {"kind": "die", "probability": 0.5, "executed": True},
    {"kind": "capacity"},
    {"kind": "refuse", "seconds": 3},
)
"""Faults that come and go. A wrong token and a used-up quota are not among them: they open the breaker for long."""
CACHE_BYTES: Final = MEGABYTE
"""Of each function's memory for pages: so little that it is full before the warm-up is over."""
WARM_UP: Final = 1 / 3
"""The part of the time in which caches, threads and connections come to be; what follows must be flat."""
MOST_GROWTH: Final = {"rss": 8.0 * MEGABYTE, "threads": 4.0, "files": 8.0}
"""By which the line through the samples may rise after that, all in all: what the log's pages take, and noise."""


@dataclass
class ClientPool:
    """Concurrent clients, and the statuses that they got."""

    mixed: Mixed
    url: str
    over: threading.Event = field(default_factory=threading.Event)
    statuses: Counter[int] = field(default_factory=Counter)
    unanswered: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _number: int = 0

    def client(self, number: int) -> None:
        """Sends one request after another until the run is over; each is repeated until it succeeds."""
        rng, caller = random.Random(SEED + number), Caller(self.url)
        while not self.over.wait(rng.expovariate(1 / PAUSE_SECONDS)):
            self._insist(caller, self.mixed.call(self._next()))
        caller.close()

    def _next(self) -> int:
        with self._lock:
            self._number += 1
            return self._number

    def _insist(self, caller: Caller, call: Call) -> None:
        for _ in range(TRIES):
            outcome = caller.send(call, 0.0, time.monotonic())
            with self._lock:
                self.statuses[outcome.status] += 1
            if HTTPStatus.OK <= outcome.status < HTTPStatus.BAD_REQUEST:
                return
            time.sleep(REFUSED_PAUSE_SECONDS)
        self.unanswered.append(f"{call.method} {call.path}")


class FaultSchedule:
    """Injects one combination of faults after another into Redis and DynamoDB, until the run is over."""

    def __init__(self, stack: RunningStack, proxy: FaultyDynamoDB, over: threading.Event) -> None:
        self._redis = Caller(stack.upstash_url)
        self._headers = {"Authorization": f"Bearer {stack.upstash_token}"}
        self._proxy = proxy
        self._over = over
        self.seen: Counter[str] = Counter()

    def run(self) -> None:
        """Draws the next combination every `FAULT_SECONDS`, from a seed."""
        rng = random.Random(SEED)
        while not self._over.is_set():
            self._proxy.chances = rng.choice(DYNAMODB)
            fault = rng.choice(REDIS)
            self.seen[fault.get("kind", "none")] += 1
            self._control("DELETE", None)
            if fault:
                self._control("POST", json.dumps(fault).encode())
            self._over.wait(FAULT_SECONDS)
        self._proxy.chances = Chances()
        self._control("DELETE", None)

    def _control(self, method: str, body: bytes | None) -> None:
        """Tries again while the endpoint refuses connections."""
        call = Call(method, "/-/faults", self._headers, body, lambda *_: None)
        for _ in range(TRIES):
            if self._redis.send(call, 0.0, 0.0).status == HTTPStatus.OK:
                return
            time.sleep(REFUSED_PAUSE_SECONDS)
        raise RuntimeError("the Upstash endpoint takes no faults")


@contextmanager
def surroundings(engine: str) -> Iterator[tuple[RunningStack, FaultyDynamoDB]]:
    """A stack whose DynamoDB is behind the proxy."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        engines = directory / "engine"
        engines.mkdir()
        processes = stack.enter_context(Processes(engines))
        url = dynamodb.start_engine(engine, engines, processes)
        proxy = stack.enter_context(FaultyDynamoDB(url, SEED))
        (directory / "stack").mkdir()
        started = stack.enter_context(
            running_stack(
                directory / "stack",
                DYNAMODB_ENDPOINT_URL=proxy.url,
                THROTTLE_RATE="100000",
                RATE_LIMIT_PER_SECOND="1000",
                RATE_LIMIT_BURST="1000",
                LOG_LEVEL="CRITICAL",
                CACHE_MEMORY_BYTES=str(CACHE_BYTES),
                **dynamodb.CREDENTIALS,
            )
        )
        yield started, proxy


def measure(engine: str, seconds: float) -> dict[str, Any]:
    """All of it."""
    with surroundings(engine) as (stack, proxy):
        mixed = Mixed(stack, SEED)
        pool = ClientPool(mixed, stack.url)
        faults = FaultSchedule(stack, proxy, pool.over)
        works: list[Callable[[], None]] = [faults.run]
        works += [lambda number=number: pool.client(number) for number in range(CLIENTS)]  # type: ignore[misc]
        threads = [threading.Thread(target=work, daemon=True) for work in works]
        began = time.monotonic()
        with Watch(stack.pid) as watch:
            for thread in threads:
                thread.start()
            _wait(seconds, pool)
            samples = list(watch.samples)
            pool.over.set()
            for thread in threads:
                thread.join()
        mixed.read_all()
        return {
            "seconds": round(time.monotonic() - began, 1),
            "requests": pool.statuses.total(),
            "statuses": {str(status): count for status, count in sorted(pool.statuses.items())},
            "acknowledged": mixed.checker.acknowledged,
            "stale_pages": mixed.stale,
            "unanswered": len(pool.unanswered),
            "redis_faults": dict(faults.seen),
            "dynamodb_attempts": proxy.attempts.total(),
            "dynamodb_faults": dict(proxy.struck),
            **trends(samples),
            "violations": mixed.checker.violations.total(),
            "notes": [*mixed.checker.notes, *pool.unanswered][:10],
        }


def _wait(seconds: float, pool: ClientPool) -> None:
    began = time.monotonic()
    while (left := seconds - (time.monotonic() - began)) > 0:
        time.sleep(min(30.0, left))
        print(f"{time.monotonic() - began:5.0f} s  {dict(pool.statuses)}", file=sys.stderr, flush=True)


def trends(samples: Sequence[Sample]) -> dict[str, Any]:
    """What rises, over the time after the warm-up; memory in bytes."""
    flat = [each for each in samples if each.seconds >= samples[-1].seconds * WARM_UP]
    span = flat[-1].seconds - flat[0].seconds
    found: dict[str, Any] = {"samples": len(flat)}
    for name in MOST_GROWTH:
        line = trend([(each.seconds, float(getattr(each, name))) for each in flat])
        values = [getattr(each, name) for each in flat]
        found[name] = {
            "least": min(values),
            "most": max(values),
            "growth": round(line.slope * span, 1),
            "noise": round(2 * line.error * span, 1),
        }
    return found


def flat(results: Mapping[str, Any]) -> dict[str, bool]:
    """The targets of ``trends``."""
    return {
        f"{name} flat: no line that rises by more than {bound:g} after the warm-up": (
            results[name]["growth"] <= bound
        )
        for name, bound in MOST_GROWTH.items()
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Soaks, prints, and says whether the targets were met."""
    parser = command.parser("a long mixed load with faults")
    parser.add_argument("--minutes", type=float, default=MINUTES)
    parser.add_argument("--engine", default=dynamodb.default_engine(), choices=dynamodb.ENGINES)
    options = parser.parse_args(arguments)
    results = measure(options.engine, 3.0 if options.tiny else 60 * options.minutes)
    expected = {"200", "201", "429", "503"}
    targets = {
        "0 violations: what was acknowledged is in every page, once": results["violations"] == 0,
        "every request was answered in the end": results["unanswered"] == 0,
        "nothing but answers, 429 and 503": set(results["statuses"]) <= expected,
        **flat(results),
    }
    text = table(["", ""], [(name.replace("_", " "), value) for name, value in results.items()])
    return command.finish(options, {"bench": "soak", "engine": options.engine, **results}, targets, text)


if __name__ == "__main__":
    sys.exit(main())
