"""A day of a chat as a list of requests, from real text where it is there. Seeded: the same day every time."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
REAL_TEXT: Final = ROOT.parent / "shared" / "data" / "topical-chat-test-freq.jsonl.gz"
DAY_MS: Final = 24 * 3600 * 1000
START_MS: Final = 1_795_392_000_000
HISTORY: Final = 200
"""Messages in each channel before the day begins."""
HOURS: Final = (1, 1, 1, 1, 1, 2, 4, 8, 14, 16, 15, 14, 13, 14, 15, 15, 14, 12, 11, 12, 13, 11, 7, 3)
"""How likely a session begins in each hour."""


@dataclass(frozen=True)
class Workload:
    """How many, and how often. The defaults are the day of 100 users."""

    users: int = 100
    active: float = 0.7
    sessions: int = 3
    posts_each: float = 1_000 / 210
    """Posts of a session: about 1,000 a day for 100 users."""

    @property
    def channels(self) -> int:
        """30 for 100 users."""
        return max(10, self.users * 3 // 10)


@dataclass(frozen=True)
class Request:
    """One request: ``kind`` is ``list``, ``page`` or ``post``; ``what`` the page's query or the text."""

    at: int
    kind: str
    user: str
    channel: int
    what: str


def texts() -> list[str]:
    """Messages as people wrote them."""
    source, opened = REAL_TEXT, gzip.open
    if not source.exists():
        return _texts(ROOT / "local" / "sample.jsonl")
    with opened(source, "rt", encoding="utf-8") as lines:
        return [text for line in lines for _, text in json.loads(line)["turns"]]


def _texts(source: Path) -> list[str]:
    lines = source.read_text(encoding="utf-8").splitlines()
    return [text for line in lines for _, text in json.loads(line)["turns"]]


class Trace:
    """Who is in which channels, and what they do in each of some days."""

    def __init__(self, workload: Workload, seed: int = 1, days: int = 2) -> None:
        self._random = random.Random(seed)
        self._texts = texts()
        self.workload = workload
        self.users = [f"00000000-0000-4000-8000-{number:012d}" for number in range(workload.users)]
        self.channels_of = {
            user: self._random.sample(range(workload.channels), self._random.randint(5, 10))
            for user in self.users
        }
        self.days = [self._requests(number) for number in range(days)]

    def text(self) -> str:
        """A message."""
        return self._random.choice(self._texts)

    def _requests(self, day: int) -> list[Request]:
        active = self._random.sample(self.users, round(self.workload.users * self.workload.active))
        begin = START_MS + day * DAY_MS
        sessions = (self._session(user, begin) for user in active for _ in range(self.workload.sessions))
        return sorted(chain.from_iterable(sessions), key=lambda request: request.at)

    def _session(self, user: str, begin: int) -> Iterator[Request]:
        rng = self._random
        hour = rng.choices(range(24), HOURS)[0]
        at = begin + round((hour + rng.random()) * 3600 * 1000)
        whole, part = divmod(self.workload.posts_each, 1)
        doings = ["page"] * rng.randint(3, 5) + ["post"] * (int(whole) + (rng.random() < part)) + ["list"]
        rng.shuffle(doings)
        channel = rng.choice(self.channels_of[user])
        for kind in ["list", *doings]:
            if kind == "page":
                # One opens a channel, reads, and writes there.
                channel = rng.choice(self.channels_of[user])
            yield Request(at, kind, user, channel, self._what(kind))
            at += round(rng.uniform(2_000, 60_000))

    def _what(self, kind: str) -> str:
        if kind == "post":
            return self.text()
        if kind == "list":
            return ""
        return self._random.choices(["", "anchor=first_unread", "older"], [85, 8, 7])[0]
