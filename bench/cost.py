"""What a million of each operation costs: ``python -m bench.cost [--json] [--check]``.

Every route runs through its real handler over DynamoDB Local. Units are computed from the items themselves
(``bench.lib.client``) and compared with the engines where they count as AWS does: DynamoDB Local for reads and, in a
second run, ministack for writes. Replies are also counted in threads of real conversations, whose first message is the
root, a minute between messages and without keys. ``push`` is what a million operations of realtime and a million
deliveries of posts cost. The result also has the requests of a day of ``bench.cache``, with
its hits and misses, from ``operators/measured.json``, and the published prices of hosted chats. No free tier is
deducted; egress, logs and traces are listed apart. Storage is not included: see ``operators.capacity``.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from itertools import chain, count
from typing import Any, Final

from bench.lib import realtime
from bench.lib.client import MeasuredClient, Tally
from bench.lib.command import finish, parser, progress
from bench.lib.conversations import STARTED_AT, bodies, conversations
from bench.lib.dynamodb import TABLE, running, store_on
from bench.lib.functions import Ask, Handlers
from bench.lib.operations import (
    MISSED,
    OPERATIONS,
    PAGE_CHANGED,
    PAGE_IN_MEMORY,
    PAGE_THREADS,
    SETTINGS,
    Operation,
    Scene,
    channel,
    fill,
    fill_chat,
)
from bench.lib.timing import Stopwatch, medians
from local.dynamodb.engine import DYNAMODB_LOCAL, MINISTACK
from operators import prices
from operators.capacity_plan import measured
from operators.costs import Figures, days, priced, priced_realtime, user_month
from shared.bootstrap import compose
from shared.storage.memory import MemoryStore

GOALS: Final = {"read": 2.00, "poll": 1.50, "post": 7.00}
"""Dollars per million, including API Gateway and Lambda but not what is listed apart."""
MAX_READ_UNITS: Final = {PAGE_CHANGED: 4}
MAX_REPLY_UNITS: Final = 9
"""Write units of a reply on average, those of the summary in its root included."""
LENGTHS: Final = (1, 2, 3, 5, 10, 19)
"""Replies of threads whose averages are shown: 19 is the shortest conversation's."""
ROUNDS, THREADS = 30, 10


def times(
    scene: Scene, client: MeasuredClient, stopwatch: Stopwatch, each: Operation, rounds: int
) -> dict[str, float]:
    """Medians: the assumed time of calls, Budgie's own CPU time, and wall time on this machine."""
    found: dict[str, list[float]] = {"calls_ms": [], "own_ms": [], "wall_ms": []}
    timed = scene.timed(each, anew=True)
    for _ in range(rounds):
        call = timed.ready()
        client.take()
        stopwatch.lap()
        started, worked = time.perf_counter(), time.process_time()
        timed.call(call)
        found["own_ms"].append((time.process_time() - worked) * 1000 - client.take().work_ms)
        found["wall_ms"].append((time.perf_counter() - started) * 1000)
        found["calls_ms"].append(stopwatch.lap())
    return medians(found, digits=6)


def compared(engine: str, tally: Tally) -> dict[str, Any]:
    """The engine's own count of units, and whether it agrees with AWS's rules where it can."""
    agrees = tally.engine_read == tally.read - tally.missing
    if engine == MINISTACK:
        agrees = tally.engine_write == tally.write
    return {"read": tally.engine_read, "write": tally.engine_write, "agrees": agrees}


def replies(scene: Scene, client: MeasuredClient, threads: int) -> dict[str, Any]:
    """Average write units of a reply in threads of real conversations, also in their first few replies."""
    chosen, channel_id = conversations()[:threads], channel("conversations")
    people = sorted({turn.speaker for turn in chain(*chosen)})
    fill(scene.store, channel_id, people, bodies(1, channel_id=channel_id))
    clock = partial(next, count(STARTED_AT, 60_000))
    scene.handlers.services = replace(compose(SETTINGS, scene.store), now=clock)

    def post(path: str, sender: str, text: str) -> tuple[str, float]:
        client.take()
        reply = scene.handlers(Ask("POST", path, sender, {"text": text}))
        return reply.json["id"], client.take().write

    messages, costs = f"/v1/channels/{channel_id}/messages", list[list[float]]()
    for root, *others in progress(chosen, "threads"):
        path = f"{messages}/{post(messages, root.speaker, root.text)[0]}/replies"
        costs.append([post(path, turn.speaker, turn.text)[1] for turn in others])
    first = {f"of {n} replies": statistics.mean(chain(*(each[:n] for each in costs))) for n in LENGTHS}
    return {"threads": len(costs), "write units": statistics.mean(chain(*costs)), **first}


