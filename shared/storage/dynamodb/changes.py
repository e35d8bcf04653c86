"""A channel's change log on DynamoDB, and what changes with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from shared.aws.protocol import THROTTLES
from shared.domain import keys
from shared.domain.changes import MAX_PINS, Change, ChangeKind
from shared.domain.errors import StoreThrottledError
from shared.domain.model import NOTHING_EXPIRED, ChannelState, Entry, Follow, Membership
from shared.observability.meter import meter
from shared.storage import items
from shared.storage.dynamodb.channels import MAY_WRITE, OPEN, SAME_CHANGES, SAME_ROLE
from shared.storage.dynamodb.conflicts import retry_conflicts
from shared.storage.dynamodb.log import key_range, mention_mark_write, put_idempotency_record
from shared.storage.dynamodb.table import (
    ConditionFailedError,
    OnTable,
    TransactionCanceledError,
    TransactionConflictError,
)
from shared.storage.protocol import (
    ChangeCommit,
    ChangeOutcome,
    Committed,
    Contended,
    KeyUsed,
    MentionedLeft,
    PinsFull,
    PinUnchanged,
    Reacted,
    StateChanged,
)


class DynamoDBChanges(OnTable):
    """See ``shared.storage.protocol.Changes``."""

    def read_message_state(
        self, channel_id: str, user_id: str, seq: int, key: str | None = None
    ) -> tuple[ChannelState, Entry | None]:
        """One BatchGetItem: 3 read units for a message of up to 4 KB, 4 with a key; of a thread 5 and 6."""
        wanted = items.channel_state_keys(channel_id, user_id, key, with_follow=False)
        mine = items.entry_key(channel_id, seq)
        found = self._table.batch_get([*wanted, mine])
        entries = [item for item in found if {"pk": item["pk"], "sk": item["sk"]} == mine]
        state = items.channel_state_of(found, channel_id, user_id, key)
        return state, items.entry_of(entries[0]) if entries else None

    def commit_change(self, commit: ChangeCommit) -> ChangeOutcome:
        """One transaction: 8 write units where message and change are within 1 KB each.

        2 more for an idempotency record, for each user whose mention comes or goes, and for a reaction that the message
        does not show; 6 more with a summary. A transaction that is refused costs as much.
        """
        writes, named = _writes(commit)
        return self._commit(commit, writes, named, _summary_writes(commit.summary) if commit.summary else [])

    def commit_summary(self, commit: ChangeCommit) -> ChangeOutcome:
        """One transaction: 6 write units where message and change are within 1 KB each."""
        return self._commit(commit, _summary_writes(commit), [], [])

    def _commit(
        self,
        commit: ChangeCommit,
        writes: list[dict[str, Any]],
        named: Sequence[str],
        summary: list[dict[str, Any]],
    ) -> ChangeOutcome:
        try:
            self._table.transact(*writes, *summary)
        except TransactionCanceledError as error:
            outcome = _outcome(commit, named, error.reasons[: len(writes)], error.reasons[len(writes) :])
        except TransactionConflictError:
            outcome = Contended()
        else:
            return Committed()
        if isinstance(outcome, StateChanged | Contended):
            meter().conflicts += 1
        return outcome

    def changes(self, channel_id: str, first: int, last: int, limit: int | None = None) -> list[Change]:
        """One Query: a read unit for each 4 KB of changes."""
        if first > last:
            return []
        asked = key_range(channel_id, keys.change_sk(first), keys.change_sk(last))
        found = self._table.query(limit=limit, **asked)
        return [items.change_of(item) for item in found]

    def changes_at(self, channel_id: str, revs: Sequence[int]) -> list[Change]:
        """BatchGetItem: a read unit for each 4 KB of each change, a call for each 100."""
        wanted = [items.change_key(channel_id, rev) for rev in dict.fromkeys(revs)]
        return [items.change_of(item) for item in self._table.batch_get(wanted)]

    def entries_at(self, channel_id: str, seqs: Sequence[int]) -> list[Entry]:
        """BatchGetItem: a read unit for each 4 KB of each entry, a call for each 100."""
        wanted = [items.entry_key(channel_id, seq) for seq in dict.fromkeys(seqs)]
        return items.entries_of(self._table.batch_get(wanted))

    def members_of(self, channel_id: str, user_ids: Iterable[str]) -> dict[str, Membership]:
        """BatchGetItem: a read unit each, of a thread 2; a call for each 100 units."""
        users = list(dict.fromkeys(user_ids))
        wanted = [items.membership_key(channel_id, each) for each in users]
        in_thread = keys.is_thread(channel_id)
        wanted += [items.follow_key(channel_id, each) for each in users] if in_thread else []
        found = self._table.batch_get(wanted)
        follows = [items.follow_of(item) for item in found if item["sk"]["S"].startswith(keys.FOLLOWS)]
        member = [items.membership_of(item) for item in found if item["sk"]["S"].startswith(keys.MEMBERSHIPS)]
        members = {each.user_id: each for each in member}
        if not in_thread:
            return members
        following = {each.user_id: each for each in follows}
        return {
            user: each.in_thread(following.get(user) or Follow(user, channel_id))
            for user, each in members.items()
        }

    def pins(self, channel_id: str) -> dict[int, int]:
        """One GetItem: 1 read unit."""
        return items.pins_of(self._table.get(items.pins_key(channel_id)) or {})

    def has_reacted(self, channel_id: str, seq: int, emoji: str, user_id: str) -> bool:
        """One GetItem: 1 read unit."""
        return self._table.get(items.reaction_key(channel_id, seq, emoji, user_id)) is not None

    def reacted(self, channel_id: str, seq: int, emoji: str, limit: int, after: str | None) -> list[Reacted]:
        """One Query: a read unit for each 40 users or so."""
        start = keys.reactions_sk(seq, emoji)
        # The next text after a user id is that with the smallest character behind it.
        first = start if after is None else f"{start}{after}\x00"
        found = self._table.query(limit=limit, **key_range(channel_id, first, f"{start}\U0010ffff"))
        return [Reacted(item["sk"]["S"].removeprefix(start), int(item["rev"]["N"])) for item in found]

    def forget_mentions(self, channel_id: str, user_id: str, marks: Iterable[int]) -> None:
        """One UpdateItem: 1 write unit."""
        try:
            retry_conflicts(
                lambda: self._table.update(
                    Key=_marks_key(channel_id, user_id),
                    UpdateExpression="DELETE mentions :marks",
                    ConditionExpression="attribute_exists(pk)",
                    ExpressionAttributeValues=items.values({":marks": marks}),
                ),
                self._sleep,
            )
        except ConditionFailedError:
            return


def _summary_writes(commit: ChangeCommit) -> list[dict[str, Any]]:
    return [_number(commit), _put_change(commit), _rewrite(commit)]


def _put_change(commit: ChangeCommit) -> dict[str, Any]:
    item = items.change_item(commit.head.channel_id, commit.change)
    return {"Put": {"Item": item, "ConditionExpression": "attribute_not_exists(pk)"}}


def _marks_key(log_id: str, user_id: str) -> dict[str, Any]:
    """The item that has the marks of a user's mentions."""
    return (items.follow_key if keys.is_thread(log_id) else items.membership_key)(log_id, user_id)


