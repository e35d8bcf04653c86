"""A warm container, from API Gateway's event to the response: ``python -m bench.hot_path [--json] [--check]``.

Three parts, each in turns within one run, medians:

- a page from memory, compared with the floor, a FastAPI route under Mangum that returns the same bytes and does
  nothing, and with the same endpoint over other caches (``bench.baseline.caches``);
- that page on the wire: bytes, and microseconds including the function's result as JSON, which Lambda's
  runtime writes; uncompressed and in each coding. ``anew`` joins and compresses it for its first reader;
- every route with its store in memory. ``bench.cost`` has the CPU time of every route over an engine.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from bench.baseline import caches
from bench.lib.command import finish, parser
from bench.lib.conversations import bodies
from bench.lib.functions import Ask, Handler, Handlers, Reply, routed
from bench.lib.operations import (
    MANY,
    OPERATIONS,
    PAGE_CHANGED,
    PAGE_IN_MEMORY,
    SETTINGS,
    USER,
    Scene,
    channel,
    fill,
    fill_chat,
)
from bench.lib.timing import Timed, interleaved, medians, summary
from shared.bootstrap import compose
from shared.cache.pages import encoded_key
from shared.runtime.codings import GZIP, ZSTD
from shared.storage.memory import MemoryStore

ROUNDS, BATCH = 80, 25
OURS, FLOOR, IDENTITY, ANEW = "budgie", "floor", "identity", ", anew"
MAX_OF_FLOOR: Final = 2.0
MAX_OF_UNCHANGED: Final = 2.0
TIMES_FASTER: Final = 2.0
MAX_SHARE: Final = 0.36
PAGE: Final = 50
CHANNEL: Final = channel("page")
PAGE_ASK: Final = Ask("GET", f"/v1/channels/{CHANNEL}/messages?limit={PAGE}", USER)
WAYS: Final = (IDENTITY, GZIP, ZSTD, GZIP + ANEW, ZSTD + ANEW)
JUDGED, COMMON = "50 x 1 KB", "50 x 0.2 to 1 KB"
PAGES: Final = {JUDGED: (960,), COMMON: tuple(range(200, 1_001, 50))}
"""Least bytes of the messages' JSON, used in turn."""
Result = dict[str, Any]


# --- A page from memory ---


class Page:
    """A channel with one page that is in memory, and the function that serves it."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        self.store = MemoryStore()
        fill(self.store, CHANNEL, [USER], bodies(PAGE, sizes, channel_id=CHANNEL))
        self.handlers = Handlers(compose(SETTINGS, self.store))
        self.body = self.handlers(PAGE_ASK).body

    def call(self, way: str) -> Callable[[], Result]:
        """Invokes the function for a response in one of ``WAYS``."""
        coding = way.removesuffix(ANEW)
        function, called = routed(Ask("GET", PAGE_ASK.target, USER, headers={"accept-encoding": coding}))
        memory, key = self.handlers.services.memory, encoded_key(CHANNEL, 1, PAGE, coding)

        def call() -> Result:
            if way != coding:
                memory.forget(key)
            return self.handlers.invoke(function, called)

        return call


def contenders(page: Page) -> dict[str, Timed]:
    """Budgie, the floor and the peers; all of them return the same page."""
    function, called = routed(PAGE_ASK)
    found: dict[str, Handler] = {
        OURS: page.handlers.handlers[function],
        FLOOR: caches.floor(page.body),
        **dict(caches.handlers(page.store)),
    }
    for name, handler in found.items():
        assert json.loads(handler(called, None)["body"]) == json.loads(page.body), name
    return {name: partial(handler, called, None) for name, handler in found.items()}


def from_memory(page: Page, rounds: int, batch: int) -> Result:
    """Compares Budgie with the floor and the peers."""
    times = {name: summary(each) for name, each in interleaved(contenders(page), rounds, batch).items()}
    peers = {name: each["p50"] for name, each in times.items() if name not in {OURS, FLOOR}}
    return {
        "page_bytes": len(page.body),
        "of_floor": round(times[OURS]["p50"] / times[FLOOR]["p50"], 2),
        "fastest_peer": min(peers, key=peers.__getitem__, default=None),
        "missing_peers": caches.missing(),
        "microseconds": times,
        "times_faster_than": {name: round(each / times[OURS]["p50"], 2) for name, each in peers.items()},
    }


# --- On the wire ---


def wire(page: Page, rounds: int, batch: int) -> Result:
    """Bytes, their share of the uncompressed ones, and microseconds of a page in every way."""
    calls = {way: page.call(way) for way in WAYS}
    sent = {way: len(Reply.of(call()).body) for way, call in calls.items()}
    as_json = {way: partial(_as_lambda_does, call) for way, call in calls.items()}
    times = medians(interleaved(as_json, rounds, batch))
    shares = {way: round(length / sent[IDENTITY], 4) for way, length in sent.items()}
    return {way: {"bytes": sent[way], "share": shares[way], "us": times[way]} for way in WAYS}


def _as_lambda_does(call: Callable[[], Result]) -> bytes:
    return json.dumps(call(), ensure_ascii=False).encode()


# --- Every route ---


def every_route(rounds: int, batch: int) -> dict[str, float]:
    """Microseconds of each kind of request to a warm container, with a store in memory, which takes hardly any time."""
    store = MemoryStore()
    fill_chat(store, members=MANY, length=PAGE)
    scene = Scene(store)
    calls = {each.name: scene.timed(each) for each in OPERATIONS if not each.is_missed}
    return medians(interleaved(calls, rounds, batch))


# --- Targets ---


def targets(results: Result) -> dict[str, bool]:
    """The targets of the page and its codings."""
    fastest, page = results["fastest_peer"], results["wire"][JUDGED]
    faster = fastest is not None and results["times_faster_than"][fastest] >= TIMES_FASTER
    shown = {
        f"at most {MAX_OF_FLOOR} times the floor": results["of_floor"] <= MAX_OF_FLOOR,
        f"at least {TIMES_FASTER:g} times as fast as the fastest peer": faster
        and not results["missing_peers"],
    }
    for each in (ZSTD, GZIP):
        shown[f"{each}: a page has at most 36% of its bytes"] = page[each]["share"] <= MAX_SHARE
        shown[f"{each}: a page from memory takes at most the time of plain JSON"] = (
            page[each]["us"] <= page[IDENTITY]["us"]
        )
    changed, unchanged = (results["routes"][name] for name in (PAGE_CHANGED, PAGE_IN_MEMORY))
    shown[f"{PAGE_CHANGED}: at most {MAX_OF_UNCHANGED:g} times the page from memory"] = (
        changed <= MAX_OF_UNCHANGED * unchanged
    )
    return shown


def main() -> int:
    """Measures the hot path; with ``--check`` exits with 1 if a target is missed."""
    options = parser(main.__doc__ or "").parse_args()
    rounds, batch = (2, 2) if options.tiny else (ROUNDS, BATCH)
    # Log lines go nowhere, at the cost of a write.
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        results = from_memory(Page(PAGES[COMMON]), rounds, batch)
        # One after the other: a function serves the page that was made last.
        results["wire"] = {name: wire(Page(sizes), rounds, batch) for name, sizes in PAGES.items()}
        results["routes"] = every_route(max(2, rounds // 4), max(2, batch // 5))
    return finish(options, results, targets(results))


if __name__ == "__main__":
    sys.exit(main())
