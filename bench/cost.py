"""What a million of each operation costs: ``python -m bench.cost [--json] [--check]``.

Every route runs through its real handler over DynamoDB Local. Units are weighed from the very items (``bench.billed``)
and held against what DynamoDB Local says of reads and, in a second run, ministack of writes, which is where each counts
as AWS does. Beside the operations stand the requests of ``bench.day``, hits and misses as they fall, from
``bench/measured.json``; and what hosted chats publish (``bench.hosted``). Nothing free is taken off; egress, logs and
traces are stated apart. What is stored is not in it: ``bench.capacity`` knows it.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from bench.billed import BilledClient
from bench.cost_operations import CODINGS, OPERATIONS, Operation, page, remembered
from bench.cost_report import above_goal, targets, text
from bench.cost_scene import LARGE, SETTINGS, WRITTEN, Scene, ready_items
from bench.costs import measured
from bench.day_costs import days, user_month
from bench.engine import TABLE, put_all, running, store_on
from bench.handlers import Ask, Handlers, Reply
from bench.hosted import PRICES
from bench.metered import Stopwatch
from bench.priced import Figures, by_plan, priced
from bench.report import finish, parser
from bench.timed import TimedClient
from local.dynamodb import DYNAMODB_LOCAL, MINISTACK
from shared.aws.protocol import AwsClient
from shared.services import compose
from shared.store.memory import MemoryStore

ROUNDS: Final = 30


class Bench:
    """All operations on one engine.

    Args:
        dynamodb: a client of the engine.
        handlers: of all routes.
        rounds: times that an operation is timed.
    """

    def __init__(self, dynamodb: AwsClient, handlers: Handlers, rounds: int) -> None:
        self._rounds, self._handlers, self._stopwatch = rounds, handlers, Stopwatch()
        self._billed, self._timed = BilledClient(dynamodb, TABLE), TimedClient(dynamodb, self._stopwatch)
        self._counting, self._timing = (
            Scene(handlers, store_on(each), self._stopwatch) for each in (self._billed, self._timed)
        )

    def operation(self, each: Operation) -> tuple[dict[str, Any], Reply]:
        """Its figures and its price, and an answer."""
        bill, reply = self.bill(each)
        commands = _redis_commands(reply)
        assert commands == each.redis, (each.name, commands)
        moved = float(self._counting.stored_bytes if commands else 0)
        figures = Figures(
            **self.times(each),
            read_units=bill["read"],
            write_units=bill["write"],
            out_bytes=len(reply.body) + reply.head_bytes,
            log_bytes=len(reply.log),
            redis_commands=commands,
            redis_bytes=moved,
            start_ms=measured().cold_start_ms if each.is_first else 0.0,
        )
        plans = {"redis": by_plan(commands, moved)} if commands else {}
        return {"goal": each.goal, **priced(figures), **plans, "counted": bill}, reply

    def bill(self, each: Operation) -> tuple[dict[str, Any], Reply]:
        """Units by AWS's rules and by the engine, and the answer."""
        asked = _ready(each, self._counting)
        self._billed.take()
        reply = self._handlers(asked)
        bill = asdict(self._billed.take())
        return bill | {"calls": len(bill["calls"])}, reply

    def times(self, each: Operation) -> dict[str, float]:
        """Milliseconds, medians: of calls by the stopwatch, of Budgie's own work, and as it all was on this machine."""
        calls, own, seen = [], [], []
        for _ in range(self._rounds):
            call = self._handlers.event(_ready(each, self._timing))
            self._timed.lap()
            self._stopwatch.lap()
            started, worked = time.perf_counter(), time.process_time()
            self._handlers.invoke(*call)
            own.append((time.process_time() - worked) * 1000 - self._timed.lap())
            seen.append((time.perf_counter() - started) * 1000)
            calls.append(self._stopwatch.lap())
        return {
            "calls_ms": statistics.median(calls),
            "own_ms": statistics.median(own),
            "wall_ms": statistics.median(seen),
        }

    def wire(self) -> dict[str, dict[str, Any]]:
        """Pages from memory in the codings that a client may ask for."""
        shown: dict[str, dict[str, Any]] = {}
        for name, channel_id in (("as written", WRITTEN), ("of 1 KB messages", LARGE)):
            for coding in CODINGS:
                each = Operation(coding, remembered(page(channel_id, coding)))
                row, reply = self.operation(each)
                row["is_offered"] = coding in {"identity", reply.headers.get("content-encoding")}
                row["body_bytes"] = len(reply.body)
                shown.setdefault(name, {})[coding] = row
        return shown


def _ready(each: Operation, scene: Scene) -> Ask:
    scene.new_container()
    return each.ready(scene)


def _redis_commands(reply: Reply) -> int:
    return int(reply.headers["server-timing"].partition("commands=")[2].partition('"')[0])


def measure(rounds: int, engines: Sequence[str]) -> dict[str, Any]:
    """Operations on the first engine; their units also as each other engine counts them."""
    handlers = Handlers(compose(SETTINGS, MemoryStore()))
    first, *others = engines
    with running(first) as dynamodb:
        put_all(dynamodb, ready_items())
        bench = Bench(dynamodb, handlers, rounds)
        operations = {each.name: _told(bench.operation(each)[0], each, first) for each in OPERATIONS}
        wire = bench.wire()
    for engine in others:
        with running(engine) as dynamodb:
            put_all(dynamodb, ready_items())
            bench = Bench(dynamodb, handlers, rounds)
            for each in OPERATIONS:
                operations[each.name]["engines"][engine] = _said(bench.bill(each)[0], engine)
    return {"rounds": rounds, "operations": operations, "wire": wire}


def _told(row: dict[str, Any], each: Operation, engine: str) -> dict[str, Any]:
    print(f"{each.name}: ${row['sum']:.2f} a million", file=sys.stderr, flush=True)
    return row | {"engines": {engine: _said(row["counted"], engine)}}


def _said(bill: Mapping[str, Any], engine: str) -> dict[str, Any]:
    """The engine's own figures, and whether those that it counts as AWS does are those of the rules."""
    agrees = (
        bill["engine_read"] == bill["read"] - bill["missing"]
        if engine == DYNAMODB_LOCAL
        else bill["engine_write"] == bill["write"]
    )
    return {"read": bill["engine_read"], "write": bill["engine_write"], "agrees": agrees}


def main() -> int:
    """Measures; with ``--check`` 1 if a goal is missed."""
    options = parser(main.__doc__ or "").parse_args()
    engines = [MINISTACK] if options.tiny else [DYNAMODB_LOCAL, MINISTACK]
    found = measure(1 if options.tiny else ROUNDS, engines)
    results = {
        "bench": "cost",
        **found,
        "above_goal": above_goal(found["operations"]),
        "days": days(measured()),
        "user_month": user_month(measured()),
        "hosted": [asdict(each) for each in PRICES],
    }
    return finish(options, results, targets(results), text(results))


if __name__ == "__main__":
    sys.exit(main())
