"""Heads and lists of channels on DynamoDB."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from shared.domain import keys
from shared.domain.errors import ContentionError
from shared.domain.model import Head, Kind, Membership
from shared.storage import items
from shared.storage.dynamodb.conflicts import retry_conflicts, transact
from shared.storage.dynamodb.table import ConditionFailedError, OnTable, Table
from shared.storage.protocol import PairBlocked

ABSENT: Final = "attribute_not_exists(pk)"
OPEN: Final = "attribute_exists(pk) AND attribute_not_exists(archived_at)"
SAME_ROLE: Final = "attribute_exists(pk) AND #role = :role"
SAME_CHANGES: Final = "(attribute_not_exists(ct) OR ct = :ct)"
"""A membership whose user has changed no message since; an item without ``ct`` counts as 0."""
MAY_WRITE: Final = f"attribute_not_exists({items.BLOCKS}) AND attribute_not_exists({items.IS_BLOCKED})"
"""Of a membership: it is not in a direct channel in which one member blocks the other."""
KEPT_MINUTES: Final = 10
"""How long the units spent in a minute are kept: longer than any two clocks differ."""
NO_NAMES: Final[Mapping[str, str]] = {}


def role_unchanged(by: Membership | None) -> list[dict[str, Any]]:
    """The condition that the acting member still has the same role; no condition if ``by`` is None.

    It must come last in a transaction, so that the other writes' reasons keep their places.
    """
    if by is None:
        return []
    check = {
        "Key": items.membership_key(by.channel_id, by.user_id),
        "ConditionExpression": SAME_ROLE,
        "ExpressionAttributeNames": {"#role": "role"},
        "ExpressionAttributeValues": {":role": items.s(by.role)},
    }
    return [{"ConditionCheck": check}]


def below_user(table: Table, user_id: str, start: str) -> Iterator[dict[str, Any]]:
    """A user's items whose sort keys begin with ``start``: one Query."""
    return table.query(**_below_user(user_id, start))


def _below_user(user_id: str, start: str) -> dict[str, Any]:
    return {
        "ConsistentRead": True,
        "KeyConditionExpression": "pk = :pk AND begins_with(sk, :sk)",
        "ExpressionAttributeValues": {":pk": items.s(keys.user_pk(user_id)), ":sk": items.s(start)},
    }


class HeadChanges(OnTable):
    """Changes of heads other than posts."""

    def _change_head(
        self,
        channel_id: str,
        change: str,
        condition: str,
        values: items.Item,
        names: Mapping[str, str] = NO_NAMES,
    ) -> Head | None:
        """One UpdateItem: the new head, or None if the condition does not hold."""
        update = _update_head(channel_id, change, condition, values, names)["Update"]
        try:
            item = retry_conflicts(lambda: self._table.update(**update), self._sleep)
        except ConditionFailedError:
            return None
        return items.head_of(item)


