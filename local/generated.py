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
        begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
        found = re.findall(f"{re.escape(begin)}.*?{re.escape(end)}", text, re.DOTALL)
        if len(found) != 1:
            raise ValueError(f"{len(found)} places for {name}")
        text = text.replace(found[0], f"{begin}{part}\n{end}")
    return text


def drifted(path: Path, text: str, wanted: str, command: str) -> int:
    """0 where the document says what it must; else 1, and a line that says what to do."""
    if text == wanted:
        return 0
    print(f"{path.name} does not say what is declared: run `{command}`", file=sys.stderr)
    return 1
