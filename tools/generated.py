"""Generated parts of a document, between ``<!-- begin NAME -->`` and ``<!-- end NAME -->``."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


def replaced(text: str, parts: Mapping[str, str]) -> str:
    """The document with its parts replaced.

    Raises:
        ValueError: it does not have exactly one place for each part.
    """
    for name, part in parts.items():
        begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
        found = re.findall(f"{re.escape(begin)}.*?{re.escape(end)}", text, re.DOTALL)
        if len(found) != 1:
            raise ValueError(f"{len(found)} places for {name}")
        text = text.replace(found[0], f"{begin}{part}\n{end}")
    return text


def run(document: Path, write: Callable[[str], str], target: str, arguments: Sequence[str] | None) -> int:
    """Writes a document anew, or with `--check` reports whether it is up to date.

    Args:
        document: its path.
        write: returns the new text for the current one.
        target: the target of `make`.
        arguments: of the command line.
    """
    parser = argparse.ArgumentParser(description=f"Writes {document.name} anew, or what is made of it.")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit with 1 if it is out of date"
    )
    check = parser.parse_args(arguments).check
    text = document.read_text(encoding="utf-8") if document.exists() else ""
    wanted = write(text)
    if not check:
        document.write_text(wanted, encoding="utf-8")
    elif text != wanted:
        print(f"{document.name} is out of date: run `make {target}`", file=sys.stderr)
        return 1
    return 0
