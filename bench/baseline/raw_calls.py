"""What posting, polling and listing ask of DynamoDB, and nothing else: their floor, and an engine's own limit.

The same operations with the same keys, items, conditions and expressions as Budgie's (a test holds them to that),
written out once more, so that the floor does not run through the code that is held against it.
"""

from __future__ import annotations

import time
from typing import Any

from shared.aws.protocol import AwsClient
from shared.domain import keys
from shared.domain.messages import Draft, encode, request_hash
from shared.domain.model import IDEMPOTENCY_SECONDS, Entry, IdempotencyRecord
from shared.storage import items

LIMIT = 100
"""Positions of a poll."""


class RawCalls:
    """One user's calls in one channel, one at a time.

    Args:
        client: of DynamoDB.
        table: the table's name.
        channel: where the user is a member.
        user: who posts, and nobody else as this user.
    """

    def __init__(self, client: AwsClient, table: str, channel: str, user: str) -> None:
        self._client, self._table, self._channel, self._user = client, table, channel, user
        self._keys = [items.head_key(channel), items.membership_key(channel, user)]
        self._tat = 0

    def post(self, text: str, key: str | None = None) -> int:
        """Reads, reserves a position, commits; with an idempotency key one item more to read and to write."""
        now = time.time_ns() // 1_000_000
        self._get(
            [*self._keys, *([items.idempotency_record_key(self._channel, self._user, key)] if key else [])]
        )
        head = self._reserve(text, now)
        seq, messages = int(head["seq"]["N"]), int(head["messages"]["N"])
        body = encode(self._channel, seq, self._user, now, Draft(text))
        self._commit(Entry(seq, messages, now, body), text, key)
        return seq

    def poll(self, after: int) -> int:
        """Reads what comes after a position; the last one before the first hole."""
        self._get(self._keys)
        between = {
            ":first": items.s(keys.entry_sk(after + 1)),
            ":last": items.s(keys.entry_sk(after + LIMIT)),
        }
        pk = {":pk": items.s(keys.channel_pk(self._channel))}
        found = self._query("pk = :pk AND sk BETWEEN :first AND :last", pk | between)
        seqs = {keys.seq_of(item["sk"]["S"]) for item in found}
        return next(seq for seq in range(after + 1, after + LIMIT + 2) if seq not in seqs) - 1

    def list(self) -> int:
        """Reads the user's memberships, then the heads of their channels; how many these are (100 at most)."""
        found = self._query("pk = :pk", {":pk": items.membership_key("", self._user)["pk"]})
        response = self._get([items.head_key(item["ch"]["S"]) for item in found])
        return len(response["Responses"][self._table])

    def _get(self, wanted: Any) -> Any:  # noqa: ANN401 - keys, and an answer
        asked = {self._table: {"Keys": wanted, "ConsistentRead": True}}
        return self._client.call("BatchGetItem", {"RequestItems": asked, "ReturnConsumedCapacity": "TOTAL"})

    def _query(self, condition: str, values: dict[str, Any]) -> Any:  # noqa: ANN401 - items
        query = {
            "TableName": self._table,
            "ConsistentRead": True,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": values,
            "ReturnConsumedCapacity": "TOTAL",
        }
        return self._client.call("Query", query)["Items"]

    def _reserve(self, text: str, now: int) -> dict[str, Any]:
        update = {
            "TableName": self._table,
            "Key": self._keys[0],
            "UpdateExpression": (
                "SET #seq = #seq + :count, #messages = #messages + :count,"
                " lq = #seq + :count, lu = :sender, lt = :text, lc = :at"
            ),
            "ConditionExpression": "attribute_exists(pk) AND attribute_not_exists(archived_at)",
            "ExpressionAttributeNames": {"#seq": "seq", "#messages": "messages"},
            "ExpressionAttributeValues": {
                ":count": items.n(1),
                ":sender": items.s(self._user),
                ":text": items.s(text[:100]),
                ":at": items.n(now),
            },
            "ReturnValues": "ALL_NEW",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            "ReturnConsumedCapacity": "TOTAL",
        }
        reserved: dict[str, Any] = self._client.call("UpdateItem", update)["Attributes"]
        return reserved

    def _commit(self, entry: Entry, text: str, key: str | None) -> None:
        seen, self._tat = self._tat, max(self._tat + 1, entry.at)
        moved = {":tat": items.n(self._tat), ":seen": items.n(seen)}
        moved |= {":seq": items.n(entry.seq), ":messages": items.n(entry.messages), ":voids": items.n(0)}
        writes = [
            self._write("Put", Item=items.entry_item(self._channel, entry)),
            self._write(
                "Update",
                Key=self._keys[1],
                UpdateExpression=(
                    "SET tat = :tat, read_seq = :seq, read_messages = :messages, read_voids = :voids"
                ),
                ConditionExpression="attribute_exists(pk) AND tat = :seen AND read_seq < :seq",
                ExpressionAttributeValues=moved,
            ),
        ]
        if key:
            idempotency_record = IdempotencyRecord(
                key, request_hash(text), entry.seq, 1, entry.at // 1000 + IDEMPOTENCY_SECONDS
            )
            writes.append(
                self._write(
                    "Put",
                    Item=items.idempotency_record_item(self._channel, self._user, idempotency_record),
                    ConditionExpression="attribute_not_exists(pk) OR expires < :now",
                    ExpressionAttributeValues={":now": items.n(entry.at // 1000)},
                )
            )
        commit = {"TransactItems": writes, "ReturnConsumedCapacity": "TOTAL"}
        self._client.call("TransactWriteItems", commit)

    def _write(self, kind: str, **rest: Any) -> dict[str, Any]:  # noqa: ANN401 - members of a write
        common = {"TableName": self._table, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        return {kind: {"ConditionExpression": "attribute_not_exists(pk)"} | common | rest}
