"""Changing a message or a reply: what edits, deletions, reactions and pins share. Each is an entry of a change log.

A change gets its number in the transaction that makes it. If channel, membership or message changed since they were
read, everything is read again and the change is made anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from shared.bootstrap import Services
from shared.domain import keys, permissions
from shared.domain.changes import MAX_VERSIONS, Change, ChangeKind
from shared.domain.errors import (
    BudgieError,
    CommitUnknownError,
    ContentionError,
    RateLimitedError,
    TooManyPinsError,
    UnavailableError,
)
from shared.domain.messages import preview
from shared.domain.model import (
    ChannelState,
    Entry,
    Head,
    Membership,
    mention_mark,
)
from shared.domain.rate_limit import Rate, Verdict, decide
from shared.domain.retention import change_expires
from shared.storage.log_reader import HOLE_WAITS_SECONDS
from shared.storage.protocol import (
    ChangeCommit,
    ChangeOutcome,
    Committed,
    Contended,
    KeyUsed,
    MentionedLeft,
    PinsFull,
    PinUnchanged,
    StateChanged,
)
from shared.storage.retry import contention_backoff
from shared.use_cases.expiry import require_message, with_boundary

MAX_TRIES: Final = 60
"""Of one change, each but the first because another change of the channel came first."""


@dataclass(frozen=True, slots=True)
class Target:
    """The message to change, as it was read, with its channel and the acting member."""

    state: ChannelState
    head: Head
    member: Membership
    entry: Entry
    message: dict[str, Any]
    at: int
    """Milliseconds since 1970: now."""

    @property
    def body(self) -> bytes:
        """The message's JSON."""
        return self.entry.body or b""

    @property
    def rev(self) -> int:
        """The number that a change of it gets."""
        return self.head.rev + 1

    @property
    def is_gone(self) -> bool:
        """Whether the message was deleted or redacted."""
        return "deleted" in self.message or "redacted" in self.message

    def change(self, kind: ChangeKind, body: bytes | None, emoji: str = "", before: bytes = b"") -> Change:
        """A change of it by the acting member."""
        until = change_expires(self.head, self.entry)
        return Change(
            self.rev, kind, self.entry.seq, self.member.user_id, self.at, body, emoji, before, until
        )

    def commit(self, change: Change, **more: Any) -> ChangeCommit:  # noqa: ANN401 - fields of ``ChangeCommit``
        """What the storage is to do: with the message as it is after the change."""
        after = None
        if change.body is not None:
            after = replace(self.entry, body=change.body, rev=change.rev)
            if change.before:
                after = replace(after, versions=(*after.versions, change.rev)[-MAX_VERSIONS:])
        return ChangeCommit(self.head, self.member, self.entry, change, after, **more)

    def preview(self, text: str) -> str | None:
        """What the head shows of the message with this text; None where it shows another message."""
        last = self.head.last
        shows = last is not None and last.seq == self.entry.seq
        return preview(0, "", text, 0).text if shows else None

    def marks(self, users: frozenset[str]) -> dict[str, frozenset[int]]:
        """The marks of its mentions in the memberships of these users; none for its sender."""
        mark = frozenset({mention_mark(self.entry.at, self.entry.seq)})
        return dict.fromkeys(sorted(users - {self.message["sender"]}), mark)


Make = Callable[[Target], ChangeCommit | None]
"""Makes the change of a target; None where nothing is to change."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A message as it was read, and its change; None where nothing was to change."""

    target: Target
    change: Change | None = None
    rate: Verdict | None = None
    """None where the rate limit does not count the request: it changed nothing."""

    @property
    def body(self) -> bytes:
        """The message's JSON afterwards."""
        return (self.change and self.change.body) or self.target.body


def change_message(
    services: Services,
    user_id: str,
    channel_id: str,
    message_id: str,
    make: Make,
    key: str | None = None,
    *,
    is_follow_up: bool = False,
) -> Changed:
    """Makes a change of a message, which the rate limit counts.

    With ``is_follow_up`` it does not, as the caller asked for another change; and the target may be an expired message,
    which is empty.

    Raises:
        ChannelNotFoundError, NotAMemberError: the caller is not in the channel.
        MessageNotFoundError: there is no such message.
        RateLimitedError: the caller has changed too much in a short time; nothing was written.
        ContentionError: other changes of the channel came first, again and again; nothing was written.
        CommitUnknownError: the storage failed during the commit, and its outcome could not be determined.
    """
    left, begun = frozenset[str](), 0
    for attempt in range(MAX_TRIES):
        if attempt:
            services.sleep(contention_backoff(attempt - 1, (services.now() - begun) / 1000))
        begun = services.now()
        try:
            target = _target(services, user_id, channel_id, message_id, key, even_expired=is_follow_up)
            commit = make(target)
        except SeenInPartError:
            continue
        if commit is None:
            return Changed(target)
        rate = None if is_follow_up else _decide(services, target)
        commit = replace(_without(commit, left), tat=rate.tat if rate else None)
        outcome = _commit(services, commit)
        match outcome:
            case Committed():
                return Changed(target, commit.change, rate)
            case PinUnchanged():
                return Changed(target)
            case PinsFull():
                raise TooManyPinsError
            case MentionedLeft(users):
                left |= users
            case StateChanged() | Contended() | KeyUsed():
                pass  # what changed is read again; so is the key's record
    raise ContentionError(retry_after=1)


