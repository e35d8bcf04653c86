"""The simulated clients change messages, and keep copies of channels by pages and changes alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, Final

from shared.bootstrap import Services
from shared.domain import keys
from shared.domain.changes import ChangeKind
from shared.domain.errors import (
    ChannelNotFoundError,
    CommitUnknownError,
    MessageNotFoundError,
    NotAMemberError,
    UnavailableError,
)
from shared.use_cases import delete_messages, edit_messages, fetch_changes, pin_messages, react_to_messages
from shared.use_cases.edit_messages import Edited
from shared.use_cases.fetch_changes import ChangePage
from shared.use_cases.fetch_messages import Page, Window
from shared.use_cases.list_mentions import list_mentions
from tests.simulation.ledger import Asked, Editing
from tests.simulation.pages import WrongError, plain
from tests.simulation.requests import Request
from tests.simulation.scheduler import DiedError

if TYPE_CHECKING:
    from tests.simulation.clients import Clients
    from tests.simulation.world import World

MENTIONS: Final = 0.25
"""How often a text names somebody."""
EMOJI: Final = ("👍", "🎉", ":ok:")
RECENT: Final = 12
"""Most changes are of the latest messages, so that they meet."""
PAGE: Final = 20
CHANGES: Final = (5, 20, 100)
MAX_ATTEMPTS: Final = 5


def naming(rng: Random, users: Sequence[str]) -> str:
    """The end of a text: users, seldom everybody."""
    named = [f"<@{user}>" for user in rng.sample(list(users), rng.choice((1, 1, 2)))]
    return " " + " ".join(named if rng.random() < 0.8 else [*named, "<!channel>"])


@dataclass
class Copy:
    """What a client has of a channel: all messages up to a position, with all changes up to a number."""

    seq: int = 0
    rev: int = 0
    messages: dict[int, dict[str, Any]] = field(default_factory=dict)


class Changing:
    """Edits, deletions, reactions, pins, and what reads them.

    Args:
        world: they happen in.
        clients: who send the requests.
    """

    def __init__(self, world: World, clients: Clients) -> None:
        self._world = world
        self._rng = world.rng
        self._clients = clients
        self._edits = 0
        self._copies: dict[tuple[str, str], Copy] = {}

    def change(self, user_id: str, channel_id: str) -> None:
        """One change of a message."""
        seq = self._somewhere(channel_id)
        if seq:
            ways = (self.edit, self.delete, self.react, self.pin)
            self._rng.choices(ways, (7, 3, 8, 3))[0](user_id, channel_id, seq)

    def read(self, user_id: str, channel_id: str) -> None:
        """One request that reads changes, or what they made."""
        ways = (self.sync, self.pins, self.mentions, self.versions)
        self._rng.choices(ways, (8, 1, 1, 1))[0](user_id, channel_id)

    def _somewhere(self, channel_id: str) -> int:
        head = self._world.truth.head(channel_id)
        end = head.seq if head else 0
        first = max(1, end - RECENT) if self._world.chance(0.8) else 1
        return self._rng.randint(first, end) if end else 0

    # --- changes ---

    def edit(self, user_id: str, channel_id: str, seq: int) -> None:
        """An edit, as a rule by the author; sometimes sent twice at the same moment, under the same key."""
        entries = self._world.truth.entries(channel_id, seq, seq)
        if entries and entries[0].body and self._world.chance(0.95):
            user_id = json.loads(entries[0].body)["sender"]
        self._edits += 1
        text = f"edit {self._edits}" + (
            naming(self._rng, self._world.users) if self._world.chance(MENTIONS) else ""
        )
        editing = Editing(channel_id, seq, text.replace(" <!channel>", ""), None)
        if self._world.chance(0.7):
            editing.key = f"key-{editing.text}"
        self._world.ledger.editings.append(editing)
        for _ in range(2 if editing.key and self._world.chance(0.2) else 1):
            self._attempt(editing, user_id, 1)

    def _attempt(self, editing: Editing, user_id: str, attempt: int) -> None:
        log_id, message_id = editing.channel_id, keys.message_id(editing.channel_id, editing.seq)
        channel_id = keys.channel_of_log(log_id)
        fields: dict[str, Any] = {"text": editing.text}
        if attempt == 1 and editing.key is None and self._world.chance(0.2):
            fields["metadata"] = self._rng.choice(({"n": self._edits}, None))
        versions = (
            frozenset({self._rng.randint(1, 3)}) if editing.key is None and self._world.chance(0.2) else None
        )

        def check(asked: Asked, edited: Edited) -> str:
            self._world.judge.edited(asked, editing, edited.body)
            return "replayed" if edited.replayed else "edited"

        def call(services: Services) -> object:
            return edit_messages.edit_message(
                services, user_id, channel_id, message_id, fields, versions, editing.key
            )

        def failed(error: BaseException) -> None:
            left = isinstance(error, ChannelNotFoundError | NotAMemberError) and self._is_twin(editing)
            if left or isinstance(error, DiedError | CommitUnknownError):
                editing.may_stand = True
            if editing.key and attempt < MAX_ATTEMPTS and isinstance(error, DiedError | UnavailableError):
                delay = self._rng.choice((0.0, 20.0, 500.0, 5_000.0))
                self._world.loop.spawn(lambda: self._attempt(editing, user_id, attempt + 1), delay)

        self._clients.send(Request("edit", user_id, log_id, call, check, failed))

    def _is_twin(self, editing: Editing) -> bool:
        """Whether a message is in two places: its author may be removed after it was edited in the first."""
        found = self._world.truth.entries(editing.channel_id, editing.seq, editing.seq)
        links = {"reply_id", "channel_message_id"}
        return any(not links.isdisjoint(json.loads(each.body or b"{}")) for each in found)

    def delete(self, user_id: str, channel_id: str, seq: int) -> None:
        """A deletion, by its author or the owner as a rule."""
        entries = self._world.truth.entries(channel_id, seq, seq)
        if entries and entries[0].body and self._world.chance(0.9):
            user_id = self._rng.choice((json.loads(entries[0].body)["sender"], self._world.users[0]))
        self._change(ChangeKind.DELETED, delete_messages.delete_message, user_id, channel_id, seq)

    def react(self, user_id: str, channel_id: str, seq: int) -> None:
        """A reaction comes or goes."""
        emoji = self._rng.choice(EMOJI)
        if self._world.chance(0.65):
            self._change(
                ChangeKind.REACTION_ADDED, react_to_messages.add_reaction, user_id, channel_id, seq, emoji
            )
        else:
            removed = ChangeKind.REACTION_REMOVED
            self._change(removed, react_to_messages.remove_reaction, user_id, channel_id, seq, emoji)

    def pin(self, user_id: str, channel_id: str, seq: int) -> None:
        """A pin comes or goes; the owner's as a rule."""
        user_id = self._world.users[0] if self._world.chance(0.9) else user_id
        if self._world.chance(0.65):
            self._change(ChangeKind.PINNED, pin_messages.pin_message, user_id, channel_id, seq)
        else:
            self._change(ChangeKind.UNPINNED, pin_messages.unpin_message, user_id, channel_id, seq)

    def _change(
        self,
        kind: ChangeKind,
        make: Callable[..., object],
        user_id: str,
        channel_id: str,
        seq: int,
        *more: str,
    ) -> None:
        message_id = keys.message_id(channel_id, seq)

        def check(asked: Asked, _: object) -> str:
            self._world.judge.changed(asked, kind, seq, *more)
            return kind.value

        def call(services: Services) -> object:
            return make(services, user_id, keys.channel_of_log(channel_id), message_id, *more)

        self._clients.send(Request("change", user_id, channel_id, call, check))

    # --- reads ---

    def sync(self, user_id: str, channel_id: str, *, to_the_end: bool = False) -> None:
        """A client asks for the messages after those that it has, then for the changes after those that it has."""
        copy = self._copies.setdefault((user_id, channel_id), Copy())
        after, rev = copy.seq, copy.rev
        window = Window(PAGE, after=after)

        def check(asked: Asked, page: Page) -> str:
            page = plain(page)
            self._world.judge.page(asked, window, page, None)
            if page.stale:
                return "stale"
            said = json.loads(page.body or b"")
            if said["channel_last_rev"] < rev:
                raise WrongError(f"the last change was {rev} before, is {said['channel_last_rev']}")
            # A page that was overtaken by changes lacks them, so the client discards it.
            if copy.seq == after and said["channel_last_rev"] >= copy.rev:
                copy.messages |= {message["seq"]: message for message in said["messages"]}
                copy.seq = said["last_seq"]
            if copy.rev < said["channel_last_rev"]:
                self._catch_up(user_id, channel_id, copy, to_the_end=to_the_end)
            if to_the_end and said["has_more_after"] and copy.seq > after:
                self.sync(user_id, channel_id, to_the_end=True)
            return "synced"

        def call(services: Services) -> object:
            return self._world.code.fetch(services, user_id, channel_id, window, frozenset())

        self._clients.send(Request("page", user_id, channel_id, call, check, position=after))

    def _catch_up(self, user_id: str, channel_id: str, copy: Copy, *, to_the_end: bool) -> None:
        after, limit = copy.rev, self._rng.choice(CHANGES)

        def check(asked: Asked, page: ChangePage) -> str:
            self._world.judge.changes(asked, after, limit, page.body or b"")
            said = json.loads(page.body or b"")
            if copy.rev == after:
                for change in said["changes"]:
                    known = copy.messages.get(change["seq"])
                    if "message" in change and known is not None and known.get("rev", 0) < change["rev"]:
                        copy.messages[change["seq"]] = change["message"]
                copy.rev = said["last_rev"]
            if said["has_more_after"] and (to_the_end or self._world.chance(0.5)):
                self._catch_up(user_id, channel_id, copy, to_the_end=to_the_end)
            return "caught up"

        def call(services: Services) -> object:
            return fetch_changes.fetch_changes(services, user_id, channel_id, after, limit, ())

        self._clients.send(Request("changes", user_id, channel_id, call, check))

    def pins(self, user_id: str, channel_id: str, *, is_quiet: bool = False) -> None:
        """The pinned messages; none in a thread."""
        channel_id = keys.channel_of_log(channel_id)

        def check(asked: Asked, found: dict[str, Any]) -> str:
            self._world.judge.pins(asked, found["pins"], is_quiet=is_quiet)
            return "pins"

        def call(services: Services) -> object:
            return fetch_changes.fetch_pins(services, user_id, channel_id)

        self._clients.send(Request("pins", user_id, channel_id, call, check))

    def mentions(self, user_id: str, channel_id: str) -> None:
        """The caller's mentions in all channels."""

        def check(asked: Asked, found: dict[str, Any]) -> str:
            self._world.judge.mentions(asked, found["mentions"])
            return "mentions"

        self._clients.send(
            Request(
                "mentions",
                user_id,
                channel_id,
                lambda services: list_mentions(services, user_id, 50, None),
                check,
            )
        )

    def versions(self, user_id: str, channel_id: str) -> None:
        """The versions of a message, asked for by the owner."""
        seq = self._somewhere(channel_id)
        if not seq:
            return
        user_id, message_id = self._world.users[0], keys.message_id(channel_id, seq)

        def check(asked: Asked, found: dict[str, Any] | None) -> str:
            if found is None:
                return "not found"
            self._world.judge.versions(asked, seq, found["versions"])
            return "versions"

        def call(services: Services) -> object:
            try:
                found = keys.channel_of_log(channel_id)
                return fetch_changes.fetch_versions(services, user_id, found, message_id)
            except MessageNotFoundError:
                return None

        self._clients.send(Request("versions", user_id, channel_id, call, check))

    # --- the end ---

    def read_everything(self, user_id: str, channel_id: str) -> None:
        """When all is quiet: every copy catches up, and the pins are read."""
        if keys.channel_of_log(channel_id) in self._world.ledger.members[user_id]:
            self.sync(user_id, channel_id, to_the_end=True)
            self.pins(user_id, channel_id, is_quiet=True)

    def compare(self) -> None:
        """When every copy has caught up: it has what a fresh reader gets.

        Raises:
            WrongError: it has not.
        """
        for (user_id, channel_id), copy in self._copies.items():
            head = self._world.truth.head(channel_id)
            is_member = keys.channel_of_log(channel_id) in self._world.ledger.members[user_id]
            if not is_member or head is None or copy.seq < head.seq:
                continue
            log = self._world.ledger.logs[channel_id]
            for entry in self._world.truth.entries(channel_id, 1, head.seq):
                if entry.body is None or entry.seq in log.redacted or entry.seq in log.rewritten:
                    continue  # The change log does not have what an erasure did.
                if copy.messages.get(entry.seq) != json.loads(entry.body):
                    raise WrongError(f"the copy of {channel_id} by {user_id} has another message {entry.seq}")
