"""The channel's log on DynamoDB."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

from shared.aws.protocol import THROTTLES
from shared.domain import keys
from shared.domain.errors import ContentionError, StoreThrottledError
from shared.domain.model import (
    MAX_BATCH,
    NOTHING_EXPIRED,
    Boundary,
    ChannelState,
    Entry,
    Follow,
    Head,
    IdempotencyRecord,
    Preview,
)
from shared.observability.meter import meter
from shared.storage import items
from shared.storage.dynamodb.channels import MAY_WRITE
from shared.storage.dynamodb.conflicts import retry_conflicts, transact
from shared.storage.dynamodb.table import (
    ConditionFailedError,
    OnTable,
    Table,
    TransactionCanceledError,
    TransactionConflictError,
)
from shared.storage.protocol import (
    AlreadyFollowing,
    Commit,
    Committed,
    Contended,
    KeyUsed,
    MembershipChanged,
    MentionedLeft,
    Outcome,
    PositionTaken,
    Reservation,
)

_RESERVE_IN_THREAD = (
    "SET #seq = if_not_exists(#seq, :zero) + :count, #messages = if_not_exists(#messages, :zero) + :count,"
    " lq = if_not_exists(#seq, :zero) + :count, lu = :sender, lt = :text, lc = :at"
)
_RESERVE = (
    "SET #seq = #seq + :count, #messages = #messages + :count,"
    " lq = #seq + :count, lu = :sender, lt = :text, lc = :at"
)
_SET_READ = "read_seq = :seq, read_messages = :messages, read_voids = :voids"
_EVERYBODY = ", m3 = if_not_exists(m2, :zero), m2 = if_not_exists(m1, :zero), m1 = #seq + :count"


class DynamoDBLog(OnTable):
    """See ``shared.storage.protocol.Log``."""

    def read_channel_state(self, channel_id: str, user_id: str, key: str | None = None) -> ChannelState:
        """One BatchGetItem: 2 read units, 3 with a key; of a thread 5 and 6."""
        found = self._table.batch_get(items.channel_state_keys(channel_id, user_id, key))
        return items.channel_state_of(found, channel_id, user_id, key)

    def head(self, channel_id: str) -> Head | None:
        """One GetItem: 1 read unit."""
        item = self._table.get(items.head_key(channel_id))
        return items.head_of(item) if item else None

    def reserve(
        self, channel_id: str, count: int, preview: Preview, *, everybody: bool = False
    ) -> Reservation | Head | None:
        """One UpdateItem: 1 write unit. Posts never conflict here: DynamoDB serialises updates of one item."""
        change = _RESERVE + (_EVERYBODY if everybody else "")
        if keys.is_thread(channel_id):
            change = _RESERVE_IN_THREAD
        try:
            item = retry_conflicts(
                lambda: self._reserve(channel_id, count, preview, change),
                self._sleep,
            )
        except ConditionFailedError as error:
            return items.head_of(error.item) if error.item else None
        return items.reservation_of(item, count)

    def _reserve(self, channel_id: str, count: int, preview: Preview, change: str) -> dict[str, Any]:
        values: dict[str, str | int] = {":zero": 0} if ":zero" in change else {}
        values |= {
            ":count": count,
            ":sender": preview.sender,
            ":text": preview.text,
            ":at": preview.created_at,
        }
        condition = {"ConditionExpression": "attribute_exists(pk) AND attribute_not_exists(archived_at)"}
        return self._table.update(
            Key=items.head_key(channel_id),
            UpdateExpression=change,
            **({} if change is _RESERVE_IN_THREAD else condition),
            ExpressionAttributeNames={"#seq": "seq", "#messages": "messages"},
            ExpressionAttributeValues=items.values(values),
        )

    def commit(self, commit: Commit) -> Outcome:
        """One transaction: 4 write units for one message of up to 1 KB, 6 with an idempotency record.

        2 more for each user who is named or begins to follow the thread, and for a reply's copy in the channel.
        """
        writes = [_put_entry(commit.channel_id, entry) for entry in commit.entries]
        if commit.copy:
            writes.append(_put_entry(keys.channel_of_log(commit.channel_id), commit.copy.entry))
        writes.append(_update_membership(commit))
        if commit.idempotency_record:
            writes.append(
                put_idempotency_record(
                    commit.channel_id, commit.user_id, commit.idempotency_record, commit.now
                )
            )
        writes += [
            mention_mark_write(commit.channel_id, user, "ADD", marks)
            for user, marks in commit.mentions.items()
        ]
        if commit.follow:
            writes.append(_follow_at(commit))
        if commit.follower is not None and commit.follower not in commit.mentions:
            writes.append(follow_write(Follow(commit.follower, commit.channel_id)))
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

    def list_gaps(self, channel_id: str, gaps: Iterable[int]) -> None:
        """A PutItem for each: 1 write unit each."""
        for seq in gaps:
            self._table.put(Item=items.gap_item(channel_id, seq))

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

    def gaps(self, channel_id: str, after: int) -> frozenset[int]:
        """One Query: a read unit for about 100 gaps."""
        found = self._table.query(**key_range(channel_id, keys.gap_sk(after + 1), keys.gap_sk(keys.MAX_SEQ)))
        return frozenset(keys.seq_of(item["sk"]["S"]) for item in found)

    def standing(self, positions: Sequence[tuple[str, int]]) -> dict[tuple[str, int], bool]:
        """BatchGetItem, a call for each 100: half a read unit for each 4 KB of each entry, found or not."""
        wanted = [items.entry_key(channel_id, seq) for channel_id, seq in dict.fromkeys(positions)]
        found = self._table.batch_get(wanted, consistent=False)
        return {
            (keys.channel_of(item["pk"]["S"]), keys.seq_of(item["sk"]["S"])): "body" in item for item in found
        }

    def correct_preview(
        self, channel_id: str, seq: int, preview: Preview | None, erasures: int, rev: int = 0
    ) -> bool:
        """One UpdateItem: 1 write unit, also if the condition fails."""
        seen = {"lq": seq, "erasures": erasures, "rev": rev}
        # What is 0 has no attribute.
        values: dict[str, Any] = {f":{name}": number for name, number in seen.items() if number}
        condition = " AND ".join(
            f"{name} = :{name}" if number else f"attribute_not_exists({name})"
            for name, number in seen.items()
        )
        condition += " AND attribute_exists(pk)"
        change = "REMOVE lq, lu, lt, lc"
        if preview:
            change = "SET lq = :new, lu = :sender, lt = :text, lc = :at"
            values |= {":new": preview.seq, ":sender": preview.sender}
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

    def move_boundary(self, channel_id: str, seen: Boundary, boundary: Boundary) -> Boundary:
        """One UpdateItem: 1 write unit, also if the condition fails."""
        values = {":new": items.packed_boundary(boundary)}
        condition = "attribute_exists(pk) AND attribute_not_exists(x)"
        if seen != NOTHING_EXPIRED:
            condition, values[":seen"] = "x = :seen", items.packed_boundary(seen)
        try:
            item = retry_conflicts(
                lambda: self._table.update(
                    Key=items.head_key(channel_id),
                    UpdateExpression="SET x = :new",
                    ConditionExpression=condition,
                    ExpressionAttributeValues=items.values(values),
                ),
                self._sleep,
            )
        except ConditionFailedError:
            head = self.head(channel_id)  # Some engines do not return the existing item.
            return head.boundary if head else seen
        return items.head_of(item).boundary

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
            **key_range(channel_id, keys.entry_sk(first), keys.entry_sk(last)), **arguments
        )
        return items.entries_of(list(found))


def key_range(channel_id: str, first: str, last: str) -> dict[str, Any]:
    """The arguments of a strongly consistent Query of a channel's sort keys from ``first`` to ``last``."""
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
    last, copy = commit.entries[-1], commit.copy
    change, condition = "SET tat = :tat", f"attribute_exists(pk) AND tat = :seen AND {MAY_WRITE}"
    values = {":tat": commit.tat, ":seen": commit.tat_seen}
    if copy.move_read if copy else commit.move_read:
        last, voids = (copy.entry, copy.voids) if copy else (last, commit.voids)
        change += f", {_SET_READ}"
        condition += " AND read_seq < :seq"
        values |= {":seq": last.seq, ":messages": last.messages, ":voids": voids}
    return {
        "Update": {
            "Key": items.membership_key(commit.channel_id, commit.user_id),
            "UpdateExpression": change,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": items.values(values),
        }
    }


