"""Mutants: parts of the code under test, each wrong in one way, and all of them by name.

The simulator must find every one of them, or it would not find real faults.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, cast

from operators.erase_user import Erased, Eraser
from operators.reading import channels_of, standing_of
from shared.bootstrap import Services
from shared.cache.blocks import Block, Cached, Kept
from shared.cache.bundle import Bundle
from shared.cache.pages import CachedLogReader, EncodedPage, Parts, page_json
from shared.cache.redis import RedisTier
from shared.cache.stale_fallback import StaleFallback
from shared.cache.tier import MemoryTier, Tier
from shared.domain import keys, permissions
from shared.domain.changes import NO_SUMMARY, Change, ChangeKind, summary_of, with_summary
from shared.domain.errors import UnavailableError
from shared.domain.keys import MAX_SEQ
from shared.domain.messages import Draft, redacted
from shared.domain.model import (
    NOTHING_EXPIRED,
    ChannelState,
    Entry,
    Head,
    Membership,
    PastMembership,
    Role,
)
from shared.runtime.codings import PLAIN, Accepted
from shared.storage.log_reader import UNCERTAIN_CHANGES, DirectLogReader, LogReader, Span
from shared.storage.protocol import (
    ChangeCommit,
    ChangeOutcome,
    Commit,
    Committed,
    KeyUsed,
    Outcome,
    PositionTaken,
    StateChanged,
)
from shared.use_cases.fetch_messages import FORMAT, Page, Window, fetch_messages, page_version, positions
from shared.use_cases.list_channels import Listed, Listing, list_channels
from shared.use_cases.post_message import Posted, _Post
from tests.simulation.containers import Code
from tests.simulation.pages import plain
from tests.simulation.store import SimStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from shared.bootstrap import Services
    from shared.cache.blocks import Cached
    from shared.cache.tier import MemoryTier, Tier
    from shared.domain.messages import Draft
    from shared.domain.model import Entry, Head, IdempotencyRecord
    from shared.observability.meter import CacheMetrics
    from shared.storage.log_reader import LogReader
    from shared.storage.memory import MemoryStore
    from shared.storage.protocol import Store
    from tests.simulation.containers import Container


# --- posting, reading, what stands in ---


TTL_MS: Final = 120_000


class KeepsOldStates(SimStore):
    """Reads the channel state only once in 120 s."""

    def __init__(self, container: Container) -> None:
        super().__init__(container)
        self._states: dict[tuple[str, str], tuple[float, ChannelState]] = {}

    def read_channel_state(self, channel_id: str, user_id: str, key: str | None = None) -> ChannelState:
        """The state of up to 120 s ago."""
        at, state = self._states.get((channel_id, user_id), (0.0, None))
        if state is None or key is not None or self._world.loop.now - at > TTL_MS:
            state = super().read_channel_state(channel_id, user_id, key)
            self._states[channel_id, user_id] = (self._world.loop.now, state)
        return state


class LetsAnybodyIn(SimStore):
    """Takes every user for a member."""

    def read_channel_state(self, channel_id: str, user_id: str, key: str | None = None) -> ChannelState:
        """With a membership, whether there is one or not."""
        state = super().read_channel_state(channel_id, user_id, key)
        if state.membership is None and state.head is not None:
            return replace(state, membership=_anybody(channel_id, user_id))
        return state


class JoinsPastBans(SimStore):
    """Looks for a ban when it reads the channel state, and not when it adds the member."""

    def __init__(self, container: Container) -> None:
        super().__init__(container)
        self._banned: set[tuple[str, str]] = set()

    def _read_state(self, channel_id: str, user_id: str, key: str | None) -> ChannelState:
        self._banned = {key for key, past in self._truth._past_memberships.items() if past.is_banned}
        return super()._read_state(channel_id, user_id, key)

    def _add_member(
        self, membership: Membership, by: Membership | None
    ) -> Membership | PastMembership | None:
        key = (membership.channel_id, membership.user_id)
        past = self._truth.past_membership(*key)
        if past is not None and key in self._banned:
            return past
        return _without_ban(self._truth, key, lambda: super(JoinsPastBans, self)._add_member(membership, by))


def _without_ban(
    truth: MemoryStore, key: tuple[str, str], work: Callable[[], Membership | PastMembership | None]
) -> Membership | PastMembership | None:
    past = truth._past_memberships.get(key)
    if past is None or not past.is_banned:
        return work()
    truth._past_memberships[key] = replace(past, is_banned=False)
    done = work()
    truth._past_memberships[key] = past
    return done


class AcceptsFromTheBlocked(SimStore):
    """Commits messages without the condition that nobody has blocked the other since the channel state was read."""

    def _commit(self, commit: Commit) -> Outcome:
        key = (commit.channel_id, commit.user_id)
        before = self._truth._memberships.get(key)
        if before is None or not (before.blocks or before.is_blocked):
            return super()._commit(commit)
        self._truth._memberships[key] = replace(before, blocks=False, is_blocked=False)
        outcome = super()._commit(commit)
        after = self._truth._memberships[key]
        self._truth._memberships[key] = replace(after, blocks=before.blocks, is_blocked=before.is_blocked)
        return outcome


class UnarchivesAnyway(SimStore):
    """Unarchives a channel without the condition that it is as it was read."""

    def _end_archiving(self, head: Head, by: Membership | None) -> Head | None:  # noqa: ARG002 - the bug
        current = self._truth.head(head.channel_id)
        if current is not None:
            current = replace(current, archived_at=None, version=current.version + 1)
            self._truth._heads[head.channel_id] = current
        return current


class ArchivesLate(SimStore):
    """Acknowledges an archiving that is not made yet."""

    def _archive(self, channel_id: str, now: int, by: Membership | None, *, if_version: int | None) -> bool:
        archive = super()._archive

        def late() -> None:
            archive(channel_id, now, by, if_version=if_version)

        self._world.loop.spawn(late, 200.0)
        return True


def _anybody(log_id: str, user_id: str) -> Membership:
    return Membership(user_id, keys.channel_of_log(log_id), Role.MEMBER, 0)


class VoidsAnyway(SimStore):
    """Writes a void without the condition that the position is free."""

    def _void(self, channel_id: str, voids: Sequence[Entry]) -> list[Entry]:
        self._truth.log(channel_id).update({each.seq: each for each in voids})
        return list(voids)


class VoidsBlindly(SimStore):
    """Takes its void for written, even if a message was there before."""

    def _void(self, channel_id: str, voids: Sequence[Entry]) -> list[Entry]:
        super()._void(channel_id, voids)
        return list(voids)


class IdempotencyRecordApart(SimStore):
    """Writes the idempotency record after the transaction instead of in it."""

    def _commit(self, commit: Commit) -> Outcome:
        outcome = super()._commit(replace(commit, idempotency_record=None))
        if isinstance(outcome, Committed) and commit.idempotency_record is not None:
            self._container.step("putting the idempotency record")
            key = (commit.channel_id, commit.user_id, commit.idempotency_record.key)
            used = self._truth._idempotency_records.setdefault(key, commit.idempotency_record)
            if used is not commit.idempotency_record:
                return KeyUsed(used)
        return outcome


class CommitsInParts(SimStore):
    """Writes the entries of a batch one after the other."""

    def _commit(self, commit: Commit) -> Outcome:
        outcome = super()._commit(replace(commit, entries=commit.entries[-1:]))
        for entry in commit.entries[:-1]:
            self._container.step("putting an entry")
            standing = self._truth.void(commit.channel_id, [entry])[0]
            if standing is not entry:
                return PositionTaken(standing)
        return outcome


class ServesPastHoles(DirectLogReader):
    """Takes a position without an entry for one that never gets one."""

    def read(self, head: Head, first: int, last: int) -> Span:
        """Holes as voids, all but those at the end."""
        found = {entry.seq: entry.body for entry in self._log.entries(head.channel_id, first, last)}
        return Span(first, [found.get(seq) for seq in range(first, max(found, default=first - 1) + 1)])


class AcceptsWhatIsBehind(CachedLogReader):
    """Serves what memory has, whether it reaches the end or not."""

    def read(self, head: Head, first: int, last: int) -> Span:
        """As far as memory goes."""
        for end in range(last, first, -1):
            span = self.from_memory(head, first, end)
            if span is not None:
                return span
        return super().read(head, first, last)


class _Padded:
    def __init__(self, direct: LogReader) -> None:
        self._direct = direct

    def begin(self) -> None:
        self._direct.begin()

    def from_memory(self, head: Head, first: int, last: int) -> Span | None:
        return self._direct.from_memory(head, first, last)

    def changes(self, head: Head, first: int, last: int) -> Sequence[Change]:
        return self._direct.changes(head, first, last)

    def read(self, head: Head, first: int, last: int) -> Span:
        span = self._direct.read(head, first, last)
        return Span(first, span.bodies + [None] * (last - span.last))


class FillsFurtherThanItRead(CachedLogReader):
    """Caches a page under the last position that was asked for instead of the last that was read."""

    def __init__(self, direct: LogReader, memory: Tier, shared: Tier, metrics: CacheMetrics) -> None:
        super().__init__(_Padded(direct), memory, shared, metrics)


class NeverTooOld(StaleFallback):
    """Serves stale data of any age."""

    def __init__(
        self, memory: MemoryTier, messages_seconds: float, channels_seconds: float, now: Callable[[], int]
    ) -> None:
        super().__init__(memory, 1000 * messages_seconds, 1000 * channels_seconds, now)


class StandsInForOthers(StaleFallback):
    """Serves a stale channel to any caller, not only to the one whose access was confirmed."""

    def put(self, channel_id: str, user_id: str, state: ChannelState, asked_at: int) -> None:  # noqa: ARG002 - the bug
        """For every caller."""
        super().put(channel_id, "anybody", state, asked_at)

    def get(self, channel_id: str, user_id: str) -> ChannelState | None:  # noqa: ARG002 - the bug
        """Anybody's."""
        return super().get(channel_id, "anybody")


