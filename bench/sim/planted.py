"""Planted bugs: parts of the code under test, each wrong in one way."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

from bench.sim.pages import plain
from bench.sim.store import SimStore
from shared import access
from shared.cache.encoded import CachedLogReader, page_json
from shared.cache.vouched import Vouched
from shared.codings import PLAIN, Accepted
from shared.log_reader import DirectLogReader, LogReader, Span
from shared.messages import Draft
from shared.model import Entry, Head, Look, Membership, Role
from shared.services import Services
from shared.store.interface import Commit, Committed, KeyUsed, Outcome, PositionTaken
from shared.use_cases.fetch_messages import Page, Window, etag_of, fetch_messages, positions
from shared.use_cases.list_channels import Listed, Listing, list_channels
from shared.use_cases.post_message import Posted, _Post

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bench.sim.containers import Container
    from shared.cache.interface import Tier
    from shared.cache.memory import MemoryTier
    from shared.cache.metrics import CacheMetrics
    from shared.store.interface import Store

TTL_MS: Final = 120_000


class RemembersLooks(SimStore):
    """Asks who may read, and how far the log goes, once in 120 s."""

    def __init__(self, container: Container) -> None:
        super().__init__(container)
        self._looks: dict[tuple[str, str], tuple[float, Look]] = {}

    def look(self, channel_id: str, user_id: str, key: str | None = None) -> Look:
        """The look of a while ago."""
        at, look = self._looks.get((channel_id, user_id), (0.0, None))
        if look is None or key is not None or self._world.loop.now - at > TTL_MS:
            look = super().look(channel_id, user_id, key)
            self._looks[channel_id, user_id] = (self._world.loop.now, look)
        return look


class LetsAnybodyIn(SimStore):
    """Takes everybody for a member."""

    def look(self, channel_id: str, user_id: str, key: str | None = None) -> Look:
        """With a membership, whether there is one or not."""
        look = super().look(channel_id, user_id, key)
        if look.membership is None and look.head is not None:
            return Look(look.head, Membership(user_id, channel_id, Role.MEMBER, 0), look.receipt)
        return look


class VoidsAnyway(SimStore):
    """Writes a void without the condition that nothing stands there."""

    def _void(self, channel_id: str, voids: Sequence[Entry]) -> list[Entry]:
        self._truth._log(channel_id).update({each.seq: each for each in voids})  # noqa: SLF001 - the bug is to write past the condition
        return list(voids)


class VoidsBlindly(SimStore):
    """Believes that its void stands, whoever was there before."""

    def _void(self, channel_id: str, voids: Sequence[Entry]) -> list[Entry]:
        super()._void(channel_id, voids)
        return list(voids)


class ReceiptApart(SimStore):
    """Writes the receipt after the transaction instead of in it."""

    def _commit(self, commit: Commit) -> Outcome:
        outcome = super()._commit(replace(commit, receipt=None))
        if isinstance(outcome, Committed) and commit.receipt is not None:
            self._container.step("putting the receipt")
            key = (commit.channel_id, commit.user_id, commit.receipt.key)
            used = self._truth._receipts.setdefault(key, commit.receipt)  # noqa: SLF001 - as above
            if used is not commit.receipt:
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
    """Takes a position where nothing stands for one where nothing will."""

    def read(self, head: Head, first: int, last: int) -> Span:
        """Holes as voids, all but those at the end."""
        found = {entry.seq: entry.body for entry in self._log.entries(head.channel_id, first, last)}
        return Span(first, [found.get(seq) for seq in range(first, max(found, default=first - 1) + 1)])


class AcceptsWhatIsBehind(CachedLogReader):
    """Serves what memory has, whether it reaches the end or not."""

    def read(self, head: Head, first: int, last: int) -> Span:
        """As far as memory goes."""
        for end in range(last, first, -1):
            span = self.remembered(head, first, end)
            if span is not None:
                return span
        return super().read(head, first, last)


class _Padded:
    def __init__(self, direct: LogReader) -> None:
        self._direct = direct

    def begin(self) -> None:
        self._direct.begin()

    def remembered(self, head: Head, first: int, last: int) -> Span | None:
        return self._direct.remembered(head, first, last)

    def read(self, head: Head, first: int, last: int) -> Span:
        span = self._direct.read(head, first, last)
        return Span(first, span.bodies + [None] * (last - span.last))


class FillsFurtherThanItRead(CachedLogReader):
    """Caches a page under the last position that was asked for instead of the last that was read."""

    def __init__(self, direct: LogReader, memory: Tier, shared: Tier, metrics: CacheMetrics) -> None:
        super().__init__(_Padded(direct), memory, shared, metrics)


class NeverTooOld(Vouched):
    """Lets what was vouched for at any time stand in."""

    def __init__(
        self, memory: MemoryTier, messages_seconds: float, channels_seconds: float, now: Callable[[], int]
    ) -> None:
        super().__init__(memory, 1000 * messages_seconds, 1000 * channels_seconds, now)


class StandsInForOthers(Vouched):
    """Recalls a channel for whoever asks, not only for whom it was vouched."""

    def remember(self, channel_id: str, user_id: str, look: Look, asked_at: int) -> None:  # noqa: ARG002 - the bug
        """For everybody."""
        super().remember(channel_id, "anybody", look, asked_at)

    def recall(self, channel_id: str, user_id: str) -> Look | None:  # noqa: ARG002 - the bug
        """Anybody's."""
        return super().recall(channel_id, "anybody")


def fetch_then_vouch(
    services: Services,
    user_id: str,
    channel_id: str,
    window: Window,
    etags: frozenset[str],
    accepted: Accepted = PLAIN,
) -> Page:
    """Makes the page from what it remembers, and asks the storage only then whether it may be shown."""
    known = services.cache.vouched.recall(channel_id, user_id)
    if known is not None and known.head is not None and known.membership is not None:
        end = known.head.seq
        if max(window.before or 0, window.after or 0, window.around or 0) <= end:
            first, last = positions(window, known.head, known.membership)
            span = services.reader.remembered(known.head, first, last)
            if span is not None:
                access.member(services.store.look(channel_id, user_id))
                body = page_json(known.head, span, has_more_after=last < end)
                return Page(etag_of(known.head, end, window, known.membership), body)
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
    return replace(page, etag=f'W/"1.{int(page.body[at:].split(b",")[0])}"')


class _TakesAnother(_Post):
    def _void(self, entries: list[Entry]) -> bool:
        # Whoever stands there: on to the next number.
        super()._void(entries)
        return True


def post_again(
    services: Services, user_id: str, channel_id: str, drafts: Sequence[Draft], key: str | None
) -> Posted:
    """Takes a new number after a commit that was refused, without asking who stands at the old one."""
    look = services.store.look(channel_id, user_id, key)
    post = _TakesAnother(services, user_id, channel_id, drafts, key)
    if look.receipt and access.member(look):
        return post.replay(look.receipt)
    return post.run(*access.able(look, "post"))


def list_from_memory(services: Services, user_id: str, listing: Listing) -> Listed:
    """Shows the channels as they were when they were last read."""
    known = services.cache.vouched.recall_list(user_id)
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
