"""News by the table's stream: by its records, and as the storage in memory tells them."""

from __future__ import annotations

import base64
import json
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.dynamodb.engine import MINISTACK
from shared.domain import keys
from shared.domain.changes import Change, ChangeKind
from shared.domain.model import Entry, Follow, Head, Kind, Membership, Role, mention_mark
from shared.domain.moderation import Ban, Block, Report
from shared.domain.news import (
    Changed,
    ChannelChanged,
    ChannelEvent,
    MembershipChanged,
    Mentioned,
    News,
    Posted,
    ReadMoved,
    WatchChanged,
)
from shared.domain.realtime import Connection, Watch
from shared.storage import items, realtime_items
from shared.storage.memory import MemoryStore
from shared.storage.protocol import ChangeCommit, Committed, Store
from shared.storage.stream import news_of
from tests.contract.samples import (
    NOW,
    SECOND,
    commitment,
    entry,
    head_of,
    idempotency_record,
    membership_of,
    reserve,
    user,
)
from tests.engines import TABLE, Engines

Image = Mapping[str, Any]


def json_of(item: Image) -> Image:
    """An item as an event of Lambda has it: binary is text."""

    def text(raw: bytes) -> str:
        return base64.b64encode(raw).decode()

    return dict(json.loads(json.dumps(item, default=text)))


def record(before: Image | None, after: Image | None) -> dict[str, Any]:
    """The record of a write; None where there is no item."""
    there = after or before or {}
    images = {"OldImage": before, "NewImage": after}
    change = {name: json_of(image) for name, image in images.items() if image is not None}
    change["Keys"] = {name: there[name] for name in ("pk", "sk")}
    kind = "INSERT" if before is None else "REMOVE" if after is None else "MODIFY"
    return {"eventID": "1", "eventName": kind, "eventSource": "aws:dynamodb", "dynamodb": change}


# --- both alike ---