def twin_of(message: dict[str, Any]) -> str | None:
    """The id of the same message in the channel or in the thread, if a reply was posted to both."""
    found = message.get("reply_id", message.get("channel_message_id"))
    return None if found is None else str(found)


@contextmanager
def completing() -> Iterator[None]:
    """Around the change of a message's twin, once the message itself was changed: a failure must not deny that.

    Raises:
        CommitUnknownError: the twin could not be changed; as the channel was archived meanwhile, for example.
    """
    try:
        yield
    except BudgieError as error:
        raise CommitUnknownError(retry_after=1) from error


def _decide(services: Services, target: Target) -> Verdict:
    """The verdict of the rate limit: the rate of posts, without slow mode, counted by itself."""
    settings = services.settings
    rate = Rate.per_second(settings.rate_per_second, settings.rate_burst)
    verdict = decide(rate, target.member.changes_tat, target.at)
    if not verdict.allowed:
        raise RateLimitedError("Too many changes in a short time; nothing was changed.", verdict=verdict)
    return verdict


def _target(
    services: Services,
    user_id: str,
    channel_id: str,
    message_id: str,
    key: str | None,
    *,
    even_expired: bool = False,
) -> Target:
    """The message to change.

    Raises:
        SeenInPartError: the message's last change is seen, and the head from before it: others may not see it yet.
        ChannelNotFoundError, NotAMemberError, MessageNotFoundError: see ``change_message``.
    """
    log_id, seq = keys.place_of_message(channel_id, message_id)
    state, entry = services.store.read_message_state(log_id, user_id, seq, key)
    head, member = permissions.require_member(state)
    head = with_boundary(services, head)
    if even_expired and 0 < seq <= head.boundary.seq:
        entry = Entry(seq, 0, 0, b"{}")
    else:
        entry = require_message(head, seq, entry)
    thread = state.thread
    if entry.rev > head.rev or (thread and thread.root and thread.root.rev > thread.channel.rev):
        raise SeenInPartError
    return Target(state, head, member, entry, json.loads(entry.body or b""), services.now())


class SeenInPartError(Exception):
    """A change is being made: DynamoDB applies the writes of a transaction one by one, and not all are seen yet."""


def _commit(services: Services, commit: ChangeCommit) -> ChangeOutcome:
    try:
        return services.store.commit_change(commit)
    except UnavailableError as error:
        # Only the response may be lost. Then the change is in the log, or comes to be there in a moment.
        with suppress(UnavailableError):
            for wait in (0, *HOLE_WAITS_SECONDS):
                services.sleep(wait)
                outcome = _outcome_of(services, commit)
                if outcome is not None:
                    return outcome
        raise CommitUnknownError(retry_after=1) from error


def _outcome_of(services: Services, commit: ChangeCommit) -> ChangeOutcome | None:
    """What came of a transaction without a response: made if all readers see it; None if that cannot be told yet."""
    channel_id, change = commit.head.channel_id, commit.change
    found = services.store.changes_at(channel_id, [change.rev])
    state, entry = services.store.read_message_state(channel_id, change.by, change.seq)
    if found and found != [change]:
        return StateChanged()
    is_seen = found and state.head and state.head.rev >= change.rev
    if is_seen and (commit.entry is None or (entry and entry.rev >= change.rev)):
        return Committed()
    return None


def _without(commit: ChangeCommit, left: frozenset[str]) -> ChangeCommit:
    """Without those who left the channel, as their memberships cannot be marked."""
    if not left:
        return commit
    mentions = {user: marks for user, marks in commit.mentions.items() if user not in left}
    unmentions = {user: marks for user, marks in commit.unmentions.items() if user not in left}
    return replace(commit, mentions=mentions, unmentions=unmentions)
