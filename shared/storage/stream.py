"""Reads the table's stream: what each record says that concerns watchers.

Records are hints: they tell what to read, and who is concerned, and no more. They come at least once, and those of
different items in any order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from shared.domain import keys
from shared.domain.model import MARK, Follow, Head, Membership
from shared.domain.news import (
    Changed,
    ChannelChanged,
    ChannelEvent,
    MembershipChanged,
    Mentioned,
    News,
    Posted,
    ReadMoved,
    WatchChanged,
)
from shared.storage import items

Image = Mapping[str, Mapping[str, Any]]


def news_of(record: Mapping[str, Any]) -> list[News]:
    """What a record says, as Lambda gets it from a stream with ``NEW_AND_OLD_IMAGES``; nothing for most items.

    Raises:
        ValueError: it is no record of this table's stream.
    """
    try:
        kind, change = record["eventName"], record["dynamodb"]
        pk, sk = (change["Keys"][name]["S"] for name in ("pk", "sk"))
        before = None if kind == "INSERT" else change["OldImage"]
        after = None if kind == "REMOVE" else change["NewImage"]
        return _news_of(pk, sk, before, after)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError("no record of the table's stream") from error


def _news_of(pk: str, sk: str, before: Image | None, after: Image | None) -> list[News]:
    partition, owner = pk[:2], pk[2:]
    if partition == keys.LOGS:
        return _of_log(owner, sk, before, after)
    if partition == keys.USERS and sk.startswith(keys.MEMBERSHIPS):
        return of_membership(
            items.membership_of(before) if before else None, items.membership_of(after) if after else None
        )
    if partition == keys.FOLLOWERS and sk.startswith(keys.FOLLOWS):
        return of_follow(
            items.follow_of(before) if before else None, items.follow_of(after) if after else None
        )
    return []


def _of_log(log_id: str, sk: str, before: Image | None, after: Image | None) -> list[News]:
    if sk.startswith(keys.ENTRIES) and before is None and after:
        return [Posted(log_id, keys.seq_of(sk), _number(after, "at"))]
    if sk.startswith(keys.CHANGES) and before is None and after:
        return [Changed(log_id, keys.seq_of(sk), _number(after, "at"))]
    if sk.startswith(keys.WATCHES) and (before is None or after is None):
        user_id, connection_id, watched = keys.watch_of(sk)
        return [WatchChanged(watched, user_id, connection_id, is_begun=before is None)]
    if sk == keys.HEAD_SK and before and after and not keys.is_thread(log_id):
        return of_head(_settings(log_id, before), _settings(log_id, after))
    return []


def _settings(channel_id: str, image: Image) -> Head:
    """No more of a head than ``of_head`` compares: binary attributes are text in a record."""
    archived_at = _number(image, "archived_at") if "archived_at" in image else None
    return replace(Head.of_thread(channel_id), version=_number(image, "version"), archived_at=archived_at)


def _number(image: Image, name: str) -> int:
    return int(image[name]["N"])


# --- by what an item was before a write, and is after it; None where there is none ---


def of_membership(before: Membership | None, after: Membership | None) -> list[News]:
    """A beginning, an end, a read position that moved by itself, new mentions."""
    if before is None or after is None:
        there = before or after
        if there is None:
            return []
        event = ChannelEvent.ADDED if before is None else ChannelEvent.REMOVED
        return [MembershipChanged(there.channel_id, there.user_id, event)]
    news: list[News] = []
    # A post moves it too, together with the rate state.
    if after.read_seq != before.read_seq and after.tat == before.tat:
        news.append(ReadMoved(after.channel_id, after.user_id, after.read_seq))
    return news + _mentioned(after.channel_id, after.user_id, after.mentions - before.mentions)


def of_follow(before: Follow | None, after: Follow | None) -> list[News]:
    """New mentions in a thread."""
    if after is None:
        return []
    return _mentioned(
        after.log_id, after.user_id, after.mentions - (before.mentions if before else frozenset())
    )


def of_head(before: Head, after: Head) -> list[News]:
    """Other settings, archived, or not any more."""
    if (before.version, before.archived_at) == (after.version, after.archived_at):
        return []
    event = ChannelEvent.CHANGED
    if (before.archived_at is None) is not (after.archived_at is None):
        event = ChannelEvent.UNARCHIVED if after.archived_at is None else ChannelEvent.ARCHIVED
    return [ChannelChanged(after.channel_id, event, after.version)]


def _mentioned(log_id: str, user_id: str, marks: frozenset[int]) -> list[News]:
    return [Mentioned(log_id, user_id, mark % MARK) for mark in sorted(marks)]
