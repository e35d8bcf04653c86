"""What changes of messages cost: by AWS's rules from the items' sizes, and by the engines' figures.

ministack counts write units as AWS does, DynamoDB Local read units.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest

from local.dynamodb.engine import DYNAMODB_LOCAL, MINISTACK
from operators.units import WRITE_BYTES, query_units, size, sizes, write_units
from shared.bootstrap import Services, compose
from shared.domain import changes, keys, model
from shared.domain.changes import MAX_PINS, MAX_VERSIONS, SHOWN_USERS, Change, ChangeKind, Reactions
from shared.domain.mentions import NOBODY
from shared.domain.messages import Draft
from shared.domain.model import MAX_GAPS, Entry, Kind, Membership, Role
from shared.observability.meter import Meter, start_meter
from shared.settings import Settings
from shared.storage import items
from shared.storage.items import n
from shared.storage.log_reader import DirectLogReader
from shared.storage.memory import MemoryStore
from shared.use_cases import delete_messages, edit_messages, pin_messages, react_to_messages
from shared.use_cases.fetch_changes import fetch_changes
from shared.use_cases.post_message import post_message
from tests.contract.changing import THUMB, make, post
from tests.contract.samples import NOW, head_of, open_channel, user
from tests.contract.test_units import CHANNEL, ENGINES, LARGE, USER, entry_with, text_of_a_kilobyte
from tests.engines import Engines

LONGEST: Final = "ü" * (keys.MAX_USER_ID_BYTES // 2)
FAMILY: Final = "👨‍👩‍👦"
"""18 bytes; no emoji has more than 35."""


# --- by AWS's rules ---


def after(kind: ChangeKind, channel: str, seq: int, room: int) -> tuple[Entry, Change]:
    """A message after a change whose item, without a list of versions, has exactly so many bytes; and the change."""

    def made(text: str) -> tuple[Entry, Change]:
        before = items.entry_of(entry_with(text, channel=channel, seq=seq)).body or b""
        emoji, packed = "", b""
        match kind:
            case ChangeKind.REACTION_ADDED | ChangeKind.REACTION_REMOVED:
                emoji = FAMILY
                body = changes.with_reactions(before, seq, [Reactions(emoji, 1, (USER,))])
            case ChangeKind.EDITED:
                fields = {"text": f"{text[:-2]}!!"}
                body = changes.edited(before, seq, USER, NOW + 1, fields, NOBODY)
                packed = changes.packed(before, body)
            case _:
                body = changes.with_reactions(before, seq, [])
        change = Change(seq, kind, seq, USER, NOW + 1, body, emoji, packed)
        return Entry(seq, seq, NOW + 1, body, seq), change

    least = size(items.entry_item(channel, made("xx")[0])) - 2
    return made("x" * (room - least))


@pytest.mark.parametrize("seq", [1, 99, 12_345, LARGE])
@pytest.mark.parametrize("channel", [CHANNEL, "v" * 16])
@pytest.mark.parametrize("kind", [ChangeKind.EDITED, ChangeKind.REACTION_ADDED, ChangeKind.REACTION_REMOVED])
def test_a_message_of_exactly_a_kilobyte_and_its_change(kind: ChangeKind, channel: str, seq: int) -> None:
    """The message's item fills 1,024 bytes after the change; the item of the change is not larger."""
    entry, change = after(kind, channel, seq, WRITE_BYTES)
    assert size(items.entry_item(channel, entry)) == WRITE_BYTES
    assert size(items.change_item(channel, change)) <= WRITE_BYTES
    assert items.change_of(items.change_item(channel, change)) == change


def test_the_change_of_a_message_is_stored_without_what_is_known() -> None:
    """Id, position and number follow from the item; a body of another form is stored as it is."""
    start = b'{"id":"%s-00000001","seq":1,' % CHANNEL.encode()
    for middle in (b'"sender":"ada"', b'"sender":""', b'"sender":"","x":1'):
        change = Change(1, ChangeKind.EDITED, 1, USER, NOW, start + middle + b',"rev":1}')
        item = items.change_item(CHANNEL, change)
        assert item["body"]["B"] == middle.removeprefix(b'"sender":"')
        assert items.change_of(item) == change
    for body in (
        b'{"id":"x","rev":1}',
        b"{}",
        start + b'"rev":1}',
        start + b'"sender":"{","rev":1}',
        start + b'"sender":"ada","rev":2}',
        start + b'"sender":"ada"}',
    ):
        change = Change(1, ChangeKind.EDITED, 1, USER, NOW, body)
        item = items.change_item(CHANNEL, change)
        assert item["body"]["B"] == body
        assert items.change_of(item) == change


