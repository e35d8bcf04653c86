"""Tells connections what happened in the logs that they watch, from the news of the table's stream.

News are hints: what is told is read from the storage. For each channel the contents are read first, and the watchers
after that. So whoever gets a frame was a member after its contents were read, and a message that was deleted meanwhile
is told as deleted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, TypeVar

from shared.aws.sender import Sender
from shared.bootstrap import Services
from shared.domain import keys
from shared.domain.changes import Change, change_json
from shared.domain.errors import BudgieError
from shared.domain.model import Entry, Head
from shared.domain.news import (
    Changed,
    ChannelChanged,
    ChannelEvent,
    MembershipChanged,
    Mentioned,
    News,
    Posted,
    ReadMoved,
    WatchChanged,
)
from shared.domain.realtime import (
    MAX_PRESENT,
    SMALL_CHANNEL,
    Connection,
    LogNews,
    Watch,
    frame,
    log_fields,
    news_frames,
    runs_of,
    watchers,
)
from shared.domain.retention import cutoff
from shared.observability.telemetry import log_crash
from shared.runtime.parallel import map_concurrently
from shared.use_cases.fan_out import Delivery, Stalled, fan_out

OPENING_MS: Final = 10_000
"""Longer than a connection takes to be opened; its function stores it before API Gateway knows it."""
CHANNELS_AT_ONCE: Final = 8
"""Channels whose news are read concurrently."""
MAX_NAMED: Final = 5
"""Connections that a log line names."""
DENSE: Final = 2
"""Numbers of a log are read as one range, with what is between, if they are at least one of this many in it."""

Item = TypeVar("Item", Entry, Change)


@dataclass(frozen=True, slots=True)
class Dispatched:
    """What became of a batch."""

    connections: int = 0
    """Those that a frame was meant for."""
    frames: int = 0
    frame_bytes: int = 0
    gone: int = 0
    """Connections that had ended; their watches are removed."""
    retried: int = 0
    """Tries that followed one in which a frame could not be taken."""
    dropped: int = 0
    """Frames that were given up; their clients find out by later ones, or by a ping."""
    slow: tuple[str, ...] = ()
    """Some of the connections that those were for, at most ``MAX_NAMED``."""
    refused: int = 0
    """Frames that API Gateway refused for ever, as for a missing right."""
    lag_ms: int | None = None
    """From the oldest entry or change of a frame to its sending, the median over all connections; None without any."""
    max_lag_ms: int | None = None
    fan_out_ms: float = 0.0
    """How long the sending took."""
    failed: frozenset[str] = frozenset()
    """Channels whose news could not be told."""
    poisoned: int = 0
    """How many of those failed for another reason than the storage's failure; the log says where."""


@dataclass(slots=True)
class _Told:
    """What is to be told of one channel."""

    logs: list[tuple[LogNews, int, list[Watch]]] = field(default_factory=list)
    """What is new in a log, the time of the oldest of it (milliseconds since 1970), and who watches the log."""
    frames: list[tuple[str, str, bytes]] = field(default_factory=list)
    """Other frames, each with its user and connection."""

    def tell(self, watches: Iterable[Watch], made: bytes) -> None:
        """Adds a frame, once for each connection."""
        told = {each.connection_id: each.user_id for each in watches}
        self.frames += [(user_id, connection_id, made) for connection_id, user_id in told.items()]


def dispatch(
    services: Services, sender: Sender, news: Sequence[News], stalled: Stalled | None = None
) -> Dispatched:
    """Tells the connections that it concerns. A channel whose reads fail is left out, and named in the result.

    Costs for each channel a Query of its watchers, and 1 read unit for each 4 KB of new messages and of changes and for
    each changed message; for each user who is named, added or removed 1 or 2 read units.

    Args:
        services: the services.
        sender: sends frames.
        news: in the order of the stream; those of one item are in their own order.
        stalled: this container's stalled connections, kept between batches.
    """
    by_channel: dict[str, list[News]] = defaultdict(list)
    for each in news:
        by_channel[channel_of(each)].append(each)
    told = map_concurrently(
        lambda channel_id: _told_or_error(services, channel_id, by_channel[channel_id]),
        list(by_channel),
        services.background,
        CHANNELS_AT_ONCE,
    )
    outbox = _Outbox([each for each in told if isinstance(each, _Told)])
    begun = services.background.clock()
    fan_out(services, sender, outbox.deliveries, {} if stalled is None else stalled)
    taken = services.background.clock() - begun
    outbox.close_gone(services)
    failures = {
        channel_id: each
        for channel_id, each in zip(by_channel, told, strict=True)
        if isinstance(each, Exception)
    }
    return replace(
        outbox.sent(),
        fan_out_ms=round(taken * 1000, 1),
        failed=frozenset(failures),
        poisoned=sum(not isinstance(each, BudgieError) for each in failures.values()),
    )


