"""Creating, changing, archiving and unarchiving channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.bootstrap import Services
from shared.domain import keys, permissions
from shared.domain.channels import channel_json
from shared.domain.errors import (
    CannotSendError,
    ChannelArchivedError,
    ContentionError,
    DirectChannelError,
    ForbiddenError,
    IdempotencyKeyReusedError,
    UserBlockedError,
    VersionMismatchError,
)
from shared.domain.messages import request_hash
from shared.domain.model import ERASED, FIXED_MEMBERS, ChannelState, Head, Kind, Membership, Role
from shared.domain.retention import changed as changed_retention
from shared.runtime.parallel import run_both
from shared.storage.protocol import PairBlocked
from shared.use_cases.channel_limit import full_lists, refusal
from shared.use_cases.confirm_channels import confirm_one
from shared.use_cases.end_watches import end_watches
from shared.use_cases.lost_rights import refuse_if_lost
from shared.use_cases.moderate_channels import require_not_banned
from shared.use_cases.read_budget import ReadBudget


@dataclass(frozen=True, slots=True)
class Plan:
    """The requested channel; ``members`` are the users besides the caller, none for a channel with oneself."""

    kind: Kind
    name: str = ""
    topic: str = ""
    slow_mode: int = 0
    members: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Created:
    """The channel, and whether it already existed."""

    channel: dict[str, Any]
    found: bool


def create_channel(services: Services, user_id: str, plan: Plan, key: str | None) -> Created:
    """Creates a channel owned by the caller, or finds it: under its key, or if these members have such a channel.

    An existing channel is returned in its current state: it may have been renamed or archived, and have new messages.

    Raises:
        IdempotencyKeyReusedError: the key was used for a different channel.
        TooManyChannelsError: a member has reached the limit of channels.
        UserBlockedError, CannotSendError: one member of the direct channel has blocked the other.
        ReadBudgetError: counting members' channels has used up the caller's budget.
        ChannelNotFoundError: the caller created the channel with this key, but has left it or was erased since. A
            public channel is returned as a non-member sees it instead.
        ContentionError: an earlier request has just created the channel, and it cannot be read completely yet.
    """
    if key is not None:
        # First, because a direct or group channel's id is derived from its members: its head does not contain the key.
        used_for = services.store.reserve_key(keys.derived_channel_id("key", user_id, key), _hash_of(plan))
        if used_for != _hash_of(plan):
            raise IdempotencyKeyReusedError
    head, memberships = _planned(user_id, plan, key, services.now())
    existing, full = _existing_or_full(services, head, [each.user_id for each in memberships])
    if existing is None:
        # The channel of a repeated request may be the one with which a member reached the limit.
        existing = (
            services.store.head(head.channel_id) if full else _create(services, user_id, head, memberships)
        )
    if existing is None and full:
        raise refusal(user_id, full, "body.members", services.settings.max_channels_per_user)
    if existing is None:
        return Created(channel_json(head, memberships[0]), found=False)
    if existing.kind not in FIXED_MEMBERS and existing.request_hash != _hash_of(plan):
        raise IdempotencyKeyReusedError
    return Created(_found(services, user_id, head.channel_id), found=True)


def _create(services: Services, user_id: str, head: Head, memberships: Sequence[Membership]) -> Head | None:
    """None if the channel was created, else the existing one."""
    existing = services.store.create_channel(head, memberships)
    if isinstance(existing, PairBlocked):
        raise UserBlockedError if existing.by == user_id else CannotSendError
    return existing


def _existing_or_full(
    services: Services, head: Head, user_ids: Sequence[str]
) -> tuple[Head | None, list[str]]:
    """The channel if an earlier request created it, else the members that have reached the limit of channels.

    The caller comes first. The others are counted only if the channel does not exist, which 1 read unit finds out.
    """
    budget, caller, others = ReadBudget(services, user_ids[0]), user_ids[:1], user_ids[1:]
    # Any other channel has a new random id.
    is_repeatable = head.kind in FIXED_MEMBERS or bool(head.request_hash)
    existing, full = run_both(
        lambda: services.store.head(head.channel_id) if is_repeatable else None,
        lambda: full_lists(services, budget, caller),
        services.background,
    )
    if existing is None and not full:
        full = full_lists(services, budget, others)
    return existing, full


def _found(services: Services, user_id: str, channel_id: str) -> dict[str, Any]:
    state = services.store.read_channel_state(channel_id, user_id)
    if state.membership is None and not _ended(services, state.head, user_id):
        raise ContentionError("An earlier request has just created this channel. Try again.", retry_after=1)
    return _shown(services, state)


def _shown(services: Services, state: ChannelState) -> dict[str, Any]:
    """The channel's current state, if the caller may see it."""
    head = confirm_one(services, permissions.require_visible(state), state.membership)
    return channel_json(head, state.membership)


def _ended(services: Services, head: Head | None, user_id: str) -> bool:
    """Whether the membership of the channel's creator has ended; if not, it exists but is not visible yet.

    A read of several items may see a transaction's head before its membership. A membership that has ended leaves a
    past membership: 1 read unit. An erased user has none, but then the channel has no creator any more, or its members
    are fixed and the erasure has archived it.
    """
    if head is None:
        return False
    erased = head.creator == ERASED or (head.kind in FIXED_MEMBERS and head.archived_at is not None)
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
    if plan.kind in FIXED_MEMBERS:
        return keys.derived_channel_id(plan.kind, *sorted([user_id, *plan.members]))
    if key is not None:
        return keys.derived_channel_id("key", user_id, key)
    return keys.new_channel_id()


