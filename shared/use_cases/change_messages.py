"""Changing messages: edits, deletions, reactions and pins. Each is one entry of the channel's change log.

A change gets its number in the transaction that makes it. If channel, membership or message changed since they were
read, everything is read again and the change is made anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from shared.bootstrap import Services
from shared.domain import changes, keys, permissions
from shared.domain.changes import MAX_EMOJI, MAX_VERSIONS, SHOWN_USERS, Change, ChangeKind, Reactions
from shared.domain.clock import CLOCKS_APART_MS, from_rfc3339
from shared.domain.errors import (
    CommitUnknownError,
    ContentionError,
    EditWindowError,
    ForbiddenError,
    IdempotencyKeyReusedError,
    MessageDeletedError,
    MessageNotFoundError,
    TooManyPinsError,
    TooManyReactionsError,
    UnavailableError,
    VersionMismatchError,
)
from shared.domain.messages import dumps, preview, request_hash
from shared.domain.model import (
    IDEMPOTENCY_SECONDS,
    ChannelState,
    Entry,
    Head,
    IdempotencyRecord,
    Membership,
    mention_mark,
)
from shared.storage.log_reader import trim
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
from shared.storage.retry import backoff
from shared.use_cases.mention_members import Named, find_named, forget_oldest

MAX_TRIES: Final = 60
"""Of one change, each but the first because another change of the channel came first."""
PROMOTED_FROM: Final = 100
"""Users beyond the shown ones among whom the next is looked for when a shown one takes a reaction back."""


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
        return Change(self.rev, kind, self.entry.seq, self.member.user_id, self.at, body, emoji, before)

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


Make = Callable[[Target], ChangeCommit | None]
"""Makes the change of a target; None where nothing is to change."""


@dataclass(frozen=True, slots=True)
class Edited:
    """A message after an edit; ``replayed`` where an earlier request with the same key made it."""

    body: bytes
    replayed: bool = False

    @property
    def version(self) -> int:
        """Counts the edits, from 1."""
        return int(json.loads(self.body).get("version", 1))


# --- edits ---


def edit_message(
    services: Services,
    user_id: str,
    channel_id: str,
    message_id: str,
    fields: dict[str, Any],
    if_versions: frozenset[int] | None = None,
    key: str | None = None,
) -> Edited:
    """Gives a message another ``text`` or ``metadata`` (None removes it); what ``fields`` does not have stays.

    Costs 3 read and 8 write units for a message of up to 1 KB, 4 and 10 with a key; 1 and 2 more for each user newly
    named.

    Raises:
        ChannelNotFoundError, NotAMemberError, MessageNotFoundError: see ``_target``.
        ChannelArchivedError: nothing changes in an archived channel.
        ForbiddenError: the caller is not the author.
        MessageDeletedError: the message was deleted or redacted.
        EditWindowError: the channel's edit window is over.
        VersionMismatchError: the message has none of ``if_versions``.
        IdempotencyKeyReusedError: the key was used for a different request.
        TooManyMentionsError: the text names too many users.
        ContentionError, CommitUnknownError: see ``_change``.
    """
    said = request_hash("edit", message_id, fields)
    edit = _Edit(services, fields, if_versions, key, said)
    target, change = _change(services, user_id, channel_id, message_id, edit.make, key)
    if edit.replayed is not None:
        return Edited(edit.replayed, replayed=True)
    if change is None:
        return Edited(target.body)
    forget_oldest(services, edit.named, edit.marks)
    return Edited(change.body or b"")


class _Edit:
    def __init__(
        self,
        services: Services,
        fields: dict[str, Any],
        if_versions: frozenset[int] | None,
        key: str | None,
        said: bytes,
    ) -> None:
        self._services = services
        self._fields = fields
        self._if_versions = if_versions
        self._key = key
        self._said = said
        self.named = Named([])
        self.marks: dict[str, frozenset[int]] = {}
        self.replayed: bytes | None = None
        """The message after the change that an earlier request under this key made."""

    def make(self, target: Target) -> ChangeCommit | None:
        """The edit of a message; None where nothing is to change."""
        record = target.state.idempotency_record
        if record is not None and record.expires >= target.at // 1000:
            self.replayed = self._replay(target, record)
            return None
        permissions.require_capability(target.state, "post")
        message = target.message
        if message["sender"] != target.member.user_id:
            raise ForbiddenError("Only its author may edit a message.")
        if target.is_gone:
            raise MessageDeletedError
        if self._if_versions is not None and message.get("version", 1) not in self._if_versions:
            raise VersionMismatchError
        if all(_is_same(message.get(name), value) for name, value in self._fields.items()):
            return None
        window = target.head.edit_window
        if window is not None and target.at - from_rfc3339(message["created_at"]) > window * 1000:
            raise EditWindowError
        text = self._fields.get("text", message["text"])
        self.named = find_named(self._services, target.head, target.member, [text])
        before = frozenset(message.get("mentions", ()))
        marks = self.named.marks([target.entry.seq], target.entry.at)
        self.marks = {user: each for user, each in marks.items() if user not in before}
        named = self.named.mentions[0]
        body = changes.edited(target.body, target.rev, target.member.user_id, target.at, self._fields, named)
        change = target.change(ChangeKind.EDITED, body, before=changes.packed(target.body, body))
        return target.commit(
            change,
            preview=target.preview(text),
            mentions=self.marks,
            unmentions=_marks_of(target, before - {*named.users}),
            idempotency_record=self._record(target),
        )

    def _replay(self, target: Target, record: IdempotencyRecord) -> bytes:
        if record.request_hash != self._said:
            raise IdempotencyKeyReusedError
        if target.is_gone:
            return target.body
        found = self._services.store.changes_at(target.head.channel_id, [record.seq])
        return (found[0].body if found else None) or target.body

    def _record(self, target: Target) -> IdempotencyRecord | None:
        if self._key is None:
            return None
        expires = target.at // 1000 + IDEMPOTENCY_SECONDS + CLOCKS_APART_MS // 1000
        return IdempotencyRecord(self._key, self._said, target.rev, 1, expires)


def _is_same(one: Any, other: Any) -> bool:  # noqa: ANN401 - any JSON
    """Whether two values are the same JSON: Python's ``==`` does not tell true from 1."""
    return dumps(one) == dumps(other)


