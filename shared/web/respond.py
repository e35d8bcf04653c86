"""Answers with headers of their own: what was made, and what the cache served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import Response

from shared.messages import Draft, dumps
from shared.meter import meter
from shared.model import Kind
from shared.web.app import answer
from shared.web.conditional import ANY, weak_etag
from shared.web.encoding import VARY, encoded
from shared.web.schemas import BatchIn, MessageIn

if TYPE_CHECKING:
    # Each function loads its own use case, and no other's.
    from shared.use_cases.fetch_messages import Page
    from shared.use_cases.list_channels import Listed
    from shared.use_cases.manage_channels import Created
    from shared.use_cases.post_message import Posted


def drafts_of(body: MessageIn | BatchIn) -> list[Draft]:
    """The messages to post, in order."""
    messages = body.messages if isinstance(body, BatchIn) else [body]
    return [message.draft() for message in messages]


def created(base: str, channel_id: str, body: MessageIn | BatchIn, posted: Posted) -> Response:
    """201 with the stored messages; the same for a replay but for one header."""
    count = len(posted.bodies)
    place = f"{base}/v1/channels/{channel_id}/messages?after={posted.last_seq - count}&limit={count}"
    headers = {"Location": place}
    if posted.rate is None:
        headers["Idempotency-Replayed"] = "true"
    else:
        headers |= posted.rate.headers()
    if isinstance(body, BatchIn):
        return answer(b'{"messages":[%b]}' % b",".join(posted.bodies), 201, headers)
    return answer(posted.bodies[0], 201, headers)


def created_channel(base: str, made: Created) -> Response:
    """201 with the channel, also for a replay; 200 for a pair's direct channel that was there before."""
    headers = {"Location": f"{base}/v1/channels/{made.channel['id']}"}
    if not made.found:
        return channel_answer(made.channel, 201, headers)
    if made.channel["kind"] == Kind.DIRECT:
        return channel_answer(made.channel, 200, headers)
    return channel_answer(made.channel, 201, headers | {"Idempotency-Replayed": "true"})


def channel_answer(
    channel: dict[str, Any],
    status: int = 200,
    headers: dict[str, str] | None = None,
    known_etags: frozenset[str] = frozenset(),
) -> Response:
    """A channel as the caller sees it, or 304 for who has it so already."""
    body = dumps(channel)
    tag = {"ETag": weak_etag(body)}
    if known_etags & {tag["ETag"], ANY}:
        return Response(None, 304, tag | VARY)
    return answer(body, status, (headers or {}) | tag)


def page_answer(page: Page) -> Response:
    """A page, or 304 for who has it already."""
    headers = {"ETag": page.etag, "Cache-Control": "private, no-cache"} | _cache_headers(stale=page.stale)
    if page.body is None:
        return Response(None, 304, headers | VARY)
    return encoded(page.body, page.coding, headers) if page.coding else answer(page.body, 200, headers)


def list_answer(listed: Listed) -> Response:
    """A page of channels."""
    return answer(listed.body, 200, _cache_headers(stale=listed.stale))


def _cache_headers(*, stale: bool) -> dict[str, str]:
    if stale:
        return {"X-Cache": "stale", "Warning": '110 - "Response is Stale"'}
    return {"X-Cache": meter().tier}
