"""A change that is killed at any call, or whose response is lost, and is then repeated: it is made once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, cast

import pytest

from shared.bootstrap import Services, compose
from shared.domain import changes, keys
from shared.domain.changes import SHOWN_USERS, Change
from shared.domain.errors import UnavailableError
from shared.domain.messages import Draft
from shared.domain.model import MAX_GAPS, Entry
from shared.storage.log_reader import OLD_MS
from shared.storage.memory import MemoryStore
from shared.storage.protocol import Store
from shared.use_cases import delete_messages, edit_messages, pin_messages, react_to_messages
from shared.use_cases.post_message import post_message
from tests.conftest import FakeClock
from tests.contract.changing import THUMB, entry_at
from tests.contract.faulty import DIES_AFTER, DIES_BEFORE, FAILS, KINDS, LOSES, DiedError, FaultyStore
from tests.contract.samples import head_of, membership_of, open_channel, user
from tests.contract.test_crash_points import FASTEST

STEPS: Final = 9
"""More calls than any change makes."""
NEXT: Final = 3
MESSAGES: Final = MAX_GAPS + 2
"""In the channel: all but the first and the last are deleted, so that one more deletion moves a gap."""
Attempt = Callable[["Crash", Services], object]


@dataclass(frozen=True)
class Case:
    """A kind of change; ``before`` prepares the message, ``change`` makes the change."""

    change: Attempt
    before: Attempt = lambda _crash, _services: None
    kinds: tuple[str, ...] = ()
    """The changes of the first message in the log afterwards, in order."""


def _edit(text: str, key: str | None = None) -> Attempt:
    return lambda crash, services: edit_messages.edit_message(
        services, crash.ada, crash.channel, crash.message, {"text": crash.named(text)}, None, key
    )


def _delete(crash: Crash, services: Services) -> None:
    delete_messages.delete_message(services, crash.ada, crash.channel, crash.message)


def _react(crash: Crash, services: Services) -> None:
    react_to_messages.add_reaction(services, crash.eve, crash.channel, crash.message, THUMB)


def _unreact(crash: Crash, services: Services) -> None:
    react_to_messages.remove_reaction(services, crash.eve, crash.channel, crash.message, THUMB)


def _react_many(crash: Crash, services: Services) -> None:
    for each in crash.crowd:
        react_to_messages.add_reaction(services, each, crash.channel, crash.message, THUMB)


def _unreact_first(crash: Crash, services: Services) -> None:
    react_to_messages.remove_reaction(services, crash.crowd[0], crash.channel, crash.message, THUMB)


def _pin(crash: Crash, services: Services) -> None:
    pin_messages.pin_message(services, crash.ada, crash.channel, crash.message)


def _unpin(crash: Crash, services: Services) -> None:
    pin_messages.unpin_message(services, crash.ada, crash.channel, crash.message)


_ADDED: Final = ("reaction_added",) * (SHOWN_USERS + 1)
CASES: Final = {
    "edit": Case(_edit("new"), kinds=("edited",)),
    "edit with key": Case(_edit("new", "k1"), kinds=("edited",)),
    "edit that names": Case(_edit("<@eve>", "k1"), kinds=("edited",)),
    "edit that names no more": Case(_edit("nobody", "k1"), _edit("<@eve>"), ("edited", "edited")),
    "delete": Case(_delete, kinds=("deleted",)),
    "delete what names": Case(_delete, _edit("<@eve>"), ("edited", "deleted")),
    "react": Case(_react, kinds=("reaction_added",)),
    "react beyond": Case(_react, _react_many, (*_ADDED, "reaction_added")),
    "take back": Case(_unreact, _react, ("reaction_added", "reaction_removed")),
    "take back, another is shown": Case(_unreact_first, _react_many, (*_ADDED, "reaction_removed")),
    "pin": Case(_pin, kinds=("pinned",)),
    "unpin": Case(_unpin, _pin, ("pinned", "unpinned")),
}


@dataclass
class Crash:
    """One change, what goes wrong with its calls, and what came of it."""

    store: Store
    case: Case
    faults: Mapping[int, str]
    last_is_target: bool = True
    """Whether the message is the latest, which the head shows."""
    acknowledged: int = 0
    crowd: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = FakeClock()
        self.ada, self.eve = user(), user()
        if self.case.before is _react_many:
            self.crowd = [f"{i:02d}-{self.ada}" for i in range(SHOWN_USERS + 1)]
        self.channel = open_channel(self.store, self.ada, self.eve, *self.crowd)
        services = self._services(self.store)
        for i in range(MESSAGES):
            post_message(services, self.ada, self.channel, [Draft(f"message {i}")], None)
        for seq in range(2, MESSAGES):
            delete_messages.delete_message(
                services, self.ada, self.channel, keys.message_id(self.channel, seq)
            )
        self.seq = MESSAGES if self.last_is_target else 1
        self.message = keys.message_id(self.channel, self.seq)
        self.case.before(self, services)
        self.faulty = FaultyStore(self.store, self.faults)

    def named(self, text: str) -> str:
        """The text with the second member's real id."""
        return text.replace("<@eve>", f"<@{self.eve}>")

    def _services(self, store: Store) -> Services:
        return compose(FASTEST, store, self.clock.now, self.clock.sleep)

    def run(self) -> None:
        """Makes the change until it was acknowledged three times, each time in a container of its own."""
        for _ in range(len(self.faults) + 3):
            try:
                self.case.change(self, self._services(cast("Store", self.faulty)))
                self.acknowledged += 1
            except (DiedError, UnavailableError):
                self.clock.ms += 1_000
        assert self.acknowledged >= 3
        self.faulty.settle()
        self.clock.ms += OLD_MS + 1

    def check(self) -> None:
        """The change was made once, and everything that follows from it is right."""
        head = head_of(self.store, self.channel)
        made = self.store.changes(self.channel, 1, head.rev)
        assert [each.rev for each in made] == list(range(1, head.rev + 1))
        of_message = [each for each in made if each.seq == self.seq]
        assert [each.kind.value for each in of_message] == list(self.case.kinds)
        log = self.store.entries(self.channel, 1, head.seq)
        assert [each.seq for each in log] == list(range(1, head.seq + 1))
        self._check_messages(log, made)
        self._check_counts(log)
        self._check_marks(log[self.seq - 1])
        self._check_reactions(log[self.seq - 1])

    def _check_messages(self, log: list[Entry], made: list[Change]) -> None:
        """Each message is as its last change left it."""
        for each in log:
            changed = [change for change in made if change.seq == each.seq and change.body is not None]
            if changed:
                assert (each.body, each.rev) == (changed[-1].body, changed[-1].rev)
                assert changes.rev_of(each.body or b"") == each.rev
            texts = [change.rev for change in changed if change.before]
            assert each.versions == tuple(texts)
        pinned = [each for each in made if each.kind in {"pinned", "unpinned"}]
        stays = pinned and pinned[-1].kind == "pinned"
        assert self.store.pins(self.channel) == ({self.seq: pinned[-1].rev} if stays else {})

    def _check_counts(self, log: list[Entry]) -> None:
        """Preview, gaps and unread counts follow the messages."""
        head = head_of(self.store, self.channel)
        messages = [json.loads(each.body or b"") for each in log]
        assert head.last is not None
        assert (head.last.seq, head.last.text) == (messages[-1]["seq"], messages[-1]["text"])
        gone = {each["seq"] for each in messages if "deleted" in each}
        assert head.voids == len(gone)
        assert head.gaps | self.store.gaps(self.channel, 0) == gone
        assert head.gaps == {each for each in gone if each > head.gaps_from}
        for seq in (0, 1, MESSAGES - 1):
            moved = self.store.move_read_position(self.channel, self.eve, seq, seq, force=True)
            assert moved is not None
            if seq >= head.gaps_from:
                assert moved.unread(head) == sum(
                    each > seq and each not in gone for each in range(MESSAGES + 1)
                )

    def _check_marks(self, entry: Entry) -> None:
        message = json.loads(entry.body or b"")
        marks = membership_of(self.store, self.channel, self.eve).mentions
        assert bool(marks) is (self.eve in message.get("mentions", []))

    def _check_reactions(self, entry: Entry) -> None:
        """Users whom the message shows and those whom it does not show together are as many as it counts."""
        beyond = [each.user_id for each in self.store.reacted(self.channel, self.seq, THUMB, 99, None)]
        for each in changes.reactions_of(entry.body or b""):
            assert len({*each.users, *beyond}) == len(each.users) + len(beyond) == each.count
        members = {self.eve, *self.crowd}
        gone = {"take back": self.eve, "take back, another is shown": self.crowd[0] if self.crowd else ""}
        name = next(name for name, case in CASES.items() if case is self.case)
        if name in {"react", "react beyond", *gone}:
            found = [
                *beyond,
                *(user for each in changes.reactions_of(entry.body or b"") for user in each.users),
            ]
            expected = (
                members - {gone.get(name, "")} - (members - {*self.crowd} if "another" in name else set())
            )
            assert set(found) == expected


