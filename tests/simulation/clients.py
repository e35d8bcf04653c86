"""The simulated clients: they post, page, poll, retry, join and leave; the judge checks every response."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from shared.bootstrap import Services
from shared.domain import keys
from shared.domain.errors import CommitUnknownError, MessageNotFoundError, UnavailableError
from shared.domain.messages import Draft
from shared.domain.model import Role
from shared.observability.meter import meter
from shared.use_cases.fetch_messages import Page, Window, fetch_message
from shared.use_cases.list_channels import Listed, Listing
from shared.use_cases.manage_channels import set_archived
from shared.use_cases.manage_members import put_member, remove_member
from shared.use_cases.mark_read import mark_read
from shared.use_cases.post_message import Posted
from tests.simulation.changing import MENTIONS, Changing, naming
from tests.simulation.ledger import Asked, Writing
from tests.simulation.order import OFTEN, Order
from tests.simulation.pages import CODINGS, WrongError, plain
from tests.simulation.requests import Request, serve
from tests.simulation.scheduler import DiedError
from tests.simulation.threads import Threads

if TYPE_CHECKING:
    from tests.simulation.world import World

LIMITS: Final = (1, 2, 5, 10, 20, 50, 50, 50, 100)
POLL: Final = 20
MAX_ATTEMPTS: Final = 5
OWNER: Final = "owner"
AGAIN: Final = 40
"""Pages that are asked for again."""
IN_THREADS: Final = 0.3
"""How often a request is about a thread."""
COPIED: Final = 0.4
"""How often a single reply is posted to the channel too."""
READERS: Final = 3
POSTS: Final = 0.3
"""Who comes together where something is erased, and how often one of them posts."""
Kept = dict[tuple[str, str, Window], tuple[str, bytes]]


class Clients:
    """All of them.

    Args:
        world: they live in.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng = world.rng
        self._kept: Kept = {}
        """The last page that each user has of each window, with its ETag."""
        self._cursors: dict[tuple[str, str], int] = {}
        """How far those who poll have come."""
        self._texts = 0
        self.launched = 0
        self.changing = Changing(world, self)
        self.order = Order(world, self, OWNER)
        self.threads = Threads(world, self)

    def launch(self) -> None:
        """One request of a random user."""
        if self._world.is_orderly and self._world.chance(OFTEN):
            self.order.keep()
            return
        channel_id = self._rng.choice(self._world.channels)
        user_id = self.somebody(channel_id)
        requests = (self.fetch, self.post, self.list, self.mark, self.one, self.member, self.erase)
        changing, threads = (self.changing.change, self.changing.read), self.threads
        if self._world.chance(IN_THREADS):
            channel_id = threads.somewhere(channel_id)
            of_threads = (self.fetch, self.post, threads.list, threads.mark, self.one, threads.follow)
            request = self._rng.choices((*of_threads, *changing), (30, 36, 8, 4, 3, 6, 22, 12))[0]
        else:
            ways = (*requests, *changing, self.archive)
            request = self._rng.choices(ways, (40, 24, 8, 4, 3, 5, 0.4, 22, 12, 1))[0]
        request(user_id, channel_id)

    def somebody(self, channel_id: str) -> str:
        """A member as a rule."""
        users, channel_id = self._world.users, keys.channel_of_log(channel_id)
        members = [user for user in users if channel_id in self._world.ledger.members[user]]
        return self._rng.choice(members if members and self._world.chance(0.85) else users)

    # --- requests ---

    def fetch(self, user_id: str, channel_id: str) -> None:
        """A page at a random place."""
        self.ask(user_id, channel_id, self._window(user_id, channel_id))

    def ask(self, user_id: str, channel_id: str, window: Window) -> None:
        """A page, by its ETag if they have it."""
        etag, body = self._kept.get((user_id, channel_id, window), ("", None))
        etags = frozenset({etag} if etag and self._world.chance(0.8) else ())
        accepted = self._rng.choice(CODINGS)

        def check(asked: Asked, page: Page) -> str:
            page = plain(page)
            self._world.judge.page(asked, window, page, body if page.version in etags else None)
            if self._world.chance(0.2):
                soon = self._rng.choice((5.0, 50.0, 500.0))
                self._world.loop.spawn(lambda: self.ask(user_id, channel_id, window), soon)
            if page.body is None:
                return "304"
            self._kept[user_id, channel_id, window] = (page.version, page.body)
            if window.after is not None or window.anchor == "oldest":
                self._cursors[user_id, channel_id] = last_seq(page.body)
            return "stale" if page.stale else tier()

        def call(services: Services) -> object:
            return self._world.code.fetch(services, user_id, channel_id, window, etags, accepted)

        position = (window.before or 0) - 1 if window.before else window.after or window.around or 0
        self.send(Request("page", user_id, channel_id, call, check, position=position))

    def _window(self, user_id: str, channel_id: str) -> Window:
        rng, limit = self._rng, self._rng.choice(LIMITS)
        way = rng.choices(("latest", "poll", "anchor", "again", "position"), (30, 25, 7, 13, 25))[0]
        if way == "poll":
            # Always of one size, so that it is the same request until something comes.
            return Window(POLL, after=self._cursors.get((user_id, channel_id), 0))
        if way == "anchor":
            return Window(limit, anchor=rng.choice(("oldest", "first_unread")))
        if way == "again" and self._kept:
            return rng.choice(list(self._kept))[2]
        if way == "position":
            return self._somewhere(channel_id, limit)
        return Window(limit)

    def _somewhere(self, channel_id: str, limit: int) -> Window:
        head = self._world.truth.head(channel_id)
        position = self._rng.randint(1, (head.seq if head else 0) + 2)
        windows = (
            Window(limit, before=position),
            Window(limit, after=position),
            Window(limit, around=position),
        )
        return self._rng.choice(windows)

    def post(self, user_id: str, channel_id: str) -> None:
        """A message or a batch, sometimes sent twice at the same moment, under the same key."""
        count = self._rng.choice((1, 1, 1, 1, 2, 3, 5))
        texts = [f"message {self._texts + i}" for i in range(count)]
        if self._world.chance(MENTIONS):
            texts[-1] += naming(self._rng, self._world.users)
        self._texts += count
        key = f"key-{texts[0]}" if self._world.chance(0.7) else None
        is_copied = keys.is_thread(channel_id) and count == 1 and self._world.chance(COPIED)
        if is_copied:
            texts = [text.replace(" <!channel>", "") for text in texts]
        writing = Writing(channel_id, texts, key, also_in_channel=is_copied)
        self._world.ledger.writings.append(writing)
        times = 2 if key and self._world.chance(0.2) else 1
        for _ in range(times):
            self._attempt(writing, user_id, 1)

    def _attempt(self, writing: Writing, user_id: str, attempt: int) -> None:
        drafts = [Draft(text) for text in writing.texts]

        def check(asked: Asked, posted: Posted) -> str:
            self._world.judge.posted(asked, writing, posted)
            if not posted.replayed:
                self._world.judge.archived(asked, archived=False)
            outcome = "replayed" if posted.replayed else "posted"
            return f"{outcome} to both" if writing.also_in_channel else outcome

        def call(services: Services) -> object:
            more = {"also_in_channel": True} if writing.also_in_channel else {}
            return self._world.code.post(services, user_id, writing.channel_id, drafts, writing.key, **more)

        def failed(error: BaseException) -> None:
            if isinstance(error, DiedError | CommitUnknownError):
                writing.may_stand = True
            if writing.key and attempt < MAX_ATTEMPTS and isinstance(error, DiedError | UnavailableError):
                delay = self._rng.choice((0.0, 20.0, 500.0, 5_000.0))
                self._world.loop.spawn(lambda: self._attempt(writing, user_id, attempt + 1), delay)

        self.send(Request("post", user_id, writing.channel_id, call, check, failed))

    def list(self, user_id: str, channel_id: str) -> None:
        """The caller's channels."""

        def check(asked: Asked, listed: Listed) -> str:
            self._world.judge.channels(asked, listed)
            return "stale" if listed.stale else meter().tier

        def call(services: Services) -> object:
            return self._world.code.listing(services, user_id, Listing(100))

        self.send(Request("list", user_id, channel_id, call, check))

    def mark(self, user_id: str, channel_id: str) -> None:
        """Marks as read, sometimes as unread."""
        seq = self._cursors.get((user_id, channel_id), 0)
        force = self._world.chance(0.3)

        def check(asked: Asked, response: dict[str, Any]) -> str:
            head = self._world.truth.head(asked.channel_id)
            read, unread = response["last_read_seq"], response["unread_count"]
            if head is None or not 0 <= unread <= max(0, head.seq - read):
                raise WrongError(f"{unread} unread after marking {read} as read")
            return "marked"

        def call(services: Services) -> object:
            return mark_read(services, user_id, channel_id, seq, force=force)

        self.send(Request("mark", user_id, channel_id, call, check))

    def one(self, user_id: str, channel_id: str) -> None:
        """One message by its id."""
        head = self._world.truth.head(channel_id)
        seq = self._rng.randint(1, (head.seq if head else 0) + 1)

        def check(asked: Asked, body: bytes | None) -> str:
            self._world.judge.message(asked, seq, body)
            return "found" if body else "not found"

        def call(services: Services) -> bytes | None:
            try:
                message_id = keys.message_id(channel_id, seq)
                return fetch_message(services, user_id, keys.channel_of_log(channel_id), message_id)
            except MessageNotFoundError:
                return None

        self.send(Request("one", user_id, channel_id, call, check))

    def member(self, user_id: str, channel_id: str) -> None:
        """The owner adds or removes a user, or the user leaves."""
        user_id = self._rng.choice([user for user in self._world.users if user != OWNER])
        leaves = channel_id in self._world.ledger.members[user_id]
        actor = self._rng.choice((OWNER, user_id)) if leaves else OWNER

        def call(services: Services) -> str:
            if leaves:
                remove_member(services, actor, channel_id, user_id)
                return "left"
            put_member(services, actor, channel_id, user_id, Role.MEMBER)
            return "joined"

        self.send(Request("member", actor, channel_id, call, lambda _, done: str(done)))

    def archive(self, user_id: str, channel_id: str) -> None:  # noqa: ARG002 - as the others
        """The owner archives a channel, and unarchives it soon; an archived one is unarchived."""
        head = self._world.truth.head(channel_id)
        self._set_archived(channel_id, archived=head is not None and head.archived_at is None)

    def _set_archived(self, channel_id: str, *, archived: bool, attempt: int = 1) -> None:
        """Sometimes twice at the same moment, sometimes for one version only."""
        head = self._world.truth.head(channel_id)
        versions = frozenset({head.version}) if head and self._world.chance(0.3) else None

        def check(asked: Asked, _: object) -> str:
            self._world.judge.archived(asked, archived=archived)
            if archived:
                unarchive = partial(self._set_archived, channel_id, archived=False)
                self._world.loop.spawn(unarchive, self._rng.choice((0.0, 50.0, 500.0)))
            return "archived" if archived else "unarchived"

        def call(services: Services) -> object:
            return set_archived(services, OWNER, channel_id, versions, archived=archived)

        def failed(error: BaseException) -> None:
            if isinstance(error, DiedError | UnavailableError) and attempt < MAX_ATTEMPTS:
                again = partial(self._set_archived, channel_id, archived=archived, attempt=attempt + 1)
                self._world.loop.spawn(again, 500.0)

        for _ in range(2 if self._world.chance(0.4) else 1):
            self.send(Request("archive", OWNER, channel_id, call, check, failed))

    def erase(self, user_id: str, channel_id: str) -> None:  # noqa: ARG002 - as the others
        """An operator erases a user other than the owner, who adds users again."""
        if user_id != OWNER:
            self.launched += 1
            self._world.erasures.begin(user_id)

    def send(self, request: Request) -> None:
        """To any container."""
        self.launched += 1
        container = self._world.container()
        container.serving += 1
        container.start(lambda: serve(container, request), freezes=False)

    # --- where something is erased, and when all is quiet ---

    def gather(self, channel_id: str) -> None:
        """Several users read a channel, and one posts, while messages of it are erased."""
        for request in [self.fetch] * READERS + [self.post] * self._world.chance(POSTS):
            user_id = self.somebody(channel_id)
            work = partial(request, user_id, channel_id)
            self._world.loop.spawn(work, self._rng.uniform(0, 30))

    def last_words(self, user_id: str) -> None:
        """A user posts to every channel, so that the lists show their texts."""
        for channel_id in self._world.channels:
            self.post(user_id, channel_id)

    def read_again(self) -> None:
        """Some pages are requested again with their ETags, and every user's list of channels."""
        for user_id in self._world.users:
            self.list(user_id, self._world.channels[0])
        kept = list(self._kept)
        for key in self._rng.sample(kept, min(AGAIN, len(kept))):
            self.ask(*key)

    def read_everything(self) -> None:
        """Every user lists their channels and reads every log from its start."""
        for user_id in self._world.users:
            self.list(user_id, self._world.channels[0])
            self.threads.list(user_id, self._world.channels[0])
            for channel_id in (*self._world.channels, *self.threads.all):
                self._read_on(user_id, channel_id, 0)
                self.changing.read_everything(user_id, channel_id)

    def _read_on(self, user_id: str, channel_id: str, after: int) -> None:
        window = Window(100, after=after)

        def check(asked: Asked, page: Page) -> str:
            self._world.judge.page(asked, window, page, None)
            last = last_seq(page.body or b"")
            if last > after:
                self._read_on(user_id, channel_id, last)
            return tier()

        def call(services: Services) -> object:
            return self._world.code.fetch(services, user_id, channel_id, window, frozenset())

        self.send(Request("page", user_id, channel_id, call, check, position=after))


def tier() -> str:
    """Which tier served it; an empty window needs none."""
    tier = meter().tier
    return "empty" if tier == "none" else tier


def last_seq(body: bytes) -> int:
    """The last position that a page covers."""
    at = body.rfind(b'"last_seq":') + len(b'"last_seq":')
    return int(body[at:].split(b",")[0])
