"""What a post and a page cost: by AWS's rules from the items' sizes, and by the engines' figures where they are right.

ministack charges writes as AWS does, reads flat. DynamoDB Local charges reads and single writes as AWS does; of a
transaction it counts one item alone, doubled twice; and nothing for reading what is not there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from local.dynamodb.engine import DYNAMODB_LOCAL, MINISTACK
from operators.units import WRITE_BYTES, query_units, read_units, size, sizes, write_units
from shared.bootstrap import Services, compose
from shared.domain import keys, model
from shared.domain.errors import ReadBudgetError
from shared.domain.messages import Draft, encode, preview
from shared.domain.model import Entry, Head, IdempotencyRecord, Kind, Membership, Role
from shared.domain.retention import MAX_DAYS
from shared.observability.meter import Meter, start_meter
from shared.settings import Settings
from shared.storage import items
from shared.storage.items import Item, b, n, s
from shared.storage.log_reader import DirectLogReader
from shared.use_cases.fetch_messages import Window, fetch_messages
from shared.use_cases.fetch_reads import fetch_reads
from shared.use_cases.list_channels import Listing, list_channels
from shared.use_cases.post_message import post_message
from shared.use_cases.read_budget import list_units
from shared.use_cases.set_muted import set_muted
from tests.contract.samples import NOW, head_of, membership_of, open_channel, user
from tests.engines import TABLE, Engines

USER = "0f8fad5b-d9cb-469f-a165-70867728950e"
KEY = "k" * 255
CHANNEL = "v" * 26
"""A derived id, the longest kind."""
WIDE = "🦜" * model.MAX_NAME
LARGE = 10**9 + 1
"""Members, positions and versions that no channel will see."""

ENGINES = [
    pytest.param(MINISTACK, marks=pytest.mark.stack),
    pytest.param(DYNAMODB_LOCAL, marks=[pytest.mark.stack, pytest.mark.dynamodb_local]),
]


def largest_head(kind: Kind, user_id: str = USER) -> Item:
    """The head of a channel that uses every limit, as a post leaves it."""
    head = Head(
        channel_id=CHANNEL,
        kind=kind,
        name=WIDE.encode()[: model.MAX_NAME_BYTES].decode(),
        topic=WIDE.encode()[: model.MAX_TOPIC_BYTES].decode(),
        creator=user_id,
        created_at=NOW + 1,
        version=LARGE,
        members=LARGE,
        owners=LARGE,
        slow_mode=99_999,
        seq=keys.MAX_SEQ,
        messages=keys.MAX_SEQ,
        request_hash=b"h" * 16,
    )
    redacted = {"erasures": n(LARGE)}
    changed = {"rev": n(keys.MAX_SEQ), "ew": n(LARGE), "mp": n(1), "sr": n(0)}
    changed |= {name: n(keys.MAX_SEQ - i) for i, name in enumerate(items.EVERYBODY)}
    highest = [keys.MAX_SEQ - i for i in range(model.MAX_GAPS)]
    gaps = {"gn": n(LARGE), "gs": items.ns(highest), "gf": n(highest[-1] - 1)}
    shown = preview(keys.MAX_SEQ, user_id, WIDE * 9, NOW + 1)
    shows = {"lq": n(shown.seq), "lu": s(shown.sender), "lt": s(shown.text), "lc": n(shown.created_at)}
    return items.head_item(head) | shows | redacted | gaps | changed


def retaining() -> Item:
    """What a head has more in a channel whose retention was raised three times, and where messages have expired."""
    boundary = model.Boundary(keys.MAX_SEQ, keys.MAX_SEQ, LARGE, keys.MAX_SEQ, NOW)
    steps = 10**36  # three
    return {"rd": n(MAX_DAYS), "rs": n(steps - 1), "x": b(items.packed_boundary(boundary))}


def entry_with(text: str, *, channel: str = CHANNEL, seq: int = LARGE) -> Item:
    """A message's entry as it is stored."""
    body = encode(channel, seq, USER, NOW + 1, Draft(text))
    return items.entry_item(channel, Entry(seq, seq, NOW + 1, body))