@dataclass
class Course:
    """The same operations for each storage, one after the other."""

    store: Store
    channel: str
    ada: str
    eve: str
    bob: str

    def __post_init__(self) -> None:
        self.thread = keys.message_id(self.channel, 1)
        self.connection = Connection("conn=", self.eve, NOW, SECOND + 60)
        self.marks = frozenset({mention_mark(NOW, 1)})

    @property
    def partitions(self) -> list[str]:
        """All that the operations write to and the stream tells of."""
        people = [
            each(user_id)
            for user_id in (self.ada, self.eve, self.bob)
            for each in (keys.user_pk, keys.follows_pk)
        ]
        return [keys.channel_pk(self.channel), keys.channel_pk(self.thread), *people]

    def steps(self) -> list[Callable[[], object]]:
        """The operations."""
        return [
            *(self._create, self._post, self._read, self._void, self._edit, self._reply, self._read_thread),
            *(
                self._follow,
                self._forget,
                self._rename,
                self._archive,
                self._unarchive,
                self._join,
                self._promote,
            ),
            *(
                self._mute,
                self._watch,
                self._unwatch,
                self._watch,
                self._leave,
                self._ban,
                self._end,
                self._close,
            ),
        ]

    def member(self, user_id: str) -> Membership:
        """A membership."""
        return membership_of(self.store, self.channel, user_id)

    def _create(self) -> None:
        head = Head(self.channel, Kind.PRIVATE, "birds", "", self.ada, NOW, members=2)
        members = [Membership(each, self.channel, Role.OWNER, NOW) for each in (self.ada, self.eve)]
        assert self.store.create_channel(replace(head, owners=2), members) is None

    def _post(self) -> None:
        first = entry(reserve(self.store, self.channel).seq)
        made = commitment(self.channel, self.ada, first, key="key", mentions={self.eve: self.marks})
        assert self.store.commit(made) == Committed()

    def _read(self) -> None:
        self.store.move_read_position(self.channel, self.eve, 1, 1, force=False)

    def _void(self) -> None:
        seq = reserve(self.store, self.channel).seq
        self.store.void(self.channel, [entry(seq, None)])
        self.store.void(self.channel, [entry(seq, None)])

    def _edit(self) -> None:
        head, by, seen = head_of(self.store, self.channel), self.member(self.ada), entry(1)
        change = Change(head.rev + 1, ChangeKind.REACTION_ADDED, 1, self.ada, NOW, b"{}", ":x:")
        marks = {self.eve: frozenset({mention_mark(NOW + 1, 1)})}
        made = ChangeCommit(head, by, seen, change, replace(seen, rev=change.rev), mentions=marks)
        assert self.store.commit_change(made) == Committed()

    def _reply(self) -> None:
        reply, seen = entry(reserve(self.store, self.thread).seq), self.member(self.ada)
        made = commitment(self.thread, self.ada, reply, tat_seen=seen.tat, tat=seen.tat + 1, move_read=False)
        made = replace(made, mentions={self.eve: self.marks}, follow=True, follower=self.bob)
        assert self.store.commit(made) == Committed()

    def _read_thread(self) -> None:
        self.store.move_thread_position(self.thread, self.eve, 1, 1, force=False)

    def _follow(self) -> None:
        self.store.unfollow(self.thread, self.bob)
        self.store.follow(Follow(self.bob, self.thread))

    def _forget(self) -> None:
        for log_id in (self.channel, self.thread):
            self.store.forget_mentions(log_id, self.eve, self.marks)

    def _rename(self) -> None:
        assert self.store.update_channel(self.channel, {"topic": "new"}, None)

    def _archive(self) -> None:
        assert self.store.archive_channel(self.channel, NOW)

    def _unarchive(self) -> None:
        assert self.store.unarchive_channel(head_of(self.store, self.channel))

    def _join(self) -> None:
        self.store.add_member(
            Membership(self.bob, self.channel, Role.MEMBER, NOW, read_seq=1, read_messages=1)
        )

    def _promote(self) -> None:
        assert self.store.change_role(self.member(self.bob), Role.MODERATOR)

    def _mute(self) -> None:
        self.store.mute(self.channel, self.bob, muted=True)

    def _watch(self) -> None:
        self.store.open_connection(self.connection)
        logs = (self.channel, self.thread)
        watches = [Watch(each, self.eve, "conn=", self.connection.expires) for each in logs]
        for is_live in (False, True):
            live = [replace(each, is_live=is_live) for each in watches]
            assert self.store.watch(self.connection, live, 2) == Committed()
        assert self.store.may_type(watches[0], NOW, 1)

    def _unwatch(self) -> None:
        self.store.unwatch(self.connection, [self.channel, self.thread])

    def _leave(self) -> None:
        assert self.store.remove_member(self.member(self.bob))

    def _ban(self) -> None:
        ban = Ban(self.channel, self.eve, self.ada, NOW)
        assert self.store.ban(ban, self.member(self.eve), self.member(self.ada))

    def _end(self) -> None:
        self.store.end_watches(self.channel, self.eve)

    def _close(self) -> None:
        self.store.close_connection(self.connection)


@pytest.mark.stack
def test_memory_tells_what_the_stream_says(engines: Engines) -> None:
    """After each operation the same news, seen in the items before and after it."""
    names = (keys.new_channel_id(), user(), user(), user())
    told: list[News] = []
    in_memory = Course(MemoryStore(on_news=told.append), *names)
    on_engine = Course(engines.store(MINISTACK), *names)
    kinds: set[type[News]] = set()
    images: dict[tuple[str, str], Image] = {}
    client = engines.client(MINISTACK)
    for step, same in zip(in_memory.steps(), on_engine.steps(), strict=True):
        told.clear()
        step()
        same()
        before, images = images, {}
        for pk in on_engine.partitions:
            found = client.query(
                TableName=TABLE,
                ConsistentRead=True,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": pk}},
            )
            images |= {(pk, item["sk"]["S"]): item for item in found["Items"]}
        changed = [key for key in before | images if before.get(key) != images.get(key)]
        said = [each for key in changed for each in news_of(record(before.get(key), images.get(key)))]
        assert Counter(said) == Counter(told), step.__name__
        kinds |= {type(each) for each in told}
    assert len(kinds) == 7


