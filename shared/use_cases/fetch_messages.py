"""Reading a channel's messages by position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shared import access, keys
from shared.errors import MessageNotFoundError, PositionOutOfRangeError, UnavailableError
from shared.log_reader import LogReader, Span
from shared.model import Head, Membership
from shared.services import Services

FORMAT: Final = 1
"""Part of each ETag: raised when the form of a page changes, so that no old page is taken for a new one."""
_BOOLEANS: Final = (b"false", b"true")


@dataclass(frozen=True, slots=True)
class Window:
    """Which messages are asked for: at most one of ``before``, ``after``, ``around``, ``anchor``."""

    limit: int
    before: int | None = None
    after: int | None = None
    around: int | None = None
    anchor: str = "latest"


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it goes out; ``body`` None where the caller's copy is still right (304).

    ``stale`` where the storage did not answer and this was vouched for a short time ago.
    """

    etag: str
    body: bytes | None
    stale: bool = False


def fetch_messages(
    services: Services, user_id: str, channel_id: str, window: Window, known_etags: frozenset[str]
) -> Page:
    """The page, unless the caller has it already.

    Raises:
        ChannelNotFoundError, NotAMemberError: the caller may not read here.
        PositionOutOfRangeError: the position lies beyond the channel's end.
        UnavailableError: the storage does not answer, and nothing vouched for recently can stand in.
    """
    services.reader.begin()
    asked_at = services.cache.vouched.now()
    try:
        look = services.store.look(channel_id, user_id)
        if look.membership is None:
            services.cache.vouched.forget(channel_id, user_id)
        head, membership = access.member(look)
        page = _page(services.reader, head, membership, window, known_etags)
    except UnavailableError:
        stale = _stale_page(services, user_id, channel_id, window)
        if stale is None:
            raise
        return stale
    services.cache.vouched.remember(channel_id, user_id, look, asked_at)
    return page


def _page(
    reader: LogReader, head: Head, membership: Membership, window: Window, known_etags: frozenset[str]
) -> Page:
    first, last = positions(window, head, membership)
    etag = etag_of(head.seq, window, membership)
    if known_etags & {etag, "*"}:
        return Page(etag, None)
    span = reader.read(head, first, last)
    if span.last < last:
        # The end is still open: name the position it is complete to, which is never the channel's last.
        etag = etag_of(span.last, window, membership)
    return Page(etag, page_json(head, span, has_more_after=span.last == last < head.seq))


def _stale_page(services: Services, user_id: str, channel_id: str, window: Window) -> Page | None:
    """The page as it was vouched for a short time ago, if memory has all of it."""
    look = services.cache.vouched.recall(channel_id, user_id)
    if look is None:
        return None
    head, membership = access.member(look)
    try:
        first, last = positions(window, head, membership)
    except PositionOutOfRangeError:
        return None  # The caller knows of more than this container does.
    span = services.reader.remembered(channel_id, first, last)
    if span is None:
        return None
    services.cache.metrics.read("pages", "stale")
    body = page_json(head, span, has_more_after=last < head.seq)
    return Page(etag_of(head.seq, window, membership), body, stale=True)


def fetch_message(services: Services, user_id: str, channel_id: str, message_id: str) -> bytes:
    """One message's JSON.

    Raises:
        ChannelNotFoundError, NotAMemberError: the caller may not read here.
        MessageNotFoundError: there is no such message.
    """
    services.reader.begin()
    head, _ = access.member(services.store.look(channel_id, user_id))
    seq = keys.seq_of_message(channel_id, message_id)
    if seq is None or seq > head.seq:
        raise MessageNotFoundError
    span = services.reader.read(head, seq, seq)
    messages = span.messages()
    if not messages:
        raise MessageNotFoundError
    return messages[0]


def positions(window: Window, head: Head, membership: Membership) -> tuple[int, int]:
    """The first and last position of a window; the last is one less than the first where it is empty.

    Raises:
        PositionOutOfRangeError: the position lies beyond the channel's end.
    """
    end = head.seq
    for name, position, furthest in (
        ("before", window.before, end + 1),
        ("after", window.after, end),
        ("around", window.around, max(end, 1)),
    ):
        if position is not None and position > furthest:
            detail = f"The channel's last position is {end}."
            raise PositionOutOfRangeError(detail, errors=[{"field": f"query.{name}", "detail": detail}])
    if window.before is not None:
        return max(1, window.before - window.limit), window.before - 1
    if window.after is not None:
        return window.after + 1, min(end, window.after + window.limit)
    if window.around is not None:
        return _around(window.around, window.limit, end)
    if window.anchor == "oldest":
        return 1, min(end, window.limit)
    if window.anchor == "first_unread":
        return _around(membership.read_seq + 1, window.limit, end)
    return max(1, end - window.limit + 1), end


def _around(position: int, limit: int, end: int) -> tuple[int, int]:
    first = max(1, min(position - limit // 2, end - limit + 1))
    return first, min(end, first + limit - 1)


def etag_of(complete_to: int, window: Window, membership: Membership) -> str:
    """The position up to which a page is complete; for ``first_unread`` also where that is."""
    read = f".{membership.read_seq}" if window.anchor == "first_unread" else ""
    return f'W/"{FORMAT}.{complete_to}{read}"'


def page_json(head: Head, span: Span, *, has_more_after: bool) -> bytes:
    """The page around the stored messages, which are joined as they are."""
    closing = (
        b'],"first_seq":%d,"last_seq":%d,"channel_last_seq":%d,"has_more_before":%b,"has_more_after":%b}'
        % (
            span.first,
            span.last,
            head.seq,
            _BOOLEANS[span.first > 1],
            _BOOLEANS[has_more_after],
        )
    )
    # The ends are put to the first and last message, so that the whole is copied once.
    messages = span.messages() or [b""]
    messages[0] = b'{"channel_id":"%b","messages":[%b' % (head.channel_id.encode(), messages[0])
    messages[-1] += closing
    return b",".join(messages)
