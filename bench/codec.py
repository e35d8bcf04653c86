"""What compressing and encrypting cached values saves and takes: ``python -m bench.codec [--json] [--check]``.

Pages of 50 messages of real text: as people wrote them (median over many pages), and one of nearly 1 KB a message, of
49,247 bytes of JSON, the size by which the codec was chosen. Then what is really packed: a whole bundle, as base64. The
large page is nearly all text, of which no codec saves two thirds in a quarter of gzip's time (level 6 of zstd saves
66 %, in four times the time of level 3); so the target for bytes is held against pages as written and the bundle.

Encryption adds to a fresh process (loading the library and deriving the key, which a container does once and beside a
request), to packing and unpacking that bundle, and to its bytes. With ``--artifacts`` two artifacts of a function are
built for Lambda, with and without (``ARTIFACT_SEALED``), which takes a while at first. See ``docs/adr/0010``.
"""

from __future__ import annotations

import base64
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from itertools import cycle
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.lib.command import finish, parser, progress
from bench.lib.conversations import CHANNEL, STARTED_AT, bodies, turns
from bench.lib.functions import ROOT
from bench.lib.timing import interleaved, medians
from shared.cache import codec
from shared.cache.blocks import Block, Kept, block_key
from shared.cache.encryption import NONCE_BYTES, cipher_of, decrypt, encrypt
from shared.runtime import codings
from shared.settings import MIN_SECRET
from tools.artifacts import Target, build

ZSTD: Final = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
PAGE: Final = 50
LARGE_PAGE_BYTES: Final = 49_247
MANY_PAGES, BUNDLE_CHANNELS, ROUNDS = 60, 30, 200
SAVED_PERCENT: Final = 67.0
SHARE_OF_GZIP: Final = 0.25
KEY: Final = "budgie:p1"
SECRET: Final = "s" * MIN_SECRET
STARTS: Final = 15
FUNCTION: Final = "fetch_messages"
TAG_BYTES: Final = 16
SHARE_OF_PACKING: Final = 1 / 3
"""Of packing and of unpacking, that encrypting and decrypting may take at most."""
TIMES_ZIPPED: Final = 2.0
"""As large as without it, zipped, an artifact may be at most."""
LOADS: Final = {
    "without": "import shared.cache.build",
    "with": f"import shared.cache.build\nfrom shared.cache.encryption import cipher_of\ncipher_of({SECRET!r})",
}
_SAYS: Final = "\nimport sys, time\nprint(time.process_time(), 'cryptography' in sys.modules)"
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
    smallest = bisect_left(range(1_100), LARGE_PAGE_BYTES, lo=800, key=lambda least: len(_page_of(least)))
    return _page_of(smallest)


def _page_of(least: int) -> bytes:
    return page_of(bodies(PAGE, (least,)))


def compared(raw: Sequence[bytes], rounds: int) -> dict[str, dict[str, float]]:
    """Of each codec, medians over all pages: bytes, per cent saved, microseconds to encode and to decode."""
    packed = {name: [each.encode(page) for page in raw] for name, each in CODECS.items()}
    for name, each in CODECS.items():
        assert [each.decode(page) for page in packed[name]] == list(raw), name
    encode = medians(interleaved({name: _in_turn(each.encode, raw) for name, each in CODECS.items()}, rounds))
    decode = medians(
        interleaved({name: _in_turn(each.decode, packed[name]) for name, each in CODECS.items()}, rounds)
    )
    saved = {
        name: [100 * (1 - len(small) / len(page)) for small, page in zip(packed[name], raw, strict=True)]
        for name in CODECS
    }
    return {
        name: {
            "bytes": round(statistics.median(map(len, packed[name]))),
            "saved_percent": round(statistics.median(saved[name]), 1),
            "encode_us": encode[name],
            "decode_us": decode[name],
        }
        for name in CODECS
    }


def _in_turn(transform: Transform, inputs: Sequence[bytes]) -> Callable[[], object]:
    """Calls it with the next input each time."""
    turn = cycle(inputs)
    return lambda: transform(next(turn))


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
    pack = medians(interleaved({name: partial(codec.pack, values, name) for name in texts}, rounds))
    unpack = medians(interleaved({name: partial(codec.unpack, text) for name, text in texts.items()}, rounds))
    packed = {
        name: {
            "stored_bytes": len(text),
            "saved_percent": round(100 * (1 - len(text) / raw), 1),
            "pack_us": pack[name],
            "unpack_us": unpack[name],
        }
        for name, text in texts.items()
    }
    return {"channels": channels, "raw_bytes": raw, **packed}


# --- Encryption ---


def loading(starts: int) -> dict[str, Any]:
    """Medians of fresh processes that load the cache, and of some that make a cipher too, by turns."""
    found = {name: {"wall_ms": list[float](), "cpu_ms": list[float]()} for name in LOADS}
    library: dict[str, bool] = {}
    for turn in progress(range(starts + 1), "starts"):
        for name, code in LOADS.items():
            wall, cpu, library[name] = _started(code)
            if turn:  # The first turn brings the files into the page cache.
                found[name]["wall_ms"].append(wall)
                found[name]["cpu_ms"].append(cpu)
    shown = {name: medians(times) for name, times in found.items()}
    adds = {each: round(shown["with"][each] - shown["without"][each], 1) for each in shown["with"]}
    return {"starts": starts, **shown, "adds": adds, "library_loaded": library}


def _started(code: str) -> tuple[float, float, bool]:
    """Milliseconds that a process took on the clock and of the processor, and whether it has the library."""
    begun = time.perf_counter()
    done = subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-c", code + _SAYS], cwd=ROOT, capture_output=True, text=True, check=True
    )
    wall = time.perf_counter() - begun
    cpu, loaded = done.stdout.split()
    return wall * 1000, float(cpu) * 1000, loaded == "True"


