"""A post that is killed at any step, or loses a response, and is then repeated: one message, one response."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import pytest

from shared.bootstrap import compose
from shared.domain.errors import UnavailableError
from shared.domain.messages import Draft
from shared.domain.model import Entry
from shared.settings import Settings
from shared.storage.log_reader import OLD_MS, DirectLogReader
from shared.storage.memory import MemoryStore
from shared.storage.protocol import Store
from shared.use_cases.list_channels import Listing, list_channels
from shared.use_cases.post_message import Posted, post_message
from tests.conftest import FakeClock
from tests.contract.faulty import DIES_AFTER, DIES_BEFORE, FAILS, KINDS, LOSES, DiedError, FaultyStore
from tests.contract.samples import head_of, membership_of, open_channel, user
from tests.lengths import LONG

SINGLE, BATCH = ["one"], ["one", "two", "three"]
FASTEST = Settings(rate_per_second=1000, rate_burst=1000)
STEPS = 16
"""More calls than any post of these makes, with its repetitions."""
NEXT = 6
"""How many calls after the first fault a second one comes at most."""
SECOND_KINDS = KINDS if LONG else (DIES_AFTER, FAILS, LOSES, "comes 2 calls late")
"""The kinds of the second fault; all of them with LONG_TESTS=1."""


@dataclass
class Crash:
    """One post, what goes wrong with its calls, and what came of it."""

    store: Store
    texts: list[str]
    key: str | None
    faults: Mapping[int, str]

    def __post_init__(self) -> None:
        self.clock = FakeClock()
        self.sender, self.reader = user(), user()
        self.channel = open_channel(self.store, self.sender, self.reader)
        self.faulty = FaultyStore(self.store, {})
        self.post(self.reader, ["before"], None)
        self.faulty = FaultyStore(self.store, self.faults)
        self.responses: list[Posted] = []

    def run(self) -> None:
        """Posts; with a key it repeats until it has three responses, without a key it posts once."""
        for _ in range(len(self.faults) + 3 if self.key else 1):
            try:
                self.responses.append(self.post(self.sender, self.texts, self.key))
            except (DiedError, UnavailableError):
                self.clock.ms += 1_000
        self.faulty.settle()

    def post(self, sender: str, texts: list[str], key: str | None) -> Posted:
        """Reads in another container, as a dead one serves nothing."""
        services = compose(FASTEST, cast("Store", self.faulty), self.clock.now, self.clock.sleep)
        return post_message(services, sender, self.channel, [Draft(text) for text in texts], key)

    def _listed(self) -> int:
        """The position of the latest message by the reader's list, before anybody has read a page."""
        services = compose(FASTEST, self.store, self.clock.now, self.clock.sleep)
        [channel] = list_channels(services, self.reader, Listing(1)).body["channels"]
        return int(channel["last_message"]["seq"])

    def read(self) -> list[Entry]:
        """The whole log, after a reader has settled it."""
        self.clock.ms += OLD_MS + 1
        head = head_of(self.store, self.channel)
        DirectLogReader(self.store, self.clock.sleep, self.clock.now).read(head, 1, head.seq)
        return self.store.entries(self.channel, 1, head.seq)

    def check(self) -> None:
        """Everything that must hold after any fault."""
        self.clock.ms += OLD_MS + 1
        listed = self._listed()
        log = self.read()
        head = head_of(self.store, self.channel)
        assert [each.seq for each in log] == [each.messages for each in log] == list(range(1, head.seq + 1))
        standing = [json.loads(each.body) for each in log if each.body is not None]
        self._check_messages([each.body for each in log], [each["text"] for each in standing])
        assert head.last is not None
        assert (head.last.seq, head.last.text) == (standing[-1]["seq"], standing[-1]["text"])
        assert listed == head.last.seq, "a list alone shows the latest message that stands"
        self._check_unread(log)

    def _check_messages(self, bodies: list[bytes | None], texts: list[str]) -> None:
        once = ["before", *self.texts]
        assert texts in ([once] if self.responses else [once, ["before"]])
        for response in self.responses:
            first = response.last_seq - len(self.texts)
            assert bodies[first : response.last_seq] == response.bodies == self.responses[0].bodies
        assert [each.replayed for each in self.responses].count(False) <= 1
        if self.key:
            assert len(self.responses) >= 3

    def _check_unread(self, log: list[Entry]) -> None:
        """As many as messages stand behind them, for sender and reader, and none left at the end of the log."""
        head, last = head_of(self.store, self.channel), log[-1]
        assert head.voids == sum(each.body is None for each in log)
        for user_id in (self.sender, self.reader):
            membership = membership_of(self.store, self.channel, user_id)
            standing = sum(each.body is not None for each in log if each.seq > membership.read_seq)
            assert membership.unread(head) == standing
        moved = self.store.move_read_position(self.channel, self.reader, last.seq, last.messages, force=False)
        assert moved is not None
        assert moved.unread(head) == 0


