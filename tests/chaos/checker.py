"""Checks pages against all acknowledgements: a page holds all that was acknowledged, and nothing else."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any, Final

KEPT: Final = 20
"""Violations that are told; the others are counted."""
Message = dict[str, Any]


class Checker:
    """Thread-safe. Texts must be unique: a text that occurs twice is a duplicated message."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._acknowledged: defaultdict[str, dict[int, Message]] = defaultdict(dict)
        self._seen: defaultdict[str, dict[int, Message | None]] = defaultdict(dict)
        self._sent: defaultdict[str, set[str]] = defaultdict(set)
        self.violations: Counter[str] = Counter()
        self.notes: list[str] = []

    @property
    def acknowledged(self) -> int:
        """Messages."""
        return sum(len(each) for each in self._acknowledged.values())

    def sends(self, channel: str, text: str) -> None:
        """A client is about to post this."""
        with self._lock:
            self._sent[channel].add(text)

    def posted(self, channel: str, text: str, message: Message) -> None:
        """It was acknowledged: 201, or the replay of one."""
        with self._lock:
            known = self._acknowledged[channel].setdefault(message["seq"], message)
            if known != message:
                self._violate("two messages acknowledged at one position", f"{channel} {message['seq']}")
            if message["text"] != text:
                self._violate("another text was acknowledged", f"{channel} {message['seq']}")
            self._shown(channel, message["seq"], message)

    def end(self, channel: str) -> int:
        """The last position that is acknowledged now: a page asked for from now on must not end before it."""
        with self._lock:
            return max(self._acknowledged[channel], default=0)

    def page(self, channel: str, after: int, limit: int, said: dict[str, Any], end: int) -> None:
        """A page that was asked for with ``after`` when ``end`` was acknowledged, and was not marked stale."""
        with self._lock:
            first, last = said["first_seq"], said["last_seq"]
            if first != after + 1 or last > after + limit:
                self._violate("a page covers another range", f"{channel} {first} to {last} after {after}")
            if last < min(end, after + limit):
                self._violate(
                    "a page ends before what was acknowledged", f"{channel} {last}, {end} was acknowledged"
                )
            self._range(channel, first, last, said["messages"])

    def stale_page(self, channel: str, said: dict[str, Any]) -> None:
        """What a stale page shows must be right too; only its end may be an earlier one."""
        with self._lock:
            self._range(channel, said["first_seq"], said["last_seq"], said["messages"])

    def audit(self, channel: str, messages: Iterable[Message]) -> None:
        """Everything in a channel at the end."""
        with self._lock:
            standing = {message["seq"]: message for message in messages}
            for seq, message in self._acknowledged[channel].items():
                if standing.get(seq) != message:
                    self._violate("an acknowledged message is lost", f"{channel} {seq}")
            for text, count in Counter(message["text"] for message in standing.values()).items():
                if count > 1:
                    self._violate("a message stands twice", f"{channel} {text}")
                if text not in self._sent[channel]:
                    self._violate("a message stands that nobody sent", f"{channel} {text}")

    def _range(self, channel: str, first: int, last: int, messages: list[Message]) -> None:
        shown = {message["seq"]: message for message in messages}
        if list(shown) != sorted(shown) or len(shown) != len(messages):
            self._violate("a page is not in order", f"{channel} {first} to {last}")
        for seq in range(first, last + 1):
            self._shown(channel, seq, shown.pop(seq, None))
        if shown:
            self._violate("a page shows what it does not cover", f"{channel} {sorted(shown)}")

    def _shown(self, channel: str, seq: int, message: Message | None) -> None:
        """A message at a position, once seen, never changes."""
        if self._seen[channel].setdefault(seq, message) != message:
            self._violate("a position changed after it was seen", f"{channel} {seq}")

    def _violate(self, kind: str, where: str) -> None:
        self.violations[kind] += 1
        if len(self.notes) < KEPT:
            self.notes.append(f"{kind}: {where}")
