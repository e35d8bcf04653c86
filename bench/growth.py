"""What reads and posts cost as a chat grows: ``python -m bench.growth [--json] [--check]``.

Three things grow: a channel's messages (100 to 100,000), a user's channels (1 to 1,000), a channel's members (1 to
10,000). At each size the real handlers are asked over DynamoDB Local, which reads large partitions as DynamoDB does
(the other engine scans them). Units are those of AWS's rules, weighed from the very items that were read and written
(``bench.lib.client``) and held against the engine's where it is right; times are medians of calls made in turns, so
that whatever disturbs the machine disturbs all sizes alike. ``none`` says that nothing was cached.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count, islice
from typing import Any, Final

from bench.lib.client import MeasuredClient
from bench.lib.command import finish, parser, progress
from bench.lib.conversations import STARTED_AT, channel_items, turns
from bench.lib.dynamodb import TABLE, put_all, running, store_on
from bench.lib.functions import Ask, Handlers
from bench.lib.timing import medians
from local.dynamodb.engine import DYNAMODB_LOCAL, ENGINES, MINISTACK
from shared.bootstrap import compose
from shared.domain import keys
from shared.domain.messages import Draft, encode
from shared.settings import Settings
from shared.storage.protocol import Store

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
UNSEEN_UNITS: Final = 0.5
"""More a channel in a new container, which asks whether the messages that it shows stand."""
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
USER: Final = "00000000-0000-4000-8000-000000000000"
"""Who reads and posts; a UUID, as issuers give."""
PAGE: Final = 50
TEXT: Final = 180
"""Characters of each message: 50 of them are 5 read units, however many digits their positions have."""
Key = tuple[str, int]
"""An operation at a size."""


# --- The chat ---


def user(number: int) -> str:
    """Somebody else."""
    return f"00000000-0000-4000-8000-{number + 1:012d}"


def lister(channels: int) -> str:
    """Who is in so many channels, and in no other."""
    return user(10**9 + channels)


def channel(kind: str, size: int, number: int = 0) -> str:
    """The id of the channel of this size, or of one of those of a user who has so many."""
    return keys.derived_channel_id("growth", kind, str(size), str(number))


def texts(count: int) -> list[str]:
    """So many pieces of what people wrote, all of one length."""
    said = chain.from_iterable(f"{turn.text} " for turn in turns())
    return ["".join(islice(said, TEXT)).encode("ascii", "replace").decode() for _ in range(count)]


class Chat:
    """The items of what is to grow.

    Args:
        messages: lengths of channels, each with the caller as its one member.
        members: numbers of members of channels, of one page of messages each, the caller among them.
        channels: numbers of channels of a user, of a message each.
    """

    def __init__(self, messages: Sequence[int], members: Sequence[int], channels: Sequence[int]) -> None:
        self._messages, self._members, self._channels = messages, members, channels
        self._texts = texts(PAGE)

    def items(self) -> Iterator[dict[str, Any]]:
        """All of it."""
        for length in self._messages:
            yield from self._channel(channel("messages", length), length, [USER])
        for size in self._members:
            everybody = [USER, *(user(number) for number in range(size - 1))]
            yield from self._channel(channel("members", size), PAGE, everybody)
        for size in self._channels:
            for number in range(size):
                length = PAGE if number == 0 else 1
                yield from self._channel(channel("channels", size, number), length, [lister(size)])

    def _channel(self, channel_id: str, length: int, members: Sequence[str]) -> Iterator[dict[str, Any]]:
        bodies = (
            encode(channel_id, seq, USER, STARTED_AT, Draft(self._text(length, seq)))
            for seq in range(1, length + 1)
        )
        return channel_items(channel_id, members, bodies)

    def _text(self, length: int, seq: int) -> str:
        """The same at the same distance from the end, so that the last pages of all channels are alike."""
        return self._texts[(length - seq) % PAGE]


# --- What is asked of it ---


@dataclass(frozen=True)
class Operation:
    """One kind of request. ``cached``: the container has just served the same; else nothing is remembered."""

    name: str
    ask: Callable[[], Ask]
    cached: bool = False


def reads(channel_id: str, caller: str, length: int) -> Iterator[Operation]:
    """Pages of a channel, and one message."""
    messages = f"/v1/channels/{channel_id}/messages"
    latest = Ask("GET", messages, caller)
    middle = Ask("GET", f"{messages}?before={(length + PAGE) // 2 + 1}", caller)
    one = Ask("GET", f"{messages}/{keys.message_id(channel_id, length // 2)}", caller)
    yield Operation("page, none", lambda: latest)
    yield Operation("page from the middle, none", lambda: middle)
    yield Operation("page, memory", lambda: latest, cached=True)
    yield Operation("one message, none", lambda: one)


def writes(channel_id: str, caller: str) -> Iterator[Operation]:
    """Posts, and marking as read."""
    path, numbers, (said,) = f"/v1/channels/{channel_id}", count(), texts(1)
    plain = Ask("POST", f"{path}/messages", caller, {"text": said})
    mark = Ask("PUT", f"{path}/read", caller, {"last_read_seq": 1, "force": True})
    yield Operation("post", lambda: plain)
    yield Operation(
        "post with key", lambda: replace(plain, headers={"idempotency-key": f"growth-{next(numbers)}"})
    )
    yield Operation("mark read", lambda: mark)


def operations(axis: str, size: int) -> list[Operation]:
    """What is asked at a size."""
    channel_id, caller = channel(axis, size), lister(size) if axis == "channels" else USER
    length = size if axis == "messages" else PAGE
    found = [*reads(channel_id, caller, length), *writes(channel_id, caller)]
    if axis == "channels":
        everything = Ask("GET", "/v1/channels?limit=100", caller)
        found.append(Operation("list of channels, none", lambda: everything))
        found.append(Operation("list of channels, memory", lambda: everything, cached=True))
    if axis == "members":
        members = Ask("GET", f"/v1/channels/{channel_id}/members?limit=50", caller)
        found.append(Operation("list of 50 members", lambda: members))
        newcomers = count(1_000_000)
        join = f"/v1/channels/{channel_id}/members/me"
        found.append(Operation("join", lambda: Ask("PUT", join, user(next(newcomers)))))
    return found


# --- What it takes ---


class Container:
    """The functions over a storage, with memory of their own or with none."""

    def __init__(self, handlers: Handlers, store: Store) -> None:
        self.handlers, self._store = handlers, store

    def ready(self, operation: Operation) -> Ask:
        """Has in memory what the operation needs, and nothing else; its request."""
        self.handlers.services = compose(SETTINGS, self._store)
        asked = operation.ask()
        if operation.cached:
            self.handlers(asked)
        return asked


def units_of(container: Container, exact: MeasuredClient, operation: Operation) -> dict[str, float]:
    """Units and calls of one request, and whether the engine read as much."""
    asked = container.ready(operation)
    exact.take()
    container.handlers(asked)
    tally = exact.take()
    return {
        "read": tally.read,
        "write": tally.write,
        "calls": tally.calls.total(),
        "engine_agrees": tally.engine_read == tally.read - tally.missing,
    }


def times_of(
    container: Container, wanted: Mapping[Key, Operation], rounds: int
) -> dict[Key, dict[str, float]]:
    """Milliseconds of each operation, and the processor's in this process, made in turns: medians."""
    wall: dict[Key, list[float]] = {each: [] for each in wanted}
    cpu: dict[Key, list[float]] = {each: [] for each in wanted}
    names = list(wanted)
    for turn in progress(range(rounds + 1), "rounds"):
        gc.collect()
        for i in range(len(names)):
            name = names[(turn + i) % len(names)]
            call = container.handlers.event(container.ready(wanted[name]))
            started, worked = time.perf_counter(), time.process_time()
            container.handlers.invoke(*call)
            if turn:
                cpu[name].append((time.process_time() - worked) * 1000)
                wall[name].append((time.perf_counter() - started) * 1000)
    return {each: medians({"ms": wall[each], "cpu_ms": cpu[each]}, digits=2) for each in wanted}