# --- by records ---


CHANNEL = "0123456789abcdef"
THREAD = keys.message_id(CHANNEL, 1)
MEMBER = Membership(
    "ada", CHANNEL, Role.MEMBER, 1, read_seq=3, tat=5, mentions=frozenset({mention_mark(1, 2)})
)
HEAD = Head(CHANNEL, Kind.PUBLIC, "lobby", "", "ada", 0)


def member_item(membership: Membership) -> Image:
    """With its mentions, which are added later."""
    marks = {"mentions": items.ns(membership.mentions)} if membership.mentions else {}
    return items.membership_item(membership) | marks


def follow_item(*marks: int) -> Image:
    """What is followed of a thread."""
    position = {name: items.n(0) for name in items.READ_POSITION}
    return items.follow_key(THREAD, "ada") | position | {"mentions": items.ns(marks)}


@pytest.mark.parametrize(
    ("before", "after", "news"),
    [
        (None, items.entry_item(THREAD, entry(4)), [Posted(THREAD, 4, NOW)]),
        (items.entry_item(THREAD, entry(4)), items.entry_item(THREAD, entry(4, b"x")), []),
        (items.entry_item(THREAD, entry(4)), None, []),
        (
            None,
            items.change_item(CHANNEL, Change(7, ChangeKind.PINNED, 1, "ada", 9)),
            [Changed(CHANNEL, 7, 9)],
        ),
        (
            items.head_item(HEAD),
            items.head_item(HEAD) | {"version": items.n(2), "x": items.b(bytes(24))},
            [ChannelChanged(CHANNEL, ChannelEvent.CHANGED, 2)],
        ),
        (
            items.head_item(HEAD),
            items.head_item(HEAD) | {"version": items.n(2), "archived_at": items.n(1)},
            [ChannelChanged(CHANNEL, ChannelEvent.ARCHIVED, 2)],
        ),
        (items.head_item(HEAD), items.head_item(HEAD) | {"seq": items.n(2)}, []),
        (None, member_item(MEMBER), [MembershipChanged(CHANNEL, "ada", ChannelEvent.ADDED)]),
        (member_item(MEMBER), None, [MembershipChanged(CHANNEL, "ada", ChannelEvent.REMOVED)]),
        (member_item(MEMBER), member_item(replace(MEMBER, read_seq=1)), [ReadMoved(CHANNEL, "ada", 1)]),
        (member_item(MEMBER), member_item(replace(MEMBER, read_seq=4, tat=6)), []),
        (
            member_item(replace(MEMBER, mentions=frozenset())),
            member_item(MEMBER),
            [Mentioned(CHANNEL, "ada", 2)],
        ),
        (member_item(MEMBER), member_item(replace(MEMBER, mentions=frozenset())), []),
        (None, follow_item(mention_mark(1, 8)), [Mentioned(THREAD, "ada", 8)]),
        (
            follow_item(mention_mark(1, 8)),
            follow_item(mention_mark(1, 8), mention_mark(2, 9)),
            [Mentioned(THREAD, "ada", 9)],
        ),
        (
            None,
            realtime_items.watch_item(Watch(THREAD, "ada", "conn=", 1)),
            [WatchChanged(THREAD, "ada", "conn=", is_begun=True)],
        ),
        (
            realtime_items.watch_item(Watch(CHANNEL, "ada", "conn=", 1)),
            None,
            [WatchChanged(CHANNEL, "ada", "conn=", is_begun=False)],
        ),
    ],
)
def test_what_a_record_says(before: Image | None, after: Image | None, news: list[News]) -> None:
    """One kind of news a kind of record."""
    assert news_of(record(before, after)) == news


