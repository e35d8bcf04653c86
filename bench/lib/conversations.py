"""Real text for the benchmarks: conversations between people, from the shared data set or the project's own sample.

A line of either file is ``{"conversation": id, "turns": [[speaker, text], …]}``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any, Final

from local.demo.conversations import Turn, read
from shared.domain.messages import Draft, encode, preview_of
from shared.domain.model import Entry, Head, Kind, Membership, Role
from shared.storage import items

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCES: Final = (
    ROOT.parent / "shared" / "data" / "topical-chat-test-freq.jsonl.gz",
    ROOT / "local" / "demo" / "sample.jsonl",
)
CHANNEL: Final = "4nc0f2k9q1d7h3sa"
STARTED_AT: Final = 1_795_459_464_000
"""When the first message was posted, in milliseconds since 1970."""


@cache
def conversations(path: Path | None = None) -> Sequence[list[Turn]]:
    """All conversations of a file, by default of the first of ``SOURCES`` that exists."""
    found = path or next(each for each in SOURCES if each.is_file())
    return [each.turns for each in read(found).all]


def turns() -> Iterator[Turn]:
    """Turns of all conversations, one after another, endlessly."""
    return cycle(turn for each in conversations() for turn in each)


def bodies(
    count: int, sizes: Sequence[int] = (0,), taken: Iterator[Turn] | None = None, channel_id: str = CHANNEL
) -> list[bytes]:
    """Stored messages of real text, a minute apart.

    Args:
        count: how many.
        sizes: least bytes of each message's JSON, used in turn; turns are joined until a message is that large.
        taken: where the text comes from; by default ``turns`` from its beginning.
        channel_id: their channel.
    """
    taken = taken or turns()
    return [_body(channel_id, seq, sizes[seq % len(sizes)], taken) for seq in range(1, count + 1)]


def _body(channel_id: str, seq: int, smallest: int, taken: Iterator[Turn]) -> bytes:
    turn = next(taken)
    text, at = turn.text, STARTED_AT + seq * 60_000
    while len(body := encode(channel_id, seq, turn.speaker, at, Draft(text))) < smallest:
        text = f"{text} {next(taken).text}"
    return body


def head_and_members(channel_id: str, members: Sequence[str]) -> tuple[Head, list[Membership]]:
    """A public channel without messages, and its memberships; the first member is its owner."""
    head = Head(channel_id, Kind.PUBLIC, "lobby", "Say hello", members[0], STARTED_AT, members=len(members))
    roles = [Role.OWNER, *[Role.MEMBER] * (len(members) - 1)]
    return head, [
        Membership(user, channel_id, role, STARTED_AT) for user, role in zip(members, roles, strict=True)
    ]


def channel_items(
    channel_id: str, members: Sequence[str], bodies: Iterable[bytes]
) -> Iterator[dict[str, Any]]:
    """The items of a public channel: entries, memberships, listing, head. The first member is its owner."""
    seq, body = 0, b""
    for seq, body in enumerate(bodies, start=1):
        yield items.entry_item(channel_id, Entry(seq, seq, STARTED_AT, body))
    head, joined = head_and_members(channel_id, members)
    yield from map(items.membership_item, joined)
    yield items.listing_item(head)
    yield items.head_item(replace(head, seq=seq, messages=seq)) | _previewed(seq, body)


def thread_items(log_id: str, follower: str, body: bytes) -> Iterator[dict[str, Any]]:
    """The items of a thread with one reply, which its one follower has not read; the root does not show it."""
    yield items.entry_item(log_id, Entry(1, 1, STARTED_AT, body))
    yield items.head_key(log_id) | {"seq": items.n(1), "messages": items.n(1)} | _previewed(1, body)
    yield items.follow_key(log_id, follower) | dict.fromkeys(items.READ_POSITION, items.n(0))


def _previewed(seq: int, body: bytes) -> dict[str, Any]:
    """What a head shows of its last message."""
    last = preview_of(Entry(seq, seq, STARTED_AT, body))
    return {
        "lq": items.n(seq),
        "lu": items.s(last.sender),
        "lt": items.s(last.text),
        "lc": items.n(last.created_at),
    }