def text_of_a_kilobyte(character: str = "x") -> str:
    """The longest text of this character whose entry is within 1 KB."""
    room = WRITE_BYTES - size(entry_with(""))
    return character * (room // len(character.encode()))


MEMBERSHIP = items.membership_item(
    Membership(USER, CHANNEL, Role.MODERATOR, NOW + 1, keys.MAX_SEQ, keys.MAX_SEQ, NOW + 1)
)
RECEIPT = items.idempotency_record_item(
    CHANNEL, USER, IdempotencyRecord(KEY, b"h" * 16, keys.MAX_SEQ, 25, NOW // 1000 + 1)
)


# --- by AWS's rules ---


def test_sizes_follow_the_rules() -> None:
    """Names and strings count in UTF-8, numbers by two significant digits a byte, binary as it is."""
    assert size({"pk": s("C#1"), "ä": s("🦜")}) == 2 + 3 + 2 + 4
    assert [size({"n": n(each)}) - 1 for each in (0, 7, 12, 123, 1200, -12)] == [1, 2, 2, 3, 2, 3]
    assert size({"body": b(bytes(10)), "on": {"BOOL": True}}) == 4 + 10 + 2 + 1


@pytest.mark.parametrize("kind", Kind)
def test_the_largest_head_is_one_write_unit(kind: Kind) -> None:
    """Name, topic, preview at their limits in bytes, user ids of up to 60 bytes, numbers beyond any use."""
    head = largest_head(kind)
    assert items.head_of(head).edit_window == LARGE
    assert items.head_of(head).members_pin
    assert not items.head_of(head).show_reads
    assert len(items.head_of(head).mentions) == model.MAX_EVERYBODY
    assert size(head) <= size(largest_head(kind, "u" * 60)) <= WRITE_BYTES


@pytest.mark.parametrize("kind", [Kind.PUBLIC, Kind.PRIVATE])
def test_the_largest_head_of_a_channel_with_a_retention_is_one_write_unit(kind: Kind) -> None:
    """With user ids of up to 36 bytes, which a UUID has."""
    head = {**largest_head(kind, "u" * 36), **retaining()}
    assert items.head_of(head).retains
    assert items.head_of(head).boundary.gaps == LARGE
    assert size(head) <= WRITE_BYTES


@pytest.mark.parametrize("character", ["x", "ü", "🦜", '"'])
def test_a_post_within_a_kilobyte(character: str) -> None:
    """7 write units with a key, 5 without; 3 read units, 2 without: at every limit and in any script."""
    entry = entry_with(text_of_a_kilobyte(character).replace('"', ""))
    assert size(entry) <= WRITE_BYTES
    head = largest_head(Kind.PUBLIC)
    assert write_units(sizes(head)) + write_units(sizes(entry, MEMBERSHIP, RECEIPT), transaction=True) == 7
    assert write_units(sizes(head)) + write_units(sizes(entry, MEMBERSHIP), transaction=True) == 5
    assert read_units(sizes(head, MEMBERSHIP, RECEIPT)) == 3
    assert read_units(sizes(head, MEMBERSHIP)) == 2


def test_the_longest_user_id_and_key_change_nothing() -> None:
    """Membership and idempotency record stay within 1 KB, even with ids that JSON escapes."""
    longest = "ü" * (keys.MAX_USER_ID_BYTES // 2)
    idempotency_record = IdempotencyRecord(KEY, b"h" * 16, keys.MAX_SEQ, 25, NOW // 1000 + 1)
    membership = Membership(longest, CHANNEL, Role.MODERATOR, NOW + 1, keys.MAX_SEQ, keys.MAX_SEQ, NOW + 1)
    assert size(items.idempotency_record_item(CHANNEL, longest, idempotency_record)) <= WRITE_BYTES
    assert size(items.membership_item(membership)) <= WRITE_BYTES


def test_a_page_of_fifty() -> None:
    """50 messages of 1 KB cost 13 units, the channel state 2: 15."""
    entries = [entry_with(text_of_a_kilobyte(), seq=LARGE + i) for i in range(50)]
    assert read_units(sizes(largest_head(Kind.PUBLIC), MEMBERSHIP)) + query_units(sizes(*entries)) <= 15


# --- by the engines ---


def services_on(engines: Engines, kind: str) -> Services:
    """Services whose storage is the engine, without a cache."""
    store = engines.store(kind)
    return replace(compose(Settings(rate_burst=1000), store), reader=DirectLogReader(store))


def post(services: Services, channel: str, key: str | None) -> Meter:
    """What a post of the longest text within 1 KB cost."""
    meter = start_meter()
    post_message(services, USER, channel, [Draft(text_of_a_kilobyte())], key)
    return meter


@pytest.mark.parametrize("kind", ENGINES)
@pytest.mark.parametrize(("key", "transactional"), [(KEY, 6), (None, 4)])
def test_a_post_costs_what_was_computed(
    engines: Engines, kind: str, key: str | None, transactional: int
) -> None:
    """In the largest channel, public and indexed: no index is written by a post."""
    services = services_on(engines, kind)
    fields = {
        "name": WIDE.encode()[: model.MAX_NAME_BYTES].decode(),
        "topic": WIDE.encode()[: model.MAX_TOPIC_BYTES].decode(),
    }
    channel = open_channel(services.store, USER, kind=Kind.PUBLIC, **fields)
    costs = [post(services, channel, key and f"{i}{key[1:]}") for i in range(3)]
    if kind == DYNAMODB_LOCAL:
        # Head and membership; the key has no idempotency record yet.
        assert [each.read_units for each in costs] == [2] * 3
        assert [each.write_units for each in costs] == [1 + 2 * 2] * 3
    else:
        assert [each.write_units for each in costs] == [1 + transactional] * 3


@pytest.mark.stack
def test_coming_and_going_cost_what_was_computed(engines: Engines) -> None:
    """A membership, the head and the past membership are 2 each, the index 1; nothing is read for it.

    The right of who does it to another is 2 more.
    """
    store, ada = engines.store(MINISTACK), user()
    channel = open_channel(store, ada)
    joins = Membership(user(), channel, Role.MEMBER, NOW)
    for by, units in ((None, 7), (membership_of(store, channel, ada), 9)):
        for call in (store.add_member, store.remove_member):
            meter = start_meter()
            assert call(joins, by)
            assert (meter.read_units, meter.write_units, meter.calls) == (0, units, 1)


@pytest.mark.stack
def test_changing_a_channel_costs_what_was_computed(engines: Engines) -> None:
    """The head and the right to it are 2 write units each, the result 1 read unit; a listing and its index 1 each."""
    store, ada = engines.store(MINISTACK), user()
    channel = open_channel(store, ada, kind=Kind.PUBLIC)
    owner = membership_of(store, channel, ada)
    meter = start_meter()
    assert store.update_channel(channel, {"topic": "new"}, 1, owner)
    assert (meter.read_units, meter.write_units, meter.calls) == (1, 4, 2)
    meter = start_meter()
    assert store.archive_channel(channel, NOW, owner)
    assert (meter.read_units, meter.write_units, meter.calls) == (1, 6, 3)
    archived = head_of(store, channel)
    meter = start_meter()
    assert store.unarchive_channel(archived, owner)
    assert (meter.read_units, meter.write_units, meter.calls) == (1, 7, 2)


@pytest.mark.stack
def test_settling_holes_costs_what_was_computed(engines: Engines) -> None:
    """A void is 2 with its condition, 2 for its place among the gaps, and the head 2, whatever the number of voids.

    As much where one of them is refused, before the others are settled; trimming is 1.
    """
    store = engines.store(MINISTACK)
    channel = open_channel(store, user())
    for _ in range(2):
        store.reserve(channel, 25, preview(0, USER, WIDE, NOW))
    voids = [Entry(seq, seq, NOW, None) for seq in range(1, 51)]
    costs = []
    for part in (voids[:1], voids[1:25], voids[25:]):
        meter = start_meter()
        store.void(channel, part)
        costs.append((meter.read_units, meter.write_units, meter.calls))
    assert costs == [(0, 6, 1), (0, 98, 1), (0, 102, 1)]
    meter = start_meter()
    store.trim_gaps(channel, list(range(1, 43)), 42)
    assert (meter.read_units, meter.write_units, meter.calls) == (0, 1, 1)


@pytest.mark.stack
@pytest.mark.dynamodb_local
def test_asking_what_is_shown_costs_what_was_computed(engines: Engines) -> None:
    """Half a unit for each message within 4 KB, in one call; a count of 50 gaps one."""
    services = services_on(engines, DYNAMODB_LOCAL)
    store = services.store
    channels = [open_channel(store, USER) for _ in range(10)]
    for channel in channels:
        post(services, channel, None)
    meter = start_meter()
    assert all(store.standing([(channel, 1) for channel in channels]).values())
    assert (meter.read_units, meter.calls) == (5, 1)
    for first in (2, 27):
        store.reserve(channels[0], 25, preview(0, USER, WIDE, NOW))
        store.void(channels[0], [Entry(seq, seq, NOW, None) for seq in range(first, first + 25)])
    meter = start_meter()
    assert len(store.gaps(channels[0], 1)) == 50
    assert (meter.read_units, meter.calls) == (1, 1)


@pytest.mark.stack
@pytest.mark.dynamodb_local
def test_counting_channels_costs_what_was_computed(engines: Engines) -> None:
    """One call, a unit for each 4 KB of memberships, however few bytes are sent: 5 for 60 channels."""
    store, ada = engines.store(DYNAMODB_LOCAL), user()
    for _ in range(60):
        open_channel(store, ada)
    stored = [items.membership_item(each) for each in store.memberships(ada)]
    meter = start_meter()
    assert store.count_memberships(ada, 1_000) == 60
    assert (meter.read_units, meter.calls) == (query_units(sizes(*stored)), 1)
    assert meter.read_units <= 60 / 25 + 1


def member_of_many(engines: Engines, count: int) -> str:
    """A user in so many channels, written as they are stored."""
    who, client = user(), engines.client(DYNAMODB_LOCAL)
    puts: list[Any] = []
    for _ in range(count):
        channel = keys.new_channel_id()
        head = Head(channel, Kind.PRIVATE, "birds", "", "ada", NOW)
        membership = Membership(who, channel, Role.MEMBER, NOW, tat=NOW)
        puts += [{"PutRequest": {"Item": items.head_item(head)}}]
        puts += [{"PutRequest": {"Item": items.membership_item(membership)}}]
    for at in range(0, len(puts), 24):
        client.batch_write_item(RequestItems={TABLE: puts[at : at + 24]})
    return who


@pytest.mark.stack
@pytest.mark.dynamodb_local
@pytest.mark.parametrize(("channels", "writes"), [(200, 0), (260, 1)])
def test_a_list_of_channels_costs_what_was_computed(engines: Engines, channels: int, writes: int) -> None:
    """About 1.04 units a channel, as its budget counts them; a long one writes 1 unit, an ordinary one nothing."""
    services = services_on(engines, DYNAMODB_LOCAL)
    who = member_of_many(engines, channels)
    meter = start_meter()
    assert list_channels(services, who, Listing(50)).body["has_more"]
    assert meter.write_units == writes
    assert meter.read_units <= channels + list_units(channels) <= meter.read_units * 1.05


@pytest.mark.stack
@pytest.mark.dynamodb_local
def test_an_exhausted_budget_costs_what_was_computed(engines: Engines) -> None:
    """The memberships, which say how long the list is, and the write that is refused."""
    services = services_on(engines, DYNAMODB_LOCAL)
    services = replace(
        services, settings=replace(services.settings, read_units_per_minute=1), now=lambda: NOW
    )
    who = member_of_many(engines, 260)
    list_channels(services, who, Listing(50))
    meter = start_meter()
    with pytest.raises(ReadBudgetError):
        list_channels(services, who, Listing(50))
    assert meter.write_units <= 1  # This engine does not count a refused write; AWS bills it.
    assert meter.read_units <= list_units(260) + 1


@pytest.mark.stack
@pytest.mark.dynamodb_local
def test_a_replay_costs_what_was_computed(engines: Engines) -> None:
    """Reading the channel state with an idempotency record is 3, the message 1; nothing is written."""
    services = services_on(engines, DYNAMODB_LOCAL)
    channel = open_channel(services.store, USER)
    post(services, channel, KEY)
    replay = post(services, channel, KEY)
    assert (replay.read_units, replay.write_units) == (4, 0)


@pytest.mark.stack
@pytest.mark.dynamodb_local
def test_a_page_costs_what_was_computed(engines: Engines) -> None:
    """50 messages of 1 KB: the engine's figure is ours, and at most 15."""
    services = services_on(engines, DYNAMODB_LOCAL)
    channel = open_channel(services.store, USER)
    for _ in range(50):
        post(services, channel, None)
    stored = [items.entry_item(channel, each) for each in services.store.entries(channel, 1, 50)]
    meter = start_meter()
    page = fetch_messages(services, USER, channel, Window(50), frozenset())
    assert page.body is not None
    assert meter.read_units == 2 + query_units(sizes(*stored)) <= 15
    meter = start_meter()
    fetch_messages(services, USER, channel, Window(50), frozenset([page.version]))
    assert meter.read_units == 2


@pytest.mark.stack
@pytest.mark.dynamodb_local
def test_read_positions_and_muting_cost_what_was_computed(engines: Engines) -> None:
    """2 units for the channel state, 1 for each other member, and the index's: half a unit for each 4 KB; muting 1."""
    services = services_on(engines, DYNAMODB_LOCAL)
    others = [str(uuid4()) for _ in range(40)]
    channel = open_channel(services.store, USER, *others)
    indexed = {"ch", "pk", "sk", "role", "joined_at"}
    members = [items.membership_item(Membership(each, channel, Role.MEMBER, NOW)) for each in [USER, *others]]
    listed = [{name: each[name] for name in each.keys() & indexed} for each in members]
    meter = start_meter()
    reads = fetch_reads(services, USER, channel)["reads"]
    assert [each["user_id"] for each in reads] == sorted([USER, *others])
    assert meter.read_units == 2 + 40 + query_units(sizes(*listed)) / 2 == 43
    meter = start_meter()
    for muted in (True, True, False):
        set_muted(services, USER, channel, muted=muted)
    assert (meter.read_units, meter.write_units) == (6, 2)


@pytest.mark.stack
@pytest.mark.dynamodb_local
def test_the_largest_head_is_one_write_unit_in_the_engine(engines: Engines) -> None:
    """Taking a number from a head at its limits costs 1."""
    store = engines.store(DYNAMODB_LOCAL)
    channel = keys.new_channel_id()
    head = items.head_of({**largest_head(Kind.PUBLIC), **items.head_key(channel)})
    engines.client(DYNAMODB_LOCAL).put_item(
        TableName=TABLE,
        Item=dict(largest_head(Kind.PUBLIC)) | items.head_item(replace(head, seq=0, messages=0)),
    )
    meter = start_meter()
    store.reserve(channel, 1, preview(0, USER, WIDE * 9, NOW + 1))
    assert meter.write_units == 1
    assert head_of(store, channel).last