def channel_of(news: News) -> str:
    """The channel that news are of."""
    match news:
        case Posted(log_id) | Changed(log_id) | Mentioned(log_id) | WatchChanged(log_id):
            return keys.channel_of_log(log_id)
        case ChannelChanged(channel_id) | MembershipChanged(channel_id) | ReadMoved(channel_id):
            return channel_id


def _told_or_error(services: Services, channel_id: str, news: Sequence[News]) -> _Told | Exception:
    try:
        return _told(services, channel_id, news)
    except BudgieError as error:
        return error
    except Exception as error:  # noqa: BLE001 - what one channel has in the table stops no other channel
        log_crash(error, channel_id)
        return error


def _told(services: Services, channel_id: str, news: Sequence[News]) -> _Told:
    found, told = _Sorted.of(news), _Told()
    head = services.store.heads([channel_id]).get(channel_id) if found.needs_head else None
    logs = [_log_news(services, head, log_id, found) for log_id in {**found.posted, **found.changed}]
    _end_watches(services, channel_id, found)
    watches = services.store.watches(channel_id, services.now()) if found.concerns_watchers else []
    for each in logs:
        at = [*found.posted.get(each.log_id, {}).values(), *found.changed.get(each.log_id, {}).values()]
        told.logs.append((each, min(at), [watch for watch in watches if watch.log_id == each.log_id]))
    for event, version in found.events.items():
        told.tell(watches, _channel_frame(channel_id, event, version))
    if head is not None and head.archived_at is not None:
        _tell_archived(services, channel_id, found.ended, told)
    else:
        _tell_ended(services, watches, found.ended, told)
    _tell_presence(watches, found.watches, told)
    if head is not None and head.show_reads and head.members <= SMALL_CHANNEL:
        live = [each for each in watches if each.is_live and each.log_id == channel_id]
        for user_id, seq in found.reads.items():
            made = frame("read", channel_id=channel_id, user_id=user_id, last_read_seq=seq)
            told.tell(live, made)
    _tell_users(services, channel_id, found, told)
    return told


