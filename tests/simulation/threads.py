"""The simulated clients follow threads and read them; they post, page and change there as in channels."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from shared.bootstrap import Services
from shared.domain import keys
from shared.use_cases import follow_threads
from shared.use_cases.fetch_messages import Page, Window
from shared.use_cases.list_channels import Listing
from shared.use_cases.list_threads import list_threads
from tests.simulation.ledger import Asked
from tests.simulation.pages import WrongError, plain
from tests.simulation.requests import Request

if TYPE_CHECKING:
    from tests.simulation.clients import Clients
    from tests.simulation.world import World

MOST: Final = 2
"""Threads of a channel: few, so that they become long, and requests meet."""
NOWHERE: Final = 0.03
"""How often the thread of any position is asked for."""
READ_MS: Final = 10_000.0
"""Longer than a reading of a thread takes when all is quiet."""


class Threads:
    """Requests about threads, and which threads there are.

    Args:
        world: they happen in.
        clients: who send the requests.
    """

    def __init__(self, world: World, clients: Clients) -> None:
        self._world = world
        self._rng = world.rng
        self._clients = clients
        self._of: defaultdict[str, list[str]] = defaultdict(list)
        self._seldom: set[str] = set()

    @property
    def all(self) -> list[str]:
        """The log ids of all threads, whether they have replies or not."""
        known = [each for log_ids in self._of.values() for each in log_ids]
        replied = self._seldom.difference(known) & self._world.ledger.logs.keys()
        return [*known, *sorted(each for each in replied if self._world.truth.head(each))]

    def somewhere(self, channel_id: str) -> str:
        """One of a channel's few threads; the channel itself if it has no message for a root."""
        end = len(self._world.truth.log(channel_id))
        known = self._of[channel_id]
        if end and self._world.chance(NOWHERE):
            anywhere = keys.message_id(channel_id, self._rng.randint(1, end + 1))
            self._seldom.add(anywhere)
            return anywhere
        seq = self._rng.randint(1, end) if end and len(known) < MOST else 0
        root = self._world.truth.log(channel_id).get(seq)
        log_id = keys.message_id(channel_id, seq)
        if root is not None and root.body is not None and log_id not in known:
            known.append(log_id)
        return self._rng.choice(known) if known else channel_id

    def list(self, user_id: str, channel_id: str) -> None:
        """The threads that the caller follows."""

        def check(asked: Asked, listed: dict[str, Any]) -> str:
            self._world.judge.threads(asked, listed)
            return "listed"

        def call(services: Services) -> object:
            return list_threads(services, user_id, Listing(100))

        self._clients.send(Request("threads", user_id, keys.channel_of_log(channel_id), call, check))

    def mark(self, user_id: str, log_id: str) -> None:
        """Marks a thread as read, sometimes as unread."""
        root = keys.root_of(log_id)
        if root is None:
            return self._clients.mark(user_id, log_id)
        head, force = self._world.truth.head(log_id), self._world.chance(0.3)
        seq = self._rng.randint(0, head.seq if head else 0)

        def check(asked: Asked, response: dict[str, Any]) -> str:
            if not response["following"]:
                return "not followed"
            end = self._world.truth.head(asked.channel_id)
            read, unread = response["last_read_seq"], response["unread_count"]
            if not 0 <= unread <= max(0, (end.seq if end else 0) - read):
                raise WrongError(f"{unread} unread after marking {read} as read")
            return "marked"

        def call(services: Services) -> object:
            return follow_threads.mark_thread_read(services, user_id, root[0], log_id, seq, force=force)

        return self._clients.send(Request("mark", user_id, log_id, call, check))

    def follow(self, user_id: str, log_id: str) -> None:
        """Somebody follows a thread, or follows it no more."""
        root = keys.root_of(log_id)
        if root is None:
            return
        begins = self._world.chance(0.6)
        make = follow_threads.follow_thread if begins else follow_threads.unfollow_thread

        def call(services: Services) -> object:
            return make(services, user_id, root[0], log_id)

        what = "followed" if begins else "unfollowed"
        self._clients.send(Request("follow", user_id, log_id, call, lambda *_: what))

    def read_once(self) -> None:
        """When all is quiet: a member reads each thread, a single time; those of a channel without members stay."""
        for log_id in self.all:
            window, reader = Window(20), self._world.ledger.some_member(log_id)
            if reader is None:
                continue

            def check(asked: Asked, page: Page, window: Window = window) -> str:
                self._world.judge.page(asked, window, plain(page), None)
                return "read once"

            def call(
                services: Services, reader: str = reader, log_id: str = log_id, window: Window = window
            ) -> object:
                return self._world.code.fetch(services, reader, log_id, window, frozenset())

            self._clients.send(Request("page", reader, log_id, call, check))
            self._world.loop.wait(READ_MS)
        try:
            self._world.judge.summaries()
        except WrongError as error:
            self._world.violate(f"after one reading of each thread: {error}")
