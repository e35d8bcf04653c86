"""The judge checks every response against the true storage and against what was acknowledged and read before."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from shared.cache.codec import unpack
from shared.use_cases.fetch_messages import Page, Window
from shared.use_cases.list_channels import Listed
from shared.use_cases.post_message import Posted
from tests.simulation.fault_rates import QUIET_MS, SKEW_MS
from tests.simulation.ledger import Asked, Ledger, Writing
from tests.simulation.pages import Shown, WrongError, difference, expected

ROUNDING_MS: Final = 1.0
"""Containers' clocks show whole milliseconds."""
UNSEEN_MS: Final = QUIET_MS + 2 * SKEW_MS
"""How long after a redaction was counted what was read before may seem to be used: by a request that had begun, by a
container whose clock is ahead, to one whose clock is behind."""


class Judge:
    """Checks every response. Each method raises ``WrongError`` for a wrong one.

    Args:
        ledger: what happened.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def posted(self, asked: Asked, writing: Writing, posted: Posted) -> None:
        """An acknowledgement: from now on every reader must see it."""
        log = self._ledger.logs[writing.channel_id]
        if not all(posted.bodies):
            raise WrongError("acknowledged a void")
        begin = posted.last_seq - len(posted.bodies) + 1
        bodies = [log.original(seq, body) for seq, body in enumerate(posted.bodies, begin)]
        for seq, body in enumerate(posted.bodies, begin):
            if log.is_erased(seq, asked) and body == log.redacted[seq][0]:
                raise WrongError(f"answered message {seq} again, whose sender was erased before")
        if writing.response is not None and writing.response != bodies:
            raise WrongError("the same key was answered with two results")
        writing.response, writing.may_stand = bodies, True
        messages = [json.loads(body) for body in bodies]
        if [message["text"] for message in messages] != writing.texts:
            raise WrongError("acknowledged another text")
        first = posted.last_seq - len(messages) + 1
        if [message["seq"] for message in messages] != list(range(first, posted.last_seq + 1)):
            raise WrongError("acknowledged positions that are not adjacent")
        for seq, body in enumerate(bodies, start=first):
            self._ledger.acknowledgements += 1
            stands = log.redacted.get(seq, (body, body))[1]
            if log.acknowledged.setdefault(seq, (self._ledger.acknowledgements, stands))[1] != stands:
                raise WrongError(f"acknowledged two messages at {seq}")
        log.last_acknowledged = max(log.last_acknowledged, posted.last_seq)

    def page(self, asked: Asked, window: Window, page: Page, known: bytes | None) -> None:
        """A page of messages, or 304 for one that the caller knows."""
        body = page.body if page.body is not None else known
        if body is None:
            raise WrongError("304 for a page that the caller does not have")
        shown = Shown.of(asked.channel_id, body)
        if page.stale:
            self._stale(asked, shown)
        else:
            self._vouched_for(asked, shown)
        self._window(asked, window, page, shown)
        self._content(asked, shown)

    def _vouched_for(self, asked: Asked, shown: Shown) -> None:
        if not asked.is_member and self._ledger.unchanged(asked):
            raise WrongError("shown to somebody who is not in the channel")
        head = self._ledger.truth.head(asked.channel_id)
        if head is None or not asked.head_seq <= shown.channel_last_seq <= head.seq:
            raise WrongError(f"says the log ends at {shown.channel_last_seq}, it was {asked.head_seq} before")
        if not shown.has_more_after and asked.last_acknowledged > shown.last_seq:
            raise WrongError(f"says nothing follows {shown.last_seq}: {asked.last_acknowledged} does")

    def _stale(self, asked: Asked, shown: Shown) -> None:
        container = asked.container
        if container.failures == asked.failures:
            raise WrongError("stale, though the storage answered")
        oldest = asked.at - container.services.settings.cache_ttl_messages * 1000 - ROUNDING_MS
        if self._ledger.stale_fallback.get((container.name, asked.channel_id, asked.user_id), 0.0) < oldest:
            raise WrongError("stale, and the caller's membership was not vouched for within the time")
        given = self._ledger.logs[asked.channel_id].given_at.get(shown.channel_last_seq + 1)
        if given is not None and given < oldest:
            raise WrongError("stale, and older than the freshness time")

    def _window(self, asked: Asked, window: Window, page: Page, shown: Shown) -> None:
        read_seq = int(page.version.split(".")[2]) if window.anchor == "first_unread" else 0
        first, last = expected(window, shown.channel_last_seq, read_seq)
        needed = last if page.stale else min(last, asked.last_acknowledged)
        if shown.first_seq != first or not needed <= shown.last_seq <= last:
            self._extended(window, shown, (first, needed, last))
        self._empty(asked, window, shown)
        if shown.has_more_before != (shown.first_seq > 1):
            raise WrongError("has_more_before is wrong")
        if shown.has_more_after and shown.last_seq >= shown.channel_last_seq:
            raise WrongError("has_more_after is wrong")

    def _extended(self, window: Window, shown: Shown, due: tuple[int, int, int]) -> None:
        """A page that covers other positions than were asked for: none of those holds a message."""
        first, needed, last = due
        back = not window.goes_forward and shown.first_seq < first and needed <= shown.last_seq <= last
        forward = not window.goes_back and shown.first_seq <= first and last < shown.last_seq
        if not (back or forward) or first > last or any(first <= seq <= last for seq in shown.seqs):
            covered = f"{shown.first_seq} to {shown.last_seq}"
            raise WrongError(f"covers {covered} where {first} to at least {needed} was due")
        if len(shown.seqs) > window.limit:
            raise WrongError(f"has {len(shown.seqs)} messages, {window.limit} were asked for")

    def _empty(self, asked: Asked, window: Window, shown: Shown) -> None:
        """A page without messages: none were acknowledged in its direction before it was asked for."""
        if shown.messages:
            return
        known = self._ledger.logs[asked.channel_id].acknowledged
        before = [seq for seq, (number, _) in known.items() if number <= asked.acknowledgements]
        missed = [seq for seq in before if seq < shown.first_seq and not window.goes_forward]
        if not window.goes_back:
            missed += [seq for seq in before if shown.last_seq < seq <= shown.channel_last_seq]
        if missed:
            raise WrongError(f"empty, though message {missed[0]} stands in its direction")

    def _content(self, asked: Asked, shown: Shown) -> None:
        log, first, last = self._ledger.logs[asked.channel_id], shown.first_seq, shown.last_seq
        standing = {
            entry.seq: entry.body for entry in self._ledger.truth.entries(asked.channel_id, first, last)
        }
        for seq in range(first, last + 1):
            if seq not in standing:
                raise WrongError(f"covers position {seq}, which is not settled")
            body = standing[seq]
            if log.seen.setdefault(seq, body) != body:
                raise WrongError(f"position {seq} changed after a reader had seen it")
            acknowledged = log.acknowledged.get(seq)
            if acknowledged and acknowledged[0] <= asked.acknowledgements and acknowledged[1] != body:
                raise WrongError(f"the acknowledged message {seq} is gone")
        for seq in range(first, last + 1):
            before = log.redacted.get(seq, (b"", b""))[0]
            if before and before in shown.messages:
                if log.is_erased(seq, asked):
                    raise WrongError(f"shows message {seq}, whose sender was erased before")
                standing[seq] = before
        bodies = [body for body in standing.values() if body is not None]
        if b",".join(bodies) != shown.messages:
            raise WrongError(difference(standing, shown.messages))

    def message(self, asked: Asked, seq: int, body: bytes | None) -> None:
        """One message by its id; None where it was not found."""
        if body is None:
            acknowledged = self._ledger.logs[asked.channel_id].acknowledged.get(seq)
            if acknowledged and acknowledged[0] <= asked.acknowledgements:
                raise WrongError(f"the acknowledged message {seq} was not found")
            return
        self._content(asked, Shown(body, seq, seq, seq, has_more_before=True, has_more_after=True))
        if not asked.is_member and self._ledger.unchanged(asked):
            raise WrongError("shown to somebody who is not in the channel")

    def channels(self, asked: Asked, listed: Listed) -> None:
        """A list of channels."""
        shown = {channel["id"]: channel for channel in listed.body["channels"]}
        oldest = asked.at
        if listed.stale:
            if asked.container.failures == asked.failures:
                raise WrongError("stale, though the storage answered")
            oldest -= asked.container.services.settings.cache_ttl_channels * 1000 + ROUNDING_MS
        known = {channel for channel, user in self._ledger.changed_at if user == asked.user_id}
        for channel_id in known | set(shown):
            changed = self._ledger.changed_at.get((channel_id, asked.user_id), 0.0) >= oldest
            if not changed and (channel_id in shown) != (channel_id in self._ledger.members[asked.user_id]):
                raise WrongError(f"the list {'shows' if channel_id in shown else 'lacks'} {channel_id}")
        for channel_id, channel in shown.items():
            self._listed(channel_id, channel, oldest)
            last = channel["last_message"]
            if last and not listed.stale and asked.container.failures == asked.failures:
                self._readable(channel_id, last["seq"])
            if last and last["text"] and self._ledger.logs[channel_id].is_erased(last["seq"], asked):
                raise WrongError(f"the list shows message {last['seq']}, whose sender was erased before")

    def _listed(self, channel_id: str, channel: dict[str, Any], oldest: float) -> None:
        last, read = channel["last_seq"], channel["last_read_seq"]
        given = self._ledger.logs[channel_id].given_at.get(last + 1)
        if given is not None and given < oldest:
            raise WrongError(f"the list says {channel_id} ends at {last}: it went on before")
        self.unread(channel_id, last, read, channel["unread_count"])

    def _readable(self, channel_id: str, seq: int) -> None:
        found = self._ledger.truth.entries(channel_id, seq, seq)
        if not found or found[0].body is None:
            raise WrongError(
                f"the list shows message {seq} of {channel_id} as its latest, which does not stand"
            )

    def unread(self, channel_id: str, last: int, read: int, count: int) -> None:
        """An unread count: a position that is a void, or not settled, may count as one."""
        messages = sum(
            entry.body is not None for entry in self._ledger.truth.entries(channel_id, read + 1, last)
        )
        head = self._ledger.truth.head(channel_id)
        if head is not None and read < head.gaps_from:
            messages -= self._voids(channel_id, 1, read)  # that may have come after the read position
        if not messages <= count <= max(0, last - read):
            raise WrongError(f"{count} unread of {channel_id}, where {messages} to {max(0, last - read)} are")

    def _voids(self, channel_id: str, first: int, last: int) -> int:
        return sum(entry.body is None for entry in self._ledger.truth.entries(channel_id, first, last))

    def refused(self, asked: Asked) -> None:
        """A response that the caller is not a member."""
        if asked.is_member and self._ledger.unchanged(asked):
            raise WrongError("refused to a member")

    def refused_page(self, asked: Asked) -> None:
        """A container that has refused a page must not serve its stale fallback any more."""
        self._ledger.stale_fallback.pop((asked.container.name, asked.channel_id, asked.user_id), None)

    def unavailable(self, asked: Asked) -> None:
        """503 to a reader."""
        if asked.container.failures == asked.failures:
            raise WrongError("503, though the storage answered")

    def out_of_range(self, asked: Asked, position: int) -> None:
        """A response that the position is beyond the log."""
        if position <= asked.head_seq:
            raise WrongError(f"{position} is said to be beyond the end, {asked.head_seq} was given out")

    def bundle(self, text: str, keep_seconds: int) -> None:
        """What a container packs for Redis: of what was redacted, nothing that has had its time since."""
        oldest = self._ledger.world.loop.now - keep_seconds * 1000 - UNSEEN_MS
        if self._ledger.forged_until > oldest:
            return  # by what a forger says, it was used when it was met
        for key in unpack(text):
            if not key.startswith("b"):
                continue
            channel_id, _, number = f"{key[1:]}.0".split(".")[:3]
            if self._ledger.counted.get((channel_id, int(number) + 1), oldest) < oldest:
                raise WrongError(f"{key}, which was read before a redaction of long ago")

    # --- the end ---

    def audit(self) -> None:
        """When all is quiet: nothing lost, nothing doubled, nothing stored that was refused."""
        places: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for channel_id, log in self._ledger.logs.items():
            standing = self._ledger.truth.entries(channel_id, 1, max(log.given_at, default=0))
            bodies = {entry.seq: entry.body for entry in standing}
            for seq, (_, body) in log.acknowledged.items():
                if bodies.get(seq) != body:
                    raise WrongError(f"the acknowledged message {seq} is gone")
            for seq, body in [(seq, body) for seq, body in bodies.items() if body]:
                places[channel_id, json.loads(log.original(seq, body))["text"]].append(seq)
            self._preview(channel_id, max((seq for seq, body in bodies.items() if body), default=0))
            self._gaps(channel_id, {seq for seq, body in bodies.items() if body is None})
        for writing in self._ledger.writings:
            self._stored(writing, [places[writing.channel_id, text] for text in writing.texts])

    def _gaps(self, channel_id: str, voids: set[int]) -> None:
        """Each void is counted once; and what is unread is exact, holes as messages."""
        truth = self._ledger.truth
        head = truth.head(channel_id)
        if head is None or (head.voids, len(truth.gaps(channel_id, 0))) != (len(voids), len(voids)):
            raise WrongError(f"{channel_id} counts {head and head.voids} gaps of {len(voids)}")
        kept, after = {gap for gap in head.gaps if gap > head.gaps_from}, head.gaps_from
        if kept != {void for void in voids if void > after}:
            raise WrongError(f"{channel_id} keeps {sorted(kept)} of its gaps after {after}")
        for user_id in self._ledger.world.users:
            membership = truth.membership(channel_id, user_id)
            if membership is None:
                continue
            read = membership.read_seq
            exact = head.seq - read - sum(void > read for void in voids)
            late = 0 if read >= after else sum(void <= read for void in voids)
            if not max(0, exact - late) <= membership.unread(head) <= exact:
                raise WrongError(
                    f"{membership.unread(head)} unread of {channel_id} for {user_id}: {exact} are"
                )

    def _preview(self, channel_id: str, latest: int) -> None:
        head = self._ledger.truth.head(channel_id)
        shown = head.last.seq if head and head.last else 0
        if shown != latest:
            raise WrongError(f"{channel_id} shows message {shown} as its latest, which is {latest}")
        if head and head.last and head.last.text and shown in self._ledger.logs[channel_id].erased:
            raise WrongError(f"{channel_id} shows the text of message {shown}, whose sender was erased")

    def _stored(self, writing: Writing, places: Sequence[list[int]]) -> None:
        found = [place for each in places for place in each]
        if len(found) > len(places):
            raise WrongError(f"posted once, stands at {found}")
        if found and found != list(range(found[0], found[0] + len(places))):
            raise WrongError(f"a batch of {len(places)} was stored in part, at {found}")
        if found and not writing.may_stand:
            raise WrongError(f"refused, but stored at {found}")