def _writes(commit: ChangeCommit) -> tuple[list[dict[str, Any]], list[str]]:
    """The transaction without its summary, and whose mentions its last writes are.

    An idempotency record comes after these, at the very end.
    """
    channel_id, change, by = commit.head.channel_id, commit.change, commit.by
    writes = [_number(commit), _put_change(commit), *_acting(commit)]
    writes.append(_pin(commit) if commit.entry is None else _rewrite(commit))
    if commit.reacted is not None:
        item = items.reaction_key(channel_id, change.seq, change.emoji, commit.reacted)
        writes.append(
            {
                "Put": {
                    "Item": item | _reacted(change),
                    "ConditionExpression": "attribute_not_exists(pk)",
                }
            }
        )
    if commit.unreacted is not None:
        key = items.reaction_key(channel_id, change.seq, change.emoji, commit.unreacted)
        writes.append({"Delete": {"Key": key, "ConditionExpression": "attribute_exists(pk)"}})
    marks = [(user, "ADD", commit.mentions[user]) for user in commit.mentions]
    marks += [(user, "DELETE", commit.unmentions[user]) for user in commit.unmentions]
    # The marks of the acting member change with the condition on their membership, except in a thread.
    others = [each for each in marks if keys.is_thread(channel_id) or by is None or each[0] != by.user_id]
    writes += [mention_mark_write(channel_id, *each) for each in others]
    if commit.idempotency_record and by is not None:
        writes.append(put_idempotency_record(channel_id, by.user_id, commit.idempotency_record, change.at))
    return writes, [user for user, _, _ in others]


