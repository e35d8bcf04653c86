"""A page on the wire: bytes, microseconds and dollars, as it is and in each coding. A part of ``bench.hot_path``.

A page of 50 messages of about 1 KB of real text, and one of messages as they are more often; both lie in memory, and
each way includes writing the function's result as JSON, as Lambda's runtime does. ``anew`` joins and compresses a page
for its first reader, the others send what is remembered.
"""

from __future__ import annotations

import base64
import json
import statistics
from collections.abc import Callable
from typing import Any, Final

from bench import prices
from bench.conversations import CHANNEL
from bench.hot_page import ours
from bench.one_page import PAGE, SIZES, Scene, event, scene
from bench.report import interleaved, table
from shared.cache.encoded import encoded_key
from shared.codings import GZIP, LEVELS, ZSTD, encode

IDENTITY: Final = "identity"
ANEW: Final = ", anew"
WAYS: Final = (IDENTITY, GZIP, ZSTD, GZIP + ANEW, ZSTD + ANEW)
PAGES: Final = {"50 x 1 KB": (960,), "50 x 0.2 to 1 KB": tuple(SIZES)}
"""The bytes that a message's JSON has at least, in turn."""
JUDGED: Final = "50 x 1 KB"
MAX_SHARE: Final = 0.36
GIGABYTE: Final = 1e9
MEMORY_MB: Final = 512
VCPU_MB: Final = 1_769
"""Lambda's memory that comes with one processor: a second of work takes 1,769 / 512 seconds of a function of 512 MB."""
LEVELS_TRIED: Final = {ZSTD: (1, 3, 5, 6, 7, 9, 12), GZIP: (1, 4, 5, 6, 9)}
SIZES_TRIED: Final = (350, 700, 1_050, 1_400, 2_100, 2_800, 5_600)


def measured(rounds: int, batch: int) -> dict[str, Any]:
    """Every page in every way; every level; and small answers."""
    made = {name: scene(sizes) for name, sizes in PAGES.items()}
    judged = made[JUDGED].body
    return {
        "pages": {name: _page(each, rounds, batch) for name, each in made.items()},
        "levels": _levels(judged, rounds),
        "small": _small(judged, rounds),
        "setting": dict(LEVELS),
    }


def _page(made: Scene, rounds: int, batch: int) -> dict[str, Any]:
    results = {way: _result(made, way) for way in WAYS}
    sent = {way: each() for way, each in results.items()}
    times = interleaved({way: _as_lambda_does(each) for way, each in results.items()}, rounds, batch)
    lengths = {way: len(_body(each)) for way, each in sent.items()}
    return {
        way: {
            "bytes": lengths[way],
            "share": round(lengths[way] / lengths[IDENTITY], 4),
            "us": round(statistics.median(times[way]), 1),
            **_dollars(lengths[way], statistics.median(times[way])),
        }
        for way in WAYS
    }


def _result(made: Scene, way: str) -> Callable[[], dict[str, Any]]:
    """What the function returns for a page that memory has."""
    coding = way.removesuffix(ANEW)
    called, handler, key = event(), ours(made), encoded_key(CHANNEL, 1, PAGE, coding)
    called["headers"]["accept-encoding"] = coding
    memory = made.services.cache.memory

    def call() -> dict[str, Any]:
        if way != coding:
            memory.forget(key)
        return handler(called, None)  # type: ignore[arg-type]  # no function of ours looks at the context

    return call


def _as_lambda_does(result: Callable[[], dict[str, Any]]) -> Callable[[], object]:
    return lambda: json.dumps(result(), ensure_ascii=False).encode()


def _body(result: dict[str, Any]) -> bytes:
    """What API Gateway sends."""
    body = str(result["body"])
    return base64.b64decode(body) if result["isBase64Encoded"] else body.encode()


def _dollars(length: int, microseconds: float) -> dict[str, float]:
    """A million of them: what leaves, and a function of 512 MB for as long as this takes."""
    egress = length * prices.MILLION / GIGABYTE * prices.EGRESS_GB
    billed = microseconds * VCPU_MB / MEMORY_MB
    compute = billed * MEMORY_MB / 1_024 * prices.LAMBDA_GB_SECOND
    return {"egress": round(egress, 4), "lambda": round(compute, 4), "dollars": round(egress + compute, 4)}


def _levels(page: bytes, rounds: int) -> dict[str, dict[str, float]]:
    """Each level alone: bytes, microseconds, and dollars a million pages that are compressed anew each time."""
    calls: dict[str, Callable[[], bytes]] = {
        f"{coding}-{level}": _encoding(page, coding, level)
        for coding, levels in LEVELS_TRIED.items()
        for level in levels
    }
    times = interleaved(calls, max(2, rounds // 4))
    found = {name: (len(call()), statistics.median(times[name])) for name, call in calls.items()}
    return {
        name: {
            "bytes": length,
            "share": round(length / len(page), 4),
            "us": round(us, 1),
            **_dollars(length, us),
        }
        for name, (length, us) in found.items()
    }


def _encoding(page: bytes, coding: str, level: int) -> Callable[[], bytes]:
    return lambda: encode(page, coding, level)


def _small(page: bytes, rounds: int) -> dict[str, dict[str, float]]:
    """Answers around the size that is left alone: bytes that zstd saves, and what that is worth beside its time."""
    found = {}
    for length in SIZES_TRIED:
        part = page[:length]
        times = interleaved({ZSTD: _encoding(part, ZSTD, LEVELS[ZSTD])}, rounds)
        saved, us = length - len(encode(part, ZSTD)), statistics.median(times[ZSTD])
        worth = _dollars(saved, us)
        found[str(length)] = {
            "saved": saved,
            "us": round(us, 1),
            "dollars_saved": round(worth["egress"] - worth["lambda"], 4),
        }
    return found


def targets(results: dict[str, Any]) -> dict[str, bool]:
    """What a page of 50 x 1 KB must show in both codings."""
    page = results["pages"][JUDGED]
    small = {
        f"{coding}: a page leaves in at most {MAX_SHARE:.0%} of its bytes": page[coding]["share"] <= MAX_SHARE
        for coding in (ZSTD, GZIP)
    }
    fast = {
        f"{coding}: on a memory hit in at most the time of plain JSON": page[coding]["us"]
        <= page[IDENTITY]["us"]
        for coding in (ZSTD, GZIP)
    }
    return small | fast


def text(results: dict[str, Any]) -> str:
    """Tables for a person."""
    lines = []
    for name, page in results["pages"].items():
        rows = [
            (
                way,
                each["bytes"],
                f"{each['share']:.1%}",
                each["us"],
                each["egress"],
                each["lambda"],
                each["dollars"],
            )
            for way, each in page.items()
        ]
        header = ("", "bytes", "share", "us", "$/M egress", "$/M Lambda", "$/M")
        lines += [f"On the wire: {name}, from memory, with the result as JSON", table(header, rows), ""]
    levels = [
        (name, each["bytes"], f"{each['share']:.1%}", each["us"], each["dollars"])
        for name, each in results["levels"].items()
    ]
    lines += [
        f"Levels, anew each time (set: {results['setting']})",
        table(("", "bytes", "share", "us", "$/M"), levels),
    ]
    small = [
        (size, each["saved"], each["us"], each["dollars_saved"]) for size, each in results["small"].items()
    ]
    lines += ["\nSmall answers in zstd", table(("bytes", "saved", "us", "$/M saved"), small)]
    return "\n".join(lines)
