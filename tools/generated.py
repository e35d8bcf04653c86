"""Parts of a document that a command writes: what stands between ``<!-- begin NAME -->`` and ``<!-- end NAME -->``."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


def replaced(text: str, parts: Mapping[str, str]) -> str:
    """The document with its parts written anew.

    Raises:
        ValueError: it has no place for one of them, or two.
    """
    for name, part in parts.items():
        begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
        found = re.findall(f"{re.escape(begin)}.*?{re.escape(end)}", text, re.DOTALL)
        if len(found) != 1:
            raise ValueError(f"{len(found)} places for {name}")
        text = text.replace(found[0], f"{begin}{part}\n{end}")
    return text


def run(document: Path, write: Callable[[str], str], target: str, arguments: Sequence[str] | None) -> int:
    """Writes a document anew, or with `--check` says whether the one that stands there is right.

    Args:
        document: where it is.
        write: its text as it must be, from its text as it is.
        target: what `make` calls this.
        arguments: of the command line.
    """
    parser = argparse.ArgumentParser(description=f"Write the tables of {document.name} anew.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if they have drifted")
    check = parser.parse_args(arguments).check
    text = document.read_text(encoding="utf-8")
    wanted = write(text)
    if not check:
        document.write_text(wanted, encoding="utf-8")
    elif text != wanted:
        print(f"{document.name} does not say what it must: run `make {target}`", file=sys.stderr)
        return 1
    return 0
