"""Unread counts equal a count of the stored messages, for any outcomes of posts in any order."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.messages import Draft, encode
from shared.domain.model import MAX_GAPS, Entry, Head, Kind, Membership, Role
from shared.storage import items
from shared.storage.log_reader import settle
from shared.storage.memory import MemoryStore
from shared.use_cases.confirm_channels import read_position
from tests.contract.samples import head_of, membership_of, open_channel, reserve
from tests.lengths import examples

ADA = "ada"


def standing_after(store: MemoryStore, channel: str, seq: int) -> int:
    """Messages after a position."""
    return sum(each.body is not None for each in store.entries(channel, seq + 1, 10**6))


def mark(store: MemoryStore, channel: str, seq: int) -> Membership:
    """Ada marks as read, or as unread."""
    at, messages, voids = read_position(store, head_of(store, channel), seq)
    moved = store.move_read_position(channel, ADA, at, messages, force=True, voids=voids)
    assert moved is not None
    return moved


def commit(store: MemoryStore, channel: str, seq: int) -> None:
    """Commits a message at a position."""
    store.log(channel).setdefault(seq, Entry(seq, seq, 0, encode(channel, seq, "eve", 0, Draft("hello"))))


@settings(max_examples=examples(60))
@given(st.lists(st.tuples(st.sampled_from("mmvvbr"), st.integers(0, 60)), max_size=60))
def test_unread_is_exact(steps: list[tuple[str, int]]) -> None:
    """Messages, voids alone and in batches, and a read position that goes forward and back: after each step."""
    store = MemoryStore()
    channel = open_channel(store, ADA)
    for step, number in steps:
        if step == "r":
            mark(store, channel, min(number, head_of(store, channel).seq))
        else:
            before = head_of(store, channel)
            taken = reserve(store, channel, 1 + number % 25 if step == "b" else 1)
            positions = range(taken.seq - taken.count + 1, taken.seq + 1)
            if step == "m":
                commit(store, channel, taken.seq)
            else:
                settle(store, before, [Entry(seq, seq, 0, None) for seq in positions])
        head, membership = head_of(store, channel), membership_of(store, channel, ADA)
        assert membership.unread(head) == standing_after(store, channel, membership.read_seq)
        assert len(head.gaps) <= MAX_GAPS


@settings(max_examples=examples(40))
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 11)), max_size=12), st.integers(0, 12))
def test_unread_is_exact_whatever_settles_late(steps: list[tuple[bool, int]], read: int) -> None:
    """Twelve concurrent writers that end in any order, also behind the reader, while the head keeps all their gaps."""
    store = MemoryStore()
    channel = open_channel(store, ADA)
    reserve(store, channel, 12)
    voided: set[int] = set()
    for i, (stands, place) in enumerate(steps):
        seq = place + 1
        if stands or len(voided) == MAX_GAPS:
            commit(store, channel, seq)
        else:
            [found] = settle(store, head_of(store, channel), [Entry(seq, seq, 0, None)])
            voided |= {seq} if found.body is None else set()
        if i == len(steps) // 2:
            mark(store, channel, read)
    for seq in range(1, 13):
        commit(store, channel, seq)
    membership = membership_of(store, channel, ADA)
    assert membership.unread(head_of(store, channel)) == standing_after(store, channel, membership.read_seq)


def test_a_late_void_before_the_read_position_is_the_one_inexactness() -> None:
    """And more gaps after it than the head keeps, none of them read past: then the count is one too small."""
    store = MemoryStore()
    channel = open_channel(store, ADA)
    reserve(store, channel, 2)
    commit(store, channel, 2)
    mark(store, channel, 2)
    settle(store, head_of(store, channel), [Entry(1, 1, 0, None)])
    for seq in range(3, 3 + MAX_GAPS + 1):
        reserve(store, channel)
        settle(store, head_of(store, channel), [Entry(seq, seq, 0, None)])
    for _ in range(2):
        commit(store, channel, reserve(store, channel).seq)
    head, membership = head_of(store, channel), membership_of(store, channel, ADA)
    assert (membership.unread(head), standing_after(store, channel, 2)) == (1, 2)
    assert mark(store, channel, membership.read_seq).unread(head) == 2


def test_trimming_by_an_old_view_keeps_the_latest_gaps() -> None:
    """A head that was read before others' voids: what they added is larger, and stays."""
    store = MemoryStore()
    channel = open_channel(store, ADA)
    old = head_of(store, channel)
    reserve(store, channel, 25)
    settle(store, head_of(store, channel), [Entry(seq, seq, 0, None) for seq in range(16, 26)])
    settle(store, old, [Entry(seq, seq, 0, None) for seq in range(1, 16)])
    head = head_of(store, channel)
    assert (head.voids, head.gaps_from) == (25, 17)
    assert {seq for seq in head.gaps if seq > head.gaps_from} == set(range(18, 26))


def test_what_was_stored_before_gaps_were_counted_still_reads() -> None:
    """Heads and memberships without their attributes have none; what they count is as it was."""
    head = items.head_item(Head("0" * 16, Kind.PRIVATE, "birds", "", ADA, 0, seq=7, messages=7))
    membership = items.membership_item(Membership(ADA, "0" * 16, Role.MEMBER, 0, 4, 4))
    del membership["read_voids"]
    assert not {"gn", "gs", "gf"} & set(head)
    read, of = items.membership_of(membership), items.head_of(head)
    assert (of.voids, of.gaps, of.gaps_from, read.read_voids) == (0, frozenset(), 0, 0)
    assert read.unread(of) == 3
