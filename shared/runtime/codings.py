"""Content codings: which one a client accepts, and how responses are compressed (docs/adr/0008-the-wire.md)."""

from __future__ import annotations

import re
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from typing import Any, Final

ZSTD: Final = "zstd"
GZIP: Final = "gzip"
IDENTITY: Final = "identity"
LEVELS: Final = {ZSTD: 6, GZIP: 6}
GZIP_WBITS: Final = 31
"""A window of 32 KB, and a gzip header."""
MIN_BYTES: Final = 1_400
"""Smaller bodies fit into one TCP segment and are not compressed."""
LEAST: Final = 0.0001
"""The weight of ``identity`` if the header does not name it: acceptable, but after every named coding."""
_ELEMENT = re.compile(r"[ \t]*([^ \t;]+)[ \t]*(?:;[ \t]*[qQ]=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)[ \t]*)?\Z")
_ALIASES: Final = {"x-gzip": GZIP}


@dataclass(frozen=True, slots=True)
class Accepted:
    """The coding that a client prefers, None for none, and whether it accepts uncompressed responses."""

    coding: str | None = None
    identity: bool = True

    def choose(self, length: int) -> str | None:
        """The coding of a response of ``length`` bytes."""
        return None if length < MIN_BYTES and self.identity else self.coding


PLAIN: Final = Accepted()


@lru_cache(maxsize=16)
def accepted(header: str | None) -> Accepted:
    """Parses an ``Accept-Encoding`` (RFC 9110, 12.5.3); equal weights prefer zstd, then gzip, then ``identity``.

    Unknown codings and malformed elements are ignored. A client that accepts no available coding gets the uncompressed
    response.
    """
    weights = dict(_weights(header or ""))
    others = weights.get("*", 0.0)
    offered = {coding: weights.get(coding, others) for coding in available()}
    offered[IDENTITY] = weights.get(IDENTITY, weights.get("*", LEAST))
    best = max(offered, key=lambda coding: offered[coding])
    chosen = None if best == IDENTITY or not offered[best] else best
    return Accepted(chosen, offered[IDENTITY] > 0)


def _weights(header: str) -> Iterator[tuple[str, float]]:
    for element in header.split(","):
        if match := _ELEMENT.match(element):
            coding = match[1].lower()
            yield _ALIASES.get(coding, coding), float(match[2] or 1)


@cache
def available() -> tuple[str, ...]:
    """The codings that this function's artifact contains, the better one first; loads none of them."""
    module = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    try:
        found = find_spec(module)
    except ModuleNotFoundError:  # its parent package is missing too
        found = None
    return (ZSTD, GZIP) if found else (GZIP,)


def encode(body: bytes, coding: str, level: int | None = None) -> bytes:
    """Encodes a body in a content coding; the default level is the best trade of size for time."""
    level = LEVELS[coding] if level is None else level
    return bytes(zstd().compress(body, level)) if coding == ZSTD else zlib.compress(body, level, GZIP_WBITS)


def zstd() -> Any:  # noqa: ANN401 - one of two modules of the same interface
    """The zstd module, loaded at the first use."""
    if sys.version_info >= (3, 14):
        from compression import zstd  # noqa: PLC0415 - as above
    else:
        from backports import zstd  # noqa: PLC0415 - as above
    return zstd
