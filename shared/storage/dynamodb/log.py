"""The channel's log on DynamoDB."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from shared.aws.protocol import THROTTLES
from shared.domain import keys
from shared.domain.errors import ContentionError, StoreThrottledError
from shared.domain.model import MAX_BATCH, ChannelState, Entry, Head, Preview
from shared.observability.meter import meter
from shared.storage import items
from shared.storage.dynamodb.conflicts import retry_conflicts, transact
from shared.storage.dynamodb.table import (
    ConditionFailedError,
    OnTable,
    TransactionCanceledError,
    TransactionConflictError,
)
from shared.storage.protocol import (
    Commit,
    Committed,
    Contended,
    KeyUsed,
    MembershipChanged,
    Outcome,
    PositionTaken,
    Reservation,
)

_RESERVE = (
    "SET #seq = #seq + :count, #messages = #messages + :count,"
    " lq = #seq + :count, lu = :sender, lt = :text, lc = :at"
)


class DynamoDBLog(OnTable):
    """See ``shared.storage.protocol.Log``."""

    def read_channel_state(self, channel_id: str, user_id: str, key: str | None = None) -> ChannelState:
        """One BatchGetItem: 2 read units, 3 with a key."""
        found = self._table.batch_get(items.channel_state_keys(channel_id, user_id, key))
        return items.channel_state_of(found, channel_id, user_id, key)

    def head(self, channel_id: str) -> Head | None:
        """One GetItem: 1 read unit."""
        item = self._table.get(items.head_key(channel_id))
        return items.head_of(item) if item else None

    def reserve(self, channel_id: str, count: int, preview: Preview) -> Reservation | Head | None:
        """One UpdateItem: 1 write unit. Posts never conflict here: DynamoDB serialises updates of one item."""
        try:
            item = retry_conflicts(lambda: self._reserve(channel_id, count, preview), self._sleep)
        except ConditionFailedError as error:
            return items.head_of(error.item) if error.item else None
        return items.reservation_of(item, count)

    def _reserve(self, channel_id: str, count: int, preview: Preview) -> dict[str, Any]:
        return self._table.update(
            Key=items.head_key(channel_id),
            UpdateExpression=_RESERVE,
            ConditionExpression="attribute_exists(pk) AND attribute_not_exists(archived_at)",
            ExpressionAttributeNames={"#seq": "seq", "#messages": "messages"},
            ExpressionAttributeValues=items.values(
                {":count": count, ":sender": preview.sender, ":text": preview.text, ":at": preview.created_at}
            ),
        )

    def commit(self, commit: Commit) -> Outcome:
        """One transaction: 4 write units for one message of up to 1 KB, 6 with an idempotency record."""
        writes = [_put_entry(commit.channel_id, entry) for entry in commit.entries]
        writes.append(_update_membership(commit))
        if commit.idempotency_record:
            writes.append(_put_idempotency_record(commit))
        try:
            self._table.transact(*writes)
        except TransactionCanceledError as error:
            return _outcome(commit, error.reasons)
        except TransactionConflictError:
            meter().conflicts += 1
            return Contended()
        return Committed()

    def void(self, channel_id: str, voids: Sequence[Entry]) -> list[Entry]:
        """One transaction for each 25: 4 write units for each void, and 2 for the head, also if it is refused.

        A refused transaction is repeated without the positions that have an entry already.
        """
        standing: dict[int, Entry] = {}
        left = list(voids)
        while left:
            part = left[:MAX_BATCH]
            writes = _settling(channel_id, part)
            failed = transact(self._table, self._sleep, *writes, refusal=StoreThrottledError)
            if failed is None:
                meter().voids += sum(each.body is None for each in part)
                standing |= {each.seq: each for each in part}
            else:
                there = {
                    each.seq: items.entry_of(item) for each, item in zip(part, failed, strict=False) if item
                }
                if not there:
                    raise ContentionError(retry_after=1)
                standing |= there
            left = [each for each in left if each.seq not in standing]
        return [standing[each.seq] for each in voids]

    def trim_gaps(self, channel_id: str, gaps: Sequence[int], gaps_from: int) -> None:
        """One UpdateItem: 1 write unit."""
        with suppress(ConditionFailedError):
            retry_conflicts(
                lambda: self._table.update(
                    Key=items.head_key(channel_id),
                    UpdateExpression="SET gf = :from DELETE gs :gaps",
                    ConditionExpression=(
                        "attribute_exists(pk) AND (attribute_not_exists(gf) OR gf <= :from)"
                    ),
                    ExpressionAttributeValues=items.values({":from": gaps_from, ":gaps": gaps}),
                ),
                self._sleep,
            )

    def count_gaps(self, channel_id: str, after: int) -> int:
        """One Query that only counts: a read unit for about 100 gaps."""
        return self._table.count(
            None, **_range(channel_id, keys.gap_sk(after + 1), keys.gap_sk(keys.MAX_SEQ))
        )

    def standing(self, positions: Sequence[tuple[str, int]]) -> dict[tuple[str, int], bool]:
        """BatchGetItem, a call for each 100: half a read unit for each 4 KB of each entry, found or not."""
        wanted = [items.entry_key(channel_id, seq) for channel_id, seq in dict.fromkeys(positions)]
        found = self._table.batch_get(wanted, consistent=False)
        return {
            (keys.channel_of(item["pk"]["S"]), keys.seq_of(item["sk"]["S"])): "body" in item for item in found
        }

    def correct_preview(self, channel_id: str, seq: int, preview: Preview | None, erasures: int) -> bool:
        """One UpdateItem: 1 write unit, also if the condition fails."""
        values: dict[str, str | int] = {":seq": seq}
        condition = "lq = :seq"
        if not seq:
            condition, values = "attribute_exists(pk) AND attribute_not_exists(lq)", {}
        if erasures:
            condition, values = (
                condition + " AND erasures = :erasures",
                values | {":erasures": erasures},
            )
        else:
            condition += " AND attribute_not_exists(erasures)"
        change = "REMOVE lq, lu, lt, lc"
        if preview:
            change = "SET lq = :lq, lu = :sender, lt = :text, lc = :at"
            values |= {":lq": preview.seq, ":sender": preview.sender}
            values |= {":text": preview.text, ":at": preview.created_at}
        try:
            retry_conflicts(
                lambda: self._table.update(
                    Key=items.head_key(channel_id),
                    UpdateExpression=change,
                    ConditionExpression=condition,
                    ExpressionAttributeValues=items.values(values),
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
        return self._entries(channel_id, first, last)

    def latest_entries(self, channel_id: str, up_to: int, limit: int) -> list[Entry]:
        """One Query backwards: a read unit for each 4 KB of entries."""
        return self._entries(channel_id, 0, up_to, limit=limit, ScanIndexForward=False)

    def entry_after(self, channel_id: str, seq: int) -> Entry | None:
        """One Query of one entry."""
        found = self._entries(channel_id, min(seq + 1, keys.MAX_SEQ), keys.MAX_SEQ, limit=1)
        return found[0] if found else None

    def _entries(self, channel_id: str, first: int, last: int, **arguments: Any) -> list[Entry]:  # noqa: ANN401 - passed on to Query
        found = self._table.query(
            **_range(channel_id, keys.entry_sk(first), keys.entry_sk(last)), **arguments
        )
        return items.entries_of(list(found))


def _range(channel_id: str, first: str, last: str) -> dict[str, Any]:
    return {
        "ConsistentRead": True,
        "KeyConditionExpression": "pk = :pk AND sk BETWEEN :first AND :last",
        "ExpressionAttributeValues": items.values(
            {":pk": keys.channel_pk(channel_id), ":first": first, ":last": last}
        ),
    }


def _settling(channel_id: str, entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """The writes that settle holes. The entries come first, so that a refusal's reasons are in the same order."""
    voids = [entry.seq for entry in entries if entry.body is None]
    writes = [_put_entry(channel_id, entry) for entry in entries]
    if voids:
        writes.append(_count_gaps(channel_id, voids))
    return writes + [{"Put": {"Item": items.gap_item(channel_id, seq)}} for seq in voids]