def measure(rounds: int, threads: int, engines: Sequence[str]) -> dict[str, Any]:
    """Prices all operations and replies on the first engine; compares the operations' units with every engine."""
    handlers, operations = Handlers(compose(SETTINGS, MemoryStore())), dict[str, Any]()
    averages, pushed = dict[str, Any](), dict[str, Any]()
    for engine in engines:
        with running(engine) as dynamodb:
            fill_chat(store_on(dynamodb))
            exact, stopwatch = MeasuredClient(dynamodb, exact=TABLE), Stopwatch()
            client = MeasuredClient(dynamodb, stopwatch=stopwatch)
            for each in progress(OPERATIONS, f"operations on {engine}"):
                tally, reply = Scene(store_on(exact), handlers).tally(exact, each)
                if each.name not in operations:
                    figures = Figures(
                        **times(Scene(store_on(client), handlers), client, stopwatch, each, rounds),
                        read_units=tally.read,
                        write_units=tally.write,
                        out_bytes=len(reply.body) + reply.head_bytes,
                        log_bytes=len(reply.log),
                    )
                    calls = tally.calls.total()
                    operations[each.name] = {
                        "goal": each.goal,
                        **priced(figures),
                        "calls": calls,
                        "engines": {},
                    }
                operations[each.name]["engines"][engine] = compared(engine, tally)
            averages = averages or replies(Scene(store_on(exact), handlers), exact, threads)
            pushed = pushed or realtime.measure(dynamodb, rounds)
    return {"rounds": rounds, "operations": operations, "replies": averages, "realtime": pushed}


def targets(results: Mapping[str, Any]) -> dict[str, bool]:
    """The goals of reads, polls, posts and replies; lists have none."""
    shown = {
        f"{name}: at most ${GOALS[row['goal']]:.2f}": row["sum"] <= GOALS[row["goal"]]
        for name, row in results["operations"].items()
        if row["goal"] in GOALS
    }
    for name in MAX_READ_UNITS.keys() & results["operations"].keys():
        units = results["operations"][name]["figures"]["read_units"]
        shown[f"{name}: at most {MAX_READ_UNITS[name]} read units"] = units <= MAX_READ_UNITS[name]
    for ours, other in ((PAGE_THREADS, PAGE_IN_MEMORY), (PAGE_THREADS + MISSED, PAGE_CHANGED + MISSED)):
        units, most = (results["operations"][name]["figures"]["read_units"] for name in (ours, other))
        shown[f"{ours}: no more read units than {other}"] = units <= most
    shown[f"a reply: at most {MAX_REPLY_UNITS} write units on average"] = (
        results["replies"]["write units"] <= MAX_REPLY_UNITS
    )
    for day in results["days"]:
        users, kinds = f"{day['users']:,} users", day["kinds"]
        for what, dollars, goal in (
            ("the average page of {}", kinds["page"]["sum"] + day["starts"], "read"),
            ("the average page or list of {}", day["read"], "read"),
            ("the average post of {}", kinds["post"]["sum"] + day["starts"], "post"),
        ):
            shown[f"{what.format(users)}: at most ${GOALS[goal]:.2f}"] = dollars <= GOALS[goal]
    counted = [units for row in results["operations"].values() for units in row["engines"].values()]
    shown["the engines count the units that AWS's rules give"] = all(units["agrees"] for units in counted)
    return shown


def main() -> int:
    """Measures costs; with ``--check`` exits with 1 if a goal is missed."""
    options = parser(main.__doc__ or "").parse_args()
    engines = [MINISTACK] if options.tiny else [DYNAMODB_LOCAL, MINISTACK]
    found = measure(1, 2, engines) if options.tiny else measure(ROUNDS, THREADS, engines)
    results = {
        **found,
        "push": priced_realtime(found["realtime"]),
        "days": days(measured()),
        "user_month": user_month(measured()),
        "hosted": [asdict(each) for each in prices.PUBLISHED],
    }
    return finish(options, results, targets(results))


if __name__ == "__main__":
    sys.exit(main())
