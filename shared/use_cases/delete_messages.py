"""Deleting messages."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from shared.bootstrap import Services
from shared.domain import changes, permissions
from shared.domain.changes import ChangeKind
from shared.domain.errors import ForbiddenError, UnavailableError
from shared.storage.log_reader import trim
from shared.storage.protocol import ChangeCommit
from shared.use_cases.change_messages import Changed, Target, change_message, completing, twin_of
from shared.use_cases.summarize_threads import summary_without


def delete_message(services: Services, user_id: str, channel_id: str, message_id: str) -> Changed:
    """Deletes a message: what is left says that one was there, whose, and who deleted it. Again it changes nothing.

    A reply that is also in the channel, or its copy there, is deleted in both places; a repeated request completes it.

    Costs 3 read and 8 write units for a message of up to 1 KB; 2 more for each user whom it names, and once the head
    has eight gaps. A reply costs 5 and 14, and a Query: the summary in the root is lowered together with it.

    Raises:
        ChannelNotFoundError, NotAMemberError, MessageNotFoundError: see ``change_message``.
        ChannelArchivedError: nothing changes in an archived channel.
        ForbiddenError: the caller is not the author, and not a moderator or owner.
        RateLimitedError, ContentionError, CommitUnknownError: see ``change_message``.
    """
    done = _delete(services, user_id, channel_id, message_id)
    other = twin_of(done.target.message)
    if other is not None:
        with completing():
            _delete(services, user_id, channel_id, other, is_follow_up=True)
    return done


def _delete(
    services: Services, user_id: str, channel_id: str, message_id: str, *, is_follow_up: bool = False
) -> Changed:
    """Deletes one message."""
    make = partial(_deletion, services)
    done = change_message(services, user_id, channel_id, message_id, make, is_follow_up=is_follow_up)
    if done.change is not None:
        # May fail or come later: a head with more gaps than it must keep is correct, only larger.
        with suppress(UnavailableError):
            trim(services.store, done.target.head, [done.target.entry.seq])
    return done


def _deletion(services: Services, target: Target) -> ChangeCommit | None:
    permissions.require_capability(target.state, "post")
    message = target.message
    if not message:
        return None  # a twin that has expired
    is_own = message["sender"] == target.member.user_id
    if not is_own and "delete" not in permissions.capabilities(target.head, target.member):
        raise ForbiddenError("Only its author, moderators and owners may delete a message.")
    if target.is_gone:  # a redacted message, whose author was erased, has no text either
        return None
    body = changes.deleted(target.body, target.rev, target.member.user_id, target.at)
    change = target.change(ChangeKind.DELETED, body, before=changes.packed(target.body, body))
    thread = target.state.thread
    return target.commit(
        change,
        preview=target.preview(""),
        is_gap=True,
        summary=thread
        and summary_without(services, thread, target.head, target.entry, target.member.user_id),
        unmentions={} if "reply_id" in message else target.marks(frozenset(message.get("mentions", ()))),
    )