def fetch_then_confirm(
    services: Services,
    user_id: str,
    channel_id: str,
    window: Window,
    etags: frozenset[str],
    accepted: Accepted = PLAIN,
) -> Page:
    """Makes the page from memory, and checks the membership only then."""
    known = services.stale_fallback.get(channel_id, user_id)
    if known is not None and known.head is not None and known.membership is not None:
        end = known.head.seq
        if max(window.before or 0, window.after or 0, window.around or 0) <= end:
            first, last = positions(window, known.head, known.membership)
            span = services.reader.from_memory(known.head, first, last)
            if span is not None:
                permissions.require_member(services.store.read_channel_state(channel_id, user_id))
                body = page_json(known.head, span, has_more_after=last < end)
                return Page(page_version(known.head, end, window, known.membership), body)
    return fetch_messages(services, user_id, channel_id, window, etags, accepted)


def etag_of_the_end(
    services: Services,
    user_id: str,
    channel_id: str,
    window: Window,
    etags: frozenset[str],
    accepted: Accepted = PLAIN,
) -> Page:
    """Names a page by the channel's last position, though it ends before one that is still open."""
    page = plain(fetch_messages(services, user_id, channel_id, window, etags, accepted))
    if page.body is None or window.anchor == "first_unread":
        return page
    at = page.body.rfind(b'"channel_last_seq":') + len(b'"channel_last_seq":')
    end = int(page.body[at:].split(b",")[0])
    return replace(page, version=re.sub(r"\.\d+", f".{end}", page.version, count=1))