@dataclass(slots=True)
class _Sorted:
    """The news of one channel by kind; of what replaces each other, only the last."""

    posted: dict[str, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    """By log and position, the time."""
    changed: dict[str, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    """By log and number, the time."""
    events: dict[ChannelEvent, int] = field(default_factory=dict)
    """With the channel's version."""
    members: dict[str, ChannelEvent] = field(default_factory=dict)
    reads: dict[str, int] = field(default_factory=dict)
    mentions: dict[tuple[str, str], int] = field(default_factory=dict)
    """By user and log."""
    watches: list[WatchChanged] = field(default_factory=list)

    @classmethod
    def of(cls, news: Sequence[News]) -> _Sorted:
        """Sorts the news of one channel."""
        found = cls()
        for each in news:
            match each:
                case Posted(log_id, seq, at):
                    found.posted[log_id][seq] = at
                case Changed(log_id, rev, at):
                    found.changed[log_id][rev] = at
                case ChannelChanged(_, event, version):
                    found.events.pop(event, None)  # the order is that of the last ones
                    found.events[event] = version
                case MembershipChanged(_, user_id, event):
                    found.members[user_id] = event
                case ReadMoved(_, user_id, seq):
                    found.reads[user_id] = seq
                case Mentioned(log_id, user_id, seq):
                    found.mentions[user_id, log_id] = seq
                case WatchChanged():
                    found.watches.append(each)
        return found

    @property
    def ended(self) -> list[WatchChanged]:
        """The watches that have ended."""
        return [each for each in self.watches if not each.is_begun]

    @property
    def needs_head(self) -> bool:
        """Whether the channel's settings decide about something."""
        return bool(self.changed or self.reads or self.ended)

    @property
    def concerns_watchers(self) -> bool:
        """Whether there is anything for those who watch."""
        return bool(self.posted or self.changed or self.events or self.reads or self.watches)


# --- what is new in a log ---


def _log_news(services: Services, head: Head | None, log_id: str, found: _Sorted) -> LogNews:
    store = services.store
    posted = found.posted.get(log_id, {})
    entries = _read(posted, partial(store.entries, log_id), partial(store.entries_at, log_id))
    messages = runs_of({each.seq: each.body for each in entries})
    changed = found.changed.get(log_id, {})
    changes = _read(changed, partial(store.changes, log_id), partial(store.changes_at, log_id))
    expired = cutoff(head, services.now()) if head else 0
    # A transaction's writes are seen one by one: what is not yet is told by its number.
    return LogNews(
        log_id,
        messages,
        runs_of(_changes(services, log_id, changes, expired)),
        unread_seq=max(posted.keys() - {each.seq for each in entries}, default=0),
        unread_rev=max(changed.keys() - {each.rev for each in changes}, default=0),
    )


def _read(
    numbers: Collection[int],
    read_range: Callable[[int, int], list[Item]],
    read_each: Callable[[Sequence[int]], list[Item]],
) -> list[Item]:
    """What these numbers have; with what is between them if that costs little more: then a client need not ask."""
    if not numbers:
        return []
    first, last = min(numbers), max(numbers)
    if last - first < DENSE * len(numbers):
        return read_range(first, last)
    return read_each(sorted(numbers))


def _changes(
    services: Services, log_id: str, changes: Sequence[Change], expired: int
) -> dict[int, bytes | None]:
    """The changes as ``GET …/changes`` gives them: only the latest one of a message has it, as it is now.

    Those of messages from before ``expired`` have no JSON any more. The messages are read after the changes.
    """
    seqs = {each.seq for each in changes}
    now = {each.seq: each for each in services.store.entries_at(log_id, sorted(seqs))} if seqs else {}
    found: dict[int, bytes | None] = {}
    for each in changes:
        entry = now.get(each.seq)
        if entry is None or entry.at < expired:
            found[each.rev] = None
            continue
        # An entry that lacks the change is seen a moment before it: the writes of a transaction come one by one.
        as_now = replace(each, body=entry.body) if each.body and entry.rev == each.rev else each
        found[each.rev] = change_json(log_id, as_now, with_message=entry.rev <= each.rev)
    return found


# --- who is told ---


def _channel_frame(channel_id: str, event: ChannelEvent, version: int | None = None) -> bytes:
    shown = version if event is ChannelEvent.CHANGED else None
    return frame("channel", channel_id=channel_id, event=event, version=shown)


def _end_watches(services: Services, channel_id: str, found: _Sorted) -> None:
    """Ends the watches of past members: the function that ended a membership may have died before it did so."""
    removed = [each for each, event in found.members.items() if event is ChannelEvent.REMOVED]
    if removed:
        still = services.store.members_of(channel_id, removed)
        for user_id in sorted(set(removed) - still.keys()):
            services.store.end_watches(channel_id, user_id)


def _tell_archived(services: Services, channel_id: str, ended: Sequence[WatchChanged], told: _Told) -> None:
    """Archiving ends all watches before it is acknowledged; those who are still members are told."""
    members = services.store.members_of(channel_id, {each.user_id for each in ended}) if ended else {}
    connections = {each.connection_id: each.user_id for each in ended if each.user_id in members}
    made = _channel_frame(channel_id, ChannelEvent.ARCHIVED)
    told.frames += [(user_id, connection_id, made) for connection_id, user_id in connections.items()]


def _tell_ended(
    services: Services, watches: Sequence[Watch], ended: Sequence[WatchChanged], told: _Told
) -> None:
    """Tells connections of watches that ended without their doing: archived and unarchived, or removed and added again.

    A connection that ended a watch itself, or has ended, does not list it any more. Costs 1 read unit a connection.
    """
    still = {(each.connection_id, each.log_id) for each in watches}
    lost: dict[str, list[WatchChanged]] = defaultdict(list)
    for each in ended:
        if (each.connection_id, each.log_id) not in still:
            lost[each.connection_id].append(each)
    now = services.now()
    found = map_concurrently(
        lambda connection_id: services.store.connection(connection_id, now), list(lost), services.background
    )
    for connection in found:
        if connection is None:
            continue
        logs = {each.log_id for each in lost[connection.connection_id]} & connection.watches
        if logs:
            made = frame("unwatched", channels=[log_fields(each) for each in sorted(logs)])
            told.frames.append((connection.user_id, connection.connection_id, made))


def _tell_presence(watches: Sequence[Watch], changed: Sequence[WatchChanged], told: _Told) -> None:
    """Who watches each log in which that has changed, while they are few; to those who look at it."""
    by_log: dict[str, list[WatchChanged]] = defaultdict(list)
    for each in changed:
        by_log[each.log_id].append(each)
    for log_id, news in by_log.items():
        users = watchers(watches, log_id)
        begun = {each.connection_id for each in news if each.is_begun}
        since_before = watchers([each for each in watches if each.connection_id not in begun], log_id)
        is_same = all(each.user_id in since_before for each in news)
        if len(users) <= MAX_PRESENT and not is_same:
            live = [each for each in watches if each.is_live and each.log_id == log_id]
            told.tell(live, frame("presence", **log_fields(log_id), count=len(users), users=users))


def _tell_users(services: Services, channel_id: str, found: _Sorted, told: _Told) -> None:
    """Tells users on all of their connections that they are members now, or not any more, or were named."""
    users = list(dict.fromkeys([*found.members, *(user_id for user_id, _ in found.mentions)]))
    if not users:
        return
    now = services.now()
    listed = map_concurrently(
        lambda user_id: services.store.connections_of(user_id, now), users, services.background
    )
    connections = {user_id: each for user_id, each in zip(users, listed, strict=True) if each}
    members = services.store.members_of(channel_id, connections) if connections else {}
    for user_id, opened in connections.items():
        made: list[bytes] = []
        event = found.members.get(user_id)
        if event is not None and (event is ChannelEvent.ADDED) == (user_id in members):
            made.append(_channel_frame(channel_id, event))
        if user_id in members:
            made += [
                frame("mention", **log_fields(log_id), seq=seq)
                for (named, log_id), seq in found.mentions.items()
                if named == user_id
            ]
        told.frames += [(user_id, each.connection_id, sent) for each in opened for sent in made]


# --- sending ---


class _Outbox:
    """All frames of a batch: for each connection its news in one frame if that is enough, then the others."""

    def __init__(self, told: Sequence[_Told]) -> None:
        self._users: dict[str, str] = {}
        self._oldest: dict[str, int] = {}
        self._news: dict[str, list[LogNews]] = defaultdict(list)
        for log, at, watches in (each for one in told for each in one.logs):
            for watch in watches:
                self._users[watch.connection_id] = watch.user_id
                self._oldest[watch.connection_id] = min(at, self._oldest.get(watch.connection_id, at))
                self._news[watch.connection_id].append(log)
        frames: dict[str, list[bytes]] = {}
        built: dict[tuple[str, ...], list[bytes]] = {}
        for connection_id, logs in self._news.items():
            key = tuple(each.log_id for each in logs)
            if key not in built:
                built[key] = news_frames(logs)
            frames[connection_id] = list(built[key])
        for user_id, connection_id, made in (each for one in told for each in one.frames):
            self._users[connection_id] = user_id
            frames.setdefault(connection_id, []).append(made)
        self.deliveries = [Delivery(connection_id, made) for connection_id, made in frames.items()]

    def close_gone(self, services: Services) -> None:
        """Removes connections that have ended, with their watches; what fails is found again by a later frame.

        Costs 1 read unit besides. One that is just being opened stays: API Gateway says of it, too, that it is gone.
        """
        now = services.now()

        def close(each: Delivery) -> None:
            watched = frozenset(log.log_id for log in self._news.get(each.connection_id, ()))
            known = Connection(each.connection_id, self._users[each.connection_id], 0, 0, watched)
            with suppress(BudgieError):
                connection = services.store.connection(each.connection_id, now) or known
                if now - connection.opened_at > OPENING_MS:
                    services.store.close_connection(replace(known, watches=watched | connection.watches))

        map_concurrently(close, [each for each in self.deliveries if each.is_gone], services.background)

    def sent(self) -> Dispatched:
        """What became of the frames."""
        lags = sorted(
            each.sent_at - self._oldest[each.connection_id]
            for each in self.deliveries
            if each.sent_at and each.connection_id in self._oldest
        )
        return Dispatched(
            connections=len(self.deliveries),
            frames=sum(each.sent - each.refused for each in self.deliveries),
            frame_bytes=sum(len(made) for each in self.deliveries for made in each.frames[: each.sent]),
            gone=sum(each.is_gone for each in self.deliveries),
            retried=sum(each.tries - (each.is_dropped and each.tries > 0) for each in self.deliveries),
            dropped=sum(len(each.frames) - each.sent for each in self.deliveries if each.is_dropped),
            slow=tuple(each.connection_id for each in self.deliveries if each.is_dropped)[:MAX_NAMED],
            refused=sum(each.refused for each in self.deliveries),
            lag_ms=lags[(len(lags) - 1) // 2] if lags else None,
            max_lag_ms=lags[-1] if lags else None,
        )