def test_marks_and_pins_stay_within_a_kilobyte() -> None:
    """A membership with all marks that it keeps, by the longest user id; all pins, at the last positions."""
    marks = items.ns((NOW + 1) * model.MARK + keys.MAX_SEQ - i for i in range(model.MAX_KEPT_MENTIONS))
    membership = Membership(
        LONGEST, CHANNEL, Role.MODERATOR, NOW + 1, keys.MAX_SEQ, keys.MAX_SEQ, NOW + 1, keys.MAX_SEQ
    )
    assert size(items.membership_item(membership) | {"mentions": marks}) <= WRITE_BYTES
    pins = {items.pin_name(keys.MAX_SEQ - i): n(keys.MAX_SEQ) for i in range(MAX_PINS)}
    item = items.pins_key(CHANNEL) | pins | {"n": n(MAX_PINS)}
    assert items.pins_of(item) == {keys.MAX_SEQ - i: keys.MAX_SEQ for i in range(MAX_PINS)}
    assert size(item) <= WRITE_BYTES


def test_what_never_changed_is_stored_as_before() -> None:
    """No item of a channel, a member or a message has an attribute more."""
    store = MemoryStore()
    channel = open_channel(store, USER)
    made = post(store, channel, USER)
    assert set(items.entry_item(channel, made)) == {"pk", "sk", "n", "at", "body"}
    head = items.head_item(head_of(store, channel))
    assert not {"rev", "ew", "mp", *items.EVERYBODY} & set(head)
    [membership] = store.memberships(USER)
    assert "mentions" not in items.membership_item(membership)


# --- by the engines ---


class Room:
    """A channel on an engine, with a message within 1 KB that has room for what changes add to it."""

    def __init__(self, engines: Engines, kind: str, *more: str) -> None:
        store = engines.store(kind)
        composed = compose(Settings(rate_burst=1000), store)
        self.services: Services = replace(composed, reader=DirectLogReader(store))
        self.store = store
        self.channel = open_channel(store, USER, *more, kind=Kind.PUBLIC)
        self.text = text_of_a_kilobyte()[:-230]
        self.message = self.post(self.text)

    def post(self, text: str) -> str:
        """The id of a new message."""
        posted = post_message(self.services, USER, self.channel, [Draft(text)], None)
        return keys.message_id(self.channel, posted.last_seq)

    def cost(
        self, change: Callable[..., object], *arguments: object, by: str = USER, **named: object
    ) -> Meter:
        """What a change of the message costs."""
        meter = start_meter()
        change(self.services, by, self.channel, self.message, *arguments, **named)
        return meter


def units(kind: str, meter: Meter) -> float:
    """The figure that the engine counts as AWS does."""
    return meter.read_units if kind == DYNAMODB_LOCAL else meter.write_units


@pytest.mark.parametrize("kind", ENGINES)
def test_each_change_costs_what_was_computed(engines: Engines, kind: str) -> None:
    """3 read units and 8 write units; with a key one read more (of a record that is not there) and 10 write units."""
    room = Room(engines, kind)
    edit, delete = edit_messages.edit_message, delete_messages.delete_message
    react, unreact = react_to_messages.add_reaction, react_to_messages.remove_reaction
    pin, unpin = pin_messages.pin_message, pin_messages.unpin_message
    text = room.text
    plain = [
        room.cost(edit, {"text": text[:-3] + "new"}),
        room.cost(react, THUMB),
        room.cost(unreact, THUMB),
        room.cost(pin),
        room.cost(unpin),
    ]
    keyed = room.cost(edit, {"text": "once more " + text[10:]}, key="k" * 255)
    plain.append(room.cost(delete))
    # DynamoDB Local counts nothing for the record that does not exist; AWS counts 1.
    assert [units(kind, each) for each in plain] == [3 if kind == DYNAMODB_LOCAL else 8] * 6
    assert units(kind, keyed) == (3 if kind == DYNAMODB_LOCAL else 10)
    assert {each.calls for each in [*plain, keyed]} == {2}


@pytest.mark.parametrize("kind", ENGINES)
def test_what_changes_nothing_writes_nothing(engines: Engines, kind: str) -> None:
    """Repeated deletions, reactions and edits cost one read; a repeated pin the refused transaction."""
    room = Room(engines, kind)
    room.cost(react_to_messages.add_reaction, THUMB)
    room.cost(pin_messages.pin_message)
    assert room.cost(pin_messages.pin_message).calls == 2
    again = [
        room.cost(react_to_messages.add_reaction, THUMB),
        room.cost(react_to_messages.remove_reaction, "🦜"),
        room.cost(edit_messages.edit_message, {"text": room.text}),
    ]
    room.cost(delete_messages.delete_message)
    again.append(room.cost(delete_messages.delete_message))
    assert {(each.write_units, each.calls) for each in again} == {(0, 1)}
    if kind == DYNAMODB_LOCAL:
        assert {each.read_units for each in again} == {3}


