"""Reading a channel's messages by position."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from functools import partial
from typing import Final

from shared.bootstrap import Services
from shared.cache.pages import AS_IS, Form, in_form, page_json, read_page
from shared.domain import keys, permissions
from shared.domain.errors import MessageNotFoundError, PositionOutOfRangeError, UnavailableError
from shared.domain.model import ChannelState, Head, Membership
from shared.storage.log_reader import Span
from shared.use_cases.expiry import with_boundary
from shared.use_cases.summarize_threads import summarize_after_read

FORMAT: Final = 2
"""Part of each page's version: raised when the format of a page changes, so that no old page matches a new one."""
WIDER: Final = 100
"""Positions by which a window without a message is extended at once: a Query of voids reads few bytes."""
MAX_WIDER: Final = 50
"""Extensions of one window: a page is empty only if more than 5,000 voids are adjacent."""


@dataclass(frozen=True, slots=True)
class Window:
    """The requested messages: at most one of ``before``, ``after``, ``around`` and ``anchor`` is set."""

    limit: int
    before: int | None = None
    after: int | None = None
    around: int | None = None
    anchor: str = "latest"

    @property
    def goes_forward(self) -> bool:
        """Whether the window is ``after`` a position or at the oldest message: nothing before it is wanted."""
        return self.after is not None or (self.anchor == "oldest" and self.before is self.around is None)

    @property
    def goes_back(self) -> bool:
        """Whether the window is ``before`` a position or at the latest message: nothing after it is wanted."""
        return self.before is not None or (self.anchor == "latest" and self.after is self.around is None)


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it is sent.

    Attributes:
        version: names the page's content; the same for every content coding.
        body: None if the caller already has this version.
        stale: the storage did not respond, and this page was confirmed a short time ago.
        coding: the body's content coding; None for uncompressed JSON.
    """

    version: str
    body: bytes | None
    stale: bool = False
    coding: str | None = None


def fetch_messages(
    services: Services,
    user_id: str,
    channel_id: str,
    window: Window,
    known: Container[str],
    form: Form = AS_IS,
) -> Page:
    """The page in the requested form, without a body if its version is one of ``known``.

    ``channel_id`` is the log's id: a channel's, or a thread's for replies; the thread's summary is then made right.

    A window that holds voids only is extended until it has a message: forward for ``after`` and ``oldest``; otherwise
    backward and, for ``around``, then forward. ``first_seq`` and ``last_seq`` say which positions the page covers.

    Raises:
        ChannelNotFoundError, NotAMemberError: the caller may not read this channel.
        PositionOutOfRangeError: the position is beyond the channel's end.
        UnavailableError: the storage does not respond, and the stale fallback has no page.
    """
    services.reader.begin()
    asked_at = services.stale_fallback.now()
    try:
        state = _read_state(services, user_id, channel_id)
        head, membership = permissions.require_member(state)
        head = with_boundary(services, head)
        page = _page(services, head, membership, window, known, form)
        if state.thread is not None:
            summarize_after_read(services, state, user_id)
    except UnavailableError:
        stale = _stale_page(services, user_id, channel_id, window, form)
        if stale is None:
            raise
        return stale
    services.stale_fallback.put(channel_id, user_id, ChannelState(head, membership), asked_at)
    return page


def _read_state(services: Services, user_id: str, channel_id: str) -> ChannelState:
    """Reads the channel state; a caller without a membership gets no stale page from then on."""
    state = services.store.read_channel_state(channel_id, user_id)
    if state.membership is None:
        services.stale_fallback.forget(channel_id, user_id)
    return state


def _page(
    services: Services,
    head: Head,
    membership: Membership,
    window: Window,
    known: Container[str],
    form: Form,
) -> Page:
    first, last = positions(window, head, membership)
    version = page_version(head, head.seq, window, membership)
    if version in known:
        return Page(version, None)
    widened = partial(_widened, services.reader.read, head, window, last)
    made = read_page(services.reader, services.memory, services.metrics, head, (first, last), widened, form)
    if made.complete_to < head.seq:
        # The end is open: the version names the position up to which the page is complete, never the last one.
        version = page_version(head, made.complete_to, window, membership)
    return Page(version, made.body, coding=made.coding)


def _widened(
    read: Callable[[Head, int, int], Span], head: Head, window: Window, last: int, span: Span
) -> tuple[Span, bool]:
    """The span, extended if it holds no message, and whether it is settled to its end; ``last`` is the window's.

    A window that goes forward is extended forward, any other backward until there is a message. A window around a
    position is extended forward if there is no message before it.
    """
    complete = span.last == last
    if span.first > last or not all(body is None for body in span.bodies):
        return span, complete
    if not window.goes_forward:
        span = _extended_back(read, head, span, window.limit)
    if not window.goes_back and complete:
        span, complete = _extended_forward(read, head, span, window.limit)
    return span, complete


def _extended_back(read: Callable[[Head, int, int], Span], head: Head, span: Span, limit: int) -> Span:
    start = head.boundary.seq + 1
    for _ in range(MAX_WIDER):
        if span.first <= start or span.messages():
            break
        more = read(head, max(start, span.first - WIDER), span.first - 1)
        # Everything before an entry is settled. Before an open end, positions may be open too.
        span = Span(more.first, more.bodies + span.bodies) if more.last == span.first - 1 else more
    places = [place for place, body in enumerate(span.bodies) if body is not None]
    cut = places[-limit] if len(places) > limit else 0
    return Span(span.first + cut, span.bodies[cut:])


def _extended_forward(
    read: Callable[[Head, int, int], Span], head: Head, span: Span, limit: int
) -> tuple[Span, bool]:
    complete = True
    for _ in range(MAX_WIDER):
        if span.last == head.seq or span.messages() or not complete:
            break
        asked = min(head.seq, span.last + WIDER)
        more = read(head, span.last + 1, asked)
        span, complete = Span(span.first, span.bodies + more.bodies), more.last == asked
    places = [place for place, body in enumerate(span.bodies) if body is not None]
    if len(places) > limit:
        span, complete = Span(span.first, span.bodies[: places[limit - 1] + 1]), True
    return span, complete


def _stale_page(services: Services, user_id: str, channel_id: str, window: Window, form: Form) -> Page | None:
    """The page as it was confirmed a short time ago, if memory has all of it."""
    state = services.stale_fallback.get(channel_id, user_id)
    if state is None:
        return None
    head, membership = permissions.require_member(state)
    try:
        first, last = positions(window, head, membership)
    except PositionOutOfRangeError:
        return None  # The caller knows a later position than this container.
    read = partial(_from_memory, services)
    try:
        span, _ = _widened(read, head, window, last, read(head, first, last))
    except _NotInMemoryError:
        return None
    services.metrics.read("pages", "stale")
    body, coding = in_form(page_json(head, span, has_more_after=span.last < head.seq), form)
    return Page(page_version(head, head.seq, window, membership), body, stale=True, coding=coding)


class _NotInMemoryError(Exception):
    """Memory does not hold the whole range."""


def _from_memory(services: Services, head: Head, first: int, last: int) -> Span:
    span = services.reader.from_memory(head, first, last)
    if span is None:
        raise _NotInMemoryError
    return span


def fetch_message(services: Services, user_id: str, channel_id: str, message_id: str) -> bytes:
    """One message's JSON.

    Raises:
        ChannelNotFoundError, NotAMemberError: the caller may not read this channel.
        MessageNotFoundError: no message of this channel has the id.
    """
    services.reader.begin()
    log_id, seq = keys.place_of_message(channel_id, message_id)
    head, _ = permissions.require_member(_read_state(services, user_id, log_id))
    head = with_boundary(services, head)
    if not 1 <= seq <= head.seq:
        raise MessageNotFoundError
    if seq <= head.boundary.seq:
        raise MessageNotFoundError.expired(head.boundary.seq)
    span = services.reader.read(head, seq, seq)
    messages = span.messages()
    if not messages:
        raise MessageNotFoundError
    return messages[0]


def positions(window: Window, head: Head, membership: Membership) -> tuple[int, int]:
    """The first and last position of a window; if it is empty, the last is one less than the first.

    A window begins after what has expired; ``before`` a position that expired it is empty.

    Raises:
        PositionOutOfRangeError: the position is beyond the channel's end.
    """
    end = head.seq
    for name, position, furthest in (
        ("before", window.before, end + 1),
        ("after", window.after, end),
        ("around", window.around, max(end, 1)),
    ):
        if position is not None and position > furthest:
            raise PositionOutOfRangeError.beyond(end, f"query.{name}")
    start = head.boundary.seq + 1
    if window.before is not None:
        return min(window.before, max(start, window.before - window.limit)), window.before - 1
    if window.after is not None:
        first = max(start, window.after + 1)
        return first, min(end, first + window.limit - 1)
    if window.around is not None:
        return _around(window.around, window.limit, start, end)
    if window.anchor == "oldest":
        return start, min(end, start + window.limit - 1)
    if window.anchor == "first_unread":
        return _around(membership.read_up_to(head) + 1, window.limit, start, end)
    return max(start, end - window.limit + 1), end


def _around(position: int, limit: int, start: int, end: int) -> tuple[int, int]:
    first = max(start, min(position - limit // 2, end - limit + 1))
    return first, min(end, first + limit - 1)


def page_version(head: Head, complete_to: int, window: Window, membership: Membership) -> str:
    """The version of a page: it changes with everything that can change the page's content.

    That is the position up to which the page is complete, the numbers of redactions and of changes and the last
    position that expired, if there are any, and for ``first_unread`` the caller's read position.
    """
    erasures = f"-{head.erasures}" if head.erasures else ""
    changes = f"r{head.rev}" if head.rev else ""
    read = f".{membership.read_seq}" if window.anchor == "first_unread" else ""
    expired = f"x{head.boundary.seq}" if head.boundary.seq else ""
    return f"{FORMAT}{erasures}.{complete_to}{changes}{expired}{read}"
