"""A benchmark's command line: its arguments, its progress, and its results as tables or as one line of JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from tqdm import tqdm

from bench.lib import tables

T = TypeVar("T")


def parser(description: str) -> argparse.ArgumentParser:
    """The arguments that every benchmark has; it may add its own."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--json", action="store_true", help="print one line of JSON")
    made.add_argument("--check", action="store_true", help="exit with 1 if a target is missed")
    made.add_argument("--tiny", action="store_true", help="a run of seconds, to see that the benchmark works")
    return made


def progress(steps: Iterable[T], description: str, total: int | None = None) -> Iterable[T]:
    """Yields the steps and counts them on standard error."""
    return tqdm(steps, description, total, file=sys.stderr, mininterval=1.0, leave=True)


def finish(
    arguments: argparse.Namespace, results: dict[str, Any], targets: Mapping[str, bool], text: str = ""
) -> int:
    """Prints the results, as text or as JSON with the targets added; returns the exit status.

    Args:
        arguments: as ``parser`` parsed them.
        results: serializable as JSON.
        targets: whether each target was met, by its description.
        text: the results for a reader; by default all of them in tables.
    """
    if arguments.json:
        print(json.dumps(results | {"targets": dict(targets)}, ensure_ascii=False))
    else:
        print(text or "\n\n".join(tables.nested(results)))
        for target, held in targets.items():
            print(f"{'ok    ' if held else 'MISSED'} {target}")
    return int(arguments.check and not all(targets.values()))
