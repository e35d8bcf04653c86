"""Threads in any order of steps: the count in the root never passes the truth, and one reading makes it right."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import Any

import pytest

from shared.bootstrap import Services, compose
from shared.domain import keys
from shared.domain.changes import summary_of
from shared.domain.errors import BudgieError, StoreUnavailableError
from shared.domain.messages import Draft
from shared.domain.model import ChannelState, Entry, Preview
from shared.settings import Settings
from shared.storage.log_reader import DEAD_MS
from shared.storage.memory import MemoryStore
from shared.storage.protocol import ChangeCommit, ChangeOutcome, Commit, Outcome
from shared.use_cases import delete_messages, edit_messages, react_to_messages
from shared.use_cases.fetch_messages import Window, fetch_messages
from shared.use_cases.post_message import post_message
from tests.conftest import FakeClock
from tests.contract.samples import open_channel
from tests.shared.use_cases.turns import Turns

USERS = ("ada", "eve", "joe")
OPERATIONS = 12
"""Of each writer."""


@dataclass
class TornStore(MemoryStore):
    """Each call is a step; a state is read part by part, in any order; some writes fail or lose their answers."""

    turns: Turns = field(kw_only=True)
    random: Random = field(kw_only=True)
    after_step: Callable[[], None] = field(kw_only=True, default=lambda: None)
    quiet: bool = False
    forgets_summaries: bool = False
    """A mutant: deletions leave the root alone."""

    def _step(self, failing: float = 0.0) -> None:
        if not self.quiet:
            self.turns.step()
            self.after_step()
            if self.random.random() < failing:
                raise StoreUnavailableError(retry_after=1)

    @contextmanager
    def _losing(self) -> Iterator[None]:
        self._step(0.02)
        yield
        self._step(0.02)

    def read_channel_state(self, channel_id: str, user_id: str, key: str | None = None) -> ChannelState:
        """In parts."""
        return self._torn(lambda: MemoryStore.read_channel_state(self, channel_id, user_id, key))

    def read_message_state(
        self, channel_id: str, user_id: str, seq: int, key: str | None = None
    ) -> tuple[ChannelState, Entry | None]:
        """In parts."""
        entries: list[Entry | None] = []

        def read() -> ChannelState:
            entries.append(self.log(channel_id).get(seq))
            return MemoryStore.read_channel_state(self, channel_id, user_id, key)

        return self._torn(read), self.random.choice(entries)

    def _torn(self, read: Callable[[], ChannelState]) -> ChannelState:
        """Head, thread's head, root and the rest are each as one of several moments."""
        seen = []
        for _ in range(3):
            self._step()
            seen.append(read())
        state, thread, channel, root = (self.random.choice(seen) for _ in range(4))
        if state.thread is None or thread.head is None or channel.thread is None or root.thread is None:
            return state
        made = replace(state.thread, channel=channel.thread.channel, root=root.thread.root)
        return replace(state, head=thread.head, thread=made)

    def reserve(self, channel_id: str, count: int, preview: Preview, *, everybody: bool = False) -> Any:
        """May fail."""
        with self._losing():
            return MemoryStore.reserve(self, channel_id, count, preview, everybody=everybody)

    def commit(self, commit: Commit) -> Outcome:
        """May fail."""
        with self._losing():
            return MemoryStore.commit(self, commit)

    def commit_change(self, commit: ChangeCommit) -> ChangeOutcome:
        """May fail."""
        if self.forgets_summaries:
            commit = replace(commit, summary=None)
        with self._losing():
            return MemoryStore.commit_change(self, commit)

    def entries(self, channel_id: str, first: int, last: int) -> list[Entry]:
        """A step."""
        self._step()
        return MemoryStore.entries(self, channel_id, first, last)

    def void(self, channel_id: str, voids: Any) -> list[Entry]:
        """A step."""
        self._step()
        return MemoryStore.void(self, channel_id, voids)


