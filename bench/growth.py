"""What reads and posts cost as a chat grows: ``python -m bench.growth [--json] [--check]``.

Three sizes grow: messages of a channel (100 to 100,000), channels of a user (1 to 1,000), each with a thread that the
user follows (up to 500: no more are kept), members of a channel (1 to 10,000). At each size the real handlers run over
DynamoDB Local, which reads large partitions as DynamoDB does (ministack scans them). Units follow AWS's rules, computed
from the items that were read and written (``bench.lib.client``), and are compared with the engine's where those are
right. Times are medians of calls made in turns, so that disturbances of the machine affect all sizes alike. ``none``
means that nothing was cached.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, count, islice
from typing import Any, Final

from bench.lib.client import MeasuredClient
from bench.lib.command import finish, parser, progress
from bench.lib.conversations import STARTED_AT, channel_items, thread_items, turns
from bench.lib.dynamodb import TABLE, put_all, running, store_on
from bench.lib.functions import Ask, Handlers
from bench.lib.operations import SETTINGS, Operation, Scene, again, always, keyed
from bench.lib.timing import interleaved, medians
from local.dynamodb.engine import DYNAMODB_LOCAL, MINISTACK
from shared.bootstrap import compose
from shared.domain import keys
from shared.domain.messages import Draft, encode
from shared.use_cases.list_threads import MAX_FOLLOWED

SIZES: Final = {
    "messages": (100, 1_000, 10_000, 100_000),
    "channels": (1, 10, 50, 100, 200, 500, 1_000),
    "members": (1, 10, 100, 1_000, 10_000),
}
TINY: Final = {"messages": (60, 120), "channels": (1, 5), "members": (1, 20)}
FLAT: Final = 1.5
"""How many times the smallest size's median the largest size's may be; these times are a few milliseconds."""
CHANNELS, FOLLOWED = LISTS = ("list of channels", "list of threads")
"""Start of the names of operations that cannot be flat."""
LIST_UNITS: Final = {CHANNELS: (1, 1.1), FOLLOWED: (1, 3.1)}
"""Read units of a list: at most this constant, and so many per channel or thread; a thread's channel costs one too."""
UNSEEN_UNITS: Final = 0.5
"""More read units of each in a new container, which checks whether the previewed messages still exist."""
AXES: Final = {
    "messages": "messages in a channel",
    "channels": "channels of the caller",
    "members": "members of a channel",
}
MEMBERS: Final = "list of 50 members"
ROUNDS: Final = 40
USER: Final = "00000000-0000-4000-8000-000000000000"
"""Reads and posts; a UUID, as issuers assign."""
PAGE: Final = 50
TEXT: Final = 180
"""Characters of each message: 50 of them are 5 read units, however many digits their positions have."""


# --- The chat ---


def user(number: int) -> str:
    """Another user."""
    return f"00000000-0000-4000-8000-{number + 1:012d}"


def lister(channels: int) -> str:
    """The user who is in this many channels, and in no other."""
    return user(10**9 + channels)


def channel(kind: str, size: int, number: int = 0) -> str:
    """The id of the channel of this size, or of one of the channels of the user who has this many."""
    return keys.derived_channel_id("growth", kind, str(size), str(number))


def texts(count: int) -> list[str]:
    """Texts of real conversations, all of one length."""
    letters = chain.from_iterable(f"{turn.text} " for turn in turns())
    return ["".join(islice(letters, TEXT)).encode("ascii", "replace").decode() for _ in range(count)]


def chat(sizes: Mapping[str, Sequence[int]]) -> Iterator[dict[str, Any]]:
    """All items.

    Args:
        sizes: lengths of channels whose one member is the caller; numbers of members, the caller among them, of
            channels of one page; and numbers of channels of a user, one of a page and the others of one message.
    """
    words = texts(PAGE)

    def one(channel_id: str, length: int, members: Sequence[str]) -> Iterator[dict[str, Any]]:
        # The text depends on the distance from the end, so that the last pages of all channels are alike.
        bodies = (
            encode(channel_id, seq, USER, STARTED_AT, Draft(words[(length - seq) % PAGE]))
            for seq in range(1, length + 1)
        )
        return channel_items(channel_id, members, bodies)

    for length in sizes["messages"]:
        yield from one(channel("messages", length), length, [USER])
    for size in sizes["members"]:
        yield from one(channel("members", size), PAGE, [USER, *map(user, range(size - 1))])
    for size in sizes["channels"]:
        for number in range(size):
            channel_id, length = channel("channels", size, number), 1 if number else PAGE
            yield from one(channel_id, length, [lister(size)])
            if size <= MAX_FOLLOWED:
                log_id = keys.message_id(channel_id, 1)
                reply = encode(log_id, 1, USER, STARTED_AT, Draft(words[0]))
                yield from thread_items(log_id, lister(size), reply)


# --- Operations ---


