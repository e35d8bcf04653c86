"""What compressing a page saves and takes: ``python -m bench.codec [--json] [--check]``.

Pages of 50 messages of real text: as people wrote them (median over many pages), and one of nearly 1 KB a message, of
49,247 bytes of JSON, the size by which the codec was chosen. Then what is really packed: a whole bundle, as base64.

The large page is nearly all text, of which no codec saves two thirds in a quarter of gzip's time (level 6 of zstd saves
66 %, in four times the time of level 3); so the target for bytes is held against pages as written and the bundle.
"""

from __future__ import annotations

import statistics
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Any, Final, NamedTuple

from bench.conversations import CHANNEL, STARTED_AT, bodies, turns
from bench.report import finish, interleaved, parser, table
from shared import codings
from shared.cache import codec
from shared.cache.values import Block, Kept, block_key

ZSTD: Final = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
PAGE: Final = 50
LARGE_PAGE_BYTES: Final = 49_247
MANY_PAGES, BUNDLE_CHANNELS, ROUNDS = 60, 30, 200
SAVED_PERCENT: Final = 67.0
SHARE_OF_GZIP: Final = 0.25
Transform = Callable[[bytes], bytes]


class Codec(NamedTuple):
    """A way to compress, and back."""

    encode: Transform
    decode: Transform


def _zstd(level: int) -> Codec:
    return Codec(lambda raw: bytes(ZSTD.compress(raw, level)), ZSTD.decompress)


def _gzip(level: int) -> Codec:
    wbits = codings.GZIP_WBITS
    return Codec(lambda raw: zlib.compress(raw, level, wbits), lambda packed: zlib.decompress(packed, wbits))


CODECS: Final[dict[str, Codec]] = {
    "raw": Codec(bytes, bytes),
    "zstd-1": _zstd(1),
    "zstd-3": _zstd(3),
    "gzip-1": _gzip(1),
    "gzip-6": _gzip(6),
}
OURS: Final = f"zstd-{codec.ZSTD_LEVEL}"
PEER: Final = "gzip-6"


def page_of(messages: Sequence[bytes]) -> bytes:
    """The messages as JSON."""
    return b"[%b]" % b",".join(messages)


def pages(count: int) -> list[bytes]:
    """Pages as people wrote them."""
    taken = turns()
    return [page_of(bodies(PAGE, (0,), taken)) for _ in range(count)]


def large_page() -> bytes:
    """A page of at least ``LARGE_PAGE_BYTES``, hardly more: turns joined to messages of nearly 1 KB."""
    for smallest in range(800, 1_100):
        page = page_of(bodies(PAGE, (smallest,)))
        if len(page) >= LARGE_PAGE_BYTES:
            return page
    raise AssertionError("unreachable: 50 messages of 1,100 bytes are larger")


def compared(raw: Sequence[bytes], rounds: int) -> dict[str, dict[str, float]]:
    """Of each codec, medians over all pages: bytes, per cent saved, microseconds to encode and to decode."""
    packed = {name: [each.encode(page) for page in raw] for name, each in CODECS.items()}
    for name, each in CODECS.items():
        assert [each.decode(page) for page in packed[name]] == list(raw), name
    encode = interleaved({name: _in_turn(each.encode, raw) for name, each in CODECS.items()}, rounds)
    decode = interleaved({name: _in_turn(each.decode, packed[name]) for name, each in CODECS.items()}, rounds)
    return {
        name: {
            "bytes": round(statistics.median(map(len, packed[name]))),
            "saved_percent": round(
                statistics.median(
                    100 * (1 - len(small) / len(page)) for small, page in zip(packed[name], raw, strict=True)
                ),
                1,
            ),
            "encode_us": round(statistics.median(encode[name]), 1),
            "decode_us": round(statistics.median(decode[name]), 1),
        }
        for name in CODECS
    }


def _in_turn(transform: Transform, inputs: Sequence[bytes]) -> Callable[[], object]:
    """Calls it with the next input each time."""
    turn = -1

    def call() -> object:
        nonlocal turn
        turn = (turn + 1) % len(inputs)
        return transform(inputs[turn])

    return call


