"""Creating, changing and archiving channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.bootstrap import Services
from shared.domain import keys, permissions
from shared.domain.channels import channel_json
from shared.domain.errors import (
    ChannelArchivedError,
    ContentionError,
    DirectChannelError,
    IdempotencyKeyReusedError,
    VersionMismatchError,
)
from shared.domain.messages import request_hash
from shared.domain.model import ERASED, ChannelState, Head, Kind, Membership, Role
from shared.runtime.parallel import run_both
from shared.use_cases.channel_limit import full_lists, refusal
from shared.use_cases.confirm_channels import confirm_one
from shared.use_cases.lost_rights import refuse_if_lost
from shared.use_cases.read_budget import ReadBudget


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

    A channel that is found again is shown as it is now: renamed, archived, or with what was posted since.

    Raises:
        IdempotencyKeyReusedError: the key was used for a different channel.
        TooManyChannelsError: somebody is in as many channels as one may be.
        ReadBudgetError: the caller has had too many long lists counted.
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
    standing, full = _standing_or_full(services, head, [each.user_id for each in memberships])
    if standing is None:
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


def _standing_or_full(
    services: Services, head: Head, user_ids: Sequence[str]
) -> tuple[Head | None, list[str]]:
    """The channel that an earlier request made, or those of its members whose lists are full.

    The caller, the first, is counted before anybody else; the others are not for a repeated request, which 1 read unit
    finds out.
    """
    budget, caller, others = ReadBudget(services, user_ids[0]), user_ids[:1], user_ids[1:]
    # Any other has an id that nothing can stand under.
    is_repeatable = head.kind is Kind.DIRECT or bool(head.request_hash)
    standing, full = run_both(
        lambda: services.store.head(head.channel_id) if is_repeatable else None,
        lambda: full_lists(services, budget, caller),
        services.background,
    )
    if standing is None and not full:
        full = full_lists(services, budget, others)
    return standing, full


def _found(services: Services, user_id: str, channel_id: str) -> dict[str, Any]:
    state = services.store.read_channel_state(channel_id, user_id)
    if state.membership is None and not _ended(services, state.head, user_id):
        raise ContentionError("An earlier request has just made this channel; try again.", retry_after=1)
    return _shown(services, state)


def _shown(services: Services, state: ChannelState) -> dict[str, Any]:
    """The channel as it is now, for a caller who may know of it."""
    head = confirm_one(services, permissions.require_visible(state), state.membership)
    return channel_json(head, state.membership)


def _ended(services: Services, head: Head | None, user_id: str) -> bool:
    """Whether somebody who is in none of a channel that they made was: else it is seen only in part.

    A look at several items may see a transaction's head before its membership. Who left has a former membership: 1 read
    unit, only here. Of an erased user it is forgotten, but the channel has no creator any more, or is archived.
    """
    if head is None:
        return False
    erased = head.creator == ERASED or head.archived_at is not None
    return erased or services.store.past_membership(head.channel_id, user_id) is not None


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
    return _shown(services, services.store.read_channel_state(channel_id, user_id))


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
        ContentionError: the caller's role changed meanwhile.
    """
    head, membership = _able(services, user_id, channel_id, "edit")
    if_version = _matching(head, if_versions)
    if not changes:
        return channel_json(confirm_one(services, head, membership), membership)
    changed = services.store.update_channel(channel_id, changes, if_version, membership)
    if changed is None:
        # Not archived, and the right stands: it was the version.
        refuse_if_lost(services.store, membership, "edit")
        raise VersionMismatchError if if_version is not None else ContentionError(retry_after=1)
    return channel_json(confirm_one(services, changed, membership), membership)


def archive_channel(
    services: Services, user_id: str, channel_id: str, if_versions: frozenset[int] | None = None
) -> None:
    """Makes the channel read-only for ever; archiving it again changes nothing, and is done of whatever version.

    Raises:
        ChannelNotFoundError, NotAMemberError, ForbiddenError: the caller may not.
        DirectChannelError: direct channels stay.
        VersionMismatchError: the channel has none of ``if_versions`` now.
        ContentionError: the caller's role changed meanwhile.
    """
    try:
        head, membership = _able(services, user_id, channel_id, "archive")
        if_version = _matching(head, if_versions)
        if not services.store.archive_channel(channel_id, services.now(), membership, if_version=if_version):
            refuse_if_lost(services.store, membership, "archive")
            raise VersionMismatchError if if_version is not None else ContentionError(retry_after=1)
    except ChannelArchivedError:
        return


def _matching(head: Head, if_versions: frozenset[int] | None) -> int | None:
    """The version that the write is to find: the one that was seen, None where any will do."""
    if if_versions is None:
        return None
    if head.version not in if_versions:
        raise VersionMismatchError
    return head.version


def _able(services: Services, user_id: str, channel_id: str, capability: str) -> tuple[Head, Membership]:
    state = services.store.read_channel_state(channel_id, user_id)
    head, _ = permissions.require_member(state)
    if head.kind is Kind.DIRECT:
        raise DirectChannelError
    return permissions.require_capability(state, capability)
