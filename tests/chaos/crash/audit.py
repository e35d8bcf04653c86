"""Afterwards: compares the log, read without any cache, with what clients were told."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from shared.bootstrap import compose
from shared.domain import changes as domain
from shared.domain import keys
from shared.domain.changes import ChangeKind
from shared.domain.clock import now_ms
from shared.domain.model import Entry, Follow, Membership
from shared.settings import Settings
from shared.storage.log_reader import OLD_MS, DirectLogReader
from shared.storage.protocol import Store
from shared.use_cases.confirm_channels import with_all_gaps
from shared.use_cases.fetch_messages import Window, fetch_messages
from tests.chaos.crash.writers import ROOT, Change, Post, Response, thread_of

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
    wrong_summaries: int = 0
    """Roots that do not count their replies exactly, though the thread was read."""
    changes: int = 0
    lost_changes: list[Change] = field(default_factory=list)
    """Changes that were acknowledged and are not in the log, or not in the message."""
    doubled_changes: int = 0
    change_gaps: int = 0
    missing: list[Post] = field(default_factory=list)
    """Posts that do not stand where they were said to."""

    @property
    def violations(self) -> int:
        """All of them."""
        found = (self.lost, self.doubled, self.gaps, self.wrong_pages, len(self.missing))
        changes = len(self.lost_changes) + self.doubled_changes + self.change_gaps
        wrong = self.wrong_previews + self.wrong_unread + self.wrong_summaries
        return sum(found) + wrong + changes


def audit(
    store: Store,
    channels: Sequence[str],
    reader: str,
    first: Mapping[Post, Response],
    changed: Collection[Change] = (),
    targets: int = 0,
) -> Audit:
    """Reads every channel to its end.

    Args:
        store: fresh.
        channels: all of them.
        reader: a member who never posted.
        first: the first answer that each acknowledged post got.
        changed: the changes that were acknowledged.
        targets: how many messages at the beginning of each log nobody posted: they are there to be changed.
    """
    found = Audit()
    for channel in channels:
        posts = [each for each in first if each.channel == channel]
        thread = thread_of(channel)
        logs = {channel: [each for each in posts if not each.is_reply or each.also_in_channel]}
        if store.head(thread) is not None:
            logs[thread] = [each for each in posts if each.is_reply]
        for log, sent in logs.items():
            _audit_log(found, store, log, reader, sent, targets)
            _audit_changes(found, store, log, [each for each in changed if each.channel == log])
        if thread in logs:
            _audit_summary(found, store, channel, thread)
        for post in posts:
            _audit_answer(found, store, post, first[post])
    return found


def messages_of(post: Post, response: Response) -> list[dict[str, Any]]:
    """The log has what the client was told."""
    said = json.loads(response.body)
    return list(said["messages"]) if len(post.texts) > 1 else [said]


def _audit_log(
    found: Audit, store: Store, channel: str, reader: str, posts: Sequence[Post], targets: int
) -> None:
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
    texts = Counter(json.loads(body)["text"] for body in bodies[targets:])
    sent = Counter(text for post in posts for text in post.texts)
    found.doubled += (texts - sent).total()
    found.lost += (sent - texts).total()
    found.wrong_previews += (head.last.seq if head.last else 0) != json.loads(bodies[-1])["seq"]
    deleted = sum("deleted" in json.loads(body) for body in bodies)
    found.wrong_unread += head.voids != len(entries) - len(bodies) + deleted
    moved = _read_to(store, channel, reader, entries[-1])
    found.wrong_unread += moved is None or moved.unread(with_all_gaps(store, head, moved)) != 0


def _read_to(store: Store, log: str, reader: str, last: Entry) -> Membership | None:
    """The reader's membership, with the read position in the log at its last entry."""
    if not keys.is_thread(log):
        return store.move_read_position(log, reader, last.seq, last.messages, force=False)
    member = store.membership(keys.channel_of_log(log), reader)
    follow = store.follow(Follow(reader, log, last.seq, last.messages))
    return member and member.in_thread(follow)


def _audit_summary(found: Audit, store: Store, channel: str, thread: str) -> None:
    """The root counts the replies that are not deleted."""
    [root] = store.entries(channel, ROOT, ROOT)
    head = store.head(thread)
    replies = store.entries(thread, 1, head.seq if head else 0)
    count = sum(each.body is not None and "deleted" not in json.loads(each.body) for each in replies)
    found.wrong_summaries += (domain.summary_of(root.body or b"") or domain.NO_SUMMARY).count != count


def _audit_changes(found: Audit, store: Store, channel: str, changed: Sequence[Change]) -> None:
    """The change log is dense and has every acknowledged change once; each message is as its last change left it."""
    head = store.head(channel)
    assert head is not None
    log = store.changes(channel, 1, head.rev + 1)
    found.changes += len(log)
    found.change_gaps += [each.rev for each in log] != list(range(1, head.rev + 1))
    made = Counter(_name(each) for each in log if each.kind is not ChangeKind.THREAD)
    found.doubled_changes += sum(times - 1 for times in made.values())
    last = {each.seq: each for each in log if each.body is not None}
    bodies = {each.seq: each.body for each in store.entries_at(channel, list(last))}
    pins = store.pins(channel)
    for change in changed:
        name = (change.kind, change.seq, change.emoji, change.user, change.key)
        is_there = made[name if change.kind is ChangeKind.EDITED else (*name[:4], "")] > 0
        is_pinned = change.kind is not ChangeKind.PINNED or change.seq in pins
        is_shown = change.seq not in last or bodies[change.seq] == last[change.seq].body
        if not (is_there and is_pinned and is_shown):
            found.lost_changes.append(change)


def _name(change: domain.Change) -> tuple[ChangeKind, int, str, str, str]:
    """What tells a change from all others that clients want made."""
    text = json.loads(change.body or b"")["text"] if change.kind is ChangeKind.EDITED else ""
    return change.kind, change.seq, change.emoji, change.by, text


def _audit_answer(found: Audit, store: Store, post: Post, response: Response) -> None:
    """Each acknowledged message is at its position, unchanged."""
    messages = messages_of(post, response)
    seqs = [message["seq"] for message in messages]
    standing = [each.body for each in store.entries(post.log, seqs[0], seqs[-1])]
    if [json.loads(body or b"null") for body in standing] != messages:
        found.missing.append(post)
    elif post.also_in_channel:
        _, seq = keys.place_of_message(post.channel, messages[0]["channel_message_id"])
        copies = [json.loads(each.body or b"{}") for each in store.entries(post.channel, seq, seq)]
        if [each.get("reply_id") for each in copies] != [messages[0]["id"]]:
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
