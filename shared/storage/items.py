"""Converts values to DynamoDB items and back. With ``realtime_items`` and ``stream`` it alone knows attribute names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from shared.domain import keys
from shared.domain.changes import Change, ChangeKind
from shared.domain.model import (
    NOTHING_EXPIRED,
    Boundary,
    ChannelState,
    Entry,
    Follow,
    Head,
    IdempotencyRecord,
    Kind,
    Member,
    Membership,
    PastMembership,
    Preview,
    Role,
)
from shared.domain.moderation import Ban, Block, Report
from shared.storage.protocol import Reservation

Item = Mapping[str, Mapping[str, Any]]
MEMBERS_INDEX: Final = "members"
PUBLIC_INDEX: Final = "public"
READ_POSITION: Final = ("read_seq", "read_messages", "read_voids")
"""Attributes of a membership, and of what is followed of a thread."""
EVERYBODY: Final = ("m1", "m2", "m3")
"""Of a head: positions of messages that name everybody, the latest first."""
PIN: Final = "p"
"""The first letter of the attributes of pins; the position follows in hexadecimal, so that 50 pins are below 1 KB."""
SHORT_NAMES: Final = {
    "edit_window": "ew",
    "members_pin": "mp",
    "show_reads": "sr",
    "retention_days": "rd",
    "retention_steps": "rs",
}
"""Attributes of a head that are not named like the field, so that the head stays below 1 KB."""
MUTED: Final = {"muted": {"N": "1"}}
"""In the membership of a user who has muted the channel; absent otherwise."""
_KINDS: Final = {
    ChangeKind.EDITED: "e",
    ChangeKind.DELETED: "d",
    ChangeKind.REACTION_ADDED: "r",
    ChangeKind.REACTION_REMOVED: "u",
    ChangeKind.PINNED: "p",
    ChangeKind.UNPINNED: "n",
    ChangeKind.THREAD: "t",
}
"""Kinds of changes as they are stored."""
BLOCKS: Final = "bk"
"""Of a membership of a direct channel: the user has blocked the other member."""
IS_BLOCKED: Final = "bd"
"""Of a membership of a direct channel: the other member has blocked the user."""
BANNED: Final = "banned"
"""Of a past membership: the user may not join again."""
_KIND_OF: Final = {stored: kind for kind, stored in _KINDS.items()}
MINUTE_MS: Final = 60_000
PUBLIC: Final = "1"
"""The single partition of the index of public channels; creating, renaming, archiving and unarchiving write to it."""


def s(text: str) -> dict[str, Any]:
    """A string attribute."""
    return {"S": text}


def n(number: int) -> dict[str, Any]:
    """A number attribute; True is 1."""
    return {"N": str(int(number))}


def ns(numbers: Iterable[int]) -> dict[str, Any]:
    """A set of numbers; DynamoDB does not store an empty one."""
    return {"NS": [str(number) for number in numbers]}


def b(raw: bytes) -> dict[str, Any]:
    """A binary attribute."""
    return {"B": raw}


def values(given: Mapping[str, str | int | bytes | Iterable[int]]) -> dict[str, Any]:
    """The values of an expression by name: strings, numbers, bytes and sets of numbers."""
    return {name: _attribute(value) for name, value in given.items()}


def _attribute(value: str | int | bytes | Iterable[int]) -> dict[str, Any]:
    if isinstance(value, str):
        return s(value)
    if isinstance(value, bytes):
        return b(value)
    return n(value) if isinstance(value, int) else ns(value)


def numbers(given: Sequence[int]) -> dict[str, Any]:
    """A list of numbers."""
    return {"L": [n(number) for number in given]}


def _key(pk: str, sk: str) -> dict[str, Any]:
    return {"pk": s(pk), "sk": s(sk)}


def head_key(channel_id: str) -> dict[str, Any]:
    """The key of a head."""
    return _key(*keys.head_key(channel_id))


def entry_key(channel_id: str, seq: int) -> dict[str, Any]:
    """The key of an entry."""
    return _key(*keys.entry_key(channel_id, seq))


def change_key(channel_id: str, rev: int) -> dict[str, Any]:
    """The key of a change."""
    return _key(keys.channel_pk(channel_id), keys.change_sk(rev))


def pins_key(channel_id: str) -> dict[str, Any]:
    """The key of what is pinned in a channel."""
    return _key(keys.channel_pk(channel_id), keys.PINS_SK)


def reaction_key(channel_id: str, seq: int, emoji: str, user_id: str) -> dict[str, Any]:
    """The key of a reaction that the message does not show."""
    return _key(keys.channel_pk(channel_id), keys.reactions_sk(seq, emoji) + user_id)


def gap_item(channel_id: str, seq: int) -> dict[str, Any]:
    """The item of a gap: only its key, which holds the position."""
    return {"pk": s(keys.channel_pk(channel_id)), "sk": s(keys.gap_sk(seq))}


def idempotency_record_key(channel_id: str, user_id: str, key: str) -> dict[str, Any]:
    """The key of an idempotency record."""
    return {"pk": s(keys.channel_pk(channel_id)), "sk": s(keys.idempotency_record_sk(user_id, key))}


def key_use_key(key_id: str) -> dict[str, Any]:
    """The key of the item that reserves an idempotency key for a channel's creation."""
    return {"pk": s(keys.channel_pk(key_id)), "sk": s(keys.KEY_USE_SK)}


