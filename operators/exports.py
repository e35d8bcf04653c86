"""Exports as JSON lines: records about the subject, then messages, byte for byte as clients receive them.

A message's line begins with its id, any other with its type: ``{"channel": …}``. Lines are in the order of channels
and positions, so that an interrupted export continues after the last message's id: records after that message are then
written again, none is lost. A channel's messages are followed by what its change log has, then by its threads in order
of their roots, each as the channel. Nothing is written to the table.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from operators.reading import PIECE, all_members, changes_of, channels_of, settled, threads_of
from shared.domain import keys
from shared.domain.changes import Change, ChangeKind, change_json, reactions_of, unpacked
from shared.domain.channels import channel_json, member_json
from shared.domain.clock import rfc3339
from shared.domain.messages import dumps, sender_of
from shared.domain.model import MARK, Follow, Head, Membership
from shared.domain.moderation import Ban, ban_json, block_json, own_report_json, report_json
from shared.storage.protocol import Store
from shared.storage.retention import with_boundary_found
from shared.use_cases.find_thread import head_of_log

OF_A_CALLER: Final = frozenset(
    {
        "last_message",
        "last_read_seq",
        "unread_count",
        "mention_count",
        "muted",
        "role",
        "blocked",
        "capabilities",
    }
)
"""Fields of a channel's JSON that depend on the caller, and so are not exported."""


class UnknownError(ValueError):
    """There is nothing with this id; the text says what."""


@dataclass(frozen=True)
class Exporter:
    """Reads what is stored when it begins.

    Args:
        store: the storage.
        sleep: waits for a number of seconds.
        now: milliseconds since 1970.
    """

    store: Store
    sleep: Callable[[float], None]
    now: Callable[[], int]

    def channel(self, channel_id: str, after: str | None = None) -> Iterator[bytes]:
        """The channel, its members, its messages, its change log, its threads; with ``after`` only what follows it.

        ``after`` is a message's id. A change is shown as clients receive it; an edit or a deletion also has the message
        ``before`` it. Costs a read unit for each 4 KB, and one for each message of the channel.

        Raises:
            UnknownError: there is no such channel, or ``after`` is not a message of it.
        """
        head = self.store.head(channel_id)
        if head is None:
            raise UnknownError(f"there is no channel {channel_id}")
        head = self._with_boundary(head)
        begin, position = (channel_id, 0) if after is None else _position(channel_id, after)
        if after is None:
            yield _record("channel", _channel(head))
            for member in all_members(self.store, channel_id):
                yield _record("member", member_json(member))
            yield from self._moderation(channel_id)
        for log, seq in self._logs(head, begin, position):
            for entry in settled(self.store, log, seq, self.sleep, self.now):
                if entry.body is not None:
                    yield entry.body
            for change in changes_of(self.store, log):
                if change.seq > log.boundary.seq:
                    yield _change(log.channel_id, change)

    def _logs(self, head: Head, begin: str, position: int) -> Iterator[tuple[Head, int]]:
        """The channel and its threads from one of these on, each with the position after which it begins."""
        threads = (self._with_boundary(each) for each in threads_of(self.store, head.channel_id))
        for log in (head, *threads):
            if log.channel_id >= begin:
                yield log, position if log.channel_id == begin else 0

    def user(self, user_id: str, after: str | None = None) -> Iterator[bytes]:
        """A user's memberships, read positions, mentions, threads, channels, messages, changes; ``after`` as above.

        Also the user's blocks, bans and reports; not who blocks or reports the user, which is about others.
        For each channel and thread: the user's messages and, between them, their reactions; then earlier versions of
        their messages, and their pins. Costs a read unit for each 4 KB of the messages and changes of all channels that
        they were ever in, for each message there, and for each emoji of a message with more than ``SHOWN_USERS`` users.

        Raises:
            UnknownError: the table has nothing of this user, or ``after`` is not a message's id.
        """
        channels, blocks = channels_of(self.store, user_id), self.store.blocks(user_id)
        if not channels and not blocks:
            raise UnknownError(f"the table has nothing of {user_id}")
        channel, begin, position = "", "", 0
        if after is not None:
            channel = keys.channel_of_log(after)
            if channel not in channels:
                raise UnknownError(f"{after} is not a message of {user_id}")
            begin, position = _position(channel, after)
        heads = self._heads(channels)
        if after is None:
            yield from self._about(user_id, heads)
            yield from (_record("block", block_json(each)) for each in blocks)
            yield from self._reports_made(user_id)
        for channel_id in (each for each in channels if each >= channel and each in heads):
            for log, seq in self._logs(heads[channel_id], begin, position):
                yield from self._messages(log, seq, user_id)
                yield from self._changes(log, user_id)

    def _heads(self, channel_ids: Iterable[str]) -> dict[str, Head]:
        found = self.store.heads(channel_ids)
        return {channel_id: self._with_boundary(head) for channel_id, head in found.items()}

    def _with_boundary(self, head: Head) -> Head:
        """What has expired is not exported, whether it is deleted already or not."""
        return with_boundary_found(self.store, head, self.now(), self.sleep)

    def _about(self, user_id: str, heads: Mapping[str, Head]) -> Iterator[bytes]:
        for membership in self.store.memberships(user_id):
            known = {
                "channel_id": membership.channel_id,
                "last_read_seq": membership.read_seq,
                "muted": membership.muted,
            }
            yield _record("membership", known | member_json(membership))
            yield from _mentions(heads.get(membership.channel_id), membership)
        follows = self.store.follows(user_id)
        threads = self.store.heads(each.log_id for each in follows)
        for follow in follows:
            known = {"channel_id": keys.channel_of_log(follow.log_id), "thread_id": follow.log_id}
            yield _record("followed_thread", known | {"last_read_seq": follow.read_seq})
            thread = head_of_log({**heads, **threads}, follow.log_id)
            yield from _mentions(thread and self._with_boundary(thread), follow)
        for past_membership in self.store.past_memberships(user_id):
            place = {"channel_id": past_membership.channel_id}
            if past_membership.was_member:
                yield _record("former_membership", place | {"joined_at": rfc3339(past_membership.joined_at)})
            ban = self.store.ban_of(past_membership.channel_id, user_id)
            if ban is not None:
                yield _record("ban", place | _seen_by_the_banned(ban))
        for head in heads.values():
            if head.creator == user_id:
                yield _record("channel", _channel(head))

    def _moderation(self, channel_id: str) -> Iterator[bytes]:
        """All bans and reports, without the reported messages, which follow."""
        after: str | None = None
        while bans := self.store.bans(channel_id, PIECE, after):
            yield from (_record("ban", ban_json(each)) for each in bans)
            after = bans[-1].user_id
        for is_open in (True, False):
            after = None
            while reports := self.store.reports(channel_id, PIECE, after, is_open=is_open):
                yield from (_record("report", report_json(each)) for each in reports)
                after = reports[-1].report_id

    def _reports_made(self, user_id: str) -> Iterator[bytes]:
        """What the user reported, in the user's words; not what moderators made of it."""
        for message_id, report_id in self.store.reports_made(user_id):
            report = self.store.report(keys.channel_of_log(message_id), report_id)
            if report is not None:
                yield _record("report", own_report_json(report))

    def _messages(self, head: Head, after: int, user_id: str) -> Iterator[bytes]:
        for entry in settled(self.store, head, after, self.sleep, self.now):
            if entry.body is None:
                continue
            for emoji in self._reactions(head.channel_id, entry.seq, entry.body, user_id):
                yield _record("reaction", _place(head.channel_id, entry.seq) | {"emoji": emoji})
            if sender_of(entry.body) == user_id:
                yield entry.body

    def _changes(self, head: Head, user_id: str) -> Iterator[bytes]:
        pins = {} if keys.is_thread(head.channel_id) else self.store.pins(head.channel_id)
        for change in changes_of(self.store, head):
            if change.seq <= head.boundary.seq:
                continue
            if change.before and sender_of(change.body or b"") == user_id:
                yield _record("version", _before(change))
            is_pin = change.kind is ChangeKind.PINNED and pins.get(change.seq) == change.rev
            if is_pin and change.by == user_id:
                pinned = {"rev": change.rev, "pinned_at": rfc3339(change.at)}
                yield _record("pin", _place(head.channel_id, change.seq) | pinned)

    def _reactions(self, channel_id: str, seq: int, body: bytes, user_id: str) -> list[str]:
        """The emoji with which the user reacted to a message, also where it does not show all users."""
        if b'"reactions"' not in body:
            return []
        return [
            each.emoji
            for each in reactions_of(body)
            if user_id in each.users
            or (not each.shows_all and self.store.has_reacted(channel_id, seq, each.emoji, user_id))
        ]


