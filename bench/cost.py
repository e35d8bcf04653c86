"""What a million of each operation costs: ``python -m bench.cost [--json] [--check]``.

Every route runs through its real handler over DynamoDB Local. Units are weighed from the very items
(``bench.lib.client``) and held against what DynamoDB Local says of reads and, in a second run, ministack of writes,
which is where each counts as AWS does. Beside the operations stand the requests of a day of ``bench.cache``, hits and
misses as they fall, from ``operators/measured.json``; and what hosted chats publish. Nothing free is taken off; egress,
logs and traces are stated apart. What is stored is not in it: ``operators.capacity`` knows it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

from bench.lib.client import MeasuredClient, Tally
from bench.lib.command import finish, parser, progress
from bench.lib.dynamodb import TABLE, running, store_on
from bench.lib.functions import Handlers, Reply
from bench.lib.operations import (
    LARGE,
    OPERATIONS,
    SETTINGS,
    WRITTEN,
    Operation,
    Scene,
    again,
    always,
    fill_chat,
    page,
)
from bench.lib.simulated import Database, SimUpstash
from bench.lib.timing import Stopwatch, medians
from local.dynamodb.engine import DYNAMODB_LOCAL, MINISTACK
from operators import prices
from operators.capacity_plan import measured
from operators.costs import Figures, by_plan, days, priced, user_month
from shared.aws.protocol import AwsClient
from shared.bootstrap import Services, compose
from shared.cache.metrics import CacheMetrics
from shared.cache.pages import CachedLogReader
from shared.cache.redis import BundlePolicy, RedisTier
from shared.domain.clock import now_ms
from shared.storage.log_reader import DirectLogReader
from shared.storage.memory import MemoryStore

GOALS: Final = {"read": 2.00, "poll": 1.50, "post": 7.00}
"""Dollars a million, API Gateway and Lambda included; what is stated apart is not."""
ROUNDS: Final = 30
CODINGS: Final = ("identity", "gzip", "zstd")
"""What a client may say that it accepts; whether an answer is compressed is the handlers' to decide."""
BY_REDIS: Final = Operation("page, Redis, container's first request", always(page(WRITTEN)))


class RedisScene(Scene):
    """As its base, but another container has left in Redis what the next request needs."""

    stopwatch = Stopwatch()
    stored_bytes = 0
    """Of the last bundle in Redis."""

    def new_container(self) -> None:
        """One that has nothing in memory; Redis has the page."""
        database = Database()
        self.handlers.services, tier = self._over(database)
        self.handlers(page(WRITTEN))
        tier.begin()
        tier.settle()
        self.stored_bytes = database.most_bytes
        assert self.stored_bytes
        self.handlers.services, _ = self._over(database)

    def _over(self, database: Database) -> tuple[Services, RedisTier]:
        plain, metrics = compose(SETTINGS, self.store), CacheMetrics()
        upstash = SimUpstash(database, now_ms, self.stopwatch)
        pages = RedisTier(
            upstash, "p", "pages", BundlePolicy(min_new_entries=1, min_interval_ms=0), metrics, now_ms
        )
        reader = CachedLogReader(DirectLogReader(self.store), plain.memory, pages, metrics)
        return replace(plain, reader=reader, pages=pages), pages


