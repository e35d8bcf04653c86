"""The project's sources as syntax trees."""

from __future__ import annotations

import ast
import gc
from pathlib import Path


def tree_of(path: Path) -> ast.Module:
    """A file's syntax tree."""
    # A finaliser that runs meanwhile makes CPython 3.11 raise SystemError (gh-106905).
    gc.disable()
    try:
        return ast.parse(path.read_text(encoding="utf-8"), path.name)
    finally:
        gc.enable()
