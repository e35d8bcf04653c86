"""One simulated world with push: everything that `tests.simulation.world` has, and people who watch."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from shared.bootstrap import Services
from shared.domain import keys
from shared.domain.news import ChannelEvent, MembershipChanged, News
from shared.use_cases.manage_members import put_member, remove_member
from shared.use_cases.moderate_channels import ban_user, unban_user
from tests.realtime.follower import Followed
from tests.simulation.clients import OWNER
from tests.simulation.fault_rates import NO_FAULTS, QUIET_MS, SKEW_MS, Phase, next_phase
from tests.simulation.push.containers import Dispatcher, PushCode
from tests.simulation.push.network import LOSSY, QUIET, RELIABLE, Network
from tests.simulation.push.stream import Stream
from tests.simulation.push.watchers import Watcher
from tests.simulation.requests import Request
from tests.simulation.world import Result, World

WATCHES: Final = 0.35
"""How many of a world's requests are by those who watch."""
LONGEST_DISPATCH_MS: Final = 600_000
ROUNDS: Final = 3


class PushWorld(World):
    """Writers, watchers, a stream and a dispatcher.

    In a reliable world no frame and no record is lost for good: there, every client must have everything before any of
    them asks. In the others they may ask once, when all is quiet.

    Args:
        seed: decides everything.
        operations: requests that clients send.
        push: the code under test.
        traced: whether steps are written down.
    """

    def __init__(self, seed: int, operations: int, push: PushCode, *, traced: bool = False) -> None:
        super().__init__(seed, operations, push.code, traced=traced)
        self.push = push
        settings = replace(self._sizes.settings, realtime_url="ws://simulated")
        self._sizes = replace(self._sizes, settings=settings)
        self.is_orderly = False
        self.is_reliable = self.rng.random() < 0.4
        self.frame_rates = RELIABLE if self.is_reliable else LOSSY
        self.network = Network()
        self.stream = Stream(self, is_reliable=self.is_reliable)
        self.watchers = [
            Watcher(self, user) for user in self.users for _ in range(self.rng.choice((1, 1, 2)))
        ]
        self.frames = self.taken = self.said = 0
        self._removed: dict[tuple[str, str], bool] = {}
        """Channel and user of memberships that have ended: whether that was acknowledged."""
        self.clients.erase = lambda *_: None  # type: ignore[method-assign]  # an erasure is not in the change log
        self.clients.member = self._member  # type: ignore[method-assign]  # with its acknowledgement
        self.truth.on_news = self._written

    def run(self) -> Result:
        """As of ``World``, with counts of frames."""
        result = super().run()
        result.outcomes.update(
            {"frames: sent": self.frames, "frames: taken": self.taken, "frames: said": self.said}
        )
        return result

    # --- what its inhabitants use ---

    def dispatcher(self) -> Dispatcher:
        """A new container of the dispatcher's function."""
        self._born += 1
        return Dispatcher(self, f"d{self._born}", self.rng.randint(-SKEW_MS, SKEW_MS), self._sizes)

    def is_member(self, log_id: str, user_id: str) -> bool:
        """Whether a user is a member now."""
        return self.truth.membership(keys.channel_of_log(log_id), user_id) is not None

    def may_hear(self, channel_id: str) -> set[str]:
        """Who is a member now, or was removed by a request that is not acknowledged yet."""
        return {
            user
            for user in self.users
            if self.is_member(channel_id, user) or self._removed.get((channel_id, user)) is False
        }

    def hang_up(self, connection_id: str) -> None:
        """A connection ends, whoever ends it."""
        if self.network.open.pop(connection_id, None):
            for watcher in self.watchers:
                if watcher.connection_id == connection_id:
                    watcher.lost()

    def _written(self, news: News) -> None:
        if isinstance(news, MembershipChanged):
            if news.event is ChannelEvent.REMOVED:
                self._removed[news.channel_id, news.user_id] = False
            else:
                self._removed.pop((news.channel_id, news.user_id), None)
        self.stream.take(news)

    # --- its course ---

    def _drive(self) -> None:
        for watcher in self.watchers:
            for channel_id in self.channels:
                watcher.look(channel_id)
            watcher.connect()
        while self.clients.launched < self.operations:
            self.phase = next_phase(self.rng)
            for _ in range(self.phase.requests):
                if self.clients.launched >= self.operations:
                    break
                if self.chance(WATCHES):
                    self.rng.choice(self.watchers).act()
                else:
                    self.clients.launch()
                self.loop.wait(self.rng.expovariate(1 / self.phase.gap_ms))
        # What failed is asked for until it is answered: an outage must not last for ever.
        self.phase = Phase(0, 0.0, *NO_FAULTS)

    def _finish(self) -> None:
        """When all is quiet every client has everything, at the latest after it has asked once more."""
        self.loop.now += QUIET_MS
        self.phase = Phase(0, 0.0, *NO_FAULTS)
        self.frame_rates = QUIET
        # What was reserved and never committed is settled by readers; who was disconnected comes back.
        for step in (self.clients.read_everything, self._come_back, self._write_last, lambda: None):
            self.loop.spawn(step)
            self.loop.run()
        if self.is_reliable:
            self._compare_all("before anybody asked")
        for _ in range(ROUNDS):
            for watcher in self.watchers:
                self.loop.spawn(watcher.ping)
            self.loop.run()
        self._compare_all("at the end")

    def _come_back(self) -> None:
        for watcher in self.watchers:
            if watcher.connection_id is None:
                watcher.connect()

    def _write_last(self) -> None:
        """Something new everywhere, so that a lost last frame is noticed."""
        for channel_id in self.channels:
            self.clients.post(OWNER, channel_id)
            self.clients.changing.change(OWNER, channel_id)

    def _compare_all(self, when: str) -> None:
        for watcher in self.watchers:
            for log_id, followed in watcher.follower.logs.items():
                if self.violation is None and self.is_member(log_id, watcher.user_id):
                    self._compare_log(f"{watcher.user_id} {when}, {log_id}", log_id, followed)

    def _compare_log(self, who: str, log_id: str, followed: Followed) -> None:
        head = self.truth.head(log_id)
        if head is None:
            return
        if (followed.seq, followed.rev) != (head.seq, head.rev):
            self.violate(f"{who}: has {followed.seq} and {followed.rev}, the log {head.seq} and {head.rev}")
            return
        for entry in self.truth.entries(log_id, followed.first, head.seq):
            if entry.body != followed.known.get(entry.seq):
                self.violate(f"{who}: message {entry.seq} is another")
                return

    # --- members ---

    def _member(self, user_id: str, channel_id: str) -> None:
        """The owner adds, removes or bans a user, or the user leaves; an acknowledged removal is noted."""
        user_id = self.rng.choice([user for user in self.users if user != OWNER])
        leaves = channel_id in self.ledger.members[user_id]
        actor = self.rng.choice((OWNER, user_id)) if leaves else OWNER
        bans = leaves and actor == OWNER and self.chance(0.3)

        def call(services: Services) -> str:
            if not self.push.ends_watches:
                services = replace(services, settings=replace(services.settings, realtime_url=""))
            if bans:
                ban_user(services, OWNER, channel_id, user_id, "")
                return "banned"
            if leaves:
                remove_member(services, actor, channel_id, user_id)
                return "left"
            unban_user(services, OWNER, channel_id, user_id)
            put_member(services, actor, channel_id, user_id, None)
            return "joined"

        def check(_: object, done: object) -> str:
            if done != "joined" and (channel_id, user_id) in self._removed:
                self._removed[channel_id, user_id] = True
            return str(done)

        self.clients.send(Request("member", actor, channel_id, call, check))
