"""How far a long piece of work is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final, Self, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

WIDTH: Final = 30
BAR_SECONDS: Final = 0.1
LINE_SECONDS: Final = 5.0


class Progress:
    """Counts steps from any thread.

    Args:
        what: what is going on.
        total: how many steps there are.
        out: where to write.
        now: seconds, from anywhere.
    """

    def __init__(self, what: str, total: int, out: TextIO, now: Callable[[], float] = time.monotonic) -> None:
        self._what = what
        self._total = total
        self._out = out
        self._now = now
        self._lock = threading.Lock()
        self._is_terminal = out.isatty()
        self._began = now()
        self._next = self._began + self._interval
        self._done = 0

    @property
    def _interval(self) -> float:
        return BAR_SECONDS if self._is_terminal else LINE_SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._show("\n")

    def step(self) -> None:
        """One more is done."""
        with self._lock:
            self._done += 1
            if self._now() >= self._next:
                self._next = self._now() + self._interval
                self._show("" if self._is_terminal else "\n")

    def _show(self, end: str) -> None:
        seconds = self._now() - self._began
        rate = self._done / seconds if seconds else 0.0
        text = f"{self._what} {self._bar()}{self._done:,}/{self._total:,}, {rate:,.0f}/s, {seconds:.0f} s"
        start = "\r\x1b[K" if self._is_terminal else ""
        print(f"{start}{text}", end=end, file=self._out, flush=True)

    def _bar(self) -> str:
        if not self._is_terminal:
            return ""
        filled = WIDTH * self._done // max(1, self._total)
        return f"[{'#' * filled}{'.' * (WIDTH - filled)}] "
