"""Changes of messages in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from shared.domain import keys
from shared.domain.changes import MAX_PINS, Change, ChangeKind
from shared.domain.model import (
    ChannelState,
    Entry,
    Follow,
    Membership,
)
from shared.domain.news import Changed
from shared.storage.memory.log import MemoryLog
from shared.storage.memory.state import may_write, member_key, shown_position
from shared.storage.protocol import (
    ChangeCommit,
    ChangeOutcome,
    Committed,
    KeyUsed,
    MentionedLeft,
    PinsFull,
    PinUnchanged,
    Reacted,
    StateChanged,
)


class MemoryChanges(MemoryLog):
    """See ``shared.storage.protocol.Changes``."""

    def read_message_state(
        self, channel_id: str, user_id: str, seq: int, key: str | None = None
    ) -> tuple[ChannelState, Entry | None]:
        """See ``Changes``."""
        with self._lock:
            state = self.read_channel_state(channel_id, user_id, key)
            if state.thread is not None and state.thread.member is not None:
                unread = state.thread.member.in_thread(Follow(user_id, channel_id))
                state = replace(state, membership=unread, thread=replace(state.thread, follow=None))
            return state, self.log(channel_id).get(seq)

    def commit_change(self, commit: ChangeCommit) -> ChangeOutcome:
        """See ``Changes``."""
        with self._lock:
            refused = self._change_refusal(commit)
            if refused is not None:
                return refused
            if (
                commit.summary is not None
                and MemoryChanges.commit_change(self, commit.summary) != Committed()
            ):
                return StateChanged()
            channel_id, change = commit.head.channel_id, commit.change
            head = replace(self._heads[channel_id], rev=change.rev)
            if commit.preview is not None and head.last:
                head = replace(head, last=replace(head.last, text=commit.preview))
            if commit.is_gap:
                head = replace(head, voids=head.voids + 1, gaps=head.gaps | {change.seq})
            self._heads[channel_id] = head
            self._changes[channel_id][change.rev] = change
            self._tell([Changed(channel_id, change.rev, change.at)])
            if commit.entry is not None:
                self.log(channel_id)[change.seq] = commit.entry
            elif commit.pin:
                self._pins[channel_id][change.seq] = change.rev
            else:
                del self._pins[channel_id][change.seq]
            reacted = self._reacted[channel_id, change.seq, change.emoji]
            if commit.reacted is not None:
                reacted[commit.reacted] = (change.rev, change.expires)
            if commit.unreacted is not None:
                del reacted[commit.unreacted]
            self._mark(channel_id, commit.mentions, commit.unmentions)
            if commit.by is not None:
                self._acted(commit, commit.by)
            return Committed()

    def _acted(self, commit: ChangeCommit, by: Membership) -> None:
        if commit.tat is not None:
            key = (by.channel_id, by.user_id)
            self._write_member(replace(self._memberships[key], changes_tat=commit.tat))
        if record := commit.idempotency_record:
            self._idempotency_records[commit.head.channel_id, by.user_id, record.key] = record

    def commit_summary(self, commit: ChangeCommit) -> ChangeOutcome:
        """See ``Changes``."""
        return self.commit_change(commit)

    def _change_refusal(self, commit: ChangeCommit) -> ChangeOutcome | None:
        channel_id, change = commit.head.channel_id, commit.change
        if (record := commit.idempotency_record) and commit.by is not None:
            used = self._idempotency_records.get((channel_id, commit.by.user_id, record.key))
            if used and used.expires >= change.at // 1000:
                return KeyUsed(used)
        if not self._is_head_as_read(commit) or not self._is_acting_as_read(commit):
            return StateChanged()
        if commit.entry is None:
            pins = self._pins[channel_id]
            if (change.seq in pins) is commit.pin:
                return PinUnchanged()
            return PinsFull() if commit.pin and len(pins) >= MAX_PINS else None
        if not self._is_message_as_read(commit):
            return StateChanged()
        left = self._left(channel_id, {*commit.mentions, *commit.unmentions})
        if keys.is_thread(channel_id):
            left = frozenset(
                user for user in commit.unmentions if (user, channel_id) not in self._follows
            ) - set(commit.mentions)
        return MentionedLeft(left) if left else None

    def _is_head_as_read(self, commit: ChangeCommit) -> bool:
        head, change = self._heads.get(commit.head.channel_id), commit.change
        if head is None or head.rev != commit.head.rev:
            return False
        if head.boundary != commit.head.boundary:
            return False
        if change.kind is ChangeKind.THREAD:
            return True
        if head.archived_at is not None:
            return False
        if change.kind not in {ChangeKind.EDITED, ChangeKind.DELETED}:
            return True
        return (shown_position(head) == change.seq) is (commit.preview is not None)

    def _is_acting_as_read(self, commit: ChangeCommit) -> bool:
        if commit.by is None:
            return True
        by = self._memberships.get((commit.by.channel_id, commit.by.user_id))
        if by is None or by.role is not commit.by.role or not may_write(by):
            return False
        return commit.tat is None or by.changes_tat == commit.by.changes_tat

    def _is_message_as_read(self, commit: ChangeCommit) -> bool:
        channel_id, change = commit.head.channel_id, commit.change
        entry = self.log(channel_id).get(change.seq)
        if entry is None or entry.body is None:
            return False
        if (entry.rev, entry.rewrites) != (commit.seen.rev, commit.seen.rewrites):
            return False
        reacted = self._reacted[channel_id, change.seq, change.emoji]
        is_lost = commit.unreacted is not None and commit.unreacted not in reacted
        return (
            commit.reacted not in reacted and not is_lost and (channel_id, change.seq) not in self._redacted
        )

    def changes(self, channel_id: str, first: int, last: int, limit: int | None = None) -> list[Change]:
        """See ``Log``."""
        return self.changes_at(channel_id, range(first, last + 1))[:limit]

    def changes_at(self, channel_id: str, revs: Sequence[int]) -> list[Change]:
        """See ``Changes``."""
        with self._lock:
            log = self._changes[channel_id]
            return [log[rev] for rev in dict.fromkeys(revs) if rev in log]

    def entries_at(self, channel_id: str, seqs: Sequence[int]) -> list[Entry]:
        """See ``Changes``."""
        with self._lock:
            log = self.log(channel_id)
            return [log[seq] for seq in dict.fromkeys(seqs) if seq in log]

    def members_of(self, channel_id: str, user_ids: Iterable[str]) -> dict[str, Membership]:
        """See ``Changes``."""
        with self._lock:
            found = [member_key(channel_id, each) for each in user_ids]
            members = {key[1]: self._memberships[key] for key in found if key in self._memberships}
            if not keys.is_thread(channel_id):
                return members
            return {user: each.in_thread(self._followed(channel_id, user)) for user, each in members.items()}

    def pins(self, channel_id: str) -> dict[int, int]:
        """See ``Changes``."""
        with self._lock:
            return dict(self._pins[channel_id])

    def has_reacted(self, channel_id: str, seq: int, emoji: str, user_id: str) -> bool:
        """See ``Changes``."""
        with self._lock:
            return user_id in self._reacted[channel_id, seq, emoji]

    def reacted(self, channel_id: str, seq: int, emoji: str, limit: int, after: str | None) -> list[Reacted]:
        """See ``Changes``."""
        with self._lock:
            found = sorted(self._reacted[channel_id, seq, emoji].items())
        return [Reacted(user, rev) for user, (rev, _) in found if after is None or user > after][:limit]

    def forget_mentions(self, channel_id: str, user_id: str, marks: Iterable[int]) -> None:
        """See ``Changes``."""
        with self._lock:
            there = self._follows if keys.is_thread(channel_id) else self._memberships
            key = (user_id, channel_id) if keys.is_thread(channel_id) else (channel_id, user_id)
            if key in there:
                self._mark(channel_id, {}, {user_id: frozenset(marks)})
