"""Reading a channel's messages by position."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from shared import access, keys
from shared.cache import encoded
from shared.codings import PLAIN, Accepted, encode
from shared.errors import MessageNotFoundError, PositionOutOfRangeError, UnavailableError
from shared.log_reader import Span
from shared.model import Head, Look, Membership
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

    ``stale`` where the storage did not answer and this was vouched for a short time ago; ``coding`` is the body's
    content coding, None for JSON as it is.
    """

    etag: str
    body: bytes | None
    stale: bool = False
    coding: str | None = None


def fetch_messages(
    services: Services,
    user_id: str,
    channel_id: str,
    window: Window,
    known_etags: frozenset[str],
    accepted: Accepted = PLAIN,
) -> Page:
    """The page in a coding that is accepted, unless the caller has it already.

    Raises:
        ChannelNotFoundError, NotAMemberError: the caller may not read here.
        PositionOutOfRangeError: the position lies beyond the channel's end.
        UnavailableError: the storage does not answer, and nothing vouched for recently can stand in.
    """
    services.reader.begin()
    asked_at = services.cache.vouched.now()
    try:
        look = _look(services, user_id, channel_id)
        head, membership = access.member(look)
        page = _page(services, head, membership, window, known_etags, accepted)
    except UnavailableError:
        stale = _stale_page(services, user_id, channel_id, window, accepted)
        if stale is None:
            raise
        return stale
    services.cache.vouched.remember(channel_id, user_id, look, asked_at)
    return page


def _look(services: Services, user_id: str, channel_id: str) -> Look:
    """The vouching read; who is found to be out gets no stand-in from then on."""
    look = services.store.look(channel_id, user_id)
    if look.membership is None:
        services.cache.vouched.forget(channel_id, user_id)
    return look


def _page(
    services: Services,
    head: Head,
    membership: Membership,
    window: Window,
    known_etags: frozenset[str],
    accepted: Accepted,
) -> Page:
    first, last = positions(window, head, membership)
    etag = etag_of(head, head.seq, window, membership)
    if known_etags & {etag, "*"}:
        return Page(etag, None)
    remembered = _remembered(services, head, first, last, accepted)
    if remembered:
        return Page(etag, remembered, coding=accepted.coding)
    span = services.reader.read(head, first, last)
    if span.last < last:
        # The end is still open: name the position it is complete to, which is never the channel's last.
        page = Page(etag_of(head, span.last, window, membership), page_json(head, span, has_more_after=False))
        return _in_coding(page, accepted)
    page = _in_coding(Page(etag, page_json(head, span, has_more_after=last < head.seq)), accepted)
    if page.coding and page.body:
        encoded.remember(services.cache.memory, head, first, last, page.coding, page.body)
    return page


def _remembered(services: Services, head: Head, first: int, last: int, accepted: Accepted) -> bytes | None:
    """The page in the accepted coding, as it left before: neither joined nor compressed again."""
    if accepted.coding is None:
        return None
    body = encoded.recall(services.cache.memory, head, first, last, accepted.coding)
    if body:
        services.cache.metrics.read("pages", "memory")
    return body


def _in_coding(page: Page, accepted: Accepted) -> Page:
    coding = accepted.choose(len(page.body or b""))
    return replace(page, body=encode(page.body, coding), coding=coding) if page.body and coding else page


def _stale_page(
    services: Services, user_id: str, channel_id: str, window: Window, accepted: Accepted
) -> Page | None:
    """The page as it was vouched for a short time ago, if memory has all of it."""
    look = services.cache.vouched.recall(channel_id, user_id)
    if look is None:
        return None
    head, membership = access.member(look)
    try:
        first, last = positions(window, head, membership)
    except PositionOutOfRangeError:
        return None  # The caller knows of more than this container does.
    span = services.reader.remembered(head, first, last)
    if span is None:
        return None
    services.cache.metrics.read("pages", "stale")
    body = page_json(head, span, has_more_after=last < head.seq)
    return _in_coding(Page(etag_of(head, head.seq, window, membership), body, stale=True), accepted)


def fetch_message(services: Services, user_id: str, channel_id: str, message_id: str) -> bytes:
    """One message's JSON.

    Raises:
        ChannelNotFoundError, NotAMemberError: the caller may not read here.
        MessageNotFoundError: there is no such message.
    """
    services.reader.begin()
    head, _ = access.member(_look(services, user_id, channel_id))
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


def etag_of(head: Head, complete_to: int, window: Window, membership: Membership) -> str:
    """The position up to which a page is complete; for ``first_unread`` also where that is.

    And how often messages were redacted, where any were: a copy from before is not right any more.
    """
    erasures = f"-{head.erasures}" if head.erasures else ""
    read = f".{membership.read_seq}" if window.anchor == "first_unread" else ""
    return f'W/"{FORMAT}{erasures}.{complete_to}{read}"'


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