def membership_key(channel_id: str, user_id: str) -> dict[str, Any]:
    """The key of a membership."""
    return _key(*keys.membership_key(channel_id, user_id))


def follow_key(log_id: str, user_id: str) -> dict[str, Any]:
    """The key of what a user follows of a thread."""
    return _key(*keys.follow_key(log_id, user_id))


def past_membership_key(channel_id: str, user_id: str) -> dict[str, Any]:
    """The key of a past membership."""
    return {"pk": s(keys.user_pk(user_id)), "sk": s(keys.past_membership_sk(channel_id))}


def spent_key(user_id: str, minute: int) -> dict[str, Any]:
    """The key of the read units that a user has spent on expensive reads in a minute."""
    return {"pk": s(keys.budget_pk(user_id)), "sk": s(keys.minute_sk(minute))}


def listing_key(channel_id: str) -> dict[str, Any]:
    """The key of a public channel's listing."""
    return {"pk": s(keys.channel_pk(channel_id)), "sk": s(keys.LISTING_SK)}


def head_item(head: Head) -> dict[str, Any]:
    """The item of a new channel's head: it has no preview, gaps or redactions yet."""
    item = head_key(head.channel_id) | {
        "kind": s(head.kind),
        "name": s(head.name),
        "topic": s(head.topic),
        "creator": s(head.creator),
        "created_at": n(head.created_at),
        "version": n(head.version),
        "members": n(head.members),
        "owners": n(head.owners),
        "slow_mode": n(head.slow_mode),
        "seq": n(head.seq),
        "messages": n(head.messages),
    }
    if head.request_hash:
        item["request_hash"] = b(head.request_hash)
    return item


def listing_item(head: Head) -> dict[str, Any]:
    """The item that puts a channel into the index of public channels, separate so that the head stays below 1 KB.

    ``version`` is the version of the head it was made from, so that the later of two changes wins.
    """
    return listing_key(head.channel_id) | {
        "pub": s(PUBLIC),
        "pubname": s(keys.public_name(head.name, head.channel_id)),
        "version": n(head.version),
    }


def head_of(item: Item) -> Head:
    """A head from its item."""
    return _head(item, keys.channel_of(item["pk"]["S"]))


def reservation_of(item: Item, count: int) -> Reservation:
    """The last ``count`` positions given out, from the head's item after the update."""
    return Reservation(_n(item, "seq"), _n(item, "messages"), count, _n(item, "gn") if "gn" in item else 0)


