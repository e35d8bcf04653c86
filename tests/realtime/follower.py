"""A client that follows the rule of ``docs/realtime.md`` and nothing else, without a network of its own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from shared.domain.changes import rev_of
from shared.domain.messages import dumps

MESSAGES: Final = "messages"
CHANGES: Final = "changes"


@dataclass(frozen=True, slots=True)
class Fetch:
    """A request that the rule asks for: ``GET …/messages?after=`` or ``GET …/changes?after=``."""

    log_id: str
    what: str
    """``MESSAGES`` or ``CHANGES``."""
    after: int


@dataclass
class Followed:
    """What a client has of a log: all messages up to ``seq``, with all changes up to ``rev``."""

    seq: int = 0
    rev: int = 0
    first: int = 1
    """The first position that the client shows."""
    known: dict[int, bytes] = field(default_factory=dict)
    """Messages by position, also beyond ``seq``: a change may come before its message."""
    reached_seq: int = 0
    reached_rev: int = 0
    """The highest numbers that the client was told of."""

    @property
    def shown(self) -> dict[int, bytes]:
        """The messages that the client shows, by position."""
        return {seq: body for seq, body in sorted(self.known.items()) if self.first <= seq <= self.seq}

    def take_messages(self, first: int, last: int, bodies: Iterable[bytes]) -> None:
        """Applies a run of positions, if it is next."""
        self.reached_seq = max(self.reached_seq, last)
        self._keep(bodies)
        if first <= self.seq + 1:
            self.seq = max(self.seq, last)

    def take_changes(self, first: int, last: int, changes: Iterable[Mapping[str, Any]]) -> None:
        """Applies a run of changes, if it is next."""
        self.reached_rev = max(self.reached_rev, last)
        self._keep(dumps(each["message"]) for each in changes if "message" in each)
        if first <= self.rev + 1:
            self.rev = max(self.rev, last)

    def _keep(self, bodies: Iterable[bytes]) -> None:
        """A message, wherever it comes from, is replaced only by one with a higher ``rev``."""
        for body in bodies:
            seq = self._seq_of(body)
            if seq not in self.known or rev_of(self.known[seq]) < rev_of(body):
                self.known[seq] = body

    @staticmethod
    def _seq_of(body: bytes) -> int:
        seq: int = json.loads(body)["seq"]
        return seq


class Follower:
    """A client's logs. Each method takes what came, and returns what to fetch now."""

    log: type[Followed] = Followed

    def __init__(self) -> None:
        self.logs: dict[str, Followed] = {}

    def begin(self, log_id: str, page: bytes) -> None:
        """Shows a log from its first page on: from a position that it states, not from the log's beginning."""
        told = json.loads(page)
        followed = self.log(told["first_seq"] - 1, told["channel_last_rev"], told["first_seq"])
        followed.take_messages(told["first_seq"], told["last_seq"], map(dumps, told["messages"]))
        followed.reached_rev = followed.rev
        self.logs[log_id] = followed

    def frame(self, frame: bytes) -> list[Fetch]:
        """A frame: what is next is applied, what is between is to be fetched."""
        told = json.loads(frame)
        touched: list[str] = []
        if told["type"] in {"news", "watching", "pong"}:
            for each in told["channels"]:
                touched += self._news(each)
        return [fetch for log_id in dict.fromkeys(touched) for fetch in self.due(log_id)]

    def _news(self, told: Mapping[str, Any]) -> Iterator[str]:
        log_id = told.get("thread_id", told["channel_id"])
        followed = self.logs.get(log_id)
        if followed is None:
            return
        followed.reached_seq = max(followed.reached_seq, told.get("seq", 0))
        followed.reached_rev = max(followed.reached_rev, told.get("rev", 0))
        for run in told.get("messages", ()):
            followed.take_messages(run["first_seq"], run["last_seq"], map(dumps, run["messages"]))
        for run in told.get("changes", ()):
            followed.take_changes(run["first_rev"], run["last_rev"], run["changes"])
        yield log_id

    def page(self, log_id: str, page: bytes) -> list[Fetch]:
        """An answer to a fetch of messages."""
        followed, told = self.logs[log_id], json.loads(page)
        followed.take_messages(told["first_seq"], told["last_seq"], map(dumps, told["messages"]))
        if not told["has_more_after"]:
            # The rest is on its way: its writers have reserved positions, and not committed yet.
            followed.reached_seq = followed.seq
        return self.due(log_id)

    def changes(self, log_id: str, page: bytes) -> list[Fetch]:
        """An answer to a fetch of changes."""
        followed, told = self.logs[log_id], json.loads(page)
        followed.take_changes(told["first_rev"], told["last_rev"], told["changes"])
        return self.due(log_id)

    def due(self, log_id: str) -> list[Fetch]:
        """What the client lacks of what it was told of."""
        followed = self.logs[log_id]
        wanted = []
        if followed.reached_seq > followed.seq:
            wanted.append(Fetch(log_id, MESSAGES, followed.seq))
        if followed.reached_rev > followed.rev:
            wanted.append(Fetch(log_id, CHANGES, followed.rev))
        return wanted