def single_faults(kinds: tuple[str, ...] = KINDS) -> Iterator[dict[int, str]]:
    """Each kind at each call."""
    yield from ({step: kind} for step in range(1, STEPS) for kind in kinds)


def second_faults(first: dict[int, str]) -> Iterator[dict[int, str]]:
    """Another one soon after the first: in what the post does about it, or in its repetition."""
    [step] = first
    yield from (first | {step + i: kind} for i in range(1, NEXT + 1) for kind in SECOND_KINDS)


def lived_through(store: Store, texts: list[str], key: str | None, faults: dict[int, str]) -> bool:
    """Whether all of these faults struck; then everything was right in the end."""
    crash = Crash(store, texts, key, faults)
    crash.run()
    if crash.faulty.calls < max(faults):
        return False
    crash.check()
    return True


@pytest.mark.parametrize("key", [None, "k1"])
@pytest.mark.parametrize("texts", [SINGLE, BATCH], ids=["single", "batch"])
def test_every_fault_and_every_two_faults(texts: list[str], key: str | None) -> None:
    """On the storage in memory: one message, the first response replayed, positions dense, counts and preview right."""
    struck = 0
    for first in single_faults():
        if lived_through(MemoryStore(), texts, key, first):
            struck += 1 + sum(lived_through(MemoryStore(), texts, key, both) for both in second_faults(first))
    assert struck > (500 if key else 60)


@pytest.mark.parametrize(("texts", "key"), [(SINGLE, None), (BATCH, "k1")], ids=["single", "batch-with-key"])
def test_every_fault_on_every_storage(engine_store: Store, texts: list[str], key: str | None) -> None:
    """One fault at the first calls of a post: each engine's transactions keep it whole, too."""
    cases = single_faults((DIES_BEFORE, DIES_AFTER, FAILS, LOSES, "comes 1 calls late"))
    steps = range(1, 4)
    struck = sum(lived_through(engine_store, texts, key, faults) for faults in cases if min(faults) in steps)
    assert struck == 15


def test_a_second_post_that_is_not_repeated_would_be_seen() -> None:
    """The checks fail if the same text is posted under two keys."""
    crash = Crash(MemoryStore(), SINGLE, "k1", {})
    crash.run()
    crash.key = "k2"
    crash.run()
    with pytest.raises(AssertionError):
        crash.check()


def test_faults_strike_where_they_are_planned(store: Store) -> None:
    """A call that fails, one whose response is lost, one that arrives late, and a container that dies."""
    faulty: Any = FaultyStore(store, {1: FAILS, 2: LOSES, 3: "comes 1 calls late", 5: DIES_BEFORE})
    seen = []
    for _ in range(5):
        try:
            seen.append(faulty.ping())
        except (UnavailableError, DiedError) as error:
            seen.append(type(error).__name__)
    assert seen == ["StoreUnavailableError"] * 3 + [None, "DiedError"]
