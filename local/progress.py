"""How far a long piece of work is: a bar on a terminal, a line now and then elsewhere."""

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
        what: what is going on.
        total: how many steps there are.
        out: where to write.
        seconds: the shortest time between two lines or drawings of the bar; by default 5 and 0.1.

    Yields:
        What to call after each step, from any thread.
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
    """A file that has no cursor to move back: what would be drawn over is a line of its own."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, text: str) -> None:
        if line := text.strip():
            self._out.write(f"{line}\n")

    def flush(self) -> None:
        self._out.flush()
