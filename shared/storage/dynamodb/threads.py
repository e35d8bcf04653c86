"""The threads that users follow, on DynamoDB."""

from __future__ import annotations

from shared.domain import keys
from shared.domain.model import Follow
from shared.storage import items
from shared.storage.dynamodb.conflicts import retry_conflicts
from shared.storage.dynamodb.log import follow_write, move_position
from shared.storage.dynamodb.table import OnTable


class DynamoDBThreads(OnTable):
    """See ``shared.storage.protocol.Threads``."""

    def follow(self, follow: Follow) -> Follow:
        """One UpdateItem: 1 write unit."""
        update = follow_write(follow)["Update"]
        return items.follow_of(retry_conflicts(lambda: self._table.update(**update), self._sleep))

    def unfollow(self, log_id: str, user_id: str) -> None:
        """One DeleteItem: 1 write unit."""
        key = items.follow_key(log_id, user_id)
        retry_conflicts(lambda: self._table.delete(Key=key), self._sleep)

    def follows(self, user_id: str) -> list[Follow]:
        """One Query: about a read unit for each 30 threads."""
        found = self._table.query(
            ConsistentRead=True,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=items.values({":pk": keys.follows_pk(user_id)}),
        )
        return [items.follow_of(item) for item in found]

    def move_thread_position(
        self, log_id: str, user_id: str, seq: int, messages: int, *, force: bool, voids: int = 0
    ) -> Follow | None:
        """One UpdateItem: 1 write unit."""
        key = items.follow_key(log_id, user_id)
        item = move_position(self._table, self._sleep, key, (seq, messages, voids), force=force)
        return items.follow_of(item) if item else None
