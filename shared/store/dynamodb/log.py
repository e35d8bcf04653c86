"""The channel's log on DynamoDB."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from shared import keys
from shared.aws.client import THROTTLES
from shared.errors import ContentionError, StoreThrottledError
from shared.meter import meter
from shared.model import Entry, Head, Look, Preview
from shared.store import items
from shared.store.backoff import backoff
from shared.store.dynamodb.table import (
    ConditionFailedError,
    TransactionCanceledError,
    TransactionConflictError,
)
from shared.store.interface import (
    Commit,
    Committed,
    Contended,
    KeyUsed,
    MembershipChanged,
    Outcome,
    PositionTaken,
    Taken,
)

if TYPE_CHECKING:
    from shared.store.dynamodb.table import Table

T = TypeVar("T")
CONFLICT_TRIES: Final = 8
"""Times a write is tried that met a transaction on its item (about 0.5 s in all)."""

_TAKE = (
    "SET #seq = #seq + :count, #messages = #messages + :count,"
    " lq = #seq + :count, lu = :sender, lt = :text, lc = :at"
)


class DynamoDBLog:
    """See ``shared.store.interface.Log``."""

    def __init__(self, table: Table, sleep: Callable[[float], None] = time.sleep) -> None:
        self._table = table
        self._sleep = sleep

    def look(self, channel_id: str, user_id: str, key: str | None = None) -> Look:
        """One BatchGetItem: 2 read units, 3 with a key."""
        wanted = [items.head_key(channel_id), items.membership_key(channel_id, user_id)]
        if key is not None:
            wanted.append(items.receipt_key(channel_id, user_id, key))
        found = {(item["pk"]["S"], item["sk"]["S"]): item for item in self._table.batch_get(wanted)}
        head, membership, *receipt = (found.get((key["pk"]["S"], key["sk"]["S"])) for key in wanted)
        return Look(
            items.head_of(head) if head else None,
            items.membership_of(membership) if membership else None,
            items.receipt_of(receipt[0], key) if receipt and receipt[0] and key is not None else None,
        )

    def head(self, channel_id: str) -> Head | None:
        """One GetItem: 1 read unit."""
        item = self._table.get(items.head_key(channel_id))
        return items.head_of(item) if item else None

    def take(self, channel_id: str, count: int, preview: Preview) -> Taken | Head | None:
        """One UpdateItem: 1 write unit. It never conflicts with another post: DynamoDB serialises it."""
        try:
            item = retry_conflicts(lambda: self._take(channel_id, count, preview), self._sleep)
        except ConditionFailedError as error:
            return items.head_of(error.item) if error.item else None
        head = items.head_of(item)
        return Taken(head.seq, head.messages, count)

    def _take(self, channel_id: str, count: int, preview: Preview) -> dict[str, Any]:
        return self._table.update(
            Key=items.head_key(channel_id),
            UpdateExpression=_TAKE,
            ConditionExpression="attribute_exists(pk) AND attribute_not_exists(archived_at)",
            ExpressionAttributeNames={"#seq": "seq", "#messages": "messages"},
            ExpressionAttributeValues={
                ":count": items.n(count),
                ":sender": items.s(preview.sender),
                ":text": items.s(preview.text),
                ":at": items.n(preview.created_at),
            },
        )

    def commit(self, commit: Commit) -> Outcome:
        """One transaction: for one message of up to 1 KB 4 write units, 6 with a receipt."""
        writes = [_put_entry(commit.channel_id, entry) for entry in commit.entries]
        writes.append(_update_membership(commit))
        if commit.receipt:
            writes.append(_put_receipt(commit))
        try:
            self._table.transact(*writes)
        except TransactionCanceledError as error:
            return _outcome(commit, error.reasons)
        except TransactionConflictError:
            meter().conflicts += 1
            return Contended()
        return Committed()

    def void(self, channel_id: str, entry: Entry) -> Entry:
        """One PutItem: 1 write unit."""
        try:
            retry_conflicts(
                lambda: self._table.put(
                    Item=items.entry_item(channel_id, entry),
                    ConditionExpression="attribute_not_exists(pk)",
                ),
                self._sleep,
            )
        except ConditionFailedError as error:
            if error.item is None:  # an engine that does not return what stands there
                return self.entries(channel_id, entry.seq, entry.seq)[0]
            return items.entry_of(error.item)
        meter().voids += 1
        return entry

    def correct_preview(self, channel_id: str, seq: int, preview: Preview | None, erasures: int) -> bool:
        """One UpdateItem: 1 write unit, also where the preview has moved on."""
        condition, values = "lq = :seq", {":seq": items.n(seq)}
        if not seq:
            condition, values = "attribute_exists(pk) AND attribute_not_exists(lq)", {}
        if erasures:
            condition, values = (
                condition + " AND erasures = :erasures",
                values | {":erasures": items.n(erasures)},
            )
        else:
            condition += " AND attribute_not_exists(erasures)"
        change = "REMOVE lq, lu, lt, lc"
        if preview:
            change = "SET lq = :lq, lu = :sender, lt = :text, lc = :at"
            values |= {":lq": items.n(preview.seq), ":sender": items.s(preview.sender)}
            values |= {":text": items.s(preview.text), ":at": items.n(preview.created_at)}
        try:
            retry_conflicts(
                lambda: self._table.update(
                    Key=items.head_key(channel_id),
                    UpdateExpression=change,
                    ConditionExpression=condition,
                    ExpressionAttributeValues=values,
                ),
                self._sleep,
            )
        except ConditionFailedError:
            return False
        return True

    def entries(self, channel_id: str, first: int, last: int) -> list[Entry]:
        """One Query, or one GetItem for one entry: a read unit for each 4 KB of entries."""
        if first == last:
            item = self._table.get(items.entry_key(channel_id, first))
            return [items.entry_of(item)] if item else []
        return self._range(channel_id, first, last)

    def latest_entries(self, channel_id: str, up_to: int, limit: int) -> list[Entry]:
        """One Query backwards: a read unit for each 4 KB of entries."""
        return self._range(channel_id, 0, up_to, limit=limit, ScanIndexForward=False)

    def entry_after(self, channel_id: str, seq: int) -> Entry | None:
        """One Query of one entry."""
        found = self._range(channel_id, min(seq + 1, keys.MAX_SEQ), keys.MAX_SEQ, limit=1)
        return found[0] if found else None

    def _range(self, channel_id: str, first: int, last: int, **arguments: Any) -> list[Entry]:  # noqa: ANN401 - passed on to Query
        found = self._table.query(
            ConsistentRead=True,
            KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
            ExpressionAttributeValues={
                ":pk": items.s(keys.channel_pk(channel_id)),
                ":first": items.s(keys.entry_sk(first)),
                ":last": items.s(keys.entry_sk(last)),
            },
            **arguments,
        )
        return [items.entry_of(item) for item in found]


def retry_conflicts(call: Callable[[], T], sleep: Callable[[float], None]) -> T:
    """Repeats a write that met a transaction on its item; any other outcome passes through.

    Raises:
        ContentionError: it met one every time.
    """
    for attempt in range(CONFLICT_TRIES):
        if attempt:
            sleep(backoff(attempt - 1))
        try:
            return call()
        except TransactionConflictError:
            meter().conflicts += 1
    raise ContentionError(retry_after=1)


def _put_entry(channel_id: str, entry: Entry) -> dict[str, Any]:
    return {
        "Put": {
            "Item": items.entry_item(channel_id, entry),
            "ConditionExpression": "attribute_not_exists(pk)",
        }
    }


def _update_membership(commit: Commit) -> dict[str, Any]:
    last = commit.entries[-1]
    change, condition = "SET tat = :tat", "attribute_exists(pk) AND tat = :seen"
    values = {":tat": items.n(commit.tat), ":seen": items.n(commit.tat_seen)}
    if commit.move_read:
        change += ", read_seq = :seq, read_messages = :messages"
        condition += " AND read_seq < :seq"
        values |= {":seq": items.n(last.seq), ":messages": items.n(last.messages)}
    return {
        "Update": {
            "Key": items.membership_key(commit.channel_id, commit.user_id),
            "UpdateExpression": change,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": values,
        }
    }


def _put_receipt(commit: Commit) -> dict[str, Any]:
    assert commit.receipt is not None  # noqa: S101 - the caller looked
    return {
        "Put": {
            "Item": items.receipt_item(commit.channel_id, commit.user_id, commit.receipt),
            # DynamoDB deletes expired items late; until then they are as good as gone.
            "ConditionExpression": "attribute_not_exists(pk) OR expires < :now",
            "ExpressionAttributeValues": {":now": items.n(commit.now // 1000)},
        }
    }


def _outcome(commit: Commit, reasons: Sequence[dict[str, Any]]) -> Outcome:
    """What a refused transaction means: the reason that settles most comes first."""
    count = len(commit.entries)
    codes = [reason.get("Code", "None") for reason in reasons]
    failed = [code == "ConditionalCheckFailed" for code in codes]
    if commit.receipt and failed[count + 1]:
        return KeyUsed(items.receipt_of(reasons[count + 1]["Item"], commit.receipt.key))
    if True in failed[:count]:
        return PositionTaken(items.entry_of(reasons[failed.index(True)]["Item"]))
    if failed[count]:
        item = reasons[count].get("Item")
        return MembershipChanged(items.membership_of(item) if item else None)
    if "TransactionConflict" in codes:
        meter().conflicts += 1
        return Contended()
    if THROTTLES.intersection(codes):
        raise StoreThrottledError(retry_after=1)
    raise StoreThrottledError(
        f"The storage refused the write ({', '.join(sorted(set(codes)))}).", retry_after=1
    )
