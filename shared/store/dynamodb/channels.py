"""Heads, and the lists of them, on DynamoDB."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from shared import keys
from shared.errors import ContentionError
from shared.model import Head, Kind, Membership
from shared.store import items
from shared.store.dynamodb.log import retry_conflicts
from shared.store.dynamodb.table import (
    ConditionFailedError,
    Table,
    TransactionCanceledError,
    TransactionConflictError,
)

ABSENT: Final = "attribute_not_exists(pk)"
OPEN: Final = "attribute_exists(pk) AND attribute_not_exists(archived_at)"
NO_NAMES: Final[Mapping[str, str]] = {}


def _never(_: Head) -> bool:
    return False


def _is_archived(head: Head) -> bool:
    return head.archived_at is not None


def transact(
    table: Table, sleep: Callable[[float], None], *writes: dict[str, Any]
) -> list[dict[str, Any] | None] | None:
    """All of the writes or none, repeated while it meets other transactions.

    Returns:
        None when it stands. Else for each write whose condition failed what stands there (``{}`` for nothing), and
        None for the others.
    """
    try:
        retry_conflicts(lambda: _transact(table, writes), sleep)
    except TransactionCanceledError as error:
        failed = [reason.get("Code") == "ConditionalCheckFailed" for reason in error.reasons]
        if not any(failed):
            raise ContentionError(retry_after=1) from error
        return [
            reason.get("Item", {}) if bad else None for reason, bad in zip(error.reasons, failed, strict=True)
        ]
    return None


def below_user(table: Table, user_id: str, start: str) -> Iterator[dict[str, Any]]:
    """A user's items whose sort keys begin so: one Query."""
    return table.query(**_below_user(user_id, start))


def _below_user(user_id: str, start: str) -> dict[str, Any]:
    return {
        "ConsistentRead": True,
        "KeyConditionExpression": "pk = :pk AND begins_with(sk, :sk)",
        "ExpressionAttributeValues": {":pk": items.s(keys.user_pk(user_id)), ":sk": items.s(start)},
    }


def _transact(table: Table, writes: Sequence[dict[str, Any]]) -> None:
    try:
        table.transact(*writes)
    except TransactionCanceledError as error:
        codes = {reason.get("Code", "None") for reason in error.reasons}
        if codes <= {"None", "TransactionConflict"}:
            raise TransactionConflictError from error
        raise


class HeadChanges:
    """What changes heads apart from posts.

    Args:
        table: the table.
        sleep: waits for a number of seconds.
    """

    def __init__(self, table: Table, sleep: Callable[[float], None]) -> None:
        self._table = table
        self._sleep = sleep

    def _change_head(
        self,
        channel_id: str,
        change: str,
        condition: str,
        values: items.Item,
        names: Mapping[str, str] = NO_NAMES,
        is_made: Callable[[Head], bool] = _never,
    ) -> Head | None:
        """One UpdateItem: the new head, or None where the condition does not hold.

        The head that refuses, which comes with the refusal, where ``is_made`` finds the change in it.
        """
        arguments = {"ExpressionAttributeNames": names} if names else {}
        try:
            item = retry_conflicts(
                lambda: self._table.update(
                    Key=items.head_key(channel_id),
                    UpdateExpression=change,
                    ConditionExpression=condition,
                    ExpressionAttributeValues=values,
                    **arguments,
                ),
                self._sleep,
            )
        except ConditionFailedError as error:
            standing = items.head_of(error.item) if error.item else None
            return standing if standing and is_made(standing) else None
        return items.head_of(item)


class DynamoDBChannels(HeadChanges):
    """See ``shared.store.interface.Channels``."""

    def memberships(self, user_id: str) -> list[Membership]:
        """One Query: about a read unit for each 25 channels."""
        found = below_user(self._table, user_id, keys.MEMBERSHIPS)
        return [items.membership_of(item) for item in found]

    def count_memberships(self, user_id: str, limit: int) -> int:
        """One Query that moves no item: about a read unit for each 25 channels."""
        return self._table.count(limit, **_below_user(user_id, keys.MEMBERSHIPS))

    def heads(self, channel_ids: Iterable[str]) -> dict[str, Head]:
        """BatchGetItem: a read unit each, a call for each 100."""
        # DynamoDB refuses a call that names a key twice, and an index may have a channel twice.
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
            arguments["ExclusiveStartKey"] = items.head_key(channel_id) | {
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
        """One PutItem: 1 write unit, also where the key was used before."""
        key = items.key_use_key(key_id)
        try:
            self._table.put(Item=key | {"hash": items.b(request_hash)}, ConditionExpression=ABSENT)
        except ConditionFailedError as error:
            # An engine may not return what stands there.
            return bytes((error.item or self._table.get(key) or {})["hash"]["B"])
        return request_hash

    def create_channel(self, head: Head, memberships: Sequence[Membership]) -> Head | None:
        """One transaction: 2 write units for each KB of the head and for each member, and their index entries."""
        writes = [_put(items.head_item(head))]
        writes += [_put(items.membership_item(membership)) for membership in memberships]
        failed = transact(self._table, self._sleep, *writes)
        if failed is None:
            return None
        if failed[0]:
            return items.head_of(failed[0])
        raise ContentionError(retry_after=1)

    def update_channel(
        self, channel_id: str, changes: Mapping[str, str | int], if_version: int | None
    ) -> Head | None:
        """One UpdateItem: 1 write unit, and 2 for the index where a public channel is renamed."""
        values = {":one": items.n(1)}
        names = {f"#{name}": name for name in changes}
        for name, value in changes.items():
            values[f":{name}"] = items.s(value) if isinstance(value, str) else items.n(value)
        condition = OPEN
        if if_version is not None:
            condition += " AND version = :if_version"
            values[":if_version"] = items.n(if_version)
        sets = ", ".join(["version = version + :one", *(f"#{name} = :{name}" for name in changes)])
        is_made = partial(Head.is_made_of, changes=changes, version=if_version)
        head = self._change_head(channel_id, f"SET {sets}", condition, values, names, is_made)
        # Also of a change that was made before: what was lost with its answer is the index's turn.
        if head and "name" in changes and head.kind is Kind.PUBLIC:
            self._reindex(head)
        return head

    def _reindex(self, head: Head) -> None:
        """Sorts a renamed public channel anew; not if it was renamed again or archived meanwhile."""
        self._change_head(
            head.channel_id,
            "SET pubname = :pubname",
            "attribute_exists(pub) AND #name = :name",
            {
                ":pubname": items.s(items.public_name(head.name, head.channel_id)),
                ":name": items.s(head.name),
            },
            {"#name": "name"},
        )

    def archive_channel(self, channel_id: str, now: int, if_version: int | None = None) -> bool:
        """One UpdateItem: 1 write unit, and 1 for the index."""
        values, condition = {":now": items.n(now), ":one": items.n(1)}, OPEN
        if if_version is not None:
            condition += " AND version = :if_version"
            values[":if_version"] = items.n(if_version)
        change = "SET archived_at = :now, version = version + :one REMOVE pub, pubname"
        return self._change_head(channel_id, change, condition, values, is_made=_is_archived) is not None


def _put(item: dict[str, Any]) -> dict[str, Any]:
    return {"Put": {"Item": item, "ConditionExpression": ABSENT}}
