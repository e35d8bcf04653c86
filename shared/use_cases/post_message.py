"""Posting: read the channel state, reserve positions, commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from shared.bootstrap import Services
from shared.domain import keys, permissions
from shared.domain.clock import CLOCKS_APART_MS, not_before
from shared.domain.errors import (
    BatchTooLargeError,
    BudgieError,
    ChannelArchivedError,
    ChannelNotFoundError,
    CommitUnknownError,
    ContentionError,
    IdempotencyKeyReusedError,
    RateLimitedError,
    UnavailableError,
)
from shared.domain.messages import Draft, encode, preview, request_hash
from shared.domain.model import (
    IDEMPOTENCY_SECONDS,
    ChannelState,
    Entry,
    Head,
    IdempotencyRecord,
    Membership,
    Role,
)
from shared.domain.rate_limit import Rate, Verdict, decide
from shared.domain.retention import expires
from shared.settings import Settings
from shared.storage.log_reader import HOLE_WAITS_SECONDS, repair_preview, settle
from shared.storage.protocol import (
    AlreadyFollowing,
    Commit,
    Committed,
    Contended,
    KeyUsed,
    MembershipChanged,
    MentionedLeft,
    Outcome,
    Reservation,
)
from shared.storage.retry import backoff
from shared.use_cases.expiry import with_boundary
from shared.use_cases.mention_members import find_named, forget_oldest
from shared.use_cases.reply import Reply, is_copy_seen

MAX_RESERVATIONS: Final = 4
"""Reservations of one post before it gives up: each after the first because a reader voided the one before."""
MAX_COMMITS: Final = 10
"""Commits of one reservation: each after the first because the same user posted at the same moment."""


@dataclass(frozen=True, slots=True)
class Posted:
    """The stored messages, with the same bytes that every reader gets."""

    bodies: list[bytes]
    last_seq: int
    rate: Verdict | None
    """None for a replay, which the rate limit does not count."""

    @property
    def replayed(self) -> bool:
        """Whether an earlier request with the same key posted the messages."""
        return self.rate is None


def post_message(
    services: Services,
    user_id: str,
    channel_id: str,
    drafts: Sequence[Draft],
    key: str | None,
    *,
    is_batch: bool = False,
    also_in_channel: bool = False,
) -> Posted:
    """Posts the drafts at adjacent positions, all or none.

    Args:
        services: the storage, the clock, the rate.
        user_id: the caller.
        channel_id: the log's id: a channel's, or a thread's for replies.
        drafts: the messages.
        key: the ``Idempotency-Key``.
        is_batch: part of the request's hash, because a batch of one has a different response than a message.
        also_in_channel: whether a reply, only one, is posted to the thread's channel too.

    Costs 5 write units for a message of up to 1 KB, 7 with a key. A reply costs 6, 2 more for each user who begins to
    follow the thread, and 6 more where its root's summary is written: see ``summarize_threads``.

    Raises:
        ChannelNotFoundError, NotAMemberError, ChannelArchivedError: the caller may not post in this channel.
        UserBlockedError, CannotSendError: one member of the direct channel has blocked the other.
        MessageNotFoundError: the thread has no root, or none any more and never had a reply.
        MessageDeletedError: the root was deleted before there was a reply.
        IdempotencyKeyReusedError: the key was used for a different request.
        BatchTooLargeError: more messages than the rate limit's burst; nothing was posted.
        RateLimitedError: nothing was posted.
        ContentionError: nothing was posted.
        TooManyMentionsError, ForbiddenError: the texts name more users than they may, or everybody.
        CommitUnknownError: the storage failed during the commit, and its outcome could not be determined.
    """
    state = services.store.read_channel_state(channel_id, user_id, key)
    kind = "also in channel" if also_in_channel else "batch" if is_batch else ""
    post = _Post(services, user_id, channel_id, drafts, key, kind)
    permissions.require_member(state)
    if state.idempotency_record and state.idempotency_record.expires >= services.now() // 1000:
        return post.replay(state.idempotency_record)
    head, membership = permissions.require_capability(state, "post")
    # Before anything is posted: see ``shared.storage.retention``.
    return post.run(with_boundary(services, head), membership, state)


class _Post:
    def __init__(
        self,
        services: Services,
        user_id: str,
        channel_id: str,
        drafts: Sequence[Draft],
        key: str | None,
        kind: str = "",
    ) -> None:
        self._services = services
        self._store = services.store
        self._user_id = user_id
        self._channel_id = channel_id
        self._drafts = drafts
        self._key = key
        said = [[draft.text, draft.client_message_id, draft.metadata] for draft in drafts]
        self._hash = request_hash(kind, said) if kind else request_hash(said)
        self._is_copied = kind == "also in channel"

    def run(self, head: Head, membership: Membership, state: ChannelState | None = None) -> Posted:
        """Posts; ``state`` is that of a thread."""
        self._head, self._membership = head, membership
        thread = state.thread if state else None
        self._reply = Reply(self._services, thread, head, self._user_id) if thread else None
        if thread is not None:
            self._membership = thread.member or membership
        self._rate = rate_of(self._services.settings, head, membership)
        self._require_burst()
        self._named = find_named(self._services, head, membership, [each.text for each in self._drafts])
        now = self._services.now()
        self._verdict = self._decide(now)
        now = not_before(now, head.active_at)
        if self._is_copied and thread is not None:
            now = not_before(now, thread.channel.active_at)
        for _ in range(MAX_RESERVATIONS):
            entries = self._entries(self._reserve(now), now)
            try:
                outcome = self._commit(entries)
            except BudgieError:
                if self._void(entries):
                    raise
                outcome = Committed()
            if isinstance(outcome, Committed) or not self._void(entries):
                forget_oldest(self._services, self._named, self._marks)
                if self._reply:
                    self._reply.after(entries, self._gaps)
                return Posted([_body(entry) for entry in entries], entries[-1].seq, self._verdict)
            if isinstance(outcome, KeyUsed):
                return self.replay(outcome.idempotency_record)
        raise ContentionError(retry_after=1)

    def replay(self, record: IdempotencyRecord) -> Posted:
        """The messages of the first request with this key.

        The idempotency record may be visible a moment before its messages: DynamoDB isolates a transaction from reads
        of a single item, not from reads of several.
        """
        if record.request_hash != self._hash:
            raise IdempotencyKeyReusedError
        first = record.seq - record.count + 1
        for wait in (*HOLE_WAITS_SECONDS, None):
            entries = self._store.entries(self._channel_id, first, record.seq)
            if len(entries) == record.count and self._is_copy_seen(entries[0]):
                return Posted([_body(entry) for entry in entries], record.seq, None)
            if wait is not None:
                self._services.sleep(wait)
        raise CommitUnknownError(retry_after=1)

    def _is_copy_seen(self, entry: Entry) -> bool:
        channel_id = keys.channel_of_log(self._channel_id)
        return not self._is_copied or is_copy_seen(self._store, channel_id, _body(entry))

    def _require_burst(self) -> None:
        """Refuses a batch larger than the burst: waiting would not help."""
        most = self._rate.burst
        if len(self._drafts) > most:
            detail = f"You can post at most {most} message{'s' if most > 1 else ''} at once in this channel."
            raise BatchTooLargeError(errors=[{"field": "body.messages", "detail": detail}], limit=most)

    def _decide(self, now: int) -> Verdict:
        verdict = decide(self._rate, self._membership.tat, now, len(self._drafts))
        if not verdict.allowed:
            raise RateLimitedError(verdict=verdict)
        return verdict

    def _reserve(self, now: int) -> Reservation:
        shown = preview(0, self._user_id, self._drafts[-1].text, now)
        if self._reply and self._is_copied:
            self._reply.reserve_copy(shown)
        reservation = self._store.reserve(
            self._channel_id, len(self._drafts), shown, everybody=self._named.everybody
        )
        if isinstance(reservation, Reservation):
            self._gaps = reservation.voids
            if self._reply:
                self._reply.reserved(reservation)
            return reservation
        raise ChannelArchivedError if reservation else ChannelNotFoundError

    def _entries(self, reservation: Reservation, now: int) -> list[Entry]:
        first = reservation.seq - reservation.count + 1
        counted = reservation.messages - reservation.seq
        seqs = range(first, reservation.seq + 1)
        self._marks = self._named.marks(seqs, now)
        drafts, until = self._drafts, expires(self._head, now)
        if self._reply and self._is_copied:
            drafts = self._reply.linked(drafts[0], reservation.seq, now, self._named.mentions[0])
        return [
            Entry(
                seq,
                counted + seq,
                now,
                encode(self._channel_id, seq, self._user_id, now, draft, mentions),
                expires=until,
            )
            for seq, draft, mentions in zip(seqs, drafts, self._named.mentions, strict=True)
        ]

    def _commit(self, entries: list[Entry]) -> Outcome:
        """Commits at the reserved positions; repeats while only other posts of the same user conflict."""
        for attempt in range(MAX_COMMITS):
            outcome = self._store.commit(self._commitment(entries))
            match outcome:
                case MembershipChanged(None):
                    raise permissions.membership_lost(self._head)
                case MembershipChanged(Membership() as membership):
                    permissions.require_capability(ChannelState(self._head, membership), "post")
                    self._membership = membership
                    self._verdict = self._decide(self._services.now())
                case AlreadyFollowing() if self._reply:
                    self._reply.follows = True
                case MentionedLeft(users):
                    self._marks = {user: marks for user, marks in self._marks.items() if user not in users}
                case Contended():
                    if attempt + 1 < MAX_COMMITS:
                        self._services.sleep(backoff(attempt))
                case _:
                    return outcome
        raise ContentionError(retry_after=1)

    def _commitment(self, entries: list[Entry]) -> Commit:
        now, last = self._services.now(), entries[-1]
        record = None
        if self._key is not None:
            expires = now // 1000 + IDEMPOTENCY_SECONDS + CLOCKS_APART_MS // 1000
            record = IdempotencyRecord(self._key, self._hash, last.seq, len(entries), expires)
        commit = Commit(
            channel_id=self._channel_id,
            user_id=self._user_id,
            entries=entries,
            tat_seen=self._membership.tat,
            tat=self._verdict.tat,
            move_read=self._reply is None and self._membership.read_seq < last.seq,
            idempotency_record=record,
            now=now,
            voids=self._gaps,
            mentions=self._marks,
        )
        return self._reply.in_commit(commit, self._membership) if self._reply else commit

    def _void(self, entries: list[Entry]) -> bool:
        """Voids the positions; False if the messages are there after all, because only the response was lost.

        Each position holds its message or a void permanently, so this also determines the outcome of a failed commit.
        All positions are written: a read may see a part of a transaction, whereas a write waits for its end.
        """
        try:
            voids = [replace(entry, body=None) for entry in entries]
            settled = settle(self._store, self._head, voids)
            if self._reply:
                self._reply.settle_copy()
            if settled[0].body is not None:
                return False
            repair_preview(self._store, self._channel_id, entries[-1].seq)
        except UnavailableError as error:
            raise CommitUnknownError(retry_after=1) from error
        return True


def rate_of(settings: Settings, head: Head, membership: Membership) -> Rate:
    """The rate at which a member may post in a channel; slow mode applies to plain members only."""
    if head.slow_mode and membership.role is Role.MEMBER:
        return Rate(head.slow_mode * 1000, 1)
    return Rate.per_second(settings.rate_per_second, settings.rate_burst)


def _body(entry: Entry) -> bytes:
    return entry.body or b""