def _reacted(change: Change) -> dict[str, Any]:
    return {"rev": items.n(change.rev)} | ({"expires": items.n(change.expires)} if change.expires else {})


def _number(commit: ChangeCommit) -> dict[str, Any]:
    """Gives out the next number, on condition that it is the next, and changes what the head shows of the message."""
    change, head = commit.change, commit.head
    values: dict[str, Any] = {":rev": change.rev, ":seen": head.rev}
    # A summary shows what is there already, also in an archived channel.
    exists = "attribute_exists(pk)" if change.kind is ChangeKind.THREAD else OPEN
    condition = f"{exists} AND rev = :seen"
    if not head.rev:
        del values[":seen"]
        condition = f"{exists} AND attribute_not_exists(rev)"
    update = "SET rev = :rev"
    # The message may have expired since it was read, and the boundary counts the gaps up to it.
    if head.boundary == NOTHING_EXPIRED:
        condition += " AND attribute_not_exists(x)"
    else:
        condition += " AND x = :x"
        values[":x"] = items.packed_boundary(head.boundary)
    if change.kind in {ChangeKind.EDITED, ChangeKind.DELETED}:
        # What the head shows may have moved since it was read: from this message, or back to it.
        values[":seq"] = change.seq
        if commit.preview is None:
            condition += " AND (attribute_not_exists(lq) OR lq <> :seq)"
        else:
            condition, update = f"{condition} AND lq = :seq", f"{update}, lt = :text"
            values[":text"] = commit.preview
    if commit.is_gap:
        update += " ADD gn :one, gs :gaps"
        values |= {":one": 1, ":gaps": [change.seq]}
    return {
        "Update": {
            "Key": items.head_key(head.channel_id),
            "UpdateExpression": update,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": items.values(values),
        }
    }


def _acting(commit: ChangeCommit) -> list[dict[str, Any]]:
    """The acting member must still have the role and rate state that were seen, and no block since.

    The same write stores the new rate state, and adds or removes the member's own mention in a channel.
    """
    if commit.by is None:
        return []
    by, condition, updates = commit.by, f"{SAME_ROLE} AND {MAY_WRITE}", []
    values: dict[str, Any] = {":role": by.role}
    if commit.tat is not None:
        updates.append("SET ct = :tat")
        condition += f" AND {SAME_CHANGES}"
        values |= {":tat": commit.tat, ":ct": by.changes_tat}
    for action, users in (("ADD", commit.mentions), ("DELETE", commit.unmentions)):
        if by.user_id in users and not keys.is_thread(commit.head.channel_id):
            updates.append(f"{action} mentions :marks")
            values[":marks"] = users[by.user_id]
    write: dict[str, Any] = {
        "Key": items.membership_key(by.channel_id, by.user_id),
        "ConditionExpression": condition,
        "ExpressionAttributeNames": {"#role": "role"},
        "ExpressionAttributeValues": items.values(values),
    }
    if updates:
        return [{"Update": write | {"UpdateExpression": " ".join(updates)}}]
    return [{"ConditionCheck": write}]


