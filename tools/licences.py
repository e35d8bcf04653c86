"""The licences of deployed packages, from the metadata of installed ones: ``python -m tools.licences [--check]``.

Writes the table of ``docs/licences.md``; with ``--check`` reports whether it is up to date.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Final

from tools.authorization import table
from tools.generated import replaced, run

ROOT: Final = Path(__file__).resolve().parents[1]
DOCUMENT: Final = ROOT / "docs/licences.md"
ARTIFACTS: Final = {
    "artifact": "every function",
    "artifact-redis": "functions that use Redis",
    "artifact-sealed": "those, if built with `ARTIFACT_SEALED=1`",
}
"""Requirements files, each including those of the one before, and where they are deployed."""
_PINNED: Final = re.compile(r"^([a-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)
_ROW: Final = re.compile(r"^\| ([a-z0-9._-]+) \| ([^|]*) \| ([^|]*) \|", re.MULTILINE)
_CLASSIFIER: Final = "License :: OSI Approved :: "
_LONGEST: Final = 40
"""Most characters of a licence's name; longer values are its text."""


def deployed() -> dict[str, tuple[str, str]]:
    """The version of each package, and where it is deployed."""
    found: dict[str, tuple[str, str]] = {}
    for name, where in ARTIFACTS.items():
        text = (ROOT / f"requirements/{name}.txt").read_text(encoding="utf-8")
        for package, version in _PINNED.findall(text):
            found.setdefault(package, (version, where))
    return found


def licence(package: str) -> str | None:
    """The licence in a package's metadata; None if it is not installed, or has none.

    A classifier alone, such as `BSD License`, names a family of licences.
    """
    try:
        found = metadata(package)
    except PackageNotFoundError:
        return None
    classifiers = [
        each.removeprefix(_CLASSIFIER)
        for each in found.get_all("Classifier") or []
        if each.startswith(_CLASSIFIER)
    ]
    named = next((found[each].strip() for each in ("License-Expression", "License") if each in found), "")
    return named if named and len(named) <= _LONGEST else ", ".join(classifiers) or None


def written(text: str) -> str:
    """The document with a new table.

    Raises:
        LookupError: a package states no licence.
    """
    before = {(name, version): said for name, version, said in _ROW.findall(text)}
    rows = []
    for package, (version, where) in sorted(deployed().items()):
        # A package that this Python does not need is not installed here.
        said = licence(package) or before.get((package, version))
        if said is None:
            raise LookupError(
                f"{package} {version} states no licence in its metadata; look it up, and add its row by hand"
            )
        rows.append([package, version, said, where])
    return replaced(text, {"licences": table(["package", "version", "licence", "deployed with"], rows)})


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes the table, or compares it."""
    return run(DOCUMENT, written, "licences", arguments)


if __name__ == "__main__":
    sys.exit(main())
