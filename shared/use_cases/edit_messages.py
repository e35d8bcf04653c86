"""Editing messages."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from shared.bootstrap import Services
from shared.domain import changes, permissions
from shared.domain.changes import ChangeKind
from shared.domain.clock import CLOCKS_APART_MS, from_rfc3339
from shared.domain.errors import (
    EditWindowError,
    ForbiddenError,
    IdempotencyKeyReusedError,
    MessageDeletedError,
    VersionMismatchError,
)
from shared.domain.mentions import mentions_in
from shared.domain.messages import dumps, request_hash
from shared.domain.model import IDEMPOTENCY_SECONDS, IdempotencyRecord
from shared.domain.rate_limit import Verdict
from shared.storage.protocol import ChangeCommit
from shared.use_cases.change_messages import SeenInPartError, Target, change_message, completing, twin_of
from shared.use_cases.mention_members import Named, find_named, forget_oldest


@dataclass(frozen=True, slots=True)
class Edited:
    """A message after an edit; ``replayed`` where an earlier request with the same key made it."""

    body: bytes
    rate: Verdict | None = None
    """None where the rate limit does not count the request: it changed nothing."""
    replayed: bool = False

    @property
    def version(self) -> int:
        """Counts the edits, from 1."""
        return int(json.loads(self.body).get("version", 1))


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

    A reply that is also in the channel, or its copy there, is changed in both places: first where the request says, to
    which alone ``if_versions`` and ``key`` apply. A repeated request completes it.

    Costs 3 read and 8 write units for a message of up to 1 KB, 4 and 10 with a key; 1 and 2 more for each user newly
    named.

    Raises:
        ChannelNotFoundError, NotAMemberError, MessageNotFoundError: see ``change_message``.
        ChannelArchivedError: nothing changes in an archived channel.
        ForbiddenError: the caller is not the author, or the text newly names everybody where they may not.
        MessageDeletedError: the message was deleted or redacted.
        EditWindowError: the channel's edit window is over.
        VersionMismatchError: the message has none of ``if_versions``.
        IdempotencyKeyReusedError: the key was used for a different request.
        TooManyMentionsError: the text names too many users.
        RateLimitedError, ContentionError, CommitUnknownError: see ``change_message``.
    """
    said = request_hash("edit", message_id, fields)
    edit = _Edit(services, fields, if_versions, key, said)
    done = change_message(services, user_id, channel_id, message_id, edit.make, key)
    other = twin_of(done.target.message)
    if other is not None and not done.target.is_gone:
        twin = _Edit(services, fields, None, None, said, is_twin=True)
        with completing(), suppress(MessageDeletedError):
            change_message(services, user_id, channel_id, other, twin.make, is_follow_up=True)
        forget_oldest(services, twin.named, twin.marks)
    if edit.replayed is not None:
        return Edited(edit.replayed, replayed=True)
    if done.change is not None:
        forget_oldest(services, edit.named, edit.marks)
    return Edited(done.body, done.rate)


class _Edit:
    def __init__(
        self,
        services: Services,
        fields: dict[str, Any],
        if_versions: frozenset[int] | None,
        key: str | None,
        said: bytes,
        *,
        is_twin: bool = False,
    ) -> None:
        self._services = services
        self._fields = fields
        self._if_versions = if_versions
        self._key = key
        self._said = said
        self._is_twin = is_twin
        """Whether the edit was made already, where the same message is too."""
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
        if not message:
            return None  # a twin that has expired
        if message["sender"] != target.member.user_id:
            raise ForbiddenError("Only its author may edit a message.")
        if target.is_gone:
            raise MessageDeletedError
        if self._if_versions is not None and message.get("version", 1) not in self._if_versions:
            raise VersionMismatchError
        if all(_is_same(message.get(name), value) for name, value in self._fields.items()):
            return None
        window = target.head.edit_window
        if (
            window is not None
            and not self._is_twin
            and target.at - from_rfc3339(message["created_at"]) > window * 1000
        ):
            raise EditWindowError
        text = self._fields.get("text", message["text"])
        before = mentions_in(message["text"])
        self.named = find_named(
            self._services, target.head, target.member, [text], had_everybody=before.everybody
        )
        marked = frozenset(message.get("mentions", ()))
        marks = self.named.marks([target.entry.seq], target.entry.at)
        # A reply's copy in the channel tells nobody: the reply does.
        is_copy = "reply_id" in message
        self.marks = {user: each for user, each in marks.items() if user not in marked and not is_copy}
        named = self.named.mentions[0]
        body = changes.edited(target.body, target.rev, target.member.user_id, target.at, self._fields, named)
        change = target.change(ChangeKind.EDITED, body, before=changes.packed(target.body, body))
        return target.commit(
            change,
            preview=target.preview(text),
            mentions=self.marks,
            unmentions={} if is_copy else target.marks(marked - {*named.users}),
            idempotency_record=self._record(target),
        )

    def _replay(self, target: Target, record: IdempotencyRecord) -> bytes:
        if record.request_hash != self._said:
            raise IdempotencyKeyReusedError
        if target.is_gone:
            return target.body
        found = self._services.store.changes_at(target.head.channel_id, [record.seq])
        if not found or min(target.head.rev, target.entry.rev) < record.seq:
            raise SeenInPartError
        return found[0].body or target.body

    def _record(self, target: Target) -> IdempotencyRecord | None:
        if self._key is None:
            return None
        expires = target.at // 1000 + IDEMPOTENCY_SECONDS + CLOCKS_APART_MS // 1000
        return IdempotencyRecord(self._key, self._said, target.rev, 1, expires)


def _is_same(one: Any, other: Any) -> bool:  # noqa: ANN401 - any JSON
    """Whether two values are the same JSON: Python's ``==`` does not tell true from 1."""
    return dumps(one) == dumps(other)