def _count_gaps(channel_id: str, gaps: Sequence[int]) -> dict[str, Any]:
    return {
        "Update": {
            "Key": items.head_key(channel_id),
            "UpdateExpression": "ADD gn :count, gs :gaps",
            "ConditionExpression": "attribute_exists(pk)",
            "ExpressionAttributeValues": items.values({":count": len(gaps), ":gaps": gaps}),
        }
    }


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
    values = {":tat": commit.tat, ":seen": commit.tat_seen}
    if commit.move_read:
        change += ", read_seq = :seq, read_messages = :messages, read_voids = :voids"
        condition += " AND read_seq < :seq"
        values |= {":seq": last.seq, ":messages": last.messages, ":voids": commit.voids}
    return {
        "Update": {
            "Key": items.membership_key(commit.channel_id, commit.user_id),
            "UpdateExpression": change,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": items.values(values),
        }
    }


def _put_idempotency_record(commit: Commit) -> dict[str, Any]:
    assert commit.idempotency_record is not None  # noqa: S101 - the caller has checked
    return {
        "Put": {
            "Item": items.idempotency_record_item(
                commit.channel_id, commit.user_id, commit.idempotency_record
            ),
            # DynamoDB deletes expired items late; until then they count as deleted.
            "ConditionExpression": "attribute_not_exists(pk) OR expires < :now",
            "ExpressionAttributeValues": items.values({":now": commit.now // 1000}),
        }
    }


def _outcome(commit: Commit, reasons: Sequence[dict[str, Any]]) -> Outcome:
    """What a refused transaction means; of several reasons, the most decisive one."""
    count = len(commit.entries)
    codes = [reason.get("Code", "None") for reason in reasons]
    failed = [code == "ConditionalCheckFailed" for code in codes]
    if commit.idempotency_record and failed[count + 1]:
        return KeyUsed(items.idempotency_record_of(reasons[count + 1]["Item"], commit.idempotency_record.key))
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
