"""One channel with holes in its log, for the tests of reading it."""

from __future__ import annotations

from dataclasses import dataclass

from shared.domain.messages import Draft, encode, preview
from shared.domain.model import Entry, Preview
from shared.storage.log_reader import DirectLogReader, Span
from tests.conftest import FakeClock
from tests.contract.samples import head_of
from tests.shared.use_cases.scripted_store import ScriptedStore


@dataclass
class World:
    """One channel, whose positions a test gives out and commits as it likes."""

    store: ScriptedStore
    clock: FakeClock
    channel: str

    def reserve(self, count: int = 1) -> int:
        """Numbers are given out, and their message shown; the last of them."""
        taken = self.store.reserve(self.channel, count, preview(0, "ada", "never came", self.clock.now()))
        return getattr(taken, "seq", 0)

    def entry(self, seq: int) -> Entry:
        """A message as its writer would commit it now."""
        now = self.clock.now()
        return Entry(seq, seq, now, encode(self.channel, seq, "ada", now, Draft(f"message {seq}")))

    def commit(self, *seqs: int) -> None:
        """Commits messages at these positions."""
        for seq in seqs:
            self.store.log(self.channel)[seq] = self.entry(seq)

    def read(self, first: int = 1, last: int | None = None) -> Span:
        """As a request does it: the head, then the range."""
        head = head_of(self.store, self.channel)
        self.store.calls.clear()
        reader = DirectLogReader(self.store, self.clock.sleep, self.clock.now)
        return reader.read(head, first, head.seq if last is None else last)

    def standing(self) -> dict[int, bool]:
        """The entries: True for a message, False for a void."""
        return {each.seq: each.body is not None for each in self.store.entries(self.channel, 0, 999)}

    def shown(self) -> Preview | None:
        """The head's preview."""
        return head_of(self.store, self.channel).last


def kinds(span: Span) -> list[bool]:
    """Of each position covered, whether it is a message."""
    return [body is not None for body in span.bodies]
