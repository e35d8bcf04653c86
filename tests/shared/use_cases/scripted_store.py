"""A storage in memory where a test may step in at any call of the log."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from shared.domain.errors import StoreUnavailableError
from shared.domain.model import ChannelState, Entry, Head, Preview
from shared.storage.memory import MemoryStore
from shared.storage.protocol import Commit, Outcome, Reservation

T = TypeVar("T")
Step = Callable[[Callable[[], Any]], Any]
"""Stands in for one call: gets the real one, which it makes, or not, and answers, or raises."""


@dataclass
class ScriptedStore(MemoryStore):
    """Calls of a method take its planned steps one after the other, and go through when none is left."""

    calls: list[str] = field(default_factory=list)
    _plans: dict[str, deque[Step]] = field(default_factory=lambda: defaultdict(deque))

    def plan(self, method: str, *steps: Step) -> None:
        """What the next calls of a method meet."""
        self._plans[method].extend(steps)

    def _step(self, method: str, call: Callable[[], T]) -> T:
        self.calls.append(method)
        if not self._plans[method]:
            return call()
        response: T = self._plans[method].popleft()(call)
        return response

    def read_channel_state(self, channel_id: str, user_id: str, key: str | None = None) -> ChannelState:
        """A step."""
        return self._step(
            "read_channel_state", lambda: MemoryStore.read_channel_state(self, channel_id, user_id, key)
        )

    def reserve(
        self, channel_id: str, count: int, preview: Preview, *, everybody: bool = False
    ) -> Reservation | Head | None:
        """A step."""
        return self._step(
            "reserve", lambda: MemoryStore.reserve(self, channel_id, count, preview, everybody=everybody)
        )

    def commit(self, commit: Commit) -> Outcome:
        """A step."""
        return self._step("commit", lambda: MemoryStore.commit(self, commit))

    def void(self, channel_id: str, voids: Sequence[Entry]) -> list[Entry]:
        """A step."""
        return self._step("void", lambda: MemoryStore.void(self, channel_id, voids))

    def correct_preview(
        self, channel_id: str, seq: int, preview: Preview | None, erasures: int, rev: int = 0
    ) -> bool:
        """A step."""
        return self._step(
            "correct_preview",
            lambda: MemoryStore.correct_preview(self, channel_id, seq, preview, erasures, rev),
        )

    def entries(self, channel_id: str, first: int, last: int) -> list[Entry]:
        """A step."""
        return self._step("entries", lambda: MemoryStore.entries(self, channel_id, first, last))

    def latest_entries(self, channel_id: str, up_to: int, limit: int) -> list[Entry]:
        """One call as one step, however the storage makes it."""
        return self._step(
            "latest_entries", lambda: MemoryStore.entries(self, channel_id, 0, up_to)[::-1][:limit]
        )

    def entry_after(self, channel_id: str, seq: int) -> Entry | None:
        """A step."""
        return self._step("entry_after", lambda: MemoryStore.entry_after(self, channel_id, seq))


def passes(call: Callable[[], T]) -> T:
    """Nothing special."""
    return call()


def fails(call: Callable[[], object]) -> None:  # noqa: ARG001 - the call is not made
    """The storage fails without effect."""
    raise StoreUnavailableError(retry_after=1)


def loses_its_answer(call: Callable[[], object]) -> None:
    """The storage fails with effect."""
    call()
    raise StoreUnavailableError(retry_after=1)


def responses(outcome: T) -> Callable[[Callable[[], object]], T]:
    """The storage returns this without effect."""
    return lambda _: outcome


def after(*actions: Callable[[], object]) -> Step:
    """Something else happens first."""

    def step(call: Callable[[], T]) -> T:
        for action in actions:
            action()
        return call()

    return step
