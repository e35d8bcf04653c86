"""Erasing users' data and expired messages on DynamoDB: for operators' tools only; no function has the permissions."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from typing import Any

from shared.domain import keys
from shared.domain.changes import Change
from shared.domain.model import ERASED, Entry, Head, PastMembership
from shared.storage import items
from shared.storage.dynamodb.channels import HeadChanges, below_user
from shared.storage.dynamodb.conflicts import retry_conflicts
from shared.storage.dynamodb.log import key_range
from shared.storage.dynamodb.table import MAX_BATCH_WRITES, ConditionFailedError
from shared.storage.protocol import Expiring


class DynamoDBErasures(HeadChanges):
    """See ``shared.storage.protocol.Erasures``."""

    def past_memberships(self, user_id: str) -> list[PastMembership]:
        """One Query: about a read unit for each 50 channels."""
        found = below_user(self._table, user_id, keys.PAST_MEMBERSHIPS)
        return [items.past_membership_of(item) for item in found]

    def forget_past_membership(self, user_id: str, past_membership: PastMembership) -> None:
        """One DeleteItem: 1 write unit."""
        with suppress(ConditionFailedError):
            retry_conflicts(
                lambda: self._table.delete(
                    Key=items.past_membership_key(past_membership.channel_id, user_id),
                    ConditionExpression="joined_at = :joined_at",
                    ExpressionAttributeValues={":joined_at": items.n(past_membership.joined_at)},
                ),
                self._sleep,
            )

    def redact(self, channel_id: str, seq: int, body: bytes) -> None:
        """One UpdateItem: a write unit for each KB of the old entry."""
        with suppress(ConditionFailedError):
            retry_conflicts(
                lambda: self._table.update(
                    Key=items.entry_key(channel_id, seq),
                    # What is redacted changes no more: a change that was under way fails.
                    UpdateExpression="SET body = :body, redacted = :one REMOVE versions",
                    ConditionExpression="attribute_exists(body)",
                    ExpressionAttributeValues=items.values({":body": body, ":one": 1}),
                ),
                self._sleep,
            )

    def rewrite_message(self, channel_id: str, seen: Entry, body: bytes) -> bool:
        """One UpdateItem: a write unit for each KB of the entry."""
        values: dict[str, Any] = {":body": body, ":one": 1}
        condition = "attribute_exists(body) AND attribute_not_exists(redacted)"
        for name, value in (("rev", seen.rev), ("rewrites", seen.rewrites)):
            condition += f" AND {name} = :{name}" if value else f" AND attribute_not_exists({name})"
            values |= {f":{name}": value} if value else {}
        return self._rewrite(
            Key=items.entry_key(channel_id, seen.seq),
            UpdateExpression="SET body = :body ADD rewrites :one",
            ConditionExpression=condition,
            ExpressionAttributeValues=items.values(values),
        )

    def rewrite_change(self, channel_id: str, seen: Change, change: Change) -> bool:
        """One UpdateItem: a write unit for each KB of the change."""
        sets, removes, conditions = [], [], []
        values: dict[str, Any] = {}
        for name, old, new in (
            ("by", seen.by, change.by),
            ("body", _stored_body(channel_id, seen), _stored_body(channel_id, change)),
            ("before", seen.before or None, change.before or None),
        ):
            if old is None:
                conditions.append(f"attribute_not_exists(#{name})")
            else:
                conditions.append(f"#{name} = :seen_{name}")
                values[f":seen_{name}"] = old
            if new is not None:
                sets.append(f"#{name} = :{name}")
                values[f":{name}"] = new
            elif old is not None:
                removes.append(f"#{name}")
        return self._rewrite(
            Key=items.change_key(channel_id, change.rev),
            UpdateExpression=f"SET {', '.join(sets)}" + (f" REMOVE {', '.join(removes)}" if removes else ""),
            ConditionExpression=" AND ".join(conditions),
            ExpressionAttributeNames={f"#{name}": name for name in ("by", "body", "before")},
            ExpressionAttributeValues=items.values(values),
        )

    def blockers(self, user_id: str) -> list[str]:
        """One Query: a read unit for each 50 or so."""
        found = below_user(self._table, user_id, keys.BLOCKERS)
        return [item["sk"]["S"].removeprefix(keys.BLOCKERS) for item in found]

    def reports_made(self, user_id: str) -> list[tuple[str, str]]:
        """One Query: a read unit for each 40 or so."""
        found = below_user(self._table, user_id, keys.REPORTS_MADE)
        return [(item["sk"]["S"].removeprefix(keys.REPORTS_MADE), item["id"]["S"]) for item in found]

    def forget_report_made(self, user_id: str, message_id: str) -> None:
        """One DeleteItem: 1 write unit."""
        key = items.report_made_key(user_id, message_id)
        retry_conflicts(lambda: self._table.delete(Key=key), self._sleep)

    def forget_moderator(self, channel_id: str, user_id: str) -> None:
        """Four Queries of the channel's bans and reports: a read unit for each 4 KB.

        An UpdateItem (1 write unit for each KB) for each of the user's.

        Open reports are read before closed ones, so that one that is closed meanwhile is found in one of the two.
        """
        ranges = (
            (keys.BANS, "by", "reason"),
            (keys.report_sk("", is_open=True), "reporter", "text"),
            (keys.report_sk("", is_open=False), "reporter", "text"),
            (keys.report_sk("", is_open=False), "closed_by", "resolution"),
        )
        for start, name, text in ranges:
            found = self._table.query(**key_range(channel_id, start, f"{start}\U0010ffff"))
            for item in [each for each in found if each.get(name) == items.s(user_id)]:
                self._forget_in({"pk": item["pk"], "sk": item["sk"]}, name, text, user_id)

    def _forget_in(self, key: dict[str, Any], name: str, text: str, user_id: str) -> None:
        self._rewrite(
            Key=key,
            UpdateExpression="SET #name = :erased REMOVE #text",
            ConditionExpression="#name = :user",
            ExpressionAttributeNames={"#name": name, "#text": text},
            ExpressionAttributeValues=items.values({":erased": ERASED, ":user": user_id}),
        )

    def forget_reactions(self, channel_id: str, user_id: str) -> None:
        """One Query of all reactions in the channel that messages do not show: a read unit for each 40 or so.

        A DeleteItem (1 write unit) for each of the user's.
        """
        found = self._table.query(
            ConsistentRead=True,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
            ExpressionAttributeValues=items.values(
                {":pk": keys.channel_pk(channel_id), ":sk": keys.REACTIONS}
            ),
            ProjectionExpression="pk, sk",
        )
        # No user id contains the separator; an emoji may.
        for item in [each for each in found if each["sk"]["S"].rpartition("#")[2] == user_id]:
            key = {"pk": item["pk"], "sk": item["sk"]}
            retry_conflicts(lambda key=key: self._table.delete(Key=key), self._sleep)  # type: ignore[misc]

    def sweep(
        self, kind: Expiring, head: Head, first: int, last: int, now: int, *, dry_run: bool = False
    ) -> int:
        """One Query: a read unit for each 4 KB in the range. A write unit for each KB of each item that is deleted.

        A BatchWriteItem for each 25.
        """
        boundary = head.boundary
        last = min(last, boundary.rev if kind is Expiring.CHANGES else boundary.seq)
        if first > last:
            return 0
        asked = key_range(head.channel_id, *_sort_keys(kind, first, last))
        asked["ExpressionAttributeValues"] |= items.values({":now": now // 1000})
        asked["FilterExpression"] = "(attribute_not_exists(expires) OR expires > :now)"
        if kind is Expiring.CHANGES:
            asked["ExpressionAttributeNames"] = {"#seq": "seq"}
            asked["ExpressionAttributeValues"] |= items.values({":seq": boundary.seq})
            asked["FilterExpression"] += " AND #seq <= :seq"
        found = self._table.query(ProjectionExpression="pk, sk", **asked)
        if dry_run:
            return sum(1 for _ in found)
        count = 0
        while part := list(islice(found, MAX_BATCH_WRITES)):
            retry_conflicts(lambda part=part: self._table.batch_delete(part), self._sleep)  # type: ignore[misc]
            count += len(part)
        return count

    def _rewrite(self, **update: Any) -> bool:  # noqa: ANN401 - passed on to UpdateItem as it is
        try:
            retry_conflicts(lambda: self._table.update(**update), self._sleep)
        except ConditionFailedError:
            return False
        return True

    def count_erasure(self, channel_id: str, user_id: str) -> Head | None:
        """One UpdateItem: 1 write unit; a second one if the user created the channel."""
        one = {":one": items.n(1)}
        head = self._change_head(channel_id, "ADD erasures :one", "attribute_exists(pk)", one)
        if head is None or head.creator != user_id:
            return head
        values = {":erased": items.s(ERASED), ":user": items.s(user_id)}
        return self._change_head(channel_id, "SET creator = :erased", "creator = :user", values)


def _sort_keys(kind: Expiring, first: int, last: int) -> tuple[str, str]:
    """The first and the last sort key of a range."""
    if kind is Expiring.REACTIONS:
        return keys.reactions_range(first, last)
    made = {
        Expiring.ENTRIES: keys.entry_sk,
        Expiring.CHANGES: keys.change_sk,
        Expiring.GAPS: keys.gap_sk,
    }[kind]
    return made(first), made(last)


def _stored_body(channel_id: str, change: Change) -> bytes | None:
    return None if change.body is None else items.stored_body(channel_id, change)
