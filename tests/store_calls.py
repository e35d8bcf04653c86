"""What each method of the storage asks of DynamoDB: seen by running it over a client that notes what it is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, Final, NamedTuple

from shared.domain import keys
from shared.domain.changes import Change, ChangeKind
from shared.domain.model import (
    NOTHING_EXPIRED,
    Boundary,
    Entry,
    Follow,
    Head,
    IdempotencyRecord,
    Kind,
    Membership,
    PastMembership,
    Preview,
    Role,
)
from shared.domain.moderation import Ban, Block, Report
from shared.domain.realtime import Connection, Watch
from shared.storage import items, realtime_items
from shared.storage.dynamodb import DynamoDBStore
from shared.storage.protocol import ChangeCommit, Commit, Store
from tests.contract.fake_client import refusal

TABLE: Final = "table"
CHANNEL: Final = "0123456789abcdef"
THREAD: Final = keys.message_id(CHANNEL, 1)
HEAD: Final = Head(CHANNEL, Kind.PUBLIC, "lobby", "", "ada", 0)
MEMBER: Final = Membership("ada", CHANNEL, Role.MEMBER, 0)
BY: Final = Membership("eve", CHANNEL, Role.OWNER, 0)
ENTRY: Final = Entry(1, 1, 0, None)
PREVIEW: Final = Preview(1, "ada", "Hello", 0)
MESSAGE: Final = Entry(1, 1, 0, b"{}")
CHANGE: Final = Change(1, ChangeKind.REACTION_ADDED, 1, "ada", 0, b"{}", "👍")
PIN: Final = ChangeCommit(HEAD, MEMBER, MESSAGE, Change(1, ChangeKind.PINNED, 1, "ada", 0), None, pin=True)
REACTION: Final = ChangeCommit(HEAD, MEMBER, MESSAGE, CHANGE, MESSAGE, reacted="ada", unreacted="eve")
MENTION: Final = ChangeCommit(
    HEAD, MEMBER, MESSAGE, CHANGE, MESSAGE, mentions={"ada": frozenset({1}), "eve": frozenset({1})}
)
BAN: Final = Ban(CHANNEL, "ada", "eve", 0)
REPORT: Final = Report(CHANNEL, "0" * 16, f"{CHANNEL}-00000001", "ada", "spam", "", 0)
DIRECT: Final = Head("0123456789abcdef", Kind.DIRECT, "", "", "ada", 0)
COMMIT: Final = Commit(CHANNEL, "ada", [ENTRY], 0, 1, True, IdempotencyRecord("key", b"hash", 1, 1, 2), 0)  # noqa: FBT003 - a sample

CONNECTION: Final = Connection("conn=", "ada", 0, 1, frozenset({CHANNEL, THREAD}))
WATCH: Final = Watch(THREAD, "ada", "conn=", 1)
REPLY: Final = replace(
    COMMIT, channel_id=THREAD, mentions={"eve": frozenset({1})}, follow=True, follower="bo"
)
SUMMARY: Final = ChangeCommit(HEAD, None, MESSAGE, Change(1, ChangeKind.THREAD, 1, "ada", 0, b"{}"), MESSAGE)
IN_THREAD: Final = replace(MENTION, head=Head.of_thread(THREAD), unmentions={"bo": frozenset({1})})


class Call(NamedTuple):
    """One thing that DynamoDB must allow: an IAM action on the table or an index, for one partition key.

    ``together`` has the partition keys of all items of the same request, of a batch or a transaction. AWS does not say
    whether ``dynamodb:LeadingKeys`` holds these or the one item's, so a policy must be right either way.
    """

    action: str
    resource: str
    key: str
    together: frozenset[str] = frozenset()

    @property
    def keys(self) -> frozenset[str]:
        """Everything that ``dynamodb:LeadingKeys`` may come to hold."""
        return self.together | {self.key}


SAMPLES: Final[dict[str, list[Callable[[Store], Any]]]] = {
    "read_channel_state": [
        lambda store: store.read_channel_state(CHANNEL, "ada"),
        lambda store: store.read_channel_state(CHANNEL, "ada", "key"),
        lambda store: store.read_channel_state(THREAD, "ada"),
    ],
    "head": [lambda store: store.head(CHANNEL)],
    "reserve": [lambda store: store.reserve(CHANNEL, 1, PREVIEW)],
    "commit": [lambda store: store.commit(COMMIT), lambda store: store.commit(REPLY)],
    "void": [lambda store: store.void(CHANNEL, [ENTRY])],
    "list_gaps": [lambda store: store.list_gaps(CHANNEL, [1])],
    "trim_gaps": [lambda store: store.trim_gaps(CHANNEL, [1], 1)],
    "gaps": [lambda store: store.gaps(CHANNEL, 1)],
    "standing": [lambda store: store.standing([(CHANNEL, 1)])],
    "correct_preview": [
        lambda store: store.correct_preview(CHANNEL, 1, PREVIEW, 0),
        lambda store: store.correct_preview(CHANNEL, 1, None, 0),
    ],
    "move_boundary": [lambda store: store.move_boundary(CHANNEL, NOTHING_EXPIRED, Boundary(1))],
    "entries": [lambda store: store.entries(CHANNEL, 1, 2), lambda store: store.entries(CHANNEL, 1, 1)],
    "latest_entries": [lambda store: store.latest_entries(CHANNEL, 1, 1)],
    "entry_after": [lambda store: store.entry_after(CHANNEL, 1)],
    "changes": [lambda store: store.changes(CHANNEL, 1, 2)],
    "read_message_state": [lambda store: store.read_message_state(CHANNEL, "ada", 1, "key")],
    "commit_change": [
        lambda store: store.commit_change(PIN),
        lambda store: store.commit_change(REACTION),
        lambda store: store.commit_change(MENTION),
        lambda store: store.commit_change(IN_THREAD),
    ],
    "commit_summary": [lambda store: store.commit_summary(SUMMARY)],
    "changes_at": [lambda store: store.changes_at(CHANNEL, [1])],
    "entries_at": [lambda store: store.entries_at(CHANNEL, [1])],
    "members_of": [
        lambda store: store.members_of(CHANNEL, ["ada"]),
        lambda store: store.members_of(THREAD, ["ada"]),
    ],
    "follow": [lambda store: store.follow(Follow("ada", THREAD))],
    "unfollow": [lambda store: store.unfollow(THREAD, "ada")],
    "follows": [lambda store: store.follows("ada")],
    "move_thread_position": [lambda store: store.move_thread_position(THREAD, "ada", 1, 1, force=False)],
    "pins": [lambda store: store.pins(CHANNEL)],
    "has_reacted": [lambda store: store.has_reacted(CHANNEL, 1, "👍", "ada")],
    "reacted": [lambda store: store.reacted(CHANNEL, 1, "👍", 1, None)],
    "forget_mentions": [
        lambda store: store.forget_mentions(CHANNEL, "ada", [1]),
        lambda store: store.forget_mentions(THREAD, "ada", [1]),
    ],
    "memberships": [lambda store: store.memberships("ada")],
    "count_memberships": [lambda store: store.count_memberships("ada", 1)],
    "spend": [lambda store: store.spend("ada", 1, 1, 1)],
    "heads": [lambda store: store.heads([CHANNEL])],
    "roles": [lambda store: store.roles("ada", [CHANNEL])],
    "public_channels": [
        lambda store: store.public_channels(1, None),
        lambda store: store.public_channels(1, ("lobby", CHANNEL)),
    ],
    "reserve_key": [lambda store: store.reserve_key(CHANNEL, b"hash")],
    "create_channel": [
        lambda store: store.create_channel(HEAD, [MEMBER]),
        lambda store: store.create_channel(DIRECT, [MEMBER, BY]),
    ],
    "update_channel": [lambda store: store.update_channel(CHANNEL, {"name": "hall"}, 1)],
    "archive_channel": [lambda store: store.archive_channel(CHANNEL, 0, if_version=1)],
    "unarchive_channel": [lambda store: store.unarchive_channel(HEAD)],
    "members": [
        lambda store: store.members(CHANNEL, 1, None),
        lambda store: store.members(CHANNEL, 1, "ada"),
    ],
    "membership": [lambda store: store.membership(CHANNEL, "ada")],
    "past_membership": [lambda store: store.past_membership(CHANNEL, "ada")],
    "add_member": [lambda store: store.add_member(MEMBER)],
    "change_role": [lambda store: store.change_role(MEMBER, Role.OWNER)],
    "remove_member": [
        lambda store: store.remove_member(MEMBER),
        lambda store: store.remove_member(MEMBER, even_last_owner=True),
    ],
    "move_read_position": [lambda store: store.move_read_position(CHANNEL, "ada", 1, 1, force=False)],
    "block": [lambda store: store.block(Block("ada", "eve", 0))],
    "unblock": [lambda store: store.unblock("ada", "eve")],
    "blocks": [lambda store: store.blocks("ada")],
    "ban": [lambda store: store.ban(BAN, MEMBER, BY), lambda store: store.ban(BAN, None, BY)],
    "unban": [lambda store: store.unban(CHANNEL, "ada")],
    "ban_of": [lambda store: store.ban_of(CHANNEL, "ada")],
    "bans": [lambda store: store.bans(CHANNEL, 1, None)],
    "add_report": [lambda store: store.add_report(REPORT, 1)],
    "report": [lambda store: store.report(CHANNEL, "0" * 16)],
    "reports": [lambda store: store.reports(CHANNEL, 1, None, is_open=True)],
    "close_report": [lambda store: store.close_report(REPORT, BY)],
    "blockers": [lambda store: store.blockers("ada")],
    "reports_made": [lambda store: store.reports_made("ada")],
    "forget_report_made": [lambda store: store.forget_report_made("ada", "m")],
    "forget_moderator": [lambda store: store.forget_moderator(CHANNEL, "ada")],
    "mute": [
        lambda store: store.mute(CHANNEL, "ada", muted=True),
        lambda store: store.mute(CHANNEL, "ada", muted=False),
    ],
    "past_memberships": [lambda store: store.past_memberships("ada")],
    "forget_past_membership": [lambda store: store.forget_past_membership("ada", PastMembership(CHANNEL, 0))],
    "redact": [lambda store: store.redact(CHANNEL, 1, b"{}")],
    "rewrite_message": [lambda store: store.rewrite_message(CHANNEL, MESSAGE, b"{}")],
    "rewrite_change": [lambda store: store.rewrite_change(CHANNEL, CHANGE, CHANGE)],
    "forget_reactions": [lambda store: store.forget_reactions(CHANNEL, "ada")],
    "count_erasure": [
        lambda store: store.count_erasure(CHANNEL, "ada"),
        lambda store: store.count_erasure(CHANNEL, "eve"),
    ],
    "add_ticket": [lambda store: store.add_ticket("0" * 32, "ada", 1)],
    "take_ticket": [lambda store: store.take_ticket("0" * 32, 0)],
    "open_connection": [lambda store: store.open_connection(CONNECTION)],
    "connection": [lambda store: store.connection("conn=", 0)],
    "connections_of": [lambda store: store.connections_of("ada", 0)],
    "close_connection": [lambda store: store.close_connection(CONNECTION)],
    "watch": [lambda store: store.watch(CONNECTION, [WATCH], 1)],
    "unwatch": [lambda store: store.unwatch(CONNECTION, [THREAD])],
    "watches": [lambda store: store.watches(CHANNEL, 0)],
    "end_watches": [lambda store: store.end_watches(CHANNEL, "ada")],
    "watched_numbers": [lambda store: store.watched_numbers(CONNECTION, 0)],
    "may_type": [lambda store: store.may_type(WATCH, 0, 0)],
    "ping": [lambda store: store.ping()],
}
"""How each method is called, in each way that makes it ask for something else."""
FOR_ANOTHER: Final[dict[str, list[Callable[[Store], Any]]]] = {
    "update_channel": [lambda store: store.update_channel(CHANNEL, {"name": "hall"}, 1, BY)],
    "archive_channel": [lambda store: store.archive_channel(CHANNEL, 0, BY)],
    "unarchive_channel": [lambda store: store.unarchive_channel(HEAD, BY)],
    "add_member": [lambda store: store.add_member(MEMBER, BY)],
    "change_role": [lambda store: store.change_role(MEMBER, Role.OWNER, BY)],
    "remove_member": [lambda store: store.remove_member(MEMBER, BY)],
    "unban": [lambda store: store.unban(CHANNEL, "ada", BY)],
}
"""How a user acts on a channel or another's membership, which an operator's tool does by nobody's right."""
REFUSED: Final = {"void": [lambda store: store.void(CHANNEL, [ENTRY])]}
"""Those that ask further when a condition fails."""


