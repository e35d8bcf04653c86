"""Turns the results of use cases into responses: status, headers, content coding and entity tags.

Only this module knows the format of entity tags (RFC 9110, 8.8.3). A channel's response differs by caller and with each
message, so its ``ETag`` is weak and works with ``If-None-Match`` only. ``If-Match`` is compared strongly with the
version of the channel's settings: the field ``version`` in quotes.
"""

from __future__ import annotations

import re
from collections.abc import Container
from hashlib import blake2b
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Depends, Header, Request, Response
from pydantic import AfterValidator, Field

from shared.domain import keys
from shared.domain.messages import dumps
from shared.domain.model import FIXED_MEMBERS
from shared.observability.meter import meter
from shared.runtime.codings import Accepted, accepted, encode

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    # For types only: each function loads no use case but its own.
    from shared.domain.rate_limit import Verdict
    from shared.use_cases.change_messages import Changed
    from shared.use_cases.edit_messages import Edited
    from shared.use_cases.fetch_changes import ChangePage
    from shared.use_cases.fetch_messages import Page
    from shared.use_cases.list_channels import Listed
    from shared.use_cases.manage_channels import Created
    from shared.use_cases.post_message import Posted

VARY: Final = {"Vary": "Accept-Encoding"}
"""On every response that may be compressed, whether it is or not, and on the 304 in place of one."""
MEDIA_TYPE: Final = "application/json"
ANY: Final = "*"
WEAK_ETAG: Final = 'W/"%s"'
"""A version as an ``ETag``; weak, as one version is sent in several content codings."""
_TAG: Final = r'(?:W/)?"[^"\x00-\x20\x7f]*"'
_LIST: Final = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")
_TAGS: Final = re.compile(_TAG)
_VERSION: Final = re.compile(r'"([1-9]\d{0,11})"', re.ASCII)


# --- what the client accepts and has ---


async def accepted_codings(request: Request) -> Accepted:
    """The content codings of the request's ``Accept-Encoding``."""
    return _accepted(request.scope)


Codings = Annotated[Accepted, Depends(accepted_codings)]


def _accepted(scope: Scope) -> Accepted:
    found = [value for name, value in scope["headers"] if name == b"accept-encoding"]
    return accepted(b",".join(found).decode("latin-1") if found else None)


def _well_formed(header: str) -> str:
    if header.strip() != ANY and not _LIST.fullmatch(header):
        msg = f'must be `{ANY}` or a list of entity tags in double quotes, such as `"3"`'
        raise ValueError(msg)
    return header


IfNoneMatch = Annotated[
    str | None,
    Header(
        description="The `ETag` of the caller's copy, a list of them, or `*`. The response is 304 if one is current. "
        "A malformed value is ignored."
    ),
]
IfMatch = Annotated[
    Annotated[
        str,
        AfterValidator(_well_formed),
        Field(json_schema_extra={"pattern": rf"^(\*|{_TAG}([ \t]*,[ \t]*{_TAG})*)$"}),
    ]
    | None,
    Header(
        description='The `version` that the channel must have, in double quotes, such as `"3"`; a list of them, '
        "or `*` for any. Compared strongly, so a channel's `ETag`, which is weak, never matches."
    ),
]


class _EveryVersion:
    """What ``*`` names."""

    def __contains__(self, version: object) -> bool:
        return True


def known_versions(if_none_match: str | None) -> Container[str]:
    """The versions whose tags an ``If-None-Match`` lists; ``*`` contains every version.

    The comparison is weak, so ``W/"1"`` and ``"1"`` name the same version. A malformed header names none: the cost is a
    full response.
    """
    if if_none_match is None:
        return frozenset()
    if if_none_match.strip() == ANY:
        return _EveryVersion()
    found = _TAGS.findall(if_none_match) if _LIST.fullmatch(if_none_match) else ()
    return frozenset(tag.removeprefix("W/")[1:-1] for tag in found)


def versions(if_match: str | None) -> frozenset[int] | None:
    """The versions of an ``If-Match``, one of which the channel must have; None for any version."""
    if if_match is None or if_match.strip() == ANY:
        return None
    found = (_VERSION.fullmatch(tag) for tag in _TAGS.findall(if_match))
    return frozenset(int(match[1]) for match in found if match)


# --- responses ---


