"""The judge checks every response against the true storage and against what was acknowledged and read before."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, cast

from shared.cache.codec import unpack
from shared.domain import keys
from shared.domain.changes import NO_SUMMARY, ChangeKind, is_redacted, rev_of, summary_of
from shared.domain.messages import dumps
from shared.domain.model import ERASED, MARK, MAX_KEPT_MENTIONS, Head, Membership
from shared.storage.protocol import Store
from shared.use_cases.confirm_channels import with_all_gaps
from shared.use_cases.fetch_messages import Page, Window
from shared.use_cases.list_channels import Listed
from shared.use_cases.post_message import Posted
from tests.simulation.fault_rates import QUIET_MS, SKEW_MS
from tests.simulation.ledger import Asked, Editing, Ledger, Log, Writing
from tests.simulation.pages import Shown, WrongError, difference, expected

ROUNDING_MS: Final = 1.0
"""Containers' clocks show whole milliseconds."""
UNSEEN_MS: Final = QUIET_MS + 2 * SKEW_MS
"""How long after a redaction was counted what was read before may seem to be used: by a request that had begun, by a
container whose clock is ahead, to one whose clock is behind."""


def asked_channel(asked: Asked) -> str:
    """The channel of the log that a request asks for."""
    return keys.channel_of_log(asked.channel_id)


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
            self._alone(asked, seq, body)
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
            if log.acknowledged.setdefault(seq, (self._ledger.acknowledgements, body))[1] != body:
                raise WrongError(f"acknowledged two messages at {seq}")
        log.last_acknowledged = max(log.last_acknowledged, posted.last_seq)
        if keys.is_thread(writing.channel_id):
            self._replied(asked, writing, bodies)

    def _replied(self, asked: Asked, writing: Writing, bodies: Sequence[bytes]) -> None:
        """An acknowledged reply: its sender follows the thread, and its copy is in the channel, as acknowledged."""
        ledger, follow = self._ledger, (asked.user_id, writing.channel_id)
        if follow not in ledger.follows | ledger.unfollowed:
            raise WrongError("acknowledged a reply, and its sender does not follow the thread")
        if not writing.also_in_channel:
            return
        reply = json.loads(bodies[0])
        channel_id, seq = keys.place_of_message(asked_channel(asked), reply["channel_message_id"])
        copies = ledger.truth.entries(channel_id, seq, seq)
        log, copy = ledger.logs[channel_id], copies[0].body if copies else None
        if copy is None or json.loads(log.original(seq, copy)).get("reply_id") != reply["id"]:
            raise WrongError(f"acknowledged a reply whose copy {seq} is not in the channel")
        log.acknowledged.setdefault(seq, (ledger.acknowledgements, log.original(seq, copy)))
        log.last_acknowledged = max(log.last_acknowledged, seq)

    def archived(self, asked: Asked, *, archived: bool) -> None:
        """A request depended on, or brought about, that the channel is archived, or is not."""
        if not self._ledger.was_archived(asked, archived=archived):
            raise WrongError(f"{asked.channel_id} was never {'archived' if archived else 'open'} meanwhile")

    def page(self, asked: Asked, window: Window, page: Page, known: bytes | None) -> None:
        """A page of messages, or 304 for one that the caller knows."""
        body = page.body if page.body is not None else known
        if body is None:
            raise WrongError("304 for a page that the caller does not have")
        shown = Shown.of(asked.channel_id, body)
        self._rev(asked, shown.channel_last_rev, is_stale=page.stale)
        if page.stale:
            self._stale(asked, shown)
        else:
            self._confirmed(asked, shown)
        self._window(asked, window, page, shown)
        self._content(asked, shown)

    def _confirmed(self, asked: Asked, shown: Shown) -> None:
        if not asked.is_member and self._ledger.unchanged(asked):
            raise WrongError("shown to somebody who is not in the channel")
        head = self._head(asked.channel_id)
        if head is None or not asked.head_seq <= shown.channel_last_seq <= head.seq:
            raise WrongError(f"says the log ends at {shown.channel_last_seq}, it was {asked.head_seq} before")
        if not shown.has_more_after and asked.last_acknowledged > shown.last_seq:
            raise WrongError(f"says nothing follows {shown.last_seq}: {asked.last_acknowledged} does")

    def _rev(self, asked: Asked, shown: int, *, is_stale: bool = False) -> None:
        """The number of the channel's last change, as it is shown."""
        log, head = self._ledger.logs[asked.channel_id], self._head(asked.channel_id)
        least = asked.last_rev_acknowledged
        if is_stale:
            oldest = asked.at - asked.container.services.settings.cache_ttl_messages * 1000 - ROUNDING_MS
            least = log.rev_acknowledged_before(oldest)
        if head is None or not least <= shown <= head.rev:
            raise WrongError(f"says the last change is {shown}, {least} was acknowledged before")

    def _head(self, log_id: str) -> Head | None:
        """A log's head; an empty one for a thread without replies."""
        head = self._ledger.truth.head(log_id)
        return head or (Head.of_thread(log_id) if keys.is_thread(log_id) else None)

    def _stale(self, asked: Asked, shown: Shown) -> None:
        container = asked.container
        if container.failures == asked.failures:
            raise WrongError("stale, though the storage answered")
        oldest = asked.at - container.services.settings.cache_ttl_messages * 1000 - ROUNDING_MS
        confirmed = (container.name, asked_channel(asked), asked.user_id)
        if self._ledger.stale_fallback.get(confirmed, 0.0) < oldest:
            raise WrongError("stale, and the caller's membership was not confirmed within the time")
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
        rest = shown.messages
        for seq in range(first, last + 1):
            if seq not in standing:
                raise WrongError(f"covers position {seq}, which is not settled")
            body = standing[seq]
            if log.seen.setdefault(seq, body is not None) is not (body is not None):
                raise WrongError(f"position {seq} changed after a reader had seen it")
            acknowledged = log.acknowledged.get(seq)
            if body is None:
                if acknowledged and acknowledged[0] <= asked.acknowledgements:
                    raise WrongError(f"the acknowledged message {seq} is gone")
                continue
            found = self._version(asked, seq, body, shown.channel_last_rev, rest)
            if found is None:
                raise WrongError(difference(standing, shown.messages))
            if acknowledged and log.original(seq, found) != acknowledged[1]:
                raise WrongError(f"message {seq} is not the one that was acknowledged")
            rest = rest[len(found) :].removeprefix(b",")
        if rest:
            raise WrongError(difference(standing, shown.messages))

    def _version(self, asked: Asked, seq: int, body: bytes, rev: int, rest: bytes) -> bytes | None:
        """The version of a message that is shown next: one with all changes up to a number; None for another message.

        Args:
            asked: when the request began.
            seq: the message's position.
            body: the message as it is now.
            rev: the number.
            rest: what is shown.
        """
        log = self._ledger.logs[asked.channel_id]
        redacted = log.redacted.get(seq, (b"", b""))[1]
        if rest.startswith(redacted or body):
            return redacted or body
        for number, version in log.history.get(seq, ()):
            if not rest.startswith(version):
                continue
            if log.is_erased(seq, asked):
                raise WrongError(f"shows message {seq}, whose sender was erased before")
            due = log.due(seq, rev)
            if number < due:
                raise WrongError(f"shows message {seq} as of change {number}, though change {due} is due")
            return version
        return None

    def message(self, asked: Asked, seq: int, body: bytes | None) -> None:
        """One message by its id; None where it was not found."""
        if body is None:
            acknowledged = self._ledger.logs[asked.channel_id].acknowledged.get(seq)
            if acknowledged and acknowledged[0] <= asked.acknowledgements:
                raise WrongError(f"the acknowledged message {seq} was not found")
            return
        self._alone(asked, seq, body)
        if not asked.is_member and self._ledger.unchanged(asked):
            raise WrongError("shown to somebody who is not in the channel")

    def _alone(self, asked: Asked, seq: int, body: bytes) -> None:
        """A message that is shown without its page: it has all changes that were acknowledged before."""
        rev = asked.last_rev_acknowledged
        shown = Shown(body, seq, seq, seq, rev, has_more_before=True, has_more_after=True)
        self._content(asked, shown)

    # --- changes ---

    def edited(self, asked: Asked, editing: Editing, body: bytes) -> None:
        """An edit that is said to be made; the message after it."""
        log, message = self._ledger.logs[asked.channel_id], json.loads(body)
        is_gone = editing.seq in log.deleted or editing.seq in log.redacted
        if message["text"] != editing.text and not (is_gone and message["text"] == ""):
            raise WrongError(f"answered an edit of {editing.seq} with another text")
        if not log.edits[editing.text]:
            raise WrongError(f"acknowledged an edit of {editing.seq} that was not made")
        twin = self._twin(asked, editing.seq)
        if twin and not twin[0].edits[editing.text] and not {twin[1]} & {*twin[0].deleted, *twin[0].redacted}:
            raise WrongError(f"acknowledged an edit of {editing.seq}, not made where the message is too")
        editing.acknowledged = True
        self._acknowledge(asked, editing.seq, rev_of(body))

    def _twin(self, asked: Asked, seq: int) -> tuple[Log, int] | None:
        """The log and position of the same message in the channel or the thread, if a reply was posted to both."""
        [entry] = self._ledger.truth.entries(asked.channel_id, seq, seq)
        message = json.loads(entry.body or b"{}")
        other = message.get("reply_id", message.get("channel_message_id"))
        if other is None:
            return None
        log_id, place = keys.place_of_message(asked_channel(asked), other)
        return self._ledger.logs[log_id], place

    def changed(self, asked: Asked, kind: ChangeKind, seq: int, emoji: str = "") -> None:
        """A change that is said to be made, by this request or an earlier one."""
        log = self._ledger.logs[asked.channel_id]
        made = log.rev_of.get((kind, seq, asked.user_id, emoji), 0)
        if kind is ChangeKind.DELETED:
            made = log.deleted.get(seq, 0)
            if seq in log.redacted:
                return  # It counts as deleted.
            twin = self._twin(asked, seq)
            if twin and twin[1] not in {*twin[0].deleted, *twin[0].redacted}:
                raise WrongError(
                    f"acknowledged that {seq} was deleted, and the same message stands elsewhere"
                )
        if kind is ChangeKind.PINNED:
            made = log.pins.get(seq, 0)
        undone = {
            ChangeKind.PINNED: ChangeKind.UNPINNED,
            ChangeKind.REACTION_ADDED: ChangeKind.REACTION_REMOVED,
        }
        if (
            kind in {ChangeKind.DELETED, *undone}
            and not made
            and not self._undone(log, undone.get(kind), seq)
        ):
            raise WrongError(f"acknowledged that {seq} was {kind}, which is not so")
        if made:
            self._acknowledge(asked, seq, made)

    def _undone(self, log: Log, kind: ChangeKind | None, seq: int) -> bool:
        return any(key[:2] == (kind, seq) for key in log.rev_of)

    def _acknowledge(self, asked: Asked, seq: int, rev: int) -> None:
        if not asked.is_member and self._ledger.unchanged(asked):
            raise WrongError(f"message {seq} was changed by somebody who is not in the channel")
        self._ledger.change_acknowledged(asked.channel_id, rev)

    def changes(self, asked: Asked, after: int, limit: int, body: bytes) -> None:
        """A page of changes: dense, complete, and each as it was made."""
        page, log = json.loads(body), self._ledger.logs[asked.channel_id]
        end = page["channel_last_rev"]
        self._rev(asked, end)
        if not asked.is_member and self._ledger.unchanged(asked):
            raise WrongError("shown to somebody who is not in the channel")
        last = min(end, after + limit)
        shown = {change["rev"]: change for change in page["changes"]}
        covered = (page["first_rev"], page["last_rev"], list(shown))
        if covered != (after + 1, last, list(range(after + 1, last + 1))):
            raise WrongError(f"changes {covered} where {after + 1} to {last} were due")
        if page["has_more_after"] != (last < end):
            raise WrongError("has_more_after of changes is wrong")
        for change in self._ledger.truth.changes(asked.channel_id, after + 1, last):
            said, seq = shown[change.rev], change.seq
            if (said["kind"], said["seq"]) != (change.kind, seq) or (
                said["by"] != change.by and change.by != ERASED
            ):
                raise WrongError(f"change {change.rev} is not what it was")
            if seq in log.redacted or seq in log.rewritten or change.body is None:
                continue
            if "message" not in said:
                if log.history[seq][-1][0] <= change.rev:
                    raise WrongError(f"change {change.rev}, the last one of message {seq}, lacks the message")
            elif said["message"] != json.loads(change.body):
                raise WrongError(f"change {change.rev} has another message")

    def pins(self, asked: Asked, pins: list[dict[str, Any]], *, is_quiet: bool) -> None:
        """The pinned messages, the latest pin first."""
        log = self._ledger.logs[asked.channel_id]
        for pin in pins:
            self._alone(asked, pin["message"]["seq"], dumps(pin["message"]))
        shown = [(pin["rev"], pin["message"]["seq"]) for pin in pins]
        gone = {*log.deleted, *log.redacted}
        if is_quiet and shown != sorted(
            ((rev, seq) for seq, rev in log.pins.items() if seq not in gone), reverse=True
        ):
            raise WrongError(f"shows the pins {shown}, where {log.pins} are")

    def mentions(self, asked: Asked, mentions: list[dict[str, Any]]) -> None:
        """The caller's mentions."""
        for mention in mentions:
            message, channel_id = mention["message"], mention.get("thread_id", mention["channel_id"])
            self._alone(
                replace(asked, channel_id=channel_id, last_rev_acknowledged=0), message["seq"], dumps(message)
            )
            if asked.user_id not in message.get("mentions", []):
                raise WrongError(f"message {message['seq']} does not name the caller")

    def versions(self, asked: Asked, seq: int, versions: list[dict[str, Any]]) -> None:
        """A message's versions: all its texts in order, at least up to the last acknowledged edit."""
        log = self._ledger.logs[asked.channel_id]
        texts: list[str] = []
        for _, body in log.history[seq]:
            message = json.loads(body)
            if "deleted" not in message and texts[-1:] != [message["text"]]:
                texts.append(message["text"])
        shown = [version["text"] for version in versions if version["text"]]
        ends = range(1, len(texts) + 1)
        is_as_written = seq not in log.redacted and seq not in log.rewritten
        if is_as_written and not any(shown == texts[:end][-len(shown) :] for end in ends):
            raise WrongError(f"versions {shown} of message {seq}, where {texts} were")

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
            self._listed_changes(channel_id, channel, oldest)
            last = channel["last_message"]
            if last and not listed.stale and asked.container.failures == asked.failures:
                self._readable(channel_id, last["seq"])
            if last and last["text"] and self._ledger.logs[channel_id].is_erased(last["seq"], asked):
                raise WrongError(f"the list shows message {last['seq']}, whose sender was erased before")

    def threads(self, asked: Asked, listed: dict[str, Any]) -> None:
        """A list of threads: those that the caller follows, of channels that they are in, with their unread replies."""
        ledger, user_id = self._ledger, asked.user_id
        shown = {thread["thread_id"]: thread for thread in listed["threads"]}
        for log_id in {log_id for user, log_id in ledger.followed_at if user == user_id} | set(shown):
            at = ledger.followed_at.get((user_id, log_id), 0.0)
            moved_at = ledger.changed_at.get((keys.channel_of_log(log_id), user_id), 0.0)
            if max(at, moved_at) >= asked.at:
                continue
            follows = (user_id, log_id) in ledger.follows
            is_due = follows and keys.channel_of_log(log_id) in ledger.members[user_id]
            acknowledged = ledger.logs[log_id].acknowledged.values()
            has_replies = any(number <= asked.acknowledgements for number, _ in acknowledged)
            if (log_id in shown) > is_due or (log_id in shown) < (is_due and has_replies):
                raise WrongError(f"the list of threads {'shows' if log_id in shown else 'lacks'} {log_id}")
        for log_id, thread in shown.items():
            self._listed(log_id, thread, asked.at)
            self._listed_changes(log_id, thread, asked.at)
            last = thread["last_message"]
            if last and asked.container.failures == asked.failures:
                self._readable(log_id, last["seq"])

    def _listed(self, channel_id: str, channel: dict[str, Any], oldest: float) -> None:
        last, read = channel["last_seq"], channel["last_read_seq"]
        given = self._ledger.logs[channel_id].given_at.get(last + 1)
        if given is not None and given < oldest:
            raise WrongError(f"the list says {channel_id} ends at {last}: it went on before")
        self.unread(channel_id, last, read, channel["unread_count"])

    def _listed_changes(self, channel_id: str, channel: dict[str, Any], oldest: float) -> None:
        """What a list says of changes: its preview has all of them up to the number that it says."""
        log, rev, last = self._ledger.logs[channel_id], channel["last_rev"], channel["last_message"]
        least = log.rev_acknowledged_before(oldest)
        if rev < least:
            raise WrongError(f"the list says that change {rev} is the last of {channel_id}, {least} is")
        if last is None or last["seq"] not in log.history or last["seq"] in log.redacted:
            return
        due = log.due(last["seq"], rev)
        texts = [json.loads(body)["text"] for number, body in log.history[last["seq"]] if number >= due]
        if last["text"] not in texts:
            raise WrongError(f"the list shows message {last['seq']} of {channel_id} as before change {due}")

    def _readable(self, channel_id: str, seq: int) -> None:
        found = self._ledger.truth.entries(channel_id, seq, seq)
        if not found or found[0].body is None:
            raise WrongError(
                f"the list shows message {seq} of {channel_id} as its latest, which does not stand"
            )

    def unread(self, channel_id: str, last: int, read: int, count: int) -> None:
        """An unread count: a position that is a void, or not settled, may count as one."""
        deleted = self._ledger.logs[channel_id].deleted
        messages = sum(
            entry.body is not None and entry.seq not in deleted
            for entry in self._ledger.truth.entries(channel_id, read + 1, last)
        )
        head = self._ledger.truth.head(channel_id)
        if head is not None and read < head.gaps_from:
            messages -= self._voids(channel_id, 1, read)  # that may have come after the read position
        if not messages <= count <= max(0, last - read):
            raise WrongError(f"{count} unread of {channel_id}, where {messages} to {max(0, last - read)} are")

    def _voids(self, channel_id: str, first: int, last: int) -> int:
        deleted = self._ledger.logs[channel_id].deleted
        return sum(
            entry.body is None or entry.seq in deleted
            for entry in self._ledger.truth.entries(channel_id, first, last)
        )

    def no_root(self, asked: Asked) -> None:
        """A response that a thread has no root."""
        root = keys.root_of(asked.channel_id)
        known = self._ledger.logs[root[0]].acknowledged.get(root[1]) if root else None
        if known and known[0] <= asked.acknowledgements:
            raise WrongError(f"the acknowledged root of {asked.channel_id} was not found")

    def refused(self, asked: Asked) -> None:
        """A response that the caller is not a member."""
        if asked.is_member and self._ledger.unchanged(asked):
            raise WrongError("refused to a member")

    def kept_out(self, asked: Asked) -> None:
        """A response that the caller is banned, or that one of the pair has blocked the other."""
        if not asked.is_kept_out and self._ledger.order == asked.order:
            raise WrongError("refused, though nobody is banned or blocked")

    def refused_page(self, asked: Asked) -> None:
        """A container that has refused a page must not serve its stale fallback any more."""
        self._ledger.stale_fallback.pop((asked.container.name, asked_channel(asked), asked.user_id), None)

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
                if log.original(seq, bodies.get(seq) or b"") != body:
                    raise WrongError(f"the acknowledged message {seq} is gone")
            for seq, body in [(seq, body) for seq, body in bodies.items() if body]:
                places[channel_id, json.loads(log.original(seq, body))["text"]].append(seq)
            if keys.is_thread(channel_id) and self._ledger.truth.head(channel_id) is None:
                continue
            self._linked(channel_id, bodies)
            self._preview(channel_id, max((seq for seq, body in bodies.items() if body), default=0))
            self._gaps(channel_id, {seq for seq, body in bodies.items() if body is None}.union(log.deleted))
            self._changes(channel_id, bodies)
            self._mentions(channel_id)
        for writing in self._ledger.writings:
            found = [places[writing.channel_id, text] for text in writing.texts]
            self._stored(writing, found)
            if writing.also_in_channel:
                copies = [places[keys.channel_of_log(writing.channel_id), text] for text in writing.texts]
                self._stored(writing, copies)
                if [len(each) for each in copies] != [len(each) for each in found]:
                    raise WrongError(f"a reply stands at {found}, its copy in the channel at {copies}")

    def _linked(self, log_id: str, bodies: dict[int, bytes | None]) -> None:
        """What a message says of the same message elsewhere is so, and that one names this one."""
        for seq, message in ((seq, json.loads(body)) for seq, body in bodies.items() if body):
            other = message.get("reply_id", message.get("channel_message_id"))
            if other is None or "redacted" in message:
                continue
            place = keys.place_of_message(keys.channel_of_log(log_id), other)
            found = self._ledger.truth.log(place[0]).get(place[1])
            if found is None or found.body is None:
                raise WrongError(f"message {seq} of {log_id} is said to be {other} too, which is not there")
            link = json.loads(found.body)
            if "redacted" not in link and keys.message_id(log_id, seq) not in {
                link.get("reply_id"),
                link.get("channel_message_id"),
            }:
                raise WrongError(f"message {seq} of {log_id} and {other} do not name each other")

    def summaries(self) -> None:
        """When all is quiet, and each thread was read once: each root counts its replies exactly.

        Nobody has read the threads of a direct channel that both users have left.
        """
        for log_id in self._ledger.logs:
            root = keys.root_of(log_id) if self._ledger.some_member(log_id) else None
            entry = self._ledger.truth.log(root[0]).get(root[1]) if root else None
            if root is None or entry is None or not entry.body or is_redacted(entry.body):
                continue
            shown, replies = summary_of(entry.body) or NO_SUMMARY, self._ledger.replies(log_id)
            if shown.count != len(replies):
                raise WrongError(f"{log_id} is said to have {shown.count} replies, it has {len(replies)}")
            senders = dict.fromkeys(each["sender"] for each in replies if each["sender"] != ERASED)
            if root[1] not in self._ledger.logs[root[0]].rewritten and shown.repliers != (*senders,)[:5]:
                raise WrongError(f"{log_id} shows {shown.repliers} of {[*senders]}, who replied first")

    def _gaps(self, channel_id: str, voids: set[int]) -> None:
        """Each void is counted once; and what is unread is exact, holes as messages."""
        truth = self._ledger.truth
        head = truth.head(channel_id)
        if head is None or head.voids != len(voids):
            raise WrongError(f"{channel_id} counts {head and head.voids} gaps of {len(voids)}")
        listed = truth.gaps(channel_id, 0) | head.gaps
        if listed != voids:
            raise WrongError(f"{channel_id} lists other gaps than there are: {sorted(listed ^ voids)}")
        kept, after = {gap for gap in head.gaps if gap > head.gaps_from}, head.gaps_from
        if kept != {void for void in voids if void > after}:
            raise WrongError(f"{channel_id} keeps {sorted(kept)} of its gaps after {after}")
        for user_id in self._ledger.world.users:
            membership = self._reading(channel_id, user_id)
            if membership is None:
                continue
            read = membership.read_seq
            exact = head.seq - read - sum(void > read for void in voids)
            unread = membership.unread(with_all_gaps(cast("Store", truth), head, membership))
            if unread != exact:
                raise WrongError(f"{unread} unread of {channel_id} for {user_id}: {exact} are")

    def _reading(self, log_id: str, user_id: str) -> Membership | None:
        """The membership with the read position in a log; None for strangers, and for who does not follow a thread."""
        member = self._ledger.truth.membership(keys.channel_of_log(log_id), user_id)
        if member is None or not keys.is_thread(log_id):
            return member
        follow = self._ledger.truth._follows.get((user_id, log_id))
        return member.in_thread(follow) if follow else None

    def _preview(self, channel_id: str, latest: int) -> None:
        head = self._ledger.truth.head(channel_id)
        shown = head.last.seq if head and head.last else 0
        if shown != latest:
            raise WrongError(f"{channel_id} shows message {shown} as its latest, which is {latest}")
        log = self._ledger.logs[channel_id]
        if head is None or head.last is None:
            return
        if head.last.text and shown in log.erased:
            raise WrongError(f"{channel_id} shows the text of message {shown}, whose sender was erased")
        [entry] = self._ledger.truth.entries(channel_id, shown, shown)
        if shown not in log.redacted and head.last.text != json.loads(entry.body or b"")["text"]:
            raise WrongError(f"{channel_id} shows message {shown} as {head.last.text!r}")

    def _changes(self, channel_id: str, bodies: dict[int, bytes | None]) -> None:
        """The change log is dense, and each message is what its changes made of it."""
        log, truth = self._ledger.logs[channel_id], self._ledger.truth
        head = truth.head(channel_id)
        made = [change.rev for change in truth.changes(channel_id, 1, head.rev + 1 if head else 0)]
        if head is None or made != list(range(1, head.rev + 1)):
            raise WrongError(f"{channel_id} has the changes {made} of {head and head.rev}")
        for seq, body in bodies.items():
            if body is None or seq in log.redacted or seq in log.rewritten:
                continue
            message = json.loads(body)
            if seq in log.deleted:
                if message["text"] or not {"metadata", "reactions", "mentions"}.isdisjoint(message):
                    raise WrongError(f"the deleted message {seq} of {channel_id} is still there")
                continue
            if message["text"] != log.texts.get(seq, json.loads(log.original(seq, body))["text"]):
                raise WrongError(f"message {seq} of {channel_id} lost an edit")
            shown = {(seq, each["emoji"]): each["users"] for each in message.get("reactions", [])}
            due = {key: users for key, users in log.reactions.items() if key[0] == seq and users and key[1]}
            if shown != due:
                raise WrongError(f"message {seq} of {channel_id} shows the reactions {shown}, {due} are")
        for editing in self._ledger.editings:
            times = log.edits[editing.text] if editing.channel_id == channel_id else 0
            if times > 1 or (times and not editing.may_stand and not editing.acknowledged):
                raise WrongError(f"an edit of {editing.seq} was made {times} times: {editing.text}")

    def _mentions(self, channel_id: str) -> None:
        """Each membership has the messages that name the user, and the count is of those that are unread."""
        ledger = self._ledger
        head = ledger.truth.head(channel_id)
        for user_id in ledger.world.users:
            membership = self._reading(channel_id, user_id)
            if membership is None or head is None:
                continue
            marked = {mark % MARK for mark in membership.mentions}
            due = set(sorted(ledger.marks[channel_id, user_id])[-MAX_KEPT_MENTIONS:])
            wrong = {seq for seq in marked ^ due if (channel_id, user_id, seq) not in ledger.unsure}
            if wrong:
                raise WrongError(
                    f"{user_id} has the mentions {sorted(marked)} in {channel_id}, not {sorted(due)}"
                )
            gaps = ledger.truth.gaps(channel_id, 0) | head.gaps
            count = sum(seq > membership.read_seq for seq in marked.union(head.mentions) - gaps)
            shown = membership.mention_count(with_all_gaps(cast("Store", ledger.truth), head, membership))
            if shown != count:
                raise WrongError(f"{shown} mentions of {user_id} in {channel_id}, {count} are unread")

    def _stored(self, writing: Writing, places: Sequence[list[int]]) -> None:
        found = [place for each in places for place in each]
        if len(found) > len(places):
            raise WrongError(f"posted once, stands at {found}")
        if found and found != list(range(found[0], found[0] + len(places))):
            raise WrongError(f"a batch of {len(places)} was stored in part, at {found}")
        if found and not writing.may_stand:
            raise WrongError(f"refused, but stored at {found}")
