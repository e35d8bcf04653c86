"""Muting a channel for the caller: it no longer counts as unread for them, unless it mentions them."""

from __future__ import annotations

from typing import Any

from shared.bootstrap import Services
from shared.domain import permissions


def set_muted(services: Services, user_id: str, channel_id: str, *, muted: bool) -> dict[str, Any]:
    """Mutes a channel, or ends that. It lasts until the membership ends; a user who joins again has not muted it.

    Costs 2 read units and 1 write unit, or no write if the state is the requested one.

    Raises:
        ChannelNotFoundError, NotAMemberError: the caller is not in the channel.
    """
    head, membership = permissions.require_member(services.store.read_channel_state(channel_id, user_id))
    if membership.muted is not muted and services.store.mute(channel_id, user_id, muted=muted) is None:
        raise permissions.membership_lost(head)
    return {"channel_id": channel_id, "muted": muted}
