"""Content codings as a client undoes them."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

from shared.runtime.codings import zstd

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DECODERS: Mapping[str | None, Callable[[bytes], bytes]] = {
    None: bytes,
    "gzip": gzip.decompress,
    "zstd": lambda body: bytes(zstd().decompress(body)),
}


def decoded(body: bytes, coding: str | None) -> bytes:
    """The body without its coding; fails for one that is no whole frame of it."""
    return DECODERS[coding](body)