class _TakesAnother(_Post):
    def _void(self, entries: list[Entry]) -> bool:
        # Whoever stands there: on to the next number.
        super()._void(entries)
        return True


def _kind(also_in_channel: bool) -> str:  # noqa: FBT001 - of a post, as ``post_message`` names it
    return "also in channel" if also_in_channel else ""


def post_again(
    services: Services,
    user_id: str,
    channel_id: str,
    drafts: Sequence[Draft],
    key: str | None,
    *,
    also_in_channel: bool = False,
) -> Posted:
    """Reserves another position after a refused commit, without reading the entry at the old one."""
    state = services.store.read_channel_state(channel_id, user_id, key)
    post = _TakesAnother(services, user_id, channel_id, drafts, key, _kind(also_in_channel))
    if state.idempotency_record and permissions.require_member(state):
        return post.replay(state.idempotency_record)
    return post.run(*permissions.require_capability(state, "post"), state)


def list_from_memory(services: Services, user_id: str, listing: Listing) -> Listed:
    """Shows the channels as they were when they were last read."""
    known = services.stale_fallback.get_list(user_id)
    if known is None:
        return list_channels(services, user_id, listing)
    frozen = cast("Store", _Frozen(services.store, known))
    return list_channels(replace(services, store=frozen), user_id, listing)


class _Behind:
    def __init__(self, store: Store) -> None:
        self._behind = store

    def __getattr__(self, name: str) -> object:
        return getattr(self._behind, name)


class _Frozen(_Behind):
    def __init__(self, store: Store, known: tuple[tuple[Head, Membership], ...]) -> None:
        super().__init__(store)
        self._known = known

    def memberships(self, _user_id: str) -> list[Membership]:
        return [membership for _, membership in self._known]

    def heads(self, _channel_ids: object) -> dict[str, Head]:
        return {head.channel_id: head for head, _ in self._known}


# --- what is acknowledged ---


class _ReplaysWhatItSees(_Post):
    def replay(self, idempotency_record: IdempotencyRecord) -> Posted:
        entries = self._store.entries(
            self._channel_id, idempotency_record.seq - idempotency_record.count + 1, idempotency_record.seq
        )
        return Posted([entry.body or b"" for entry in entries], idempotency_record.seq, None)


class _AsksForTheFirst(_Post):
    def _void(self, entries: list[Entry]) -> bool:
        return super()._void(entries[:1]) and super()._void(entries)


def replay_in_part(
    services: Services,
    user_id: str,
    channel_id: str,
    drafts: Sequence[Draft],
    key: str | None,
    *,
    also_in_channel: bool = False,
) -> Posted:
    """Replays a post with only those of its messages that it sees."""
    kind = _kind(also_in_channel)
    return _posted(_ReplaysWhatItSees(services, user_id, channel_id, drafts, key, kind))