class DynamoDBChannels(HeadChanges):
    """See ``shared.storage.protocol.Channels``."""

    def memberships(self, user_id: str) -> list[Membership]:
        """One Query: about a read unit for each 25 channels."""
        found = below_user(self._table, user_id, keys.MEMBERSHIPS)
        return [items.membership_of(item) for item in found]

    def count_memberships(self, user_id: str, limit: int) -> int:
        """One Query that only counts: about a read unit for each 25 channels."""
        return self._table.count(limit, **_below_user(user_id, keys.MEMBERSHIPS))

    def spend(self, user_id: str, minute: int, units: int, limit: int) -> bool:
        """One UpdateItem: 1 write unit, also if it is refused. DynamoDB deletes the item after the minute."""
        try:
            self._table.update(
                Key=items.spent_key(user_id, minute),
                UpdateExpression="ADD units :units SET expires = :expires",
                ConditionExpression="attribute_not_exists(units) OR units < :limit",
                ExpressionAttributeValues={
                    ":units": items.n(units),
                    ":limit": items.n(limit),
                    ":expires": items.n((minute + KEPT_MINUTES) * 60),
                },
            )
        except ConditionFailedError:
            return False
        return True

    def heads(self, channel_ids: Iterable[str]) -> dict[str, Head]:
        """BatchGetItem: a read unit each, a call for each 100."""
        # DynamoDB refuses a call that names a key twice, and an index may list a channel twice.
        found = self._table.batch_get([items.head_key(each) for each in dict.fromkeys(channel_ids)])
        return {head.channel_id: head for head in map(items.head_of, found)}

    def roles(self, user_id: str, channel_ids: Iterable[str]) -> dict[str, Membership]:
        """BatchGetItem: a read unit each, a call for each 100."""
        wanted = [items.membership_key(each, user_id) for each in dict.fromkeys(channel_ids)]
        found = map(items.membership_of, self._table.batch_get(wanted))
        return {membership.channel_id: membership for membership in found}

    def public_channels(self, limit: int, after: tuple[str, str] | None) -> list[tuple[str, str]]:
        """One Query of the sparse index: half a read unit for each 4 KB."""
        arguments: dict[str, Any] = {}
        if after:
            name, channel_id = after
            arguments["ExclusiveStartKey"] = items.listing_key(channel_id) | {
                "pub": items.s(items.PUBLIC),
                "pubname": items.s(name),
            }
        found = self._table.query(
            limit=limit,
            IndexName=items.PUBLIC_INDEX,
            KeyConditionExpression="pub = :public",
            ExpressionAttributeValues={":public": items.s(items.PUBLIC)},
            **arguments,
        )
        return [(item["pubname"]["S"], keys.channel_of(item["pk"]["S"])) for item in found]

    def reserve_key(self, key_id: str, request_hash: bytes) -> bytes:
        """One PutItem: 1 write unit, also if the key was used before."""
        key = items.key_use_key(key_id)
        try:
            self._table.put(Item=key | {"hash": items.b(request_hash)}, ConditionExpression=ABSENT)
        except ConditionFailedError as error:
            # Some engines do not return the existing item.
            return bytes((error.item or self._table.get(key) or {})["hash"]["B"])
        return request_hash

    def create_channel(self, head: Head, memberships: Sequence[Membership]) -> Head | PairBlocked | None:
        """One transaction: 2 write units for each KB of the head and for each member, and the members' index entries.

        A public channel's listing takes 2 more and an index entry; that no member of a direct channel blocks the other
        takes 4.
        """
        writes = [_put(items.head_item(head))]
        writes += [_put(items.listing_item(head))] if head.kind is Kind.PUBLIC else []
        writes += [_put(items.membership_item(membership)) for membership in memberships]
        checks = _no_blocks(memberships) if head.kind is Kind.DIRECT else []
        failed = transact(self._table, self._sleep, *writes, *checks)
        if failed is None:
            return None
        if failed[0]:
            return items.head_of(failed[0])
        for block in failed[len(writes) :]:
            if block:
                return PairBlocked(items.block_of(block).user_id)
        raise ContentionError(retry_after=1)

    def update_channel(
        self,
        channel_id: str,
        changes: Mapping[str, str | int | None],
        if_version: int | None,
        by: Membership | None = None,
    ) -> Head | None:
        """One transaction and a GetItem: 4 write units and 1 read unit.

        Renaming a public channel takes 2 write units more, and 2 for the index.
        """
        values = {":one": items.n(1)}
        names = {f"#{name}": items.SHORT_NAMES.get(name, name) for name in changes}
        given = {name: value for name, value in changes.items() if value is not None}
        values |= items.values({f":{name}": value for name, value in given.items()})
        condition = OPEN
        if if_version is not None:
            condition += " AND version = :if_version"
            values[":if_version"] = items.n(if_version)
        change = "SET " + ", ".join(["version = version + :one", *(f"#{name} = :{name}" for name in given)])
        if removed := [f"#{name}" for name in changes if name not in given]:
            change += f" REMOVE {', '.join(removed)}"
        update = _update_head(channel_id, change, condition, values, names)
        failed = transact(self._table, self._sleep, update, *role_unchanged(by))
        head = self._head(channel_id, failed)
        if failed is not None and not (
            head and _is_permitted(failed) and head.is_made_of(changes, if_version)
        ):
            return None
        # Also for a repeated change: the first request may have ended before it updated the listing.
        if head and "name" in changes and head.kind is Kind.PUBLIC:
            self._update_listing(head)
        return head

    def _update_listing(self, head: Head) -> None:
        """Lists a renamed public channel under its new name, unless it was renamed again or archived since."""
        made = items.listing_item(head)
        values = {f":{name}": made[name] for name in ("pub", "pubname", "version")}
        self._change_listing(head, "SET pub = :pub, pubname = :pubname, version = :version", values)
        # Last, so that the channel is always listed: older channels were listed by attributes of their heads.
        self._change_head(
            head.channel_id, "REMOVE pub, pubname", "pub = :public", {":public": items.s(items.PUBLIC)}
        )

    def _change_listing(self, head: Head, change: str, values: items.Item) -> None:
        """One UpdateItem, which does nothing if the listing has this version or a later one."""
        with suppress(ConditionFailedError):
            retry_conflicts(
                lambda: self._table.update(
                    Key=items.listing_key(head.channel_id),
                    UpdateExpression=change,
                    ConditionExpression="attribute_not_exists(pk) OR version < :version",
                    ExpressionAttributeValues=values,
                ),
                self._sleep,
            )

    def archive_channel(
        self, channel_id: str, now: int, by: Membership | None = None, *, if_version: int | None = None
    ) -> bool:
        """One transaction and a GetItem: 4 write units (2 without ``by``) and 1 read unit.

        A public channel takes 1 write unit more, and 1 for the index.
        """
        values, condition = {":now": items.n(now), ":one": items.n(1)}, OPEN
        if if_version is not None:
            condition += " AND version = :if_version"
            values[":if_version"] = items.n(if_version)
        change = "SET archived_at = :now, version = version + :one REMOVE pub, pubname"
        update = _update_head(channel_id, change, condition, values)
        failed = transact(self._table, self._sleep, update, *role_unchanged(by))
        head = self._head(channel_id, failed)
        if failed is not None and not (head and _is_permitted(failed) and head.archived_at is not None):
            return False
        # The listing's item stays, with the version, so that a late renaming does not list the channel again.
        if head and head.kind is Kind.PUBLIC:
            version = {":version": items.n(head.version)}
            self._change_listing(head, "SET version = :version REMOVE pub, pubname", version)
        return True

    def unarchive_channel(self, head: Head, by: Membership | None = None) -> Head | None:
        """One transaction and a GetItem: 4 write units (2 without ``by``) and 1 read unit.

        A public channel takes 2 write units more, and 1 for the index.
        """
        values = {":one": items.n(1), ":version": items.n(head.version)}
        change = "SET version = version + :one REMOVE archived_at"
        condition = "attribute_exists(archived_at) AND version = :version"
        writes = [_update_head(head.channel_id, change, condition, values)]
        if head.kind is Kind.PUBLIC:
            # Unconditional: the head's version is the one that was read, so the listing has none that is later.
            writes.append(_list_again(replace(head, version=head.version + 1)))
        failed = transact(self._table, self._sleep, *writes, *role_unchanged(by))
        current = self._head(head.channel_id, failed)
        if failed is not None and not (current and _is_permitted(failed) and current.archived_at is None):
            return None
        return current

    def _head(self, channel_id: str, failed: Sequence[dict[str, Any] | None] | None) -> Head | None:
        """The head after a transaction: read again if it succeeded, else taken from the refusal."""
        item = self._table.get(items.head_key(channel_id)) if failed is None else failed[0]
        return items.head_of(item) if item else None