def _rewrite(commit: ChangeCommit) -> dict[str, Any]:
    """The message after the change, on condition that it was neither changed nor redacted since it was read."""
    entry, seen = commit.entry, commit.seen
    assert entry is not None  # noqa: S101 - the caller looked
    values: dict[str, Any] = items.values({":rev": entry.rev, ":body": entry.body or b""})
    condition = "attribute_exists(body) AND attribute_not_exists(redacted)"
    if seen.rev:
        values[":seen"] = items.n(seen.rev)
        condition += " AND rev = :seen"
    else:
        condition += " AND attribute_not_exists(rev)"
    if seen.rewrites:
        values[":rewrites"] = items.n(seen.rewrites)
        condition += " AND rewrites = :rewrites"
    else:
        condition += " AND attribute_not_exists(rewrites)"
    update = "SET rev = :rev, body = :body"
    if entry.versions != seen.versions:
        values[":versions"] = items.numbers(entry.versions)
        update += ", versions = :versions"
    return {
        "Update": {
            "Key": items.entry_key(commit.head.channel_id, entry.seq),
            "UpdateExpression": update,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": values,
        }
    }


def _pin(commit: ChangeCommit) -> dict[str, Any]:
    """Adds or removes one pin: an attribute of the one item that names all of them, which counts them too."""
    change, name = commit.change, items.pin_name(commit.change.seq)
    write: dict[str, Any] = {
        "Key": items.pins_key(commit.head.channel_id),
        "ExpressionAttributeNames": {"#pin": name},
    }
    if commit.pin:
        write |= {
            "UpdateExpression": "SET #pin = :rev ADD n :one",
            "ConditionExpression": "attribute_not_exists(#pin) AND (attribute_not_exists(n) OR n < :max)",
            "ExpressionAttributeValues": items.values({":rev": change.rev, ":one": 1, ":max": MAX_PINS}),
        }
    else:
        write |= {
            "UpdateExpression": "REMOVE #pin ADD n :less",
            "ConditionExpression": "attribute_exists(#pin)",
            "ExpressionAttributeValues": items.values({":less": -1}),
        }
    return {"Update": write}


def _outcome(
    commit: ChangeCommit,
    named: Sequence[str],
    reasons: Sequence[dict[str, Any]],
    of_summary: Sequence[dict[str, Any]],
) -> ChangeOutcome:
    """What a refused transaction means: the reason that settles most comes first."""
    codes = [reason.get("Code", "None") for reason in (*reasons, *of_summary)]
    failed = [code == "ConditionalCheckFailed" for code in codes]
    own = failed[: len(reasons)]
    record = commit.idempotency_record
    if record and own[-1]:
        return KeyUsed(items.idempotency_record_of(reasons[-1]["Item"], record.key))
    if "TransactionConflict" in codes:
        return Contended()
    message = 2 if commit.by is None else 3  # after head, change, acting member
    if any(own[:message]) or any(failed[len(reasons) :]):
        return StateChanged()
    if own[message]:
        return StateChanged() if commit.pin is None else _pin_outcome(commit, reasons[message])
    at_end = len(own) - bool(record)
    left = {user for user, bad in zip(named, own[at_end - len(named) : at_end], strict=True) if bad}
    if left:
        return MentionedLeft(frozenset(left))
    if any(failed):
        return StateChanged()
    if THROTTLES.intersection(codes):
        raise StoreThrottledError(retry_after=1)
    raise StoreThrottledError(
        f"The storage refused the write ({', '.join(sorted(set(codes)))}).", retry_after=1
    )


def _pin_outcome(commit: ChangeCommit, reason: dict[str, Any]) -> ChangeOutcome:
    pinned = commit.change.seq in items.pins_of(reason.get("Item") or {})
    return PinUnchanged() if pinned is commit.pin else PinsFull()