def acknowledge_in_part(
    services: Services,
    user_id: str,
    channel_id: str,
    drafts: Sequence[Draft],
    key: str | None,
    *,
    also_in_channel: bool = False,
) -> Posted:
    """Acknowledges a batch whose first message is stored though it does not see the others yet."""
    kind = _kind(also_in_channel)
    return _posted(_AsksForTheFirst(services, user_id, channel_id, drafts, key, kind))


def _posted(post: _Post) -> Posted:
    state = post._store.read_channel_state(post._channel_id, post._user_id, post._key)
    if state.idempotency_record and permissions.require_member(state):
        return post.replay(state.idempotency_record)
    return post.run(*permissions.require_capability(state, "post"), state)


# --- what did not come to stand ---


class CountsNoVoids(SimStore):
    """Writes voids and counts none."""

    def _void(self, channel_id: str, voids: Sequence[Entry]) -> list[Entry]:
        before = self._truth.head(channel_id)
        standing = super()._void(channel_id, voids)
        head = self._truth.head(channel_id)
        if head and before:
            self._truth._heads[channel_id] = replace(head, voids=before.voids, gaps=before.gaps)
        return standing


class CountsFoundVoids(SimStore):
    """Counts a void that another writer has written."""

    def _void(self, channel_id: str, voids: Sequence[Entry]) -> list[Entry]:
        standing = super()._void(channel_id, voids)
        found = sum(each.body is None and each not in voids for each in standing)
        head = self._truth.head(channel_id)
        if head:
            self._truth._heads[channel_id] = replace(head, voids=head.voids + found)
        return standing


class CountsApart(SimStore):
    """Counts voids in a step of its own, before which the container may die."""

    def _void(self, channel_id: str, voids: Sequence[Entry]) -> list[Entry]:
        before = self._truth.head(channel_id)
        standing = super()._void(channel_id, voids)
        after = self._truth.head(channel_id)
        if before and after and after.voids > before.voids:
            self._truth._heads[channel_id] = replace(after, voids=before.voids, gaps=before.gaps)
            self._container.step("counting the voids")
            head = self._truth.head(channel_id) or after
            counted, gaps = head.voids + after.voids - before.voids, head.gaps | after.gaps
            self._truth._heads[channel_id] = replace(head, voids=counted, gaps=gaps)
        return standing


class _Believing(_Behind):
    def standing(self, positions: Sequence[tuple[str, int]]) -> dict[tuple[str, int], bool]:
        return dict.fromkeys(positions, True)


def list_unasked(services: Services, user_id: str, listing: Listing) -> Listed:
    """Shows the heads' previews without checking that their messages are stored."""
    believing = cast("Store", _Believing(services.store))
    return list_channels(replace(services, store=believing), user_id, listing)


def as_wide_as_asked(
    services: Services,
    user_id: str,
    channel_id: str,
    window: Window,
    etags: frozenset[str],
    accepted: Accepted = PLAIN,
) -> Page:
    """Shows the positions that were asked for, and no others, also where they hold no message."""
    page = plain(fetch_messages(services, user_id, channel_id, window, etags, accepted))
    if page.body is None or page.stale:
        return page
    head, membership = permissions.require_member(services.store.read_channel_state(channel_id, user_id))
    first, last = positions(window, head, membership)
    span = services.reader.read(head, first, last)
    body = page_json(head, span, has_more_after=span.last == last < head.seq)
    return Page(page_version(head, head.seq if span.last == last else span.last, window, membership), body)


# --- pages that are encoded ---


class _Anything(tuple[int, ...]):
    """Equal to everything."""

    __slots__ = ()
    __hash__ = tuple.__hash__

    def __eq__(self, other: object) -> bool:
        return True


class _Careless:
    """A memory whose encoded pages are right for every head."""

    def __init__(self, memory: Tier) -> None:
        self._memory = memory

    def get(self, keys: Sequence[str]) -> dict[str, Cached]:
        found = self._memory.get(keys)
        return {
            key: replace(value, of=_Anything()) if isinstance(value, EncodedPage) else value
            for key, value in found.items()
        }

    def put(self, items: Mapping[str, Cached]) -> None:
        self._memory.put(items)


def encoded_for_any_head(
    services: Services,
    user_id: str,
    channel_id: str,
    window: Window,
    etags: frozenset[str],
    accepted: Accepted = PLAIN,
) -> Page:
    """Sends a page that was encoded before, whatever was posted since."""
    memory = cast("MemoryTier", _Careless(services.memory))
    careless = replace(services, memory=memory)
    return fetch_messages(careless, user_id, channel_id, window, etags, accepted)


# --- erasures ---


