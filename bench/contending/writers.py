"""One writer: posts in a closed loop, with an idempotency key each, through Budgie's function or by its bare calls."""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, Protocol

from bench.contending.caller import Caller
from bench.contending.shift import BUDGIE, Shift, Tally
from bench.contending.tolled import TolledClient
from functions.post_message.handler import app
from shared.messages import Draft, encode, request_hash
from shared.model import RECEIPT_SECONDS, Entry, Receipt
from shared.services import Services
from shared.store import items

RETRY_SECONDS: Final = 1.0
"""What ``Retry-After`` says with each 503 of ours."""
MAX_TRIES: Final = 20
"""Times a client sends a post that is answered 503."""
FILLER: Final = (
    "so that the message has the length of an ordinary one, which is about two hundred characters. " * 2
)


class Poster(Protocol):
    """Posts a text under a key."""

    def post(self, text: str, key: str) -> int | None:
        """The position; None where nobody knows what came of it."""


class BudgiePoster:
    """Through the function's handler, again after a second where it is answered 503."""

    def __init__(self, services: Services, shift: Shift, tally: Tally) -> None:
        self._caller = Caller(app, services, shift, tally)

    def post(self, text: str, key: str) -> int | None:
        """See ``Poster``."""
        for _ in range(MAX_TRIES):
            answer = self._caller.call("POST", HTTPStatus.CREATED, body={"text": text}, key=key)
            if answer:
                return int(answer.body["seq"])
            time.sleep(RETRY_SECONDS)
        return None


class EnginePoster:
    """What a post asks of DynamoDB, and nothing else: look, take a number, commit, with the same items and conditions.

    ``tests/bench/test_contention.py`` holds its calls against Budgie's.
    """

    def __init__(self, client: TolledClient, table: str, shift: Shift) -> None:
        self._client = client
        self._table = table
        self._channel = shift.channel
        self._user = shift.user
        self._tat = 0

    def post(self, text: str, key: str) -> int | None:
        """See ``Poster``."""
        now = time.time_ns() // 1_000_000
        self._look(key)
        head = self._take(text, now)
        seq, messages = int(head["seq"]["N"]), int(head["messages"]["N"])
        body = encode(self._channel, seq, self._user, now, Draft(text))
        self._commit(Entry(seq, messages, now, body), text, key)
        return seq

    def _look(self, key: str) -> None:
        wanted = [
            items.head_key(self._channel),
            items.membership_key(self._channel, self._user),
            items.receipt_key(self._channel, self._user, key),
        ]
        self._client.call(
            "BatchGetItem",
            {
                "RequestItems": {self._table: {"Keys": wanted, "ConsistentRead": True}},
                "ReturnConsumedCapacity": "TOTAL",
            },
        )

    def _take(self, text: str, now: int) -> dict[str, Any]:
        answer = self._client.call(
            "UpdateItem",
            {
                "TableName": self._table,
                "Key": items.head_key(self._channel),
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
            },
        )
        taken: dict[str, Any] = answer["Attributes"]
        return taken

    def _commit(self, entry: Entry, text: str, key: str) -> None:
        seen, self._tat = self._tat, max(self._tat + 1, entry.at)
        receipt = Receipt(key, request_hash(text), entry.seq, 1, entry.at // 1000 + RECEIPT_SECONDS)
        self._client.call(
            "TransactWriteItems",
            {
                "TransactItems": [
                    self._write("Put", Item=items.entry_item(self._channel, entry)),
                    self._write(
                        "Update",
                        Key=items.membership_key(self._channel, self._user),
                        UpdateExpression=(
                            "SET tat = :tat, read_seq = :seq, read_messages = :messages, read_voids = :voids"
                        ),
                        ConditionExpression="attribute_exists(pk) AND tat = :seen AND read_seq < :seq",
                        ExpressionAttributeValues={
                            ":tat": items.n(self._tat),
                            ":seen": items.n(seen),
                            ":seq": items.n(entry.seq),
                            ":messages": items.n(entry.messages),
                            ":voids": items.n(0),
                        },
                    ),
                    self._write(
                        "Put",
                        Item=items.receipt_item(self._channel, self._user, receipt),
                        ConditionExpression="attribute_not_exists(pk) OR expires < :now",
                        ExpressionAttributeValues={":now": items.n(entry.at // 1000)},
                    ),
                ],
                "ReturnConsumedCapacity": "TOTAL",
            },
        )

    def _write(self, kind: str, **rest: Any) -> dict[str, Any]:  # noqa: ANN401 - members of a write
        common = {"TableName": self._table, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        return {kind: {"ConditionExpression": "attribute_not_exists(pk)"} | common | rest}


def write(poster: Poster, shift: Shift, tally: Tally, clock: Callable[[], float] = time.monotonic) -> None:
    """Posts until the shift ends; a post that was begun is seen through."""
    number = 0
    while (began := clock()) < shift.ends:
        text = f"{shift.user} {number}: {FILLER}"
        seq = poster.post(text, f"{shift.seed}-{number}")
        ended = clock()
        if seq is None:
            tally.unknown.append(text)
        else:
            tally.acknowledged[seq] = text
            if shift.in_window(ended):
                tally.milliseconds.append((ended - began) * 1000)
        number += 1


def poster(shift: Shift, services: Services, client: TolledClient, tally: Tally) -> Poster:
    """The poster of a shift's side."""
    if shift.side == BUDGIE:
        return BudgiePoster(services, shift, tally)
    return EnginePoster(client, services.settings.table_name, shift)