@pytest.mark.parametrize("kind", ENGINES)
def test_mentions_cost_what_was_computed(engines: Engines, kind: str) -> None:
    """2 write units for each user who is newly named, is named no more, or was named in what is deleted; 1 read."""
    eve, bob = user(), user()
    room = Room(engines, kind, eve, bob)
    costs = [
        room.cost(edit_messages.edit_message, {"text": f"<@{eve}> <@{bob}>"}),
        room.cost(edit_messages.edit_message, {"text": f"<@{eve}>!"}),
        room.cost(delete_messages.delete_message),
    ]
    expected = [3 + 2, 3 + 1, 3] if kind == DYNAMODB_LOCAL else [8 + 4, 8 + 2, 8 + 2]
    assert [units(kind, each) for each in costs] == expected


@pytest.mark.parametrize("kind", ENGINES)
def test_reactions_beyond_the_shown_ones_cost_what_was_computed(engines: Engines, kind: str) -> None:
    """1 read unit and 2 write units more, also where the next user is shown in the place of another."""
    users = [f"{i:036d}" for i in range(SHOWN_USERS + 2)]
    room = Room(engines, kind, *users)
    for each in users[:SHOWN_USERS]:
        room.cost(react_to_messages.add_reaction, THUMB, by=each)
    last, beyond = users[SHOWN_USERS:]
    more, fewer = react_to_messages.add_reaction, react_to_messages.remove_reaction
    costs = [
        room.cost(more, THUMB, by=last),
        room.cost(more, THUMB, by=beyond),
        room.cost(fewer, THUMB, by=last),
        room.cost(fewer, THUMB, by=users[0]),
    ]
    # The first finds that the message shows everyone who reacted. The message shows 20 users of 36 bytes, so that
    # message and change are above 1 KB, 4 write units each.
    reads, writes = [3, 4, 4, 4], [14, 14, 14, 14]
    assert [units(kind, each) for each in costs] == (reads if kind == DYNAMODB_LOCAL else writes)


@pytest.mark.stack
def test_a_deletion_beyond_eight_gaps_costs_what_was_computed(engines: Engines) -> None:
    """1 write unit more to list the smallest gap, and 1 to remove it from the head."""
    room = Room(engines, MINISTACK)
    messages = [room.message, *(room.post(room.text) for _ in range(MAX_GAPS))]
    costs = []
    for room.message in messages:
        costs.append(room.cost(delete_messages.delete_message))
    assert [each.write_units for each in costs] == [8] * MAX_GAPS + [10]
    assert costs[-1].calls == 4


@pytest.mark.stack
@pytest.mark.dynamodb_local
def test_a_page_of_changes_costs_what_was_computed(engines: Engines) -> None:
    """Head and membership 2, and a unit for each 4 KB of changes; as a 304 the 2 alone."""
    room = Room(engines, DYNAMODB_LOCAL)
    stored = [make(room.store, room.channel, USER, kind=ChangeKind.EDITED).change for _ in range(50)]
    meter = start_meter()
    page = fetch_changes(room.services, USER, room.channel, 0, 50, frozenset())
    expected = query_units(sizes(*(items.change_item(room.channel, each) for each in stored)))
    assert meter.read_units == 2 + expected
    meter = start_meter()
    assert fetch_changes(room.services, USER, room.channel, 0, 50, frozenset([page.version])).body is None
    assert meter.read_units == 2


@pytest.mark.stack
def test_a_message_of_a_kilobyte_in_the_engine(engines: Engines) -> None:
    """8 write units for a message just below 1 KB after the change, 10 or more for one just above."""
    store = engines.store(MINISTACK)
    channel = open_channel(store, USER)
    for room, expected in ((WRITE_BYTES - 16, {8}), (WRITE_BYTES + 16, {10, 12})):
        posted = post(store, channel, USER)
        rev = head_of(store, channel).rev + 1
        entry, change = after(ChangeKind.REACTION_ADDED, channel, posted.seq, room)
        body = (entry.body or b"").rpartition(b',"rev":')[0] + b',"rev":%d}' % rev
        change = replace(change, rev=rev, body=body)
        meter = start_meter()
        make(store, channel, USER, posted.seq, change=change, entry=replace(posted, body=body, rev=rev))
        assert meter.write_units in expected


def test_an_edited_message_names_its_versions_in_its_item() -> None:
    """Up to 9 bytes for each of the last 20: a message of a KB that was edited often takes a write unit more."""
    versions = tuple(range(LARGE, LARGE + MAX_VERSIONS))
    plain = items.entry_item(CHANNEL, Entry(1, 1, NOW, b"{}", 1))
    edited = items.entry_item(CHANNEL, Entry(1, 1, NOW, b"{}", 1, versions))
    assert size(edited) - size(plain) == len("versions") + 3 + MAX_VERSIONS * 7
    assert write_units([WRITE_BYTES + size(edited) - size(plain)], transaction=True) == 4