def get_channel(services: Services, user_id: str, channel_id: str) -> dict[str, Any]:
    """The channel as the caller sees it.

    Raises:
        ChannelNotFoundError: the channel does not exist, or the caller may not see it.
        BannedError: the caller is banned from the public channel.
    """
    state = services.store.read_channel_state(channel_id, user_id)
    require_not_banned(services, state, user_id)
    return _shown(services, state)


def update_channel(
    services: Services,
    user_id: str,
    channel_id: str,
    changes: dict[str, str | int | None],
    if_versions: frozenset[int] | None,
) -> dict[str, Any]:
    """Changes name, topic or settings; if ``if_versions`` is given, only if the channel has one of these versions.

    If the response to a write is lost, the storage's client repeats it and finds the version that the write itself
    made. So a head that is one version later and has exactly the requested values counts as this change. If another
    request made the same change at the same time, that does no harm.

    Raises:
        ChannelNotFoundError, NotAMemberError, ForbiddenError, ChannelArchivedError: the caller may not change it.
        DirectChannelError: a direct or group channel has nothing to change.
        RetentionRaisedError: the retention was raised too often.
        VersionMismatchError: the channel has another version now.
        ContentionError: the caller's role has just changed, or the channel while its retention was to be changed.
    """
    head, membership = _require_capability(services, user_id, channel_id, "edit")
    if_version = _required_version(head, if_versions)
    if "retention_days" in changes:
        changes = changes | _retention(services, head, membership, changes["retention_days"])
        # What is kept of the retention before depends on the head as it was read.
        if_version = head.version
    if not changes:
        return channel_json(confirm_one(services, head, membership), membership)
    changed = services.store.update_channel(channel_id, changes, if_version, membership)
    if changed is None:
        # Not archived, and the right is unchanged: the version was the reason.
        refuse_if_lost(services.store, membership, "edit")
        raise VersionMismatchError if if_versions is not None else ContentionError(retry_after=1)
    return channel_json(confirm_one(services, changed, membership), membership)


def _retention(
    services: Services, head: Head, membership: Membership, days: str | int | None
) -> dict[str, str | int | None]:
    """The changes that give a channel another retention, which deletes messages: only owners may."""
    if membership.role is not Role.OWNER:
        raise ForbiddenError("Only owners may change how long a channel keeps messages.")
    return {**changed_retention(head, None if days is None else int(days), services.now())}


def archive_channel(
    services: Services, user_id: str, channel_id: str, if_versions: frozenset[int] | None = None
) -> None:
    """Makes the channel read-only. Archiving it again changes nothing and succeeds for every version.

    Raises:
        ChannelNotFoundError, NotAMemberError, ForbiddenError: the caller may not archive it.
        DirectChannelError: a direct or group channel cannot be archived.
        VersionMismatchError: the channel has none of ``if_versions``.
        ContentionError: the caller's role has just changed.
    """
    _archive(services, user_id, channel_id, if_versions)
    end_watches(services, channel_id)


def _archive(services: Services, user_id: str, channel_id: str, if_versions: frozenset[int] | None) -> None:
    try:
        head, membership = _require_capability(services, user_id, channel_id, "archive")
        if head.archived_at is not None:
            return
        if_version = _required_version(head, if_versions)
        if not services.store.archive_channel(channel_id, services.now(), membership, if_version=if_version):
            refuse_if_lost(services.store, membership, "archive")
            raise VersionMismatchError if if_version is not None else ContentionError(retry_after=1)
    except ChannelArchivedError:
        return


def set_archived(
    services: Services,
    user_id: str,
    channel_id: str,
    if_versions: frozenset[int] | None = None,
    *,
    archived: bool,
) -> dict[str, Any]:
    """Archives or unarchives a channel, and returns it; a public channel that is unarchived is listed again.

    If the channel is in the requested state, nothing changes, and the request succeeds for every version.

    Raises:
        ChannelNotFoundError, NotAMemberError, ForbiddenError, DirectChannelError, VersionMismatchError: as
            ``archive_channel``.
        ContentionError: the caller's role has just changed, or the channel was unarchived and archived again.
    """
    if archived:
        archive_channel(services, user_id, channel_id, if_versions)
        return get_channel(services, user_id, channel_id)
    return _unarchive(services, user_id, channel_id, if_versions)


def _unarchive(
    services: Services, user_id: str, channel_id: str, if_versions: frozenset[int] | None
) -> dict[str, Any]:
    head, membership = permissions.require_member(services.store.read_channel_state(channel_id, user_id))
    if head.kind in FIXED_MEMBERS:
        raise DirectChannelError
    if "archive" not in permissions.of_role(head, membership):
        raise ForbiddenError
    if head.archived_at is not None:
        _required_version(head, if_versions)
        current = services.store.unarchive_channel(head, membership)
        if current is None:
            refuse_if_lost(services.store, membership, "archive")
            raise VersionMismatchError if if_versions is not None else ContentionError(retry_after=1)
        head = current
    return channel_json(confirm_one(services, head, membership), membership)


def _required_version(head: Head, if_versions: frozenset[int] | None) -> int | None:
    """The version that the write requires: the one that was read; None if every version will do."""
    if if_versions is None:
        return None
    if head.version not in if_versions:
        raise VersionMismatchError
    return head.version


def _require_capability(
    services: Services, user_id: str, channel_id: str, capability: str
) -> tuple[Head, Membership]:
    state = services.store.read_channel_state(channel_id, user_id)
    head, _ = permissions.require_member(state)
    if head.kind in FIXED_MEMBERS:
        raise DirectChannelError
    return permissions.require_capability(state, capability)
