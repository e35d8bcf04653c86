"""Erasing users' data on DynamoDB: called by operators' tools only; no function has the permissions."""

from __future__ import annotations

from contextlib import suppress

from shared.domain import keys
from shared.domain.model import ERASED, Head, PastMembership
from shared.storage import items
from shared.storage.dynamodb.channels import HeadChanges, below_user
from shared.storage.dynamodb.conflicts import retry_conflicts
from shared.storage.dynamodb.table import ConditionFailedError


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

    def count_erasure(self, channel_id: str, user_id: str) -> Head | None:
        """One UpdateItem: 1 write unit; a second one if the user created the channel."""
        one = {":one": items.n(1)}
        head = self._change_head(channel_id, "ADD erasures :one", "attribute_exists(pk)", one)
        if head is None or head.creator != user_id:
            return head
        values = {":erased": items.s(ERASED), ":user": items.s(user_id)}
        return self._change_head(channel_id, "SET creator = :erased", "creator = :user", values)
