"""What happened to messages: the change log, earlier versions, reactions and pins."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from functions.fetch_messages.app import app
from shared.use_cases import fetch_changes as use_case
from shared.web.app import ServicesDep
from shared.web.identity import Caller
from shared.web.queries import FetchChangesQuery, FetchReactionsQuery
from shared.web.responses import IfNoneMatch, changes_response, json_response, known_versions
from shared.web.schemas import ChannelId, PostId


@app.get("/v1/channels/{channel_id}/changes")
async def fetch_changes(
    services: ServicesDep,
    caller: Caller,
    channel_id: ChannelId,
    query: Annotated[FetchChangesQuery, Query()],
    if_none_match: IfNoneMatch = None,
) -> Response:
    """All that happened to messages after a number, in order and without a gap: edits, deletions, reactions, pins."""
    known = known_versions(if_none_match)
    page = use_case.fetch_changes(services, caller, channel_id, query.after, query.limit, known)
    return changes_response(page)


@app.get("/v1/channels/{channel_id}/messages/{message_id}/versions")
async def fetch_versions(
    services: ServicesDep, caller: Caller, channel_id: ChannelId, message_id: PostId
) -> Response:
    """The versions of a message, for its author, moderators and owners."""
    return json_response(use_case.fetch_versions(services, caller, channel_id, message_id))


@app.get("/v1/channels/{channel_id}/messages/{message_id}/reactions")
async def fetch_reactions(
    services: ServicesDep,
    caller: Caller,
    channel_id: ChannelId,
    message_id: PostId,
    query: Annotated[FetchReactionsQuery, Query()],
) -> Response:
    """The users who reacted to a message with an emoji."""
    page = use_case.fetch_reactions(
        services, caller, channel_id, message_id, query.emoji, query.limit, query.cursor
    )
    return json_response(page)


@app.get("/v1/channels/{channel_id}/pins")
async def fetch_pins(services: ServicesDep, caller: Caller, channel_id: ChannelId) -> Response:
    """The pinned messages of a channel."""
    return json_response(use_case.fetch_pins(services, caller, channel_id))