def _head(item: Item, channel_id: str) -> Head:
    if keys.is_thread(channel_id):
        return replace(Head.of_thread(channel_id), **_log(item))  # Its item has no settings.
    return Head(
        channel_id=channel_id,
        kind=Kind(item["kind"]["S"]),
        name=item["name"]["S"],
        topic=item["topic"]["S"],
        creator=item["creator"]["S"],
        created_at=_n(item, "created_at"),
        archived_at=_n(item, "archived_at") if "archived_at" in item else None,
        version=_n(item, "version"),
        members=_n(item, "members"),
        owners=_n(item, "owners"),
        slow_mode=_n(item, "slow_mode"),
        request_hash=_b(item, "request_hash"),
        edit_window=_n(item, "ew") if "ew" in item else None,
        members_pin="mp" in item and _n(item, "mp") == 1,
        show_reads="sr" not in item or _n(item, "sr") == 1,
        mentions=tuple(_n(item, name) for name in EVERYBODY if name in item and _n(item, name)),
        retention_days=_n(item, "rd") if "rd" in item else None,
        retention_steps=_n(item, "rs") if "rs" in item else None,
        **_log(item),
    )


def _log(item: Item) -> dict[str, Any]:
    """The fields of a head that are about its log."""
    last = None
    if "lq" in item:
        last = Preview(_n(item, "lq"), item["lu"]["S"], item["lt"]["S"], _n(item, "lc"))
    return {
        "seq": _n(item, "seq"),
        "messages": _n(item, "messages"),
        "last": last,
        "erasures": _n(item, "erasures") if "erasures" in item else 0,
        "voids": _n(item, "gn") if "gn" in item else 0,
        "gaps": frozenset(map(int, item["gs"]["NS"])) if "gs" in item else frozenset(),
        "gaps_from": _n(item, "gf") if "gf" in item else 0,
        "rev": _n(item, "rev") if "rev" in item else 0,
        "boundary": boundary_of(item["x"]["B"]) if "x" in item else NOTHING_EXPIRED,
    }


