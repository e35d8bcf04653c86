"""A page of messages, and one message."""

from __future__ import annotations

from fastapi import Response

from functions.fetch_messages.app import app
from shared.use_cases import fetch_messages as use_case
from shared.web.app import ServicesDep
from shared.web.identity import Caller
from shared.web.queries import PageQuery
from shared.web.responses import Codings, IfNoneMatch, json_response, known_versions, page_response
from shared.web.schemas import ChannelId, PostId


@app.get("/v1/channels/{channel_id}/messages")
async def fetch_messages(
    services: ServicesDep,
    caller: Caller,
    channel_id: ChannelId,
    query: PageQuery,
    codings: Codings,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """A page of messages in ascending order; by default the latest."""
    window, known = query.window(), known_versions(if_none_match)
    return page_response(use_case.fetch_messages(services, caller, channel_id, window, known, codings))


@app.get("/v1/channels/{channel_id}/messages/{message_id}")
async def fetch_message(
    services: ServicesDep, caller: Caller, channel_id: ChannelId, message_id: PostId
) -> Response:
    """One message."""
    return json_response(use_case.fetch_message(services, caller, channel_id, message_id))