class Bench:
    """All operations on one engine.

    Args:
        engine: its kind.
        dynamodb: a client of it.
        handlers: of all routes.
        rounds: times that an operation is timed.
    """

    def __init__(self, engine: str, dynamodb: AwsClient, handlers: Handlers, rounds: int) -> None:
        self._engine = engine
        self._rounds, self._handlers = rounds, handlers
        self._exact = MeasuredClient(dynamodb, exact=TABLE)
        self._timed = MeasuredClient(dynamodb, stopwatch=RedisScene.stopwatch)

    def operation(self, each: Operation) -> tuple[dict[str, Any], Reply]:
        """Its figures and its price, and an answer."""
        counting = self._scene(each, self._exact)
        tally, reply = self._tally(each, counting)
        commands = int(reply.units["commands"])
        assert commands == (each is BY_REDIS), (each.name, commands)
        moved = float(counting.stored_bytes if isinstance(counting, RedisScene) else 0)
        figures = Figures(
            **self._times(each, self._scene(each, self._timed)),
            read_units=tally.read,
            write_units=tally.write,
            out_bytes=len(reply.body) + reply.head_bytes,
            log_bytes=len(reply.log),
            redis_commands=commands,
            redis_bytes=moved,
            start_ms=measured().cold_start_ms if each is BY_REDIS else 0.0,
        )
        counted = {"calls": tally.calls.total(), "missing": tally.missing}
        plans = {"redis": by_plan(commands, moved)} if commands else {}
        engines = {self._engine: self._said(tally)}
        return {"goal": each.goal, **priced(figures), **plans, "counted": counted, "engines": engines}, reply

    def _scene(self, each: Operation, client: MeasuredClient) -> Scene:
        return (RedisScene if each is BY_REDIS else Scene)(self._handlers, store_on(client))

    def _tally(self, each: Operation, scene: Scene) -> tuple[Tally, Reply]:
        asked = each.ready(scene)
        self._exact.take()
        reply = self._handlers(asked)
        return self._exact.take(), reply

    def engine_says(self, each: Operation) -> dict[str, Any]:
        """The engine's own figures, and whether those that it counts as AWS does are those of the rules."""
        return self._said(self._tally(each, self._scene(each, self._exact))[0])

    def _said(self, tally: Tally) -> dict[str, Any]:
        if self._engine == DYNAMODB_LOCAL:
            agrees = tally.engine_read == tally.read - tally.missing
        else:
            agrees = tally.engine_write == tally.write
        return {"read": tally.engine_read, "write": tally.engine_write, "agrees": agrees}

    def _times(self, each: Operation, scene: Scene) -> dict[str, float]:
        """Medians: of calls by the stopwatch, of Budgie's own work, and as it all was on this machine."""
        found: dict[str, list[float]] = {"calls_ms": [], "own_ms": [], "wall_ms": []}
        for _ in range(self._rounds):
            scene.new_container()
            call = self._handlers.event(each.ready(scene))
            self._timed.take()
            RedisScene.stopwatch.lap()
            started, worked = time.perf_counter(), time.process_time()
            self._handlers.invoke(*call)
            found["own_ms"].append((time.process_time() - worked) * 1000 - self._timed.take().work_ms)
            found["wall_ms"].append((time.perf_counter() - started) * 1000)
            found["calls_ms"].append(RedisScene.stopwatch.lap())
        return medians(found, digits=6)

    def wire(self) -> dict[str, dict[str, Any]]:
        """Pages from memory in the codings that a client may ask for."""
        shown: dict[str, dict[str, Any]] = {}
        for name, channel_id in (("as written", WRITTEN), ("of 1 KB messages", LARGE)):
            for coding in CODINGS:
                row, reply = self.operation(Operation(coding, again(page(channel_id, coding))))
                kept = {each: row[each] for each in ("sum", "apart", "all")}
                offered = coding in {"identity", reply.headers.get("content-encoding")}
                shown[f"{name}, {coding}"] = {"body_bytes": len(reply.body), "is_offered": offered, **kept}
        return shown


def measure(rounds: int, engines: Sequence[str]) -> dict[str, Any]:
    """Operations on the first engine; their units also as each other engine counts them."""
    handlers = Handlers(compose(SETTINGS, MemoryStore()))
    operations: dict[str, Any] = {}
    wire: dict[str, Any] = {}
    for engine in engines:
        with running(engine) as dynamodb:
            fill_chat(store_on(dynamodb))
            bench = Bench(engine, dynamodb, handlers, rounds)
            for each in progress((*OPERATIONS, BY_REDIS), f"operations on {engine}"):
                if engine == engines[0]:
                    operations[each.name] = bench.operation(each)[0]
                else:
                    operations[each.name]["engines"][engine] = bench.engine_says(each)
            wire = wire or bench.wire()
    return {"rounds": rounds, "operations": operations, "wire": wire}


# --- Goals ---


def targets(results: Mapping[str, Any]) -> dict[str, bool]:
    """The goals; lists have none, see ``above_goal``."""
    shown = {
        f"{name}: at most ${GOALS[row['goal']]:.2f}": row["sum"] <= GOALS[row["goal"]]
        for name, row in results["operations"].items()
        if row["goal"] in GOALS
    }
    for day in results["days"]:
        users, kinds = f"{day['users']:,} users", day["kinds"]
        for what, dollars, goal in (
            ("a page as {} read them", kinds["page"]["sum"] + day["starts"], "read"),
            ("a read as {} make them, pages and lists", day["read"], "read"),
            ("a post as {} write them", kinds["post"]["sum"] + day["starts"], "post"),
        ):
            shown[f"{what.format(users)}: at most ${GOALS[goal]:.2f}"] = dollars <= GOALS[goal]
    every = [said for row in results["operations"].values() for said in row["engines"].values()]
    shown["the engines counted the units that AWS's rules give"] = all(said["agrees"] for said in every)
    return shown


def above_goal(operations: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Lists that cost more than a read may."""
    lists = {name: row["sum"] for name, row in operations.items() if row["goal"] == "list"}
    return {name: dollars for name, dollars in lists.items() if dollars > GOALS["read"]}


def main() -> int:
    """Measures; with ``--check`` 1 if a goal is missed."""
    options = parser(main.__doc__ or "").parse_args()
    engines = [MINISTACK] if options.tiny else [DYNAMODB_LOCAL, MINISTACK]
    found = measure(1 if options.tiny else ROUNDS, engines)
    results = {
        **found,
        "above_goal": above_goal(found["operations"]),
        "days": days(measured()),
        "user_month": user_month(measured()),
        "hosted": [asdict(each) for each in prices.PUBLISHED],
    }
    return finish(options, results, targets(results))


if __name__ == "__main__":
    sys.exit(main())