def packed_boundary(boundary: Boundary) -> bytes:
    """A boundary in 24 bytes: a head has room for no more than that."""
    counts = (boundary.seq, boundary.messages, boundary.gaps, boundary.rev)
    return (boundary.cutoff // MINUTE_MS).to_bytes(4) + b"".join(each.to_bytes(5) for each in counts)


def boundary_of(packed: bytes) -> Boundary:
    """The inverse of ``packed_boundary``."""
    seq, messages, gaps, rev = (int.from_bytes(packed[at : at + 5]) for at in range(4, 24, 5))
    return Boundary(seq, messages, gaps, rev, int.from_bytes(packed[:4]) * MINUTE_MS)


def entry_item(channel_id: str, entry: Entry) -> dict[str, Any]:
    """The item of an entry; a void has no ``body``."""
    item = entry_key(channel_id, entry.seq) | {"n": n(entry.messages), "at": n(entry.at)}
    if entry.body is not None:
        item["body"] = b(entry.body)
    if entry.rev:
        item["rev"] = n(entry.rev)
    if entry.versions:
        item["versions"] = numbers(entry.versions)
    if entry.rewrites:
        item["rewrites"] = n(entry.rewrites)
    if entry.expires:
        item["expires"] = n(entry.expires)
    return item


def entry_of(item: Item) -> Entry:
    """An entry from its item."""
    body = _b(item, "body") if "body" in item else None
    return Entry(
        keys.seq_of(item["sk"]["S"]),
        _n(item, "n"),
        _n(item, "at"),
        body,
        _n(item, "rev") if "rev" in item else 0,
        tuple(int(each["N"]) for each in item["versions"]["L"]) if "versions" in item else (),
        _n(item, "rewrites") if "rewrites" in item else 0,
        _n(item, "expires") if "expires" in item else 0,
    )


def entries_of(found: Iterable[Item]) -> list[Entry]:
    """Entries from their items."""
    return [entry_of(item) for item in found]


def change_item(channel_id: str, change: Change) -> dict[str, Any]:
    """The item of a change."""
    item = change_key(channel_id, change.rev) | {
        "k": s(_KINDS[change.kind]),
        "seq": n(change.seq),
        "by": s(change.by),
        "at": n(change.at),
    }
    if change.body is not None:
        item["body"] = b(stored_body(channel_id, change))
    if change.emoji:
        item["e"] = s(change.emoji)
    if change.before:
        item["before"] = b(change.before)
    if change.expires:
        item["expires"] = n(change.expires)
    return item


def stored_body(channel_id: str, change: Change) -> bytes:
    """A change's ``body`` without its beginning and its end, which follow from the item's other attributes.

    So a message within 1 KB has changes within 1 KB, except edits that replace a long text and emoji above 23 bytes.
    """
    body, (first, last) = change.body or b"", _frame(channel_id, change.seq, change.rev)
    middle = body[len(first) : -len(last)]
    # A body that begins with a brace is whole.
    return middle if first + middle + last == body and not middle.startswith(b"{") else body


def _frame(channel_id: str, seq: int, rev: int) -> tuple[bytes, bytes]:
    """The beginning and the end of a message's JSON."""
    first = f'{{"id":"{keys.message_id(channel_id, seq)}","seq":{seq},"sender":"'
    return first.encode(), b',"rev":%d}' % rev


def _whole_body(item: Item, seq: int, rev: int) -> bytes:
    body: bytes = item["body"]["B"]
    if body.startswith(b"{"):
        return body
    first, last = _frame(keys.channel_of(item["pk"]["S"]), seq, rev)
    return first + body + last


def change_of(item: Item) -> Change:
    """A change from its item."""
    rev, seq = keys.seq_of(item["sk"]["S"]), _n(item, "seq")
    return Change(
        rev=rev,
        kind=_KIND_OF[item["k"]["S"]],
        seq=seq,
        by=item["by"]["S"],
        at=_n(item, "at"),
        body=_whole_body(item, seq, rev) if "body" in item else None,
        emoji=item["e"]["S"] if "e" in item else "",
        before=_b(item, "before"),
        expires=_n(item, "expires") if "expires" in item else 0,
    )


def pin_name(seq: int) -> str:
    """The attribute of a pin."""
    return f"{PIN}{seq:x}"


def pins_of(item: Item) -> dict[int, int]:
    """Positions of pinned messages, each with the number of the change that pinned it."""
    pins = (name for name in item if name.startswith(PIN) and name != "pk")
    return {int(name[1:], 16): _n(item, name) for name in pins}


def membership_item(membership: Membership) -> dict[str, Any]:
    """The item of a membership; ``ch`` is the partition key of the index of members."""
    item = membership_key(membership.channel_id, membership.user_id) | {
        "ch": s(membership.channel_id),
        "role": s(membership.role),
        "joined_at": n(membership.joined_at),
        "read_seq": n(membership.read_seq),
        "read_messages": n(membership.read_messages),
        "read_voids": n(membership.read_voids),
        "tat": n(membership.tat),
    }
    if membership.changes_tat:
        item["ct"] = n(membership.changes_tat)
    return item | MUTED if membership.muted else item


def membership_of(item: Item) -> Membership:
    """A membership from its item."""
    return _membership(item, keys.user_of(item["pk"]["S"]), keys.channel_of(item["sk"]["S"]))


def _membership(item: Item, user_id: str, channel_id: str) -> Membership:
    return Membership(
        user_id=user_id,
        channel_id=channel_id,
        role=Role(item["role"]["S"]),
        joined_at=_n(item, "joined_at"),
        read_seq=_n(item, "read_seq"),
        read_messages=_n(item, "read_messages"),
        tat=_n(item, "tat"),
        read_voids=_n(item, "read_voids")
        if "read_voids" in item
        else 0,  # items written before gaps were counted lack it
        changes_tat=_n(item, "ct") if "ct" in item else 0,
        mentions=_mentions(item),
        blocks=BLOCKS in item,
        is_blocked=IS_BLOCKED in item,
        muted="muted" in item,
    )


def follow_of(item: Item) -> Follow:
    """What a user follows of a thread, from its item."""
    return _follow(item, keys.user_of(item["pk"]["S"]), keys.channel_of(item["sk"]["S"]))


def _follow(item: Item, user_id: str, log_id: str) -> Follow:
    seq, messages, voids = (_n(item, name) for name in READ_POSITION)
    return Follow(user_id, log_id, seq, messages, voids, _mentions(item))


def _mentions(item: Item) -> frozenset[int]:
    return frozenset(map(int, item["mentions"]["NS"])) if "mentions" in item else frozenset()


def member_of(item: Item) -> Member:
    """A member from the index, which projects only a part of the membership."""
    return Member(keys.user_of(item["pk"]["S"]), Role(item["role"]["S"]), _n(item, "joined_at"))


def past_membership_item(membership: Membership) -> dict[str, Any]:
    """The item of a past membership, written when ``membership`` ends."""
    return past_membership_key(membership.channel_id, membership.user_id) | {
        "joined_at": n(membership.joined_at),
        "tat": n(max(membership.tat, membership.changes_tat)),
    }


def past_membership_of(item: Item) -> PastMembership:
    """A past membership from its item."""
    tat = _n(item, "tat") if "tat" in item else 0  # older items lack it
    # Who was banned without ever being a member never joined.
    joined_at = _n(item, "joined_at") if "joined_at" in item else 0
    return PastMembership(keys.channel_of(item["sk"]["S"]), joined_at, tat, BANNED in item)


def block_item(block: Block) -> dict[str, Any]:
    """The item of a block."""
    return block_key(block.user_id, block.other_id) | {"at": n(block.at)}


def block_key(user_id: str, other_id: str) -> dict[str, Any]:
    """The key of a block."""
    return _key(keys.user_pk(user_id), keys.block_sk(other_id))


def blocker_key(user_id: str, other_id: str) -> dict[str, Any]:
    """The key of the item that tells a user's partition who has blocked the user."""
    return _key(keys.user_pk(user_id), keys.blocker_sk(other_id))


def block_of(item: Item) -> Block:
    """A block from its item."""
    other_id = item["sk"]["S"].removeprefix(keys.BLOCKS)
    return Block(keys.user_of(item["pk"]["S"]), other_id, _n(item, "at"))


def ban_key(channel_id: str, user_id: str) -> dict[str, Any]:
    """The key of a ban."""
    return _key(keys.channel_pk(channel_id), keys.ban_sk(user_id))


def ban_item(ban: Ban) -> dict[str, Any]:
    """The item of a ban."""
    item = ban_key(ban.channel_id, ban.user_id) | {"by": s(ban.by), "at": n(ban.at)}
    return item | ({"reason": s(ban.reason)} if ban.reason else {})


def ban_of(item: Item) -> Ban:
    """A ban from its item."""
    user_id = item["sk"]["S"].removeprefix(keys.BANS)
    return Ban(keys.channel_of(item["pk"]["S"]), user_id, _s(item, "by"), _n(item, "at"), _s(item, "reason"))


def report_key(channel_id: str, report_id: str, *, is_open: bool) -> dict[str, Any]:
    """The key of an open or a closed report."""
    return _key(keys.channel_pk(channel_id), keys.report_sk(report_id, is_open=is_open))


def open_reports_key(channel_id: str) -> dict[str, Any]:
    """The key of the item that counts a channel's open reports."""
    return _key(keys.channel_pk(channel_id), keys.REPORTS_SK)


def report_made_key(user_id: str, message_id: str) -> dict[str, Any]:
    """The key of the item that tells which report a user has made of a message."""
    return _key(keys.user_pk(user_id), keys.report_made_sk(message_id))


def report_item(report: Report) -> dict[str, Any]:
    """The item of a report."""
    texts = {
        "message": report.message_id,
        "reporter": report.reporter,
        "reason": report.reason,
        "text": report.text,
        "closed_by": report.closed_by,
        "resolution": report.resolution,
    }
    item = report_key(report.channel_id, report.report_id, is_open=report.is_open) | {"at": n(report.at)}
    item |= {name: s(text) for name, text in texts.items() if text}
    return item | ({} if report.closed_at is None else {"closed_at": n(report.closed_at)})


def report_of(item: Item) -> Report:
    """A report from its item."""
    return Report(
        channel_id=keys.channel_of(item["pk"]["S"]),
        report_id=item["sk"]["S"].rpartition("#")[2],
        message_id=_s(item, "message"),
        reporter=_s(item, "reporter"),
        reason=_s(item, "reason"),
        text=_s(item, "text"),
        at=_n(item, "at"),
        closed_at=_n(item, "closed_at") if "closed_at" in item else None,
        closed_by=_s(item, "closed_by"),
        resolution=_s(item, "resolution"),
    )


def channel_state_keys(
    channel_id: str, user_id: str, key: str | None, *, with_follow: bool = True
) -> list[dict[str, Any]]:
    """The keys of the items that ``channel_state_of`` expects."""
    return [
        _key(*each) for each in keys.channel_state_keys(channel_id, user_id, key, with_follow=with_follow)
    ]


def channel_state_of(found: Iterable[Item], log_id: str, user_id: str, key: str | None) -> ChannelState:
    """Head, membership and the idempotency record of ``key``, from those of their items that exist, in any order."""
    root = keys.root_of(log_id)
    if root is not None:
        return _thread_state_of(found, log_id, root, user_id, key)
    # The sort keys are HEAD, C#…, I#… and E#…: each begins with another letter.
    by_letter = {item["sk"]["S"][0]: item for item in found}
    head, membership, record = (
        by_letter.get(each[0]) for each in (keys.HEAD_SK, keys.MEMBERSHIPS, keys.IDEMPOTENCY_RECORDS)
    )
    return _state(head, membership, record, log_id, user_id, key)


def _state(
    head: Item | None,
    membership: Item | None,
    record: Item | None,
    channel_id: str,
    user_id: str,
    key: str | None,
) -> ChannelState:
    return ChannelState(
        _head(head, channel_id) if head else None,
        _membership(membership, user_id, channel_id) if membership else None,
        idempotency_record_of(record, key) if record and key is not None else None,
    )


def _thread_state_of(
    found: Iterable[Item], log_id: str, root: tuple[str, int], user_id: str, key: str | None
) -> ChannelState:
    channel_id = root[0]
    by_key = {(item["pk"]["S"], item["sk"]["S"]): item for item in found}
    head, membership, thread, first, follow = (
        by_key.get(each)
        for each in (
            keys.head_key(channel_id),
            keys.membership_key(channel_id, user_id),
            keys.head_key(log_id),
            keys.entry_key(*root),
            keys.follow_key(log_id, user_id),
        )
    )
    record = (
        by_key.get((keys.channel_pk(log_id), keys.idempotency_record_sk(user_id, key)))
        if key is not None
        else None
    )
    return _state(head, membership, record, channel_id, user_id, key).in_thread(
        _head(thread, log_id) if thread else Head.of_thread(log_id),
        entry_of(first) if first else None,
        _follow(follow, user_id, log_id) if follow else None,
    )


def idempotency_record_item(channel_id: str, user_id: str, record: IdempotencyRecord) -> dict[str, Any]:
    """The item of an idempotency record; DynamoDB deletes it some time after ``expires``."""
    return idempotency_record_key(channel_id, user_id, record.key) | {
        "hash": b(record.request_hash),
        "seq": n(record.seq),
        "count": n(record.count),
        "expires": n(record.expires),
    }


def idempotency_record_of(item: Item, key: str) -> IdempotencyRecord:
    """An idempotency record from its item."""
    return IdempotencyRecord(key, _b(item, "hash"), _n(item, "seq"), _n(item, "count"), _n(item, "expires"))


def _n(item: Item, name: str) -> int:
    return int(item[name]["N"])


def _s(item: Item, name: str) -> str:
    return item[name]["S"] if name in item else ""


def _b(item: Item, name: str) -> bytes:
    return item[name]["B"] if name in item else b""
