"""Many values in one test: a failure names the value."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def case(*values: object) -> Iterator[None]:
    """Adds the values to any error of the block, so that a test that loops over them shows which one failed."""
    try:
        yield
    except Exception as error:
        error.add_note(f"case: {', '.join(ascii(value)[:100] for value in values)}")
        raise
