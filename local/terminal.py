"""The output of `make run`: one short line per request. The functions' complete log goes to a file."""

from __future__ import annotations

import io
import json
import threading
from typing import Final, TextIO

_SHOWN: Final = ("function", "error", "exception_name", "detail", "redis")
"""Fields of a warning that are shown beside its message."""
_MAX_CODES: Final = 1_000
"""Requests whose error code is kept until the gateway's line follows; no more are served at once."""


class Terminal(io.TextIOBase):
    """Standard output in front of a terminal, and the log of a gateway; thread-safe.

    Lines of the functions' log go to the file. Those of level warning or above that are not requests are also shown at
    once; a request's error code is added to the gateway's line for it.

    Args:
        out: the terminal.
        whole: takes the functions' lines unchanged.
    """

    def __init__(self, out: TextIO, whole: TextIO) -> None:
        super().__init__()
        self._out = out
        self._whole = whole
        self._lock = threading.Lock()
        self._begun = ""
        self._codes: dict[str, str] = {}

    def write(self, text: str) -> int:
        """Take text; an incomplete line is kept until its end arrives."""
        with self._lock:
            *lines, self._begun = (self._begun + text).split("\n")
            for line in lines:
                self._line(line)
        return len(text)

    def flush(self) -> None:
        """Flush everything but an incomplete line."""
        self._out.flush()
        self._whole.flush()

    def isatty(self) -> bool:
        """Whether the output is a terminal."""
        return self._out.isatty()

    def request(self, line: str) -> None:
        """Show the gateway's line for a request, which ends with its id, and the error's code if there was one."""
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
                while len(self._codes) > _MAX_CODES:
                    self._codes.pop(next(iter(self._codes)))
        elif entry["level"] not in {"DEBUG", "INFO"}:
            shown = [str(entry[name]) for name in _SHOWN if name in entry]
            self._show(" ".join([str(entry["level"]), str(entry.get("message")), *shown]))

    def _show(self, line: str) -> None:
        # Flushed, so that it also reaches a pipe or a file at once.
        print(line, file=self._out, flush=True)


def _entry(line: str) -> dict[str, object] | None:
    """The object in a line of the functions' log; None for any other line."""
    if not line.startswith('{"level"'):
        return None
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
