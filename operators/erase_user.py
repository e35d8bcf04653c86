"""Erases a user: afterwards, no response has what they wrote, or shows that they wrote it.

Every step may be repeated, and the table shows what is left to do: a membership is first turned into a past
membership, which is deleted when nothing is left to do in its channel. So the tool can be run again after any
interruption. The order of the steps, and why no cache can return the old text: docs/adr/0009-redaction.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from operators.reading import all_members, changes_of, channels_of, messages_of, standing_of, threads_of
from operators.redaction import without_user, without_user_in_change
from shared.domain.changes import Change, summary_of
from shared.domain.errors import ContentionError
from shared.domain.messages import preview_of, redacted, sender_of
from shared.domain.model import FIXED_MEMBERS, Entry, Head, Member, Membership, PastMembership, Role
from shared.storage.log_reader import DEAD_MS, repair_preview
from shared.storage.protocol import Store

TRIES: Final = 20
"""Attempts to repair a preview, or to rewrite a message, that others change meanwhile."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What was done; ``returned`` if the user joined a channel meanwhile, so that it has to be repeated."""

    channels: int
    messages: int
    returned: bool


@dataclass(frozen=True)
class Eraser:
    """Erases users.

    Args:
        store: the storage.
        sleep: waits for a number of seconds.
        now: milliseconds since 1970.
        stand_in_seconds: how long a container may return stale responses: its longest freshness time.
        say: takes messages about the progress.
    """

    store: Store
    sleep: Callable[[float], None]
    now: Callable[[], int]
    stand_in_seconds: float
    say: Callable[[str], None] = lambda _: None

    def erase(self, user_id: str) -> Erased:
        """Erases a user. After it returns, no response has anything of theirs.

        Costs a read unit for each 4 KB of the messages and changes of all channels that they were ever in and of their
        threads, one for each message there, and a write unit for each KB of each message and change that names them.
        """
        self.leave(user_id)
        self._forget_blocks(user_id)
        past_memberships = self._settled_past_memberships(user_id)
        for follow in self.store.follows(user_id):
            self.store.unfollow(follow.log_id, user_id)
        if not past_memberships:
            return Erased(0, 0, returned=bool(self.store.memberships(user_id)))
        messages = sum(
            self.redact(user_id, past_membership.channel_id) for past_membership in past_memberships
        )
        self._wait()
        while sum(self._forget_replier(user_id, each.channel_id) for each in past_memberships):
            self._wait()
        for message_id, _ in self.store.reports_made(user_id):
            self.store.forget_report_made(user_id, message_id)
        for past_membership in past_memberships:
            self.store.unban(past_membership.channel_id, user_id)
            self.store.forget_past_membership(user_id, past_membership)
        return Erased(len(past_memberships), messages, returned=bool(self.store.memberships(user_id)))

    def _wait(self) -> None:
        self.say(f"waiting {self.stand_in_seconds:g} s, as long as stale pages and lists may be returned")
        self.sleep(self.stand_in_seconds)

    def _settled_past_memberships(self, user_id: str) -> list[PastMembership]:
        """The channels in which no post of the user is in progress any more.

        A membership that somebody else ends right now may be read in part: it is gone, but its past membership does not
        exist yet. So they are read again after the wait, and waited for again if there is a new one.
        """
        past_memberships: list[PastMembership] | None = None
        while past_memberships != (found := self.store.past_memberships(user_id)):
            past_memberships = found
            self.say(f"waiting {DEAD_MS // 1000} s for posts in progress to end")
            self.sleep(DEAD_MS / 1000)
        return found

    def leave(self, user_id: str) -> None:
        """Ends all memberships: a post that is not committed by now never will be. Then what the user watches, too.

        All past memberships are looked at, as an earlier run may have died in between.
        """
        for membership in self.store.memberships(user_id):
            self._leave(membership)
        for past_membership in self.store.past_memberships(user_id):
            self.store.end_watches(past_membership.channel_id, user_id)
        for connection in self.store.connections_of(user_id, 0):  # At time 0 nothing has expired.
            self.store.close_connection(connection)

    def _forget_blocks(self, user_id: str) -> None:
        """Removes the blocks of the user and by the user. Their direct channels are archived already."""
        for block in self.store.blocks(user_id):
            self.store.unblock(user_id, block.other_id)
        for blocker in self.store.blockers(user_id):
            self.store.unblock(blocker, user_id)

    def redact(self, user_id: str, channel_id: str) -> int:
        """Redacts the user's messages in a channel and its threads, removes the user from those of others.

        The change logs too. So it does with the user's bans of others and reports. Reports of the user's messages stay:
        they name messages. Then it invalidates what was read before. Returns the number of the user's messages.
        """
        messages = self._redact_log(user_id, channel_id)
        return messages + sum(
            self._redact_log(user_id, thread.channel_id) for thread in threads_of(self.store, channel_id)
        )

    def _redact_log(self, user_id: str, channel_id: str) -> int:
        # Reactions that messages do not show come first: one that moves into its message meanwhile is found there.
        self.store.forget_reactions(channel_id, user_id)
        self.store.forget_moderator(channel_id, user_id)
        messages = others = 0
        for entry in messages_of(self.store, channel_id):
            if sender_of(entry.body or b"") == user_id:
                self.store.redact(channel_id, entry.seq, redacted(entry.body or b""))
                messages += 1
            else:
                others += self._rewrite_message(channel_id, entry, user_id)
        # A change that is made from now on starts from messages without the user.
        self._rewrite_changes(channel_id, user_id)
        head = self.store.count_erasure(channel_id, user_id)
        self._mend_preview(head, user_id)
        self.say(f"{channel_id}: {messages} messages, {others} of others")
        return messages

    def _forget_replier(self, user_id: str, channel_id: str) -> int:
        """Removes the user from the summaries of a channel's threads; returns from how many.

        A request that read a thread before it was redacted may have written them since.
        """
        roots = [each for each in messages_of(self.store, channel_id) if summary_of(each.body or b"")]
        found = sum(self._rewrite_message(channel_id, each, user_id) for each in roots)
        found += self._rewrite_changes(channel_id, user_id) if roots else 0
        if found:
            self.store.count_erasure(channel_id, user_id)
        return found

    def _rewrite_message(self, channel_id: str, entry: Entry, user_id: str) -> bool:
        """Removes the user from a message of somebody else; returns whether it named the user."""
        for _ in range(TRIES):
            body = entry.body or b""
            rewritten = without_user(body, user_id)
            if rewritten is body:
                return False
            if self.store.rewrite_message(channel_id, entry, rewritten):
                return True
            found = self.store.entries_at(channel_id, [entry.seq])
            if not found:
                return False  # It has expired meanwhile.
            entry = found[0]
        raise ContentionError

    def _rewrite_changes(self, channel_id: str, user_id: str) -> int:
        """Removes the user from a change log; returns from how many changes."""
        found = list(changes_of(self.store, self.store.head(channel_id)))
        return sum(self._rewrite_change(channel_id, change, user_id) for change in found)

    def _rewrite_change(self, channel_id: str, change: Change, user_id: str) -> bool:
        for _ in range(TRIES):
            rewritten = without_user_in_change(change, user_id)
            if rewritten == change:
                return False
            if self.store.rewrite_change(channel_id, change, rewritten):
                return True
            found = self.store.changes_at(channel_id, [change.rev])
            if not found:
                return False  # It has expired meanwhile.
            change = found[0]
        raise ContentionError

    def _mend_preview(self, head: Head | None, user_id: str) -> None:
        """Replaces a preview of the user's message, or of one that mentions them.

        ``head`` is from after the redaction: nobody can restore a preview that was made before.
        """
        for _ in range(TRIES):
            if head is None or head.last is None:
                return
            channel_id, last = head.channel_id, head.last
            found = self.store.entries(channel_id, last.seq, last.seq)
            if found and found[0].body is not None:
                shown = preview_of(found[0])
                if last == shown:
                    return
                self.store.correct_preview(channel_id, last.seq, shown, head.erasures, head.rev)
            elif last.sender == user_id:
                repair_preview(self.store, channel_id, last.seq)
            else:
                return  # A post in progress, of somebody else.
            head = self.store.head(channel_id)

    # --- memberships ---

    def _leave(self, membership: Membership) -> None:
        head = self.store.head(membership.channel_id)
        if head is not None and head.kind in FIXED_MEMBERS:
            # The members are what it is found by, and one of them is gone.
            self._archive(head.channel_id)
        current: Membership | None = membership
        while current is not None and not self.store.remove_member(current):
            seen, current = current, self.store.membership(membership.channel_id, membership.user_id)
            # A user who just became an owner is removed as an owner: there may be others.
            if current is not None and seen.role is current.role is Role.OWNER:
                self._hand_over(current)

    def _hand_over(self, owner: Membership) -> None:
        """Makes another member an owner; without one, nobody could change the channel any more."""
        for heir in self._heirs(owner):
            current = self.store.membership(owner.channel_id, heir.user_id)
            if current is not None and self.store.change_role(current, Role.OWNER):
                self.say(f"{owner.channel_id}: a {heir.role} became its owner")
                return
        self.say(f"{owner.channel_id}: no other member, archived")
        self._archive(owner.channel_id)
        self.store.remove_member(owner, even_last_owner=True)

    def _archive(self, channel_id: str) -> None:
        self.store.archive_channel(channel_id, self.now())
        self.store.end_watches(channel_id)

    def _heirs(self, owner: Membership) -> list[Member]:
        """Moderators, then members, each in the order in which they joined."""
        others = [each for each in all_members(self.store, owner.channel_id) if each.user_id != owner.user_id]
        return sorted(others, key=lambda each: (each.role is Role.MEMBER, each.joined_at, each.user_id))


@dataclass(frozen=True, slots=True)
class Survey:
    """What an erasure would affect."""

    channels: int
    messages: int


def survey(store: Store, user_id: str) -> Survey:
    """Counts what the table has of a user, and changes nothing."""
    channels = channels_of(store, user_id)
    logs = [*channels, *(thread.channel_id for each in channels for thread in threads_of(store, each))]
    messages = sum(1 for each in logs for _ in standing_of(store, each, user_id))
    return Survey(len(channels), messages)