def _no_blocks(memberships: Sequence[Membership]) -> list[dict[str, Any]]:
    """The conditions that no member of a direct channel blocks the other."""
    users = [each.user_id for each in memberships]
    wanted = [items.block_key(each, other) for each in users for other in users if other != each]
    return [{"ConditionCheck": {"Key": key, "ConditionExpression": ABSENT}} for key in wanted]


def _is_permitted(failed: Sequence[dict[str, Any] | None]) -> bool:
    """Whether the acting member's role was not among the reasons to refuse a change of a head."""
    return all(each is None for each in failed[1:])


def _update_head(
    channel_id: str, change: str, condition: str, values: items.Item, names: Mapping[str, str] = NO_NAMES
) -> dict[str, Any]:
    update: dict[str, Any] = {
        "Key": items.head_key(channel_id),
        "UpdateExpression": change,
        "ConditionExpression": condition,
        "ExpressionAttributeValues": values,
    }
    return {"Update": update | ({"ExpressionAttributeNames": names} if names else {})}


def _list_again(head: Head) -> dict[str, Any]:
    made = items.listing_item(head)
    update = {
        "Key": items.listing_key(head.channel_id),
        "UpdateExpression": "SET pub = :pub, pubname = :pubname, version = :version",
        "ExpressionAttributeValues": {f":{name}": made[name] for name in ("pub", "pubname", "version")},
    }
    return {"Update": update}


def _put(item: dict[str, Any]) -> dict[str, Any]:
    return {"Put": {"Item": item, "ConditionExpression": ABSENT}}
