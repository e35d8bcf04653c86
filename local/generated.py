"""Parts of a document that a command writes: what stands between ``<!-- begin NAME -->`` and ``<!-- end NAME -->``."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path


def replaced(text: str, parts: Mapping[str, str]) -> str:
    """The document with its parts written anew.

    Raises:
        ValueError: it has no place for one of them, or two.
    """
    for name, part in parts.items():
        place = re.compile(
            rf"(<!-- begin {re.escape(name)} -->\n).*?(\n?<!-- end {re.escape(name)} -->)", re.DOTALL
        )
        text, count = place.subn(lambda match, part=part: f"{match[1]}{part}\n{match[2].lstrip()}", text)
        if count != 1:
            raise ValueError(f"{count} places for {name}")
    return text


def drifted(path: Path, text: str, wanted: str, command: str) -> int:
    """0 where the document says what it must; else 1, and a line that says what to do."""
    if text == wanted:
        return 0
    print(f"{path.name} does not say what is declared: run `{command}`", file=sys.stderr)
    return 1
