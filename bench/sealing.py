"""What encrypting cached values adds: ``python -m bench.sealing [--artifacts] [--json] [--check]``.

To a fresh process (loading the library and deriving the key, which a container does once and beside a request), to
packing and unpacking the bundle of ``bench.codec``, and to its bytes. With ``--artifacts`` two artifacts of a function
are built for Lambda, with and without (``ARTIFACT_SEALED``), which takes a while at first. See ``docs/adr/0010``.
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
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from bench.codec import BUNDLE_CHANNELS, blocks
from bench.report import finish, interleaved, parser, table
from local.artifacts import Target, build
from shared.cache import codec
from shared.cache.sealed import NONCE_BYTES, cipher_of, seal, unseal
from shared.settings import MIN_SECRET

ROOT: Final = Path(__file__).resolve().parents[1]
KEY: Final = "budgie:p1"
SECRET: Final = "s" * MIN_SECRET
STARTS, ROUNDS = 15, 100
FUNCTION: Final = "fetch_messages"
TAG_BYTES: Final = 16
SHARE: Final = 1 / 3
"""Of packing and of unpacking, that sealing and opening may take at most."""
TIMES: Final = 2.0
"""As large as without it, zipped, an artifact may be at most."""
LOADS: Final = {
    "without": "import shared.cache.build",
    "with": f"import shared.cache.build\nfrom shared.cache.sealed import cipher_of\ncipher_of({SECRET!r})",
}
_SAYS: Final = "\nimport sys, time\nprint(time.process_time(), 'cryptography' in sys.modules)"


def main() -> int:
    """Measures; with ``--check`` 1 if a target is missed."""
    arguments = parser(main.__doc__ or "")
    arguments.add_argument("--artifacts", action="store_true", help="build two artifacts, and weigh them")
    options = arguments.parse_args()
    starts, rounds, channels = (1, 2, 3) if options.tiny else (STARTS, ROUNDS, BUNDLE_CHANNELS)
    results: dict[str, Any] = {
        "loading": loading(starts),
        "bundle": bundle(channels, rounds),
        "bytes": {f"bundle of {count}": added(count) for count in (1, channels // 2, channels)},
    }
    if options.artifacts:
        results["artifact"] = artifacts()
    return finish(options, results, _targets(results), _text(results))


def loading(starts: int) -> dict[str, Any]:
    """Medians of fresh processes that load the cache, and of some that make a cipher too, by turns."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in LOADS}
    library: dict[str, bool] = {}
    for turn in range(starts + 1):
        for name, code in LOADS.items():
            wall, cpu, library[name] = _started(code)
            if turn:  # The first turn brings the files into the page cache.
                found[name].append((wall, cpu))
    medians = {
        name: {
            "wall_ms": round(statistics.median(wall for wall, _ in times), 1),
            "cpu_ms": round(statistics.median(cpu for _, cpu in times), 1),
        }
        for name, times in found.items()
    }
    adds = {each: round(medians["with"][each] - medians["without"][each], 1) for each in medians["with"]}
    return {"starts": starts, **medians, "adds": adds, "library_loaded": library}


def _started(code: str) -> tuple[float, float, bool]:
    """Milliseconds that a process took on the clock and of the processor, and whether it has the library."""
    begun = time.perf_counter()
    done = subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-c", code + _SAYS], cwd=ROOT, capture_output=True, text=True, check=True
    )
    wall = time.perf_counter() - begun
    cpu, loaded = done.stdout.split()
    return wall * 1000, float(cpu) * 1000, loaded == "True"


def bundle(channels: int, rounds: int) -> dict[str, Any]:
    """Microseconds that a bundle takes in the clear, and what its seal takes more."""
    values, cipher = blocks(channels), cipher_of(SECRET)
    text = codec.pack(values)
    sealed = seal(cipher, KEY, text)
    assert codec.unpack(unseal(cipher, KEY, sealed)) == values
    times = interleaved(
        {
            "pack": partial(codec.pack, values),
            "seal": partial(seal, cipher, KEY, text),
            "unpack": partial(codec.unpack, text),
            "open": partial(unseal, cipher, KEY, sealed),
        },
        rounds,
    )
    medians = {name: round(statistics.median(each), 1) for name, each in times.items()}
    return {
        "channels": channels,
        **{f"{name}_us": each for name, each in medians.items()},
        "seal_of_pack": round(medians["seal"] / medians["pack"], 3),
        "open_of_unpack": round(medians["open"] / medians["unpack"], 3),
    }


def added(channels: int) -> dict[str, int]:
    """Bytes of a bundle's text in the clear and sealed, and what the seal adds before base64."""
    clear = codec.pack(blocks(channels))
    sealed = seal(cipher_of(SECRET), KEY, clear)
    inner = [len(base64.b64decode(text[3:])) for text in (clear, sealed)]
    return {"clear": len(clear), "sealed": len(sealed), "added_before_base64": inner[1] - inner[0]}


def artifacts() -> dict[str, dict[str, float]]:
    """Megabytes of a function's artifact for Lambda, unpacked and zipped."""
    found = {}
    for name, is_sealed in (("without", "0"), ("with", "1")):
        print(f"building {FUNCTION} {name} the library", file=sys.stderr, flush=True)
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


def _targets(results: Mapping[str, Any]) -> dict[str, bool]:
    times, bytes_added = results["bundle"], NONCE_BYTES + TAG_BYTES
    targets = {
        "without a secret the library is not loaded": not results["loading"]["library_loaded"]["without"],
        "sealing takes at most a third of packing": times["seal_of_pack"] <= SHARE,
        "opening takes at most a third of unpacking": times["open_of_unpack"] <= SHARE,
        f"{bytes_added} bytes are added, whatever the bundle's size": all(
            each["added_before_base64"] == bytes_added for each in results["bytes"].values()
        ),
    }
    if "artifact" in results:
        without, sealed = (results["artifact"][each]["zipped_mb"] for each in ("without", "with"))
        targets[f"an artifact is at most {TIMES:g} times as large, zipped"] = sealed <= TIMES * without
    return targets


def _text(results: Mapping[str, Any]) -> str:
    load, times = results["loading"], results["bundle"]
    processes = [(kind, *load[kind].values()) for kind in ("without", "with", "adds")]
    work = [
        ("write", times["pack_us"], times["seal_us"], times["seal_of_pack"]),
        ("read", times["unpack_us"], times["open_us"], times["open_of_unpack"]),
    ]
    lines = [
        f"A fresh process, median of {load['starts']}",
        table(("library", "wall ms", "CPU ms"), processes),
        f"\nA bundle of {times['channels']} channels",
        table(("", "in the clear us", "seal us", "of that"), work),
        "\nBytes of a bundle as text, by channels",
        table(
            ("", "clear", "sealed", "before base64"),
            [(name, *each.values()) for name, each in results["bytes"].items()],
        ),
    ]
    if "artifact" in results:
        weights = [(name, *each.values()) for name, each in results["artifact"].items()]
        lines += [f"\nThe artifact of {FUNCTION}", table(("library", "unpacked MB", "zipped MB"), weights)]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
