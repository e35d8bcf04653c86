"""What reads and posts cost as a chat grows: ``python -m bench.growth [--json] [--check]``.

Three things grow: a channel's messages (100 to 100,000), a user's channels (1 to 1,000), a channel's members (1 to
10,000). At each size the real handlers are asked over DynamoDB Local, which reads large partitions as DynamoDB does
(the other engine scans them). Units are those of AWS's rules, weighed from the very items that were read and written
(``bench.billed``) and held against the engine's where it is right; times are medians of calls made in turns, so that
whatever disturbs the machine disturbs all sizes alike. ``none`` says that nothing was cached.
"""

from __future__ import annotations

import gc
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bench.billed import BilledClient
from bench.engine import TABLE, put_all, running, store_on
from bench.growth_chat import PAGE, Chat
from bench.growth_operations import Operation, operations
from bench.handlers import Ask, Handlers
from bench.report import finish, parser, table
from local.dynamodb import DYNAMODB_LOCAL, ENGINES, MINISTACK
from shared.services import compose
from shared.settings import Settings
from shared.store.interface import Store

SIZES: Final = {
    "messages": (100, 1_000, 10_000, 100_000),
    "channels": (1, 10, 50, 100, 500, 1_000),
    "members": (1, 10, 100, 1_000, 10_000),
}
TINY: Final = {"messages": (60, 120), "channels": (1, 5), "members": (1, 20)}
FLAT: Final = 1.5
"""Times that the median at the largest size may be that at the smallest: these times are a few milliseconds."""
LIST_UNITS: Final = (1, 1.1)
"""Read units of a list of channels: at most so many, and so many a channel."""
AXES: Final = {
    "messages": "messages in a channel",
    "channels": "channels of the caller",
    "members": "members of a channel",
}
GROWING: Final = "list of channels"
"""The operations that cannot be flat."""
ROUNDS: Final = 40
SETTINGS: Final = Settings(rate_per_second=1000, rate_burst=1000)
"""Nobody is slowed down."""


Key = tuple[str, int]
"""An operation at a size."""


class Container:
    """The functions over a storage, with memory of their own or with none."""

    def __init__(self, handlers: Handlers, store: Store) -> None:
        self.handlers, self._store = handlers, store

    def ready(self, operation: Operation) -> Ask:
        """Remembers what the operation needs, and nothing else; its request."""
        self.handlers.services = compose(SETTINGS, self._store)
        asked = operation.ask()
        if operation.cached:
            self.handlers(asked)
        return asked


def units_of(container: Container, billed: BilledClient, operation: Operation) -> dict[str, float]:
    """Units and calls of one request, and whether the engine read as much."""
    asked = container.ready(operation)
    billed.take()
    container.handlers(asked)
    bill = billed.take()
    return {
        "read": bill.read,
        "write": bill.write,
        "calls": len(bill.calls),
        "engine_agrees": bill.engine_read == bill.read - bill.missing,
    }


def times_of(
    container: Container, wanted: Mapping[Key, Operation], rounds: int
) -> dict[Key, dict[str, float]]:
    """Milliseconds of each operation, and the processor's in this process, made in turns: medians."""
    wall: dict[Key, list[float]] = {each: [] for each in wanted}
    cpu: dict[Key, list[float]] = {each: [] for each in wanted}
    names = list(wanted)
    for turn in range(rounds + 1):
        gc.collect()
        for i in range(len(names)):
            name = names[(turn + i) % len(names)]
            call = container.handlers.event(container.ready(wanted[name]))
            started, worked = time.perf_counter(), time.process_time()
            container.handlers.invoke(*call)
            if turn:
                cpu[name].append((time.process_time() - worked) * 1000)
                wall[name].append((time.perf_counter() - started) * 1000)
    return {
        each: {
            "ms": round(statistics.median(wall[each]), 2),
            "cpu_ms": round(statistics.median(cpu[each]), 2),
        }
        for each in wanted
    }


