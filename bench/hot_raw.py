"""The raw DynamoDB calls that posting and listing make, on a plain botocore client: their floor in ``bench.hot_path``.

The requests are written out here once more, so that the floor does not run through the code that it is held against.
"""

from __future__ import annotations

from itertools import count
from typing import Any, Final

from bench.conversations import STARTED_AT
from local.dynamodb import CREDENTIALS, REGION

TOPIC: Final = "What was the most interesting thing that you have read about birds lately?"


class Raw:
    """The calls, with items of the same sizes under keys of their own.

    Args:
        endpoint_url: where the engine answers.
        table: the table's name.
        listed: channels of the one user who has a list.
    """

    def __init__(self, endpoint_url: str, table: str, listed: int) -> None:
        import botocore.session  # noqa: PLC0415 - as little as one can have

        self._client: Any = botocore.session.get_session().create_client(
            "dynamodb",
            endpoint_url=endpoint_url,
            region_name=REGION,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        )
        self._table = table
        self._keys = count()
        self._tat = 0
        self._channels = [f"raw{number:013d}" for number in range(listed)]
        for channel in self._channels:
            self._put(_head(channel))
            self._put(_membership(channel))

    def post(self, *, keyed: bool) -> None:
        """Look, take a number, commit; with an idempotency key one item more to read and to write."""
        channel = self._channels[0]
        head, membership, key = _head_key(channel), _membership_key(channel), f"key-{next(self._keys):06d}"
        receipt = {"pk": head["pk"], "sk": {"S": f"I#raw#{key}"}}
        keys = [head, membership, receipt] if keyed else [head, membership]
        self._client.batch_get_item(RequestItems={self._table: {"Keys": keys, "ConsistentRead": True}})
        taken = self._client.update_item(
            TableName=self._table,
            Key=head,
            UpdateExpression="SET #s = #s + :one, #m = #m + :one, lq = #s + :one, lu = :user, lt = :text, lc = :at",
            ConditionExpression="attribute_exists(pk) AND attribute_not_exists(archived_at)",
            ExpressionAttributeNames={"#s": "seq", "#m": "messages"},
            ExpressionAttributeValues={
                ":one": {"N": "1"},
                ":user": {"S": "raw"},
                ":text": {"S": TOPIC},
                ":at": {"N": str(STARTED_AT)},
            },
            ReturnValues="ALL_NEW",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
        self._commit(channel, int(taken["Attributes"]["seq"]["N"]), receipt if keyed else None)

    def _commit(self, channel: str, seq: int, receipt: dict[str, Any] | None) -> None:
        entry: dict[str, Any] = {"pk": {"S": f"C#{channel}"}, "sk": {"S": f"E#{seq:012d}"}}
        entry |= {"n": {"N": str(seq)}, "at": {"N": str(STARTED_AT)}, "body": {"B": b"x" * 190}}
        writes: list[dict[str, Any]] = [
            {"Put": {"Item": entry, "ConditionExpression": "attribute_not_exists(pk)"}},
            {
                "Update": {
                    "Key": _membership_key(channel),
                    "UpdateExpression": "SET tat = :tat, read_seq = :seq, read_messages = :seq",
                    "ConditionExpression": "attribute_exists(pk) AND tat = :seen AND read_seq < :seq",
                    "ExpressionAttributeValues": {
                        ":tat": {"N": str(self._tat + 1)},
                        ":seen": {"N": str(self._tat)},
                        ":seq": {"N": str(seq)},
                    },
                }
            },
        ]
        if receipt:
            item = receipt | {"hash": {"B": b"x" * 16}, "seq": {"N": str(seq)}, "count": {"N": "1"}}
            item |= {"expires": {"N": str(STARTED_AT // 1000)}}
            writes.append({"Put": {"Item": item, "ConditionExpression": "attribute_not_exists(pk)"}})
        for write in writes:
            for each in write.values():
                each |= {"TableName": self._table, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        self._client.transact_write_items(TransactItems=writes)
        self._tat += 1

    def list(self) -> int:
        """The user's memberships, then the heads of their channels; how many these are."""
        found = self._client.query(
            TableName=self._table,
            ConsistentRead=True,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": "U#raw"}},
        )["Items"]
        keys = [_head_key(item["ch"]["S"]) for item in found]
        answer = self._client.batch_get_item(
            RequestItems={self._table: {"Keys": keys, "ConsistentRead": True}}
        )
        return len(answer["Responses"][self._table])

    def close(self) -> None:
        """Ends its connections."""
        self._client.close()

    def _put(self, item: dict[str, Any]) -> None:
        self._client.put_item(TableName=self._table, Item=item)


def _head_key(channel: str) -> dict[str, Any]:
    return {"pk": {"S": f"C#{channel}"}, "sk": {"S": "HEAD"}}


def _membership_key(channel: str) -> dict[str, Any]:
    return {"pk": {"S": "U#raw"}, "sk": {"S": f"C#{channel}"}}


def _head(channel: str) -> dict[str, Any]:
    numbers = {"version": 1, "members": 2, "owners": 1, "slow_mode": 0, "seq": 1, "messages": 1}
    numbers |= {"created_at": STARTED_AT, "lq": 1, "lc": STARTED_AT}
    texts = {"kind": "public", "name": channel, "topic": TOPIC, "creator": "raw", "lu": "raw", "lt": TOPIC}
    return _head_key(channel) | _item(texts, numbers)


def _membership(channel: str) -> dict[str, Any]:
    numbers = {"joined_at": STARTED_AT, "read_seq": 0, "read_messages": 0, "tat": 0}
    return _membership_key(channel) | _item({"ch": channel, "role": "owner"}, numbers)


def _item(texts: dict[str, str], numbers: dict[str, int]) -> dict[str, Any]:
    return {name: {"S": text} for name, text in texts.items()} | {
        name: {"N": str(number)} for name, number in numbers.items()
    }
