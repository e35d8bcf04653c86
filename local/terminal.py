"""What `make run` shows: one short line a request. What the functions log is kept whole, in a file."""

from __future__ import annotations

import io
import json
import threading
from typing import Final, TextIO

_TOLD: Final = ("function", "error", "exception_name", "detail", "redis")
"""What a person is told of a warning beside its message."""
_KEPT: Final = 1_000
"""Requests whose code is remembered until the gateway's line comes; more are never under way at once."""


class Terminal(io.TextIOBase):
    """A standard output before a terminal, and the log of a gateway; safe for threads.

    Lines of the functions' log go to the file. Of those, a person sees at once what is a warning or worse and no
    request; a request's error code is put into the gateway's line for it.

    Args:
        out: the terminal.
        whole: takes the functions' lines as they are.
    """

    def __init__(self, out: TextIO, whole: TextIO) -> None:
        super().__init__()
        self._out = out
        self._whole = whole
        self._lock = threading.Lock()
        self._begun = ""
        self._codes: dict[str, str] = {}

    def write(self, text: str) -> int:
        """Take text; what is no whole line yet waits for its end."""
        with self._lock:
            *lines, self._begun = (self._begun + text).split("\n")
            for line in lines:
                self._line(line)
        return len(text)

    def flush(self) -> None:
        """Pass on what was taken, but for a line without an end."""
        self._out.flush()
        self._whole.flush()

    def isatty(self) -> bool:
        """Whether a person sees it."""
        return self._out.isatty()

    def request(self, line: str) -> None:
        """Show the gateway's line for a request, which ends with its id, with the error's code if there was one."""
        with self._lock:
            code = self._codes.pop(line.rpartition(" ")[2], "")
            self._show(f"{line} {code}" if code else line)

    def _line(self, line: str) -> None:
        entry = _entry(line)
        if entry is None:
            self._show(line)
            return
        print(line, file=self._whole, flush=True)
        if entry.get("message") == "request":
            if code := entry.get("code"):
                self._codes[str(entry.get("request_id"))] = str(code)
                while len(self._codes) > _KEPT:
                    self._codes.pop(next(iter(self._codes)))
        elif entry["level"] not in {"DEBUG", "INFO"}:
            told = [str(entry[name]) for name in _TOLD if name in entry]
            self._show(" ".join([str(entry["level"]), str(entry.get("message")), *told]))

    def _show(self, line: str) -> None:
        # At once, also into a pipe or a file.
        print(line, file=self._out, flush=True)


def _entry(line: str) -> dict[str, object] | None:
    """The object of a line of the functions' log; None for any other line."""
    if not line.startswith('{"level"'):
        return None
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
