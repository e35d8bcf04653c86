"""A channel's JSON as clients get it."""

from __future__ import annotations

from typing import Any

from shared.domain import keys, permissions
from shared.domain.clock import rfc3339
from shared.domain.model import ERASED, Head, Member, Membership, Preview


def channel_json(head: Head, membership: Membership | None) -> dict[str, Any]:
    """The channel as one caller sees it.

    Without a membership (public channels only) ``role``, ``muted``, the counts, ``last_read_seq`` and ``last_message``
    are null: the caller sees the channel's description, not its messages.

    Head and membership are read in parallel, so the head may be older than the read position. Then ``last_read_seq`` is
    the head's ``seq``.
    """
    last = head.shown if membership else None
    return {
        "id": head.channel_id,
        "name": head.name,
        "topic": head.topic,
        "kind": head.kind,
        "creator": head.creator,
        "created_at": rfc3339(head.created_at),
        "archived": head.archived_at is not None,
        "slow_mode": head.slow_mode,
        "edit_window": head.edit_window,
        "members_pin": head.members_pin,
        "show_reads": head.show_reads,
        "retention_days": head.retention_days,
        "expired_before": head.boundary.seq + 1 if head.boundary.seq else None,
        "version": head.version,
        "member_count": head.members,
        "last_seq": head.seq,
        "last_rev": head.rev,
        "last_message": last and preview_json(head.channel_id, last),
        "last_read_seq": min(membership.read_seq, head.seq) if membership else None,
        "unread_count": membership.unread(head) if membership else None,
        "mention_count": membership.mention_count(head) if membership else None,
        "muted": membership.muted if membership else None,
        "role": membership.role if membership else None,
        "blocked": membership is not None and membership.blocks,
        "capabilities": permissions.capabilities(head, membership),
    }


def preview_json(channel_id: str, last: Preview) -> dict[str, Any]:
    """The latest message of a log as lists show it."""
    shown: dict[str, Any] = {
        "id": keys.message_id(channel_id, last.seq),
        "seq": last.seq,
        "text": last.text,
        "sender": last.sender,
        "created_at": rfc3339(last.created_at),
    }
    if last.sender == ERASED:
        return shown | {"redacted": True}
    # The text of every message that was not deleted has something visible in it.
    return shown if last.text else shown | {"deleted": True}


def member_json(member: Member | Membership) -> dict[str, Any]:
    """A member."""
    return {
        "user_id": member.user_id,
        "role": member.role,
        "joined_at": rfc3339(member.joined_at),
    }