class Course:
    """Writers who reply, delete, edit and react, and readers, in one channel with one thread."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)  # noqa: S311 - a course of events, not a secret
        self.clock = FakeClock()
        self.turns = Turns(self.random)
        self.store = TornStore(turns=self.turns, random=self.random, quiet=True)
        self.channel = open_channel(self.store, *USERS)
        self.thread = keys.message_id(self.channel, 1)
        post_message(self.container(), "ada", self.channel, [Draft("root")], None)
        self.passed: list[tuple[int, int]] = []
        """Counts that were too high, with the truth."""

    def container(self) -> Services:
        """Services of their own over the storage of all."""
        settings = Settings(rate_per_second=1000, rate_burst=1000)
        return compose(settings, self.store, self.clock.now, self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.clock.ms += round(seconds * 1000)
        self.turns.step()

    def replies(self) -> list[dict[str, Any]]:
        """Those that are there and were not deleted."""
        log = self.store.log(self.thread)
        found = [json.loads(log[seq].body or b"{}") for seq in sorted(log) if log[seq].body is not None]
        return [each for each in found if "deleted" not in each]

    def count(self) -> int:
        """What the root says."""
        summary = summary_of(self.store.log(self.channel)[1].body or b"{}")
        return summary.count if summary else 0

    def check(self) -> None:
        """Called between any two steps."""
        count, truth = self.count(), len(self.replies())
        if count > truth:
            self.passed.append((count, truth))

    def write(self, user: str, seed: int) -> None:
        """A writer's operations; what is refused or fails is left."""
        random = Random(seed)  # noqa: S311 - as above
        for number in range(OPERATIONS):
            self.clock.ms += random.choice((1, 5, 50))
            services = self.container()
            head = self.store.head(self.thread)
            target = keys.message_id(self.thread, random.randint(1, max(1, head.seq if head else 1)))
            with suppress(BudgieError):
                match random.choices(
                    ("reply", "both", "delete", "edit", "react", "read"), (6, 1, 3, 1, 1, 2)
                )[0]:
                    case "reply":
                        post_message(services, user, self.thread, [Draft(f"{user} {number}")], None)
                    case "both":
                        draft = [Draft(f"{user} {number} both")]
                        post_message(services, user, self.thread, draft, None, also_in_channel=True)
                    case "delete":
                        delete_messages.delete_message(services, "ada", self.channel, target)
                    case "edit":
                        edit_messages.edit_message(
                            services, "ada", self.channel, self.thread, {"text": str(number)}
                        )
                    case "react":
                        react_to_messages.add_reaction(services, user, self.channel, self.thread, ":ship_it:")
                    case _:
                        self.read(user)

    def read(self, user: str) -> None:
        """Reads the thread."""
        fetch_messages(self.container(), user, self.thread, Window(100), frozenset())

    def run(self) -> None:
        """Writers and readers at once; then, after a while, one reading."""
        self.store.quiet = False
        self.store.after_step = self.check
        seeds = [self.random.random() for _ in range(5)]
        self.turns.run([partial(self.write, USERS[i % 3], hash(seed)) for i, seed in enumerate(seeds)])
        self.store.quiet = True
        self.check()
        self.clock.ms += DEAD_MS + 1
        fetch_messages(self.container(), "eve", self.channel, Window(100), frozenset())
        self.read("eve")


@pytest.mark.parametrize("seed", range(12))
def test_the_count_never_passes_the_truth(seed: int) -> None:
    """In any order of steps, with states read in parts; after the last write one reading makes it right."""
    course = Course(seed)
    course.run()
    assert course.passed == []
    assert course.count() == len(course.replies())
    copies = [json.loads(each.body) for each in course.store.log(course.channel).values() if each.body]
    linked = {each["reply_id"]: each for each in copies if "reply_id" in each}
    log = course.store.log(course.thread)
    both = [json.loads(each.body) for each in log.values() if each.body]
    assert {each["id"] for each in both if "channel_message_id" in each} == set(linked)


def test_a_summary_that_takes_no_part_in_deletions_is_found() -> None:
    """The check can fail: a deletion that leaves the root alone lets the count pass the truth."""
    assert any(course.passed for course in (_with_mutant(seed) for seed in range(6)))


def _with_mutant(seed: int) -> Course:
    course = Course(seed)
    course.store.forgets_summaries = True
    course.run()
    return course
