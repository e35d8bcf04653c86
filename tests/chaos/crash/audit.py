"""Afterwards: compares the log, read without any cache, with what clients were told."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from shared.bootstrap import compose
from shared.domain.clock import now_ms
from shared.settings import Settings
from shared.storage.log_reader import OLD_MS, DirectLogReader
from shared.storage.protocol import Store
from shared.use_cases.fetch_messages import Window, fetch_messages
from tests.chaos.crash.writers import Post, Response

PAGE = 100


@dataclass
class Audit:
    """What was found; everything but ``messages`` and ``voids`` must be 0."""

    messages: int = 0
    voids: int = 0
    lost: int = 0
    doubled: int = 0
    gaps: int = 0
    wrong_pages: int = 0
    wrong_previews: int = 0
    wrong_unread: int = 0
    missing: list[Post] = field(default_factory=list)
    """Posts that do not stand where they were said to."""

    @property
    def violations(self) -> int:
        """All of them."""
        found = (self.lost, self.doubled, self.gaps, self.wrong_pages, len(self.missing))
        return sum(found) + self.wrong_previews + self.wrong_unread


def audit(store: Store, channels: Sequence[str], reader: str, first: Mapping[Post, Response]) -> Audit:
    """Reads every channel to its end.

    Args:
        store: fresh.
        channels: all of them.
        reader: a member who never posted.
        first: the first answer that each acknowledged post got.
    """
    found = Audit()
    for channel in channels:
        _audit_channel(found, store, channel, reader, [each for each in first if each.channel == channel])
        for post in (each for each in first if each.channel == channel):
            _audit_answer(found, store, post, first[post])
    return found


def messages_of(post: Post, response: Response) -> list[dict[str, Any]]:
    """The log has what the client was told."""
    said = json.loads(response.body)
    return list(said["messages"]) if len(post.texts) > 1 else [said]


def _audit_channel(found: Audit, store: Store, channel: str, reader: str, posts: Sequence[Post]) -> None:
    pages = _pages(store, channel, reader)
    head = store.head(channel)
    assert head is not None
    entries = store.entries(channel, 1, head.seq)
    found.gaps += [each.seq for each in entries] != list(range(1, head.seq + 1))
    found.gaps += [each.messages for each in entries] != [each.seq for each in entries]
    bodies = [each.body for each in entries if each.body is not None]
    found.messages += len(bodies)
    found.voids += len(entries) - len(bodies)
    found.wrong_pages += pages != bodies
    texts = Counter(json.loads(body)["text"] for body in bodies)
    sent = Counter(text for post in posts for text in post.texts)
    found.doubled += (texts - sent).total()
    found.lost += (sent - texts).total()
    found.wrong_previews += (head.last.seq if head.last else 0) != json.loads(bodies[-1])["seq"]
    found.wrong_unread += head.voids != len(entries) - len(bodies)
    moved = store.move_read_position(channel, reader, entries[-1].seq, entries[-1].messages, force=False)
    found.wrong_unread += moved is None or moved.unread(head) != 0


def _audit_answer(found: Audit, store: Store, post: Post, response: Response) -> None:
    """Each acknowledged message is at its position, unchanged."""
    messages = messages_of(post, response)
    seqs = [message["seq"] for message in messages]
    standing = [each.body for each in store.entries(post.channel, seqs[0], seqs[-1])]
    if [json.loads(body or b"null") for body in standing] != messages:
        found.missing.append(post)


def _pages(store: Store, channel: str, reader: str) -> list[bytes]:
    """All messages, page by page, by the use case over no cache at all; later, so that every hole is settled."""

    def now() -> int:
        return now_ms() + OLD_MS + 1_000

    services = compose(Settings(), store, now)
    services = replace(services, reader=DirectLogReader(store, now=now))
    bodies: list[bytes] = []
    position, end = 0, 1
    while position < end:
        page = fetch_messages(services, reader, channel, Window(PAGE, after=position), frozenset())
        said = json.loads(page.body or b"{}")
        bodies += [
            json.dumps(each, ensure_ascii=False, separators=(",", ":")).encode() for each in said["messages"]
        ]
        position, end = said["last_seq"], said["channel_last_seq"]
    return bodies
