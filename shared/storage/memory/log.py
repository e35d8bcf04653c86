"""The log in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from shared.domain import keys
from shared.domain.model import (
    MAX_EVERYBODY,
    Boundary,
    ChannelState,
    Entry,
    Follow,
    Head,
    Membership,
    Preview,
)
from shared.storage.memory.state import may_write, member_key, shown_position
from shared.storage.memory.threads import MemoryThreads
from shared.storage.protocol import (
    AlreadyFollowing,
    Commit,
    Committed,
    KeyUsed,
    MembershipChanged,
    MentionedLeft,
    Outcome,
    PositionTaken,
    Reservation,
)


class MemoryLog(MemoryThreads):
    """See ``shared.storage.protocol.Log``."""

    def read_channel_state(self, channel_id: str, user_id: str, key: str | None = None) -> ChannelState:
        """See ``Log``."""
        with self._lock:
            record = self._idempotency_records.get((channel_id, user_id, key)) if key is not None else None
            parent, root = keys.channel_of_log(channel_id), keys.root_of(channel_id)
            head, member = self._heads.get(parent), self._memberships.get((parent, user_id))
            state = ChannelState(head, member, record)
            if root is None:
                return state
            thread = self._heads.get(channel_id) or Head.of_thread(channel_id)
            return state.in_thread(
                thread, self.log(parent).get(root[1]), self._follows.get((user_id, channel_id))
            )

    def head(self, channel_id: str) -> Head | None:
        """See ``Log``."""
        with self._lock:
            return self._heads.get(channel_id)

    def reserve(
        self, channel_id: str, count: int, preview: Preview, *, everybody: bool = False
    ) -> Reservation | Head | None:
        """See ``Log``."""
        with self._lock:
            head = self._heads.get(channel_id)
            if head is None and keys.is_thread(channel_id):
                head = Head.of_thread(channel_id)
            if head is None or head.archived_at is not None:
                return head
            seq, messages = head.seq + count, head.messages + count
            shown = replace(preview, seq=seq)
            named = (seq, *head.mentions)[:MAX_EVERYBODY] if everybody else head.mentions
            self._heads[channel_id] = replace(head, seq=seq, messages=messages, last=shown, mentions=named)
            return Reservation(seq, messages, count, head.voids)

    def commit(self, commit: Commit) -> Outcome:
        """See ``Log``."""
        with self._lock:
            refused = self._refusal(commit)
            if refused is not None:
                return refused
            last, key = commit.entries[-1], member_key(commit.channel_id, commit.user_id)
            membership = replace(self._memberships[key], tat=commit.tat)
            if commit.move_read:
                membership = replace(
                    membership, read_seq=last.seq, read_messages=last.messages, read_voids=commit.voids
                )
            self._write_entries(commit.channel_id, commit.entries)
            if commit.copy:
                copy = commit.copy.entry
                self._write_entries(key[0], [copy])
                if commit.copy.move_read:
                    membership = replace(
                        membership,
                        read_seq=copy.seq,
                        read_messages=copy.messages,
                        read_voids=commit.copy.voids,
                    )
            self._write_member(membership)
            if record := commit.idempotency_record:
                self._idempotency_records[commit.channel_id, commit.user_id, record.key] = record
            self._mark(commit.channel_id, commit.mentions, {})
            if commit.follow:
                follow = self._followed(commit.channel_id, commit.user_id)
                self._write_follow(
                    replace(follow, read_seq=last.seq, read_messages=last.messages, read_voids=commit.voids)
                )
            if commit.follower is not None:
                self.follow(Follow(commit.follower, commit.channel_id))
            return Committed()

    def _refusal(self, commit: Commit) -> Outcome | None:
        key = member_key(commit.channel_id, commit.user_id)
        if commit.idempotency_record:
            used = self._idempotency_records.get(
                (commit.channel_id, commit.user_id, commit.idempotency_record.key)
            )
            if used and used.expires >= commit.now // 1000:
                return KeyUsed(used)
        log = self.log(commit.channel_id)
        taken = [log[entry.seq] for entry in commit.entries if entry.seq in log]
        if commit.copy and (copied := self.log(key[0]).get(commit.copy.entry.seq)):
            taken.append(copied)
        if taken:
            return PositionTaken(taken[0])
        return self._membership_refusal(commit, self._memberships.get(key))

    def _membership_refusal(self, commit: Commit, membership: Membership | None) -> Outcome | None:
        if membership is None or membership.tat != commit.tat_seen or not may_write(membership):
            return MembershipChanged(membership)
        last = commit.copy.entry if commit.copy else commit.entries[-1]
        moves = commit.copy.move_read if commit.copy else commit.move_read
        if moves and membership.read_seq >= last.seq:
            return MembershipChanged(membership)
        if keys.is_thread(commit.channel_id):
            follow = self._followed(commit.channel_id, commit.user_id)
            return AlreadyFollowing() if commit.follow and follow.read_seq >= commit.entries[-1].seq else None
        left = self._left(commit.channel_id, commit.mentions)
        return MentionedLeft(left) if left else None

    def void(self, channel_id: str, voids: Sequence[Entry]) -> list[Entry]:
        """See ``Log``."""
        with self._lock:
            log, head = self.log(channel_id), self._heads.get(channel_id)
            missing = {each.seq: each for each in voids if each.seq not in log}
            new = {each.seq for each in missing.values() if each.body is None}
            self._write_entries(channel_id, missing.values())
            standing = [log[each.seq] for each in voids]
            self._gaps[channel_id] |= new
            if head is not None and new:
                self._heads[channel_id] = replace(head, voids=head.voids + len(new), gaps=head.gaps | new)
            return standing

    def list_gaps(self, channel_id: str, gaps: Iterable[int]) -> None:
        """See ``Log``."""
        with self._lock:
            self._gaps[channel_id] |= set(gaps)

    def trim_gaps(self, channel_id: str, gaps: Sequence[int], gaps_from: int) -> None:
        """See ``Log``."""
        with self._lock:
            head = self._heads.get(channel_id)
            if head is not None and head.gaps_from <= gaps_from:
                self._heads[channel_id] = replace(head, gaps=head.gaps - set(gaps), gaps_from=gaps_from)

    def gaps(self, channel_id: str, after: int) -> frozenset[int]:
        """See ``Log``."""
        with self._lock:
            return frozenset(gap for gap in self._gaps[channel_id] if gap > after)

    def standing(self, positions: Sequence[tuple[str, int]]) -> dict[tuple[str, int], bool]:
        """See ``Log``."""
        with self._lock:
            found = {(channel, seq): self.log(channel).get(seq) for channel, seq in positions}
        return {position: entry.body is not None for position, entry in found.items() if entry}

    def correct_preview(
        self, channel_id: str, seq: int, preview: Preview | None, erasures: int, rev: int = 0
    ) -> bool:
        """See ``Log``."""
        with self._lock:
            head = self._heads.get(channel_id)
            if head is None or (head.erasures, head.rev, shown_position(head)) != (erasures, rev, seq):
                return False
            self._heads[channel_id] = replace(head, last=preview)
            return True

    def move_boundary(self, channel_id: str, seen: Boundary, boundary: Boundary) -> Boundary:
        """See ``Log``."""
        with self._lock:
            head = self._heads.get(channel_id)
            if head is None:
                return seen
            if head.boundary == seen:
                head = self._heads[channel_id] = replace(head, boundary=boundary)
            return head.boundary

    def delete_expired(self, now: int) -> None:
        """Deletes what is over by its ``expires``, as DynamoDB does at some time after it."""
        with self._lock:
            for entries in self._entries.values():
                for seq in [seq for seq, entry in entries.items() if 0 < entry.expires <= now // 1000]:
                    del entries[seq]
            for changes in self._changes.values():
                for rev in [rev for rev, change in changes.items() if 0 < change.expires <= now // 1000]:
                    del changes[rev]
            for users in self._reacted.values():
                for user in [user for user, (_, expires) in users.items() if 0 < expires <= now // 1000]:
                    del users[user]

    def entries(self, channel_id: str, first: int, last: int) -> list[Entry]:
        """See ``Log``."""
        with self._lock:
            log = self.log(channel_id)
            if last - first > len(log):
                return [log[seq] for seq in sorted(log) if first <= seq <= last]
            return [log[seq] for seq in range(first, last + 1) if seq in log]

    def latest_entries(self, channel_id: str, up_to: int, limit: int) -> list[Entry]:
        """See ``Log``."""
        return self.entries(channel_id, 0, up_to)[::-1][:limit]

    def entry_after(self, channel_id: str, seq: int) -> Entry | None:
        """See ``Log``."""
        with self._lock:
            later = [position for position in self.log(channel_id) if position > seq]
            return self.log(channel_id)[min(later)] if later else None
