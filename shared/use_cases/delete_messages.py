"""Deleting messages."""

from __future__ import annotations

from contextlib import suppress

from shared.bootstrap import Services
from shared.domain import changes, permissions
from shared.domain.changes import ChangeKind
from shared.domain.errors import ForbiddenError, MessageDeletedError, UnavailableError
from shared.storage.log_reader import trim
from shared.storage.protocol import ChangeCommit
from shared.use_cases.change_messages import Target, change_message


def delete_message(services: Services, user_id: str, channel_id: str, message_id: str) -> None:
    """Deletes a message: what is left says that one was there, whose, and who deleted it. Again it changes nothing.

    Costs 3 read and 8 write units for a message of up to 1 KB; 2 more for each user whom it names, and once the head
    has eight gaps.

    Raises:
        ChannelNotFoundError, NotAMemberError, MessageNotFoundError: see ``change_message``.
        ChannelArchivedError: nothing changes in an archived channel.
        ForbiddenError: the caller is not the author, and not a moderator or owner.
        MessageDeletedError: the message was redacted: its author was erased.
        ContentionError, CommitUnknownError: see ``change_message``.
    """
    target, change = change_message(services, user_id, channel_id, message_id, _deletion)
    if change is not None:
        # May fail or come later: a head with more gaps than it must keep is correct, only larger.
        with suppress(UnavailableError):
            trim(services.store, target.head, [target.entry.seq])


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
        unmentions=target.marks(frozenset(message.get("mentions", ()))),
    )
