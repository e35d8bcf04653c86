"""What a post to a thread has besides: who follows, the copy in the channel, the summary in the root."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from shared.bootstrap import Services
from shared.domain import changes, keys
from shared.domain.errors import (
    ChannelArchivedError,
    ChannelNotFoundError,
    MessageDeletedError,
    UnavailableError,
)
from shared.domain.mentions import Mentions
from shared.domain.messages import Draft, encode
from shared.domain.model import ERASED, Entry, Head, Membership, Preview, ThreadState
from shared.domain.retention import expires
from shared.storage.log_reader import repair_preview, settle
from shared.storage.protocol import Commit, Copy, Reservation, Store
from shared.use_cases.expiry import require_message, with_boundary
from shared.use_cases.summarize_threads import summarize_after_post


class Reply:
    """One post to a thread.

    Args:
        services: the storage.
        thread: the thread, which exists.
        head: the thread's head over its channel's.
        user_id: the sender.

    Attributes:
        follows: whether the sender follows the thread already.

    Raises:
        MessageNotFoundError: the root expired before there was a reply.
        MessageDeletedError: the root was deleted before there was a reply.
    """

    def __init__(self, services: Services, thread: ThreadState, head: Head, user_id: str) -> None:
        if not head.seq:
            thread = replace(thread, channel=with_boundary(services, thread.channel))
            root = keys.root_of(head.channel_id) or ("", 0)
            require_message(thread.channel, root[1], thread.root)
        self._services = services
        self._thread = thread
        self._head = head
        self._user_id = user_id
        self._follower: str | None = None
        self._reserved: Reservation | None = None
        self._copy: Entry | None = None
        self.follows = thread.follow is not None
        body = (thread.root and thread.root.body) or b"{}"
        self._root = json.loads(body)
        if not head.seq and changes.is_gone(body):
            raise MessageDeletedError("The message was deleted. It takes no first reply.")

    def reserved(self, reservation: Reservation) -> None:
        """Decides whether the root's author begins to follow: with the first reply by somebody else, as a member."""
        author, earlier = self._root.get("sender", ERASED), reservation.messages - reservation.count
        is_first = "thread" not in self._root and earlier <= reservation.voids
        if is_first and author not in {self._user_id, ERASED} and self._follower is None:
            members = self._services.store.members_of(self._thread.channel.channel_id, [author])
            self._follower = author if author in members else None

    def in_commit(self, commit: Commit, member: Membership) -> Commit:
        """The commit with what a reply has besides; ``member`` has the read position in the channel."""
        copy = None
        if self._copy is not None and self._reserved is not None:
            copy = Copy(self._copy, member.read_seq < self._copy.seq, self._reserved.voids)
        return replace(commit, follow=not self.follows, follower=self._follower, copy=copy)

    def after(self, entries: Sequence[Entry], gaps: int) -> None:
        """Moves the sender's read position in the thread, and the summary in the root; neither fails the post."""
        last = entries[-1]
        if self.follows:
            with suppress(UnavailableError):
                self._services.store.move_thread_position(
                    self._head.channel_id, self._user_id, last.seq, last.messages, force=False, voids=gaps
                )
        summarize_after_post(self._services, self._thread, self._head, entries, self._user_id)

    # --- the copy in the channel ---

    def reserve_copy(self, shown: Preview) -> None:
        """Reserves a position in the channel. It comes first, as an archived channel refuses it."""
        channel = with_boundary(self._services, self._thread.channel)  # see ``shared.storage.retention``
        self._thread = replace(self._thread, channel=channel)
        reservation = self._services.store.reserve(self._thread.channel.channel_id, 1, shown)
        if not isinstance(reservation, Reservation):
            raise ChannelArchivedError if reservation else ChannelNotFoundError
        self._reserved = reservation

    def linked(self, draft: Draft, seq: int, now: int, mentions: Mentions) -> list[Draft]:
        """The reply at ``seq`` with the address of its copy; makes the copy, which has the reply's."""
        assert self._reserved is not None  # noqa: S101 - the caller reserved
        channel_id, at = self._thread.channel.channel_id, self._reserved
        links = {"thread_id": self._head.channel_id, "reply_id": keys.message_id(self._head.channel_id, seq)}
        body = encode(channel_id, at.seq, self._user_id, now, replace(draft, links=links), mentions)
        self._copy = Entry(at.seq, at.messages, now, body, expires=expires(self._thread.channel, now))
        return [replace(draft, links={"channel_message_id": keys.message_id(channel_id, at.seq)})]

    def settle_copy(self) -> None:
        """Voids the copy's position, after the reply's was tried, so that the copy cannot be committed any more.

        If the reply stands, this waits until every reader sees the copy: DynamoDB applies the writes of a transaction
        one by one.
        """
        if self._copy is None:
            return
        channel = self._thread.channel
        [found] = settle(self._services.store, channel, [replace(self._copy, body=None)])
        if found.body is None:
            repair_preview(self._services.store, channel.channel_id, self._copy.seq)
        self._copy = None


def is_copy_seen(store: Store, channel_id: str, reply: bytes) -> bool:
    """Whether readers see the copy of a reply that was posted to its channel too. Costs a read unit."""
    found = json.loads(reply).get("channel_message_id")
    return found is None or bool(store.entries_at(channel_id, [keys.place_of_message(channel_id, found)[1]]))
