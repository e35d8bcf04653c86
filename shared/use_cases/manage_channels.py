"""Creating, changing and archiving channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared import access, keys
from shared.channel_limit import full_lists, refusal
from shared.channels import channel_json
from shared.errors import (
    ChannelArchivedError,
    ChannelNotFoundError,
    ContentionError,
    DirectChannelError,
    IdempotencyKeyReusedError,
    VersionMismatchError,
)
from shared.messages import request_hash
from shared.model import ERASED, Head, Kind, Membership, Role
from shared.services import Services


@dataclass(frozen=True, slots=True)
class Plan:
    """A channel as its creator wants it; for a direct one ``members`` is the other user."""

    kind: Kind
    name: str = ""
    topic: str = ""
    slow_mode: int = 0
    members: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Created:
    """The channel, and whether it was there before."""

    channel: dict[str, Any]
    found: bool


def create_channel(services: Services, user_id: str, plan: Plan, key: str | None) -> Created:
    """Makes a channel with the caller as its owner; finds it again for a repeated key or a pair that has one.

    Raises:
        IdempotencyKeyReusedError: the key was used for a different channel.
        TooManyChannelsError: somebody is in as many channels as one may be.
        ChannelNotFoundError: the caller made it under this key and has left it since, or was erased; of a public one
            they get what any stranger sees.
        ContentionError: an earlier request has made it, and not all of it can be read yet.
    """
    if key is not None:
        # Before anything else: a direct channel's id follows from its members, so its head knows of no key.
        used_for = services.store.reserve_key(keys.derived_channel_id("key", user_id, key), _hash_of(plan))
        if used_for != _hash_of(plan):
            raise IdempotencyKeyReusedError
    head, memberships = _planned(user_id, plan, key, services.now())
    full = full_lists(services, [each.user_id for each in memberships])
    # A repeated request is answered as the first time, whose channel may be the one that filled a list.
    standing = (
        services.store.head(head.channel_id) if full else services.store.create_channel(head, memberships)
    )
    if standing is None and full:
        raise refusal(user_id, full, "body.members")
    if standing is None:
        return Created(channel_json(head, memberships[0]), found=False)
    if standing.kind is not Kind.DIRECT and standing.request_hash != _hash_of(plan):
        raise IdempotencyKeyReusedError
    return Created(_found(services, user_id, head.channel_id), found=True)


def _found(services: Services, user_id: str, channel_id: str) -> dict[str, Any]:
    look = services.store.look(channel_id, user_id)
    if look.membership is None and not _ended(services, look.head, user_id):
        raise ContentionError("An earlier request has just made this channel; try again.", retry_after=1)
    return channel_json(access.visible(look), look.membership)


def _ended(services: Services, head: Head | None, user_id: str) -> bool:
    """Whether somebody who is in none of a channel that they made was: else it is seen only in part.

    A look at several items may see a transaction's head before its membership. Who left has a former membership: 1 read
    unit, only here. Of an erased user it is forgotten, but the channel has no creator any more, or is archived.
    """
    if head is None:
        return False
    erased = head.creator == ERASED or head.archived_at is not None
    return erased or services.store.former(head.channel_id, user_id) is not None


def _planned(user_id: str, plan: Plan, key: str | None, now: int) -> tuple[Head, list[Membership]]:
    head = Head(
        channel_id=_channel_id(user_id, plan, key),
        kind=plan.kind,
        name=plan.name,
        topic=plan.topic,
        creator=user_id,
        created_at=now,
        slow_mode=plan.slow_mode,
        members=1 + len(plan.members),
        owners=1,
        request_hash=_hash_of(plan) if key is not None else b"",
    )
    roles = {user_id: Role.OWNER} | dict.fromkeys(plan.members, Role.MEMBER)
    return head, [Membership(each, head.channel_id, role, now) for each, role in roles.items()]


def _hash_of(plan: Plan) -> bytes:
    return request_hash(plan.kind, plan.name, plan.topic, plan.slow_mode, sorted(plan.members))


def _channel_id(user_id: str, plan: Plan, key: str | None) -> str:
    if plan.kind is Kind.DIRECT:
        return keys.derived_channel_id("direct", *sorted([user_id, *plan.members]))
    if key is not None:
        return keys.derived_channel_id("key", user_id, key)
    return keys.new_channel_id()


def get_channel(services: Services, user_id: str, channel_id: str) -> dict[str, Any]:
    """The channel as the caller sees it.

    Raises:
        ChannelNotFoundError: there is none, or it is not the caller's to see.
    """
    look = services.store.look(channel_id, user_id)
    return channel_json(access.visible(look), look.membership)


def update_channel(
    services: Services,
    user_id: str,
    channel_id: str,
    changes: dict[str, str | int],
    if_versions: frozenset[int] | None,
) -> dict[str, Any]:
    """Changes name, topic or slow mode; only of one of ``if_versions``, unless that is None.

    A write whose answer was lost is sent again by the storage's client and then meets the version that it made itself.
    So a head one version on that shows exactly the values asked for is this change, done: the storage answers it as
    new. Where it was somebody else who asked for the same at the same moment, nobody loses anything by it.

    Raises:
        ChannelNotFoundError, NotAMemberError, ForbiddenError, ChannelArchivedError: the caller may not.
        DirectChannelError: a direct channel has nothing to change.
        VersionMismatchError: the channel has another version now.
    """
    head, membership = _able(services, user_id, channel_id, "edit")
    if_version = _matching(head, if_versions)
    if not changes:
        return channel_json(head, membership)
    changed = services.store.update_channel(channel_id, changes, if_version)
    if changed is None:
        current = services.store.head(channel_id)
        if current is None:
            raise ChannelNotFoundError
        raise ChannelArchivedError if current.archived_at is not None else VersionMismatchError
    return channel_json(changed, membership)


def archive_channel(
    services: Services, user_id: str, channel_id: str, if_versions: frozenset[int] | None = None
) -> None:
    """Makes the channel read-only for ever; archiving it again changes nothing, and is done of whatever version.

    Raises:
        ChannelNotFoundError, NotAMemberError, ForbiddenError: the caller may not.
        DirectChannelError: direct channels stay.
        VersionMismatchError: the channel has none of ``if_versions`` now.
    """
    try:
        head, _ = _able(services, user_id, channel_id, "archive")
    except ChannelArchivedError:
        return
    if not services.store.archive_channel(channel_id, services.now(), _matching(head, if_versions)):
        raise VersionMismatchError


def _matching(head: Head, if_versions: frozenset[int] | None) -> int | None:
    """The version that the write is to find: the one that was seen, None where any will do."""
    if if_versions is None:
        return None
    if head.version not in if_versions:
        raise VersionMismatchError
    return head.version


def _able(services: Services, user_id: str, channel_id: str, capability: str) -> tuple[Head, Membership]:
    look = services.store.look(channel_id, user_id)
    head, _ = access.member(look)
    if head.kind is Kind.DIRECT:
        raise DirectChannelError
    return access.able(look, capability)