def measure(engine: str, sizes: Mapping[str, Sequence[int]], rounds: int) -> dict[str, Any]:
    """Every axis: operations, each with its figures by size."""
    with running(engine) as dynamodb:
        started = time.monotonic()
        loaded = put_all(dynamodb, Chat(**{name: sizes[name] for name in SIZES}).items())
        _progress(f"{loaded:,} items loaded in {time.monotonic() - started:.0f} s")
        billed = BilledClient(dynamodb, TABLE)
        handlers = Handlers(compose(SETTINGS, store_on(dynamodb)))
        counted, timed = Container(handlers, store_on(billed)), Container(handlers, store_on(dynamodb))
        found: dict[str, Any] = {"engine": engine, "items": loaded, "rounds": rounds}
        for axis, wanted in sizes.items():
            asked = {(each.name, size): each for size in wanted for each in operations(axis, size)}
            units = {key: units_of(counted, billed, each) for key, each in asked.items()}
            times = times_of(timed, asked, rounds)
            found[axis] = {name: [] for name, _ in asked}
            for name, size in asked:
                found[axis][name].append({"size": size, **units[name, size], **times[name, size]})
            _progress(f"{axis} measured")
    return found


def targets(results: Mapping[str, Any], *, is_timed: bool) -> dict[str, bool]:
    """What must hold.

    Args:
        results: as ``measure`` found them.
        is_timed: whether the sizes and the engine are such that times mean something.
    """
    shown: dict[str, bool] = {}
    for axis, of in AXES.items():
        flat = [_full(name, rows) for name, rows in results[axis].items() if not name.startswith(GROWING)]
        sizes = sorted({row["size"] for rows in flat for row in rows})
        between = f"{sizes[0]:,} and {sizes[-1]:,} {of}"
        shown[f"the same units and calls at {between}"] = all(map(_same_units, flat))
        if is_timed:
            shown[f"at most {FLAT:g} times the time at {between}"] = all(
                rows[-1]["ms"] <= FLAT * rows[0]["ms"] for rows in flat
            )
    lists = [row for name, rows in results["channels"].items() if name.startswith(GROWING) for row in rows]
    base, each = LIST_UNITS
    shown[f"a list costs at most {base:g} + {each:g} read units a channel"] = all(
        row["read"] <= base + each * row["size"] for row in lists
    )
    if is_timed:
        shown["a list takes no longer a channel at the most channels than at 50"] = all(
            _a_channel(rows, -1) <= _a_channel(rows, [row["size"] for row in rows].index(50))
            for name, rows in results["channels"].items()
            if name.startswith(GROWING)
        )
    if results["engine"] == DYNAMODB_LOCAL:
        every = [row for axis in SIZES for rows in results[axis].values() for row in rows]
        shown["the engine counted the read units that AWS's rules give"] = all(
            row["engine_agrees"] for row in every
        )
    return shown


def _full(name: str, rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Those at which the operation has as much to show as it may: a page of members has 50."""
    return rows if not name.startswith("list of 50 members") else [row for row in rows if row["size"] >= PAGE]


def _same_units(rows: Sequence[Mapping[str, Any]]) -> bool:
    return len({(row["read"], row["write"], row["calls"]) for row in rows}) <= 1


def _a_channel(rows: Sequence[Mapping[str, Any]], index: int) -> float:
    return float(rows[index]["ms"] / rows[index]["size"])


def text(results: Mapping[str, Any]) -> str:
    """A table for each thing that grows."""
    parts = [f"{results['items']:,} items in {results['engine']}, medians of {results['rounds']} calls"]
    for axis in SIZES:
        rows = [
            (
                f"{name}, {figure}",
                *(
                    f"{row['read']:g} + {row['write']:g}" if figure == "units" else row[figure]
                    for row in each
                ),
            )
            for name, each in results[axis].items()
            for figure in ("units", "calls", "ms", "cpu_ms")
        ]
        sizes = [f"{row['size']:,}" for row in next(iter(results[axis].values()))]
        parts.append(table([f"{AXES[axis]} (units: read + write)", *sizes], rows))
    return "\n\n".join(parts)


def _progress(said: str) -> None:
    print(said, file=sys.stderr, flush=True)


def main() -> int:
    """Measures; with ``--check`` 1 if a target is missed."""
    arguments = parser(main.__doc__ or "")
    arguments.add_argument("--engine", choices=ENGINES, help=f"{DYNAMODB_LOCAL}; with --tiny {MINISTACK}")
    options = arguments.parse_args()
    engine = options.engine or (MINISTACK if options.tiny else DYNAMODB_LOCAL)
    results = measure(engine, TINY if options.tiny else SIZES, 1 if options.tiny else ROUNDS)
    is_timed = engine == DYNAMODB_LOCAL and not options.tiny
    return finish(options, {"bench": "growth", **results}, targets(results, is_timed=is_timed), text(results))


if __name__ == "__main__":
    sys.exit(main())
