"""Reads a channel as a fresh container would, and says everything that is wrong with its log."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from bench.contending.shift import Tally
from shared.messages import Draft
from shared.services import Services
from shared.use_cases.fetch_messages import Window, fetch_messages
from shared.use_cases.post_message import post_message

LIMIT: Final = 100
CLOSING: Final = "the last one"

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a channel's log is like after a run."""

    messages: int
    voids: int
    faults: list[str]


def judge(services: Services, channel: str, user: str, tallies: Sequence[Tally]) -> Verdict:
    """Posts once more, so that no hole is left at the end, and reads the whole log."""
    last = post_message(services, user, channel, [Draft(CLOSING)], None).last_seq
    pages = list(_pages(services, channel, user))
    log = {message["seq"]: message for page in pages for message in page["messages"]}
    faults = [
        *_gaps(pages, last),
        *_order(pages),
        *_acknowledged(log, tallies),
        *_strangers(log, tallies),
        *(fault for tally in tallies for fault in _readers(log, tally)),
    ]
    return Verdict(len(log) - 1, last - len(log), faults)


def _pages(services: Services, channel: str, user: str) -> Iterator[Message]:
    """All pages, from the first position to the last."""
    after, more = 0, True
    while more:
        found = fetch_messages(services, user, channel, Window(LIMIT, after=after), frozenset())
        page: Message = json.loads(found.body or b"{}")
        yield page
        more, after = page["has_more_after"], page["last_seq"]


def _gaps(pages: Sequence[Message], last: int) -> list[str]:
    """Positions are covered without a gap, from 1 to the last one that was acknowledged."""
    ends = [0, *(page["last_seq"] for page in pages)]
    gaps = [
        f"a page begins at {page['first_seq']}"
        for page, end in zip(pages, ends, strict=False)
        if page["first_seq"] != end + 1
    ]
    return gaps + [f"the log ends at {ends[-1]}, not at {last}"] * (ends[-1] != last)


def _order(pages: Sequence[Message]) -> list[str]:
    seqs = [message["seq"] for page in pages for message in page["messages"]]
    return [f"{second} comes after {first}" for first, second in pairwise(seqs) if first >= second]


def _acknowledged(log: dict[int, Message], tallies: Sequence[Tally]) -> list[str]:
    """What was acknowledged stands where it was said to stand."""
    return [
        f"position {seq} does not hold what was acknowledged there"
        for tally in tallies
        for seq, text in tally.acknowledged.items()
        if log.get(seq, {}).get("text") != text
    ]


def _strangers(log: dict[int, Message], tallies: Sequence[Tally]) -> list[str]:
    """Nothing stands there twice, and nothing that nobody posted."""
    posted = {text for tally in tallies for text in tally.acknowledged.values()}
    allowed = posted | {text for tally in tallies for text in tally.unknown} | {CLOSING}
    times = Counter(message["text"] for message in log.values())
    return [
        f"a message stands {count} times{'' if text in allowed else ', and nobody posted it'}"
        for text, count in times.items()
        if count > 1 or text not in allowed
    ]


def _readers(log: dict[int, Message], tally: Tally) -> list[str]:
    """A reader's pages are the log as it stands now: nothing was inserted before what it had read."""
    faults, after = [], 0
    for first, last, messages in tally.read:
        now = [log[seq] for seq in range(first, last + 1) if seq in log]
        if first != after + 1 or messages not in (None, now):
            faults.append(f"a reader saw something else from {first} to {last}")
        after = last
    return faults
