"""What compressing and encrypting cached values saves and takes: ``python -m bench.codec [--json] [--check]``.

Compares codecs on pages of 50 messages of real text: as people wrote them (medians over many pages), and one of nearly
1 KB a message, of 49,247 bytes of JSON, the size by which the codec was chosen. Then a whole bundle is packed as it is
stored: base64 text with a checksum, in the clear and encrypted. The large page is nearly all text, of which no codec
saves two thirds in a quarter of gzip's time; so the target for bytes is for pages as written and for the bundle. See
``docs/adr/0010-encrypted-cache.md``.
"""

from __future__ import annotations

import statistics
import sys
import zlib
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from itertools import cycle
from typing import Any, Final, NamedTuple

from bench.lib.command import finish, parser
from bench.lib.conversations import CHANNEL, STARTED_AT, bodies, turns
from bench.lib.timing import interleaved, medians
from shared.cache import codec
from shared.cache.blocks import Block, Kept, block_key
from shared.cache.encryption import cipher_of, decrypt, encrypt
from shared.runtime import codings
from shared.settings import MIN_SECRET

ZSTD: Final = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
PAGE: Final = 50
LARGE_PAGE_BYTES: Final = 49_247
MANY_PAGES, BUNDLE_CHANNELS, ROUNDS = 60, 30, 200
SAVED_PERCENT: Final = 67.0
SHARE_OF_GZIP: Final = 0.25
SHARE_OF_PACKING: Final = 1 / 3
"""Of packing (unpacking), that encrypting (decrypting) may take at most."""
KEY: Final = "budgie:p1"


class Codec(NamedTuple):
    """How to compress or encrypt, and how to undo it."""

    encode: Callable[[Any], bytes | str]
    decode: Callable[[Any], Any]


def _zstd(level: int) -> Codec:
    return Codec(lambda raw: bytes(ZSTD.compress(raw, level)), ZSTD.decompress)


def _gzip(level: int) -> Codec:
    wbits = codings.GZIP_WBITS
    return Codec(lambda raw: zlib.compress(raw, level, wbits), lambda packed: zlib.decompress(packed, wbits))


CODECS: Final = {
    "raw": Codec(bytes, bytes),
    "zstd-1": _zstd(1),
    "zstd-3": _zstd(3),
    "gzip-1": _gzip(1),
    "gzip-6": _gzip(6),
}
OURS: Final = f"zstd-{codec.ZSTD_LEVEL}"
PEER: Final = "gzip-6"
Row = dict[str, float]


def page_of(count: int = PAGE, least: int = 0, **source: Any) -> bytes:  # noqa: ANN401 - as ``bodies``
    """Messages of at least this many bytes each, as JSON."""
    return b"[%b]" % b",".join(bodies(count, (least,), **source))


def large_page() -> bytes:
    """A page that is hardly larger than ``LARGE_PAGE_BYTES``: turns are joined to messages of nearly 1 KB."""
    sizes = range(1_100)
    return page_of(
        least=bisect_left(sizes, LARGE_PAGE_BYTES, lo=800, key=lambda least: len(page_of(least=least)))
    )


def compared(
    codecs: Mapping[str, Codec], inputs: Sequence[Any], rounds: int, size: Callable[[Any], int] = len
) -> dict[str, Row]:
    """Medians over all inputs for each codec: bytes, per cent saved of ``size``, microseconds to encode and decode."""
    packed = {name: [each.encode(value) for value in inputs] for name, each in codecs.items()}
    for name, each in codecs.items():
        assert [each.decode(value) for value in packed[name]] == list(inputs), name
    encode = {name: _in_turn(each.encode, inputs) for name, each in codecs.items()}
    decode = {name: _in_turn(each.decode, packed[name]) for name, each in codecs.items()}
    encode_us, decode_us = medians(interleaved(encode, rounds)), medians(interleaved(decode, rounds))
    wholes = list(map(size, inputs))
    return {
        name: {
            "bytes": round(statistics.median(map(len, small))),
            "saved_percent": round(
                statistics.median(
                    100 * (1 - len(each) / whole) for each, whole in zip(small, wholes, strict=True)
                ),
                1,
            ),
            "encode_us": encode_us[name],
            "decode_us": decode_us[name],
        }
        for name, small in packed.items()
    }


def _in_turn(transform: Callable[[Any], object], inputs: Sequence[Any]) -> Callable[[], object]:
    """A call that takes the next input each time."""
    turn = cycle(inputs)
    return lambda: transform(next(turn))


def bundle(channels: int, rounds: int) -> dict[str, Any]:
    """A bundle of one block per channel, packed as text with each codec; and that text encrypted."""
    taken, cipher = turns(), cipher_of("s" * MIN_SECRET)
    ids = [f"{CHANNEL[:-2]}{number:02d}" for number in range(channels)]
    values = {
        block_key(each, 0): Kept(Block.of(1, bodies(PAGE, (0,), taken, each)), STARTED_AT // 1000)
        for each in ids
    }
    packing = {name: Codec(partial(codec.pack, codec=name), codec.unpack) for name in ("zstd", "gzip")}
    encryption = {"encryption": Codec(partial(encrypt, cipher, KEY), partial(decrypt, cipher, KEY))}
    packed = compared(
        packing, [values], rounds, lambda kept: sum(len(each.value.encode()) for each in kept.values())
    )
    return {"channels": channels, **packed, **compared(encryption, [codec.pack(values, "zstd")], rounds)}


def targets(results: Mapping[str, Any]) -> dict[str, bool]:
    """The targets of codec and encryption."""
    written, large = (results[name]["codecs"] for name in ("pages_as_written", "large_page"))
    ours, peer, encryption = (results["bundle"][name] for name in ("zstd", "gzip", "encryption"))
    least, share = f"at least {SAVED_PERCENT:g} %", "in a quarter of gzip-6's time"
    return {
        f"{OURS} saves {least} of a page as written": written[OURS]["saved_percent"] >= SAVED_PERCENT,
        f"{OURS} encodes the large page {share}": _share(large[OURS], large[PEER]) <= SHARE_OF_GZIP,
        f"a bundle is stored with {least} saved": ours["saved_percent"] >= SAVED_PERCENT,
        f"a bundle is packed {share}": _share(ours, peer) <= SHARE_OF_GZIP,
        "encrypting takes at most a third of packing": _share(encryption, ours) <= SHARE_OF_PACKING,
        "decrypting takes at most a third of unpacking": _share(encryption, ours, "decode_us")
        <= SHARE_OF_PACKING,
    }


def _share(one: Row, other: Row, of: str = "encode_us") -> float:
    return one[of] / other[of]


def main() -> int:
    """Measures codecs and encryption; with ``--check`` exits with 1 if a target is missed."""
    options = parser(main.__doc__ or "").parse_args()
    count, rounds, channels = (2, 2, 3) if options.tiny else (MANY_PAGES, ROUNDS, BUNDLE_CHANNELS)
    large, taken = large_page(), turns()
    pages = [page_of(taken=taken) for _ in range(count)]
    results: dict[str, Any] = {
        "setting": OURS,
        "pages_as_written": {"pages": count, "codecs": compared(CODECS, pages, rounds)},
        "large_page": {"json_bytes": len(large), "codecs": compared(CODECS, [large], rounds)},
        "bundle": bundle(channels, max(2, rounds // 4)),
    }
    return finish(options, results, targets(results))


if __name__ == "__main__":
    sys.exit(main())