IDS = st.text(st.characters(exclude_characters="#", exclude_categories=["Cs"]), min_size=1, max_size=9)
NUMBERS = st.integers(0, keys.MAX_SEQ)


@st.composite
def any_item(draw: st.DrawFn) -> Image:
    """An item of the table, of any kind."""
    one, other, number = draw(IDS), draw(IDS), draw(NUMBERS)
    raw, log_id = draw(st.binary(min_size=1, max_size=9)), draw(st.sampled_from([CHANNEL, THREAD]))
    position = {name: items.n(number) for name in items.READ_POSITION}
    report = Report(CHANNEL, keys.new_report_id(number), THREAD, one, "spam", other, number)
    connection = Connection(secrets.token_urlsafe(8), one, number, number)
    made = [
        items.head_item(replace(HEAD, name=one, seq=number, request_hash=raw)) | {"x": items.b(raw)},
        items.head_key(THREAD) | {"seq": items.n(number), "messages": items.n(number), "x": items.b(raw)},
        items.listing_item(HEAD),
        items.entry_item(log_id, Entry(number, number, number, draw(st.sampled_from([None, raw])), number)),
        items.gap_item(log_id, number),
        items.change_item(log_id, Change(number, ChangeKind.EDITED, number, one, number, raw, before=raw)),
        items.reaction_key(log_id, number, "👍", one) | {"rev": items.n(number)},
        items.pins_key(CHANNEL) | {items.pin_name(number): items.n(number)},
        items.idempotency_record_item(log_id, one, idempotency_record("key", number)),
        items.key_use_key(CHANNEL) | {"hash": items.b(raw)},
        member_item(Membership(one, CHANNEL, Role.OWNER, number, mentions=frozenset({number}))),
        items.past_membership_item(MEMBER),
        items.follow_key(THREAD, one) | position,
        items.block_item(Block(one, other, number)),
        items.blocker_key(one, other) | {"at": items.n(number)},
        items.ban_item(Ban(CHANNEL, one, other, number)),
        items.report_item(report),
        items.open_reports_key(CHANNEL) | {"n": items.n(number)},
        items.report_made_key(one, THREAD) | {"report": items.s(other)},
        items.spent_key(one, number) | {"units": items.n(number)},
        realtime_items.ticket_item("0" * 32, one, number),
        realtime_items.connection_item(connection) | {realtime_items.LOGS: realtime_items.ss([log_id])},
        realtime_items.user_connection_item(connection),
        realtime_items.watch_item(Watch(log_id, one, connection.connection_id, number, is_live=True)),
    ]
    return dict(draw(st.sampled_from(made)))


@given(any_item(), st.sampled_from(["INSERT", "MODIFY", "REMOVE"]))
def test_every_record_of_ours_is_understood(item: Image, kind: str) -> None:
    """Whatever happens to an item, its record says something or nothing."""
    news = news_of(record(None if kind == "INSERT" else item, None if kind == "REMOVE" else item))
    assert len(news) <= 1
    assert kind != "MODIFY" or news == []


def broken() -> Iterable[dict[str, Any]]:
    """Records that are none of ours."""
    whole = record(None, items.entry_item(CHANNEL, entry(1)))
    yield {}
    yield whole | {"dynamodb": None}
    yield whole | {"eventName": "MODIFY"}
    yield whole | {"dynamodb": {"Keys": whole["dynamodb"]["Keys"]}}
    yield whole | {"dynamodb": {"Keys": {"id": {"N": "1"}}, "NewImage": {}}}
    yield record(None, items.entry_key(CHANNEL, 1))
    yield record(None, {"pk": items.s(f"C#{CHANNEL}"), "sk": items.s("W#ada#conn=")})
    yield record(None, items.membership_key(CHANNEL, "ada"))


def test_a_record_that_is_not_understood_is_an_error() -> None:
    """Always the same one, by which its batch is told to skip it."""
    for each in broken():
        with pytest.raises(ValueError, match="no record"):
            news_of(each)