class NotingClient:
    """A client of DynamoDB with nearly empty responses that records each call."""

    def __init__(self, *, refuses: bool = False) -> None:
        self._refuses = refuses
        self.calls: set[Call] = set()

    def call(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """A nearly empty response."""
        responses = {
            "GetItem": self._get_item,
            "BatchGetItem": self._batch_get_item,
            "Query": self._query,
            "PutItem": self._put_item,
            "DeleteItem": self._delete_item,
            "UpdateItem": self._update_item,
            "TransactWriteItems": self._transact_write_items,
        }
        return responses[operation](arguments)

    def close(self) -> None:
        """Nothing is open."""

    def _get_item(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Of entries one is there."""
        key = arguments["Key"]
        self._note("GetItem", key)
        return {"Item": items.entry_item(CHANNEL, ENTRY)} if key["sk"]["S"].startswith("E#") else {}

    def _batch_get_item(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Nothing is there."""
        wanted = arguments["RequestItems"][TABLE]["Keys"]
        for key in wanted:
            self._note("BatchGetItem", key, wanted)
        return {"Responses": {}}

    def _query(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """A reaction or a watch if all are read, else nothing; the partition key's value comes first in expressions."""
        placeholder = arguments["KeyConditionExpression"].split(" ")[2]
        values = arguments["ExpressionAttributeValues"]
        key = values[placeholder]["S"]
        index = arguments.get("IndexName")
        self.calls.add(Call("dynamodb:Query", f"{TABLE}/index/{index}" if index else TABLE, key))
        there = {
            keys.REACTIONS: [items.reaction_key(CHANNEL, 1, "👍", "ada")],
            keys.watches_of("ada"): [realtime_items.watch_item(WATCH)],
        }
        found = there.get(values.get(":sk", {}).get("S", ""), [])
        return {"Items": found, "Count": len(found)}

    def _put_item(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Succeeds, or fails without the stored item."""
        self._note("PutItem", arguments["Item"])
        if self._refuses:
            raise refusal("ConditionalCheckFailedException")
        return {}

    def _delete_item(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Done; of what was there, if it is asked for, a ticket or a connection."""
        key = arguments["Key"]
        self._note("DeleteItem", key)
        if "ReturnValues" not in arguments:
            return {}
        there = realtime_items.connection_item(CONNECTION) | realtime_items.ticket_item("0" * 32, "ada", 1)
        return {"Attributes": there | key}

    def _update_item(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Done."""
        key = arguments["Key"]
        self._note("UpdateItem", key)
        is_head = key["pk"]["S"].startswith("C#")
        return {"Attributes": (items.head_item(HEAD) if is_head else items.membership_item(MEMBER)) | key}

    def _transact_write_items(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """IAM asks for the right to each part: there is no action for the whole."""
        parts = [part for write in arguments["TransactItems"] for part in write.items()]
        touched = [each.get("Key") or each["Item"] for _, each in parts]
        for (kind, _), key in zip(parts, touched, strict=True):
            action = "ConditionCheckItem" if kind == "ConditionCheck" else f"{kind}Item"
            self._note(action, key, touched)
        return {}

    def _note(self, action: str, key: dict[str, Any], together: Sequence[dict[str, Any]] = ()) -> None:
        keys = frozenset(each["pk"]["S"] for each in together)
        self.calls.add(Call(f"dynamodb:{action}", TABLE, key["pk"]["S"], keys))


@cache
def calls_of_method(method: str, *, for_another: bool = True) -> frozenset[Call]:
    """All calls that a method of the storage may make, with and without an acting member."""
    noted: set[Call] = set()
    granted = [*SAMPLES[method], *(FOR_ANOTHER.get(method, []) if for_another else [])]
    for refuses, samples in ((False, granted), (True, REFUSED.get(method, []))):
        for sample in samples:
            client = NotingClient(refuses=refuses)
            sample(DynamoDBStore(client, TABLE, lambda _: None))
            noted |= client.calls
    return frozenset(noted)