def put_idempotency_record(
    channel_id: str, user_id: str, record: IdempotencyRecord, now: int
) -> dict[str, Any]:
    """Keeps what a key was used for, on condition that it was not used, or that this is expired."""
    return {
        "Put": {
            "Item": items.idempotency_record_item(channel_id, user_id, record),
            # DynamoDB deletes expired items late; until then they count as deleted.
            "ConditionExpression": "attribute_not_exists(pk) OR expires < :now",
            "ExpressionAttributeValues": items.values({":now": now // 1000}),
        }
    }


def mention_mark_write(channel_id: str, user_id: str, action: str, marks: frozenset[int]) -> dict[str, Any]:
    """Adds (``ADD``) or removes (``DELETE``) marks of mentions, on condition that the user is a member.

    In a thread who is named follows it from then on; marks are removed on condition that the user follows it.
    """
    in_thread = keys.is_thread(channel_id)
    key = (items.follow_key if in_thread else items.membership_key)(channel_id, user_id)
    update = {
        "Key": key,
        "UpdateExpression": f"{action} mentions :marks",
        "ConditionExpression": "attribute_exists(pk)",
        "ExpressionAttributeValues": items.values({":marks": marks}),
    }
    if in_thread and action == "ADD":
        follow = follow_write(Follow(user_id, channel_id))["Update"]
        update["UpdateExpression"] = f"{follow['UpdateExpression']} ADD mentions :marks"
        update["ExpressionAttributeValues"] |= follow["ExpressionAttributeValues"]
        del update["ConditionExpression"]
    return {"Update": update}


def follow_write(follow: Follow) -> dict[str, Any]:
    """Follows a thread; who follows it already keeps their read position."""
    read = (follow.read_seq, follow.read_messages, follow.read_voids)
    return {
        "Update": {
            "Key": items.follow_key(follow.log_id, follow.user_id),
            "UpdateExpression": "SET "
            + ", ".join(f"{name} = if_not_exists({name}, :{name})" for name in items.READ_POSITION),
            "ExpressionAttributeValues": items.values(
                {f":{name}": value for name, value in zip(items.READ_POSITION, read, strict=True)}
            ),
        }
    }


def move_position(
    table: Table,
    sleep: Callable[[float], None],
    key: dict[str, Any],
    read: tuple[int, int, int],
    *,
    force: bool,
) -> items.Item | None:
    """Moves the read position in a membership or a follow: its item afterwards, None if there is none.

    ``read`` has the position, and how many messages and gaps there are up to it. Without ``force`` it never moves back.
    """
    values = dict(zip((":seq", ":messages", ":voids"), read, strict=True))
    try:
        return retry_conflicts(
            lambda: table.update(
                Key=key,
                UpdateExpression=f"SET {_SET_READ}",
                ConditionExpression="attribute_exists(pk)" + ("" if force else " AND read_seq <= :seq"),
                ExpressionAttributeValues=items.values(values),
            ),
            sleep,
        )
    except ConditionFailedError as error:
        return error.item


def _follow_at(commit: Commit) -> dict[str, Any]:
    """The sender follows the thread and has read up to the last entry, unless they have read further already."""
    last = commit.entries[-1]
    values = {":seq": last.seq, ":messages": last.messages, ":voids": commit.voids}
    return {
        "Update": {
            "Key": items.follow_key(commit.channel_id, commit.user_id),
            "UpdateExpression": f"SET {_SET_READ}",
            "ConditionExpression": "attribute_not_exists(read_seq) OR read_seq < :seq",
            "ExpressionAttributeValues": items.values(values),
        }
    }


def _outcome(commit: Commit, reasons: Sequence[dict[str, Any]]) -> Outcome:
    """What a refused transaction means; of several reasons, the most decisive one."""
    count = len(commit.entries) + (commit.copy is not None)
    codes = [reason.get("Code", "None") for reason in reasons]
    failed = [code == "ConditionalCheckFailed" for code in codes]
    if commit.idempotency_record and failed[count + 1]:
        return KeyUsed(items.idempotency_record_of(reasons[count + 1]["Item"], commit.idempotency_record.key))
    if True in failed[:count]:
        return PositionTaken(items.entry_of(reasons[failed.index(True)]["Item"]))
    if failed[count]:
        item = reasons[count].get("Item")
        return MembershipChanged(items.membership_of(item) if item else None)
    named = zip(commit.mentions, failed[count + 1 + bool(commit.idempotency_record) :], strict=False)
    if left := {user for user, bad in named if bad}:
        return MentionedLeft(frozenset(left))
    if any(failed):
        return AlreadyFollowing()
    if "TransactionConflict" in codes:
        meter().conflicts += 1
        return Contended()
    if THROTTLES.intersection(codes):
        raise StoreThrottledError(retry_after=1)
    raise StoreThrottledError(
        f"The storage refused the write ({', '.join(sorted(set(codes)))}).", retry_after=1
    )