def _marks_of(target: Target, users: frozenset[str]) -> dict[str, frozenset[int]]:
    mark = frozenset({mention_mark(target.entry.at, target.entry.seq)})
    return dict.fromkeys(sorted(users - {target.message["sender"]}), mark)


# --- deletions ---


def delete_message(services: Services, user_id: str, channel_id: str, message_id: str) -> None:
    """Deletes a message: what is left says that one was there, whose, and who deleted it. Again it changes nothing.

    Costs 3 read and 8 write units for a message of up to 1 KB; 2 more for each user whom it names, and once the head
    has eight gaps.

    Raises:
        ChannelNotFoundError, NotAMemberError, MessageNotFoundError: see ``_target``.
        ChannelArchivedError: nothing changes in an archived channel.
        ForbiddenError: the caller is not the author, and not a moderator or owner.
        MessageDeletedError: the message was redacted: its author was erased.
        ContentionError, CommitUnknownError: see ``_change``.
    """
    target, change = _change(services, user_id, channel_id, message_id, _deletion)
    if change is not None:
        # May fail or come later: a head with more gaps than it must keep is correct, only larger.
        with suppress(UnavailableError):
            trim(services.store, target.head, unlisted=[target.entry.seq])


def _deletion(target: Target) -> ChangeCommit | None:
    permissions.require_capability(target.state, "post")
    message = target.message
    is_own = message["sender"] == target.member.user_id
    if not is_own and "delete" not in permissions.capabilities(target.head, target.member):
        raise ForbiddenError("Only its author, moderators and owners may delete a message.")
    if "deleted" in message:
        return None
    if "redacted" in message:
        raise MessageDeletedError
    body = changes.deleted(target.body, target.rev, target.member.user_id, target.at)
    change = target.change(ChangeKind.DELETED, body, before=changes.packed(target.body, body))
    return target.commit(
        change,
        preview=target.preview(""),
        is_gap=True,
        unmentions=_marks_of(target, frozenset(message.get("mentions", ()))),
    )


# --- reactions ---