def operations(axis: str, size: int) -> Iterator[Operation]:
    """The requests at a size."""
    channel_id, caller = channel(axis, size), lister(size) if axis == "channels" else USER
    length = size if axis == "messages" else PAGE
    path, (text,) = f"/v1/channels/{channel_id}", texts(1)
    latest = Ask("GET", f"{path}/messages", caller)
    middle = Ask("GET", f"{path}/messages?before={(length + PAGE) // 2 + 1}", caller)
    message = Ask("GET", f"{path}/messages/{keys.message_id(channel_id, length // 2)}", caller)
    post = Ask("POST", f"{path}/messages", caller, {"text": text})
    yield Operation("page, none", always(latest))
    yield Operation("page from the middle, none", always(middle))
    yield Operation("page, memory", again(latest))
    yield Operation("one message, none", always(message))
    yield Operation("post", always(post))
    yield Operation("post with key", lambda _: keyed(post))
    yield Operation(
        "mark read", always(Ask("PUT", f"{path}/read", caller, {"last_read_seq": 1, "force": True}))
    )
    if axis == "channels":
        everything = Ask("GET", "/v1/channels?limit=100", caller)
        yield Operation(f"{CHANNELS}, none", always(everything))
        yield Operation(f"{CHANNELS}, memory", again(everything))
        if size <= MAX_FOLLOWED:
            threads = Ask("GET", "/v1/threads?limit=100", caller)
            yield Operation(f"{FOLLOWED}, none", always(threads))
            yield Operation(f"{FOLLOWED}, memory", again(threads))
    if axis == "members":
        newcomers = count(1_000_000)
        yield Operation(MEMBERS, always(Ask("GET", f"{path}/members?limit=50", caller)))
        yield Operation("join", lambda _: Ask("PUT", f"{path}/members/me", user(next(newcomers))))


# --- Measuring ---


def units_of(scene: Scene, exact: MeasuredClient, operation: Operation) -> dict[str, Any]:
    """Units and calls of one request, and whether the engine counted the same reads."""
    tally, _ = scene.tally(exact, operation)
    agrees = tally.engine_read == tally.read - tally.missing
    return {"read": tally.read, "write": tally.write, "calls": tally.calls.total(), "engine_agrees": agrees}


def measure(engine: str, sizes: Mapping[str, Sequence[int]], rounds: int) -> dict[str, Any]:
    """For every axis the operations, each with its figures by size."""
    with running(engine) as dynamodb:
        loaded = put_all(dynamodb, chat(sizes))
        exact = MeasuredClient(dynamodb, exact=TABLE)
        handlers = Handlers(compose(SETTINGS, store_on(dynamodb)))
        counted, plain = Scene(store_on(exact), handlers), Scene(store_on(dynamodb), handlers)
        found: dict[str, Any] = {"engine": engine, "items": loaded, "rounds": rounds}
        for axis, of_axis in progress(sizes.items(), "axes"):
            asked = {(each.name, size): each for size in of_axis for each in operations(axis, size)}
            units = {key: units_of(counted, exact, each) for key, each in asked.items()}
            names = {f"{name} {size}": plain.timed(each, anew=True) for (name, size), each in asked.items()}
            times = medians(interleaved(names, rounds))
            found[axis] = {name: [] for name, _ in asked}
            for name, size in asked:
                ms = round(times[f"{name} {size}"] / 1000, 2)
                found[axis][name].append({"size": size, **units[name, size], "ms": ms})
    return found


# --- Targets ---


def targets(results: Mapping[str, Any], *, is_timed: bool) -> dict[str, bool]:
    """What must not grow, and how far lists may; ``is_timed``: whether times are meaningful at these sizes."""
    shown: dict[str, bool] = {}
    for axis, of in AXES.items():
        # A page of members has its full size from 50 of them on.
        flat = [
            [row for row in rows if name != MEMBERS or row["size"] >= PAGE]
            for name, rows in results[axis].items()
            if not name.startswith(LISTS)
        ]
        sizes = sorted({row["size"] for rows in flat for row in rows})
        between = f"{sizes[0]:,} and {sizes[-1]:,} {of}"
        costs = [{(row["read"], row["write"], row["calls"]) for row in rows} for rows in flat]
        shown[f"the same units and calls at {between}"] = all(len(each) <= 1 for each in costs)
        if is_timed:
            quick = [rows[-1]["ms"] <= FLAT * rows[0]["ms"] for rows in flat]
            shown[f"at most {FLAT:g} times the time at {between}"] = all(quick)
    for start, (base, each_unit) in LIST_UNITS.items():
        lists = {name: rows for name, rows in results["channels"].items() if name.startswith(start)}
        shown[
            f"a {start} costs at most {base:g} + {each_unit:g} read units each, "
            f"{UNSEEN_UNITS:g} more each in a new container"
        ] = all(
            row["read"] <= base + (each_unit + UNSEEN_UNITS * name.endswith(", none")) * row["size"]
            for name, rows in lists.items()
            for row in rows
        )
        if is_timed:
            shown[f"a {start} takes no longer each at the most than at {PAGE}"] = all(
                rows[-1]["ms"] / rows[-1]["size"] <= row["ms"] / row["size"]
                for rows in lists.values()
                for row in rows
                if row["size"] == PAGE
            )
    if results["engine"] == DYNAMODB_LOCAL:
        shown["the engine counts the read units that AWS's rules give"] = all(
            row["engine_agrees"] for axis in SIZES for rows in results[axis].values() for row in rows
        )
    return shown


def main() -> int:
    """Measures growth; with ``--check`` exits with 1 if a target is missed."""
    options = parser(main.__doc__ or "").parse_args()
    engine = MINISTACK if options.tiny else DYNAMODB_LOCAL
    results = measure(engine, TINY if options.tiny else SIZES, 1 if options.tiny else ROUNDS)
    return finish(options, results, targets(results, is_timed=not options.tiny))


if __name__ == "__main__":
    sys.exit(main())