def measure(engine: str, sizes: Mapping[str, Sequence[int]], rounds: int) -> dict[str, Any]:
    """Every axis: operations, each with its figures by size."""
    with running(engine) as dynamodb:
        loaded = put_all(dynamodb, Chat(**{name: sizes[name] for name in SIZES}).items())
        exact = MeasuredClient(dynamodb, exact=TABLE)
        handlers = Handlers(compose(SETTINGS, store_on(dynamodb)))
        counted, timed = Container(handlers, store_on(exact)), Container(handlers, store_on(dynamodb))
        found: dict[str, Any] = {"engine": engine, "items": loaded, "rounds": rounds}
        for axis, wanted in sizes.items():
            asked = {(each.name, size): each for size in wanted for each in operations(axis, size)}
            units = {key: units_of(counted, exact, each) for key, each in asked.items()}
            times = times_of(timed, asked, rounds)
            found[axis] = {name: [] for name, _ in asked}
            for name, size in asked:
                found[axis][name].append({"size": size, **units[name, size], **times[name, size]})
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
    base, each = LIST_UNITS
    costs = f"a list costs at most {base:g} + {each:g} read units a channel"
    shown[f"{costs}, {UNSEEN_UNITS:g} more a channel in a new container"] = all(
        row["read"] <= base + (each + UNSEEN_UNITS * name.endswith(", none")) * row["size"]
        for name, rows in results["channels"].items()
        if name.startswith(GROWING)
        for row in rows
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


def main() -> int:
    """Measures; with ``--check`` 1 if a target is missed."""
    arguments = parser(main.__doc__ or "")
    arguments.add_argument("--engine", choices=ENGINES, help=f"{DYNAMODB_LOCAL}; with --tiny {MINISTACK}")
    options = arguments.parse_args()
    engine = options.engine or (MINISTACK if options.tiny else DYNAMODB_LOCAL)
    results = measure(engine, TINY if options.tiny else SIZES, 1 if options.tiny else ROUNDS)
    is_timed = engine == DYNAMODB_LOCAL and not options.tiny
    return finish(options, results, targets(results, is_timed=is_timed))


if __name__ == "__main__":
    sys.exit(main())