def add_reaction(services: Services, user_id: str, channel_id: str, message_id: str, emoji: str) -> bytes:
    """Reacts to a message with one emoji: the message's JSON. Again it changes nothing.

    Costs 3 read and 8 write units for a message of up to 1 KB; 1 and 2 more after the first users with this emoji.

    Raises:
        ChannelNotFoundError, NotAMemberError, MessageNotFoundError: see ``_target``.
        ChannelArchivedError: nothing changes in an archived channel.
        MessageDeletedError: the message was deleted or redacted.
        TooManyReactionsError: the message has as many different emoji as it may.
        ContentionError, CommitUnknownError: see ``_change``.
    """
    make = partial(_reaction, services, emoji)
    target, change = _change(services, user_id, channel_id, message_id, make)
    return (change and change.body) or target.body


def _reaction(services: Services, emoji: str, target: Target) -> ChangeCommit | None:
    permissions.require_capability(target.state, "react")
    if target.is_gone:
        raise MessageDeletedError
    user, reactions = target.member.user_id, changes.reactions_of(target.body)
    mine = _with(reactions, emoji)
    if user in mine.users or (not mine.shows_all and _is_beyond(services, target, emoji)):
        return None
    if mine not in reactions:
        if len(reactions) >= MAX_EMOJI:
            raise TooManyReactionsError
        reactions.append(mine)
    shows = len(mine.users) < SHOWN_USERS
    more = Reactions(emoji, mine.count + 1, (*mine.users, user) if shows else mine.users)
    body = changes.with_reactions(
        target.body, target.rev, [more if each is mine else each for each in reactions]
    )
    change = target.change(ChangeKind.REACTION_ADDED, body, emoji)
    return target.commit(change, reacted=None if shows else user)


def remove_reaction(services: Services, user_id: str, channel_id: str, message_id: str, emoji: str) -> None:
    """Takes a reaction back. Again it changes nothing.

    Costs as ``add_reaction``; where the message does not show all users, 2 write units more.

    Raises:
        ChannelNotFoundError, NotAMemberError, MessageNotFoundError: see ``_target``.
        ChannelArchivedError: nothing changes in an archived channel.
        ContentionError, CommitUnknownError: see ``_change``.
    """
    _change(services, user_id, channel_id, message_id, partial(_unreaction, services, emoji))


def _unreaction(services: Services, emoji: str, target: Target) -> ChangeCommit | None:
    permissions.require_capability(target.state, "react")
    if target.is_gone:
        return None
    user, reactions = target.member.user_id, changes.reactions_of(target.body)
    mine = _with(reactions, emoji)
    if user in mine.users:
        users = [each for each in mine.users if each != user]
        beyond = _next_beyond(services, target, mine)
        fewer = Reactions(emoji, mine.count - 1, (*users, beyond) if beyond else tuple(users))
    elif not mine.shows_all and _is_beyond(services, target, emoji):
        beyond, fewer = user, replace(mine, count=mine.count - 1)
    else:
        return None
    body = changes.with_reactions(
        target.body, target.rev, [fewer if each is mine else each for each in reactions]
    )
    return target.commit(target.change(ChangeKind.REACTION_REMOVED, body, emoji), unreacted=beyond)


def _with(reactions: list[Reactions], emoji: str) -> Reactions:
    return next((each for each in reactions if each.emoji == emoji), Reactions(emoji, 0, ()))


def _is_beyond(services: Services, target: Target, emoji: str) -> bool:
    return services.store.has_reacted(target.head.channel_id, target.entry.seq, emoji, target.member.user_id)


def _next_beyond(services: Services, target: Target, reactions: Reactions) -> str | None:
    """Who reacted first of those whom the message does not show, among ``PROMOTED_FROM`` of them."""
    if reactions.shows_all:
        return None
    found = services.store.reacted(
        target.head.channel_id, target.entry.seq, reactions.emoji, PROMOTED_FROM, None
    )
    return min(found, key=lambda each: each.rev).user_id if found else None


# --- pins ---