class _Unnumbered:
    """A tier whose keys do not say how often messages had been redacted."""

    def __init__(self, tier: Tier) -> None:
        self._tier = tier
        self.name = tier.name

    def begin(self) -> None:
        self._tier.begin()

    def get(self, keys: Sequence[str]) -> dict[str, Cached]:
        found = self._tier.get([_unnumbered(key) for key in keys])
        return {key: found[_unnumbered(key)] for key in keys if _unnumbered(key) in found}

    def origin(self, keys: Iterable[str]) -> str:
        return self._tier.origin([_unnumbered(key) for key in keys])

    def put(self, items: Mapping[str, Cached]) -> None:
        self._tier.put({_unnumbered(key): value for key, value in items.items()})


def _unnumbered(key: str) -> str:
    return ".".join(key.split(".")[:2])


class MemoryUnnumbered(CachedLogReader):
    """Finds blocks in memory though messages were redacted since."""

    def __init__(self, direct: LogReader, memory: Tier, shared: Tier, metrics: CacheMetrics) -> None:
        super().__init__(direct, _Unnumbered(memory), shared, metrics)


class RedisUnnumbered(CachedLogReader):
    """Finds blocks in Redis' bundle though messages were redacted since."""

    def __init__(self, direct: LogReader, memory: Tier, shared: Tier, metrics: CacheMetrics) -> None:
        super().__init__(direct, memory, _Unnumbered(shared), metrics)


class CountsFirst(Eraser):
    """Raises the number before the messages are redacted."""

    def _redact_log(self, user_id: str, channel_id: str) -> int:
        head = self.store.count_erasure(channel_id, user_id)
        standing = list(standing_of(self.store, channel_id, user_id))
        for entry in standing:
            self.store.redact(channel_id, entry.seq, redacted(entry.body or b""))
        self._mend_preview(head and self.store.head(channel_id), user_id)
        return len(standing)


class CountsNothing(Eraser):
    """Redacts without counting it in the head."""

    def _redact_log(self, user_id: str, channel_id: str) -> int:
        standing = list(standing_of(self.store, channel_id, user_id))
        for entry in standing:
            self.store.redact(channel_id, entry.seq, redacted(entry.body or b""))
        self._mend_preview(self.store.head(channel_id), user_id)
        return len(standing)


class RedactsBeforeLeaving(Eraser):
    """Ends the memberships when the messages are redacted: some come after."""

    def erase(self, user_id: str) -> Erased:
        """In the wrong order."""
        channels = channels_of(self.store, user_id)
        messages = sum(self.redact(user_id, channel_id) for channel_id in channels)
        self.leave(user_id)
        self.sleep(self.stand_in_seconds)
        return Erased(len(channels), messages, returned=False)


class LeavesPreviews(Eraser):
    """Forgets that the list of channels shows text too."""

    def _mend_preview(self, head: Head | None, user_id: str) -> None:
        """Nothing."""


class AcknowledgesEarly(Eraser):
    """Does not wait until stale data is too old to be served."""

    def erase(self, user_id: str) -> Erased:
        """At once."""
        return Eraser.erase(replace(self, stand_in_seconds=0), user_id)


def etag_unnumbered(
    services: Services,
    user_id: str,
    channel_id: str,
    window: Window,
    etags: frozenset[str],
    accepted: Accepted = PLAIN,
) -> Page:
    """Names a page without the number of redactions."""
    head = services.store.head(channel_id)
    number = f"-{head.erasures}" if head and head.erasures else ""
    named = frozenset(each.replace(f"{FORMAT}.", f"{FORMAT}{number}.", 1) for each in etags)
    page = fetch_messages(services, user_id, channel_id, window, named, accepted)
    return replace(page, version=page.version.replace(f"{FORMAT}{number}.", f"{FORMAT}.", 1))


# --- changes ---


class ServesWithoutChanges(CachedLogReader):
    """Takes cached blocks for complete, whatever changed since."""

    def _caught_up(self, head: Head, blocks: Mapping[str, Block]) -> dict[str, Block]:
        return {key: replace(block, rev=head.rev) for key, block in blocks.items()}


class LaysOlderOverNewer(CachedLogReader):
    """Lays changes over a block in any order, without comparing their numbers with the message's."""

    def _caught_up(self, head: Head, blocks: Mapping[str, Block]) -> dict[str, Block]:
        changes = self.changes(head, min(block.rev for block in blocks.values()) + 1, head.rev)
        return {key: _laid_over(block, changes[::-1], head.rev) for key, block in blocks.items()}


def _laid_over(block: Block, changes: Sequence[Change], rev: int) -> Block:
    bodies = list(block.bodies)
    for change in changes:
        if change.body is not None and block.covers(change.seq, change.seq):
            bodies[change.seq - block.first] = change.body
    return Block.of(block.first, bodies, rev)


class TrustsRedis(CachedLogReader):
    """Takes blocks from Redis for complete, so that a deleted message shows its text."""

    def _from_shared(self, blocks: Mapping[str, Block], wanted: Parts) -> dict[str, Block]:
        found = super()._from_shared(blocks, wanted)
        return {key: replace(block, rev=MAX_SEQ) for key, block in found.items()}


