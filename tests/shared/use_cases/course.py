"""A random course of events in one channel: writers and polling readers, each a container of its own.

Every call of the storage is a step at which any other writer or reader may come first; a Query takes two, as DynamoDB
gives no snapshot. Commits fail and lose their answers, and some writers stand still until readers void their numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import Any, TypeVar

from shared.bootstrap import Services, compose
from shared.domain.errors import CommitUnknownError, UnavailableError
from shared.domain.messages import Draft
from shared.domain.model import Entry
from shared.settings import Settings
from shared.storage.log_reader import DEAD_MS, DirectLogReader
from shared.storage.memory import MemoryStore
from shared.use_cases.fetch_messages import Page, Window, fetch_messages
from shared.use_cases.post_message import Posted, post_message
from tests.conftest import FakeClock
from tests.contract.samples import head_of, open_channel
from tests.shared.use_cases.scripted_store import ScriptedStore, Step, fails, loses_its_answer
from tests.shared.use_cases.turns import Turns

T = TypeVar("T")
USERS = ("ada", "eve", "joe")
FAILURES: dict[str, list[tuple[float, Step]]] = {
    "reserve": [(0.01, fails), (0.01, loses_its_answer)],
    "commit": [(0.05, fails), (0.05, loses_its_answer)],
    "void": [(0.02, fails), (0.02, loses_its_answer)],
}
PAUSES_MS = {0: 50, 1: 50, 5: 10, 700: 1, DEAD_MS: 0.2}
"""How time goes on between two steps, and how often so."""


@dataclass
class TurningStore(ScriptedStore):
    """Every call of the log is a step, and some fail."""

    turns: Turns = field(kw_only=True)
    random: Random = field(kw_only=True)
    clock: FakeClock = field(kw_only=True)
    quiet: bool = False

    def _step(self, method: str, call: Callable[[], T]) -> T:
        if self.quiet:
            return call()
        self.turns.step()
        self.clock.ms += self.random.choices(list(PAUSES_MS), list(PAUSES_MS.values()))[0]
        for chance, failure in FAILURES.get(method, []):
            if self.random.random() < chance:
                failure(call)
        return call()

    def entries(self, channel_id: str, first: int, last: int) -> list[Entry]:
        """In two parts, the earlier positions first."""
        middle = self.random.randint(first - 1, last) if first <= last else last
        parts = [(first, middle), (middle + 1, last)]
        found = [
            self._step("entries", partial(MemoryStore.entries, self, channel_id, *part)) for part in parts
        ]
        return [entry for part in found for entry in part]


class Course:
    """The events, and what each client was told."""

    def __init__(self, seed: int, *, cached: bool) -> None:
        self.random = Random(seed)  # noqa: S311 - a course of events, not a secret
        self.clock = FakeClock()
        self.turns = Turns(self.random)
        self.store = TurningStore(turns=self.turns, random=self.random, clock=self.clock)
        self.channel = open_channel(self.store, *USERS)
        self.acknowledged: dict[str, list[Posted]] = {}
        self.positions: set[int] = set()
        """Positions of all messages that were acknowledged."""
        self.writing = 0
        self._cached = cached

    def run(self, *, writers: int, posts: int, readers: int) -> list[Reader]:
        """Writers post, half of the posts twice at the same time, while readers poll."""
        works: list[Callable[[], None]] = []
        for i in range(writers):
            names = [f"{i}.{each}" for each in range(posts)]
            twice = [name for name in names if self.random.random() < 0.5]
            works += [partial(self._write, USERS[i % 3], each) for each in (names, twice)]
        self.writing = len(works)
        polling = [Reader(self, USERS[i % 3]) for i in range(readers)]
        self.turns.run([*works, *(reader.poll for reader in polling)])
        return polling

    def settle(self) -> list[Entry]:
        """After a while a reader settles what was left: the whole log."""
        self.store.quiet = True
        self.clock.ms += DEAD_MS + 1
        head = head_of(self.store, self.channel)
        DirectLogReader(self.store, self.clock.sleep, self.clock.now).read(head, 1, head.seq)
        return self.store.entries(self.channel, 1, head.seq)

    def container(self) -> Services:
        """Services of their own over the storage of all."""
        settings = Settings(rate_per_second=1000, rate_burst=1000)
        services = compose(settings, self.store, self.clock.now, self._sleep)
        if self._cached:
            return services
        return replace(services, reader=DirectLogReader(self.store, self._sleep, self.clock.now))

    def _sleep(self, seconds: float) -> None:
        self.clock.sleep(seconds)
        self.turns.step()

    def _write(self, user: str, names: list[str]) -> None:
        services = self.container()
        try:
            for name in names:
                self._post(services, user, name)
        finally:
            self.writing -= 1

    def _post(self, services: Services, user: str, name: str) -> None:
        """Posts with its name as key, up to three times while the outcome is unknown."""
        drafts = [Draft(text) for text in texts_of(name)]
        for _ in range(3):
            try:
                posted = post_message(services, user, self.channel, drafts, key=name)
            except CommitUnknownError:
                continue
            except UnavailableError:
                return
            self.acknowledged.setdefault(name, []).append(posted)
            self.positions |= {json.loads(body)["seq"] for body in posted.bodies}
            return


def texts_of(name: str) -> list[str]:
    """The messages of a post: every fourth one is a batch."""
    return [f"{name}/{i}" for i in range(3 if int(name.split(".")[1]) % 4 == 3 else 1)]


class Reader:
    """Polls ``after=`` what it has, and keeps all that it is given."""

    def __init__(self, course: Course, user: str) -> None:
        self.read: list[bytes] = []
        self.position = 0
        self.polls = 0
        self._course = course
        self._user = user
        self._services = course.container()
        self._version = ""

    def poll(self) -> None:
        """Reads until all writers have ended."""
        while self._course.writing:
            self.page()

    def page(self) -> None:
        """One page; it holds everything in its range that had been acknowledged before."""
        limit = self._course.random.randint(1, 8)
        due = {seq for seq in self._course.positions if self.position < seq <= self.position + limit}
        window = Window(limit, after=self.position)
        self.polls += 1
        try:
            page = fetch_messages(
                self._services, self._user, self._course.channel, window, frozenset([self._version])
            )
        except UnavailableError:
            return
        if page.stale:
            return
        if page.body is None:
            assert not due
            return
        self._take(page, json.loads(page.body), due)

    def _take(self, page: Page, body: dict[str, Any], due: set[int]) -> None:
        messages = body["messages"]
        assert body["first_seq"] == self.position + 1
        seqs = [message["seq"] for message in messages]
        assert seqs == sorted(set(seqs))
        assert due <= set(seqs)
        assert all(self.position < seq <= body["last_seq"] for seq in seqs)
        # A version names what a position was asked for with; it is of use only while that stays the same.
        self._version = page.version if body["last_seq"] == self.position else ""
        self.position = body["last_seq"]
        self.read += [json.dumps(message).encode() for message in messages]