class Compressible(Response):
    """JSON, compressed if the request accepts it.

    An ``ETag`` among the headers must be weak, because a strong one would differ for each content coding.
    """

    media_type = MEDIA_TYPE

    def __init__(self, body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> None:
        super().__init__(body, status, VARY if headers is None else headers | VARY)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Compresses and sends the response; can be called once only."""
        coding = _accepted(scope).choose(len(self.body))
        if coding:
            self.body = encode(bytes(self.body), coding)
            self.headers.update({"Content-Encoding": coding, "Content-Length": str(len(self.body))})
        await super().__call__(scope, receive, send)


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:  # noqa: ANN401 - any JSON
    """A JSON response; ``value`` as bytes is JSON already."""
    return Compressible(value if isinstance(value, bytes) else dumps(value), status, headers)


def posted_response(base: str, log_id: str, posted: Posted, *, is_batch: bool) -> Response:
    """201 with the stored messages; a replay differs in its headers only."""
    count = len(posted.bodies)
    channel_id = keys.channel_of_log(log_id)
    replies = f"/{log_id}/replies" if keys.is_thread(log_id) else ""
    place = f"{base}/v1/channels/{channel_id}/messages{replies}?after={posted.last_seq - count}&limit={count}"
    headers = {"Location": place}
    if posted.rate is None:
        headers["Idempotency-Replayed"] = "true"
    else:
        headers |= rate_headers(posted.rate)
    body = b'{"messages":[%b]}' % b",".join(posted.bodies) if is_batch else posted.bodies[0]
    return Compressible(body, 201, headers)


def rate_headers(rate: Verdict | None) -> dict[str, str]:
    """The ``RateLimit-*`` fields, none where no limit counts; ``RateLimit-Reset`` is in seconds from now."""
    if rate is None:
        return {}
    return {
        "RateLimit-Limit": str(rate.limit),
        "RateLimit-Remaining": str(rate.remaining),
        "RateLimit-Reset": str(rate.reset_seconds),
    }


def created_channel(base: str, made: Created) -> Response:
    """201 with the channel, also for a replay; 200 for an existing direct or group channel."""
    headers = {"Location": f"{base}/v1/channels/{made.channel['id']}"}
    if not made.found:
        return channel_response(made.channel, 201, headers)
    if made.channel["kind"] in FIXED_MEMBERS:
        return channel_response(made.channel, 200, headers)
    return channel_response(made.channel, 201, headers | {"Idempotency-Replayed": "true"})


def channel_response(
    channel: dict[str, Any],
    status: int = 200,
    headers: dict[str, str] | None = None,
    known: Container[str] = frozenset(),
) -> Response:
    """A channel as the caller sees it, or 304 if its version is one of ``known``."""
    return tagged_response(channel, status, headers, known)


def tagged_response(
    value: dict[str, Any],
    status: int = 200,
    headers: dict[str, str] | None = None,
    known: Container[str] = frozenset(),
) -> Response:
    """JSON with a tag of its content, or 304 if its version is one of ``known``."""
    body = dumps(value)
    version = content_version(body)
    tag = {"ETag": WEAK_ETAG % version}
    if version in known:
        return Response(None, 304, tag | VARY)
    return Compressible(body, status, (headers or {}) | tag)


def page_response(page: Page) -> Response:
    """A page of messages, or 304 if it has no body."""
    headers = {
        "ETag": WEAK_ETAG % page.version,
        "Cache-Control": "private, no-cache",
        **_cache_headers(stale=page.stale),
    }
    if page.body is None:
        return Response(None, 304, headers | VARY)
    if page.coding is None:
        return Compressible(page.body, 200, headers)
    return Response(page.body, 200, headers | VARY | {"Content-Encoding": page.coding}, MEDIA_TYPE)


def changes_response(page: ChangePage) -> Response:
    """A page of changes, or 304 if it has no body."""
    headers = {"ETag": WEAK_ETAG % page.version, "Cache-Control": "private, no-cache"}
    if page.body is None:
        return Response(None, 304, headers | VARY)
    return Compressible(page.body, 200, headers)


def edited_response(edited: Edited) -> Response:
    """The message after an edit; a replay differs in its headers only."""
    headers = {"ETag": WEAK_ETAG % edited.version} | rate_headers(edited.rate)
    return Compressible(
        edited.body, 200, headers | ({"Idempotency-Replayed": "true"} if edited.replayed else {})
    )


def changed_response(changed: Changed) -> Response:
    """204 after a change, or where nothing was to change."""
    return Response(None, 204, rate_headers(changed.rate))


def list_response(listed: Listed) -> Response:
    """A page of channels."""
    return json_response(listed.body, 200, _cache_headers(stale=listed.stale))


def _cache_headers(*, stale: bool) -> dict[str, str]:
    if stale:
        return {"X-Cache": "stale", "Warning": '110 - "Response is Stale"'}
    return {"X-Cache": meter().tier}


def content_version(body: bytes) -> str:
    """The version of a response that has no other name for it: a hash of its body."""
    return blake2b(body, digest_size=12).hexdigest()