def single_faults(kinds: tuple[str, ...] = KINDS) -> Iterator[dict[int, str]]:
    """Each kind at each call."""
    yield from ({step: kind} for step in range(1, STEPS) for kind in kinds)


def second_faults(first: dict[int, str]) -> Iterator[dict[int, str]]:
    """Another one soon after the first."""
    [step] = first
    yield from (first | {step + i: kind} for i in range(1, NEXT + 1) for kind in KINDS)


def survived(store: Store, case: Case, faults: dict[int, str], *, last: bool = True) -> bool:
    """Whether all of these faults struck; then everything was right in the end."""
    crash = Crash(store, case, faults, last)
    crash.run()
    if crash.faulty.calls < max(faults):
        return False
    crash.check()
    return True


@pytest.mark.parametrize("last", [True, False], ids=["latest", "earlier"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_fault(case: Case, last: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Over the storage in memory: made once, numbers dense, preview, gaps, marks, pins and reactions right."""
    struck = sum(survived(MemoryStore(), case, faults, last=last) for faults in single_faults())
    assert struck >= 4 * len(KINDS)


@pytest.mark.parametrize("name", ["edit that names", "delete"])
def test_every_two_faults(name: str) -> None:
    """Also with a second fault in the repetition."""
    firsts = [each for each in single_faults() if min(each) <= 4]
    pairs = (pair for first in firsts for pair in second_faults(first))
    assert sum(survived(MemoryStore(), CASES[name], pair) for pair in pairs) > 300


@pytest.mark.parametrize("name", ["edit that names no more", "delete"])
def test_every_fault_on_every_storage(store: Store, name: str) -> None:
    """The same over each engine."""
    cases = single_faults((DIES_BEFORE, DIES_AFTER, FAILS, LOSES, "comes 1 calls late"))
    struck = [survived(store, CASES[name], faults) for faults in cases if min(faults) <= 2]
    assert struck == [True] * 10


def test_a_change_that_is_made_twice_would_be_seen() -> None:
    """The checks can fail."""
    crash = Crash(MemoryStore(), CASES["edit"], {})
    crash.run()
    _edit("another")(crash, compose(FASTEST, crash.store, crash.clock.now, crash.clock.sleep))
    assert entry_at(crash.store, crash.channel, crash.seq).rev
    with pytest.raises(AssertionError):
        crash.check()