class TrustsWhatItRead(CachedLogReader):
    """Takes messages that were just read for complete, though their last changes may not be seen yet."""

    def _fill(self, head: Head, blocks: dict[str, Block], wanted: Parts, low: int, high: int) -> list[str]:
        return super()._fill(replace(head, rev=head.rev + UNCERTAIN_CHANGES), blocks, wanted, low, high)


class ServesChangesWithHoles(DirectLogReader):
    """Serves the changes that are seen, though others before them may not be."""

    def changes(self, head: Head, first: int, last: int) -> Sequence[Change]:
        """Without waiting."""
        return self._log.changes(head.channel_id, first, last)


class AcknowledgesChangesFirst(SimStore):
    """Acknowledges a change before its transaction."""

    def commit_change(self, commit: ChangeCommit) -> ChangeOutcome:
        """At once; what comes of the transaction is ignored."""

        def make() -> None:
            with suppress(UnavailableError):
                super(AcknowledgesChangesFirst, self).commit_change(commit)

        self._container.start(make, freezes=False)
        return Committed()


class NumbersChangesApart(SimStore):
    """Gives out a change's number before the transaction, in a step of its own."""

    def _make_change(self, commit: ChangeCommit) -> ChangeOutcome:
        channel_id, rev = commit.head.channel_id, commit.change.rev
        head = self._truth.head(channel_id)
        if head is None or head.rev != commit.head.rev:
            return StateChanged()
        self._truth._heads[channel_id] = replace(head, rev=rev)
        self._container.step("making the change")
        return super()._make_change(replace(commit, head=replace(commit.head, rev=rev)))


class CountsDeleted(SimStore):
    """Counts deleted messages as unread."""

    def _make_change(self, commit: ChangeCommit) -> ChangeOutcome:
        return super()._make_change(replace(commit, is_gap=False))


class TrimsUnlisted(SimStore):
    """Removes gaps from the head that are listed nowhere else."""

    def list_gaps(self, channel_id: str, gaps: Iterable[int]) -> None:
        """Lists none."""


class LeavesOldPreview(SimStore):
    """Leaves the preview as it was before an edit or a deletion."""

    def _make_change(self, commit: ChangeCommit) -> ChangeOutcome:
        channel_id = commit.head.channel_id
        before = self._truth.head(channel_id)
        outcome = super()._make_change(commit)
        after = self._truth.head(channel_id)
        if before and after:
            self._truth._heads[channel_id] = replace(after, last=before.last)
        return outcome


class KeepsMarks(SimStore):
    """Deletes a message and keeps it among the mentions of those whom it named."""

    def _make_change(self, commit: ChangeCommit) -> ChangeOutcome:
        if commit.change.kind is ChangeKind.DELETED:
            commit = replace(commit, unmentions={})
        return super()._make_change(commit)


class SeesAllAtOnce(SimStore):
    """Acknowledges a change of which readers do not see every part yet."""

    def _changes(self, channel_id: str, revs: Sequence[int]) -> list[Change]:
        return self._truth.changes_at(channel_id, revs)

    def _read_message_state(
        self, channel_id: str, user_id: str, seq: int, key: str | None
    ) -> tuple[ChannelState, Entry | None]:
        return self._truth.read_message_state(channel_id, user_id, seq, key)


def etag_without_changes(
    services: Services,
    user_id: str,
    channel_id: str,
    window: Window,
    etags: frozenset[str],
    accepted: Accepted = PLAIN,
) -> Page:
    """Names a page without the number of the last change."""
    page = fetch_messages(services, user_id, channel_id, window, frozenset(), accepted)
    version = re.sub(r"r\d+", "", page.version)
    return Page(version, None) if version in etags else replace(page, version=version)


class IgnoresRetention(SimStore):
    """Shows messages for as long as DynamoDB has not deleted them."""

    def _head(self, channel_id: str) -> Head | None:
        head = super()._head(channel_id)
        return replace(head, retention_days=None, boundary=NOTHING_EXPIRED) if head else None


# --- threads ---


class CountsAllReplies(SimStore):
    """Counts the positions of a thread in its summary, voids and deleted replies too."""

    def _make_change(self, commit: ChangeCommit) -> ChangeOutcome:
        change, entry = commit.change, commit.entry
        if change.kind is ChangeKind.THREAD and change.body is not None and entry is not None:
            summary = summary_of(change.body) or NO_SUMMARY
            body = with_summary(change.body, change.rev, replace(summary, count=summary.seq))
            commit = replace(commit, change=replace(change, body=body), entry=replace(entry, body=body))
        return super()._make_change(commit)


class LowersLater(SimStore):
    """Deletes a reply and leaves the lower summary to the next reading."""

    def _make_change(self, commit: ChangeCommit) -> ChangeOutcome:
        return super()._make_change(replace(commit, summary=None))