def _mentions(head: Head | None, of: Membership | Follow) -> Iterator[bytes]:
    """Messages of a log that name a user; none that has expired."""
    for mark in sorted(of.mentions):
        if head is not None and mark % MARK > head.boundary.seq:
            yield _record("mention", _place(head.channel_id, mark % MARK))


def _seen_by_the_banned(ban: Ban) -> dict[str, Any]:
    """Without who banned the user."""
    return {name: value for name, value in ban_json(ban).items() if name != "banned_by"}


def _channel(head: Head) -> dict[str, Any]:
    return {name: value for name, value in channel_json(head, None).items() if name not in OF_A_CALLER}


def _change(channel_id: str, change: Change) -> bytes:
    shown: dict[str, Any] = json.loads(change_json(channel_id, change))
    return _record("change", shown | ({"before": _before(change)} if change.before else {}))


def _before(change: Change) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(unpacked(change.before, change.body or b""))
    return found


def _place(log_id: str, seq: int) -> dict[str, Any]:
    channel_id = keys.channel_of_log(log_id)
    return {"channel_id": channel_id, "message_id": keys.message_id(log_id, seq), "seq": seq}


def _record(kind: str, value: dict[str, Any]) -> bytes:
    return dumps({kind: value})


def _position(channel_id: str, message_id: str) -> tuple[str, int]:
    log_id, seq = keys.place_of_message(channel_id, message_id)
    if not seq:
        raise UnknownError(f"{message_id} is not a message of {channel_id}")
    return log_id, seq
