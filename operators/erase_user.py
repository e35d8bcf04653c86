"""Erasing a user: nobody is shown again what they wrote, or that it was they who wrote it.

Each step may be repeated, and what is still to do can be read from the table: a membership is first turned into a
former one, and a former one goes when nothing of its channel is left to do. So whatever ends the tool, running it again
finishes. The order of the steps, and why no cache can show the old text: docs/adr/0009-redaction.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from operators.reading import all_members, channels_of, standing_of
from shared.domain.messages import preview_of, redacted
from shared.domain.model import Head, Kind, Member, Membership, PastMembership, Role
from shared.storage.log_reader import DEAD_MS, repair_preview
from shared.storage.protocol import Store

TRIES: Final = 20
"""Times a preview is mended that others' posts and erasures move meanwhile."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What was done; ``returned`` where the user joined a channel meanwhile, so that it has to be done again."""

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
        stand_in_seconds: how long a container may show what was vouched for, the longest of its freshness times.
        say: hears of progress.
    """

    store: Store
    sleep: Callable[[float], None]
    now: Callable[[], int]
    stand_in_seconds: float
    say: Callable[[str], None] = lambda _: None

    def erase(self, user_id: str) -> Erased:
        """Erases a user. From the moment that it returns, no answer has anything of theirs.

        Costs a read unit for each 4 KB of the logs that they ever wrote in, and a write unit for each message (KB).
        """
        self.leave(user_id)
        past_memberships = self._settled_formers(user_id)
        if not past_memberships:
            return Erased(0, 0, returned=bool(self.store.memberships(user_id)))
        messages = sum(
            self.redact(user_id, past_membership.channel_id) for past_membership in past_memberships
        )
        self.say(f"waiting {self.stand_in_seconds:g} s, as long as pages and lists may stand in")
        self.sleep(self.stand_in_seconds)
        for past_membership in past_memberships:
            self.store.forget_past_membership(user_id, past_membership)
        return Erased(len(past_memberships), messages, returned=bool(self.store.memberships(user_id)))

    def _settled_formers(self, user_id: str) -> list[PastMembership]:
        """Where nothing of the user's is under way any more.

        What somebody else ended just now may be seen in part, the membership gone and no former one yet: so they are
        read again after the wait, and waited for where there is another one.
        """
        past_memberships: list[PastMembership] | None = None
        while past_memberships != (found := self.store.past_memberships(user_id)):
            past_memberships = found
            self.say(f"waiting {DEAD_MS // 1000} s for posts under way to end")
            self.sleep(DEAD_MS / 1000)
        return found

    def leave(self, user_id: str) -> None:
        """Ends all memberships: a post that is not committed now never will be."""
        for membership in self.store.memberships(user_id):
            self._leave(membership)

    def redact(self, user_id: str, channel_id: str) -> int:
        """Redacts a channel's messages, and only then makes worthless what was read before; how many it were."""
        messages = 0
        for entry in standing_of(self.store, channel_id, user_id):
            self.store.redact(channel_id, entry.seq, redacted(entry.body or b""))
            messages += 1
        head = self.store.count_erasure(channel_id, user_id)
        self._mend_preview(head, user_id)
        self.say(f"{channel_id}: {messages} messages")
        return messages

    def _mend_preview(self, head: Head | None, user_id: str) -> None:
        """The head as it is after the redaction: nobody can put back a preview that was made before."""
        for _ in range(TRIES):
            if head is None or head.last is None or head.last.sender != user_id:
                return
            channel_id, seq = head.channel_id, head.last.seq
            found = self.store.entries(channel_id, seq, seq)
            if found and found[0].body is not None:
                self.store.correct_preview(channel_id, seq, preview_of(found[0]), head.erasures, head.rev)
            else:
                repair_preview(self.store, channel_id, seq)
            head = self.store.head(channel_id)

    # --- memberships ---

    def _leave(self, membership: Membership) -> None:
        head = self.store.head(membership.channel_id)
        if head is not None and head.kind is Kind.DIRECT:
            self.store.archive_channel(head.channel_id, self.now())  # Nobody is left to talk to.
        current: Membership | None = membership
        while current is not None and not self.store.remove_member(current):
            seen, current = current, self.store.membership(membership.channel_id, membership.user_id)
            # Who was made an owner just now is removed as one first: there may be others.
            if current is not None and seen.role is current.role is Role.OWNER:
                self._hand_over(current)

    def _hand_over(self, owner: Membership) -> None:
        """Makes another member an owner; where there is none, nobody can change the channel any more."""
        for heir in self._heirs(owner):
            current = self.store.membership(owner.channel_id, heir.user_id)
            if current is not None and self.store.change_role(current, Role.OWNER):
                self.say(f"{owner.channel_id}: a {heir.role} became its owner")
                return
        self.say(f"{owner.channel_id}: nobody is left, archived")
        self.store.archive_channel(owner.channel_id, self.now())
        self.store.remove_member(owner, even_last_owner=True)

    def _heirs(self, owner: Membership) -> list[Member]:
        """Moderators, then members, those first who have been there longest."""
        others = [each for each in all_members(self.store, owner.channel_id) if each.user_id != owner.user_id]
        return sorted(others, key=lambda each: (each.role is Role.MEMBER, each.joined_at, each.user_id))


@dataclass(frozen=True, slots=True)
class Survey:
    """What an erasure would be about."""

    channels: int
    messages: int


def survey(store: Store, user_id: str) -> Survey:
    """Counts what stands of a user, and changes nothing."""
    channels = channels_of(store, user_id)
    messages = sum(1 for each in channels for _ in standing_of(store, each, user_id))
    return Survey(len(channels), messages)
