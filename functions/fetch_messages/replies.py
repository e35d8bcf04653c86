"""A page of replies, and what happened to them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from functions.fetch_messages.app import app
from shared.use_cases import fetch_changes as changes_use_case
from shared.use_cases import fetch_messages as use_case
from shared.use_cases.find_thread import find_thread
from shared.web.app import ServicesDep
from shared.web.identity import Caller
from shared.web.queries import FetchChangesQuery, PageQuery
from shared.web.responses import Codings, IfNoneMatch, changes_response, known_versions, page_response
from shared.web.schemas import ChannelId, PostId


@app.get("/v1/channels/{channel_id}/messages/{message_id}/replies")
async def fetch_replies(
    services: ServicesDep,
    caller: Caller,
    channel_id: ChannelId,
    message_id: PostId,
    query: PageQuery,
    codings: Codings,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """A page of the replies to a message in ascending order; by default the latest."""
    thread_id = find_thread(services, caller, channel_id, message_id)
    window, known = query.window(), known_versions(if_none_match)
    return page_response(use_case.fetch_messages(services, caller, thread_id, window, known, codings))


@app.get("/v1/channels/{channel_id}/messages/{message_id}/replies/changes")
async def fetch_reply_changes(
    services: ServicesDep,
    caller: Caller,
    channel_id: ChannelId,
    message_id: PostId,
    query: Annotated[FetchChangesQuery, Query()],
    if_none_match: IfNoneMatch = None,
) -> Response:
    """All that happened to the replies to a message after a number, in order and without a gap."""
    thread_id = find_thread(services, caller, channel_id, message_id)
    known = known_versions(if_none_match)
    page = changes_use_case.fetch_changes(services, caller, thread_id, query.after, query.limit, known)
    return changes_response(page)
