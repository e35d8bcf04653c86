"""Progress of a long task: a bar on a terminal, an occasional line elsewhere."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Final, TextIO

from tqdm import tqdm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BAR_SECONDS: Final = 0.1
LINE_SECONDS: Final = 5.0
_LINE: Final = "{desc} {n_fmt}/{total_fmt}, {rate_fmt}, {elapsed}"


@contextlib.contextmanager
def counted(
    what: str, total: int, out: TextIO, *, seconds: float | None = None
) -> Iterator[Callable[[], None]]:
    """Show the progress of a `with` block.

    Args:
        what: the task.
        total: its number of steps.
        out: where to write.
        seconds: the shortest time between two updates; by default 0.1 for the bar and 5 for lines.

    Yields:
        A function to call after each step, from any thread.
    """
    is_terminal = out.isatty()
    lock = threading.Lock()
    with tqdm(
        desc=what,
        total=total,
        file=out if is_terminal else _Lines(out),
        mininterval=(BAR_SECONDS if is_terminal else LINE_SECONDS) if seconds is None else seconds,
        miniters=1,
        unit="",
        bar_format=None if is_terminal else _LINE,
    ) as bar:

        def step() -> None:
            with lock:
                bar.update()

        yield step


class _Lines:
    """A file without a cursor to move back: each update becomes a line of its own."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, text: str) -> None:
        if line := text.strip():
            self._out.write(f"{line}\n")

    def flush(self) -> None:
        self._out.flush()
