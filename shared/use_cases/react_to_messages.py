"""Reactions to messages."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from shared.bootstrap import Services
from shared.domain import changes, permissions
from shared.domain.changes import MAX_EMOJI, SHOWN_USERS, ChangeKind, Reactions
from shared.domain.errors import MessageDeletedError, TooManyReactionsError
from shared.storage.protocol import ChangeCommit
from shared.use_cases.change_messages import Target, change_message

PROMOTED_FROM: Final = 100
"""Users beyond the shown ones among whom the next is looked for when a shown one takes a reaction back."""


def add_reaction(services: Services, user_id: str, channel_id: str, message_id: str, emoji: str) -> bytes:
    """Reacts to a message with one emoji: the message's JSON. Again it changes nothing.

    Costs 3 read and 8 write units for a message of up to 1 KB; 1 and 2 more after the first users with this emoji.

    Raises:
        ChannelNotFoundError, NotAMemberError, MessageNotFoundError: see ``change_message``.
        ChannelArchivedError: nothing changes in an archived channel.
        MessageDeletedError: the message was deleted or redacted.
        TooManyReactionsError: the message has as many different emoji as it may.
        ContentionError, CommitUnknownError: see ``change_message``.
    """
    make = partial(_reaction, services, emoji)
    target, change = change_message(services, user_id, channel_id, message_id, make)
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
        ChannelNotFoundError, NotAMemberError, MessageNotFoundError: see ``change_message``.
        ChannelArchivedError: nothing changes in an archived channel.
        ContentionError, CommitUnknownError: see ``change_message``.
    """
    change_message(services, user_id, channel_id, message_id, partial(_unreaction, services, emoji))


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