def sealed_bundle(channels: int, rounds: int) -> dict[str, Any]:
    """Microseconds that a bundle takes in the clear, and what its encryption takes more."""
    values, cipher = blocks(channels), cipher_of(SECRET)
    text = codec.pack(values)
    encrypted = encrypt(cipher, KEY, text)
    assert codec.unpack(decrypt(cipher, KEY, encrypted)) == values
    calls: dict[str, Callable[[], object]] = {
        "pack": partial(codec.pack, values),
        "seal": partial(encrypt, cipher, KEY, text),
        "unpack": partial(codec.unpack, text),
        "open": partial(decrypt, cipher, KEY, encrypted),
    }
    times = medians(interleaved(calls, rounds))
    return {
        "channels": channels,
        **{f"{name}_us": each for name, each in times.items()},
        "seal_of_pack": round(times["seal"] / times["pack"], 3),
        "open_of_unpack": round(times["open"] / times["unpack"], 3),
    }


def added(channels: int) -> dict[str, int]:
    """Bytes of a bundle's text in the clear and encrypted, and what encryption adds before base64."""
    clear = codec.pack(blocks(channels))
    encrypted = encrypt(cipher_of(SECRET), KEY, clear)
    inner = [len(base64.b64decode(text[3:])) for text in (clear, encrypted)]
    return {"clear": len(clear), "sealed": len(encrypted), "added_before_base64": inner[1] - inner[0]}


def artifacts() -> dict[str, dict[str, float]]:
    """Megabytes of a function's artifact for Lambda, unpacked and zipped."""
    found = {}
    for name, is_sealed in progress((("without", "0"), ("with", "1")), "artifacts"):
        target = Target.from_env(os.environ | {"ARTIFACT_SEALED": is_sealed})
        with tempfile.TemporaryDirectory() as work:
            directory = Path(work, FUNCTION)
            build(FUNCTION, directory, target)
            found[name] = _weighed(directory, Path(work, "artifact.zip"))
    return found


def _weighed(directory: Path, archive: Path) -> dict[str, float]:
    files = [path for path in sorted(directory.rglob("*")) if path.is_file()]
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        for path in files:
            made.write(path, path.relative_to(directory))
    return {
        "unpacked_mb": round(sum(path.stat().st_size for path in files) / 1e6, 1),
        "zipped_mb": round(archive.stat().st_size / 1e6, 1),
    }


# --- Targets ---


def targets(results: Mapping[str, Any]) -> dict[str, bool]:
    """What codec and encryption must show."""
    return _of_codec(results) | _of_encryption(results["sealing"])


def _of_codec(results: Mapping[str, Any]) -> dict[str, bool]:
    written, large = (results[name]["codecs"] for name in ("pages_as_written", "large_page"))
    ours, peer = results["bundle"]["zstd"], results["bundle"]["gzip"]
    least, share = f"at least {SAVED_PERCENT:g} %", "within a quarter of gzip-6's time"
    quick = SHARE_OF_GZIP * large[PEER]["encode_us"]
    return {
        f"{OURS} saves {least} of a page as written": written[OURS]["saved_percent"] >= SAVED_PERCENT,
        f"{OURS} encodes the large page {share}": large[OURS]["encode_us"] <= quick,
        f"a bundle is stored with {least} saved": ours["saved_percent"] >= SAVED_PERCENT,
        f"a bundle is packed {share}": ours["pack_us"] <= SHARE_OF_GZIP * peer["pack_us"],
    }


def _of_encryption(results: Mapping[str, Any]) -> dict[str, bool]:
    times, added_bytes = results["bundle"], NONCE_BYTES + TAG_BYTES
    shown = {
        "without a secret the library is not loaded": not results["loading"]["library_loaded"]["without"],
        "sealing takes at most a third of packing": times["seal_of_pack"] <= SHARE_OF_PACKING,
        "opening takes at most a third of unpacking": times["open_of_unpack"] <= SHARE_OF_PACKING,
        f"{added_bytes} bytes are added, whatever the bundle's size": all(
            each["added_before_base64"] == added_bytes for each in results["bytes"].values()
        ),
    }
    if "artifact" in results:
        without, encrypted = (results["artifact"][each]["zipped_mb"] for each in ("without", "with"))
        shown[f"an artifact is at most {TIMES_ZIPPED:g} times as large, zipped"] = (
            encrypted <= TIMES_ZIPPED * without
        )
    return shown


def main() -> int:
    """Measures; with ``--check`` 1 if a target is missed."""
    arguments = parser(main.__doc__ or "")
    arguments.add_argument("--artifacts", action="store_true", help="build two artifacts, and weigh them")
    options = arguments.parse_args()
    count, rounds, channels = (2, 2, 3) if options.tiny else (MANY_PAGES, ROUNDS, BUNDLE_CHANNELS)
    large, fewer = large_page(), max(2, rounds // 4)
    results: dict[str, Any] = {
        "setting": OURS,
        "pages_as_written": {"pages": count, "codecs": compared(pages(count), rounds)},
        "large_page": {"json_bytes": len(large), "codecs": compared([large], rounds)},
        "bundle": bundle(channels, fewer),
        "sealing": {
            "loading": loading(1 if options.tiny else STARTS),
            "bundle": sealed_bundle(channels, 2 * fewer),
            "bytes": {f"bundle of {number}": added(number) for number in (1, channels // 2, channels)},
        },
    }
    if options.artifacts:
        results["sealing"]["artifact"] = artifacts()
    return finish(options, results, targets(results))


if __name__ == "__main__":
    sys.exit(main())