class LetsAnybodyIntoThreads(SimStore):
    """Requires no membership to read a thread, as long as its root is known."""

    def read_channel_state(self, channel_id: str, user_id: str, key: str | None = None) -> ChannelState:
        """With a membership, whether there is one or not."""
        state = super().read_channel_state(channel_id, user_id, key)
        if state.membership is None and state.thread is not None:
            return replace(state, membership=_anybody(channel_id, user_id))
        return state


class RepliesUnchecked(SimStore):
    """Commits a reply without the condition on the membership."""

    def _commit(self, commit: Commit) -> Outcome:
        members, key = self._truth._memberships, (keys.channel_of_log(commit.channel_id), commit.user_id)
        if not keys.is_thread(commit.channel_id) or key in members:
            return super()._commit(commit)
        members[key] = replace(_anybody(*key), tat=commit.tat_seen)
        try:
            return super()._commit(commit)
        finally:
            del members[key]


class LosesCopies(SimStore):
    """Commits a reply that is for the channel too to its thread only."""

    def _commit(self, commit: Commit) -> Outcome:
        return super()._commit(replace(commit, copy=None))


# --- Redis' bundles ---


class _ForgetsNothing(Bundle):
    def _is_in_use(self, kept: Kept) -> bool:  # noqa: ARG002 - the bug
        return True


class _TakesCarryingForUse(Bundle):
    def merge(self, stored: Mapping[str, Kept]) -> None:
        super().merge({key: Kept(each.value, self._seconds()) for key, each in stored.items()})


class _BelievesTimes(Bundle):
    def merge(self, stored: Mapping[str, Kept]) -> None:
        super().merge(stored)
        for key in self._values.keys() & stored.keys():
            self._values[key] = Kept(self._values[key].value, stored[key].used)


class _WithBundle(RedisTier):
    bundle = Bundle

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        policy = self._policy
        self._bundle = self.bundle(policy.max_bytes, policy.unused_seconds, self._now)


class CarriesForEver(_WithBundle):
    """Writes everything that it has ever learned or found."""

    bundle = _ForgetsNothing


class TakesCarryingForUse(_WithBundle):
    """Lets what each container only carries count as used."""

    bundle = _TakesCarryingForUse


class BelievesTimes(_WithBundle):
    """Believes in uses that are yet to come."""

    bundle = _BelievesTimes


# --- all of them ---


@dataclass(frozen=True)
class Mutant:
    """A bug that is put into the code on purpose."""

    what: str
    code: Code


