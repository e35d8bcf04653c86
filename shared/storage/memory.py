"""The storage in memory, for tests and simulations. It passes the same contract suite as the one on DynamoDB."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shared.domain import keys
from shared.domain.changes import MAX_PINS, Change, ChangeKind
from shared.domain.keys import direct_channel_id, public_name
from shared.domain.model import (
    ERASED,
    MAX_EVERYBODY,
    Boundary,
    ChannelState,
    Entry,
    Follow,
    Head,
    Kind,
    Member,
    Membership,
    PastMembership,
    Preview,
    Role,
)
from shared.domain.moderation import Ban, Block, Report
from shared.domain.news import Changed
from shared.storage.memory_realtime import MemoryRealtime
from shared.storage.protocol import (
    AlreadyFollowing,
    ChangeCommit,
    ChangeOutcome,
    Commit,
    Committed,
    Expiring,
    KeyUsed,
    MembershipChanged,
    MentionedLeft,
    Outcome,
    PairBlocked,
    PinsFull,
    PinUnchanged,
    PositionTaken,
    Reacted,
    Reservation,
    StateChanged,
)
from shared.storage.stream import of_membership


@dataclass
class MemoryStore(MemoryRealtime):
    """Implements ``shared.storage.protocol.Store``; a lock makes each method atomic, like a call to DynamoDB."""

    # --- the log ---

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
            last, key = commit.entries[-1], _member_key(commit.channel_id, commit.user_id)
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

    def _followed(self, log_id: str, user_id: str) -> Follow:
        return self._follows.get((user_id, log_id), Follow(user_id, log_id))

    def _mark(
        self, channel_id: str, added: Mapping[str, frozenset[int]], removed: Mapping[str, frozenset[int]]
    ) -> None:
        for user in {*added, *removed}:
            if keys.is_thread(channel_id):
                follow = self._followed(channel_id, user)
                now = (follow.mentions | added.get(user, frozenset())) - removed.get(user, frozenset())
                self._write_follow(replace(follow, mentions=now))
                continue
            membership = self._memberships[channel_id, user]
            marks = membership.mentions | added.get(user, frozenset())
            self._write_member(replace(membership, mentions=marks - removed.get(user, frozenset())))

    def _left(self, channel_id: str, users: Iterable[str]) -> frozenset[str]:
        return frozenset(user for user in users if (channel_id, user) not in self._memberships)

    def _refusal(self, commit: Commit) -> Outcome | None:
        key = _member_key(commit.channel_id, commit.user_id)
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
        if membership is None or membership.tat != commit.tat_seen or not _may_write(membership):
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
            if head is None or (head.erasures, head.rev, _shown(head)) != (erasures, rev, seq):
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

    # --- changes ---

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
            if commit.summary is not None and MemoryStore.commit_change(self, commit.summary) != Committed():
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
        return (_shown(head) == change.seq) is (commit.preview is not None)

    def _is_acting_as_read(self, commit: ChangeCommit) -> bool:
        if commit.by is None:
            return True
        by = self._memberships.get((commit.by.channel_id, commit.by.user_id))
        if by is None or by.role is not commit.by.role or not _may_write(by):
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
            found = [_member_key(channel_id, each) for each in user_ids]
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

    # --- threads ---

    def follow(self, follow: Follow) -> Follow:
        """See ``Threads``."""
        with self._lock:
            if (follow.user_id, follow.log_id) not in self._follows:
                self._write_follow(follow)
            return self._follows[follow.user_id, follow.log_id]

    def unfollow(self, log_id: str, user_id: str) -> None:
        """See ``Threads``."""
        with self._lock:
            self._follows.pop((user_id, log_id), None)

    def follows(self, user_id: str) -> list[Follow]:
        """See ``Threads``."""
        with self._lock:
            return [follow for (user, _), follow in sorted(self._follows.items()) if user == user_id]

    def move_thread_position(
        self, log_id: str, user_id: str, seq: int, messages: int, *, force: bool, voids: int = 0
    ) -> Follow | None:
        """See ``Threads``."""
        with self._lock:
            current = self._follows.get((user_id, log_id))
            if current is None or (current.read_seq > seq and not force):
                return current
            moved = replace(current, read_seq=seq, read_messages=messages, read_voids=voids)
            self._write_follow(moved)
            return moved

    # --- channels ---

    def memberships(self, user_id: str) -> list[Membership]:
        """See ``Channels``."""
        with self._lock:
            return [self._memberships[channel, user_id] for channel in sorted(self._channels_of[user_id])]

    def count_memberships(self, user_id: str, limit: int) -> int:
        """See ``Channels``."""
        with self._lock:
            return min(len(self._channels_of[user_id]), limit)

    def spend(self, user_id: str, minute: int, units: int, limit: int) -> bool:
        """See ``Channels``."""
        with self._lock:
            if self._spent[user_id, minute] >= limit:
                return False
            self._spent[user_id, minute] += units
            return True

    def heads(self, channel_ids: Iterable[str]) -> dict[str, Head]:
        """See ``Channels``."""
        with self._lock:
            return {each: self._heads[each] for each in channel_ids if each in self._heads}

    def roles(self, user_id: str, channel_ids: Iterable[str]) -> dict[str, Membership]:
        """See ``Channels``."""
        with self._lock:
            found = [(each, user_id) for each in channel_ids]
            return {key[0]: self._memberships[key] for key in found if key in self._memberships}

    def public_channels(self, limit: int, after: tuple[str, str] | None) -> list[tuple[str, str]]:
        """See ``Channels``."""
        with self._lock:
            found = sorted(
                (public_name(head.name, head.channel_id), head.channel_id)
                for head in self._heads.values()
                if head.kind is Kind.PUBLIC and head.archived_at is None
            )
        return [each for each in found if after is None or each > after][:limit]

    def reserve_key(self, key_id: str, request_hash: bytes) -> bytes:
        """See ``Channels``."""
        with self._lock:
            return self._key_uses.setdefault(key_id, request_hash)

    def create_channel(self, head: Head, memberships: Sequence[Membership]) -> Head | PairBlocked | None:
        """See ``Channels``."""
        with self._lock:
            if head.channel_id in self._heads:
                return self._heads[head.channel_id]
            users = [each.user_id for each in memberships] if head.kind is Kind.DIRECT else []
            for user in users:
                if any((user, other) in self._blocks for other in users):
                    return PairBlocked(user)
            self._heads[head.channel_id] = head
            for each in memberships:
                self._write_member(each)
                self._channels_of[each.user_id].add(head.channel_id)
            return None

    def update_channel(
        self,
        channel_id: str,
        changes: Mapping[str, str | int | None],
        if_version: int | None,
        by: Membership | None = None,
    ) -> Head | None:
        """See ``Channels``."""
        with self._lock:
            head = self._heads.get(channel_id)
            if head is None or not self._role_unchanged(by):
                return None
            if head.is_made_of(changes, if_version):
                return head
            if head.archived_at is not None or if_version not in {None, head.version}:
                return None
            changed = replace(head, version=head.version + 1, **changes)  # type: ignore[arg-type]  # the interface says them
            self._write_settings(changed)
            return changed

    def archive_channel(
        self, channel_id: str, now: int, by: Membership | None = None, *, if_version: int | None = None
    ) -> bool:
        """See ``Channels``."""
        with self._lock:
            head = self._heads.get(channel_id)
            if head is None or not self._role_unchanged(by):
                return False
            if head.archived_at is None and if_version in {None, head.version}:
                head = replace(head, archived_at=now, version=head.version + 1)
                self._write_settings(head)
            return head.archived_at is not None

    def unarchive_channel(self, head: Head, by: Membership | None = None) -> Head | None:
        """See ``Channels``."""
        with self._lock:
            current = self._heads.get(head.channel_id)
            if current is None or not self._role_unchanged(by):
                return None
            if current.archived_at is not None and current.version != head.version:
                return None
            if current.archived_at is not None:
                current = replace(current, archived_at=None, version=current.version + 1)
                self._write_settings(current)
            return current

    # --- members ---

    def members(self, channel_id: str, limit: int, after: str | None) -> list[Member]:
        """See ``Members``."""
        with self._lock:
            users = sorted(user for channel, user in self._memberships if channel == channel_id)
            found = [self._memberships[channel_id, user] for user in users if after is None or user > after]
        return [Member(each.user_id, each.role, each.joined_at) for each in found[:limit]]

    def membership(self, channel_id: str, user_id: str) -> Membership | None:
        """See ``Members``."""
        with self._lock:
            return self._memberships.get((channel_id, user_id))

    def past_membership(self, channel_id: str, user_id: str) -> PastMembership | None:
        """See ``Members``."""
        with self._lock:
            return self._past_memberships.get((channel_id, user_id))

    def add_member(
        self, membership: Membership, by: Membership | None = None
    ) -> Membership | PastMembership | None:
        """See ``Members``."""
        key = (membership.channel_id, membership.user_id)
        with self._lock:
            if key in self._memberships:
                return replace(self._memberships[key])
            head = self._heads.get(membership.channel_id)
            if head is None or head.archived_at is not None or not self._role_unchanged(by):
                return None
            past_membership = self._past_memberships.get(key)
            if past_membership and (past_membership.is_banned or past_membership.tat > membership.tat):
                return past_membership
            self._count(head, 1, membership.role is Role.OWNER)
            self._write_member(membership)
            self._channels_of[membership.user_id].add(membership.channel_id)
            return membership

    def change_role(self, membership: Membership, role: Role, by: Membership | None = None) -> bool:
        """See ``Members``."""
        with self._lock:
            owners = (role is Role.OWNER) - (membership.role is Role.OWNER)
            if not self._role_unchanged(by) or not self._may_change(membership, owners):
                return False
            key = (membership.channel_id, membership.user_id)
            self._count(self._heads[membership.channel_id], 0, owners)
            self._write_member(replace(self._memberships[key], role=role))
            return True

    def remove_member(
        self, membership: Membership, by: Membership | None = None, *, even_last_owner: bool = False
    ) -> bool:
        """See ``Members``."""
        key = (membership.channel_id, membership.user_id)
        with self._lock:
            owners = -1 if membership.role is Role.OWNER else 0
            head = self._heads.get(membership.channel_id)
            keeps_owner = 0 if even_last_owner and head and head.archived_at is not None else owners
            if not self._role_unchanged(by) or not self._may_change(membership, keeps_owner):
                return False
            self._end_membership(key, owners)
            return True

    def _end_membership(self, key: tuple[str, str], owners: int) -> None:
        channel_id, user_id = key
        self._count(self._heads[channel_id], -1, owners)
        ended = self._memberships.pop(key)
        tat = max(ended.tat, ended.changes_tat)
        self._past_memberships[key] = PastMembership(channel_id, ended.joined_at, tat)
        self._channels_of[user_id].discard(channel_id)
        self._tell(of_membership(ended, None))

    def _role_unchanged(self, by: Membership | None) -> bool:
        current = self._memberships.get((by.channel_id, by.user_id)) if by else None
        return by is None or (current is not None and current.role is by.role)

    def _may_change(self, membership: Membership, owners: int) -> bool:
        current = self._memberships.get((membership.channel_id, membership.user_id))
        if current is None or current.role is not membership.role:
            return False
        return owners >= 0 or self._heads[membership.channel_id].owners > 1

    def _count(self, head: Head, members: int, owners: int) -> None:
        self._heads[head.channel_id] = replace(
            head, members=head.members + members, owners=head.owners + owners
        )

    def move_read_position(
        self, channel_id: str, user_id: str, seq: int, messages: int, *, force: bool, voids: int = 0
    ) -> Membership | None:
        """See ``Members``."""
        with self._lock:
            current = self._memberships.get((channel_id, user_id))
            if current is None or (current.read_seq > seq and not force):
                return current
            moved = replace(current, read_seq=seq, read_messages=messages, read_voids=voids)
            self._write_member(moved)
            return moved

    def mute(self, channel_id: str, user_id: str, *, muted: bool) -> Membership | None:
        """See ``Members``."""
        with self._lock:
            current = self._memberships.get((channel_id, user_id))
            if current is not None:
                current = replace(current, muted=muted)
                self._write_member(current)
            return current

    def ping(self) -> None:
        """See ``Members``."""

    # --- moderation ---

    def block(self, block: Block) -> bool:
        """See ``Moderation``."""
        with self._lock:
            key = (block.user_id, block.other_id)
            if key in self._blocks:
                return False
            self._blocks[key] = block
            self._mark_block(*key, is_blocked=True)
            return True

    def unblock(self, user_id: str, other_id: str) -> None:
        """See ``Moderation``."""
        with self._lock:
            if self._blocks.pop((user_id, other_id), None):
                self._mark_block(user_id, other_id, is_blocked=False)

    def _mark_block(self, user_id: str, other_id: str, *, is_blocked: bool) -> None:
        channel_id = direct_channel_id(user_id, other_id)
        mine, other = (channel_id, user_id), (channel_id, other_id)
        if mine in self._memberships:
            self._write_member(replace(self._memberships[mine], blocks=is_blocked))
        if other in self._memberships:
            self._write_member(replace(self._memberships[other], is_blocked=is_blocked))

    def blocks(self, user_id: str) -> list[Block]:
        """See ``Moderation``."""
        with self._lock:
            return [block for (user, _), block in sorted(self._blocks.items()) if user == user_id]

    def ban(self, ban: Ban, target: Membership | None, by: Membership) -> bool:
        """See ``Moderation``."""
        key = (ban.channel_id, ban.user_id)
        with self._lock:
            if key in self._bans:
                return True
            if not self._role_unchanged(by) or (target is None and key in self._memberships):
                return False
            if target is not None:
                owners = -1 if target.role is Role.OWNER else 0
                if not self._may_change(target, owners):
                    return False
                self._end_membership(key, owners)
            past = self._past_memberships.get(key, PastMembership(ban.channel_id, 0))
            self._past_memberships[key] = replace(past, is_banned=True)
            self._bans[key] = ban
            return True

    def unban(self, channel_id: str, user_id: str, by: Membership | None = None) -> bool:
        """See ``Moderation``."""
        key = (channel_id, user_id)
        with self._lock:
            past = self._past_memberships.get(key)
            if past is None or not past.is_banned:
                return True
            if not self._role_unchanged(by):
                return False
            self._bans.pop(key, None)
            self._past_memberships[key] = replace(past, is_banned=False)
            if not past.was_member:
                del self._past_memberships[key]
            return True

    def ban_of(self, channel_id: str, user_id: str) -> Ban | None:
        """See ``Moderation``."""
        with self._lock:
            return self._bans.get((channel_id, user_id))

    def bans(self, channel_id: str, limit: int, after: str | None) -> list[Ban]:
        """See ``Moderation``."""
        with self._lock:
            found = [ban for (channel, _), ban in sorted(self._bans.items()) if channel == channel_id]
        return [ban for ban in found if after is None or ban.user_id > after][:limit]

    def add_report(self, report: Report, limit: int) -> str | None:
        """See ``Moderation``."""
        made = (report.reporter, report.message_id)
        with self._lock:
            if made in self._reports_made:
                return self._reports_made[made]
            if len(self.reports(report.channel_id, limit, None, is_open=True)) >= limit:
                return None
            self._reports_made[made] = report.report_id
            self._reports[report.channel_id, report.report_id] = report
            return report.report_id

    def report(self, channel_id: str, report_id: str) -> Report | None:
        """See ``Moderation``."""
        with self._lock:
            return self._reports.get((channel_id, report_id))

    def reports(self, channel_id: str, limit: int, after: str | None, *, is_open: bool) -> list[Report]:
        """See ``Moderation``."""
        with self._lock:
            found = [each for (channel, _), each in sorted(self._reports.items()) if channel == channel_id]
        found = [each for each in found if each.is_open is is_open]
        return [each for each in found if after is None or each.report_id > after][:limit]

    def close_report(self, closed: Report, by: Membership) -> bool:
        """See ``Moderation``."""
        with self._lock:
            found = self._reports.get((closed.channel_id, closed.report_id))
            if found is None or not found.is_open or found.reporter != closed.reporter:
                return False
            if not self._role_unchanged(by):
                return False
            self._reports[closed.channel_id, closed.report_id] = closed
            return True

    # --- erasures ---

    def blockers(self, user_id: str) -> list[str]:
        """See ``Erasures``."""
        with self._lock:
            return sorted(user for user, other in self._blocks if other == user_id)

    def reports_made(self, user_id: str) -> list[tuple[str, str]]:
        """See ``Erasures``."""
        with self._lock:
            made = sorted(self._reports_made.items())
        return [(message, report) for (user, message), report in made if user == user_id]

    def forget_report_made(self, user_id: str, message_id: str) -> None:
        """See ``Erasures``."""
        with self._lock:
            self._reports_made.pop((user_id, message_id), None)

    def forget_moderator(self, channel_id: str, user_id: str) -> None:
        """See ``Erasures``."""
        with self._lock:
            for key, ban in list(self._bans.items()):
                if key[0] == channel_id and ban.by == user_id:
                    self._bans[key] = replace(ban, by=ERASED, reason="")
            for key, report in list(self._reports.items()):
                if key[0] == channel_id and report.reporter == user_id:
                    report = self._reports[key] = replace(report, reporter=ERASED, text="")  # noqa: PLW2901
                if key[0] == channel_id and report.closed_by == user_id:
                    self._reports[key] = replace(report, closed_by=ERASED, resolution="")

    def past_memberships(self, user_id: str) -> list[PastMembership]:
        """See ``Erasures``."""
        with self._lock:
            return [
                past_membership
                for (_, user), past_membership in sorted(self._past_memberships.items())
                if user == user_id
            ]

    def forget_past_membership(self, user_id: str, past_membership: PastMembership) -> None:
        """See ``Erasures``."""
        key = (past_membership.channel_id, user_id)
        with self._lock:
            found = self._past_memberships.get(key)
            if found and found.joined_at == past_membership.joined_at:
                del self._past_memberships[key]

    def redact(self, channel_id: str, seq: int, body: bytes) -> None:
        """See ``Erasures``."""
        with self._lock:
            log = self._entries.get(channel_id, {})
            if seq in log and log[seq].body is not None:
                log[seq] = replace(log[seq], body=body, versions=())
                self._redacted.add((channel_id, seq))

    def rewrite_message(self, channel_id: str, seen: Entry, body: bytes) -> bool:
        """See ``Erasures``."""
        with self._lock:
            log = self._entries.get(channel_id, {})
            found = log.get(seen.seq)
            if found is None or found.body is None or (channel_id, seen.seq) in self._redacted:
                return False
            if (found.rev, found.rewrites) != (seen.rev, seen.rewrites):
                return False
            log[seen.seq] = replace(found, body=body, rewrites=found.rewrites + 1)
            return True

    def rewrite_change(self, channel_id: str, seen: Change, change: Change) -> bool:
        """See ``Erasures``."""
        with self._lock:
            log = self._changes[channel_id]
            found = log.get(change.rev)
            if found is None or (found.by, found.body, found.before) != (seen.by, seen.body, seen.before):
                return False
            log[change.rev] = replace(found, by=change.by, body=change.body, before=change.before)
            return True

    def forget_reactions(self, channel_id: str, user_id: str) -> None:
        """See ``Erasures``."""
        with self._lock:
            for (channel, _, _), users in self._reacted.items():
                if channel == channel_id:
                    users.pop(user_id, None)

    def count_erasure(self, channel_id: str, user_id: str) -> Head | None:
        """See ``Erasures``."""
        with self._lock:
            head = self._heads.get(channel_id)
            if head is None:
                return None
            creator = ERASED if head.creator == user_id else head.creator
            self._heads[channel_id] = replace(head, erasures=head.erasures + 1, creator=creator)
            return self._heads[channel_id]

    def sweep(
        self, kind: Expiring, head: Head, first: int, last: int, now: int, *, dry_run: bool = False
    ) -> int:
        """See ``Erasures``."""
        with self._lock:
            found = [
                (items, key)
                for items, key, at, expires in self._expiring(kind, head)
                if first <= at <= last and not 0 < expires <= now // 1000
            ]
            for items, key in [] if dry_run else found:
                items.remove(key) if isinstance(items, set) else items.pop(key)
            return len(found)

    def _expiring(self, kind: Expiring, head: Head) -> Iterator[tuple[Any, Any, int, int]]:
        """What has expired: where it is, under which key, its position or number, and when it is deleted."""
        channel_id, end = head.channel_id, head.boundary
        match kind:
            case Expiring.ENTRIES:
                log = self.log(channel_id)
                yield from ((log, seq, seq, log[seq].expires) for seq in log if seq <= end.seq)
            case Expiring.CHANGES:
                for change in self._changes[channel_id].values():
                    if change.rev <= end.rev and change.seq <= end.seq:
                        yield self._changes[channel_id], change.rev, change.rev, change.expires
            case Expiring.GAPS:
                yield from (
                    (self._gaps[channel_id], seq, seq, 0) for seq in self._gaps[channel_id] if seq <= end.seq
                )
            case Expiring.REACTIONS:
                for (channel, seq, _), users in self._reacted.items():
                    if channel == channel_id and seq <= end.seq:
                        yield from ((users, user, seq, expires) for user, (_, expires) in users.items())


def _may_write(membership: Membership) -> bool:
    return not membership.blocks and not membership.is_blocked


def _shown(head: Head) -> int:
    return head.last.seq if head.last else 0


def _member_key(log_id: str, user_id: str) -> tuple[str, str]:
    return keys.channel_of_log(log_id), user_id
