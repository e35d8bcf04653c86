"""Mutants: parts of the API with one bug each, put in by override. The machine must find every one."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from shared.cache.pages import CachedLogReader
from tests.api import Api, Response
from tests.stateful.fleet import SETTINGS, Code, FaultyStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from shared.bootstrap import Services
    from shared.cache.blocks import Block
    from shared.domain.model import ChannelState, Head, Member, Membership, PastMembership, Preview
    from shared.storage.log_reader import Span
    from shared.storage.protocol import ChangeCommit, ChangeOutcome, Commit, Outcome, Reservation


@dataclass
class RemembersMembers(FaultyStore):
    """Lets past members in."""

    def read_channel_state(self, channel_id: str, user_id: str, key: str | None = None) -> ChannelState:
        """With the membership of old."""
        state, known = (
            super().read_channel_state(channel_id, user_id, key),
            self.__dict__.setdefault("known", {}),
        )
        known[channel_id, user_id] = state.membership or known.get((channel_id, user_id))
        return replace(state, membership=known[channel_id, user_id])


@dataclass
class ForgetsKeys(FaultyStore):
    """Posts a retry again."""

    def commit(self, commit: Commit) -> Outcome:
        """Without an idempotency record."""
        return super().commit(replace(commit, idempotency_record=None))


@dataclass
class KeepsKeysForEver(FaultyStore):
    """Replays after more than a day."""

    def commit(self, commit: Commit) -> Outcome:
        """With an idempotency record that never expires."""
        idempotency_record = commit.idempotency_record and replace(commit.idempotency_record, expires=2**40)
        return super().commit(replace(commit, idempotency_record=idempotency_record))


@dataclass
class OwnIsUnread(FaultyStore):
    """Counts a user's own messages as unread."""

    def commit(self, commit: Commit) -> Outcome:
        """Without moving the read position."""
        return super().commit(replace(commit, move_read=False))


@dataclass
class NewcomersHaveAllUnread(FaultyStore):
    """Counts messages from before a user joined as unread."""

    def add_member(
        self, membership: Membership, by: Membership | None = None
    ) -> Membership | PastMembership | None:
        """With a read position of 0."""
        return super().add_member(replace(membership, read_seq=0, read_messages=0), by)


@dataclass
class LeavingForgives(FaultyStore):
    """Forgets the rate debt of a user who leaves and comes back."""

    def add_member(
        self, membership: Membership, by: Membership | None = None
    ) -> Membership | PastMembership | None:
        """With nothing owed."""
        self._past_memberships.pop((membership.channel_id, membership.user_id), None)
        return super().add_member(membership, by)


@dataclass
class ReadGoesBack(FaultyStore):
    """Marks as unread what was marked as read, unasked."""

    def move_read_position(
        self, channel_id: str, user_id: str, seq: int, messages: int, *, force: bool, voids: int = 0
    ) -> Membership | None:
        """As if forced."""
        forced = force or seq > 0
        return super().move_read_position(channel_id, user_id, seq, messages, force=forced, voids=voids)


@dataclass
class LosesOwners(FaultyStore):
    """Lets the last owner go."""

    def _may_change(self, membership: Membership, owners: int) -> bool:
        return super()._may_change(membership, max(0, owners))


@dataclass
class SkipsMembers(FaultyStore):
    """Leaves out one member at each turn of the page."""

    def members(self, channel_id: str, limit: int, after: str | None) -> list[Member]:
        """One too far."""
        found = super().members(channel_id, limit + 1, after)
        return found[1:] if after else found[:limit]


@dataclass
class OverwritesChanges(FaultyStore):
    """Changes a channel without counting it."""

    def update_channel(
        self,
        channel_id: str,
        changes: Mapping[str, str | int | None],
        if_version: int | None,
        by: Membership | None = None,
    ) -> Head | None:
        """At the old version."""
        head = super().update_channel(channel_id, changes, if_version, by)
        if head is not None:
            head = self._heads[channel_id] = replace(head, version=max(1, head.version - 1))
        return head


@dataclass
class ShowsWhatFailed(FaultyStore):
    """Previews a message that was never posted."""

    def correct_preview(self, *_: object) -> bool:
        """Says that it was done."""
        return True

    def standing(self, positions: Sequence[tuple[str, int]]) -> dict[tuple[str, int], bool]:
        """Reports every preview as stored."""
        return dict.fromkeys(positions, True)


@dataclass
class LosesTheMark(FaultyStore):
    """Keeps a deleted message among somebody's mentions."""

    def make_change(self, commit: ChangeCommit) -> ChangeOutcome:
        """Without removing marks."""
        return super().make_change(replace(commit, unmentions={}))


@dataclass
class CountsDeleted(FaultyStore):
    """Counts deleted messages as unread."""

    def make_change(self, commit: ChangeCommit) -> ChangeOutcome:
        """Without a gap."""
        return super().make_change(replace(commit, is_gap=False))


@dataclass
class PreviewsOldText(FaultyStore):
    """Shows the latest message in lists as it was posted."""

    def make_change(self, commit: ChangeCommit) -> ChangeOutcome:
        """Leaves the preview."""
        before = self._heads[commit.head.channel_id]
        outcome = super().make_change(commit)
        after = self._heads[commit.head.channel_id]
        self._heads[commit.head.channel_id] = replace(after, last=before.last)
        return outcome


@dataclass
class KeepsTheCount(FaultyStore):
    """Counts deleted replies in the root of their thread."""

    def make_change(self, commit: ChangeCommit) -> ChangeOutcome:
        """Without the lower summary."""
        return super().make_change(replace(commit, summary=None))