MUTANTS: Final[dict[str, Mutant]] = {
    "skip-confirmation": Mutant(
        "serves by a head and a membership read up to 120 s ago", Code(store=KeepsOldStates)
    ),
    "confirm-after-serving": Mutant(
        "makes the page from memory, then checks the membership",
        Code(fetch=fetch_then_confirm),
    ),
    "accept-behind": Mutant(
        "serves a cached page that does not reach the end", Code(reader=AcceptsWhatIsBehind)
    ),
    "fill-later": Mutant(
        "caches a page under a later position than was read", Code(reader=FillsFurtherThanItRead)
    ),
    "serve-past-hole": Mutant(
        "serves entries after a hole without settling it", Code(direct=ServesPastHoles)
    ),
    "void-without-condition": Mutant(
        "settles a hole over any entry that was written there", Code(store=VoidsAnyway)
    ),
    "unarchive-anyway": Mutant(
        "ends an archiving that is not the one that was read", Code(store=UnarchivesAnyway)
    ),
    "archive-late": Mutant("acknowledges an archiving before it is made", Code(store=ArchivesLate)),
    "ignore-membership": Mutant("shows a channel to users who are no members", Code(store=LetsAnybodyIn)),
    "join-past-ban": Mutant("lets a banned member's join in that races the ban", Code(store=JoinsPastBans)),
    "accept-from-blocked": Mutant(
        "accepts a blocked sender's direct message", Code(store=AcceptsFromTheBlocked)
    ),
    "void-blindly": Mutant(
        "does not check what was written where it wanted a void", Code(store=VoidsBlindly)
    ),
    "commit-again": Mutant("posts at a new position without reading the old one", Code(post=post_again)),
    "idempotency-record-apart": Mutant(
        "writes the idempotency record outside of the transaction", Code(store=IdempotencyRecordApart)
    ),
    "batch-in-parts": Mutant("writes the entries of a batch one by one", Code(store=CommitsInParts)),
    "replay-in-part": Mutant(
        "answers a repeated post with the messages that are seen yet", Code(post=replay_in_part)
    ),
    "acknowledge-in-part": Mutant(
        "acknowledges a batch of which only the first is seen", Code(post=acknowledge_in_part)
    ),
    "count-no-voids": Mutant("counts voids as messages", Code(store=CountsNoVoids)),
    "count-found-voids": Mutant(
        "counts a void again that somebody else has written", Code(store=CountsFoundVoids)
    ),
    "count-apart": Mutant("counts voids in another step than it writes them", Code(store=CountsApart)),
    "list-unasked": Mutant("shows messages in lists that never came to stand", Code(listing=list_unasked)),
    "empty-page": Mutant("leaves a page empty though messages stand before it", Code(fetch=as_wide_as_asked)),
    "stale-for-ever": Mutant(
        "serves stale pages beyond the freshness time", Code(stale_fallback=NeverTooOld)
    ),
    "stale-for-anybody": Mutant(
        "serves a stale page to a user whose membership was not confirmed",
        Code(stale_fallback=StandsInForOthers),
    ),
    "etag-of-the-end": Mutant("names an open page as if it were complete", Code(fetch=etag_of_the_end)),
    "encoded-for-any-head": Mutant(
        "sends a page that was encoded before, whatever was posted since",
        Code(fetch=encoded_for_any_head),
    ),
    "list-from-memory": Mutant(
        "shows the list of channels of up to 300 s ago", Code(listing=list_from_memory)
    ),
    "memory-unnumbered": Mutant(
        "serves from memory what was read before a redaction", Code(reader=MemoryUnnumbered)
    ),
    "redis-unnumbered": Mutant(
        "serves from Redis what was read before a redaction", Code(reader=RedisUnnumbered)
    ),
    "etag-unnumbered": Mutant("answers 304 though a message was redacted", Code(fetch=etag_unnumbered)),
    "count-first": Mutant("raises the number of redactions before it redacts", Code(eraser=CountsFirst)),
    "count-nothing": Mutant("redacts without raising the number", Code(eraser=CountsNothing)),
    "redact-before-leaving": Mutant(
        "ends memberships after it has redacted", Code(eraser=RedactsBeforeLeaving)
    ),
    "preview-stays": Mutant("leaves the erased text in the list of channels", Code(eraser=LeavesPreviews)),
    "acknowledge-early": Mutant(
        "acknowledges an erasure while stale pages may still be served",
        Code(eraser=AcknowledgesEarly),
    ),
    "serve-without-changes": Mutant(
        "serves a cached block without its changes", Code(reader=ServesWithoutChanges)
    ),
    "older-over-newer": Mutant("lays an older change over a newer one", Code(reader=LaysOlderOverNewer)),
    "text-from-redis": Mutant("shows a deleted message's text from Redis", Code(reader=TrustsRedis)),
    "trust-what-was-read": Mutant(
        "caches messages as complete whose last changes are not seen yet", Code(reader=TrustsWhatItRead)
    ),
    "changes-with-holes": Mutant(
        "serves changes though one before them is not seen", Code(direct=ServesChangesWithHoles)
    ),
    "acknowledge-changes-first": Mutant(
        "acknowledges a change before its transaction", Code(store=AcknowledgesChangesFirst)
    ),
    "acknowledge-changes-in-part": Mutant(
        "acknowledges a change that readers see in part", Code(store=SeesAllAtOnce)
    ),
    "number-apart": Mutant("numbers a change outside of its transaction", Code(store=NumbersChangesApart)),
    "count-deleted": Mutant("counts deleted messages as unread", Code(store=CountsDeleted)),
    "trim-unlisted": Mutant("forgets the gaps that a head has no room for", Code(store=TrimsUnlisted)),
    "old-preview": Mutant("leaves the preview as it was before a change", Code(store=LeavesOldPreview)),
    "keep-marks": Mutant("leaves a deleted message among the mentions", Code(store=KeepsMarks)),
    "etag-without-changes": Mutant("answers 304 though a message changed", Code(fetch=etag_without_changes)),
    "ignore-retention": Mutant("shows an entry after its retention", Code(store=IgnoresRetention)),
    "count-all-replies": Mutant(
        "counts voids and deleted replies in a thread's summary", Code(store=CountsAllReplies)
    ),
    "lower-later": Mutant("deletes a reply without lowering the summary", Code(store=LowersLater)),
    "threads-for-anybody": Mutant(
        "shows a thread to users who are no members", Code(store=LetsAnybodyIntoThreads)
    ),
    "reply-unchecked": Mutant("commits a reply of a user who has left", Code(store=RepliesUnchecked)),
    "one-of-both": Mutant(
        "posts a reply that is for the channel too to its thread only", Code(store=LosesCopies)
    ),
    "carry-for-ever": Mutant("writes to Redis whatever it ever learned", Code(tier=CarriesForEver)),
    "carrying-is-use": Mutant(
        "takes what it carries from bundle to bundle for used",
        Code(tier=TakesCarryingForUse),
    ),
    "believe-times": Mutant(
        "believes that a value in Redis will be used in the future", Code(tier=BelievesTimes)
    ),
}