def blocks(channels: int) -> dict[str, Kept]:
    """One block of real text for each of so many channels."""
    taken = turns()
    ids = [f"{CHANNEL[:-2]}{number:02d}" for number in range(channels)]
    used = STARTED_AT // 1000
    return {block_key(each, 0): Kept(Block.of(1, bodies(PAGE, (0,), taken, each)), used) for each in ids}


def bundle(channels: int, rounds: int) -> dict[str, Any]:
    """A bundle of one block a channel, packed as it is stored: base64 text with a checksum."""
    values = blocks(channels)
    raw = sum(len(each.value.encode()) for each in values.values())
    texts = {name: codec.pack(values, name) for name in ("zstd", "gzip")}
    assert all(codec.unpack(text) == values for text in texts.values())
    pack = interleaved({name: partial(codec.pack, values, name) for name in texts}, rounds)
    unpack = interleaved({name: partial(codec.unpack, text) for name, text in texts.items()}, rounds)
    packed = {
        name: {
            "stored_bytes": len(text),
            "saved_percent": round(100 * (1 - len(text) / raw), 1),
            "pack_us": round(statistics.median(pack[name]), 1),
            "unpack_us": round(statistics.median(unpack[name]), 1),
        }
        for name, text in texts.items()
    }
    return {"channels": channels, "raw_bytes": raw, **packed}


def main() -> int:
    """Measures; with ``--check`` 1 if a target is missed."""
    arguments = parser(main.__doc__ or "").parse_args()
    count, rounds, channels = (2, 2, 2) if arguments.tiny else (MANY_PAGES, ROUNDS, BUNDLE_CHANNELS)
    large = large_page()
    results: dict[str, Any] = {
        "setting": OURS,
        "pages_as_written": {"pages": count, "codecs": compared(pages(count), rounds)},
        "large_page": {"json_bytes": len(large), "codecs": compared([large], rounds)},
        "bundle": bundle(channels, max(2, rounds // 4)),
    }
    return finish(arguments, results, _targets(results), _text(results))


def _targets(results: Mapping[str, Any]) -> dict[str, bool]:
    written, large = (results[name]["codecs"] for name in ("pages_as_written", "large_page"))
    ours, peer = results["bundle"]["zstd"], results["bundle"]["gzip"]
    least, share = f"at least {SAVED_PERCENT:g} %", "within a quarter of gzip-6's time"
    return {
        f"{OURS} saves {least} of a page as written": written[OURS]["saved_percent"] >= SAVED_PERCENT,
        f"{OURS} encodes the large page {share}": _is_quick(
            large[OURS]["encode_us"], large[PEER]["encode_us"]
        ),
        f"a bundle is stored with {least} saved": ours["saved_percent"] >= SAVED_PERCENT,
        f"a bundle is packed {share}": _is_quick(ours["pack_us"], peer["pack_us"]),
    }


def _is_quick(ours: float, peer: float) -> bool:
    return ours <= SHARE_OF_GZIP * peer


def _text(results: Mapping[str, Any]) -> str:
    header = ("", "bytes", "saved %", "encode us", "decode us")
    written, large, whole = (results[name] for name in ("pages_as_written", "large_page", "bundle"))
    stored = [(name, *whole[name].values()) for name in ("zstd", "gzip")]
    return "\n".join(
        (
            f"Pages of {PAGE} messages as people wrote them, median of {written['pages']}",
            table(header, [(name, *each.values()) for name, each in written["codecs"].items()]),
            f"\nA page of {PAGE} messages of nearly 1 KB, {large['json_bytes']:,} bytes of JSON",
            table(header, [(name, *each.values()) for name, each in large["codecs"].items()]),
            f"\nA bundle of {whole['channels']} channels, {whole['raw_bytes']:,} bytes, as base64 text",
            table(("", "bytes", "saved %", "pack us", "unpack us"), stored),
        )
    )


if __name__ == "__main__":
    sys.exit(main())
