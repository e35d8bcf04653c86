"""Content codings: which one a client accepts, and how an answer is compressed (docs/adr/0008-the-wire.md says why)."""

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
"""What fits into one TCP segment is left as it is."""
LEAST: Final = 0.0001
"""The weight of ``identity`` where nobody names it: acceptable, after whatever is named."""
_ELEMENT = re.compile(r"[ \t]*([^ \t;]+)[ \t]*(?:;[ \t]*[qQ]=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)[ \t]*)?\Z")
_ALIASES: Final = {"x-gzip": GZIP}


@dataclass(frozen=True, slots=True)
class Accepted:
    """The coding that a client wants best, None for none; and whether it takes answers as they are."""

    coding: str | None = None
    identity: bool = True

    def choose(self, length: int) -> str | None:
        """The coding of an answer of so many bytes."""
        return None if length < MIN_BYTES and self.identity else self.coding


PLAIN: Final = Accepted()


@lru_cache(maxsize=16)
def accepted(header: str | None) -> Accepted:
    """What an ``Accept-Encoding`` asks for (RFC 9110, 12.5.3): among equal weights zstd, then gzip, then neither.

    Codings that we do not know and elements that are malformed are left out; who accepts nothing that we have is sent
    the answer as it is.
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
    """The codings that this function's artifact has, the better one first; loads none of them."""
    module = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    try:
        found = find_spec(module)
    except ModuleNotFoundError:  # The package around it is not here either.
        found = None
    return (ZSTD, GZIP) if found else (GZIP,)


def encode(body: bytes, coding: str, level: int | None = None) -> bytes:
    """The body in a content coding, at the level that is worth its time if no other is given."""
    level = LEVELS[coding] if level is None else level
    return bytes(zstd().compress(body, level)) if coding == ZSTD else zlib.compress(body, level, GZIP_WBITS)


def zstd() -> Any:  # noqa: ANN401 - one of two modules of the same interface
    """The module, loaded where it is first used."""
    if sys.version_info >= (3, 14):
        from compression import zstd  # noqa: PLC0415 - as above
    else:
        from backports import zstd  # noqa: PLC0415 - as above
    return zstd
