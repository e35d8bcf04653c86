"""Memberships on DynamoDB."""

from __future__ import annotations

from typing import Any, Final

from shared.domain import keys
from shared.domain.errors import ContentionError
from shared.domain.model import Member, Membership, PastMembership, Role
from shared.storage import items
from shared.storage.dynamodb.channels import ABSENT, OPEN, SAME_CHANGES, SAME_ROLE, role_unchanged
from shared.storage.dynamodb.conflicts import retry_conflicts, transact
from shared.storage.dynamodb.log import move_position
from shared.storage.dynamodb.table import ConditionFailedError, OnTable

REMOVE_TRIES: Final = 10
"""How often a removal is tried; each further try is needed because the member has posted during the one before."""


class DynamoDBMembers(OnTable):
    """See ``shared.storage.protocol.Members``."""

    def members(self, channel_id: str, limit: int, after: str | None) -> list[Member]:
        """One Query of the sparse index: half a read unit for each 4 KB."""
        arguments: dict[str, Any] = {}
        if after is not None:
            key = items.membership_key(channel_id, after) | {"ch": items.s(channel_id)}
            arguments["ExclusiveStartKey"] = key
        found = self._table.query(
            limit=limit,
            IndexName=items.MEMBERS_INDEX,
            KeyConditionExpression="ch = :channel",
            ExpressionAttributeValues={":channel": items.s(channel_id)},
            **arguments,
        )
        return [items.member_of(item) for item in found]

    def membership(self, channel_id: str, user_id: str) -> Membership | None:
        """One GetItem: 1 read unit."""
        item = self._table.get(items.membership_key(channel_id, user_id))
        return items.membership_of(item) if item else None

    def past_membership(self, channel_id: str, user_id: str) -> PastMembership | None:
        """One GetItem: 1 read unit."""
        item = self._table.get(items.past_membership_key(channel_id, user_id))
        return items.past_membership_of(item) if item else None

    def add_member(
        self, membership: Membership, by: Membership | None = None
    ) -> Membership | PastMembership | None:
        """One transaction: 6 write units, 2 more with ``by``, and 1 for the index."""
        put = {"Put": {"Item": items.membership_item(membership), "ConditionExpression": ABSENT}}
        owners = 1 if membership.role is Role.OWNER else 0
        count = count_members(membership.channel_id, 1, owners, OPEN)
        failed = transact(
            self._table,
            self._sleep,
            put,
            count,
            _may_join(membership),
            *role_unchanged(by),
        )
        if failed is None:
            return membership
        standing, closed, past_membership, *lost = failed
        if standing:
            return items.membership_of(standing)
        refused = any(each is not None for each in (closed, *lost))
        return items.past_membership_of(past_membership) if past_membership and not refused else None

    def change_role(self, membership: Membership, role: Role, by: Membership | None = None) -> bool:
        """One transaction: 4 write units, 2 more with ``by``, and 1 for the index."""
        owners = (role is Role.OWNER) - (membership.role is Role.OWNER)
        update = {
            "Update": {
                "Key": items.membership_key(membership.channel_id, membership.user_id),
                "UpdateExpression": "SET #role = :new",
                "ConditionExpression": SAME_ROLE,
                "ExpressionAttributeNames": {"#role": "role"},
                "ExpressionAttributeValues": {":role": items.s(membership.role), ":new": items.s(role)},
            }
        }
        count = count_members(membership.channel_id, 0, owners, keeps_an_owner(owners))
        return transact(self._table, self._sleep, update, count, *role_unchanged(by)) is None

    def remove_member(
        self, membership: Membership, by: Membership | None = None, *, even_last_owner: bool = False
    ) -> bool:
        """One transaction: 6 write units, 2 more with ``by``, and 1 for the index.

        Another transaction for each post or change that the member makes meanwhile.
        """
        owners = -1 if membership.role is Role.OWNER else 0
        condition = keeps_an_owner(owners)
        if even_last_owner and owners:
            condition = f"({condition}) OR attribute_exists(archived_at)"
        count = count_members(membership.channel_id, -1, owners, condition)
        seen = membership
        for _ in range(REMOVE_TRIES):
            past = {"Put": {"Item": items.past_membership_item(seen)}}
            failed = transact(
                self._table, self._sleep, delete_membership(seen), count, past, *role_unchanged(by)
            )
            if failed is None:
                return True
            standing, is_last, *_ = failed
            if not standing or is_last is not None:
                return False
            seen = items.membership_of(standing)
            if seen.role is not membership.role:
                return False
        raise ContentionError(retry_after=1)

    def move_read_position(
        self, channel_id: str, user_id: str, seq: int, messages: int, *, force: bool, voids: int = 0
    ) -> Membership | None:
        """One UpdateItem: 1 write unit."""
        key = items.membership_key(channel_id, user_id)
        item = move_position(self._table, self._sleep, key, (seq, messages, voids), force=force)
        return items.membership_of(item) if item else None

    def mute(self, channel_id: str, user_id: str, *, muted: bool) -> Membership | None:
        """One UpdateItem: 1 write unit."""
        arguments: dict[str, Any] = {"UpdateExpression": "REMOVE muted"}
        if muted:
            values = {":muted": items.MUTED["muted"]}
            arguments = {"UpdateExpression": "SET muted = :muted", "ExpressionAttributeValues": values}
        try:
            item = retry_conflicts(
                lambda: self._table.update(
                    Key=items.membership_key(channel_id, user_id),
                    ConditionExpression="attribute_exists(pk)",
                    **arguments,
                ),
                self._sleep,
            )
        except ConditionFailedError:
            return None
        return items.membership_of(item)

    def ping(self) -> None:
        """One GetItem of a missing item: 1 read unit."""
        self._table.get({"pk": items.s(keys.user_pk("ping")), "sk": items.s("PING")})


def _may_join(membership: Membership) -> dict[str, Any]:
    """The user is not banned, and has no later rate state; holds also if there is no past membership."""
    return {
        "ConditionCheck": {
            "Key": items.past_membership_key(membership.channel_id, membership.user_id),
            "ConditionExpression": (
                f"attribute_not_exists({items.BANNED}) AND (attribute_not_exists(tat) OR tat <= :tat)"
            ),
            "ExpressionAttributeValues": {":tat": items.n(membership.tat)},
        }
    }


def delete_membership(membership: Membership) -> dict[str, Any]:
    """Ends a membership, on condition that role and rate state are as they were read."""
    return {
        "Delete": {
            "Key": items.membership_key(membership.channel_id, membership.user_id),
            "ConditionExpression": f"{SAME_ROLE} AND tat = :tat AND {SAME_CHANGES}",
            "ExpressionAttributeNames": {"#role": "role"},
            "ExpressionAttributeValues": items.values(
                {":role": membership.role, ":tat": membership.tat, ":ct": membership.changes_tat}
            ),
        }
    }


def count_members(channel_id: str, members: int, owners: int, condition: str) -> dict[str, Any]:
    """Adds to the head's numbers of members and owners."""
    values = {":members": items.n(members), ":owners": items.n(owners)}
    if ":one" in condition:
        values[":one"] = items.n(1)
    return {
        "Update": {
            "Key": items.head_key(channel_id),
            "UpdateExpression": "SET members = members + :members, owners = owners + :owners",
            "ConditionExpression": condition,
            "ExpressionAttributeValues": values,
        }
    }


def keeps_an_owner(owners: int) -> str:
    """The condition of a head from which so many owners are taken."""
    return "attribute_exists(pk) AND owners > :one" if owners < 0 else "attribute_exists(pk)"
