"""Blocks, bans and reports on DynamoDB."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shared.domain import keys
from shared.domain.errors import ContentionError
from shared.domain.model import Membership, Role
from shared.domain.moderation import Ban, Block, Report
from shared.storage import items
from shared.storage.dynamodb.channels import ABSENT, below_user, role_unchanged
from shared.storage.dynamodb.conflicts import transact
from shared.storage.dynamodb.log import key_range
from shared.storage.dynamodb.members import REMOVE_TRIES, count_members, delete_membership, keeps_an_owner
from shared.storage.dynamodb.table import OnTable

BLOCK_TRIES: Final = 4
"""Tries of a block or its removal, each after the first because the direct channel came or went meanwhile."""
LAST: Final = "\U0010ffff"
"""Sorts after every character of an id."""


class DynamoDBModeration(OnTable):
    """See ``shared.storage.protocol.Moderation``."""

    def block(self, block: Block) -> bool:
        """3 read units, and one transaction of 8 write units."""
        for _ in range(BLOCK_TRIES):
            known, memberships = self._pair(block.user_id, block.other_id)
            if known:
                return False
            writes: list[dict[str, Any]] = [
                {"Put": {"Item": items.block_item(block), "ConditionExpression": ABSENT}},
                {"Put": {"Item": items.blocker_key(block.other_id, block.user_id)}},
                *_marks(block.user_id, block.other_id, memberships, "SET #mark = :one"),
            ]
            failed = transact(self._table, self._sleep, *writes)
            if failed is None:
                return True
            if failed[0] is not None:
                return False
        raise ContentionError(retry_after=1)

    def unblock(self, user_id: str, other_id: str) -> None:
        """3 read units, and one transaction of 8 write units, or of 4 where there is no direct channel."""
        for _ in range(BLOCK_TRIES):
            known, memberships = self._pair(user_id, other_id)
            if not known:
                return
            there = {user: True for user, exists in memberships.items() if exists}
            key = items.block_key(user_id, other_id)
            writes: list[dict[str, Any]] = [
                {"Delete": {"Key": key, "ConditionExpression": "attribute_exists(pk)"}},
                {"Delete": {"Key": items.blocker_key(other_id, user_id)}},
                *_marks(user_id, other_id, there, "REMOVE #mark"),
            ]
            if transact(self._table, self._sleep, *writes) is None:
                return
        raise ContentionError(retry_after=1)

    def _pair(self, user_id: str, other_id: str) -> tuple[bool, dict[str, bool]]:
        """Whether the block exists, and whether each of the two has a membership of the direct channel."""
        channel_id = keys.direct_channel_id(user_id, other_id)
        block = items.block_key(user_id, other_id)
        memberships = {each: items.membership_key(channel_id, each) for each in (user_id, other_id)}
        found = self._table.batch_get([block, *memberships.values()])
        there = {(item["pk"]["S"], item["sk"]["S"]) for item in found}
        exists = {each: (key["pk"]["S"], key["sk"]["S"]) in there for each, key in memberships.items()}
        return (block["pk"]["S"], block["sk"]["S"]) in there, exists

    def blocks(self, user_id: str) -> list[Block]:
        """One Query: a read unit for each 50 blocks or so."""
        return [items.block_of(item) for item in below_user(self._table, user_id, keys.BLOCKS)]

    def ban(self, ban: Ban, target: Membership | None, by: Membership) -> bool:
        """One transaction: 10 write units and 1 for the index for a member, 8 for a user who is no member.

        Another transaction for each post that the member makes meanwhile.
        """
        seen = target
        for _ in range(REMOVE_TRIES):
            put = {"Put": {"Item": items.ban_item(ban), "ConditionExpression": ABSENT}}
            ending = _keeping_out(ban) if seen is None else _putting_out(seen)
            failed = transact(self._table, self._sleep, put, *ending, *role_unchanged(by))
            if failed is None or failed[0] is not None:
                return True
            standing, *others = failed[1:]
            if seen is None or not standing or any(each is not None for each in others):
                return False
            seen = items.membership_of(standing)
            if target is None or seen.role is not target.role:
                return False
        raise ContentionError(retry_after=1)

    def unban(self, channel_id: str, user_id: str, by: Membership | None = None) -> bool:
        """1 read unit, and one transaction of 4 write units, 2 more with ``by``."""
        past_key = items.past_membership_key(channel_id, user_id)
        item = self._table.get(past_key)
        if not item or items.BANNED not in item:
            return True
        past: dict[str, Any] = {"Key": past_key, "ConditionExpression": f"attribute_exists({items.BANNED})"}
        if items.past_membership_of(item).was_member:
            lift = {"Update": past | {"UpdateExpression": f"REMOVE {items.BANNED}"}}
        else:
            lift = {"Delete": past}
        gone = {"Delete": {"Key": items.ban_key(channel_id, user_id)}}
        failed = transact(self._table, self._sleep, gone, lift, *role_unchanged(by))
        return failed is None or all(each is None for each in failed[2:])

    def ban_of(self, channel_id: str, user_id: str) -> Ban | None:
        """One GetItem: 1 read unit."""
        item = self._table.get(items.ban_key(channel_id, user_id))
        return items.ban_of(item) if item else None

    def bans(self, channel_id: str, limit: int, after: str | None) -> list[Ban]:
        """One Query: a read unit for each 4 KB of bans."""
        # The next text after a user id is that with the smallest character behind it.
        first = keys.BANS if after is None else keys.ban_sk(f"{after}\x00")
        found = self._table.query(limit=limit, **key_range(channel_id, first, keys.ban_sk(LAST)))
        return [items.ban_of(item) for item in found]

    def add_report(self, report: Report, limit: int) -> str | None:
        """One transaction: 6 write units for a report of up to 1 KB, also if it is refused."""
        made = items.report_made_key(report.reporter, report.message_id)
        count = {
            "Key": items.open_reports_key(report.channel_id),
            "UpdateExpression": "ADD #open :one",
            "ConditionExpression": "attribute_not_exists(#open) OR #open < :max",
            "ExpressionAttributeNames": {"#open": "open"},
            "ExpressionAttributeValues": items.values({":one": 1, ":max": limit}),
        }
        failed = transact(
            self._table,
            self._sleep,
            {"Put": {"Item": made | {"id": items.s(report.report_id)}, "ConditionExpression": ABSENT}},
            {"Put": {"Item": items.report_item(report), "ConditionExpression": ABSENT}},
            {"Update": count},
        )
        if failed is None:
            return report.report_id
        return str(failed[0]["id"]["S"]) if failed[0] else None

    def report(self, channel_id: str, report_id: str) -> Report | None:
        """One BatchGetItem: 2 read units."""
        wanted = [items.report_key(channel_id, report_id, is_open=each) for each in (True, False)]
        found = [items.report_of(item) for item in self._table.batch_get(wanted)]
        # A transaction that closes it may be seen in part: then the closed one is right.
        return min(found, key=lambda each: each.is_open, default=None)

    def reports(self, channel_id: str, limit: int, after: str | None, *, is_open: bool) -> list[Report]:
        """One Query: a read unit for each 4 KB of reports."""
        first = keys.report_sk("" if after is None else f"{after}\x00", is_open=is_open)
        last = keys.report_sk(LAST, is_open=is_open)
        found = self._table.query(limit=limit, **key_range(channel_id, first, last))
        return [items.report_of(item) for item in found]

    def close_report(self, closed: Report, by: Membership) -> bool:
        """One transaction: 8 write units for a report of up to 1 KB."""
        delete = {
            "Key": items.report_key(closed.channel_id, closed.report_id, is_open=True),
            "ConditionExpression": "attribute_exists(pk) AND reporter = :reporter",
            "ExpressionAttributeValues": items.values({":reporter": closed.reporter}),
        }
        count = {
            "Key": items.open_reports_key(closed.channel_id),
            "UpdateExpression": "ADD #open :less",
            "ExpressionAttributeNames": {"#open": "open"},
            "ExpressionAttributeValues": items.values({":less": -1}),
        }
        failed = transact(
            self._table,
            self._sleep,
            {"Delete": delete},
            {"Put": {"Item": items.report_item(closed)}},
            {"Update": count},
            *role_unchanged(by),
        )
        return failed is None


def _marks(user_id: str, other_id: str, memberships: Mapping[str, bool], change: str) -> list[dict[str, Any]]:
    """Changes the marks of a block in the memberships that exist, and checks that the others still do not.

    So a direct channel that is created or erased meanwhile refuses the transaction.
    """
    channel_id = keys.direct_channel_id(user_id, other_id)
    names = {user_id: items.BLOCKS, other_id: items.IS_BLOCKED}
    writes: list[dict[str, Any]] = []
    for user, exists in memberships.items():
        write: dict[str, Any] = {"Key": items.membership_key(channel_id, user)}
        if not exists:
            writes.append({"ConditionCheck": write | {"ConditionExpression": ABSENT}})
            continue
        write |= {
            "UpdateExpression": change,
            "ConditionExpression": "attribute_exists(pk)",
            "ExpressionAttributeNames": {"#mark": names[user]},
        }
        if ":one" in change:
            write["ExpressionAttributeValues"] = items.values({":one": 1})
        writes.append({"Update": write})
    return writes


def _putting_out(seen: Membership) -> list[dict[str, Any]]:
    """Ends a membership, as a removal does, and leaves a past membership that keeps the user from joining."""
    owners = -1 if seen.role is Role.OWNER else 0
    past = items.past_membership_item(seen) | {items.BANNED: items.n(1)}
    return [
        delete_membership(seen),
        count_members(seen.channel_id, -1, owners, keeps_an_owner(owners)),
        {"Put": {"Item": past}},
    ]


def _keeping_out(ban: Ban) -> list[dict[str, Any]]:
    """Keeps a user who is no member from joining."""
    absent = {
        "Key": items.membership_key(ban.channel_id, ban.user_id),
        "ConditionExpression": ABSENT,
    }
    past = {
        "Key": items.past_membership_key(ban.channel_id, ban.user_id),
        "UpdateExpression": f"SET {items.BANNED} = :one",
        "ExpressionAttributeValues": items.values({":one": 1}),
    }
    return [{"ConditionCheck": absent}, {"Update": past}]
