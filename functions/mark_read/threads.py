"""Marking threads as read, and following them."""

from __future__ import annotations

from fastapi import Response

from functions.mark_read.app import app
from shared.use_cases import follow_threads as threads_use_case
from shared.web.app import ServicesDep
from shared.web.identity import Caller
from shared.web.responses import json_response
from shared.web.schemas import ChannelId, PostId, ReadIn


@app.put("/v1/channels/{channel_id}/messages/{message_id}/thread/read")
async def mark_thread_read(
    services: ServicesDep, caller: Caller, channel_id: ChannelId, message_id: PostId, body: ReadIn
) -> Response:
    """Marks the replies of a followed thread up to a position as read."""
    position = threads_use_case.mark_thread_read(
        services, caller, channel_id, message_id, body.last_read_seq, force=body.force
    )
    return json_response(position)


@app.put("/v1/channels/{channel_id}/messages/{message_id}/thread/follow")
async def follow_thread(
    services: ServicesDep, caller: Caller, channel_id: ChannelId, message_id: PostId
) -> Response:
    """Follows the thread of a message, from its present end on."""
    threads_use_case.follow_thread(services, caller, channel_id, message_id)
    return Response(status_code=204)


@app.delete("/v1/channels/{channel_id}/messages/{message_id}/thread/follow")
async def unfollow_thread(
    services: ServicesDep, caller: Caller, channel_id: ChannelId, message_id: PostId
) -> Response:
    """Ends following a thread; replying or being named in it begins it again."""
    threads_use_case.unfollow_thread(services, caller, channel_id, message_id)
    return Response(status_code=204)