@dataclass
class FollowsNothing(FaultyStore):
    """Posts a reply, and nobody follows the thread."""

    def commit(self, commit: Commit) -> Outcome:
        """Without the sender and the root's author."""
        return super().commit(replace(commit, follow=False, follower=None))


@dataclass
class EditsAgain(FaultyStore):
    """Makes an edit again that was repeated under its key."""

    def make_change(self, commit: ChangeCommit) -> ChangeOutcome:
        """Without an idempotency record."""
        return super().make_change(replace(commit, idempotency_record=None))


@dataclass
class ForgetsVersions(FaultyStore):
    """Loses what a message said before an edit."""

    def make_change(self, commit: ChangeCommit) -> ChangeOutcome:
        """Without the numbers of its versions."""
        return super().make_change(replace(commit, entry=commit.entry and replace(commit.entry, versions=())))


@dataclass
class NotifiesNobody(FaultyStore):
    """Does not mark the memberships of users whom an edit names."""

    def make_change(self, commit: ChangeCommit) -> ChangeOutcome:
        """Without marks."""
        return super().make_change(replace(commit, mentions={}))


@dataclass
class LosesChanges(FaultyStore):
    """Has no change log for pins."""

    def make_change(self, commit: ChangeCommit) -> ChangeOutcome:
        """Replaces a pin's change by the one before it."""
        outcome = super().make_change(commit)
        log, rev = self._changes[commit.head.channel_id], commit.change.rev
        if commit.pin is not None and rev - 1 in log and rev in log:
            log[rev] = replace(log[rev - 1], rev=rev)
        return outcome


@dataclass
class NamesNobody(FaultyStore):
    """Does not count a message that names everybody as a mention."""

    def reserve(
        self,
        channel_id: str,
        count: int,
        preview: Preview,
        *,
        everybody: bool = False,  # noqa: ARG002 - the bug
    ) -> Reservation | Head | None:
        """Names nobody."""
        return super().reserve(channel_id, count, preview)


class ServesWithoutChanges(CachedLogReader):
    """Serves cached messages as they were when they were cached."""

    def _caught_up(self, head: Head, blocks: Mapping[str, Block]) -> dict[str, Block]:
        return {key: replace(block, rev=head.rev) for key, block in blocks.items()}


class ServesWhatIsBehind(CachedLogReader):
    """Serves what memory has, whether it reaches the end or not."""

    def read(self, head: Head, first: int, last: int) -> Span:
        """As far as memory goes."""
        spans = (self.from_memory(head, first, end) for end in range(last, first, -1))
        return next(filter(None, spans), None) or super().read(head, first, last)


class MixesChannels(CachedLogReader):
    """Keeps the pages of all channels in one place."""

    def read(self, head: Head, first: int, last: int) -> Span:
        """Of the channel that was read first."""
        known = self.__dict__.setdefault("known", head)
        return super().read(replace(head, channel_id=known.channel_id), first, last)


class TrustsCopies(Api):
    """Says of every copy that it is still right."""

    def invoke(self, made: dict[str, Any]) -> Response:
        """304 for any ETag."""
        response = super().invoke(made)
        has_copy = "if-none-match" in made["headers"] and response.status == 200
        return Response(304, response.headers, "") if has_copy else response


class MixesForms(Api):
    """Replays a message as a batch of one, and a batch of one as a message."""

    def invoke(self, made: dict[str, Any]) -> Response:
        """As a batch."""
        body = json.loads(made.get("body", "null"))
        if made["routeKey"].endswith("/messages") and isinstance(body, dict) and "text" in body:
            response = super().invoke(made | {"body": json.dumps({"messages": [body]})})
            return replace(response, body=response.body[13:-2]) if response.status == 201 else response
        return super().invoke(made)


class KeepsBatchesToItself(Api):
    """Responds to a batch with an empty list."""

    def invoke(self, made: dict[str, Any]) -> Response:
        """No message."""
        response = super().invoke(made)
        return (
            replace(response, body='{"messages":[]}') if '{"messages":[' in response.body[:13] else response
        )


@dataclass(frozen=True)
class Mutant:
    """A part that is wrong."""

    code: Code = field(default_factory=Code)
    make_api: Callable[[Services], Api] = Api


STORES: Final[Sequence[type[FaultyStore]]] = (
    RemembersMembers,
    ForgetsKeys,
    KeepsKeysForEver,
    OwnIsUnread,
    NewcomersHaveAllUnread,
    LeavingForgives,
    ReadGoesBack,
    LosesOwners,
    SkipsMembers,
    OverwritesChanges,
    ShowsWhatFailed,
    LosesTheMark,
    CountsDeleted,
    PreviewsOldText,
    KeepsTheCount,
    FollowsNothing,
    EditsAgain,
    ForgetsVersions,
    NotifiesNobody,
    LosesChanges,
    NamesNobody,
)
READERS: Final = (ServesWhatIsBehind, MixesChannels, ServesWithoutChanges)
APIS: Final = (TrustsCopies, MixesForms, KeepsBatchesToItself)
MUTANTS: Final = {
    **{each.__name__: Mutant(Code(store=each)) for each in STORES},
    **{each.__name__: Mutant(Code(reader=each)) for each in READERS},
    **{each.__name__: Mutant(make_api=each) for each in APIS},
    "LargerBurst": Mutant(Code(settings=replace(SETTINGS, rate_burst=6))),
    "FasterRate": Mutant(Code(settings=replace(SETTINGS, rate_per_second=1.25))),
}