def pin_message(services: Services, user_id: str, channel_id: str, message_id: str) -> None:
    """Pins a message. Again it changes nothing. Costs 3 read and 8 write units.

    Raises:
        ChannelNotFoundError, NotAMemberError, MessageNotFoundError: see ``_target``.
        ChannelArchivedError: nothing changes in an archived channel.
        ForbiddenError: the caller may not pin here.
        MessageDeletedError: the message was deleted or redacted.
        TooManyPinsError: the channel has as many pins as it may.
        ContentionError, CommitUnknownError: see ``_change``.
    """
    try:
        _change(services, user_id, channel_id, message_id, _pin)
    except TooManyPinsError:
        if not _unpin_deleted(services, user_id, channel_id):
            raise
        _change(services, user_id, channel_id, message_id, _pin)


def unpin_message(services: Services, user_id: str, channel_id: str, message_id: str) -> None:
    """Takes a pin away. Again it changes nothing. Costs and raises as ``pin_message``."""
    _change(services, user_id, channel_id, message_id, _unpin)


def _pin(target: Target) -> ChangeCommit:
    permissions.require_capability(target.state, "pin")
    if target.is_gone:
        raise MessageDeletedError
    return target.commit(target.change(ChangeKind.PINNED, None), pin=True)


def _unpin(target: Target) -> ChangeCommit:
    permissions.require_capability(target.state, "pin")
    return target.commit(target.change(ChangeKind.UNPINNED, None), pin=False)


def _unpin_deleted(services: Services, user_id: str, channel_id: str) -> bool:
    """Takes the pins of deleted messages away, which nobody is shown any more; whether there were any."""
    pinned = services.store.entries_at(channel_id, list(services.store.pins(channel_id)))
    gone = [entry.seq for entry in pinned if changes.is_gone(entry.body or b"")]
    for seq in gone:
        unpin_message(services, user_id, channel_id, keys.message_id(channel_id, seq))
    return bool(gone)


# --- all of them ---


def _change(
    services: Services,
    user_id: str,
    channel_id: str,
    message_id: str,
    make: Make,
    key: str | None = None,
) -> tuple[Target, Change | None]:
    """Makes a change of a message: the message as it was read, and the change, None where nothing was to change.

    Raises:
        ContentionError: other changes of the channel came first, again and again; nothing was written.
        CommitUnknownError: the storage failed during the commit, and its outcome could not be determined.
    """
    left: frozenset[str] = frozenset()
    for attempt in range(MAX_TRIES):
        if attempt:
            services.sleep(backoff(attempt - 1))
        target = _target(services, user_id, channel_id, message_id, key)
        commit = make(target)
        if commit is None:
            return target, None
        outcome = _commit(services, _without(commit, left))
        match outcome:
            case Committed():
                return target, commit.change
            case PinUnchanged():
                return target, None
            case PinsFull():
                raise TooManyPinsError
            case MentionedLeft(users):
                left |= users
            case StateChanged() | Contended() | KeyUsed():
                pass  # what changed is read again; so is the key's record
    raise ContentionError(retry_after=1)


def _target(services: Services, user_id: str, channel_id: str, message_id: str, key: str | None) -> Target:
    """The message to change.

    Raises:
        ChannelNotFoundError, NotAMemberError: the caller is not in the channel.
        MessageNotFoundError: there is no such message.
    """
    seq = keys.seq_of_message(channel_id, message_id)
    state, entry = services.store.read_message_state(channel_id, user_id, seq or 0, key)
    head, member = permissions.require_member(state)
    if entry is None or entry.body is None:
        raise MessageNotFoundError
    return Target(state, head, member, entry, json.loads(entry.body), services.now())


def _commit(services: Services, commit: ChangeCommit) -> ChangeOutcome:
    try:
        return services.store.commit_change(commit)
    except UnavailableError as error:
        # Its answer may be lost: then the change stands in the log.
        try:
            found = services.store.changes_at(commit.head.channel_id, [commit.change.rev])
        except UnavailableError:
            found = []
        if found == [commit.change]:
            return Committed()
        raise CommitUnknownError(retry_after=1) from error


def _without(commit: ChangeCommit, left: frozenset[str]) -> ChangeCommit:
    """Without those who left the channel, as their memberships cannot be marked."""
    if not left:
        return commit
    mentions = {user: marks for user, marks in commit.mentions.items() if user not in left}
    unmentions = {user: marks for user, marks in commit.unmentions.items() if user not in left}
    return replace(commit, mentions=mentions, unmentions=unmentions)
